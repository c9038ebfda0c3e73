#!/usr/bin/python3
"""Writes layers.inc: outputs and gradients of convolution and pooling layers and of a residual block
with batch normalization, in double, by PyTorch.

    python3 tests/golden/layers.py > tests/golden/layers.inc        (Debian: python3-torch)

Inputs and parameters are not stored: both sides compute them by draws.py. Images are stored
with channels innermost, weights as (kernel_h, kernel_w, in / groups, out).
"""
import torch
from torch.nn import functional as F

from draws import draw

torch.set_default_dtype(torch.float64)
N, H, W, C = 2, 6, 5, 4


def images(seed, *shape):
    """(n, h, w, c) as drawn, handed to PyTorch as (n, c, h, w)."""
    return draw(seed, *shape).permute(0, 3, 1, 2).contiguous()


def weights(seed, kh, kw, c, out):
    return draw(seed, kh, kw, c, out).permute(3, 2, 0, 1).contiguous() / 2


def back(image):
    return image.permute(0, 2, 3, 1).contiguous()


def keras_same(x, kernel, stride):
    """Padding of Keras's `same`: the odd zero at the bottom and right."""
    pads = []
    for size, k in ((x.shape[3], kernel[1]), (x.shape[2], kernel[0])):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def write(name, spec, arrays):
    for what, value in arrays.items():
        numbers = ", ".join(v.hex() for v in value.flatten().tolist())
        print(f"static const double {name}_{what}[] = {{{numbers}}};")
    fields = "".join(f", .{what} = {name}_{what}" for what in arrays)
    CASES.append(f'    {{"{name}", "{spec}"{fields}}}')


def gradients(y, inputs):
    dy = images(100, y.shape[0], y.shape[2], y.shape[3], y.shape[1])
    return torch.autograd.grad(y, inputs, dy)


def conv(name, out, kernel, stride, pad, groups, bias, act, spec):
    x = images(0, N, H, W, C).requires_grad_()
    w = weights(400, *kernel, C // groups, out).requires_grad_()
    b = (draw(600, out) / 4).requires_grad_() if bias else None
    padded = keras_same(x, kernel, stride) if pad == "same" else x
    y = F.conv2d(padded, w, b, stride, 0 if pad in ("same", "valid") else pad, 1, groups)
    y = {"linear": lambda v: v, "relu": torch.relu, "tanh": torch.tanh}[act](y)
    grads = gradients(y, [x, w] + ([b] if bias else []))
    arrays = {"y": back(y), "dx": back(grads[0]), "dw": grads[1].permute(2, 3, 1, 0)}
    if bias:
        arrays["db"] = grads[2]
    write(name, spec, arrays)


def pool(name, function, spec):
    x = images(0, N, H, W, C).requires_grad_()
    y = function(x)
    write(name, spec, {"y": back(y), "dx": back(gradients(y, [x])[0])})


def block():
    """y = relu(x + bn2(w2 * relu(bn1(w1 * x)))): both convolutions with zeros around, gamma, beta."""
    x = images(0, N, H, W, C).requires_grad_()
    w1, w2 = weights(400, 3, 3, C, C).requires_grad_(), weights(401, 3, 3, C, C).requires_grad_()
    gamma = [(draw(200 + k, C) / 4 + 1).requires_grad_() for k in range(2)]
    beta = [(draw(300 + k, C) / 2).requires_grad_() for k in range(2)]
    means = [torch.zeros(C), torch.zeros(C)]
    spreads = [torch.ones(C), torch.ones(C)]
    t = F.conv2d(x, w1, None, 1, 1)
    t = torch.relu(F.batch_norm(t, means[0], spreads[0], gamma[0], beta[0], True, 0.1, 1e-5))
    t = F.conv2d(t, w2, None, 1, 1)
    t = F.batch_norm(t, means[1], spreads[1], gamma[1], beta[1], True, 0.1, 1e-5)
    y = torch.relu(x + t)
    dx, dw, dw2, dgamma, dgamma2, dbeta, dbeta2 = gradients(y, [x, w1, w2, *gamma, *beta])
    write("block", "block", {
        "y": back(y), "dx": back(dx), "dw": dw.permute(2, 3, 1, 0), "dw2": dw2.permute(2, 3, 1, 0),
        "dgamma": dgamma, "dgamma2": dgamma2, "dbeta": dbeta, "dbeta2": dbeta2,
        "mean2": means[1], "var2": spreads[1]})


CASES = []
print(f"/* Written by layers.py with PyTorch {torch.__version__}. */")
conv("plain", 6, (3, 3), 1, 1, 1, True, "linear", "conv:out=6:pad=1")
conv("tiles", 6, (3, 3), 1, 1, 1, True, "linear", "conv:out=6:pad=1:algorithm=winograd")
conv("same", 5, (3, 3), 2, "same", 1, True, "relu", "conv:out=5:stride=2:pad=same:act=relu")
conv("same_even", 3, (2, 4), 1, "same", 1, False, "linear",
     "conv:out=3:kernel=2:kernel_w=4:pad=same:bias=off")
conv("valid", 7, (5, 5), 1, "valid", 1, True, "tanh", "conv:out=7:kernel=5:pad=valid:act=tanh")
conv("strided", 4, (3, 3), 3, 2, 1, False, "linear", "conv:out=4:stride=3:pad=2:bias=off")
conv("pointwise", 17, (1, 1), 2, "valid", 1, True, "linear",
     "conv:out=17:kernel=1:stride=2:pad=valid")
conv("grouped", 6, (3, 3), 1, 1, 2, True, "relu", "conv:out=6:pad=1:groups=2:act=relu")
conv("depthwise", 4, (3, 3), 2, 1, 4, True, "relu",
     "conv:out=4:pad=1:stride=2:depthwise=true:act=relu")
conv("multiplied", 8, (3, 3), 1, 1, 4, False, "linear",
     "conv:out=8:pad=1:depthwise=true:bias=off")
pool("average", lambda x: F.avg_pool2d(x, 2), "pool:kind=avg:size=2")
pool("average_padded", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
     "pool:kind=avg:size=3:stride=2:pad=1")
pool("maximum", lambda x: F.max_pool2d(x, 2), "pool:kind=max:size=2")
pool("maximum_overlapping", lambda x: F.max_pool2d(x, 3, 2, 1),
     "pool:kind=max:size=3:stride=2:pad=1")
pool("everything", lambda x: x.mean((2, 3), True), "pool:kind=global")
block()
print("static const golden_layer golden_layers[] = {")
print(",\n".join(CASES) + "};")
