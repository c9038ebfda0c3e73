/* norm_backward.c: dx and the gradients of gamma and beta, of the latest forward. */
#include <string.h>

#include "core/norm_pass.h"
#include "kernel/coefficients.h"
#include "par/par.h"

static void add_to_grad(nl_real *grad, const double *sum, int64_t count)
{
    for (int64_t i = 0; grad && i < count; i++)
        grad[i] += (nl_real)sum[i];
}

/* dgamma = sum dy z = sum_o a H + d G, dbeta = sum_o G: before gamma goes into G and H. */
static void affine_gradients_by_columns(nl_pass *p)
{
    const nl_coefficient_kernels *kernel = nl_coefficient_kernel();
    const nl_area_memory *mem = &p->mem[0];
    const nl_stats *st = &p->call.stats[0];
    double *to_gamma = p->partials, *to_beta = to_gamma + p->c; /* the reduce pass is over */
    memset(to_gamma, 0, (size_t)(2 * p->c) * sizeof *to_gamma);
    for (int64_t at = 0; at < st->statistics; at += p->c) {
        if (nl_count(st, at) > 0) /* without values and with eps = 0 a is infinite */
            kernel->affine_sums(p->c, st->a + at, nl_from(st->d, at), mem->G + at, mem->H + at,
                                to_gamma, to_beta);
        if (p->gamma)
            kernel->scale(p->c, p->gamma, mem->G + at, mem->H + at);
    }
    add_to_grad(p->dgamma, to_gamma, p->c);
    add_to_grad(p->dbeta, to_beta, p->c);
}

static void column_back_coefficients(const nl_pass *p, int k)
{
    const nl_area_memory *mem = &p->mem[k];
    const nl_stats *st = &p->call.stats[k];
    for (int64_t at = 0; at < st->statistics; at += p->c)
        nl_chain(p, k, st, at, p->c, mem->center + at, mem->own + at, mem->rp + at, mem->rq + at);
}

static void back_rows_by_columns(const nl_pass *p, int64_t row, int64_t rows)
{
    const nl_area_memory *mem = &p->mem[0];
    const int64_t at = nl_segment_of(&p->plan[0], row) * p->c;
    nl_column_kernel()->back(nl_rows_of(p, row, rows), p->g + row * p->ldg, p->ldg,
                             p->args->dx + row * p->ldx, p->ldx, p->c, mem->center + at,
                             mem->ra + at, mem->rp + at, mem->rq + at, p->stream);
}

static void back_block_by_columns(int64_t b, void *arg)
{
    nl_each_segment(arg, b, back_rows_by_columns);
}

static void area_backward(nl_pass *p, int k)
{
    nl_find_gradients(p->m, &p->call, k);
    nl_reach_batch(p, k, &p->call.stats[k], p->mem[k].own);
}

static void backward_by_columns(nl_pass *p)
{
    p->differentiate = p->args->act != NL_LINEAR || p->args->d_residual;
    p->g = p->args->dy, p->ldg = p->ldy;
    nl_column_coefficients(p, 0, true);
    nl_reduce_gradients(p, 0);
    if (p->differentiate)
        p->g = nl_place_of_g(p, &p->ldg);
    affine_gradients_by_columns(p);
    area_backward(p, 0);
    column_back_coefficients(p, 0);
    nl_for_row_blocks_back(p, NL_BACKWARD_ARRAYS, back_block_by_columns);
}

/* ---- by rows */

static void back_tile_by_rows(const nl_pass *p, nl_tile *t)
{
    const nl_args *a = p->args;
    const nl_rows x = nl_rows_of(p, t->from, t->rows);
    const nl_arriving arriving = nl_arriving_at(p, t->from, 1);
    const nl_real *g = arriving.kept ? arriving.kept : arriving.dy;
    const int64_t ldg = arriving.kept ? arriving.ld_kept : arriving.ld;
    nl_row_coefficients(p, t, 0);
    nl_row_kernel()->gradients_affine(x, &arriving, p->c, p->gamma, t->center[0], t->a[0], t->d[0],
                                      t->G, t->H, t->dgamma, t->dbeta);
    nl_fused_chain(p, t, 0);
    nl_row_back_coefficients(p, t, 0);
    nl_row_kernel()->back(x, g, ldg, a->dx + t->from * p->ldx, p->ldx, p->c, p->gamma, t->center[0],
                          t->a[0], t->p[0], t->q[0], p->stream);
}

/* Runs body over block b, which adds to the tile's sums for gamma and beta; they stay in the strip
 * of the block. */
static void back_block(const nl_pass *p, int64_t b,
                       void (*body)(const nl_pass *, int64_t, nl_tile *))
{
    const size_t bytes = (size_t)(p->m->gamma_rows * p->c) * sizeof(nl_real);
    nl_tile t;
    nl_tile_open(p, b, &t);
    memset(t.dgamma, 0, bytes);
    memset(t.dbeta, 0, bytes);
    body(p, b, &t);
}

