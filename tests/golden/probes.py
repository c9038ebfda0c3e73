#!/usr/bin/python3
"""Holds the probes to their definitions: a small network is trained by normlab with every probe at
every step, the same steps are made in PyTorch in double, and what each probe says is computed there
from its definition: gradients by automatic differentiation, the Hessian as a whole, its eigenvalues
by NumPy. Silence means pass; 77: not run.

    probes.py PATH/OF/normlab
"""
from replays import CLASSES, recorded, train, write_idx  # first: it says when PyTorch is missing

import os
import sys
import tempfile

import numpy as np
import torch
from torch import nn
from torch.nn.utils.stateless import functional_call

STEPS, BATCH, RATE, SIDE, WIDTHS = 3, 16, 0.5, 28, (2, 3)
FACTORS = 0.5 * 8 ** (np.arange(4) / 3)
PROBES = ("ics:every=1,hessian:every=1:tolerance=1e-10:iterations=5000:radius=1e-6,"
          "landscape:every=1:points=4,noise:every=1,growth:every=1,rank:every=1,gap:every=1")
LAYERS = ("h1", "h2", "out")
CLOSE = 1e-6


def write_images(folder):
    random = np.random.default_rng(5)
    os.makedirs(f"{folder}/mnist")
    for part in ("train", "t10k"):
        label = random.integers(0, CLASSES, 64)
        image = random.integers(0, 256, (64, SIDE, SIDE))
        write_idx(f"{folder}/mnist/{part}-images-idx3-ubyte", 2051, image)
        write_idx(f"{folder}/mnist/{part}-labels-idx1-ubyte", 2049, label)
        if part == "train":
            kept = torch.tensor(image / 255).flatten(1), torch.tensor(label)
    return kept


class Network(nn.Module):
    """Parameters are named by normlab's layers; forward keeps what slots and layers saw."""

    def __init__(self, run, norm):
        super().__init__()
        before = SIDE * SIDE
        for name, width in zip(LAYERS, (*WIDTHS, CLASSES)):
            linear = nn.Linear(before, width)
            linear.weight.data = recorded(run, f"{name}/w").T.contiguous()
            linear.bias.data = recorded(run, f"{name}/b")
            here = {"linear": linear}
            if norm == "batch" and name != "out":
                here["norm"] = nn.BatchNorm1d(width)
            setattr(self, name, nn.ModuleDict(here))
            before = width

    def forward(self, x):
        self.pre, self.post, self.output = {}, {}, {}
        for name in LAYERS:
            layer = getattr(self, name)
            self.pre[name] = layer["linear"](x)
            self.post[name] = layer["norm"](self.pre[name]) if "norm" in layer else self.pre[name]
            x = self.post[name] if name == "out" else torch.tanh(self.post[name])
            x.retain_grad() if x.requires_grad else None
            self.output[name] = x
        return x


def loss_at(net, w, batch):
    return nn.functional.cross_entropy(functional_call(net, w, (batch[0],)), batch[1])


def gradient_at(net, w, batch):
    w = {name: v.detach().requires_grad_() for name, v in w.items()}
    loss = loss_at(net, w, batch)
    return loss.item(), dict(zip(w, torch.autograd.grad(loss, tuple(w.values()))))


def flat(v):
    return torch.cat([v[name].flatten() for name in v])


def along(w, g, eta):
    return {name: w[name] - eta * g[name] for name in w}


def largest_eigenvalue(net, w, batch):
    sizes = [v.numel() for v in w.values()]

    def loss(vector):
        parts = torch.split(vector, sizes)
        return loss_at(net, {n: p.view(v.shape) for (n, v), p in zip(w.items(), parts)}, batch)

    return np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat(w)).numpy())[-1]


def shifts(net, before, after, batch):
    """Distance and cosine of each layer's own gradient, the layers before it updated."""
    _, old = gradient_at(net, before, batch)
    for k, name in enumerate(LAYERS):
        mixed = {n: (after if n.split(".")[0] in LAYERS[:k] else before)[n] for n in before}
        _, new = gradient_at(net, mixed, batch)
        own = [n for n in before if n.startswith(f"{name}.linear")]
        a, b = (torch.cat([g[n].flatten() for n in own]) for g in (old, new))
        yield f"ics/{name}/distance", (a - b).norm()
        yield f"ics/{name}/cosine", a @ b / (a.norm() * b.norm())


