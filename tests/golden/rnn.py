#!/usr/bin/python3
"""Writes rnn.inc: outputs and gradients of recurrent layers in double. Without norms they are
PyTorch's nn.RNN, nn.LSTM and nn.GRU (sequences of unequal length packed, backwards as the second
half of a bidirectional layer); with norms, and where a GRU resets before the product, a loop over the
steps written down from the papers' equations, with autograd.

    python3 tests/golden/rnn.py > tests/golden/rnn.inc        (Debian: python3-torch)

Inputs and parameters are not stored: both sides compute them by draw().
"""
import torch
from torch import nn

from draws import draw

torch.set_default_dtype(torch.float64)
N, T, IN, UNITS = 5, 4, 3, 4
RAGGED = [4, 2, 3, 1, 4]
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}
RECURRENT = GATES | {"gru_before": 2}  # of them in wh
EPS = 1e-5


def parameters(cell, initial):
    g = GATES[cell] * UNITS
    p = {"wx": draw(400, IN, g) / 2, "wh": draw(500, UNITS, RECURRENT[cell] * UNITS) / 2}
    if cell == "gru_before":
        p["wh_n"] = draw(501, UNITS, UNITS) / 2
    p["b"] = draw(600, g) / 4
    if cell == "gru":
        p["bh"] = draw(700, UNITS) / 4
    if initial:
        p["h0"] = draw(800, UNITS) / 2
        if cell == "lstm":
            p["c0"] = draw(900, UNITS) / 2
    return {name: value.requires_grad_() for name, value in p.items()}


def live_of(lengths):
    return torch.tensor([[t < length for t in range(T)] for length in lengths])


# ---- PyTorch's own layers


def swap(v):
    """The gru's gates r z n of PyTorch from z r n, and back."""
    z, r, n = v.chunk(3, -1)
    return torch.cat([r, z, n], -1)


def torch_weights(cell, p):
    order = swap if cell == "gru" else lambda v: v
    hidden_bias = torch.zeros(GATES[cell] * UNITS)
    if cell == "gru":
        hidden_bias = torch.cat([torch.zeros(2 * UNITS), p["bh"]])
    return [order(p["wx"]).T, order(p["wh"]).T, order(p["b"]), hidden_bias]


def torch_layer(cell, act, p, x, lengths, backwards):
    """The output, and a function that fetches the parameters' gradients."""
    kinds = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    options = {"nonlinearity": act} if cell == "rnn" else {}
    layer = kinds[cell](IN, UNITS, batch_first=True, bidirectional=True, **options)
    end = "_l0_reverse" if backwards else "_l0"
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    own = [getattr(layer, name + end) for name in names]
    for mine, ours in zip(own, torch_weights(cell, p)):
        mine.data = ours.detach().contiguous()
    first = [p[k].expand(2, N, UNITS) if k in p else torch.zeros(2, N, UNITS) for k in ("h0", "c0")]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, _ = layer(packed, tuple(first) if cell == "lstm" else first[0])
    y, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)

    def fetch():
        order = swap if cell == "gru" else lambda v: v
        p["wx"].grad, p["wh"].grad = order(own[0].grad.T), order(own[1].grad.T)
        p["b"].grad = order(own[2].grad)
        if cell == "gru":
            p["bh"].grad = own[3].grad[2 * UNITS:]
    return (y[:, :, UNITS:] if backwards else y[:, :, :UNITS]), fetch


# ---- cells with norms, from the papers


class Norm:
    def __init__(self, kind, k, channels):
        self.kind = kind
        self.gamma = (draw(200 + k, channels) / 4 + 1).requires_grad_()
        self.beta = (draw(300 + k, channels) / 2).requires_grad_()

    def __call__(self, x, live):
        if self.kind is None:
            return x
        over = 1 if self.kind == "layer" else 0
        values = x if self.kind == "layer" else x[live]
        mean = values.mean(over, keepdim=True)
        var = ((values - mean) ** 2).mean(over, keepdim=True)
        return self.gamma * (x - mean) / (var + EPS).sqrt() + self.beta


def one_step(cell, act, p, norms, x, h, c, live, carry):
    if cell == "gru_before":
        return reset_before(p, norms, x, h, live), c
    a = norms[0](x @ p["wx"], live)
    b = norms[1](h @ p["wh"], live)
    if cell == "rnn":
        return getattr(torch, act)(norms[2](a + b + p["b"], live)), c
    if cell == "lstm":
        i, f, g, o = (a + b + p["b"]).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        normed = norms[2](c, live)
        return o.sigmoid() * normed.tanh(), normed if carry == "normalized" else c
    az, ar, an = (a + p["b"]).chunk(3, -1)
    bz, br, bn = b.chunk(3, -1)
    z, r = (az + bz).sigmoid(), (ar + br).sigmoid()
    n = norms[2](an + r * (bn + p["bh"]), live).tanh()
    return (1 - z) * n + z * h, c