static void back_tiles_by_rows(const nl_pass *p, int64_t b, nl_tile *t)
{
    nl_each_tile(p, b, 2, t, back_tile_by_rows);
}

static void back_standardized_rows(const nl_pass *p, int64_t b, nl_tile *t)
{
    const nl_range block = nl_rows_of_block(p, b);
    const nl_arriving g = nl_arriving_at(p, block.from, 1);
    const nl_standard s = nl_standard_at(p, block.from);
    nl_standard_kernel()->back(nl_rows_of(p, block.from, block.count), &g,
                               p->args->dx + block.from * p->ldx, p->ldx, p->c, &s, t->dgamma,
                               p->dbeta ? t->dbeta : NULL, p->stream);
    nl_settle(p);
}

static void back_block_by_rows(int64_t b, void *arg) { back_block(arg, b, back_tiles_by_rows); }
static void standardize_back_block(int64_t b, void *arg)
{
    back_block(arg, b, back_standardized_rows);
}

static double *sums_of_piece(const nl_norm *m, int64_t piece)
{
    return (double *)nl_store_at(m->store, m->partials)->val + piece * m->partial_room;
}

static void add_to_piece(const nl_pass *p, const nl_tile *t)
{
    const int64_t count = p->m->gamma_rows * p->c;
    double *to_gamma = sums_of_piece(p->m, p->args->piece), *to_beta = to_gamma + count;
    for (int64_t i = 0; i < count; i++) {
        to_gamma[i] += (double)t->dgamma[i];
        to_beta[i] += (double)t->dbeta[i];
    }
}

void nl_norm_open_pieces(nl_norm *m, int64_t pieces)
{
    memset(sums_of_piece(m, 0), 0, (size_t)(pieces * m->partial_room) * sizeof(double));
}

static nl_real *gradient_of(const nl_norm *m, int variable)
{
    return variable < 0 ? NULL : nl_store_at(m->store, m->item[variable])->grad;
}

void nl_norm_close_pieces(nl_norm *m, int64_t pieces)
{
    const int64_t count = m->gamma_rows * m->g.c;
    double *sums = sums_of_piece(m, 0);
    nl_fold(sums, pieces, m->partial_room);
    add_to_grad(gradient_of(m, m->gamma), sums, count);
    add_to_grad(gradient_of(m, m->beta), sums + count, count);
}

static void fold_affine_sums(const nl_pass *p)
{
    const int64_t count = p->m->gamma_rows * p->c, blocks = nl_blocks_of(p);
    nl_tile first;
    nl_tile_open(p, 0, &first);
    if (nl_is_piece(p->args)) {
        add_to_piece(p, &first);
        return;
    }
    if (p->dgamma)
        nl_coefficient_kernel()->add_parts(count, first.dgamma, blocks, p->m->strip_room,
                                           p->dgamma);
    if (p->dbeta)
        nl_coefficient_kernel()->add_parts(count, first.dbeta, blocks, p->m->strip_room, p->dbeta);
}

/* ---- by parts */

/* g = dy act'(y) into dx, and into d_residual. */
static void differentiate_into_dx(const nl_pass *p, int64_t from, int64_t to)
{
    const nl_args *a = p->args;
    nl_differentiate_rows(p, from, to, 1, a->dx, p->ldx);
    for (int64_t r = from; a->d_residual && r < to; r++)
        memcpy(a->d_residual + r * p->ldy, a->dx + r * p->ldx, (size_t)p->c * sizeof *a->dx);
}

/* g = gamma dy act'(y) into dx, and the sums for gamma and beta. */
static void open_tile_by_parts(const nl_pass *p, nl_tile *t)
{
    differentiate_into_dx(p, t->from, t->from + t->rows);
    nl_tile_coefficients(p, t, false);
    for (int64_t r = 0; r < t->rows; r++) {
        const int64_t row = t->from + r;
        if (p->args->live && !p->args->live[row])
            continue;
        nl_real *g = p->args->dx + row * p->ldx;
        nl_row_z(p, t, r, t->row);
        nl_part_kernel()->affine_back(t->row, g, g, p->c, nl_gamma_row(p, p->gamma, row),
                                      p->dgamma ? (nl_real *)nl_gamma_row(p, t->dgamma, row) : NULL,
                                      p->dbeta ? (nl_real *)nl_gamma_row(p, t->dbeta, row) : NULL);
    }
}

static void open_tiles_by_parts(const nl_pass *p, int64_t b, nl_tile *t)
{
    nl_each_tile(p, b, 2, t, open_tile_by_parts);
}

static void open_block_by_parts(int64_t b, void *arg) { back_block(arg, b, open_tiles_by_parts); }

