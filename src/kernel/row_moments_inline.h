/* row_moments_inline.h: moments of rows, or of groups of channels in them ("parts"). For kernel
 * sources only. */
#ifndef NL_ROW_MOMENTS_INLINE_H
#define NL_ROW_MOMENTS_INLINE_H

#include "base/cut.h"
#include "kernel/rows_inline.h"

typedef struct nl_parts {
    const nl_real *x[NL_LANES], *g[NL_LANES]; /* x NULL: dead, or beyond count */
    int count;
} nl_parts;

/* Sums are dealt out to so many registers that additions need not wait for each other: register i
 * of a part goes to sum i % NL_PAIR, or i % NL_WAYS. */
enum { NL_PAIR = 2, NL_WAYS = 4 };

/* A long part is read in aligned registers, since one that lies across two lines of the cache is
 * read twice. The lanes of all sums are a ring, which turns with the place of the part; each
 * addition at the end is of lanes half a ring apart, so that turning does not change the bytes. */
typedef struct part_registers {
    const nl_real *x; /* of the first register */
    int before;       /* lanes of the first that are not the part's */
    int rest;         /* lanes of the last that are, if it is not whole */
    int64_t whole;    /* the other registers */
} part_registers;

NL_INLINE part_registers registers_of(const nl_real *x, int64_t c)
{
    const int behind = (int)((uintptr_t)x % NL_VECTOR_BYTES / sizeof *x);
    const int before = c > NL_SHORT ? behind : 0;
    const int64_t lanes = before + c;
    return (part_registers){x - before, before, (int)(lanes % NL_LANES), lanes / NL_LANES};
}

NL_INLINE int64_t count_of(part_registers part) { return part.whole + (part.rest > 0); }

/* Register i about `shift`; 0 where it is not the part's. */
NL_INLINE nl_vec deviation(part_registers part, int64_t i, nl_vec shift)
{
    const nl_real *x = part.x + i * NL_LANES;
    if (i == part.whole) {
        const nl_part t = nl_part_of(part.rest);
        return nl_vec_load_part(x, t) - nl_vec_keep_part(shift, t);
    }
    if (i == 0 && part.before > 0)
        return nl_vec_choose(nl_lane_numbers() < part.before, nl_vec_of(0),
                             nl_vec_load_behind(x, part.before) - shift);
    return nl_vec_load(x) - shift;
}

/* sum += d, squares += d^2. Additions and multiply-adds have units of their own, and there are
 * twice as many additions: every other sum is a multiply-add with 1. */
NL_INLINE void add_deviation(nl_vec d, const nl_vec *one, nl_vec *sum, nl_vec *squares)
{
    *sum = one ? nl_vec_fma(d, *one, *sum) : *sum + d;
    *squares = nl_vec_fma(d, d, *squares);
}

/* Parts that are summed together: as many as there are registers for. */
enum { NL_PARTS_TOGETHER = NL_VECTOR_BYTES == 64 ? 4 : 2 };

/* s1 = sum d, s2 = sum d^2 over each of some parts, d = x - shift. */
NL_INLINE void shifted_sums(const nl_real *const *x, const nl_real *shift, int parts, int64_t c,
                            nl_vec *s1, nl_vec *s2)
{
    part_registers part[NL_PARTS_TOGETHER];
    nl_vec about[NL_PARTS_TOGETHER];
    nl_vec sum[NL_PARTS_TOGETHER][NL_PAIR] = {{{0}}}, squares[NL_PARTS_TOGETHER][NL_PAIR] = {{{0}}};
    const nl_vec one = nl_vec_kept(nl_vec_of(1));
    int64_t whole = c, i = 1; /* registers that are whole in all parts */
#pragma GCC unroll 4
    for (int p = 0; p < parts; p++) {
        part[p] = registers_of(x[p], c);
        about[p] = nl_vec_of(shift[p]);
        whole = nl_least(whole, part[p].whole);
        add_deviation(deviation(part[p], 0, about[p]), NULL, &sum[p][0], &squares[p][0]);
    }
    for (; i + NL_PAIR <= whole; i += NL_PAIR)
#pragma GCC unroll 4
        for (int p = 0; p < parts; p++) {
            const nl_real *at = part[p].x + i * NL_LANES;
            add_deviation(nl_vec_load(at) - about[p], &one, &sum[p][1], &squares[p][1]);
            add_deviation(nl_vec_load(at + NL_LANES) - about[p], NULL, &sum[p][0], &squares[p][0]);
        }
#pragma GCC unroll 4
    for (int p = 0; p < parts; p++) {
        for (int64_t j = i; j < count_of(part[p]); j++)
            if (j % NL_PAIR)
                add_deviation(deviation(part[p], j, about[p]), NULL, &sum[p][1], &squares[p][1]);
            else
                add_deviation(deviation(part[p], j, about[p]), NULL, &sum[p][0], &squares[p][0]);
        s1[p] = sum[p][0] + sum[p][1];
        s2[p] = squares[p][0] + squares[p][1];
    }
}

