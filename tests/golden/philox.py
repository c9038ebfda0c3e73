"""The counter-based random numbers of src/base/random.c for NumPy."""
import numpy as np


def block(seed, stream, epoch, index):
    """Four 32-bit words for every element of `index`; epoch may be an array of the same shape."""
    index, epoch = np.broadcast_arrays(np.uint64(index), np.asarray(epoch, np.uint64))
    with np.errstate(over="ignore"):
        sub = epoch * np.uint64(0x9E3779B97F4A7C15)
    sub = sub ^ sub >> np.uint64(29)
    sub = sub & np.uint64(2**56 - 1) | np.uint64(stream << 56)
    low, high = np.uint64(2**32 - 1), np.uint64(32)
    x = [index & low, index >> high, sub & low, sub >> high]
    k0, k1 = seed % 2**32, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [p1 >> high ^ x[1] ^ np.uint64(k0), p1 & low, p0 >> high ^ x[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return x


def below(seed, stream, epoch, index, n):
    """nl_random_below: whole numbers in [0, n)."""
    w = block(seed, stream, epoch, index)
    n = np.uint64(n)
    # (w0 2^32 + w1) n / 2^64 in two halves, exact while n < 2^32
    return ((w[0] * n + (w[1] * n >> np.uint64(32))) >> np.uint64(32)).astype(int)
