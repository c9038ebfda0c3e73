/* norm_forward.c: y of one call, over all areas of a method, and the start from data. */
#include <string.h>

#include "core/norm_pass.h"
#include "par/par.h"

static nl_result result_at(const nl_pass *p, int64_t row)
{
    const nl_args *a = p->args;
    const int64_t at = row * p->ldy;
    return (nl_result){a->y + at, p->ldy, a->residual ? a->residual + at : NULL, a->act, p->stream};
}

/* ---- by columns */

static void write_rows_by_columns(const nl_pass *p, int64_t row, int64_t rows)
{
    const nl_area_memory *mem = &p->mem[0];
    const int64_t at = nl_segment_of(&p->plan[0], row) * p->c;
    const nl_result to = result_at(p, row);
    nl_column_kernel()->write(nl_rows_of(p, row, rows), &to, p->c,
                              (nl_columns){mem->center + at, mem->ra + at, mem->rd + at});
}

static void write_block_by_columns(int64_t b, void *arg)
{
    nl_each_segment(arg, b, write_rows_by_columns);
}

/* ---- by rows */

static void standardize_rows(const nl_pass *p, int64_t from, int64_t count)
{
    const nl_result to = result_at(p, from);
    const nl_standard s = nl_standard_at(p, from);
    nl_standard_kernel()->forward(nl_rows_of(p, from, count), &to, p->c, &s);
    nl_settle(p);
}

static void standardize_block(int64_t b, void *arg)
{
    const nl_range block = nl_rows_of_block(arg, b);
    standardize_rows(arg, block.from, block.count);
}

static void standardize_all(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    (void)b;
    standardize_rows(p, p->first, p->rows);
}

/* Bytes of a row do not depend on its block, and at the ends of each nothing goes beside. */
static void standardize(nl_pass *p)
{
    if (nl_threads() == 1)
        nl_for(1, 0, standardize_all, p);
    else
        nl_for_row_blocks(p, NL_FORWARD_ARRAYS, standardize_block);
}

static void write_tile_by_rows(const nl_pass *p, nl_tile *t)
{
    const nl_result to = result_at(p, t->from);
    if (p->plan[0].fused)
        nl_fused_forward(p, t, 0);
    nl_row_coefficients(p, t, 0);
    nl_row_kernel()->write(nl_rows_of(p, t->from, t->rows), &to, p->c, t->center[0], t->a[0],
                           t->d[0], p->gamma, p->beta);
}

static void write_block(int64_t b, void *arg, void (*body)(const nl_pass *, nl_tile *))
{
    nl_tile t;
    nl_tile_open(arg, b, &t);
    nl_each_tile(arg, b, 1, &t, body);
}

static void write_block_by_rows(int64_t b, void *arg) { write_block(b, arg, write_tile_by_rows); }

/* ---- by parts */

static void add_residual(const nl_pass *p, int64_t from, int64_t rows)
{
    const bool whole = p->ldy == p->c; /* all rows are one */
    const int64_t width = whole ? rows * p->c : p->c;
    for (int64_t r = from; r < from + (whole ? 1 : rows); r++) {
        nl_real *y = p->args->y + r * p->ldy;
        const nl_real *residual = p->args->residual + r * p->ldy;
        for (int64_t k = 0; k < width; k++)
            y[k] += residual[k];
    }
}

static void finish_rows(const nl_pass *p, int64_t from, int64_t rows)
{
    const nl_args *a = p->args;
    const nl_act_kernels *kernel = nl_act_kernel();
    if (a->residual)
        add_residual(p, from, rows);
    if (a->act == NL_LINEAR && !(a->live && (a->residual || p->m->ops->whole_forward)))
        return;
    if (p->ldy == p->c && !a->live) {
        kernel->forward(a->act, a->y + from * p->c, a->y + from * p->c, rows * p->c);
        return;
    }
    for (int64_t r = from; r < from + rows; r++) {
        nl_real *y = a->y + r * p->ldy;
        if (a->live && !a->live[r]) /* padding is 0, whatever the activation of 0 */
            memset(y, 0, (size_t)p->c * sizeof *y);
        else
            kernel->forward(a->act, y, y, p->c);
    }
}

static void write_tile_by_parts(const nl_pass *p, nl_tile *t)
{
    nl_tile_coefficients(p, t, true);
    for (int64_t r = 0; r < t->rows; r++) {
        const int64_t row = t->from + r;
        nl_real *y = p->args->y + row * p->ldy;
        if (p->args->live && !p->args->live[row]) {
            memset(y, 0, (size_t)p->c * sizeof *y);
            continue;
        }
        nl_row_z(p, t, r, t->row);
        nl_part_kernel()->affine(t->row, y, p->c, nl_gamma_row(p, p->gamma, row),
                                 nl_gamma_row(p, p->beta, row));
    }
    finish_rows(p, t->from, t->rows);
}