def reset_before(p, norms, x, h, live):
    """Cho et al. 2014, eq. 5-8."""
    xz, xr, xn = (norms[0](x @ p["wx"], live) + p["b"]).chunk(3, -1)
    hz, hr = norms[1](h @ p["wh"], live).chunk(2, -1)
    z, r = (xz + hz).sigmoid(), (xr + hr).sigmoid()
    n = norms[2](xn + norms[3]((r * h) @ p["wh_n"], live), live).tanh()
    return (1 - z) * n + z * h


def loop(cell, act, p, norms, x, lengths, carry):
    live = live_of(lengths)
    h = p["h0"].expand(N, UNITS) if "h0" in p else torch.zeros(N, UNITS)
    c = p["c0"].expand(N, UNITS) if "c0" in p else torch.zeros(N, UNITS)
    out, states = [], []
    for t in range(T):
        on = live[:, t]
        h_new, c_new = one_step(cell, act, p, norms, x[:, t], h, c, on, carry)
        h = torch.where(on[:, None], h_new, h)
        c = torch.where(on[:, None], c_new, c)
        h.retain_grad()
        states.append(h)
        out.append(h * on[:, None])
    fetch = lambda: torch.stack([h.grad[on].norm(dim=1).mean() for h, on in zip(states, live.T)])
    return torch.stack(out, 1), fetch


# ---- cases

cases = []


def case(name, cell, lengths, *, act="tanh", kind=None, slots="", carry="raw", initial=False,
         backwards=False):
    p = parameters(cell, initial)
    x = draw(0, N, T, IN).requires_grad_()
    widths = [GATES[cell] * UNITS, RECURRENT[cell] * UNITS, UNITS, UNITS]
    places = ["x", "h", "c"] + (["h_n"] if cell == "gru_before" else [])
    norms = [Norm(kind if s[0] in slots else None, k, widths[k]) for k, s in enumerate(places)]
    looped = kind or cell == "gru_before"
    if looped:
        y, lengths_of_dh = loop(cell, act, p, norms, x, lengths, carry)
    else:
        y, fetch = torch_layer(cell, act, p, x, lengths, backwards)
    y.backward(draw(100, N, T, UNITS))
    if not looped:
        fetch()
    out = {"y": y, "dx": x.grad} | {f"d{k}": v.grad for k, v in p.items()}
    if looped:
        out["dh"] = lengths_of_dh()
    for norm, slot in zip(norms, places):
        if norm.kind:
            out[f"dgamma_{slot}"], out[f"dbeta_{slot}"] = norm.gamma.grad, norm.beta.grad
    spec = f"{cell}:units={UNITS}:sequences=true"
    spec += f":act={act}" if cell == "rnn" else ""
    spec += ":carry=normalized" if carry == "normalized" else ""
    spec += ":learn_initial=true" if initial else ""
    spec += ":reverse=true" if backwards else ""
    cases.append((name, spec, lengths, kind, slots, out))


def all_cases():
    full = [T] * N
    for cell in GATES:
        case(cell, cell, full)
        case(f"{cell}_ragged", cell, RAGGED, initial=True)
        if cell != "gru_before":
            case(f"{cell}_backwards", cell, RAGGED, backwards=True)
        case(f"{cell}_layer", cell, full, kind="layer", slots="xhc")
        case(f"{cell}_layer_ragged", cell, RAGGED, kind="layer", slots="xhc", initial=True)
        case(f"{cell}_batch", cell, full, kind="batch", slots="xhc", initial=True)
        case(f"{cell}_batch_x", cell, full, kind="batch", slots="x")
        case(f"{cell}_batch_ragged", cell, [4, 3, 4, 2, 4], kind="batch", slots="hc", initial=True)
    case("relu", "rnn", RAGGED, act="relu")
    case("lstm_carried", "lstm", RAGGED, kind="layer", slots="xhc", carry="normalized")


def hexes(t):
    return ", ".join(float(v).hex() for v in t.detach().reshape(-1))


def write():
    print(f"/* Written by rnn.py with PyTorch {torch.__version__.split('+')[0]}. */")
    for name, *_, out in cases:
        for key, value in out.items():
            print(f"static const double {name}_{key}[] = {{{hexes(value)}}};")
    print("static const golden_rnn golden_rnns[] = {")
    for name, spec, lengths, kind, slots, out in cases:
        fields = "".join(f", .{key} = {name}_{key}" for key in out)
        norms = ", ".join(f'"{kind}"' if s in slots else "NULL" for s in "xhc")
        lengths = ", ".join(str(length) for length in lengths)
        print(f'    {{"{name}", "{spec}", {{{lengths}}}, {{{norms}}}{fields}}},')
    print("};")


all_cases()
write()
