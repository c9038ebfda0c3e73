#!/usr/bin/python3
"""Writes norms.inc: what PyTorch in double, and the published formulas of bln.py and renorm.py, make
of a few steps of each normalization method.

    python3 tests/golden/norms.py > tests/golden/norms.inc        (Debian: python3-torch)

Inputs are not stored: both sides compute them by draw(). Arrays are (n, s, c), channels innermost.
"""
import itertools

import numpy as np
import torch

import bln
import renorm
from draws import draw

torch.set_default_dtype(torch.float64)


def x_of(step, shape):
    return (draw(step, int(np.prod(shape))) * (1 + step / 4) + step / 8).reshape(shape)


def dy_of(step, shape):
    return draw(100 + step, int(np.prod(shape))).reshape(shape)


def gamma_of(shape):
    return draw(200, int(np.prod(shape))).reshape(shape) / 4 + 1


def beta_of(shape):
    return draw(300, int(np.prod(shape))).reshape(shape) / 2


def hexes(t):
    return ", ".join(float(v).hex() for v in np.asarray(t.detach() if torch.is_tensor(t) else t).ravel())


cases = []


def case(name, spec, shape, steps, **arrays):
    """arrays: y, dx, dgamma, dbeta of the last step, eval of x_of(steps), and state by name."""
    cases.append((name, spec, shape, steps, arrays))


def channels_first(x, image):
    n, s, c = x.shape
    h, w = image or (s, 1)
    return x.permute(0, 2, 1).reshape(n, c, h, w) if s > 1 or image else x.reshape(n, c)


def channels_last(y, shape):
    n, s, c = shape
    return y.reshape(n, c, s).permute(0, 2, 1)


def run_torch(module, to, back, shape, steps, affine):
    """Trains a module of PyTorch; parameters are shaped (c) or (s, c)."""
    if affine:
        module.weight.data = gamma_of(module.weight.shape)
        module.bias.data = beta_of(module.bias.shape)
    for t in range(steps):
        module.zero_grad()
        x = x_of(t, shape).requires_grad_()
        y = back(module(to(x)), shape)
        y.backward(dy_of(t, shape))
    out = {"y": y, "dx": x.grad}
    if affine:
        out.update(dgamma=module.weight.grad, dbeta=module.bias.grad)
    module.eval()
    out["eval"] = back(module(to(x_of(steps, shape))), shape)
    return out


def batch_cases():
    for name, shape, image in (("batch_1d", (5, 1, 3), None), ("batch_2d", (4, 6, 3), (2, 3))):
        make = torch.nn.BatchNorm2d if image else torch.nn.BatchNorm1d
        for tag, spec, options in (
                ("", "batch", {}),
                ("_cumulative", "batch:eval=cumulative", {"momentum": None}),
                ("_plain", "batch:scale=false:center=false", {"affine": False}),
                ("_eps", "batch:eps=0.01:momentum=0.3", {"eps": 0.01, "momentum": 0.3})):
            steps = 3
            m = make(shape[2], **options)
            out = run_torch(m, lambda x: channels_first(x, image), channels_last, shape, steps,
                            options.get("affine", True))
            scale = steps if tag == "_cumulative" else 1  # sums are kept
            kind = "cum" if tag == "_cumulative" else "run"
            case(name + tag, spec, shape, steps, **out, state={
                kind + "_mean": m.running_mean * scale, kind + "_var": m.running_var * scale})


def keras_case():
    """Keras's BatchNormalization of matrices: biased variance, momentum .99 of the old value."""
    shape, steps, eps, keep = (5, 1, 3), 3, 1e-3, 0.99
    gamma, beta = gamma_of((3,)).requires_grad_(), beta_of((3,)).requires_grad_()
    moving_mean, moving_var = torch.zeros(3), torch.ones(3)
    for t in range(steps):
        gamma.grad = beta.grad = None
        x = x_of(t, shape).requires_grad_()
        mean = x.mean((0, 1))
        var = ((x - mean) ** 2).mean((0, 1))
        y = gamma * (x - mean) / (var + eps) ** 0.5 + beta
        y.backward(dy_of(t, shape))
        moving_mean = moving_mean * keep + mean.detach() * (1 - keep)
        moving_var = moving_var * keep + var.detach() * (1 - keep)
    evaluated = gamma * (x_of(steps, shape) - moving_mean) / (moving_var + eps) ** 0.5 + beta
    case("batch_keras", "batch:unbiased=false:keras_momentum=0.99:eps=1e-3", shape, steps, y=y,
         dx=x.grad, dgamma=gamma.grad, dbeta=beta.grad, eval=evaluated,
         state={"run_mean": moving_mean, "run_var": moving_var})


