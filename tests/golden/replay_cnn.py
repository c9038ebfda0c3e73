#!/usr/bin/python3
"""Repeats normlab's trainings of networks on images in PyTorch: 100 steps of the LeNet of ziaee2022 and
of ResNet-20, losses equal within 1e-6. The data are random images, written as CIFAR-10's files.
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
COMMON = "data=cifar10:standardize=unit order=reshuffle threads=2 eval=100"


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
        w = self.value(f"{name}/w").reshape(kernel, kernel, before, out).permute(3, 2, 0, 1)
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


CASES = []
for norm in LENET_NORMS:  # with PyTorch's eps: the protocol's Keras-like one is not in PyTorch
    CASES.append((f"{COMMON} model=lenet_bln norm={norm} batch=25 optimizer=adam:lr=0.002",
                  lambda run, norm=norm: LeNet(run, norm),
                  lambda p: torch.optim.Adam(p, lr=2e-3)))
for shortcut, width, batch in (("a", 16, 8), ("b", 4, 20)):  # 16: by minimal filtering
    CASES.append((f"{COMMON} model=resnet:depth=20:width={width}:shortcut={shortcut} norm=batch "
                  f"batch={batch} optimizer=momentum:lr=0.01:momentum=0.9",
                  lambda run, shortcut=shortcut, width=width: ResNet(run, shortcut, width),
                  lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)))
repeat(CASES, STEPS, write_data)
