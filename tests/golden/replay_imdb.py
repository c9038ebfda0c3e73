#!/usr/bin/python3
"""Repeats normlab's training of the IMDB network of ziaee2022 (lstm_bln), small and without dropout, in
PyTorch: reviews read and numbered here once more, the embedding updated as a whole by torch.optim.
100 steps, losses equal within 1e-6. Silence means pass; 77: not run.

    replay_imdb.py PATH/OF/normlab
"""
import collections
import os

from philox import below
from replays import recorded, repeat

import numpy as np
import torch
from torch import nn

STEPS, BATCH, WORDS, LENGTH, REVIEWS = 100, 20, 60, 12, 200
START, OOV, INDEX_FROM, SHUFFLE_SEED, STREAM_SPLIT = 1, 2, 3, 113, 6
WIDTHS = (16, 10, 7, 5)  # embedding, first LSTM, second, dense
OPTIMIZERS = {
    "adam:lr=1e-3": lambda p: torch.optim.Adam(p, lr=1e-3),
    "adam:lr=1e-3:decay=1e-3": lambda p: torch.optim.Adam(decaying(p, 1e-3), lr=1e-3),
    "adamw:lr=1e-3": lambda p: torch.optim.AdamW(decaying(p, 1e-2), lr=1e-3),
    "momentum:lr=0.01": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "rmsprop:lr=2e-4": lambda p: torch.optim.RMSprop(p, lr=2e-4)}


def decaying(parameters, decay):
    """Weights decay, gains and biases do not."""
    parameters = list(parameters)
    return [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0}]


def write_reviews(folder):
    """Reviews as in aclImdb, of words that are frequent or rare; praise has other words. Gives the
    training reviews as Keras numbers them, in normlab's order, and their labels."""
    random = np.random.default_rng(5)
    kept = []
    for part, praise in (("train", 0), ("train", 1), ("test", 0), ("test", 1)):
        path = f"{folder}/imdb/aclImdb/{part}/{('neg', 'pos')[praise]}"
        os.makedirs(path)
        for number in range(REVIEWS // 2):
            length = random.integers(3, 2 * LENGTH)
            words = [f"w{k + praise * 3 * (k % 2)}" for k in (90 ** random.random(length)).astype(int)]
            with open(f"{path}/{number}_{1 + 9 * praise}.txt", "w") as f:
                f.write(" ".join(words))
            if part == "train":
                kept.append(words)
    count = collections.Counter(word for words in kept for word in words)
    ranked = sorted(count, key=lambda word: (-count[word], word.encode()))
    number = {word: k + 1 + INDEX_FROM for k, word in enumerate(ranked)}
    tokens = torch.zeros(REVIEWS, LENGTH, dtype=torch.long)
    order = np.arange(REVIEWS)
    for i in range(REVIEWS - 1, 0, -1):
        j = int(below(SHUFFLE_SEED, STREAM_SPLIT, 0, i, i + 1))
        order[i], order[j] = order[j], order[i]
    for i, review in enumerate(order):
        words = [START] + [number[w] if number[w] < WORDS else OOV for w in kept[review]]
        words = words[-LENGTH:]
        tokens[i, LENGTH - len(words):] = torch.tensor(words)
    return tokens, torch.tensor(order >= REVIEWS // 2).double()


class BatchLayerNorm(nn.Module):
    """helpers/bln_layer.py of ziaee2022, in training."""

    def __init__(self, width):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        over_batch = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-3).sqrt()
        feature_var = x.var(-1, unbiased=False, keepdim=True)
        over_features = (x - x.mean(-1, keepdim=True)) / (feature_var + 1e-3).sqrt()
        z = over_features * (1 / BATCH - 1e-4) + over_batch * (1 - (1 / BATCH + 1e-4))
        return self.gamma * z / x.shape[-1] ** 0.5 + self.beta


class BatchNorm(nn.BatchNorm1d):
    """Over examples and steps."""

    def forward(self, x):
        return super().forward(x.flatten(0, -2)).view(x.shape)


NORMS = {"none": lambda width: nn.Identity(),
         "batch": lambda width: BatchNorm(width, eps=1e-3),
         "layer": lambda width: nn.LayerNorm(width, eps=1e-3),
         "batch_layer": BatchLayerNorm}


def dense(run, name):
    layer = nn.Linear(*recorded(run, f"{name}/w").shape)
    layer.weight.data = recorded(run, f"{name}/w").T.contiguous()
    layer.bias.data = recorded(run, f"{name}/b").flatten()
    return layer


def lstm(run, name):
    """normlab has one bias where PyTorch has two, of which the second learns nothing here."""
    inputs, units = recorded(run, f"{name}/wx").shape[0], recorded(run, f"{name}/wh").shape[0]
    layer = nn.LSTM(inputs, units, batch_first=True)
    layer.weight_ih_l0.data = recorded(run, f"{name}/wx").T.contiguous()
    layer.weight_hh_l0.data = recorded(run, f"{name}/wh").T.contiguous()
    layer.bias_ih_l0.data = recorded(run, f"{name}/b").flatten()
    layer.bias_hh_l0.data.zero_()
    layer.bias_hh_l0.requires_grad = False
    return layer


class Network(nn.Module):
    def __init__(self, run, norm):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(recorded(run, "emb/w"), freeze=False)
        self.first, self.second = lstm(run, "r1"), lstm(run, "r2")
        self.dense, self.out = dense(run, "d1"), dense(run, "out")
        self.norms = nn.ModuleList(NORMS[norm](width) for width in WIDTHS[1:])

    def forward(self, x):
        h = self.norms[0](self.first(self.table(x))[0])
        h = self.norms[1](self.second(h)[0][:, -1])
        return self.out(self.norms[2](torch.tanh(self.dense(h)))).flatten()


KEYS = (f"data=imdb:num_words={WORDS}:maxlen={LENGTH}:train=0:val=0 batch={BATCH} model=lstm_bln:"
        "embedding={}:units1={}:units2={}:units3={}:dropout=0:recurrent_dropout=0".format(*WIDTHS))
RUNS = [("none", optimizer) for optimizer in OPTIMIZERS] + [
    (norm, "adam:lr=1e-3") for norm in NORMS if norm != "none"]
CASES = [(f"{KEYS} norm={norm} optimizer={optimizer}",
          lambda run, norm=norm: Network(run, norm), OPTIMIZERS[optimizer])
         for norm, optimizer in RUNS]
# Probes move the parameters and bring them back, rows that wait among them.
CASES.append((f"{KEYS} norm=none optimizer=adam:lr=1e-3 probe=landscape:every=7,hessian:every=11",
              lambda run: Network(run, "none"), OPTIMIZERS["adam:lr=1e-3"]))
repeat(CASES, STEPS, write_reviews, torch.nn.functional.binary_cross_entropy_with_logits)