static void write_block_by_parts(int64_t b, void *arg) { write_block(b, arg, write_tile_by_parts); }

/* ---- the call */

static void finish_block(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    const nl_range block = nl_rows_of_block(p, b);
    finish_rows(p, block.from, block.count);
}

static void update_populations(nl_pass *p)
{
    if (p->args->phase != NL_TRAIN || !p->args->update)
        return;
    for (int k = 0; k < p->m->nareas; k++) {
        if (!p->m->area[k].is.population)
            continue;
        /* state kept by example has as many places as the spec's batch */
        const nl_bound *kept = &p->call.v[p->m->area[k].state[NL_RUN_MEAN]];
        const int64_t places = kept->rows * kept->cols, have = p->plan[k].statistics;
        nl_update_population(p, k, have < places ? have : places);
    }
}

/* Batch moments and sources of every area that is not fused. */
static void whole_statistics(nl_pass *p)
{
    for (int k = 0; k < p->m->nareas; k++) {
        if (p->plan[k].fused)
            continue;
        if (nl_needs_batch(&p->call.policy, k))
            nl_reduce_moments(p, k);
        else
            p->mem[k].count[0] = 1;
        if (p->m->area[k].is.population)
            nl_take_sources(p, k, &p->call.stats[k], p->mem[k].own, p->mem[k].mean, p->mem[k].var);
    }
}

static void whole_coefficients(nl_pass *p)
{
    whole_statistics(p);
    for (int k = 0; k < p->m->nareas; k++)
        if (!p->plan[k].fused)
            nl_find_coefficients(p->m, &p->call, k);
}

/* g.init=0.1 rules over a start from data. */
static void keep_given_values(nl_norm *m)
{
    for (int i = 0; i < m->nvars; i++)
        if (m->item[i] >= 0)
            nl_item_given_init(nl_store_at(m->store, m->item[i]));
}

void nl_norm_start(nl_norm *m, const nl_args *a)
{
    nl_pass p;
    if (!m->ops->start)
        return;
    nl_pass_begin(&p, m, a);
    whole_statistics(&p);
    m->ops->start(m->self, &p.call);
    keep_given_values(m);
}

bool nl_norm_wants_output(const nl_norm *m) { return m->ops->start_output; }

void nl_norm_start_output(nl_norm *m, const nl_real *out, int64_t rows, int64_t ld, nl_real *bias)
{
    nl_pass p;
    const nl_args none = {.phase = NL_TRAIN};
    const int64_t c = m->g.c;
    double count = 0, *mean = nl_store_at(m->store, m->partials)->val, *var = mean + c;
    nl_hook_call(&p, m, &none);
    nl_column_kernel()->moments((nl_rows){out, ld, rows, NULL, 1}, c, &count, mean, var,
                                nl_store_at(m->store, m->strips)->val);
    for (int64_t j = 0; j < c; j++)
        var[j] /= count;
    m->ops->start_output(m->self, &p.call, mean, var, bias);
    keep_given_values(m);
}

static void run_call(nl_norm *m, const nl_args *a)
{
    nl_pass p;
    nl_pass_begin(&p, m, a);
    if (p.rows == 0)
        return;
    if (m->ops->whole_forward) {
        m->ops->whole_forward(m->self, &p.call);
        nl_for_row_blocks(&p, NL_FORWARD_ARRAYS, finish_block);
        return;
    }
    whole_coefficients(&p);
    const nl_way how = nl_way_of(&p);
    for (int k = 0; k < m->nareas; k++)
        if (p.plan[k].columns)
            nl_column_coefficients(&p, k, how == NL_BY_COLUMNS);
    switch (how) {
    case NL_BY_COLUMNS:
        nl_for_row_blocks_back(&p, NL_FORWARD_ARRAYS, write_block_by_columns);
        break;
    case NL_STANDARDIZED_ROWS: standardize(&p); break;
    case NL_BY_ROWS: nl_for_row_blocks(&p, NL_FORWARD_ARRAYS, write_block_by_rows); break;
    case NL_BY_PARTS: nl_for_row_blocks_back(&p, NL_FORWARD_ARRAYS, write_block_by_parts); break;
    }
    update_populations(&p);
}

void nl_norm_forward(nl_norm *m, const nl_args *a)
{
    const double start = nl_clock_start();
    run_call(m, a);
    nl_clock_stop(start, a);
}
