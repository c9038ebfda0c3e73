/* rows_inline.h: what the loops over rows have in common. Several rows go together: what is per
 * channel is loaded once for NL_ROWS_TOGETHER of them, and the sums of up to NL_LANES are added up
 * across their registers, so that a row's sum does not depend on its neighbours. For kernel sources
 * only. */
#ifndef NL_ROWS_INLINE_H
#define NL_ROWS_INLINE_H

#include "kernel/area_inline.h"
#include "kernel/rows.h"

/* ---- across registers */

/* Adds the lanes `half` apart: of a where bit `half` of the lane is clear, of b where it is set. */
NL_INLINE nl_vec add_crosswise(nl_vec a, nl_vec b, int half)
{
    const nl_lanes lane = nl_lane_numbers(), of_b = (lane & half) * (NL_LANES / half);
    return nl_vec_shuffle(a, b, lane + of_b) + nl_vec_shuffle(a, b, (lane ^ half) + of_b);
}

/* Registers that a sum across `count` rows reads. */
NL_INLINE int nl_added_together(int count)
{
    int together = 1;
    while (together < count)
        together *= 2;
    return together;
}

NL_INLINE nl_vec sum_across_few(nl_vec *v, int few)
{
#pragma GCC unroll 4
    for (int half = NL_LANES / 2; half >= few; half /= 2)
        for (int i = 0; i < few; i++)
            v[i] = add_crosswise(v[i], v[i], half);
#pragma GCC unroll 4
    for (int half = few / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] = add_crosswise(v[i], v[i + half], half);
    return v[0];
}

/* Lane i becomes the sum of v[i], i < count <= NL_LANES; the others of v are 0. Of one register all
 * lanes do. The lanes of a register are added in the same order whatever the count. */
NL_INLINE nl_vec nl_sum_across(nl_vec *v, int count)
{
    switch (nl_added_together(count)) {
    case 1: return sum_across_few(v, 1);
    case 2: return sum_across_few(v, 2);
    case 4: return sum_across_few(v, NL_LANES < 4 ? NL_LANES : 4);
    case 8: return sum_across_few(v, NL_LANES < 8 ? NL_LANES : 8);
    default: return sum_across_few(v, NL_LANES);
    }
}

/* ---- coefficients */

/* Coefficients of the rows in hand. */
typedef struct nl_row_coefficients {
    nl_vec center[NL_ROWS_TOGETHER], a[NL_ROWS_TOGETHER], d[NL_ROWS_TOGETHER];
} nl_row_coefficients;

NL_INLINE nl_row_coefficients nl_coefficients_of(const nl_real *center, const nl_real *a,
                                                 const nl_real *d, int64_t at, int rows)
{
    nl_row_coefficients q;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        q.center[r] = nl_vec_of(center[at + r]);
        q.a[r] = nl_vec_of(a[at + r]);
        q.d[r] = nl_vec_of(d[at + r]);
    }
    return q;
}

#endif
