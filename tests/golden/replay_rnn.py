#!/usr/bin/python3
"""Repeats normlab's trainings of recurrent networks in PyTorch: 100 steps over the rows of images,
losses equal within 1e-6. Rates are low enough that rounding does not grow. Silence means pass; 77:
not run.

    replay_rnn.py PATH/OF/normlab
"""
from replays import CLASSES, SIDE, answers, recorded, recurrent, repeat, write_digits

import torch
from torch import nn

STEPS, UNITS = 100, 20
OPTIMIZERS = {"sgd:lr=0.02": lambda p: torch.optim.SGD(p, lr=0.02),
              "adam:lr=2e-4": lambda p: torch.optim.Adam(p, lr=2e-4)}
RUNS = [("lstm", "none"), ("lstm", "layer"), ("gru", "none"), ("rnn", "none")]


class Plain(nn.Module):
    """PyTorch's own layer."""

    def __init__(self, run, cell):
        super().__init__()
        self.layer = recurrent(run, cell, SIDE, UNITS)

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


def network(run, cell, norm):
    cells = Plain(run, cell) if norm == "none" else NormedLSTM(run)
    return nn.Sequential(cells, answers(run, UNITS, CLASSES))


CASES = [(f"data=mnist_rows:standardize=unit model={cell}:hidden={UNITS} norm={norm} "
          f"optimizer={optimizer} batch=48",
          lambda run, cell=cell, norm=norm: network(run, cell, norm), OPTIMIZERS[optimizer])
         for cell, norm in RUNS for optimizer in OPTIMIZERS]
repeat(CASES, STEPS, lambda folder: write_digits(folder, 400, 40))
