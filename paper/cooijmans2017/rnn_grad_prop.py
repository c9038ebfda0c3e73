#!/usr/bin/python3
"""The figure "RNN gradient propagation" of Cooijmans et al. 2017, measured beside published: log10 of the
mean over the batch of ||dL/dh_t||, for ten initial values of gamma. Exit status 1 when the claim fails.

    paper/cooijmans2017/rnn_grad_prop.py [--normlab PATH] [--out DIR] [--torch]

Needs MNIST (`NORMLAB_DATA`) and h5py. With --torch it repeats two runs without noise in PyTorch, from
their recorded initial weights, and says how far apart the curves are.
"""
import argparse
import csv
import glob
import gzip
import os
import subprocess
import sys

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = os.path.join(HERE, "rnn_grad_prop.yaml")
EPS = 1e-5


def published():
    with open(os.path.join(HERE, "rnn_grad_prop.csv")) as f:
        rows = list(csv.DictReader(f))
    times = [int(name[1:]) for name in rows[0] if name != "gamma"]
    return times, {float(r["gamma"]): [float(r[f"t{t}"] or "nan") for t in times] for r in rows}


def gamma_of(run):
    spec = run.attrs["spec"]
    spec = spec.decode() if isinstance(spec, bytes) else spec
    return float(spec.split("gamma.init=")[1].split(":")[0].split("\n")[0])


def measured(args):
    subprocess.run([args.normlab, "compare", RUNS, f"out={args.out}", "--no-report"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    norms = {}
    for path in sorted(glob.glob(f"{args.out}/*/run.h5")):
        with h5py.File(path) as run:
            norms.setdefault(gamma_of(run), []).append(run["layers/r1/gradient_norm"][0])
    return {gamma: np.log10(np.array(curves)) for gamma, curves in norms.items()}


def show(times, theirs, ours):
    print("log10 of the mean norm of dL/dh_t; published (one run), and the range of "
          f"{len(ours[1.0])} seeds\n")
    print("gamma            " + "".join(f"{f't={t}':>9}" for t in times))
    for gamma, curve in theirs.items():
        low, high = ours[gamma].min(0)[times], ours[gamma].max(0)[times]
        for name, row in (("published", curve), ("lowest", low), ("highest", high)):
            cells = ("" if np.isnan(v) else f"{v:.2f}" for v in row)
            print(f"{gamma if name == 'published' else '':<5} {name:<10} "
                  + "".join(f"{cell:>9}" for cell in cells))


def claim_holds(ours):
    """Nearly flat for gamma 0.1, below 1e-15 at the first steps for gamma 1."""
    flat = max(np.ptp(curve) for curve in ours[0.1])
    first = max(curve[0] for curve in ours[1.0])
    print(f"\ngamma 0.1: over 784 steps the norm stays within a factor of {10 ** flat:.1f} (want < 30)")
    print(f"gamma 1: at the first step it is at most 1e{first:.0f} (want < 1e-15)")
    return flat < np.log10(30) and first < -15


# ---- the same in PyTorch


def images(order):
    folder = os.path.join(os.environ["NORMLAB_DATA"], "mnist")
    read = []
    for name, skip in (("images-idx3", 16), ("labels-idx1", 8)):
        path = f"{folder}/train-{name}-ubyte"
        with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz")) as f:
            read.append(np.frombuffer(f.read(), np.uint8, offset=skip))
    return read[0].reshape(-1, 784)[order] / 255.0, read[1][order].astype(np.int64)


def torch_norms(run, gamma):
    import torch
    torch.set_default_dtype(torch.float64)
    weights = run["record/init"]
    wx, wh, w = (torch.tensor(weights[name][()]) for name in ("r1/wx", "r1/wh", "out/w"))
    x, label = map(torch.tensor, images(run["record/order"][0]))
    h, states = torch.zeros(len(x), len(wh)), []
    for t in range(784):
        a = x[:, t:t + 1] @ wx + h @ wh
        h = torch.tanh(gamma * (a - a.mean(0)) / (a.var(0, unbiased=False) + EPS).sqrt())
        h.retain_grad() if h.requires_grad else h.requires_grad_()
        states.append(h)
    torch.nn.functional.cross_entropy(h @ w, label).backward()
    return np.array([s.grad.norm(dim=1).mean().item() for s in states])


def compare_with_torch(args):
    for gamma in (0.1, 1.0):
        out = f"{args.out}/torch-{gamma}"
        subprocess.run([args.normlab, "train", RUNS, "model=rnn:hidden=100:recurrent_init=identity",
                        f"norm=batch:gamma.init={gamma}", "seed=1", f"out={out}",
                        "record=init,order"], check=True, stdout=subprocess.DEVNULL)
        with h5py.File(glob.glob(f"{out}/*/run.h5")[0]) as run:
            ours, theirs = run["layers/r1/gradient_norm"][0], torch_norms(run, gamma)
        print(f"PyTorch, gamma {gamma}, no noise: largest relative difference "
              f"{np.max(np.abs(ours / theirs - 1)):.1e}")


def main():
    parser = argparse.ArgumentParser(description="gradients through 784 steps")
    parser.add_argument("--normlab", default=os.path.join(HERE, "../../build/release/normlab"))
    parser.add_argument("--out", default="runs/cooijmans2017")
    parser.add_argument("--torch", action="store_true")
    args = parser.parse_args()
    times, theirs = published()
    ours = measured(args)
    show(times, theirs, ours)
    holds = claim_holds(ours)
    if args.torch:
        compare_with_torch(args)
    return 0 if holds else 1


sys.exit(main())
