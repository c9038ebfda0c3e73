#!/usr/bin/python3
"""Repeats normlab's training of an LSTM and a GRU on the characters of a text in PyTorch: 100 steps in
parallel streams whose states go on from batch to batch, losses equal within 1e-6. Silence means pass;
77: not run.

    replay_text.py PATH/OF/normlab
"""
import os
import sys
import tempfile

from replays import CLOSE, answers, recurrent, train

import numpy as np
import torch
from torch import nn

STEPS, UNITS, LEN, BATCH = 100, 24, 7, 6
ALPHABET = "abcdefgh \n"


def write_text(folder):
    """Characters that mostly go on by one in the alphabet; gives those that are trained on."""
    random = np.random.default_rng(5)
    steps = np.where(random.random(2000) < 0.8, 1, random.integers(0, len(ALPHABET), 2000))
    text = "".join(ALPHABET[k % len(ALPHABET)] for k in np.cumsum(steps))
    os.makedirs(f"{folder}/text")
    with open(f"{folder}/text/t.txt", "w") as f:
        f.write(text)
    known = sorted(ALPHABET)
    return torch.tensor([known.index(c) for c in text[:1800]])


class Network(nn.Module):
    def __init__(self, run, cell):
        super().__init__()
        self.layer = recurrent(run, cell, len(ALPHABET), UNITS)
        self.last = answers(run, UNITS, len(ALPHABET))

    def forward(self, x, state):
        h, state = self.layer(nn.functional.one_hot(x, len(ALPHABET)).double(), state)
        return self.last(h), state


def first_rows(state, n):
    """The states of streams that are not over, without what they came from."""
    if isinstance(state, tuple):
        return tuple(first_rows(v, n) for v in state)
    return state[:, :n].detach().contiguous()


def losses_of(run, model, text):
    optimizer, losses, state = torch.optim.SGD(model.parameters(), lr=0.1), [], None
    windows = (len(text) - 1) // LEN
    for order in run["record/order"][()]:
        pick = torch.tensor(order[order >= 0])
        at = pick[:, None] * LEN + torch.arange(LEN)
        begins = pick[0] == 0
        logits, state = model(text[at], None if begins else first_rows(state, len(pick)))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), text[at + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert windows == 1 + max(run["record/order"][()].flatten())
    return np.array(losses)


def main():
    program, failures = os.path.abspath(sys.argv[1]), 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["NORMLAB_DATA"] = folder
        text = write_text(folder)
        for cell in ("lstm", "gru"):
            run = train(program, f"data=text:file=t.txt:len={LEN} model={cell}:hidden={UNITS} "
                                 f"norm=none batch={BATCH} optimizer=sgd:lr=0.1", STEPS, cell)
            ours, theirs = run["steps/loss"][()], losses_of(run, Network(run, cell), text)
            worst = np.abs(ours / theirs - 1).max() if len(ours) == STEPS else np.inf
            if not worst <= CLOSE:
                print(f"{cell}: losses differ by up to {worst:g}")
                failures += 1
        os.chdir("/")
    sys.exit(failures != 0)


main()
