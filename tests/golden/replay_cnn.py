#!/usr/bin/python3
"""Repeats normlab's trainings of networks on images in PyTorch: 100 steps of the LeNet of ziaee2022, of
ResNet-20, of Fixup and scaled weight standardization in ResNet-8, and of small vgg and mobile networks;
losses equal within 1e-6. The data are random images, written as CIFAR-10's files.
Silence means pass; 77: not run.

    replay_cnn.py PATH/OF/normlab
"""
import os

from replays import recorded, repeat  # first: it says when PyTorch is missing

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS = 100
COMMON = "data=cifar10:standardize=unit:train=0:val=0 order=reshuffle threads=2 eval=100"


def write_data(folder):
    """Images whose class shows in them; gives the training images (n, 3, 32, 32) and labels."""
    random = np.random.default_rng(5)
    os.makedirs(f"{folder}/cifar10/cifar-10-batches-bin")
    images, labels = [], []
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        label = random.integers(0, 10, 60)
        image = random.integers(0, 256, (60, 3, 32, 32))
        image[np.arange(60), label % 3, 3 * label, :] = 255
        with open(f"{folder}/cifar10/cifar-10-batches-bin/{name}.bin", "wb") as f:
            f.write(np.hstack([label[:, None], image.reshape(60, -1)]).astype(np.uint8).tobytes())
        if name != "test_batch":
            images.append(image)
            labels.append(label)
    return torch.tensor(np.vstack(images) / 255), torch.tensor(np.hstack(labels))


class Recorded(nn.Module):
    """Layers made from a run's initial parameters, by name."""

    def __init__(self, run):
        super().__init__()
        self.run, self.made = run, nn.ModuleDict()

    def value(self, path):
        return recorded(self.run, path)

    def has(self, path):
        return "record/init/" + path in self.run

    def keep(self, name, layer):
        self.made[name] = layer
        return layer

    def conv(self, name, kernel, before, out, **options):
        inside = before // options.get("groups", 1)
        w = self.value(f"{name}/w").reshape(kernel, kernel, inside, out).permute(3, 2, 0, 1)
        layer = nn.Conv2d(before, out, kernel, bias=self.has(f"{name}/b"), **options)
        layer.weight.data = w.contiguous()
        if self.has(f"{name}/b"):
            layer.bias.data = self.value(f"{name}/b")
        return self.keep(name, layer)

    def dense(self, name):
        w = self.value(f"{name}/w")
        layer = nn.Linear(*w.shape)
        layer.weight.data, layer.bias.data = w.T.contiguous(), self.value(f"{name}/b")
        return self.keep(name, layer)


class BatchLayerNorm(nn.Module):
    """The training formula of the authors' code (ziaee2022), channels in dimension 1."""

    def __init__(self, channels, batch):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.m = batch

    def forward(self, x):
        over = lambda dim: (x - x.mean(dim, True)) / torch.sqrt(x.var(dim, False, True) + 1e-3)
        z = over(1) * (1 / self.m - 1e-4) + over(0) * (1 - (1 / self.m + 1e-4))
        shape = [1, -1] + [1] * (x.dim() - 2)
        return self.gamma.view(shape) * z / x.shape[1] ** 0.5 + self.beta.view(shape)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a position, channels in dimension 1."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def batch_norm(channels, images, eps):
    return (nn.BatchNorm2d if images else nn.BatchNorm1d)(channels, eps=eps)


LENET_NORMS = {"batch": lambda c, images: batch_norm(c, images, 1e-3),
               "layer": lambda c, images: ChannelNorm(c, eps=1e-3),
               "batch_layer": lambda c, images: BatchLayerNorm(c, 25)}


class LeNet(Recorded):
    def __init__(self, run, norm):
        super().__init__(run)
        self.conv("c1", 5, 3, 6, padding=2)
        self.conv("c2", 5, 6, 16)
        for name in ("d1", "d2", "out"):
            self.dense(name)
        for name, channels in (("n1", 6), ("n2", 16), ("n3", 120), ("n4", 84)):
            self.keep(name, LENET_NORMS[norm](channels, name < "n3"))

    def forward(self, x):
        m = self.made
        x = m["n1"](F.avg_pool2d(torch.tanh(m["c1"](x)), 2))
        x = m["n2"](F.avg_pool2d(torch.tanh(m["c2"](x)), 2))
        x = x.movedim(1, -1).flatten(1)  # normlab's channels are innermost
        for dense, norm in (("d1", "n3"), ("d2", "n4")):
            x = m[norm](torch.tanh(m[dense](x)))
        return m["out"](x)


