/* rows.h: loops over whole rows that kernel sources of one CPU variant call of each other. Rows
 * [from, from + count) of x; the coefficients of the first of them are at `at`. Dead rows are
 * written as 0. For kernel sources only. */
#ifndef NL_KERNEL_ROWS_H
#define NL_KERNEL_ROWS_H

#include "kernel/area.h"
#include "kernel/vec.h"

/* Up to NL_LANES rows, or groups of channels in rows. */
typedef struct nl_parts {
    const nl_real *x[NL_LANES], *g[NL_LANES]; /* x NULL: dead, or beyond count */
    int count;
} nl_parts;

/* Of each part, in registers that are not yet added up: d = x - about, or x, and the squares. */
typedef struct nl_sums {
    nl_vec sum[NL_LANES], squares[NL_LANES];
} nl_sums;

/* sum d and sum d^2 over the c values of part i: d = x - about[i], or x less its first value where
 * about is NULL. About zero sum x^2 alone. Dead parts have 0. */
#define nl_sum_parts NL_VARIANT(nl_sum_parts)
void nl_sum_parts(const nl_parts *p, int64_t c, int about_zero, const nl_real *about, nl_sums *to);

/* y = act(gamma (a (x - center) + d) + beta + residual); gamma and beta may be NULL. */
typedef struct nl_row_write {
    nl_rows x;
    nl_result to;
    const nl_real *center, *a, *d, *gamma, *beta;
    int64_t ahead; /* rows from one that is written past the cache to the one it asks for, or 0 */
} nl_row_write;

#define nl_write_rows NL_VARIANT(nl_write_rows)
void nl_write_rows(const nl_row_write *b, int64_t from, int64_t count, int64_t at, int64_t c);

/* nl_standard_kernels.forward with center, a and d of all rows found on the way; b has none. Where
 * nl_can_pipeline: for long rows, cheap activations and the usual parameters. */
#define nl_standardize_in_pipeline NL_VARIANT(nl_standardize_in_pipeline)
void nl_standardize_in_pipeline(const nl_row_write *b, int64_t c, const nl_standard *s);

#define nl_can_pipeline NL_VARIANT(nl_can_pipeline)
int nl_can_pipeline(const nl_row_write *b, int64_t c, const nl_standard *s);

/* dx = a gamma g + p (x - center) + q; gamma may be NULL. */
typedef struct nl_row_back {
    nl_rows x;
    const nl_real *g;
    nl_real *dx;
    int64_t ldg, lddx;
    const nl_real *gamma, *center, *a, *p, *q;
    int stream;
    int64_t ahead; /* as in nl_row_write */
} nl_row_back;

#define nl_back_rows NL_VARIANT(nl_back_rows)
void nl_back_rows(const nl_row_back *b, int64_t from, int64_t count, int64_t at, int64_t c);

/* G = sum gamma g and H = sum gamma g (x - center), with dgamma += g (a (x - center) + d) and
 * dbeta += g on the way; gamma and dbeta may be NULL. about_zero: center and d are 0, and G is not
 * asked for. */
typedef struct nl_affine_rows {
    nl_rows x;
    nl_arriving g;
    int about_zero;
    const nl_real *gamma, *center, *a, *d;
    nl_real *dgamma, *dbeta;
} nl_affine_rows;

/* Lane i is of row from + i, count <= NL_LANES. */
#define nl_affine_lanes NL_VARIANT(nl_affine_lanes)
void nl_affine_lanes(const nl_affine_rows *b, int64_t from, int64_t at, int count, int64_t c,
                     nl_vec *G, nl_vec *H);

#endif
