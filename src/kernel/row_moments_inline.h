/* row_moments_inline.h: moments of rows, or of groups of channels in them ("parts"), from their
 * sums. For kernel sources only. */
#ifndef NL_ROW_MOMENTS_INLINE_H
#define NL_ROW_MOMENTS_INLINE_H

#include "kernel/rows_inline.h"

/* What sums are about, for want of a mean. Made in a register: one that is loaded from values just
 * stored waits until they have left the processor, behind all results stored before. */
NL_INLINE nl_vec first_values(const nl_parts *p)
{
    nl_vec first = {0};
    for (int i = 0; i < p->count; i++)
        if (p->x[i])
            first = nl_vec_choose(nl_lane_numbers() == i, nl_vec_of(p->x[i][0]), first);
    return first;
}

/* Lane i is of part i, or all are of one row: its mean is shift + off, m2 the sum of squares about
 * it. */
typedef struct nl_part_moments {
    nl_vec shift, off, m2;
} nl_part_moments;

/* From s1 = sum d and s2 = sum d^2, d = x - about. */
NL_INLINE nl_part_moments moments_about(nl_vec about, nl_vec s1, nl_vec s2, int64_t c)
{
    const nl_vec off = s1 * (1 / (nl_real)c), m2 = nl_vec_fma(-s1, off, s2);
    return (nl_part_moments){about, off, nl_vec_most(nl_vec_of(0), m2)}; /* NaN stays */
}

NL_INLINE nl_part_moments moments_about_zero(nl_vec s2) { return (nl_part_moments){{0}, {0}, s2}; }

/* Sums are about a part's first value. Where that is far from the mean, m2 is a small difference of
 * large numbers (an outlier may lie sqrt(c) standard deviations away; Samuelson 1968), and they are
 * taken again about the mean just found. */
NL_INLINE nl_lanes are_far(nl_part_moments m, int64_t c)
{
    const nl_vec most = nl_vec_of(16); /* standard deviations, squared: m2 loses four bits */
    return (nl_real)c * m.off * m.off > most * m.m2;
}

NL_APART void take_far_ones_again(const nl_parts *p, int64_t c, nl_lanes far, nl_part_moments *m)
{
    nl_real shift[NL_LANES];
    nl_sums s;
    nl_vec_store(shift, m->shift + m->off);
    nl_sum_parts(p, c, 0, shift, &s);
    const nl_part_moments again = moments_about(nl_vec_load(shift), nl_sum_across(s.sum, p->count),
                                                nl_sum_across(s.squares, p->count), c);
    m->shift = nl_vec_choose(far, again.shift, m->shift);
    m->off = nl_vec_choose(far, again.off, m->off);
    m->m2 = nl_vec_choose(far, again.m2, m->m2);
}

/* From sums about the first values; about zero shift and off are 0, and m2 is the sum of squares.
 * Uses up the sums. */
NL_INLINE nl_part_moments nl_moments_of_sums(const nl_parts *p, int64_t c, int about_zero,
                                             nl_sums *s)
{
    const nl_vec s2 = nl_sum_across(s->squares, p->count);
    if (about_zero)
        return moments_about_zero(s2);
    nl_part_moments m = moments_about(first_values(p), nl_sum_across(s->sum, p->count), s2, c);
    const nl_lanes far = are_far(m, c);
    if (nl_any_lane(far))
        take_far_ones_again(p, c, far, &m);
    return m;
}

/* The same of one row, in all lanes. */
NL_APART nl_part_moments moments_about_mean(const nl_real *x, int64_t c, nl_real mean)
{
    const nl_parts row = {.x = {x}, .count = 1};
    nl_sums s;
    nl_sum_parts(&row, c, 0, &mean, &s);
    return moments_about(nl_vec_of(mean), nl_sum_across(s.sum, 1), nl_sum_across(s.squares, 1), c);
}

NL_INLINE nl_part_moments nl_moments_of_row(const nl_real *x, int64_t c, int about_zero, nl_vec sum,
                                            nl_vec squares)
{
    const nl_vec s2 = nl_sum_across(&squares, 1);
    if (about_zero)
        return moments_about_zero(s2);
    const nl_part_moments m = moments_about(nl_vec_of(x[0]), nl_sum_across(&sum, 1), s2, c);
    return nl_any_lane(are_far(m, c)) ? moments_about_mean(x, c, m.shift[0] + m.off[0]) : m;
}

#endif
