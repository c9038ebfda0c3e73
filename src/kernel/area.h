/* area.h: the loops of normalization: moments over areas, sums of gradients, and the affine writes.
 *
 * Legend: rows r of c channels, row stride ld; `live` flags rows (NULL: all), live_step apart. Dead
 * rows enter nothing and are written as 0. Inside a run of rows sums are in the storage type,
 * shifted by a value of the run; runs are merged in double (Chan, Golub & LeVeque 1983). */
#ifndef NL_KERNEL_AREA_H
#define NL_KERNEL_AREA_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/act.h"
#include "kernel/cpu.h"

typedef struct nl_rows {
    const nl_real *x;
    int64_t ld, count;
    const uint8_t *live;
    int64_t live_step;
} nl_rows;

/* `count` rows from `row` on, from channel k on. */
static inline nl_rows nl_rows_from(nl_rows r, int64_t row, int64_t count, int64_t k)
{
    return (nl_rows){r.x + row * r.ld + k, r.ld, count, r.live ? r.live + row * r.live_step : NULL,
                     r.live_step};
}

/* Where results go: y = act(z + residual), rows ld apart; residual may be NULL. stream: y is too
 * large to stay in cache and goes past it. */
typedef struct nl_result {
    nl_real *y;
    int64_t ld;
    const nl_real *residual;
    nl_act act;
    int stream;
} nl_result;

/* From row `row` on. */
static inline nl_result nl_result_from(nl_result to, int64_t row)
{
    to.y += row * to.ld;
    to.residual += to.residual ? row * to.ld : 0;
    return to;
}

/* What comes back: g = dy act'(y), rows of dy and y ld apart. With `kept` g is left there, 0 for
 * dead rows; kept may be dy, and is given whenever act is not linear. */
typedef struct nl_arriving {
    const nl_real *dy, *y;
    int64_t ld;
    nl_act act;
    nl_real *kept;
    int64_t ld_kept;
} nl_arriving;

/* From row `row` and channel k on. */
static inline nl_arriving nl_arriving_from(nl_arriving a, int64_t row, int64_t k)
{
    a.dy += row * a.ld + k;
    a.y += a.y ? row * a.ld + k : 0;
    a.kept += a.kept ? row * a.ld_kept + k : 0;
    return a;
}

/* ---- a statistic per channel, over rows */

/* Per-channel coefficients: z = a (x - center) + d. */
typedef struct nl_columns {
    const nl_real *center, *a, *d;
} nl_columns;

typedef struct nl_column_kernels {
    /* Moments of each channel over the live rows: adds to (*count, mean[c], m2[c]), or writes them
     * where *count is 0; m2 is the sum of squares about the mean. scratch: 2 c reals. */
    void (*moments)(nl_rows r, int64_t c, double *count, double *mean, double *m2,
                    nl_real *scratch);
    /* (count, mean, m2)[c] of `from` is merged into `to`. */
    void (*merge_moments)(int64_t c, double *count, double *mean, double *m2, double from_count,
                          const double *from_mean, const double *from_m2);
    /* Adds G[c] += sum g, H[c] += sum g (x - center) over live rows. scratch: 2 c reals. */
    void (*gradients)(nl_rows x, const nl_arriving *g, int64_t c, const nl_real *center, double *G,
                      double *H, nl_real *scratch);
    /* z = a (x - center) + d */
    void (*write)(nl_rows x, const nl_result *to, int64_t c, nl_columns k);
    /* dx = a g + p (x - center) + q; dx may be g. */
    void (*back)(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx, int64_t c,
                 const nl_real *center, const nl_real *a, const nl_real *p, const nl_real *q,
                 int stream);
    /* Ends a block of streamed results, of rows too: another thread may read them afterwards. Not
     * sooner, so that what comes next need not wait for them. */
    void (*settle)(void);
} nl_column_kernels;

NL_KERNELS(nl_column_kernels, nl_column_kernel)

/* ---- a statistic per row (or part of a row), over channels */

