#!/usr/bin/python3
"""Repeats normlab's trainings in PyTorch, in double, from the recorded initial parameters and order of
examples: 200 steps of a multilayer perceptron, losses equal within 1e-6. The data are random
images, written as MNIST's files; rates are low enough that rounding does not grow. Silence means pass; 77: not run.

    replay.py PATH/OF/normlab
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

STEPS, WIDTH, HIDDEN, CLASSES = 200, 784, (20, 20), 10
NORMS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
OPTIMIZERS = {"sgd:lr=0.05": lambda p: torch.optim.SGD(p, lr=0.05),
              "adam:lr=1e-3": lambda p: torch.optim.Adam(p, lr=1e-3)}
torch.set_default_dtype(torch.float64)


def write_idx(path, magic, array):
    with open(path, "wb") as f:
        f.write(struct.pack(f">{1 + array.ndim}i", magic, *array.shape))
        f.write(array.astype(np.uint8).tobytes())


def write_data(folder):
    """Images whose class shows in them; gives the training pixels and labels."""
    random = np.random.default_rng(3)
    os.makedirs(folder)
    for part, count in (("train", 600), ("t10k", 60)):
        label = random.integers(0, CLASSES, count)
        image = random.integers(0, 256, (count, 28, 28))
        image[random.random(image.shape) > 0.1] = 0
        image[np.arange(count), label * 2, 4:24] = 250
        write_idx(f"{folder}/{part}-images-idx3-ubyte", 2051, image)
        write_idx(f"{folder}/{part}-labels-idx1-ubyte", 2049, label)
        if part == "train":
            train = image.reshape(count, WIDTH) / 255, label
    return [torch.tensor(array) for array in train]


def train(program, norm, optimizer):
    out = f"out-{norm}-{optimizer.split(':')[0]}"
    hidden = f"{HIDDEN[0]}x{len(HIDDEN)}"
    subprocess.run([program, "train", "data=mnist:standardize=unit",
                    f"model=mlp:hidden={hidden}:act=sigmoid", f"norm={norm}",
                    f"optimizer={optimizer}", "batch=48", f"steps={STEPS}", "precision=double",
                    "record=init,order", f"out={out}"], check=True, stdout=subprocess.DEVNULL)
    return h5py.File(glob.glob(f"{out}/*/run.h5")[0])


def parameter(run, path):
    return torch.tensor(run["record/init/" + path][()])


def network(run, norm):
    layers, before = [], WIDTH
    for k, width in enumerate(HIDDEN, start=1):
        linear = nn.Linear(before, width)
        linear.weight.data = parameter(run, f"h{k}/w").T.contiguous()
        linear.bias.data = parameter(run, f"h{k}/b")
        layers += [linear] + ([NORMS[norm](width)] if NORMS[norm] else []) + [nn.Sigmoid()]
        before = width
    last = nn.Linear(before, CLASSES)
    last.weight.data = parameter(run, "out/w").T.contiguous()
    last.bias.data = parameter(run, "out/b")
    return nn.Sequential(*layers, last)


def replay(run, norm, optimizer, images, labels):
    model = network(run, norm)
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
        for norm in NORMS:
            for optimizer in OPTIMIZERS:
                run = train(program, norm, optimizer)
                ours, theirs = run["steps/loss"][()], replay(run, norm, optimizer, images, labels)
                worst = np.abs(ours / theirs - 1).max() if len(ours) == STEPS else np.inf
                if not worst <= 1e-6:
                    print(f"{norm}, {optimizer}: losses differ by up to {worst:g}")
                    failures += 1
        os.chdir("/")
    return failures != 0


sys.exit(main())
