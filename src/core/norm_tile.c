/* norm_tile.c: blocks of rows and their tiles; the coefficients that a tile's writes take. */
#include <string.h>

#include "core/norm_pass.h"
#include "kernel/coefficients.h"
#include "par/par.h"

/* ---- blocks */

/* A piece is one. */
int64_t nl_blocks_of(const nl_pass *p)
{
    return nl_is_piece(p->args) ? 1 : nl_row_blocks(p->rows, p->c);
}

void nl_for_row_blocks(nl_pass *p, int64_t arrays, void (*body)(int64_t, void *))
{
    nl_for(nl_blocks_of(p), arrays * p->rows * p->c * (int64_t)sizeof(nl_real), body, p);
}

nl_range nl_rows_of_block(const nl_pass *p, int64_t b)
{
    const int64_t blocks = nl_blocks_of(p), from = nl_row_edge(p->rows, blocks, b);
    return (nl_range){p->first + from, nl_row_edge(p->rows, blocks, b + 1) - from};
}

void nl_settle(const nl_pass *p)
{
    if (p->stream)
        nl_column_kernel()->settle();
}

void nl_for_row_blocks_back(nl_pass *p, int64_t arrays, void (*body)(int64_t, void *))
{
    nl_for_back(nl_blocks_of(p), arrays * p->rows * p->c * (int64_t)sizeof(nl_real), body, p);
}

/* Rows from `row` on that share their segment, at most `most`. */
static int64_t same_segment(const nl_plan *plan, int64_t row, int64_t most)
{
    if (plan->interleaved)
        return plan->segments == 1 ? most : 1;
    const int64_t left = plan->rows - row % plan->rows;
    return left < most ? left : most;
}

void nl_each_segment(const nl_pass *p, int64_t b,
                     void (*body)(const nl_pass *p, int64_t row, int64_t rows))
{
    const nl_range block = nl_rows_of_block(p, b);
    const int64_t to = block.from + block.count;
    for (int64_t row = block.from, rows; row < to; row += rows) {
        rows = same_segment(&p->plan[0], row, to - row);
        body(p, row, rows);
    }
    nl_settle(p);
}

nl_rows nl_rows_of(const nl_pass *p, int64_t row, int64_t rows)
{
    const uint8_t *live = p->args->live;
    return (nl_rows){p->args->x + row * p->ldx, p->ldx, rows, live ? live + row : NULL, 1};
}

/* ---- tiles */

static int64_t row_scalars(const nl_norm *m)
{
    int64_t most = 1;
    for (int k = 0; k < m->nareas; k++)
        if (!m->area[k].capacity.columns && m->area[k].capacity.width > most)
            most = m->area[k].capacity.width;
    return most * nl_tile_rows(m->g.c, 1);
}

enum { SCALARS = 5, DOUBLES = 4 }; /* center, a, d, p, q of each area; G, H, dmean, dvar of one */

/* Arrays that are walked through register by register start on cache lines. */
static int64_t whole_lines(int64_t reals)
{
    enum { LINE = 16 };
    return (reals + LINE - 1) / LINE * LINE;
}

static int64_t reals_of_doubles(const nl_norm *m)
{
    return whole_lines(DOUBLES * row_scalars(m) * (int64_t)(sizeof(double) / sizeof(nl_real)));
}

int64_t nl_strip_reals(const nl_norm *m)
{
    const int64_t reals = reals_of_doubles(m) + whole_lines(m->g.c) +
                          2 * whole_lines(m->gamma_rows * m->g.c) +
                          NL_AREAS_MAX * SCALARS * row_scalars(m);
    const int64_t of_columns = 2 * m->g.c; /* sums of a chunk */
    return whole_lines(reals > of_columns ? reals : of_columns);
}