class ResNet(Recorded):
    def __init__(self, run, shortcut, width):
        super().__init__(run)
        self.shortcut, before = shortcut, width
        self.normed("c0", 3, 3, width, padding=1)
        for stage in range(3):
            for k in range(3):
                name, out = f"s{stage + 1}b{k + 1}", width << stage
                stride = 2 if stage and k == 0 else 1
                self.normed(f"{name}c1", 3, before, out, stride=stride, padding=1)
                self.normed(f"{name}c2", 3, out, out, padding=1)
                if stride == 2 and shortcut == "b":
                    self.normed(f"{name}s", 1, before, out, stride=2)
                before = out
        self.dense("out")

    def normed(self, name, *sizes, **options):
        self.conv(name, *sizes, **options)
        self.keep(name + "n", nn.BatchNorm2d(sizes[2]))

    def apply_normed(self, name, x):
        return self.made[name + "n"](self.made[name](x))

    def beside(self, name, x, y):
        if x.shape == y.shape:
            return x
        if self.shortcut == "b":
            return self.apply_normed(f"{name}s", x)
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))

    def forward(self, x):
        x = torch.relu(self.apply_normed("c0", x))
        for stage in range(3):
            for k in range(3):
                name = f"s{stage + 1}b{k + 1}"
                y = torch.relu(self.apply_normed(f"{name}c1", x))
                y = self.apply_normed(f"{name}c2", y)
                x = torch.relu(y + self.beside(name, x, y))
        return self.made["out"](x.mean((2, 3)))


class Bare(Recorded):
    """The weights of ResNet-8 without norms."""

    def __init__(self, run, width):
        super().__init__(run)
        self.width, before = width, width
        self.conv("c0", 3, 3, width, padding=1)
        for stage in range(3):
            name, out = f"s{stage + 1}b1", width << stage
            self.conv(f"{name}c1", 3, before, out, stride=2 if stage else 1, padding=1)
            self.conv(f"{name}c2", 3, out, out, padding=1)
            before = out
        self.dense("out")

    def beside(self, stage, x, y):
        return x if not stage else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))


class Fixup(Bare):
    """Zhang et al. 2019: a scalar before each convolution and activation; the first one of a block also
    before its shortcut, where that is no identity."""

    def __init__(self, run, width):
        super().__init__(run, width)
        self.scalars = nn.ParameterDict({path.replace("/", "_"): nn.Parameter(self.value(path))
                                         for path in self.scalar_paths()})

    def scalar_paths(self):
        blocks = [f"s{k}b1{part}" for k in (1, 2, 3) for part in ("b1a/b", "b1b/b", "b2a/b", "b2b/b", "b2b/m")]
        return ["b0/b", "b3/b", *blocks]

    def forward(self, x):
        m, s = self.made, self.scalars
        x = torch.relu(m["c0"](x) + s["b0_b"])
        for stage in range(3):
            n = f"s{stage + 1}b1"
            moved = x + s[n + "b1a_b"]
            y = torch.relu(m[n + "c1"](moved) + s[n + "b1b_b"])
            y = m[n + "c2"](y + s[n + "b2a_b"]) * s[n + "b2b_m"] + s[n + "b2b_b"]
            x = torch.relu(y + self.beside(stage, moved if stage else x, y))
        return m["out"](x.mean((2, 3)) + s["b3_b"])


class ScaledWeights(Bare):
    """Brock et al. 2021, eq. 3, on the weights of every convolution."""

    def __init__(self, run, width):
        super().__init__(run, width)
        self.gains = nn.ParameterDict({name: nn.Parameter(self.value(f"{name}/weight/g").flatten())
                                       for name in self.made if name != "out"})

    def weight(self, name):
        w = self.made[name].weight
        flat = w.flatten(1)
        off = flat - flat.mean(1, True)
        gain = 1.7139588594436646 * self.gains[name][:, None]
        return (gain * off / torch.sqrt((off ** 2).sum(1, True).clamp(min=1e-4))).view_as(w)

    def apply_conv(self, name, x):
        layer = self.made[name]
        return F.conv2d(x, self.weight(name), None, layer.stride, layer.padding)

    def forward(self, x):
        x = torch.relu(self.apply_conv("c0", x))
        for stage in range(3):
            n = f"s{stage + 1}b1"
            y = self.apply_conv(n + "c2", torch.relu(self.apply_conv(n + "c1", x)))
            x = torch.relu(y + self.beside(stage, x, y))
        return self.made["out"](x.mean((2, 3)))


