#!/usr/bin/python3
"""PyTorch's counterpart of `normlab bench step`: one training step with the assembly of a random
batch from a 60000 x 784 array, in every variant that might be the fastest on a CPU. Prints one JSON
object a variant (Debian: python3-torch).

    python3 bench/torch_step.py sigmoid|relu|lstm|lstm_layer THREADS [SECONDS]
"""
import itertools
import json
import statistics
import sys
import time

import torch
from torch import nn

class Rows(nn.Module):
    """An LSTM over the 28 rows of an image, its last output to the logits."""

    def __init__(self, units):
        super().__init__()
        self.lstm = nn.LSTM(28, units, batch_first=True)
        self.out = nn.Linear(units, 10)

    def forward(self, x):
        return self.out(self.lstm(x.view(-1, 28, 28))[0][:, -1])


class NormedRows(nn.Module):
    """The same with layer normalization of both projections and of the cell state (Ba et al. 2016),
    which nn.LSTM does not have: a loop over the steps, the input projected for all of them."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.wx, self.wh = nn.Linear(28, 4 * units), nn.Linear(units, 4 * units, bias=False)
        self.norm_x, self.norm_h = nn.LayerNorm(4 * units), nn.LayerNorm(4 * units)
        self.norm_c, self.out = nn.LayerNorm(units), nn.Linear(units, 10)

    def forward(self, x):
        projected = self.norm_x(self.wx(x.view(-1, 28, 28)))
        h = torch.zeros(x.shape[0], self.units)
        c = torch.zeros(x.shape[0], self.units)
        for t in range(28):
            i, f, g, o = (projected[:, t] + self.norm_h(self.wh(h))).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(self.norm_c(c))
        return self.out(h)


def perceptron(widths, activation, normed):
    layers, before = [], 784
    for width in widths:
        layers.append(nn.Linear(before, width, bias=not normed))
        layers += [nn.BatchNorm1d(width)] if normed else []
        layers.append(activation())
        before = width
    return nn.Sequential(*layers, nn.Linear(before, 10))


CASES = {  # network, examples of a step
    "sigmoid": (lambda: perceptron([100, 100, 100], nn.Sigmoid, True), 60),
    "relu": (lambda: perceptron([1000, 1000], nn.ReLU, False), 128),
    "lstm": (lambda: Rows(100), 128),
    "lstm_layer": (lambda: NormedRows(100), 128),
}


def variant(case, compiled, foreach, seconds):
    network, batch = CASES[case]
    torch.manual_seed(1)
    examples = torch.rand(60000, 784)
    labels = torch.randint(0, 10, (60000,))
    model = network()
    forward = torch.jit.script(model) if compiled else model
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), foreach=foreach)
    order, at, times = torch.randperm(60000), 0, []
    end = None
    while end is None or time.perf_counter() < end or len(times) < 40:
        start = time.perf_counter()
        pick = order[at:at + batch]
        x, y = torch.index_select(examples, 0, pick), torch.index_select(labels, 0, pick)
        optimizer.zero_grad(set_to_none=True)
        loss_of(forward(x), y).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
        at = (at + batch) % (60000 - batch)
        if end is None and len(times) == 20:  # warm, and compiled
            times, end = [], time.perf_counter() + seconds
    return times


def main():
    case, threads = sys.argv[1], int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    for compiled, foreach in itertools.product((False, True), (False, True)):
        times = variant(case, compiled, foreach, seconds)
        print(json.dumps({
            "name": case, "threads": threads, "compiled": compiled, "foreach": foreach,
            "median_ms": statistics.median(times) * 1e3, "min_ms": min(times) * 1e3}), flush=True)


main()
