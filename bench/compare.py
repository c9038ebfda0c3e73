#!/usr/bin/python3
"""Runs normlab's benchmarks and PyTorch's in turn and prints the ratios. Each row is the better of
ROUNDS turns on either side, PyTorch's best variant; medians decide, minima stand beside them.

    python3 bench/compare.py [--normlab PATH] [--rounds N] [--only steps|kernels|conv|CASE]
                             [--threads 1|2] [--json]

Needs a PyTorch (Debian: python3-torch); README.md beside this says how to read it.
"""
import argparse
import itertools
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = {"sigmoid": ["data=mnist", "model=mlp:hidden=100x3:act=sigmoid", "norm=batch", "batch=60"],
        "relu": ["data=mnist", "model=mlp:hidden=1000x2:act=relu", "norm=none", "batch=128"],
        "lstm": ["data=mnist_rows", "model=lstm:hidden=100", "norm=none", "batch=128"],
        "lstm_layer": ["data=mnist_rows", "model=lstm:hidden=100", "norm=layer", "batch=128"],
        "lenet": ["data=cifar10", "model=lenet_bln", "norm=batch", "batch=25"],
        "lenet_one": ["data=cifar10", "model=lenet_bln", "norm=layer", "batch=1"],
        "resnet": ["data=cifar10", "model=resnet", "norm=batch", "batch=128",
                   "optimizer=momentum:lr=0.1:decay=1e-4"],
        "imdb": ["data=imdb", "model=lstm_bln", "norm=batch", "batch=25"]}
OURS["imdb_lazy"] = OURS["imdb"]  # theirs with torch.optim.SparseAdam, which is not Adam's path
STEPS = (("sigmoid", 1, 2.5), ("relu", 1, 1.2), ("relu", 2, 2.0), ("lstm", 2, 2.2),
         ("lstm_layer", 2, 5.0), ("lenet", 1, 3.5), ("lenet", 2, 5.0), ("lenet_one", 1, 6.0),
         ("resnet", 1, 1.7), ("resnet", 2, 1.7), ("imdb", 2, 2.5), ("imdb_lazy", 2, 0))  # case, threads, wanted ratio
KEPT_BYTES = "4000000000"
KERNEL_SHARE = {"128x1000": 0.5, "2000x512": 0.7, "131072x64": 0.7}


def rows(command, **environment):
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                         env={**os.environ, **environment}).stdout
    return [json.loads(line) for line in out.splitlines()]


def torch_rows(script, *arguments, threads, blas=None, keeps=False):
    """torch.set_num_threads does not reach OpenBLAS, which takes every core unless it is told. With
    `keeps`, malloc gives no memory back to the system, which a step then need not ask for again."""
    kept = {"MALLOC_TRIM_THRESHOLD_": KEPT_BYTES, "MALLOC_MMAP_THRESHOLD_": KEPT_BYTES}
    return rows([sys.executable, os.path.join(HERE, script), *arguments, str(threads)],
                OPENBLAS_NUM_THREADS=str(blas or threads), **(kept if keeps else {}))


def better(best, row):
    return row if best is None or row["median_ms"] < best["median_ms"] else best


def compare_step(args, case, threads, wanted):
    ours = None
    theirs = {False: None, True: None}
    for _ in range(args.rounds):
        keys = OURS[case]
        if not any(key.startswith("optimizer=") for key in keys):
            keys = keys + ["optimizer=adam"]
        for row in rows([args.normlab, "bench", "step", "--json", "steps=1000",
                         f"threads={threads}"] + keys):
            ours = better(ours, row)
        allowed = range(1, threads + 1)  # fewer may be its best, and OpenBLAS has its own threads
        for used, blas, keeps in itertools.product(allowed, allowed, (False, True)):
            for row in torch_rows("torch_step.py", case, threads=used, blas=blas, keeps=keeps):
                theirs[keeps] = better(theirs[keeps], row)
    installed, best = theirs[False], better(*theirs.values())
    return {"name": f"step {case}", "threads": threads, "normlab_ms": ours["median_ms"],
            "normlab_min_ms": ours["min_ms"], "torch_ms": best["median_ms"],
            "torch_min_ms": best["min_ms"], "ratio": best["median_ms"] / ours["median_ms"],
            "wanted": wanted, "installed_ratio": installed["median_ms"] / ours["median_ms"]}


def compare_kernels(args, threads):
    ours, theirs = {}, {}
    for _ in range(args.rounds):
        for row in rows([args.normlab, "bench", "kernels", "--json", f"threads={threads}"]):
            ours[row["name"]] = better(ours.get(row["name"]), row)
        for row in torch_rows("torch_kernels.py", threads=threads):
            theirs[row["name"]] = better(theirs.get(row["name"]), row)
    for name, mine in ours.items():
        other = theirs[name]
        yield {"name": name, "threads": threads, "normlab_ms": mine["median_ms"],
               "normlab_min_ms": mine["min_ms"], "torch_ms": other["median_ms"],
               "torch_min_ms": other["min_ms"], "ratio": other["median_ms"] / mine["median_ms"],
               "wanted": 1.0, "limit_share": mine["limit_share"],
               "wanted_share": KERNEL_SHARE[name.split()[-1]]}


def compare_conv(args, threads):
    theirs = {}
    for row in torch_rows("torch_conv.py", threads=threads):
        theirs[row["name"]] = better(theirs.get(row["name"]), row)
    for mine in rows([args.normlab, "bench", "conv", "--json", f"threads={threads}"]):
        other = theirs[mine["name"]]
        small = "3->" in mine["name"] or "6->16 /1 16" in mine["name"]
        yield {"name": mine["name"], "threads": threads, "normlab_ms": mine["median_ms"],
               "normlab_min_ms": mine["min_ms"], "torch_ms": other["median_ms"],
               "torch_min_ms": other["min_ms"], "ratio": other["median_ms"] / mine["median_ms"],
               "wanted": 1.0 if small else 0.0, "limit_share": mine["limit_share"],
               "wanted_share": 0.0 if small or "/2" in mine["name"] else 0.8}


def show(args, row):
    if args.json:
        print(json.dumps(row), flush=True)
        return
    more = f"{row['limit_share']:6.2f} of the limit (>= {row['wanted_share']})" \
        if "limit_share" in row else f"{row['installed_ratio']:6.2f} with malloc as it comes"
    print(f"{row['name']:42} {row['threads']:7d} {row['normlab_ms']:11.4f} {row['torch_ms']:11.4f} "
          f"{row['ratio']:6.2f} (>= {row['wanted']}) {more}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="normlab and PyTorch, turn and turn about")
    parser.add_argument("--normlab", default=os.path.join(HERE, "../build/release/normlab"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("steps", "kernels", "conv", *OURS))
    parser.add_argument("--threads", type=int, choices=(1, 2), help="these alone (default: both)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    counts = [args.threads] if args.threads else [1, 2]
    if not args.json:
        print(f"{'':42} {'threads':>7} {'normlab ms':>11} {'PyTorch ms':>11}  ratio")
    if args.only not in ("kernels", "conv"):
        for case, threads, wanted in STEPS:
            if args.only in (None, "steps", case) and threads in counts:
                show(args, compare_step(args, case, threads, wanted))
    if args.only in (None, "kernels"):
        for threads in counts:
            for row in compare_kernels(args, threads):
                show(args, row)
    if args.only in (None, "conv"):
        for threads in counts:
            for row in compare_conv(args, threads):
                show(args, row)


main()
