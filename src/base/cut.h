/* cut.h: counts cut into blocks and pieces. Arguments are not negative, divisors positive. */
#ifndef NL_CUT_H
#define NL_CUT_H

#include <stdint.h>

static inline int64_t nl_least(int64_t a, int64_t b) { return a < b ? a : b; }

/* a / b, rounded up. */
static inline int64_t nl_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Where piece i of `pieces` near-equal ones of `count` begins. */
static inline int64_t nl_edge(int64_t count, int64_t pieces, int64_t i)
{
    return count * i / pieces;
}

#endif
