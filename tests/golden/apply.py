#!/usr/bin/python3
"""`normlab apply` as other languages use it, through h5py. Silence means pass; 77: not run.

    apply.py PATH/OF/normlab formulas|pytorch
"""
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    if sys.argv[2] == "pytorch":
        import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = sys.argv[1]
random = np.random.default_rng(1)
failures = []


def run(spec, arrays, *options):
    """The arrays of the output file, or the message of the failure."""
    with h5py.File("in.h5", "w") as f:
        for name, value in arrays.items():
            f[name] = value
    done = subprocess.run([PROGRAM, "apply", spec, "--in", "in.h5", "--out", "out.h5", *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return done.stderr
    with h5py.File("out.h5") as f:
        return {name: value[()] for name, value in f.items()}


def same(what, got, wanted, bound):
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape:
        failures.append(f"{what}: shape {got.shape}, expected {wanted.shape}")
    elif np.abs(got - wanted).max() > bound * np.abs(wanted).max():
        failures.append(f"{what}: {got.ravel()[:4]}, expected {wanted.ravel()[:4]}")


def refused(text, spec, arrays, *options):
    message = run(spec, arrays, *options)
    if not isinstance(message, str) or message.count("\n") != 1 or text not in message:
        failures.append(f"{spec}: expected one line with '{text}', got {message}")


def refused_by_the_disk():
    """A file that may not grow: one line, and OUT is what it was."""
    run("batch", {"x": draw(4, 3)})
    with open("out.h5", "rb") as f:
        before = f.read()
    with h5py.File("in.h5", "w") as f:
        f["x"] = draw(20000, 30)
    done = subprocess.run(["sh", "-c", 'ulimit -f 100; exec "$0" apply batch --in in.h5 --out out.h5', PROGRAM],
                          stderr=subprocess.PIPE, text=True)
    with open("out.h5", "rb") as f:
        kept = f.read() == before
    if done.returncode != 1 or done.stderr.count("\n") != 1 or not kept or os.path.exists("out.h5.part"):
        failures.append(f"no room: status {done.returncode}, {done.stderr!r}, OUT kept: {kept}, {os.listdir()}")


def draw(*shape, kind=np.float64):
    return random.normal(1, 2, shape).astype(kind)


def formulas():
    for kind, bound in ((np.float64, 1e-12), (np.float32, 1e-5)):
        x, gamma, beta = draw(6, 4, kind=kind), draw(4, kind=kind), draw(4, kind=kind)
        mean, var = x.mean(0), x.var(0)
        z = (x - mean) / np.sqrt(var + 1e-5)
        out = run("batch", {"x": x, "gamma": gamma, "beta": beta})
        same("batch y", out["y"], gamma * z + beta, bound)
        same("batch run_mean", out["run_mean"], 0.1 * mean, bound)
        assert out["y"].dtype == kind
        state = {"run_mean": draw(4, kind=kind), "run_var": np.abs(draw(4, kind=kind))}
        out = run("batch", {"x": x, **state}, "--phase", "eval")
        same("batch eval", out["y"],
             (x - state["run_mean"]) / np.sqrt(state["run_var"] + 1e-5), bound)
        same("state stays", out["run_var"], state["run_var"], 0)
        mask = np.array([1, 1, 0, 1, 0, 1], dtype=bool)
        live = x[mask]
        out = run("batch", {"x": x, "mask": mask})
        wanted = np.zeros_like(x)
        wanted[mask] = (live - live.mean(0)) / np.sqrt(live.var(0) + 1e-5)
        same("masked batch", out["y"], wanted, bound)
    x = draw(2, 5, 3, 4)
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    same("nchw", run("batch", {"x": x}, "--layout", "nchw")["y"],
         (x - mean) / np.sqrt(var + 1e-5), 1e-12)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    same("nhwc", run("batch", {"x": x})["y"], (x - mean) / np.sqrt(var + 1e-5), 1e-12)
    x = draw(3, 2, 2, 2, 4)
    same("5-D rms", run("rms:eps=0", {"x": x})["y"],
         x / np.sqrt((x ** 2).mean(-1, keepdims=True)), 1e-12)

    x = draw(6, 4)
    refused("has no array 'x'", "batch", {"y": x})
    refused("x: wants 2 to 5 dimensions", "batch", {"x": draw(5)})
    refused("x: wants 2 to 5 dimensions", "batch", {"x": draw(1, 1, 1, 1, 2, 2)})
    refused("in.h5: x: wants float32 or float64, got whole numbers", "batch", {"x": np.arange(12).reshape(3, 4)})
    refused("x: is empty", "batch", {"x": np.zeros((0, 4))})
    refused("gamma: wants 4 values, got (5)", "batch", {"x": x, "gamma": draw(5)})
    refused("did you mean 'gamma'?", "batch", {"x": x, "gama": draw(4)})
    refused("mask: wants 6 flags", "batch", {"x": x, "mask": np.ones(5, dtype=np.int8)})
    refused("mask: wants whole numbers", "batch", {"x": x, "mask": np.ones(6)})
    refused("dy: wants x's shape (6, 4), got (4, 6)", "batch", {"x": x, "dy": x.T.copy()})
    refused("did you mean 'batch'?", "bacth", {"x": x})
    refused("--layout wants nchw or nhwc", "batch", {"x": x}, "--layout", "chwn")
    refused("--phase wants train or eval", "batch", {"x": x}, "--phase", "test")
    refused_by_the_disk()


def pytorch():
    torch.set_default_dtype(torch.float64)
    x, dy = draw(4, 6, 3, 2), draw(4, 6, 3, 2)
    cases = (("batch", torch.nn.BatchNorm2d(6)), ("group:groups=3", torch.nn.GroupNorm(3, 6)),
             ("instance:scale=true:center=true", torch.nn.InstanceNorm2d(6, affine=True)),
             ("layer:area=sc:elementwise=true", torch.nn.LayerNorm((6, 3, 2))))
    for spec, module in cases:
        shape = module.weight.shape
        module.weight.data, module.bias.data = torch.tensor(draw(*shape)), torch.tensor(draw(*shape))
        tx = torch.tensor(x, requires_grad=True)
        ty = module(tx)
        ty.backward(torch.tensor(dy))
        out = run(spec, {"x": x, "dy": dy, "gamma": module.weight.detach().numpy().reshape(6, -1),
                         "beta": module.bias.detach().numpy().reshape(6, -1)}, "--layout", "nchw")
        same(f"{spec} y", out["y"], ty.detach(), 1e-10)
        same(f"{spec} dx", out["dx"], tx.grad, 1e-10)
        same(f"{spec} d_gamma", out["d_gamma"].ravel(), module.weight.grad.ravel(), 1e-10)
        same(f"{spec} d_beta", out["d_beta"].ravel(), module.bias.grad.ravel(), 1e-10)
        if spec == "batch":
            same("run_mean", out["run_mean"], module.running_mean, 1e-10)
            same("run_var", out["run_var"], module.running_var, 1e-10)
    v, dw = draw(5, 4), draw(5, 4)
    linear = torch.nn.utils.weight_norm(torch.nn.Linear(5, 4))
    linear.weight_v.data = torch.tensor(v.T.copy())
    linear(torch.ones(1, 5))
    linear.weight.backward(torch.tensor(dw.T.copy()))
    out = run("weight", {"x": v, "dy": dw, "g": linear.weight_g.detach().numpy().ravel()})
    same("weight", out["y"], linear.weight.detach().T, 1e-10)
    same("d_g", out["d_g"], linear.weight_g.grad.ravel(), 1e-10)


with tempfile.TemporaryDirectory() as folder:
    PROGRAM = os.path.abspath(PROGRAM)
    os.chdir(folder)
    {"formulas": formulas, "pytorch": pytorch}[sys.argv[2]]()
    os.chdir("/")
for failure in failures:
    print(failure)
sys.exit(bool(failures))