class Vgg(Recorded):
    def __init__(self, run, width):
        super().__init__(run)
        self.conv("s1c1", 3, 3, width, padding=1)
        self.conv("s2c1", 3, width, 2 * width, padding=1)
        for name in ("h1", "out"):
            self.dense(name)
        for name, layer in (("n1", nn.BatchNorm2d(width)), ("n2", nn.BatchNorm2d(2 * width)),
                            ("n3", nn.BatchNorm1d(self.made["h1"].out_features))):
            self.keep(name, layer)

    def forward(self, x):
        m = self.made
        for conv, norm in (("s1c1", "n1"), ("s2c1", "n2")):
            x = F.max_pool2d(torch.relu(m[norm](m[conv](x))), 2)
        x = x.movedim(1, -1).flatten(1)
        return m["out"](torch.relu(m["n3"](m["h1"](x))))


class Mobile(Recorded):
    def __init__(self, run, width):
        super().__init__(run)
        self.order = []
        self.normed("c0", 3, 3, width, padding=1)
        self.normed("s1b1d", 3, width, width, padding=1, groups=width)
        self.normed("s1b1p", 1, width, width)
        self.normed("s2b1d", 3, width, width, stride=2, padding=1, groups=width)
        self.normed("s2b1p", 1, width, 2 * width)
        self.dense("out")

    def normed(self, name, *sizes, **options):
        self.conv(name, *sizes, **options)
        self.keep(name + "n", nn.BatchNorm2d(sizes[2]))
        self.order.append(name)

    def forward(self, x):
        for name in self.order:
            x = torch.relu(self.made[name + "n"](self.made[name](x)))
        return self.made["out"](x.mean((2, 3)))


class KerasAdam(torch.optim.Adam):
    """eps added before the bias correction: torch's eps of a step is eps / sqrt(1 - beta2^t)."""

    def step(self):
        self.steps = getattr(self, "steps", 0) + 1
        group = self.param_groups[0]
        keep = group["eps"]
        group["eps"] = keep / (1 - group["betas"][1] ** self.steps) ** 0.5
        super().step()
        group["eps"] = keep


def momentum(p, rate=0.01):
    return torch.optim.SGD(p, lr=rate, momentum=0.9)


CASES = []
for norm in LENET_NORMS:  # with PyTorch's eps: the protocol's Keras-like one is not in PyTorch
    CASES.append((f"{COMMON} model=lenet_bln norm={norm} batch=25 optimizer=adam:lr=0.002",
                  lambda run, norm=norm: LeNet(run, norm),
                  lambda p: torch.optim.Adam(p, lr=2e-3)))
for shortcut, width, batch in (("a", 16, 8), ("b", 4, 20)):  # 16: by minimal filtering
    CASES.append((f"{COMMON} model=resnet:depth=20:width={width}:shortcut={shortcut} norm=batch "
                  f"batch={batch} optimizer=momentum:lr=0.01:momentum=0.9",
                  lambda run, shortcut=shortcut, width=width: ResNet(run, shortcut, width), momentum))
CASES.append((f"{COMMON} model=lenet_bln norm=batch batch=25 optimizer=adam:lr=0.002:eps=1e-3:eps_mode=keras",
              lambda run: LeNet(run, "batch"), lambda p: KerasAdam(p, lr=2e-3, eps=1e-3)))
for keys, network in (("resnet:depth=8:width=4:fixup=true norm=none", Fixup),
                      ("resnet:depth=8:width=4 norm=scaled_ws", ScaledWeights),
                      ("vgg:width=4:stages=2:convs=1:hidden=12 norm=batch", Vgg),
                      ("mobile:width=4:stages=2:blocks=1 norm=batch", Mobile)):
    CASES.append((f"{COMMON} model={keys} batch=20 optimizer=momentum:lr=0.01:momentum=0.9",
                  lambda run, network=network: network(run, 4), momentum))
repeat(CASES, STEPS, write_data)
