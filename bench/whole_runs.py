#!/usr/bin/env python3
"""What the channels of the run file cost whole runs: CPU time of `normlab train KEYS...` from start to end (set-up,
evaluation and the run file included) with the default log= beside log=none, in turn. The program's own time stands
beside all of it, since what a virtual machine's system takes for fresh memory depends on its host.

    python3 bench/whole_runs.py [--normlab build/release/normlab] [--runs 9] [--log CHANNELS] KEYS...
"""
import argparse
import os
import statistics
import subprocess
import tempfile


def cpu_seconds(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: failed")
    return usage.ru_utime, usage.ru_utime + usage.ru_stime


def train(normlab, keys):
    with tempfile.TemporaryDirectory() as folder:
        return cpu_seconds([normlab, "train", *keys, "threads=1", f"out={folder}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--normlab", default="build/release/normlab")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--log", help="channels, where not the default")
    parser.add_argument("keys", nargs="+")
    args = parser.parse_args()
    sides = [[*args.keys, "log=none"], args.keys + ([f"log={args.log}"] if args.log else [])]
    pairs = []
    for k in range(args.runs):  # first without, then first with: who comes second may find memory warm, or cold
        pair = [None, None]
        for which in (1, 0) if k % 2 else (0, 1):
            pair[which] = train(args.normlab, sides[which])
        pairs.append(pair)
    for what, which in ("program", 0), ("and system", 1):
        none, some = (statistics.median(run[which] for run in side) for side in zip(*pairs))
        shares = [100 * (b[which] / a[which] - 1) for a, b in pairs]
        print(f"{what:10}  log=none {none:.3f} s, logged {some:.3f} s; {100 * (some / none - 1):+.1f} % of medians, "
              f"pairs {min(shares):+.1f} to {max(shares):+.1f} %, median {statistics.median(shares):+.1f} %")


if __name__ == "__main__":
    main()
