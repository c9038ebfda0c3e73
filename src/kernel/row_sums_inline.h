/* row_sums_inline.h: sums over one row, or a group of channels in it (a "part"), some registers at
 * a time. For kernel sources only. */
#ifndef NL_ROW_SUMS_INLINE_H
#define NL_ROW_SUMS_INLINE_H

#include "kernel/rows_inline.h"

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

/* Sums over one part, as far as they have come: of d = x - about and of d^2, or about zero of d^2
 * alone. */
typedef struct part_sums {
    part_registers part;
    nl_vec about, one, sum[NL_PAIR], squares[NL_WAYS];
} part_sums;

/* d of a register whose number is w modulo NL_WAYS. Additions and multiply-adds have units of their
 * own, and there are twice as many additions: every other sum is a multiply-add with 1. */
NL_INLINE void add_deviation(part_sums *s, int about_zero, int w, nl_vec d)
{
    if (about_zero) {
        s->squares[w] = nl_vec_fma(d, d, s->squares[w]);
        return;
    }
    nl_vec *sum = &s->sum[w % NL_PAIR], *squares = &s->squares[w % NL_PAIR];
    *sum = w % NL_PAIR ? nl_vec_fma(d, s->one, *sum) : *sum + d;
    *squares = nl_vec_fma(d, d, *squares);
}

/* With the first register. */
NL_INLINE part_sums sums_begun(const nl_real *x, int64_t c, int about_zero, nl_real about)
{
    part_sums s = {.part = registers_of(x, c),
                   .about = nl_vec_of(about_zero ? 0 : about),
                   .one = nl_vec_kept(nl_vec_of(1))};
    add_deviation(&s, about_zero, 0, deviation(s.part, 0, s.about));
    return s;
}

/* Are NL_WAYS registers from i on whole? */
NL_INLINE int has_turn(part_registers part, int64_t i) { return i + NL_WAYS <= part.whole; }

/* With NL_WAYS registers from i on, i % NL_WAYS being 1. */
NL_INLINE void sums_turn(part_sums *s, int about_zero, int64_t i)
{
    const nl_real *x = s->part.x + i * NL_LANES;
#pragma GCC unroll 4
    for (int w = 0; w < NL_WAYS; w++)
        add_deviation(s, about_zero, (1 + w) % NL_WAYS, nl_vec_load(x + w * NL_LANES) - s->about);
}

/* With all registers from i on. */
NL_INLINE void sums_finish(part_sums *s, int about_zero, int64_t i, nl_vec *sum, nl_vec *squares)
{
    for (; has_turn(s->part, i); i += NL_WAYS)
        sums_turn(s, about_zero, i);
#pragma GCC unroll 4
    for (int w = 0; w < NL_WAYS; w++)
        if (i + w < count_of(s->part))
            add_deviation(s, about_zero, (1 + w) % NL_WAYS, deviation(s->part, i + w, s->about));
    *sum = s->sum[0] + s->sum[1];
    *squares = about_zero ? (s->squares[0] + s->squares[2]) + (s->squares[1] + s->squares[3])
                          : s->squares[0] + s->squares[1];
}

#endif