void nl_tile_open(const nl_pass *p, int64_t block, nl_tile *t)
{
    const int64_t gammas = whole_lines(p->m->gamma_rows * p->c), scalars = row_scalars(p->m);
    nl_real *at = p->strips + block * p->m->strip_room;
    t->G = (double *)(void *)at; /* doubles first: the strip is aligned */
    t->H = t->G + scalars, t->dmean = t->H + scalars, t->dvar = t->dmean + scalars;
    t->row = at += reals_of_doubles(p->m);
    t->dgamma = at += whole_lines(p->c);
    t->dbeta = at += gammas;
    at += gammas;
    for (int k = 0; k < NL_AREAS_MAX; k++, at += SCALARS * scalars) {
        t->center[k] = at, t->a[k] = at + scalars, t->d[k] = at + 2 * scalars;
        t->p[k] = at + 3 * scalars, t->q[k] = at + 4 * scalars;
    }
}

void nl_each_tile(const nl_pass *p, int64_t b, int64_t arrays, nl_tile *t,
                  void (*body)(const nl_pass *, nl_tile *))
{
    const int64_t most = nl_tile_rows(p->c, p->stream ? 2 : arrays);
    const nl_range block = nl_rows_of_block(p, b);
    const int64_t to = block.from + block.count;
    t->call = p->call;
    for (t->from = block.from; t->from < to; t->from += t->rows) {
        t->rows = to - t->from < most ? to - t->from : most;
        body(p, t);
    }
    nl_settle(p);
}

/* ---- statistics of fused areas: a row is a segment, a tile holds all of it */

nl_stats *nl_fused_stats(const nl_pass *p, nl_tile *t, int k)
{
    const int64_t w = p->plan[k].width, first = t->from * w;
    nl_stats *st = &t->call.stats[k];
    const nl_area_memory *mem = &p->mem[k];
    st->mean = mem->mean + first, st->var = mem->var + first;
    st->a = mem->a + first, st->d = nl_from(mem->d, first);
    st->G = t->G, st->H = t->H, st->dmean = t->dmean, st->dvar = t->dvar;
    st->first = first;
    st->statistics = t->rows * w;
    return st;
}

void nl_fused_forward(const nl_pass *p, nl_tile *t, int k)
{
    nl_stats *st = nl_fused_stats(p, t, k);
    const nl_area *area = &p->m->area[k].is;
    const nl_area_memory *mem = &p->mem[k];
    double *mean = mem->mean + st->first, *var = mem->var + st->first, *own = mem->own + st->first;
    if (nl_needs_batch(&p->call.policy, k)) {
        const bool about_zero = area->moments == NL_MEAN_SQUARE;
        nl_row_kernel()->moments(nl_rows_of(p, t->from, t->rows), p->c, p->plan[k].width,
                                 about_zero, own, var);
        nl_coefficient_kernel()->variance(st->statistics, 1 / st->count[0], about_zero, own, var,
                                          own, var);
    }
    if (area->population)
        nl_take_sources(p, k, st, own, mean, var);
    nl_find_coefficients(p->m, &t->call, k);
}

void nl_fused_chain(const nl_pass *p, nl_tile *t, int k)
{
    const nl_stats *st = nl_fused_stats(p, t, k);
    nl_coefficient_kernel()->recenter(st->statistics, t->center[k], st->mean, t->G, t->H);
    nl_find_gradients(p->m, &t->call, k);
    nl_reach_batch(p, k, st, p->mem[k].own + st->first);
}

/* ---- coefficients */

void nl_column_coefficients(const nl_pass *p, int k, bool fold_affine)
{
    const nl_area_memory *mem = &p->mem[k];
    const nl_stats *st = &p->call.stats[k];
    for (int64_t at = 0; at < st->statistics; at += p->c)
        nl_coefficient_kernel()->in_storage(
            p->c, st->mean + at, st->a + at, nl_from(st->d, at), fold_affine ? p->gamma : NULL,
            fold_affine ? p->beta : NULL, mem->center + at, mem->ra + at, mem->rd + at);
}

/* Statistics of row r of the tile: all rows' at once where each row has its own. */
static int64_t rows_at_once(const nl_plan *plan, const nl_tile *t)
{
    return plan->fused ? t->rows : 1;
}

static int64_t first_statistic(const nl_plan *plan, const nl_tile *t, int64_t r)
{
    return (plan->fused ? t->from + r : nl_segment_of(plan, t->from + r)) * plan->width;
}

