#include "kernel/summary.h"

#include <math.h>
#include <string.h>

/* Quarters of powers of two are the first bits: exponent and two bits of the mantissa. */
#ifdef NL_F64
typedef int64_t bits;
enum { MANTISSA = 52, BIAS = 1023 };
#else
typedef int32_t bits;
enum { MANTISSA = 23, BIAS = 127 };
#endif
enum { PART_BITS = 2 };

/* In which quarter |v| lies, counted from the power `least`; below 0: nearer to 0. */
static inline int level_of(nl_real v, int least)
{
    const nl_real size = (nl_real)fabs((double)v);
    bits is;
    memcpy(&is, &size, sizeof is);
    return (int)(is >> (MANTISSA - PART_BITS)) - ((BIAS + least) << PART_BITS);
}

static void count(const nl_real *v, int64_t count, int least, int levels, int64_t *bin,
                  int64_t *nan)
{
    for (int64_t i = 0; i < count; i++) {
        const int level = level_of(v[i], least), held = level < levels ? level : levels - 1;
        if (v[i] != v[i])
            (*nan)++;
        else if (level < 0)
            bin[levels]++;
        else
            bin[v[i] < 0 ? levels - 1 - held : levels + 1 + held]++;
    }
}

const nl_summary_kernels NL_VARIANT(nl_summary_kernel) = {.count = count};