static void back_row_by_parts(const nl_pass *p, nl_tile *t, int64_t r)
{
    const nl_part_kernels *kernel = nl_part_kernel();
    const int64_t row = t->from + r;
    const nl_real *x = p->args->x + row * p->ldx;
    nl_real *dx = p->args->dx + row * p->ldx, *g = t->row;
    memcpy(g, dx, (size_t)p->c * sizeof *g);
    memset(dx, 0, (size_t)p->c * sizeof *dx);
    for (int k = 0; k < p->m->nareas; k++) {
        const nl_plan *plan = &p->plan[k];
        const nl_area_memory *mem = &p->mem[k];
        if (plan->columns) {
            const int64_t at = nl_segment_of(plan, row) * p->c;
            kernel->back_add_columns(dx, g, x, p->c, mem->center + at, mem->ra + at, mem->rp + at,
                                     mem->rq + at);
            continue;
        }
        const int64_t part = p->c / plan->width;
        for (int64_t j = 0; j < plan->width; j++) {
            const int64_t at = r * plan->width + j;
            kernel->back_add_scalar(dx + j * part, g + j * part, x + j * part, part,
                                    t->center[k][at], t->a[k][at], t->p[k][at], t->q[k][at]);
        }
    }
}

/* G, H and what follows of a fused area of several, g in dx. */
static void fused_backward(const nl_pass *p, nl_tile *t, int k)
{
    nl_row_kernel()->gradients(nl_rows_of(p, t->from, t->rows), p->args->dx + t->from * p->ldx,
                               p->ldx, p->c, p->plan[k].width, t->center[k], t->G, t->H);
    nl_fused_chain(p, t, k);
}

static void back_tile_by_parts(const nl_pass *p, nl_tile *t)
{
    for (int k = 0; k < p->m->nareas; k++) {
        if (p->plan[k].columns)
            continue;
        nl_row_coefficients(p, t, k);
        if (p->plan[k].fused)
            fused_backward(p, t, k);
        nl_row_back_coefficients(p, t, k);
    }
    for (int64_t r = 0; r < t->rows && p->m->nareas; r++)
        if (!p->args->live || p->args->live[t->from + r])
            back_row_by_parts(p, t, r);
}

static void back_block_by_parts(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    nl_tile t;
    nl_tile_open(p, b, &t);
    nl_each_tile(p, b, 2, &t, back_tile_by_parts);
}

static void center_of_row_areas(nl_pass *p, int k)
{
    for (int64_t i = 0; i < p->plan[k].statistics; i++)
        p->mem[k].center[i] = (nl_real)p->mem[k].mean[i];
}

static void backward_by_parts(nl_pass *p)
{
    for (int k = 0; k < p->m->nareas; k++)
        if (p->plan[k].columns)
            nl_column_coefficients(p, k, false);
    nl_for_row_blocks(p, NL_BACKWARD_ARRAYS, open_block_by_parts);
    fold_affine_sums(p);
    p->g = p->args->dx, p->ldg = p->ldx;
    for (int k = 0; k < p->m->nareas; k++) {
        if (p->plan[k].fused)
            continue;
        if (!p->plan[k].columns)
            center_of_row_areas(p, k);
        nl_reduce_gradients(p, k);
    }
    for (int k = 0; k < p->m->nareas; k++)
        if (!p->plan[k].fused) {
            area_backward(p, k);
            if (p->plan[k].columns)
                column_back_coefficients(p, k);
        }
    nl_for_row_blocks(p, NL_BACKWARD_ARRAYS, back_block_by_parts);
}

static void differentiate_block(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    const nl_range block = nl_rows_of_block(p, b);
    differentiate_into_dx(p, block.from, block.from + block.count);
}

static void zero_padding(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    const nl_range block = nl_rows_of_block(p, b);
    for (int64_t r = block.from; p->args->live && r < block.from + block.count; r++)
        if (!p->args->live[r])
            memset(p->args->dx + r * p->ldx, 0, (size_t)p->c * sizeof *p->args->dx);
}

static void run_call(nl_norm *m, const nl_args *a)
{
    nl_pass p;
    nl_pass_begin(&p, m, a);
    if (p.rows == 0)
        return;
    if (m->ops->whole_forward) {
        nl_for_row_blocks(&p, NL_BACKWARD_ARRAYS, differentiate_block);
        m->ops->whole_backward(m->self, &p.call);
        nl_for_row_blocks(&p, 1, zero_padding);
        return;
    }
    switch (nl_way_of(&p)) {
    case NL_BY_COLUMNS: backward_by_columns(&p); return;
    case NL_BY_ROWS:
        if (!p.plan[0].fused)
            break; /* a segment of several rows: by parts */
        p.differentiate = a->act != NL_LINEAR || a->d_residual;
        nl_for_row_blocks(&p, NL_BACKWARD_ARRAYS, back_block_by_rows);
        fold_affine_sums(&p);
        return;
    case NL_STANDARDIZED_ROWS:
        p.differentiate = a->act != NL_LINEAR || a->d_residual;
        nl_for_row_blocks(&p, NL_BACKWARD_ARRAYS, standardize_back_block);
        fold_affine_sums(&p);
        return;
    case NL_BY_PARTS: break;
    }
    backward_by_parts(&p);
}

void nl_norm_backward(nl_norm *m, const nl_args *a)
{
    const double start = nl_clock_start();
    run_call(m, a);
    nl_clock_stop(start, a);
}
