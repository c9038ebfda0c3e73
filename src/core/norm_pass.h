/* norm_pass.h: one call in flight: what is set up once, and what its blocks of rows work with.
 * Private to src/core/norm*.c.
 *
 * Three ways to write, the same formula: coefficients per channel (one area that keeps channels:
 * batch, instance), per row (one area that reduces all of them: layer, rms), or row by row through
 * a scratch row (everything else: several areas, channel groups). Rows that are standardized and
 * nothing else are done in one go, by a kernel that knows the formula. */
#ifndef NL_NORM_PASS_H
#define NL_NORM_PASS_H

#include "core/norm_plan.h"

typedef enum nl_way { NL_BY_COLUMNS, NL_BY_ROWS, NL_STANDARDIZED_ROWS, NL_BY_PARTS } nl_way;
nl_way nl_way_of(const nl_pass *p);

void nl_pass_begin(nl_pass *p, nl_norm *m, const nl_args *a);

enum { NL_FORWARD_ARRAYS = 2, NL_BACKWARD_ARRAYS = 3 }; /* x, y; x, dy, dx */

int64_t nl_blocks_of(const nl_pass *p);
/* The rows of block b of nl_for_row_blocks. */
typedef struct nl_range {
    int64_t from, count;
} nl_range;
nl_range nl_rows_of_block(const nl_pass *p, int64_t b);
/* Ends a block whose results may have been streamed. */
void nl_settle(const nl_pass *p);

/* Around a call: what nl_norm_clock counts. */
double nl_clock_start(void);
void nl_clock_stop(double start, const nl_args *a);

/* Calls body for every block of rows; `arrays` of the activation's size are read or written. */
void nl_for_row_blocks(nl_pass *p, int64_t arrays, void (*body)(int64_t b, void *arg));
/* The same from the last block to the first: what a pass before left in cache comes first. */
void nl_for_row_blocks_back(nl_pass *p, int64_t arrays, void (*body)(int64_t b, void *arg));

/* Folds gamma and beta, where asked, into the coefficients of area k, once per statistic. */
void nl_column_coefficients(const nl_pass *p, int k, bool fold_affine);
/* Runs body over the rows of block b, as many at once as share a segment of the first area. */
void nl_each_segment(const nl_pass *p, int64_t b,
                     void (*body)(const nl_pass *p, int64_t row, int64_t rows));
nl_rows nl_rows_of(const nl_pass *p, int64_t row, int64_t rows);

/* dL/dmean and dL/dvar of the call's statistics become those of the batch's own, from which they
 * were taken or mixed. */
void nl_reach_batch(const nl_pass *p, int k, const nl_stats *st, const double *own);
/* p and q of dx = a g + p (x - center) + q for `count` statistics that share m, from i of st on. */
void nl_chain(const nl_pass *p, int k, const nl_stats *st, int64_t i, int64_t count,
              const nl_real *center, const double *own, nl_real *to_p, nl_real *to_q);

/* a, d of area k, and dL/dmean, dL/dvar: the method's or, where it standardizes, the core's. */
void nl_find_coefficients(const nl_norm *m, nl_call *call, int k);
void nl_find_gradients(const nl_norm *m, nl_call *call, int k);

/* What NL_STANDARDIZED_ROWS keeps of rows from `row` on. */
nl_standard nl_standard_at(const nl_pass *p, int64_t row);

/* ---- a tile: a few rows of a block, and a block's scratch */

typedef struct nl_tile {
    int64_t from, rows;      /* rows of the call */
    nl_call call;            /* of nl_each_tile: statistics of fused areas are this tile's */
    nl_real *row;            /* c values */
    nl_real *dgamma, *dbeta; /* this block's sums */
    nl_real *center[NL_AREAS_MAX], *a[NL_AREAS_MAX], *d[NL_AREAS_MAX], *p[NL_AREAS_MAX],
        *q[NL_AREAS_MAX];         /* per row (and group), of areas that reduce channels */
    double *G, *H, *dmean, *dvar; /* of one fused area */
} nl_tile;

void nl_tile_open(const nl_pass *p, int64_t block, nl_tile *t);
/* Runs body over the tiles of block b, of which it reads `arrays` arrays. */
void nl_each_tile(const nl_pass *p, int64_t b, int64_t arrays, nl_tile *t,
                  void (*body)(const nl_pass *, nl_tile *));

/* Moments, sources and coefficients of a fused area for this tile. */
void nl_fused_forward(const nl_pass *p, nl_tile *t, int k);
/* Points the statistics of fused area k at this tile's rows. */
nl_stats *nl_fused_stats(const nl_pass *p, nl_tile *t, int k);
/* dL/dmean, dL/dvar of a fused area for this tile, once G and H are there. */
void nl_fused_chain(const nl_pass *p, nl_tile *t, int k);
/* Coefficients per row (and group) of area k for this tile, forward and of dx. */
void nl_row_coefficients(const nl_pass *p, nl_tile *t, int k);
void nl_row_back_coefficients(const nl_pass *p, nl_tile *t, int k);

/* The same of all areas that reduce channels, for methods by parts; forward: with the statistics of
 * fused ones. */
void nl_tile_coefficients(const nl_pass *p, nl_tile *t, bool forward);
/* z of row r of the tile, summed over the areas. */
void nl_row_z(const nl_pass *p, const nl_tile *t, int64_t r, nl_real *z);
/* gamma or beta of a row, or the sums for them: there may be one for each position. */
static inline const nl_real *nl_gamma_row(const nl_pass *p, const nl_real *gamma, int64_t row)
{
    return gamma && p->m->gamma_rows > 1 ? gamma + row % p->m->g.s * p->c : gamma;
}

#endif
