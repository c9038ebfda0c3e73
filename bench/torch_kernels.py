#!/usr/bin/python3
"""PyTorch's counterpart of `normlab bench kernels`: forward and backward in training, the operators
themselves where PyTorch has one (batch, layer), composed ones for rms, which PyTorch 1.13 has not,
eager and compiled. Prints one JSON object a row, the best variant (Debian: python3-torch).

    python3 bench/torch_kernels.py THREADS [SAMPLES]
"""
import json
import statistics
import sys
import time

import torch

SHAPES = ((128, 1000), (2000, 512), (131072, 64))


def rms(x, gamma):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * gamma


def rms_back(x, dy, gamma):
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    z = x * r
    g = dy * gamma
    return r * (g - z * (g * z).mean(-1, keepdim=True)), (dy * z).sum(0)


class Batch:
    def __init__(self, x, dy):
        c = x.shape[1]
        self.run = torch.zeros(c), torch.ones(c)
        self.gamma, self.beta = torch.ones(c), torch.zeros(c)
        self.x, self.dy = x, dy

    def forwards(self):
        yield lambda: torch.native_batch_norm(self.x, self.gamma, self.beta, *self.run, True, 0.1,
                                              1e-5)

    def backwards(self):
        _, mean, r = next(self.forwards())()
        yield lambda: torch.ops.aten.native_batch_norm_backward(
            self.dy, self.x, self.gamma, *self.run, mean, r, True, 1e-5, [True, True, True])


class Layer(Batch):
    def forwards(self):
        yield lambda: torch.native_layer_norm(self.x, [self.x.shape[1]], self.gamma, self.beta, 1e-5)

    def backwards(self):
        _, mean, r = next(self.forwards())()
        yield lambda: torch.ops.aten.native_layer_norm_backward(
            self.dy, self.x, [self.x.shape[1]], mean, r, self.gamma, self.beta, [True, True, True])


class Rms(Batch):
    def forwards(self):
        for function in (rms, torch.jit.script(rms)):
            yield lambda: function(self.x, self.gamma)

    def backwards(self):
        for function in (rms_back, torch.jit.script(rms_back)):
            yield lambda: function(self.x, self.dy, self.gamma)


def measure(call, samples):
    times = []
    for _ in range(5):
        call()
    for _ in range(samples):
        calls, start = 0, time.perf_counter()
        while True:
            call()
            calls += 1
            now = time.perf_counter()
            if now - start > 2e-3:
                break
        times.append((now - start) / calls)
    return statistics.median(times) * 1e3, min(times) * 1e3


def main():
    threads = int(sys.argv[1])
    samples = int(sys.argv[2]) if len(sys.argv) > 2 else 21
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    for name, kind in (("batch", Batch), ("layer", Layer), ("rms", Rms)):
        for rows, channels in SHAPES:
            method = kind(torch.rand(rows, channels), torch.rand(rows, channels))
            for way, calls in (("forward", method.forwards), ("backward", method.backwards)):
                median, least = min(measure(call, samples) for call in calls())
                print(json.dumps({"name": f"{name} {way} {rows}x{channels}", "threads": threads,
                                  "median_ms": median, "min_ms": least}), flush=True)


main()
