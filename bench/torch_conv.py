#!/usr/bin/python3
"""PyTorch's counterpart of `normlab bench conv` (oneDNN, on images with channels innermost and with
channels outermost): one JSON object a convolution, way and layout.

    python3 bench/torch_conv.py THREADS
"""
import json
import statistics
import sys
import time

import torch

CASES = (  # images, side, in, out, kernel, stride, pad
    (128, 32, 16, 16, 3, 1, 1), (128, 16, 32, 32, 3, 1, 1), (128, 8, 64, 64, 3, 1, 1),
    (128, 32, 16, 32, 3, 2, 1), (128, 16, 32, 64, 3, 2, 1), (128, 32, 3, 16, 3, 1, 1),
    (25, 32, 3, 6, 5, 1, 2), (25, 16, 6, 16, 5, 1, 0))
WAYS = {"forward": None, "data": [True, False, False], "weight": [False, True, False]}


def run(way, x, w, dy, stride, pad):
    if way == "forward":
        return torch.nn.functional.conv2d(x, w, stride=stride, padding=pad)
    return torch.ops.aten.convolution_backward(
        dy, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, WAYS[way])


def main():
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    for n, side, before, out, kernel, stride, pad in CASES:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(n, before, side, side).contiguous(memory_format=layout)
            w = torch.randn(out, before, kernel, kernel).contiguous(memory_format=layout)
            dy = torch.randn_like(run("forward", x, w, None, stride, pad))
            for way in WAYS:
                times = []
                for _ in range(18):
                    start = time.perf_counter()
                    run(way, x, w, dy, stride, pad)
                    times.append(time.perf_counter() - start)
                print(json.dumps({
                    "name": f"conv {way} {kernel}x{kernel} {before}->{out} /{stride} {side}x{side}"
                            f" n={n}",
                    "threads": threads, "channels_last": layout == torch.channels_last,
                    "median_ms": statistics.median(times[3:]) * 1e3,
                    "min_ms": min(times) * 1e3}), flush=True)


main()
