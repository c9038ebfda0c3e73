/* area_inline.h: rows as registers, shared by the kernels of area.h. For kernel sources only. */
#ifndef NL_AREA_INLINE_H
#define NL_AREA_INLINE_H

#include <string.h>

#include "kernel/act_inline.h"
#include "kernel/area.h"

enum { NL_ROWS_TOGETHER = 4 }; /* rows that share one load of what is per channel */

/* Channels of rows that are so short that their loops are compiled to straight lines. */
enum { NL_SHORT = 4 * NL_LANES };

/* Arguments that hold pointers come by value: behind a pointer they would be read again after every
 * store. */
NL_INLINE int nl_is_live(nl_rows r, int64_t i) { return !r.live || r.live[i * r.live_step]; }

/* Rows from i on that are all live, at most `most`; 0 when i is dead. */
NL_INLINE int64_t nl_live_run(nl_rows r, int64_t i, int64_t most)
{
    int64_t run = 0;
    while (run < most && i + run < r.count && nl_is_live(r, i + run))
        run++;
    return run;
}

/* A row is whole registers and a part of one: `t` is NULL for whole ones. */
NL_INLINE nl_vec nl_load(const nl_real *p, const nl_part *t)
{
    return t ? nl_vec_load_part(p, *t) : nl_vec_load(p);
}

NL_INLINE void nl_put(nl_real *p, nl_vec v, const nl_part *t, int stream)
{
    if (t)
        nl_vec_store_part(p, v, *t);
    else if (stream)
        nl_vec_stream(p, v);
    else
        nl_vec_store(p, v);
}

NL_INLINE int64_t nl_whole(int64_t c) { return c / NL_LANES * NL_LANES; }
NL_INLINE nl_part nl_rest(int64_t c) { return nl_part_of((int)(c % NL_LANES)); }

static inline void nl_zero_row(nl_real *y, int64_t c) { memset(y, 0, (size_t)c * sizeof *y); }

static inline int nl_starts_on_registers(const nl_real *y, int64_t ld)
{
    return (uintptr_t)y % NL_VECTOR_BYTES == 0 && ld % NL_LANES == 0;
}

/* Channels [begin, end) of a row are written in whole registers. In a long row the first of them is
 * aligned, since one that lies across two lines of the cache is written twice; a short one is
 * written as it lies. */
typedef struct nl_span {
    int64_t begin, end;
} nl_span;

static inline nl_span nl_whole_registers(const nl_real *y, int64_t c)
{
    const uintptr_t behind = (uintptr_t)y % NL_VECTOR_BYTES;
    const int64_t begin =
        c <= NL_SHORT || behind == 0 ? 0 : (int64_t)((NL_VECTOR_BYTES - behind) / sizeof *y);
    return (nl_span){begin, begin + nl_whole(c - begin)};
}

static inline int nl_can_stream(const nl_real *y, int64_t ld, int64_t c)
{
    return c > NL_SHORT || nl_starts_on_registers(y, ld);
}

/* Does every second row begin in the middle of a line of the cache as wide as a register, and end
 * with one? */
static inline int nl_turns_mid_line(const nl_real *x, int64_t ld, int64_t c)
{
    enum { LINE = 64 };
    return NL_VECTOR_BYTES == LINE && (uintptr_t)x % LINE == 0 && ld == c &&
           c % NL_LANES == NL_LANES / 2;
}

static inline int nl_keeps(nl_arriving a)
{
    return a.act != NL_LINEAR || (a.kept && a.kept != a.dy);
}

/* Register k of row r of what comes back. keeps: g is stored. */
NL_INLINE nl_vec nl_arrive(nl_arriving a, nl_act act, int keeps, int64_t r, int64_t k,
                           const nl_part *t)
{
    nl_vec g = nl_load(a.dy + r * a.ld + k, t);
    if (act != NL_LINEAR)
        g = nl_act_gradient(act, nl_load(a.y + r * a.ld + k, t), g);
    if (keeps)
        nl_put(a.kept + r * a.ld_kept + k, g, t, 0);
    return g;
}

NL_INLINE void nl_arrive_dead(nl_arriving a, int64_t r, int64_t c)
{
    if (a.kept)
        nl_zero_row(a.kept + r * a.ld_kept, c);
}

/* The loops below are compiled once for each activation: `act` is a constant in each copy. */
#define NL_EACH_RESULT(act, call)             \
    switch (act) {                            \
    case NL_LINEAR: call(NL_LINEAR); break;   \
    case NL_RELU: call(NL_RELU); break;       \
    case NL_SIGMOID: call(NL_SIGMOID); break; \
    case NL_TANH: call(NL_TANH); break;       \
    }
#define NL_EACH_ARRIVING(a, call)                                            \
    switch ((a).act) {                                                       \
    case NL_LINEAR:                                                          \
        if (nl_keeps(a))                                                     \
            call(NL_LINEAR, 1);                                              \
        else                                                                 \
            call(NL_LINEAR, 0);                                              \
        break;                                                               \
    case NL_RELU: call(NL_RELU, 1); break;                                   \
    case NL_SIGMOID:                                                         \
    case NL_TANH: call((a).act == NL_TANH ? NL_TANH : NL_SIGMOID, 1); break; \
    }

#endif
