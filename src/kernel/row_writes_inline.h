/* row_writes_inline.h: registers of y and dx (rows.h). For kernel sources only. */
#ifndef NL_ROW_WRITES_INLINE_H
#define NL_ROW_WRITES_INLINE_H

#include "kernel/rows_inline.h"

/* ---- y */

/* What is known when a loop is compiled. about_zero: center and d are 0. */
typedef struct write_kind {
    nl_act act;
    int about_zero, has_gamma, has_beta, has_residual, stream;
} write_kind;

/* All rows are loaded before the first is stored: where x and y lie alike in their pages, as they
 * often do, loads would wait for stores. On Zen 4 a multiply-add whose addend is not the newest of
 * results waits for stores, too, so there is one of them and not two. */
NL_INLINE void write_step(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                          int rows, int64_t k, const nl_part *t)
{
    const nl_vec gamma = is.has_gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    const nl_vec beta = is.has_beta ? nl_load(b.beta + k, t) : nl_vec_of(0);
    nl_vec y[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_real *x = b.x.x + (row + r) * b.x.ld + k;
        const nl_vec in = nl_load(x, t);
        const nl_vec z = is.about_zero ? q.a[r] * in : q.a[r] * (in - q.center[r]) + q.d[r];
        if (is.stream && b.ahead > 0)
            nl_vec_ask(x, b.ahead * b.x.ld);
        y[r] = nl_vec_fma(gamma, z, beta);
        if (is.has_residual)
            y[r] += nl_load(b.to.residual + (row + r) * b.to.ld + k, t);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        nl_put(b.to.y + (row + r) * b.to.ld + k, nl_act_of(is.act, y[r]), t, is.stream);
}

/* The channels before the first whole register, and those behind the last. */
NL_INLINE void write_head(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                          nl_span whole)
{
    if (whole.begin > 0) {
        const nl_part t = nl_part_of((int)whole.begin);
        write_step(b, is, q, row, 1, 0, &t);
    }
}

NL_INLINE void write_tail(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                          int rows, nl_span whole, int64_t c)
{
    if (whole.end < c) {
        const nl_part t = nl_rest(c - whole.end);
        write_step(b, is, q, row, rows, whole.end, &t);
    }
}

/* Loops of a constant length are worth their code where the activation is not most of the time. */
NL_INLINE int is_cheap(nl_act act) { return act == NL_LINEAR || act == NL_RELU; }

/* ---- dx */

/* Coefficients of the rows in hand. */
typedef struct back_coefficients {
    nl_vec center[NL_ROWS_TOGETHER], a[NL_ROWS_TOGETHER], p[NL_ROWS_TOGETHER], q[NL_ROWS_TOGETHER];
} back_coefficients;

NL_INLINE back_coefficients back_coefficients_of(nl_row_back b, int64_t at, int rows)
{
    back_coefficients of;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        of.center[r] = nl_vec_of(b.center[at + r]);
        of.a[r] = nl_vec_of(b.a[at + r]);
        of.p[r] = nl_vec_of(b.p[at + r]);
        of.q[r] = nl_vec_of(b.q[at + r]);
    }
    return of;
}

NL_INLINE void back_step(nl_row_back b, back_coefficients of, int64_t row, int rows, int64_t k,
                         const nl_part *t, int stream)
{
    const nl_vec gamma = b.gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    nl_vec dx[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_real *x = b.x.x + (row + r) * b.x.ld + k, *dy = b.g + (row + r) * b.ldg + k;
        const nl_vec xc = nl_load(x, t) - of.center[r], g = gamma * nl_load(dy, t);
        if (stream && b.ahead > 0) {
            nl_vec_ask(x, b.ahead * b.x.ld);
            nl_vec_ask(dy, b.ahead * b.ldg);
        }
        dx[r] = nl_vec_fma(of.a[r], g, nl_vec_fma(of.p[r], xc, of.q[r]));
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        nl_real *to = b.dx + (row + r) * b.lddx + k;
        if (!t && !stream)
            nl_vec_ask_to_write(to);
        nl_put(to, dx[r], t, stream);
    }
}

NL_INLINE void back_together(nl_row_back b, back_coefficients of, int64_t row, int rows, int64_t c,
                             int stream)
{
    const nl_span whole = nl_whole_registers(b.dx + row * b.lddx, c);
    if (rows == 1 && whole.begin > 0) {
        const nl_part t = nl_part_of((int)whole.begin);
        back_step(b, of, row, rows, 0, &t, 0);
    }
    for (int64_t k = rows == 1 ? whole.begin : 0; k < whole.end; k += NL_LANES)
        back_step(b, of, row, rows, k, NULL, stream);
    if (whole.end < c) {
        const nl_part t = nl_rest(c - whole.end);
        back_step(b, of, row, rows, whole.end, &t, 0);
    }
}

#endif