def example_cases():
    same = lambda x: x
    keep = lambda y, shape: y
    shape = (3, 4, 8)
    case("layer", "layer", shape, 1,
         **run_torch(torch.nn.LayerNorm(8), same, keep, shape, 1, True))
    case("layer_flat", "layer:eps=1e-3", (4, 1, 5), 1,
         **run_torch(torch.nn.LayerNorm(5, eps=1e-3), same, keep, (4, 1, 5), 1, True))
    case("layer_sc", "layer:area=sc:elementwise=true", shape, 1,
         **run_torch(torch.nn.LayerNorm((4, 8)), same, keep, shape, 1, True))
    image = lambda x: channels_first(x, (2, 2))
    for affine in (False, True):
        case("instance" + ("_affine" if affine else ""),
             "instance" + (":scale=true:center=true" if affine else ""), shape, 1,
             **run_torch(torch.nn.InstanceNorm2d(8, affine=affine), image, channels_last, shape, 1,
                         affine))
    for groups in (2, 4):
        case(f"group_{groups}", f"group:groups={groups}", shape, 1,
             **run_torch(torch.nn.GroupNorm(groups, 8), image, channels_last, shape, 1, True))
        case(f"group_{groups}_flat", f"group:groups={groups}", (5, 1, 8), 1,
             **run_torch(torch.nn.GroupNorm(groups, 8), lambda x: channels_first(x, None),
                         channels_last, (5, 1, 8), 1, True))


def weight_case():
    """V of (fan-in, outputs) is PyTorch's (outputs, fan-in) transposed; x is V, y is W, gamma is g."""
    shape = (6, 1, 4)
    m = torch.nn.utils.weight_norm(torch.nn.Linear(6, 4), dim=0)
    m.weight_v.data = x_of(0, shape).reshape(6, 4).T.contiguous()
    m.weight_g.data = gamma_of((4,)).reshape(4, 1)
    m(torch.ones(1, 6))  # computes weight
    m.weight.backward(dy_of(0, shape).reshape(6, 4).T)
    case("weight", "weight", shape, 1, y=m.weight.T, dx=m.weight_v.grad.T, dgamma=m.weight_g.grad)


def bln_cases():
    shape, steps = (4, 3, 5), 3
    gamma, beta = gamma_of((5,)).requires_grad_(), beta_of((5,)).requires_grad_()
    population = bln.Population()
    for t in range(steps):
        gamma.grad = beta.grad = None
        x = x_of(t, shape).requires_grad_()
        y = bln.train(x, shape[0], gamma, beta)
        y.backward(dy_of(t, shape))
        population.add(x.detach())
    names = ("epoch_mean", "epoch_var", "feature_epoch_mean", "feature_epoch_var")
    state = {k: v * steps for k, v in zip(names, population.values(shape[0]))}
    for letters in map("".join, itertools.product("TF", repeat=4)):
        out = {"eval": bln.evaluate(x_of(steps, shape), shape[0], gamma, beta, population, letters)}
        if letters == "TTFF":
            out.update(y=y, dx=x.grad, dgamma=gamma.grad, dbeta=beta.grad, state=state)
        case("bln_" + letters, "batch_layer:inference=" + letters, shape, steps, **out)


def renorm_case():
    """r_max goes from 1 to 1.5 and d_max from 0 to 0.4 over three steps: both clip, and do not."""
    shape, steps = (4, 2, 4), 5
    gamma, beta = gamma_of((4,)).requires_grad_(), beta_of((4,)).requires_grad_()
    layer = renorm.Renorm(4, 0.1, torch.zeros, torch.ones)
    clipped = free = 0
    for t in range(steps):
        gamma.grad = beta.grad = None
        x = x_of(t, shape).requires_grad_()
        share = min(t / 3, 1)
        r_max, d_max = 1 + 0.5 * share, 0.4 * share
        y, r, d = layer.train(x, gamma, beta, r_max, d_max)
        clipped += int((d.abs() == d_max).sum())
        free += int(((d.abs() < d_max) & (r < r_max) & (r > 1 / r_max)).sum())
        y.backward(dy_of(t, shape))
    assert clipped and free
    case("renorm", "batch_renorm:momentum=0.1:r_max=1@0..1.5@3:d_max=0@0..0.4@3", shape, steps, y=y,
         dx=x.grad, dgamma=gamma.grad, dbeta=beta.grad,
         eval=layer.evaluate(x_of(steps, shape), gamma, beta),
         state={"run_mean": layer.mu, "run_std": layer.sigma})


def write():
    print(f"/* Written by norms.py with PyTorch {torch.__version__.split('+')[0]}. */")
    for name, spec, shape, steps, arrays in cases:
        state = arrays.pop("state", {})
        for key, value in list(arrays.items()) + list(state.items()):
            print(f"static const double {name}_{key}[] = {{{hexes(value)}}};")
        if state:
            print(f"static const golden_state {name}_state[] = {{")
            for key, value in state.items():
                print(f'    {{"{key}", {name}_{key}, {value.numel()}}},')
            print("    {NULL, NULL, 0}};")
        arrays["state"] = state
    print("static const golden_norm golden_norms[] = {")
    for name, spec, shape, steps, arrays in cases:
        named = ["y", "dx", "dgamma", "dbeta", "eval"]
        fields = "".join(f", .{k} = {name}_{k}" for k in named if k in arrays)
        fields += f", .state = {name}_state" if arrays["state"] else ""
        n, s, c = shape
        print(f'    {{"{name}", "{spec}", {n}, {s}, {c}, {steps}{fields}}},')
    print("};")


batch_cases()
keras_case()
example_cases()
weight_case()
bln_cases()
renorm_case()
write()