typedef struct nl_row_kernels {
    /* Moments of each of `groups` equal parts of each row: mean, m2 are (rows, groups), written;
     * zeros for dead rows. about_zero: mean is 0 and m2 the sum of squares. */
    void (*moments)(nl_rows r, int64_t c, int64_t groups, int about_zero, double *mean, double *m2);
    /* G, H (rows, groups) of each row, written; center (rows, groups). */
    void (*gradients)(nl_rows x, const nl_real *g, int64_t ldg, int64_t c, int64_t groups,
                      const nl_real *center, double *G, double *H);
    /* The same for whole rows and gamma g in the place of g, with the sums for gamma and beta on
     * the way: dgamma[c] += g (a (x - center) + d), dbeta[c] += g; a, d per row; gamma may be
     * NULL. */
    void (*gradients_affine)(nl_rows x, const nl_arriving *g, int64_t c, const nl_real *gamma,
                             const nl_real *center, const nl_real *a, const nl_real *d, double *G,
                             double *H, nl_real *dgamma, nl_real *dbeta);
    /* z = gamma (a (x - center) + d) + beta; center, a, d per row, gamma and beta per channel or
     * NULL. */
    void (*write)(nl_rows x, const nl_result *to, int64_t c, const nl_real *center,
                  const nl_real *a, const nl_real *d, const nl_real *gamma, const nl_real *beta);
    /* dx = a gamma g + p (x - center) + q, coefficients per row; gamma may be NULL, dx may be g. */
    void (*back)(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx, int64_t c,
                 const nl_real *gamma, const nl_real *center, const nl_real *a, const nl_real *p,
                 const nl_real *q, int stream);
} nl_row_kernels;

NL_KERNELS(nl_row_kernels, nl_row_kernel)

/* ---- rows standardized in one go: statistics, coefficients and writes, few rows at a time */

/* z = r (x - mean), r = 1 / sqrt(var + eps), each row about its own mean, or about zero, var being
 * the mean square; y = act(gamma z + beta + residual). */
typedef struct nl_standard {
    double eps;
    int about_zero;
    double *mean, *var;          /* of each row; forward writes them, back reads them */
    const nl_real *gamma, *beta; /* (c), or NULL */
} nl_standard;

typedef struct nl_standard_kernels {
    void (*forward)(nl_rows x, const nl_result *to, int64_t c, const nl_standard *s);
    /* dx written, dgamma[c] += g z, dbeta[c] += g; dx may be dy or kept, dbeta NULL. */
    void (*back)(nl_rows x, const nl_arriving *g, nl_real *dx, int64_t lddx, int64_t c,
                 const nl_standard *s, nl_real *dgamma, nl_real *dbeta, int stream);
} nl_standard_kernels;

NL_KERNELS(nl_standard_kernels, nl_standard_kernel)

/* ---- one row of c values at a time, for methods with several areas or channel groups */

typedef struct nl_part_kernels {
    void (*add_columns)(nl_real *z, const nl_real *x, int64_t c, nl_columns k);
    void (*add_scalar)(nl_real *z, const nl_real *x, int64_t c, nl_real center, nl_real a,
                       nl_real d);
    void (*affine)(const nl_real *z, nl_real *y, int64_t c, const nl_real *gamma,
                   const nl_real *beta);
    /* g = gamma dy; dgamma += dy z, dbeta += dy; each of gamma, dgamma, dbeta may be NULL. */
    void (*affine_back)(const nl_real *z, const nl_real *dy, nl_real *g, int64_t c,
                        const nl_real *gamma, nl_real *dgamma, nl_real *dbeta);
    /* dx += a g + p (x - center) + q with vectors or scalars; g is not dx. */
    void (*back_add_columns)(nl_real *dx, const nl_real *g, const nl_real *x, int64_t c,
                             const nl_real *center, const nl_real *a, const nl_real *p,
                             const nl_real *q);
    void (*back_add_scalar)(nl_real *dx, const nl_real *g, const nl_real *x, int64_t c,
                            nl_real center, nl_real a, nl_real p, nl_real q);
} nl_part_kernels;

NL_KERNELS(nl_part_kernels, nl_part_kernel)

#endif