void nl_row_coefficients(const nl_pass *p, nl_tile *t, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const int64_t rows = rows_at_once(plan, t), w = plan->width;
    for (int64_t r = 0; r < t->rows; r += rows) {
        const int64_t i = first_statistic(plan, t, r), at = r * w;
        nl_coefficient_kernel()->in_storage(rows * w, mem->mean + i, mem->a + i, nl_from(mem->d, i),
                                            NULL, NULL, t->center[k] + at, t->a[k] + at,
                                            t->d[k] + at);
    }
}

void nl_row_back_coefficients(const nl_pass *p, nl_tile *t, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_stats *st = &t->call.stats[k];
    const int64_t rows = rows_at_once(plan, t), w = plan->width;
    for (int64_t r = 0; r < t->rows; r += rows) {
        const int64_t i = first_statistic(plan, t, r), at = r * w;
        nl_chain(p, k, st, i - st->first, rows * w, t->center[k] + at, p->mem[k].own + i,
                 t->p[k] + at, t->q[k] + at);
    }
}

void nl_reach_batch(const nl_pass *p, int k, const nl_stats *st, const double *own)
{
    const nl_source from_mean = p->call.policy.mean[k], from_var = p->call.policy.var[k];
    const size_t bytes = (size_t)st->statistics * sizeof *st->dmean;
    if (from_mean >= NL_FROM_EXAMPLE) { /* var = E - mean^2, both mixed with weight w of the own */
        const double w = from_mean == NL_FROM_EXAMPLE ? 1 : p->call.policy.own_weight;
        for (int64_t i = 0; i < st->statistics; i++) {
            st->dmean[i] = w * (st->dmean[i] + 2 * (own[i] - st->mean[i]) * st->dvar[i]);
            st->dvar[i] *= w;
        }
        return;
    }
    if (from_mean != NL_FROM_BATCH)
        memset(st->dmean, 0, bytes);
    if (from_var != NL_FROM_BATCH)
        memset(st->dvar, 0, bytes);
}

void nl_chain(const nl_pass *p, int k, const nl_stats *st, int64_t i, int64_t count,
              const nl_real *center, const double *own, nl_real *to_p, nl_real *to_q)
{
    const double m = nl_count(st, i);
    if (m == 0 || !nl_needs_batch(&p->call.policy, k)) {
        memset(to_p, 0, (size_t)count * sizeof *to_p);
        memset(to_q, 0, (size_t)count * sizeof *to_q);
        return;
    }
    nl_coefficient_kernel()->chain(count, 1 / m, st->dmean + i, st->dvar + i, center, own, to_p,
                                   to_q);
}

/* ---- one row, all areas */

void nl_row_z(const nl_pass *p, const nl_tile *t, int64_t r, nl_real *z)
{
    const nl_part_kernels *kernel = nl_part_kernel();
    const nl_real *x = p->args->x + (t->from + r) * p->ldx;
    if (p->m->nareas == 0) {
        memcpy(z, x, (size_t)p->c * sizeof *z);
        return;
    }
    memset(z, 0, (size_t)p->c * sizeof *z);
    for (int k = 0; k < p->m->nareas; k++) {
        const nl_plan *plan = &p->plan[k];
        if (plan->columns) {
            const int64_t at = nl_segment_of(plan, t->from + r) * p->c;
            kernel->add_columns(
                z, x, p->c,
                (nl_columns){p->mem[k].center + at, p->mem[k].ra + at, p->mem[k].rd + at});
            continue;
        }
        const int64_t part = p->c / plan->width;
        for (int64_t j = 0; j < plan->width; j++) {
            const int64_t at = r * plan->width + j;
            kernel->add_scalar(z + j * part, x + j * part, part, t->center[k][at], t->a[k][at],
                               t->d[k][at]);
        }
    }
}

void nl_tile_coefficients(const nl_pass *p, nl_tile *t, bool forward)
{
    for (int k = 0; k < p->m->nareas; k++) {
        if (p->plan[k].columns)
            continue;
        if (p->plan[k].fused && forward)
            nl_fused_forward(p, t, k);
        nl_row_coefficients(p, t, k);
    }
}
