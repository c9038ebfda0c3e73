#!/usr/bin/python3
"""Repeats normlab's trainings of recurrent networks in PyTorch, in double, from the recorded initial
parameters and order of examples: 100 steps over the rows of images, losses equal within 1e-6.
Rates are low enough that rounding does not grow. Silence means pass; 77: not run.

    replay_rnn.py PATH/OF/normlab
"""
import glob
import os
import struct
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import torch
    from torch import nn
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

STEPS, SIDE, UNITS, CLASSES = 100, 28, 20, 10
OPTIMIZERS = {"sgd:lr=0.02": lambda p: torch.optim.SGD(p, lr=0.02),
              "adam:lr=2e-4": lambda p: torch.optim.Adam(p, lr=2e-4)}
RUNS = [("lstm", "none"), ("lstm", "layer"), ("gru", "none"), ("rnn", "none")]
torch.set_default_dtype(torch.float64)


def write_idx(path, magic, array):
    with open(path, "wb") as f:
        f.write(struct.pack(f">{1 + array.ndim}i", magic, *array.shape))
        f.write(array.astype(np.uint8).tobytes())


def write_data(folder):
    """Images whose class shows in them; gives the training images and labels."""
    random = np.random.default_rng(3)
    os.makedirs(folder)
    for part, count in (("train", 400), ("t10k", 40)):
        label = random.integers(0, CLASSES, count)
        image = random.integers(0, 256, (count, SIDE, SIDE))
        image[random.random(image.shape) > 0.1] = 0
        image[np.arange(count), label * 2, 4:24] = 250
        write_idx(f"{folder}/{part}-images-idx3-ubyte", 2051, image)
        write_idx(f"{folder}/{part}-labels-idx1-ubyte", 2049, label)
        if part == "train":
            train = image / 255, label
    return [torch.tensor(array) for array in train]


def train(program, cell, norm, optimizer):
    out = f"out-{cell}-{norm}-{optimizer.split(':')[0]}"
    subprocess.run([program, "train", "data=mnist_rows:standardize=unit",
                    f"model={cell}:hidden={UNITS}", f"norm={norm}", f"optimizer={optimizer}",
                    "batch=48", f"steps={STEPS}", "precision=double", "record=init,order",
                    f"out={out}"], check=True, stdout=subprocess.DEVNULL)
    return h5py.File(glob.glob(f"{out}/*/run.h5")[0])


def recorded(run, path):
    return torch.tensor(run["record/init/" + path][()])


def swap(v):
    """The gru's gates r z n of PyTorch from z r n."""
    z, r, n = v.chunk(3, -1)
    return torch.cat([r, z, n], -1)


class Plain(nn.Module):
    """PyTorch's own layer. normlab has one bias where it has two: of the second, only what acts on the
    gru's candidate learns."""

    def __init__(self, run, cell):
        super().__init__()
        kinds = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        order = swap if cell == "gru" else lambda v: v
        self.layer = layer = kinds[cell](SIDE, UNITS, batch_first=True)
        learns = torch.zeros_like(layer.bias_hh_l0)
        layer.weight_ih_l0.data = order(recorded(run, "r1/wx")).T.contiguous()
        layer.weight_hh_l0.data = order(recorded(run, "r1/wh")).T.contiguous()
        layer.bias_ih_l0.data = order(recorded(run, "r1/b").flatten())
        layer.bias_hh_l0.data.zero_()
        if cell == "gru":
            layer.bias_hh_l0.data[2 * UNITS:] = recorded(run, "r1/bh").flatten()
            learns[2 * UNITS:] = 1
        layer.bias_hh_l0.register_hook(lambda g: g * learns)

    def forward(self, x):
        return self.layer(x)[0][:, -1]


class NormedLSTM(nn.Module):
    """Ba et al. 2016, eq. 20-22, with the bias behind the norms."""

    def __init__(self, run):
        super().__init__()
        self.wx = nn.Parameter(recorded(run, "r1/wx"))
        self.wh = nn.Parameter(recorded(run, "r1/wh"))
        self.b = nn.Parameter(recorded(run, "r1/b").flatten())
        self.x, self.h, self.c = (nn.LayerNorm(k * UNITS) for k in (4, 4, 1))

    def forward(self, x):
        h = torch.zeros(len(x), UNITS)
        c = torch.zeros(len(x), UNITS)
        for t in range(SIDE):
            a = self.x(x[:, t] @ self.wx) + self.h(h @ self.wh) + self.b
            i, f, g, o = a.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * self.c(c).tanh()
        return h


def replay(run, cell, norm, optimizer, images, labels):
    last = nn.Linear(UNITS, CLASSES)
    last.weight.data = recorded(run, "out/w").T.contiguous()
    last.bias.data = recorded(run, "out/b").flatten()
    model = nn.Sequential(Plain(run, cell) if norm == "none" else NormedLSTM(run), last)
    step = OPTIMIZERS[optimizer](model.parameters())
    losses = []
    for order in run["record/order"][()]:
        pick = torch.tensor(order[order >= 0])
        loss = nn.functional.cross_entropy(model(images[pick]), labels[pick])
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(loss.item())
    return np.array(losses)


def main():
    program, failures = os.path.abspath(sys.argv[1]), 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["NORMLAB_DATA"] = folder
        images, labels = write_data("mnist")
        for cell, norm in RUNS:
            for optimizer in OPTIMIZERS:
                run = train(program, cell, norm, optimizer)
                ours = run["steps/loss"][()]
                theirs = replay(run, cell, norm, optimizer, images, labels)
                worst = np.abs(ours / theirs - 1).max() if len(ours) == STEPS else np.inf
                if not worst <= 1e-6:
                    print(f"{cell}, {norm}, {optimizer}: losses differ by up to {worst:g}")
                    failures += 1
        os.chdir("/")
    return failures != 0


sys.exit(main())
