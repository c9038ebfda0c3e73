/* draws.h: numbers that tests/golden/draws.py draws alike; golden files need not hold them. */
#ifndef NL_TEST_DRAWS_H
#define NL_TEST_DRAWS_H

#include <stdint.h>

#include "base/real.h"

/* Value i of a seed, in [-2, 2) and exact in double. */
static inline double draw(uint64_t seed, int64_t i)
{
    uint64_t h = ((uint64_t)(i + 1) * 2654435761u + seed * 97531) & 0xffffffffu;
    for (int k = 0; k < 2; k++)
        h = (h ^ h >> 16) * 73244475 & 0xffffffffu;
    return (double)(h ^ h >> 16) / (1 << 30) - 2;
}

static inline void draw_all(nl_real *to, int64_t count, uint64_t seed, double per, double plus)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (nl_real)(draw(seed, i) / per + plus);
}

#endif