/* Of long parts several together; short ones in the order in which they lie in memory. */
NL_INLINE int can_sum_together(const nl_parts *p, int from, int64_t c)
{
    int live = c > NL_SHORT;
    for (int i = from; i < from + NL_PARTS_TOGETHER; i++)
        live &= p->x[i] != NULL;
    return live;
}

/* Lane i is of part i: its mean is shift + off, m2 the sum of squares about it. */
typedef struct nl_part_moments {
    nl_vec shift, off, m2;
} nl_part_moments;

NL_INLINE nl_part_moments moments_about(const nl_parts *p, int64_t c, const nl_real *shift)
{
    nl_vec sum[NL_LANES], squares[NL_LANES];
    for (int i = 0; i < nl_added_together(p->count); i += NL_PARTS_TOGETHER) {
        if (can_sum_together(p, i, c)) {
            shifted_sums(p->x + i, shift + i, NL_PARTS_TOGETHER, c, sum + i, squares + i);
            continue;
        }
        for (int j = i; j < i + NL_PARTS_TOGETHER; j++) {
            sum[j] = squares[j] = (nl_vec){0};
            if (p->x[j])
                shifted_sums(p->x + j, shift + j, 1, c, sum + j, squares + j);
        }
    }
    const nl_vec s1 = nl_sum_across(sum, p->count), s2 = nl_sum_across(squares, p->count);
    const nl_vec off = s1 * (1 / (nl_real)c), m2 = nl_vec_fma(-s1, off, s2);
    return (nl_part_moments){nl_vec_load(shift), off,
                             nl_vec_choose(m2 < nl_vec_of(0), nl_vec_of(0), m2)};
}

/* Sums are about a part's first value. Where that is far from the mean, m2 is a small difference of
 * large numbers (an outlier may lie sqrt(c) standard deviations away; Samuelson 1968), and they are
 * taken again about the mean just found. */
NL_APART void take_far_ones_again(const nl_parts *p, int64_t c, nl_lanes far, nl_part_moments *m)
{
    nl_real shift[NL_LANES];
    nl_vec_store(shift, m->shift + m->off);
    const nl_part_moments again = moments_about(p, c, shift);
    m->shift = nl_vec_choose(far, again.shift, m->shift);
    m->off = nl_vec_choose(far, again.off, m->off);
    m->m2 = nl_vec_choose(far, again.m2, m->m2);
}

NL_INLINE nl_part_moments nl_moments_of_parts(const nl_parts *p, int64_t c)
{
    const nl_vec most = nl_vec_of(16); /* standard deviations, squared: m2 loses four bits */
    nl_real shift[NL_LANES];
    for (int i = 0; i < NL_LANES; i++)
        shift[i] = p->x[i] ? p->x[i][0] : 0;
    nl_part_moments m = moments_about(p, c, shift);
    const nl_lanes far = (nl_real)c * m.off * m.off > most * m.m2;
    if (nl_any_lane(far))
        take_far_ones_again(p, c, far, &m);
    return m;
}

/* The sum of squares of one part. */
NL_INLINE nl_vec squares_of(const nl_real *x, int64_t c)
{
    const part_registers part = registers_of(x, c);
    const int64_t registers = count_of(part);
    const nl_vec zero = nl_vec_of(0), first = deviation(part, 0, zero);
    nl_vec sum[NL_WAYS] = {first * first};
    int64_t i = 1;
    for (; i + NL_WAYS <= part.whole; i += NL_WAYS)
#pragma GCC unroll 4
        for (int w = 0; w < NL_WAYS; w++) {
            const nl_vec v = nl_vec_load(part.x + (i + w) * NL_LANES);
            sum[(1 + w) % NL_WAYS] = nl_vec_fma(v, v, sum[(1 + w) % NL_WAYS]);
        }
#pragma GCC unroll 4
    for (int w = 0; w < NL_WAYS; w++)
        if (i + w < registers) {
            const nl_vec v = deviation(part, i + w, zero);
            sum[(1 + w) % NL_WAYS] = nl_vec_fma(v, v, sum[(1 + w) % NL_WAYS]);
        }
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* The same about zero: m2 is the sum of squares. */
NL_INLINE nl_part_moments nl_squares_of_parts(const nl_parts *p, int64_t c)
{
    nl_vec sum[NL_LANES];
    for (int i = 0; i < nl_added_together(p->count); i++)
        sum[i] = p->x[i] ? squares_of(p->x[i], c) : (nl_vec){0};
    return (nl_part_moments){{0}, {0}, nl_sum_across(sum, p->count)};
}

#endif
