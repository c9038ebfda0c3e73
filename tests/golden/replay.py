#!/usr/bin/python3
"""Repeats normlab's trainings in PyTorch: 200 steps of a multilayer perceptron, losses equal within
1e-6. The data are random images, written as MNIST's files; rates are low enough that rounding does
not grow. Silence means pass; 77: not run.

    replay.py PATH/OF/normlab
"""
from replays import recorded, repeat, write_digits  # first: it says when PyTorch is missing

import torch
from torch import nn

STEPS, WIDTH, HIDDEN, CLASSES = 200, 784, (20, 20), 10
NORMS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
OPTIMIZERS = {"sgd:lr=0.05": lambda p: torch.optim.SGD(p, lr=0.05),
              "adam:lr=1e-3": lambda p: torch.optim.Adam(p, lr=1e-3)}


def write_data(folder):
    images, labels = write_digits(folder, 600, 60)
    return images.flatten(1), labels


def network(run, norm):
    layers, before = [], WIDTH
    for k, width in enumerate(HIDDEN, start=1):
        linear = nn.Linear(before, width)
        linear.weight.data = recorded(run, f"h{k}/w").T.contiguous()
        linear.bias.data = recorded(run, f"h{k}/b")
        layers += [linear] + ([NORMS[norm](width)] if NORMS[norm] else []) + [nn.Sigmoid()]
        before = width
    last = nn.Linear(before, CLASSES)
    last.weight.data = recorded(run, "out/w").T.contiguous()
    last.bias.data = recorded(run, "out/b")
    return nn.Sequential(*layers, last)


CASES = [(f"data=mnist:standardize=unit model=mlp:hidden={HIDDEN[0]}x{len(HIDDEN)}:act=sigmoid "
          f"norm={norm} optimizer={optimizer} batch=48",
          lambda run, norm=norm: network(run, norm), OPTIMIZERS[optimizer])
         for norm in NORMS for optimizer in OPTIMIZERS]
repeat(CASES, STEPS, write_data)
