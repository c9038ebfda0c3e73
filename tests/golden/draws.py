"""Numbers that a script and a C test compute alike, so that inputs need not be stored."""
import torch


def draw(seed, *shape):
    """Numbers in [-2, 2), exact in double, that tests/draws.h draws alike."""
    count = 1
    for extent in shape:
        count *= extent
    out = []
    for i in range(1, count + 1):
        h = (i * 2654435761 + seed * 97531) % 2**32
        for _ in range(2):
            h = (h ^ h >> 16) * 73244475 % 2**32
        out.append((h ^ h >> 16) / 2**30 - 2)
    return torch.tensor(out).reshape(shape)
