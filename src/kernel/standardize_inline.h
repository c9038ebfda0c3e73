/* standardize_inline.h: coefficients of rows that are standardized, from their moments. For kernel
 * sources only. */
#ifndef NL_STANDARDIZE_INLINE_H
#define NL_STANDARDIZE_INLINE_H

#include "kernel/row_moments_inline.h"

NL_INLINE nl_vec nl_nan_if_infinite(nl_vec v) { return v + (v - v); }

/* r = 1 / sqrt(var + eps) */
NL_INLINE nl_vec nl_per_root(nl_vec var, double eps) { return nl_vec_per_root(var + (nl_real)eps); }

/* z = a (x - center) + d, of rows in lanes. */
typedef struct nl_row_standard {
    nl_vec var, center, a, d;
} nl_row_standard;

/* mean = shift + off exactly is center - rounding (Knuth 1998, sec. 4.2.2), so
 * z = r (x - mean) = a (x - center) + d with a = r, d = r rounding. */
NL_INLINE nl_row_standard nl_standard_of(nl_part_moments m, int64_t c, double eps)
{
    const nl_vec center = m.shift + m.off, off = center - m.shift;
    const nl_vec rounding = (off - m.off) - (m.shift - (center - off));
    const nl_vec var = m.m2 * (1 / (nl_real)c), a = nl_per_root(var, eps);
    return (nl_row_standard){nl_nan_if_infinite(var), center, a, a * rounding};
}

#endif