def spans(net, batch):
    net(batch[0])
    for name in LAYERS:
        for side, values in (("pre", net.pre[name]), ("post", net.post[name])):
            h = values.detach().numpy()
            m = h @ h.T
            yield f"rank/{name}/preact/{side}/rank", np.trace(m) ** 2 / (m ** 2).sum()
            yield (f"rank/{name}/preact/{side}/gap",
                   np.linalg.norm(m / np.trace(m) - np.eye(len(m)) / len(m)))


def expected(net, before, after, batch, coming):
    """Everything the probes say of one step, by path below /probes."""
    _, g = gradient_at(net, before, batch)
    length = flat(g).norm()
    walk = [gradient_at(net, along(before, g, RATE * s), batch) for s in FACTORS]
    change = [(flat(g) - flat(there)).norm() for _, there in walk]
    yield "landscape/loss", [loss for loss, _ in walk]
    yield "landscape/gradient_distance", change
    yield "landscape/smoothness", max(c / (RATE * s * length) for c, s in zip(change, FACTORS))
    yield "hessian/eigenvalue", largest_eigenvalue(net, before, batch)
    yield from shifts(net, before, after, batch)

    half = BATCH // 2
    parts = [flat(gradient_at(net, before, (batch[0][i], batch[1][i]))[1]).norm() ** 2
             for i in (slice(0, half), slice(half, BATCH))]
    small = sum(parts) / 2
    signal = (BATCH * length ** 2 - half * small) / (BATCH - half)
    noise = (small - length ** 2) / (1 / half - 1 / BATCH)
    following = flat(gradient_at(net, after, coming)[1])
    yield "noise/norm", length
    yield "noise/signal", signal
    yield "noise/noise", noise
    yield "noise/noise_scale", noise / signal
    yield "noise/cosine", flat(g) @ following / (length * following.norm())

    w = {name: v.detach().requires_grad_() for name, v in before.items()}
    loss_at(net, w, batch).backward()
    sizes = [net.output[name].grad.norm() for name in LAYERS]
    for name, size in zip(LAYERS, sizes):
        yield f"growth/{name}", size
    yield "growth/rate", (sizes[0] / sizes[1]) ** 2
    with torch.no_grad():
        for name, v in net.named_parameters():
            v.copy_(before[name])
    yield from spans(net, batch)


def check(run, net, images, labels, keys):
    order = run["record/order"][()]
    batches = [(images[i], labels[i]) for i in map(torch.tensor, order)]
    w, failures = {name: v.detach().clone() for name, v in net.named_parameters()}, 0
    for step in range(STEPS - 1):  # the batch after the last is not on record
        _, g = gradient_at(net, w, batches[step])
        after = along(w, g, RATE)
        for path, value in expected(net, w, after, batches[step], batches[step + 1]):
            seen = run["probes/" + path][step]
            wanted = np.array([float(v) for v in value] if isinstance(value, list) else float(value))
            if not np.all(np.abs(seen - wanted) <= CLOSE * (1 + np.abs(wanted))):
                print(f"{keys}: /probes/{path} at step {step + 1} is {seen}, wanted {wanted}")
                failures += 1
        w = after
    return failures


program, failures = os.path.abspath(sys.argv[1]), 0
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    os.environ["NORMLAB_DATA"] = folder
    images, labels = write_images(folder)
    for norm in ("none", "batch"):
        keys = (f"data=mnist:standardize=unit model=mlp:hidden={WIDTHS[0]}/{WIDTHS[1]}:act=tanh "
                f"norm={norm} optimizer=sgd:lr={RATE} batch={BATCH} probe={PROBES}")
        run = train(program, keys, STEPS, f"out-{norm}")
        failures += check(run, Network(run, norm), images, labels, keys)
    os.chdir("/")
sys.exit(failures != 0)
