#include "base/random.h"

#include <math.h>
#include <string.h>

#define ROUNDS 10

void nl_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * x[0], p1 = (uint64_t)0xCD9E8D57u * x[2];
        const uint32_t y1 = x[1], y3 = x[3];
        x[0] = (uint32_t)(p1 >> 32) ^ y1 ^ k0;
        x[1] = (uint32_t)p1;
        x[2] = (uint32_t)(p0 >> 32) ^ y3 ^ k1;
        x[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    memcpy(out, x, sizeof x);
}

/* The key is the seed; the counter is (index, epoch folded with the stream). The stream goes into
 * the top byte of the epoch's half after a 64-bit mix, so that no two streams share counters. */
static void block(nl_key key, uint64_t index, uint32_t out[4])
{
    uint64_t sub = key.epoch * 0x9E3779B97F4A7C15u;
    sub ^= sub >> 29;
    sub = (sub & 0x00FFFFFFFFFFFFFFu) | (uint64_t)key.stream << 56;
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)sub,
                                 (uint32_t)(sub >> 32)};
    const uint32_t words[2] = {(uint32_t)key.seed, (uint32_t)(key.seed >> 32)};
    nl_philox(counter, words, out);
}

uint32_t nl_random_u32(nl_key key, uint64_t index)
{
    uint32_t w[4];
    block(key, index, w);
    return w[0];
}

static double unit(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

double nl_random_uniform(nl_key key, uint64_t index)
{
    uint32_t w[4];
    block(key, index, w);
    return unit(w[0], w[1]);
}

double nl_random_normal(nl_key key, uint64_t index)
{
    uint32_t w[4];
    block(key, index, w);
    const double u = 1.0 - unit(w[0], w[1]), v = unit(w[2], w[3]);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

__extension__ typedef unsigned __int128 wide;

int64_t nl_random_below(nl_key key, uint64_t index, int64_t n)
{
    uint32_t w[4];
    block(key, index, w);
    const uint64_t word = (uint64_t)w[0] << 32 | w[1];
    return (int64_t)(((wide)word * (uint64_t)n) >> 64);
}

void nl_random_permutation(nl_key key, int64_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = nl_random_below(key, (uint64_t)i, i + 1);
        const int64_t keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
}

uint64_t nl_hash_bytes(uint64_t hash, const void *bytes, uint64_t count)
{
    const unsigned char *p = bytes;
    for (uint64_t i = 0; i < count; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

uint64_t nl_hash_text(const char *text) { return nl_hash_bytes(NL_HASH_START, text, strlen(text)); }
