"""Repeats normlab's trainings in PyTorch, in double, from the recorded initial parameters and order of
examples, and compares the loss of every step. What the replay_*.py share; importing it ends the
program with 77 where h5py or PyTorch is missing.
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
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

CLASSES, SIDE, CLOSE = 10, 28, 1e-6
torch.set_default_dtype(torch.float64)


def write_idx(path, magic, array):
    with open(path, "wb") as f:
        f.write(struct.pack(f">{1 + array.ndim}i", magic, *array.shape))
        f.write(array.astype(np.uint8).tobytes())


def write_digits(folder, train, test):
    """MNIST's files of random images whose class shows in them; gives the training images (count, 28,
    28) and labels."""
    random = np.random.default_rng(3)
    os.makedirs(f"{folder}/mnist")
    for part, count in (("train", train), ("t10k", test)):
        label = random.integers(0, CLASSES, count)
        image = random.integers(0, 256, (count, SIDE, SIDE))
        image[random.random(image.shape) > 0.1] = 0
        image[np.arange(count), label * 2, 4:24] = 250
        write_idx(f"{folder}/mnist/{part}-images-idx3-ubyte", 2051, image)
        write_idx(f"{folder}/mnist/{part}-labels-idx1-ubyte", 2049, label)
        if part == "train":
            kept = image / 255, label
    return [torch.tensor(array) for array in kept]


def recorded(run, path):
    return torch.tensor(run["record/init/" + path][()])


def recurrent(run, kind, inputs, units):
    """PyTorch's layer of that kind with the weights recorded of r1. normlab has one bias where it has
    two, of the second only what acts on the gru's candidate, and the gru's gates as z r n, not r z n."""
    kinds = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    layer = kinds[kind](inputs, units, batch_first=True)
    learns = torch.zeros_like(layer.bias_hh_l0)

    def weights(name):
        v = recorded(run, "r1/" + name)
        return torch.cat([v.chunk(3, -1)[k] for k in (1, 0, 2)], -1) if kind == "gru" else v

    layer.weight_ih_l0.data = weights("wx").T.contiguous()
    layer.weight_hh_l0.data = weights("wh").T.contiguous()
    layer.bias_ih_l0.data = weights("b").flatten()
    layer.bias_hh_l0.data.zero_()
    if kind == "gru":
        layer.bias_hh_l0.data[2 * units:] = recorded(run, "r1/bh").flatten()
        learns[2 * units:] = 1
    layer.bias_hh_l0.register_hook(lambda g: g * learns)
    return layer


def answers(run, units, classes):
    layer = torch.nn.Linear(units, classes)
    layer.weight.data = recorded(run, "out/w").T.contiguous()
    layer.bias.data = recorded(run, "out/b").flatten()
    return layer


def train(program, keys, steps, out):
    subprocess.run([program, "train", *keys.split(), f"steps={steps}", "precision=double",
                    "record=init,order", f"out={out}"], check=True, stdout=subprocess.DEVNULL)
    return h5py.File(glob.glob(f"{out}/*/run.h5")[0])


def losses_of(run, model, optimizer, images, labels, loss_of):
    step, losses = optimizer(model.parameters()), []
    for order in run["record/order"][()]:
        pick = torch.tensor(order[order >= 0])
        loss = loss_of(model(images[pick]), labels[pick])
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(loss.item())
    return np.array(losses)


def repeat(cases, steps, write_data, loss_of=torch.nn.functional.cross_entropy):
    """cases: keys of a run, the network made from its file, the optimizer of its parameters.
    write_data(folder) gives images and labels. Ends the program: 0, or 1 with a line a failure."""
    program, failures = os.path.abspath(sys.argv[1]), 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["NORMLAB_DATA"] = folder
        images, labels = write_data(folder)
        for number, (keys, network, optimizer) in enumerate(cases):
            run = train(program, keys, steps, f"out{number}")
            ours = run["steps/loss"][()]
            theirs = losses_of(run, network(run), optimizer, images, labels, loss_of)
            worst = np.abs(ours / theirs - 1).max() if len(ours) == steps else np.inf
            if not worst <= CLOSE:
                print(f"{keys}: losses differ by up to {worst:g}")
                failures += 1
        os.chdir("/")
    sys.exit(failures != 0)
