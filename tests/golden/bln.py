"""Batch layer normalization (Ziaee & Cano 2022) as its published code computes it, in NumPy's terms on
torch tensors, so that autograd gives the gradients. Independent of the C code.

Arrays are (n, s, c). The batch part pools over n alone, the feature part over c alone. B is the
batch size the layer was built for. Population statistics are means over the steps of an epoch of
the batch's mean and of B / (B - 1) times its variance; the feature part's are kept by the example's
place in the batch.
"""
import math

EPS = 1e-3
TILT = 1e-4


def moments(x, axis):
    mean = x.mean(axis, keepdim=True)
    return mean, ((x - mean) ** 2).mean(axis, keepdim=True)


def combine(x, mean_b, var_b, mean_f, var_f, B, gamma, beta):
    x_b = (x - mean_b) / (var_b + EPS) ** 0.5
    x_f = (x - mean_f) / (var_f + EPS) ** 0.5
    numerator = x_f * (1 / B - TILT) + x_b * (1 - (1 / B + TILT))
    return gamma * numerator / math.sqrt(x.shape[2]) + beta


def train(x, B, gamma, beta):
    return combine(x, *moments(x, 0), *moments(x, 2), B, gamma, beta)


class Population:
    """Sums over an epoch."""

    def __init__(self):
        self.steps = 0
        self.sums = [0, 0, 0, 0]  # batch mean, batch variance, feature mean, feature variance

    def add(self, x):
        now = [*moments(x, 0), *moments(x, 2)]
        self.sums = [s + v for s, v in zip(self.sums, now)]
        self.steps += 1

    def values(self, B):
        factor = [1, B / (B - 1), 1, B / (B - 1)]
        return [s * f / self.steps for s, f in zip(self.sums, factor)]


def evaluate(x, B, gamma, beta, population, letters):
    """letters: T population or F current, of batch mean, batch variance, feature mean, variance."""
    current = [*moments(x, 0), *moments(x, 2)]
    stored = population.values(B)
    chosen = [stored[k] if letters[k] == "T" else current[k] for k in range(4)]
    return combine(x, *chosen, B, gamma, beta)
