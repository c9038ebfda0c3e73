#!/usr/bin/python3
"""PyTorch's counterpart of `normlab bench step`: one training step with the assembly of a random
batch from an array of examples, in every variant that might be the fastest on a CPU. Prints one JSON
object a variant (Debian: python3-torch).

    python3 bench/torch_step.py CASE THREADS [SECONDS]     (CASES are listed below)
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


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a position, channels in dimension 1."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class LeNet(nn.Module):
    """conv 5x5 6, tanh, pool, norm; conv 5x5 16, tanh, pool, norm; dense 120, 84 (ziaee2022)."""

    def __init__(self, image_norm, dense_norm):
        super().__init__()
        self.images = nn.Sequential(
            nn.Conv2d(3, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), image_norm(6),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), image_norm(16))
        self.dense = nn.Sequential(
            nn.Linear(576, 120), nn.Tanh(), dense_norm(120), nn.Linear(120, 84), nn.Tanh(),
            dense_norm(84), nn.Linear(84, 10))

    def forward(self, x):
        return self.dense(self.images(x).flatten(1))


class Block(nn.Module):
    def __init__(self, before, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - before

    def forward(self, x):
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        if self.stride > 1:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
        return torch.relu(x + y)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for out in (16, 32, 64):
        for k in range(3):
            layers.append(Block(before, out, 2 if k == 0 and out > 16 else 1))
            before = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Reviews(nn.Module):
    """The IMDB network of ziaee2022 with batch normalization. nn.LSTM has no dropout of its outputs on
    their way back: only that of the inputs, one mask a sequence, is here."""

    def __init__(self, sparse):
        super().__init__()
        self.table = nn.Embedding(WORDS, 512, sparse=sparse)
        self.first, self.second = (nn.LSTM(512, 128, batch_first=True),
                                   nn.LSTM(128, 64, batch_first=True))
        self.norm1, self.norm2, self.norm3 = (nn.BatchNorm1d(128), nn.BatchNorm1d(64),
                                              nn.BatchNorm1d(32))
        self.dense, self.out = nn.Linear(64, 32), nn.Linear(32, 1)

    def drop(self, x):
        return x * nn.functional.dropout(torch.ones(x.shape[0], 1, x.shape[2]), 0.2)

    def forward(self, x):
        h = self.first(self.drop(self.table(x)))[0]
        h = self.norm1(h.flatten(0, 1)).view(h.shape)
        h = self.norm2(self.second(self.drop(h))[0][:, -1])
        return self.out(self.norm3(torch.tanh(self.dense(h)))).flatten()


def adam(model, foreach):
    return [torch.optim.Adam(model.parameters(), foreach=foreach)]


def momentum(model, foreach):
    return [torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4,
                            foreach=foreach)]


def lazy_adam(model, foreach):
    """Rows that are not read stay where they are: another path than Adam's."""
    table = list(model.table.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("table")]
    return [torch.optim.SparseAdam(table), torch.optim.Adam(rest, foreach=foreach)]


IMAGE, REVIEW, WORDS = (3, 32, 32), (80,), 20000
CASES = {  # network, examples of a step, shape of an example, how many there are, optimizer
    "sigmoid": (lambda: perceptron([100, 100, 100], nn.Sigmoid, True), 60, (784,), 60000, adam),
    "relu": (lambda: perceptron([1000, 1000], nn.ReLU, False), 128, (784,), 60000, adam),
    "lstm": (lambda: Rows(100), 128, (784,), 60000, adam),
    "lstm_layer": (lambda: NormedRows(100), 128, (784,), 60000, adam),
    "lenet": (lambda: LeNet(nn.BatchNorm2d, nn.BatchNorm1d), 25, IMAGE, 9000, adam),
    "lenet_one": (lambda: LeNet(ChannelNorm, nn.LayerNorm), 1, IMAGE, 9000, adam),
    "resnet": (resnet20, 128, IMAGE, 9000, momentum),
    "imdb": (lambda: Reviews(False), 25, REVIEW, 4000, adam),
    "imdb_lazy": (lambda: Reviews(True), 25, REVIEW, 4000, lazy_adam),
}


def variant(case, compiled, foreach, innermost, seconds):
    network, batch, shape, count, optimizer_of = CASES[case]
    layout = torch.channels_last if innermost else torch.contiguous_format
    torch.manual_seed(1)
    examples = torch.rand(count, *shape).contiguous(memory_format=layout)
    labels = torch.randint(0, 10, (count,))
    loss_of = nn.CrossEntropyLoss()
    if shape == REVIEW:  # word k about as often as 1/k
        examples, labels = (WORDS ** examples).long(), labels.float() / 9
        loss_of = nn.BCEWithLogitsLoss()
    model = network().to(memory_format=layout)
    forward = torch.jit.script(model) if compiled else model
    optimizers = optimizer_of(model, foreach)
    order, at, times = torch.randperm(count), 0, []
    end = None
    warm, least = (20, 40) if batch * examples[0].numel() < 200000 else (3, 8)
    while end is None or time.perf_counter() < end or len(times) < least:
        start = time.perf_counter()
        pick = order[at:at + batch]
        x, y = torch.index_select(examples, 0, pick), torch.index_select(labels, 0, pick)
        if innermost:
            x = x.contiguous(memory_format=layout)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss_of(forward(x), y).backward()
        for optimizer in optimizers:
            optimizer.step()
        times.append(time.perf_counter() - start)
        at = (at + batch) % (count - batch)
        if end is None and len(times) == warm:  # warm, and compiled
            times, end = [], time.perf_counter() + seconds
    return times


def main():
    case, threads = sys.argv[1], int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    images = CASES[case][2] == IMAGE
    for compiled, foreach, innermost in itertools.product(*[(False, True)] * 3):
        if innermost and not images or compiled and images:
            continue
        times = variant(case, compiled, foreach, innermost, seconds)
        print(json.dumps({
            "name": case, "threads": threads, "compiled": compiled, "foreach": foreach,
            "channels_last": innermost, "median_ms": statistics.median(times) * 1e3,
            "min_ms": min(times) * 1e3}), flush=True)


main()
