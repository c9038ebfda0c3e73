/* side_by_side.h: results of few channels, of which a register holds one of NL_LANES pixels, are
 * stored pixel by pixel. For kernel sources only. */
#ifndef NL_SIDE_BY_SIDE_H
#define NL_SIDE_BY_SIDE_H

#include "kernel/conv.h"
#include "kernel/vec.h"

/* Lane l is lane at[l] of part[which[l]]. */
NL_INLINE nl_vec nl_collected(const nl_vec *part, int parts, nl_lanes which, nl_lanes at)
{
    nl_vec v = nl_vec_shuffle(part[0], part[parts > 1], at + (which & 1) * NL_LANES);
    for (int i = 2; i < parts; i++) {
        const nl_lanes here = which == i;
        v = nl_vec_shuffle(v, part[i], (here & (NL_LANES + at)) | (~here & nl_lane_numbers()));
    }
    return v;
}

/* Register k of pixels that have their results side by side: lane l is result (k lanes + l) % rows
 * of pixel (k lanes + l) / rows. An even number of results is first paired, half of the pixels in
 * a register, which takes half the shuffles. */
NL_INLINE nl_vec nl_side_by_side(const nl_vec *result, int rows, int k)
{
    const nl_lanes lane = nl_lane_numbers(), place = lane + k * NL_LANES;
    if (rows % 2)
        return nl_collected(result, rows, place % rows, place / rows);
    const int first = k >= rows / 2 ? NL_LANES / 2 : 0; /* pixel */
    nl_vec pair[NL_FEW_RESULTS / 2];
    for (int i = 0; i < rows / 2; i++)
        pair[i] = nl_collected(result + 2 * i, 2, lane % 2, lane / 2 + first);
    return nl_collected(pair, rows / 2, place % rows / 2, (place / rows - first) * 2 + place % 2);
}

/* The first `count` values. */
NL_INLINE void nl_store_side_by_side(const nl_vec *result, int rows, int64_t count, nl_real *y)
{
#pragma GCC unroll 8
    for (int k = 0; k < rows; k++) {
        const int64_t left = count - k * NL_LANES;
        const nl_vec v = nl_side_by_side(result, rows, k);
        if (left >= NL_LANES)
            nl_vec_store(y + k * NL_LANES, v);
        else if (left > 0)
            nl_vec_store_part(y + k * NL_LANES, v, nl_part_of((int)left));
    }
}

#endif
