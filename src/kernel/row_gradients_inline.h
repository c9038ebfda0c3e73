/* row_gradients_inline.h: registers of G and H, with the sums for gamma and beta on the way
 * (rows.h). For kernel sources only. */
#ifndef NL_ROW_GRADIENTS_INLINE_H
#define NL_ROW_GRADIENTS_INLINE_H

#include "kernel/rows_inline.h"

/* What is known when a loop is compiled. */
typedef struct affine_kind {
    nl_act act;
    int keeps, about_zero, has_d, has_gamma, has_dbeta;
    int mid_line; /* every second row begins in the middle of a line of the cache */
} affine_kind;

/* Register k of one row. Two operations a cycle are what bounds this loop: d is left out where it
 * is 0 for all rows. */
NL_INLINE void affine_step(affine_kind is, nl_vec g, nl_vec x, nl_vec gamma, nl_vec center,
                           nl_vec a, nl_vec d, nl_vec *G, nl_vec *H, nl_vec *dgamma, nl_vec *dbeta)
{
    const nl_vec gx = g * (is.about_zero ? x : x - center);
    if (!is.about_zero)
        *G = nl_vec_fma(gamma, g, *G);
    *H = nl_vec_fma(gamma, gx, *H);
    *dgamma = nl_vec_fma(a, gx, *dgamma);
    if (is.has_d)
        *dgamma = nl_vec_fma(d, g, *dgamma);
    if (is.has_dbeta)
        *dbeta += g;
}

/* What is summed over several rows, and the lines last read of those that begin mid-line. */
typedef struct affine_sums {
    nl_vec G[NL_ROWS_TOGETHER], H[NL_ROWS_TOGETHER];
    nl_vec x_line[NL_ROWS_TOGETHER], g_line[NL_ROWS_TOGETHER];
} affine_sums;

/* Long rows, one to four of them: each register of what is per channel is loaded once for all. */
NL_INLINE void affine_columns(nl_affine_rows b, nl_row_coefficients q, affine_kind is, int64_t row,
                              int rows, int64_t k, affine_sums *s, const nl_part *t)
{
    const nl_vec gamma = is.has_gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    nl_vec dgamma = nl_load(b.dgamma + k, t);
    nl_vec dbeta = is.has_dbeta ? nl_load(b.dbeta + k, t) : nl_vec_of(0);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const int across = is.mid_line && r % 2 == 1 && !t;
        const nl_real *at = b.x.x + (row + r) * b.x.ld + k, *dy = b.g.dy + (row + r) * b.g.ld + k;
        const nl_vec g = across ? nl_vec_load_across(dy, &s->g_line[r])
                                : nl_arrive(b.g, is.act, is.keeps, row + r, k, t);
        const nl_vec x = across ? nl_vec_load_across(at, &s->x_line[r]) : nl_load(at, t);
        affine_step(is, nl_vec_kept(g), x, gamma, q.center[r], q.a[r], q.d[r], &s->G[r], &s->H[r],
                    &dgamma, &dbeta);
    }
    nl_put(b.dgamma + k, dgamma, t, 0);
    if (is.has_dbeta)
        nl_put(b.dbeta + k, dbeta, t, 0);
}

NL_INLINE void affine_long(const nl_affine_rows *call, affine_kind is, int64_t row, int64_t at,
                           int rows, int64_t c, nl_vec *G, nl_vec *H)
{
    const nl_affine_rows b = *call;
    const nl_row_coefficients q = nl_coefficients_of(b.center, b.a, b.d, at, rows);
    const int64_t end = nl_whole(c);
    affine_sums s = {.G = {{0}}};
    if (is.mid_line) {
#pragma GCC unroll 4
        for (int r = 1; r < rows; r += 2) {
            s.x_line[r] = nl_line_of_middle(b.x.x + (row + r) * b.x.ld);
            s.g_line[r] = nl_line_of_middle(b.g.dy + (row + r) * b.g.ld);
        }
    }
#pragma GCC unroll 2
    for (int64_t k = 0; k < end; k += NL_LANES)
        affine_columns(b, q, is, row, rows, k, &s, NULL);
    if (end < c) {
        const nl_part t = nl_rest(c);
        affine_columns(b, q, is, row, rows, end, &s, &t);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        G[r] = s.G[r], H[r] = s.H[r];
}

NL_INLINE int have_d(const nl_affine_rows *b, int64_t at, int rows)
{
    int any = 0;
    for (int i = 0; i < rows && !b->about_zero; i++)
        any |= b->d[at + i] != 0;
    return any;
}

#endif
