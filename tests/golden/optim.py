#!/usr/bin/python3
"""Writes optim.inc: 20 steps of three parameters on fixed gradients, by PyTorch in double and, for
Keras's formulas, by NumPy.

    python3 tests/golden/optim.py > tests/golden/optim.inc        (Debian: python3-torch)
"""
import math

import numpy as np
import torch

STEPS = 20
START = [0.8, -1.3, 2.1]
SCALE = [1e-3, 1.0, 5.0]  # gradients below, at and above the size of the usual eps and clip
GRADIENT = [[SCALE[k] * (math.sin(1.7 * t + 2.3 * k) + 0.3) for k in range(3)] for t in range(STEPS)]


def torch_run(make, schedule=None, clip=None):
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = make([p])
    scheduler = schedule(optimizer) if schedule else None
    path = []
    for g in GRADIENT:
        p.grad = torch.tensor(g, dtype=torch.float64)
        if clip:
            clip([p])
        optimizer.step()
        if scheduler:
            scheduler.step()
        path.append(p.detach().tolist())
    return path


def keras_run(rule):
    p, state, path = np.array(START), {}, []
    for t, g in enumerate(GRADIENT):
        p = rule(p, np.array(g), state, t + 1)
        path.append(p.tolist())
    return path


def keras_momentum(nesterov):
    """keras/optimizers/sgd.py: the rate is inside the velocity."""

    def rule(p, g, s, t, lr=0.05, momentum=0.9):
        s["v"] = momentum * s.get("v", 0) - lr * g
        return p + (momentum * s["v"] - lr * g if nesterov else s["v"])

    return rule


def keras_rmsprop(p, g, s, t, lr=0.01, rho=0.9, eps=1e-3):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    return p - lr * g / np.sqrt(s["v"] + eps)


def keras_adam(p, g, s, t, lr=0.01, b1=0.9, b2=0.999, eps=1e-3):
    s["m"] = s.get("m", 0) + (g - s.get("m", 0)) * (1 - b1)
    s["v"] = s.get("v", 0) + (g**2 - s.get("v", 0)) * (1 - b2)
    return p - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * s["m"] / (np.sqrt(s["v"]) + eps)


O, S, U = torch.optim, torch.optim.lr_scheduler, torch.nn.utils
CASES = [
    ("sgd:lr=0.1", torch_run(lambda p: O.SGD(p, 0.1))),
    ("sgd:lr=0.1:momentum=0.9:dampening=0.3",
     torch_run(lambda p: O.SGD(p, 0.1, momentum=0.9, dampening=0.3))),
    ("momentum:lr=0.05", torch_run(lambda p: O.SGD(p, 0.05, momentum=0.9))),
    ("nesterov:lr=0.05", torch_run(lambda p: O.SGD(p, 0.05, momentum=0.9, nesterov=True))),
    ("momentum:lr=0.05", keras_run(keras_momentum(False))),
    ("nesterov:lr=0.05", keras_run(keras_momentum(True))),
    ("sgd:lr=0.1:decay=0.05", torch_run(lambda p: O.SGD(p, 0.1, weight_decay=0.05))),
    ("nesterov:lr=0.05:decay=0.05",
     torch_run(lambda p: O.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.05))),
    ("rmsprop:lr=0.01", torch_run(lambda p: O.RMSprop(p, 0.01))),
    ("rmsprop:lr=0.01:alpha=0.9:eps=0.01:momentum=0.8:decay=0.05",
     torch_run(lambda p: O.RMSprop(p, 0.01, 0.9, 0.01, momentum=0.8, weight_decay=0.05))),
    ("rmsprop:lr=0.01:centered=true:eps=0.01",
     torch_run(lambda p: O.RMSprop(p, 0.01, eps=0.01, centered=True))),
    ("rmsprop:lr=0.01:centered=true:eps=0.01:momentum=0.8",
     torch_run(lambda p: O.RMSprop(p, 0.01, eps=0.01, centered=True, momentum=0.8))),
    ("rmsprop:lr=0.01:alpha=0.9:eps=1e-3:eps_inside=true", keras_run(keras_rmsprop)),
    ("adam:lr=0.01", torch_run(lambda p: O.Adam(p, 0.01))),
    ("adam:lr=0.01:beta1=0.8:beta2=0.9:eps=1e-3:decay=0.05",
     torch_run(lambda p: O.Adam(p, 0.01, (0.8, 0.9), 1e-3, 0.05))),
    ("adam:lr=0.01:eps=1e-3:eps_mode=keras", keras_run(keras_adam)),
    ("adamw:lr=0.01", torch_run(lambda p: O.AdamW(p, 0.01))),
    ("adamw:lr=0.01:decay=0.3", torch_run(lambda p: O.AdamW(p, 0.01, weight_decay=0.3))),
    ("momentum:lr=0.05:clip=1.5",
     torch_run(lambda p: O.SGD(p, 0.05, momentum=0.9), clip=lambda p: U.clip_grad_norm_(p, 1.5))),
    ("sgd:lr=0.1:clip_value=0.4:decay=0.05",
     torch_run(lambda p: O.SGD(p, 0.1, weight_decay=0.05),
               clip=lambda p: U.clip_grad_value_(p, 0.4))),
    ("sgd:lr=0.1:schedule=step:milestones=5/12:gamma=0.3",
     torch_run(lambda p: O.SGD(p, 0.1), lambda o: S.MultiStepLR(o, [5, 12], 0.3))),
    ("adam:lr=0.01:schedule=cosine:min_lr=0.001",
     torch_run(lambda p: O.Adam(p, 0.01), lambda o: S.CosineAnnealingLR(o, STEPS, 0.001))),
    ("sgd:lr=0.1:schedule=linear",
     torch_run(lambda p: O.SGD(p, 0.1), lambda o: S.LambdaLR(o, lambda t: 1 - t / STEPS))),
    ("sgd:lr=0.1:warmup=4",
     torch_run(lambda p: O.SGD(p, 0.1), lambda o: S.LambdaLR(o, lambda t: min(1, (t + 1) / 4)))),
]


def rows(table):
    return "{" + ",\n     ".join("{" + ", ".join(f"{v:.17g}" for v in row) + "}" for row in table) + "}"


print(f"""/* Written by optim.py (PyTorch {torch.__version__.split("a")[0]}, NumPy {np.__version__}). */
enum {{ GOLDEN_STEPS = {STEPS}, GOLDEN_SIZE = {len(START)} }};
static const double golden_start[GOLDEN_SIZE] = {{{", ".join(map(str, START))}}};
static const double golden_gradient[GOLDEN_STEPS][GOLDEN_SIZE] =
    {rows(GRADIENT)};
static const struct {{
    const char *spec;
    double after[GOLDEN_STEPS][GOLDEN_SIZE];
}} golden[] = {{""")
for spec, path in CASES:
    print(f'    {{"{spec}",\n     {rows(path)}}},')
print("};")
