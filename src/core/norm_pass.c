/* norm_pass.c: forward and backward of one call, over all areas of a method.
 *
 * Three ways to write, the same formula: coefficients per channel (one area that keeps channels:
 * batch, instance), per row (one area that reduces all of them: layer, rms), or row by row through
 * a scratch row (everything else: several areas, channel groups). */
#include <string.h>

#include "core/norm_plan.h"
#include "par/par.h"

typedef enum way { BY_COLUMNS, BY_ROWS, BY_PARTS } way;

static way way_of(const nl_pass *p)
{
    if (p->m->nareas != 1 || p->m->gamma_rows != 1)
        return BY_PARTS;
    if (p->plan[0].columns)
        return BY_COLUMNS;
    return p->plan[0].width == 1 ? BY_ROWS : BY_PARTS;
}

/* ---- setting up a call */

static bool any_live(const nl_pass *p)
{
    const nl_args *a = p->args;
    const int64_t rows = a->n * p->m->g.s;
    int64_t row = 0;
    while (a->live && row < rows && !a->live[row])
        row++;
    return row < rows;
}

static void bind_variables(nl_pass *p)
{
    nl_norm *m = p->m;
    int64_t state_t = p->args->t;
    if (m->per_step) {
        int64_t *trained = nl_store_at(m->store, m->trained)->val;
        if (p->args->phase == NL_TRAIN && p->args->update && *trained <= p->args->t && any_live(p))
            *trained = p->args->t + 1;
        if (p->args->phase == NL_EVAL && *trained > 0 && state_t >= *trained)
            state_t = *trained - 1; /* Cooijmans et al. 2017, sec. 3: the last step's statistics */
    }
    for (int i = 0; i < m->nvars; i++) {
        p->call.v[i] = (nl_bound){0};
        if (m->item[i] < 0)
            continue;
        const nl_item *it = nl_store_at(m->store, m->item[i]);
        const int64_t t = it->decl->role == NL_STATE ? state_t : p->args->t;
        const int64_t at = it->steps > 1 ? t * it->rows * it->cols : 0;
        p->call.v[i] = (nl_bound){(char *)it->val + (size_t)at * nl_type_bytes(it->decl->type),
                                  it->grad ? it->grad + at : NULL, it->rows, it->cols};
    }
}

static void *item_at(const nl_norm *m, int item, int64_t t)
{
    const nl_item *it = nl_store_at(m->store, item);
    const int64_t at = it->steps > 1 ? t * it->rows * it->cols : 0;
    return (char *)it->val + (size_t)at * nl_type_bytes(it->decl->type);
}

static void bind_area(nl_pass *p, int k)
{
    nl_norm *m = p->m;
    const nl_norm_area *area = &m->area[k];
    nl_area_memory *mem = &p->mem[k];
    double *saved[NL_SAVED_ARRAYS];
    for (int i = 0; i < NL_SAVED_ARRAYS; i++)
        saved[i] = area->saved[i] < 0 ? NULL : item_at(m, area->saved[i], p->args->t);
    mem->mean = saved[0], mem->var = saved[1], mem->a = saved[2], mem->d = saved[3];
    mem->own = saved[4] ? saved[4] : mem->mean;
    mem->count = saved[5];
    if (area->scratch >= 0) {
        const int64_t room = nl_store_at(m->store, area->scratch)->cols;
        double *at = nl_store_at(m->store, area->scratch)->val;
        mem->G = at, mem->H = at + room, mem->dmean = at + 2 * room, mem->dvar = at + 3 * room;
        nl_real *r = nl_store_at(m->store, area->reals)->val;
        mem->center = r, mem->ra = r + room, mem->rd = r + 2 * room, mem->rp = r + 3 * room;
        mem->rq = r + 4 * room;
    }
    nl_stats *st = &p->call.stats[k];
    *st = (nl_stats){.mean = mem->mean,
                     .var = mem->var,
                     .a = mem->a,
                     .d = mem->d,
                     .G = mem->G,
                     .H = mem->H,
                     .dmean = mem->dmean,
                     .dvar = mem->dvar,
                     .count = mem->count,
                     .counts_differ =
                         !p->plan[k].fused && p->args->live && nl_needs_batch(&p->call.policy, k),
                     .statistics = p->plan[k].statistics};
    if (p->plan[k].fused)
        mem->count[0] = (double)(p->c / p->plan[k].width);
}

static void choose_policy(nl_pass *p)
{
    const nl_args *a = p->args;
    p->call.policy = (nl_policy){.own_weight = 1};
    if (a->phase == NL_EVAL)
        p->call.policy = a->policy ? *a->policy : p->m->own;
    for (int k = 0; k < p->m->nareas; k++)
        if (!p->m->area[k].is.population)
            p->call.policy.mean[k] = p->call.policy.var[k] = NL_FROM_BATCH;
}

void nl_hook_call(nl_pass *p, nl_norm *m, const nl_args *a)
{
    p->m = m;
    p->args = a;
    p->call.args = a;
    p->call.geom = &m->g;
    bind_variables(p);
}

static void begin(nl_pass *p, nl_norm *m, const nl_args *a)
{
    p->m = m;
    p->args = a;
    p->c = m->g.c;
    p->rows = a->n * m->g.s;
    p->ldx = a->ldx ? a->ldx : p->c;
    p->ldy = a->ldy ? a->ldy : p->c;
    p->call.args = a;
    p->call.geom = &m->g;
    p->call.key = a->key;
    p->call.key.epoch ^= m->place;
    p->differentiate = false;
    p->stream = p->rows * p->c * (int64_t)sizeof(nl_real) >= NL_STREAM_BYTES;
    choose_policy(p);
    bind_variables(p);
    for (int k = 0; k < m->nareas; k++) {
        nl_area is = m->area[k].is;
        if (p->call.policy.mean[k] >= NL_FROM_EXAMPLE)
            is.over &= ~(unsigned)NL_OVER_N;
        p->plan[k] = nl_plan_of(&is, &m->g, a->n);
        bind_area(p, k);
    }
    p->gamma = m->gamma < 0 ? NULL : p->call.v[m->gamma].val;
    p->beta = m->beta < 0 ? NULL : p->call.v[m->beta].val;
    p->dgamma = m->gamma < 0 ? NULL : p->call.v[m->gamma].grad;
    p->dbeta = m->beta < 0 ? NULL : p->call.v[m->beta].grad;
    if (m->nareas) {
        p->partials = nl_store_at(m->store, m->partials)->val;
        p->counts = nl_store_at(m->store, m->counts)->val;
    }
    p->strips = nl_store_at(m->store, m->strips)->val;
}

/* ---- a block of rows and its scratch */

typedef struct tile {
    int64_t from, rows;      /* rows of the call */
    nl_call call;            /* statistics of fused areas are this tile's */
    nl_real *row, *row2;     /* c values each */
    nl_real *dgamma, *dbeta; /* this block's sums */
    nl_real *center[NL_AREAS_MAX], *a[NL_AREAS_MAX], *d[NL_AREAS_MAX], *p[NL_AREAS_MAX],
        *q[NL_AREAS_MAX];         /* per row (and group), of areas that reduce channels */
    double *G, *H, *dmean, *dvar; /* of one fused area */
} tile;

static int64_t row_scalars(const nl_norm *m)
{
    int64_t most = 1;
    for (int k = 0; k < m->nareas; k++)
        if (!m->area[k].capacity.columns && m->area[k].capacity.width > most)
            most = m->area[k].capacity.width;
    return most * nl_tile_rows(m->g.c);
}

int64_t nl_strip_reals(const nl_norm *m)
{
    const int64_t scalars = row_scalars(m);
    const int64_t doubles = 4 * scalars * (int64_t)(sizeof(double) / sizeof(nl_real));
    return 2 * m->g.c + 2 * m->gamma_rows * m->g.c + NL_AREAS_MAX * 5 * scalars + doubles + 16;
}

static void open_tile(const nl_pass *p, int64_t block, tile *t)
{
    const int64_t c = p->c, gammas = p->m->gamma_rows * c, scalars = row_scalars(p->m);
    nl_real *at = p->strips + block * p->m->strip_room;
    t->G = (double *)(void *)at; /* doubles first: the strip is aligned */
    t->H = t->G + scalars, t->dmean = t->H + scalars, t->dvar = t->dmean + scalars;
    at += 4 * scalars * (int64_t)(sizeof(double) / sizeof(nl_real));
    t->row = at, t->row2 = at + c;
    t->dgamma = at + 2 * c, t->dbeta = t->dgamma + gammas;
    at += 2 * c + 2 * gammas;
    for (int k = 0; k < NL_AREAS_MAX; k++, at += 5 * scalars) {
        t->center[k] = at, t->a[k] = at + scalars, t->d[k] = at + 2 * scalars;
        t->p[k] = at + 3 * scalars, t->q[k] = at + 4 * scalars;
    }
    t->call = p->call;
}

static nl_rows tile_rows(const nl_pass *p, const tile *t)
{
    const uint8_t *live = p->args->live;
    return (nl_rows){p->args->x + t->from * p->ldx, p->ldx, t->rows, live ? live + t->from : NULL,
                     1};
}

/* Runs body over the tiles of block b. */
static void each_tile(const nl_pass *p, int64_t b, tile *t, void (*body)(const nl_pass *, tile *))
{
    const int64_t blocks = nl_row_blocks(p->rows, p->c), most = nl_tile_rows(p->c);
    const int64_t from = nl_edge(p->rows, blocks, b), to = nl_edge(p->rows, blocks, b + 1);
    for (t->from = from; t->from < to; t->from += t->rows) {
        t->rows = to - t->from < most ? to - t->from : most;
        body(p, t);
    }
}

/* Points the statistics of fused area k at this tile's rows. */
static nl_stats *fused_stats(const nl_pass *p, tile *t, int k)
{
    const int64_t w = p->plan[k].width, first = t->from * w;
    nl_stats *st = &t->call.stats[k];
    const nl_area_memory *mem = &p->mem[k];
    st->mean = mem->mean + first, st->var = mem->var + first;
    st->a = mem->a + first, st->d = mem->d + first;
    st->G = t->G, st->H = t->H, st->dmean = t->dmean, st->dvar = t->dvar;
    st->first = first;
    st->statistics = t->rows * w;
    return st;
}

/* The saved arrays of the tile after this one are brought near while this one is worked on. */
static void fetch_next_statistics(const nl_area_memory *mem, const nl_stats *st)
{
    enum { LINE = 8 }; /* doubles */
    for (int64_t i = st->first + st->statistics; i < st->first + 2 * st->statistics; i += LINE) {
        __builtin_prefetch(mem->mean + i, 1);
        __builtin_prefetch(mem->var + i, 1);
        __builtin_prefetch(mem->a + i, 1);
        __builtin_prefetch(mem->d + i, 1);
    }
}

/* Moments, sources and coefficients of a fused area for this tile. */
static void fused_forward(const nl_pass *p, tile *t, int k)
{
    nl_stats *st = fused_stats(p, t, k);
    const nl_norm_area *area = &p->m->area[k];
    const nl_area_memory *mem = &p->mem[k];
    const double per_m = 1 / st->count[0];
    double *mean = mem->mean + st->first, *var = mem->var + st->first;
    fetch_next_statistics(mem, st);
    if (nl_needs_batch(&p->call.policy, k)) {
        double *own = mem->own + st->first;
        nl_area_kernel()->row_moments(tile_rows(p, t), p->c, p->plan[k].width,
                                      area->is.moments == NL_MEAN_SQUARE, own, var);
        for (int64_t i = 0; i < st->statistics; i++)
            var[i] = nl_nan_if_infinite(var[i] * per_m);
    }
    if (area->is.population)
        nl_take_sources(p, k, st, mem->own + st->first, mean, var);
    p->m->ops->forward(p->m->self, &t->call, k);
}

/* Coefficient of z for statistic i of area k, in the storage type, as entry `at` of the tile. */
static inline void one_coefficient(const nl_area_memory *mem, tile *t, int k, int64_t i, int64_t at)
{
    const nl_real center = (nl_real)mem->mean[i];
    t->center[k][at] = center;
    t->a[k][at] = (nl_real)mem->a[i];
    t->d[k][at] = (nl_real)(mem->d[i] + mem->a[i] * ((double)center - mem->mean[i]));
}

/* Coefficients per row (and group) of area k for this tile. */
static void row_coefficients(const nl_pass *p, tile *t, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const int64_t w = plan->width;
    for (int64_t at = 0; plan->fused && at < t->rows * w; at++)
        one_coefficient(mem, t, k, t->from * w + at, at);
    for (int64_t r = 0; !plan->fused && r < t->rows; r++)
        for (int64_t j = 0; j < w; j++)
            one_coefficient(mem, t, k, nl_segment_of(plan, t->from + r) * w + j, r * w + j);
}

/* p and q of dx = a g + p (x - center) + q from dL/dmean and dL/dvar of statistic i. */
static void chain(const nl_pass *p, int k, const nl_stats *st, int64_t i, double center, double own,
                  double *to_p, double *to_q)
{
    const nl_source from_mean = p->call.policy.mean[k], from_var = p->call.policy.var[k];
    const double m = nl_count(st, i);
    double dmean = st->dmean[i], dvar = st->dvar[i];
    if (m == 0 || !nl_needs_batch(&p->call.policy, k)) {
        *to_p = *to_q = 0;
        return;
    }
    if (from_mean >= NL_FROM_EXAMPLE) { /* var = E - mean^2, both mixed with weight w of the own */
        const double w = from_mean == NL_FROM_EXAMPLE ? 1 : p->call.policy.own_weight;
        dmean = w * (dmean - 2 * st->mean[i] * dvar + 2 * own * dvar);
        dvar *= w;
    } else {
        dmean = from_mean == NL_FROM_BATCH ? dmean : 0;
        dvar = from_var == NL_FROM_BATCH ? dvar : 0;
    }
    *to_p = 2 * dvar / m;
    *to_q = dmean / m + *to_p * (center - own);
}

static void row_back_coefficients(const nl_pass *p, tile *t, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const nl_stats *st = &t->call.stats[k];
    const int64_t w = plan->width;
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t j = 0; j < w; j++) {
            const int64_t segment = plan->fused ? t->from + r : nl_segment_of(plan, t->from + r);
            const int64_t i = segment * w + j, at = r * w + j;
            double to_p, to_q;
            chain(p, k, st, i - st->first, (double)t->center[k][at], mem->own[i], &to_p, &to_q);
            t->p[k][at] = (nl_real)to_p;
            t->q[k][at] = (nl_real)to_q;
        }
}

/* ---- finishing rows: residual and activation */

/* What is read once more at once, to be finished, must not go past the cache. */
static bool streams_result(const nl_pass *p)
{
    return p->stream && p->args->act == NL_LINEAR && !p->args->residual && !p->args->live;
}

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

/* ---- forward by columns */

/* Folds gamma and beta into the coefficients, once per statistic. */
static void column_coefficients(const nl_pass *p, int k, bool fold_affine)
{
    const nl_area_memory *mem = &p->mem[k];
    const nl_stats *st = &p->call.stats[k];
    for (int64_t o = 0; o < p->plan[k].segments; o++)
        for (int64_t j = 0; j < p->c; j++) {
            const int64_t i = o * p->c + j;
            const double gamma = fold_affine && p->gamma ? (double)p->gamma[j] : 1;
            const double beta = fold_affine && p->beta ? (double)p->beta[j] : 0;
            const nl_real center = (nl_real)st->mean[i];
            mem->center[i] = center;
            mem->ra[i] = (nl_real)(gamma * st->a[i]);
            mem->rd[i] =
                (nl_real)(gamma * (st->d[i] + st->a[i] * ((double)center - st->mean[i])) + beta);
        }
}

/* Rows from `row` on that share their segment, at most `most`. */
static int64_t same_segment(const nl_plan *plan, int64_t row, int64_t most)
{
    if (plan->interleaved)
        return plan->segments == 1 ? most : 1;
    const int64_t left = plan->rows - row % plan->rows;
    return left < most ? left : most;
}

static nl_rows run_of_rows(const nl_pass *p, int64_t row, int64_t rows)
{
    const uint8_t *live = p->args->live;
    return (nl_rows){p->args->x + row * p->ldx, p->ldx, rows, live ? live + row : NULL, 1};
}

static void write_tile_by_columns(const nl_pass *p, tile *t)
{
    const nl_area_memory *mem = &p->mem[0];
    for (int64_t r = t->from, run; r < t->from + t->rows; r += run) {
        run = same_segment(&p->plan[0], r, t->from + t->rows - r);
        const int64_t at = nl_segment_of(&p->plan[0], r) * p->c;
        nl_area_kernel()->write_columns(
            run_of_rows(p, r, run), p->args->y + r * p->ldy, p->ldy, p->c,
            (nl_columns){mem->center + at, mem->ra + at, mem->rd + at}, streams_result(p));
    }
    finish_rows(p, t->from, t->rows);
}

static void write_block_by_columns(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    tile t = {0};
    each_tile(p, b, &t, write_tile_by_columns);
}

/* ---- forward by rows */

static void write_tile_by_rows(const nl_pass *p, tile *t)
{
    if (p->plan[0].fused)
        fused_forward(p, t, 0);
    row_coefficients(p, t, 0);
    nl_area_kernel()->write_rows(tile_rows(p, t), p->args->y + t->from * p->ldy, p->ldy, p->c,
                                 t->center[0], t->a[0], t->d[0], p->gamma, p->beta,
                                 streams_result(p));
    finish_rows(p, t->from, t->rows);
}

/* ---- forward by parts */

static const nl_real *gamma_row(const nl_pass *p, const nl_real *gamma, int64_t row)
{
    return gamma && p->m->gamma_rows > 1 ? gamma + row % p->m->g.s * p->c : gamma;
}

/* z of one row, summed over the areas. */
static void row_z(const nl_pass *p, const tile *t, int64_t r, nl_real *z)
{
    const nl_area_kernels *kernel = nl_area_kernel();
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

static void tile_coefficients(const nl_pass *p, tile *t, bool forward)
{
    for (int k = 0; k < p->m->nareas; k++) {
        if (p->plan[k].columns)
            continue;
        if (p->plan[k].fused && forward)
            fused_forward(p, t, k);
        row_coefficients(p, t, k);
    }
}

static void write_tile_by_parts(const nl_pass *p, tile *t)
{
    tile_coefficients(p, t, true);
    for (int64_t r = 0; r < t->rows; r++) {
        const int64_t row = t->from + r;
        nl_real *y = p->args->y + row * p->ldy;
        if (p->args->live && !p->args->live[row]) {
            memset(y, 0, (size_t)p->c * sizeof *y);
            continue;
        }
        row_z(p, t, r, t->row);
        nl_area_kernel()->affine(t->row, y, p->c, gamma_row(p, p->gamma, row),
                                 gamma_row(p, p->beta, row));
    }
    finish_rows(p, t->from, t->rows);
}

static void write_block_by_rows(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    tile t;
    open_tile(p, b, &t);
    each_tile(p, b, &t, write_tile_by_rows);
}

static void write_block_by_parts(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    tile t;
    open_tile(p, b, &t);
    each_tile(p, b, &t, write_tile_by_parts);
}

static void for_row_blocks(nl_pass *p, int64_t arrays, void (*body)(int64_t, void *))
{
    nl_for(nl_row_blocks(p->rows, p->c), arrays * p->rows * p->c * (int64_t)sizeof(nl_real), body,
           p);
}

static void finish_block(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    const int64_t blocks = nl_row_blocks(p->rows, p->c), from = nl_edge(p->rows, blocks, b);
    finish_rows(p, from, nl_edge(p->rows, blocks, b + 1) - from);
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
        nl_update_population(p, k, 0, have < places ? have : places);
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
            p->m->ops->forward(p->m->self, &p->call, k);
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
    begin(&p, m, a);
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
    memset(mean, 0, (size_t)(2 * c) * sizeof *mean);
    nl_area_kernel()->column_moments((nl_rows){out, ld, rows, NULL, 1}, c, &count, mean, var,
                                     nl_store_at(m->store, m->strips)->val);
    for (int64_t j = 0; j < c; j++)
        var[j] /= count;
    m->ops->start_output(m->self, &p.call, mean, var, bias);
    keep_given_values(m);
}

void nl_norm_forward(nl_norm *m, const nl_args *a)
{
    nl_pass p;
    begin(&p, m, a);
    if (p.rows == 0)
        return;
    if (m->ops->whole_forward) {
        m->ops->whole_forward(m->self, &p.call);
        for_row_blocks(&p, 2, finish_block);
        return;
    }
    whole_coefficients(&p);
    const way how = way_of(&p);
    for (int k = 0; k < m->nareas; k++)
        if (p.plan[k].columns)
            column_coefficients(&p, k, how == BY_COLUMNS);
    static void (*const write[])(int64_t, void *) = {write_block_by_columns, write_block_by_rows,
                                                     write_block_by_parts};
    for_row_blocks(&p, 2, write[how]);
    update_populations(&p);
}

/* ---- backward */

static void add_to_grad(nl_real *grad, const double *sum, int64_t count)
{
    for (int64_t i = 0; grad && i < count; i++)
        grad[i] += (nl_real)sum[i];
}

/* dgamma = sum dy z = sum_o a H + d G, dbeta = sum_o G: before gamma goes into G and H. */
static void affine_gradients_by_columns(nl_pass *p)
{
    const nl_area_memory *mem = &p->mem[0];
    const nl_stats *st = &p->call.stats[0];
    for (int64_t j = 0; j < p->c; j++) {
        double to_gamma = 0, to_beta = 0;
        for (int64_t i = j; i < st->statistics; i += p->c) {
            if (nl_count(st, i) == 0)
                continue; /* with eps = 0 its coefficient is infinite */
            to_gamma += st->a[i] * mem->H[i] + st->d[i] * mem->G[i];
            to_beta += mem->G[i];
        }
        if (p->dgamma)
            p->dgamma[j] += (nl_real)to_gamma;
        if (p->dbeta)
            p->dbeta[j] += (nl_real)to_beta;
    }
    for (int64_t i = 0; p->gamma && i < st->statistics; i++) {
        mem->G[i] *= (double)p->gamma[i % p->c];
        mem->H[i] *= (double)p->gamma[i % p->c];
    }
}

static void column_back_coefficients(const nl_pass *p, int k, bool fold_gamma)
{
    const nl_area_memory *mem = &p->mem[k];
    const nl_stats *st = &p->call.stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        const double gamma = fold_gamma && p->gamma ? (double)p->gamma[i % p->c] : 1;
        double to_p, to_q;
        chain(p, k, st, i, (double)mem->center[i], mem->own[i], &to_p, &to_q);
        mem->ra[i] = (nl_real)(gamma * st->a[i]);
        mem->rp[i] = (nl_real)to_p;
        mem->rq[i] = (nl_real)to_q;
    }
}

static void back_tile_by_columns(const nl_pass *p, tile *t)
{
    const nl_area_memory *mem = &p->mem[0];
    for (int64_t r = t->from, run; r < t->from + t->rows; r += run) {
        run = same_segment(&p->plan[0], r, t->from + t->rows - r);
        const int64_t at = nl_segment_of(&p->plan[0], r) * p->c;
        nl_area_kernel()->back_columns(run_of_rows(p, r, run), p->g + r * p->ldg, p->ldg,
                                       p->args->dx + r * p->ldx, p->ldx, p->c, mem->center + at,
                                       mem->ra + at, mem->rp + at, mem->rq + at, p->stream);
    }
}

static void back_block_by_columns(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    tile t = {0};
    each_tile(p, b, &t, back_tile_by_columns);
}

static void backward_by_columns(nl_pass *p)
{
    p->differentiate = p->args->act != NL_LINEAR || p->args->d_residual;
    p->g = p->args->dy, p->ldg = p->ldy;
    if (p->differentiate)
        p->g = nl_place_of_g(p, &p->ldg);
    column_coefficients(p, 0, false); /* the center */
    nl_reduce_gradients(p, 0);
    affine_gradients_by_columns(p);
    p->m->ops->backward(p->m->self, &p->call, 0);
    column_back_coefficients(p, 0, true);
    for_row_blocks(p, 3, back_block_by_columns);
}

/* dL/dmean, dL/dvar of a fused area for this tile, once G and H are there. */
static void fused_chain(const nl_pass *p, tile *t, int k)
{
    const nl_stats *st = &t->call.stats[k];
    for (int64_t i = 0; i < st->statistics; i++)
        t->H[i] += ((double)t->center[k][i] - st->mean[i]) * t->G[i];
    p->m->ops->backward(p->m->self, &t->call, k);
}

/* The same from the start, g in dx. */
static void fused_backward(const nl_pass *p, tile *t, int k)
{
    fetch_next_statistics(&p->mem[k], fused_stats(p, t, k));
    nl_area_kernel()->row_gradients(tile_rows(p, t), p->args->dx + t->from * p->ldx, p->ldx, p->c,
                                    p->plan[k].width, NULL, t->center[k], t->G, t->H);
    fused_chain(p, t, k);
}

/* The same for the one area of a method by rows, with the sums for gamma and beta. */
static void row_area_backward(const nl_pass *p, tile *t, const nl_real *g, int64_t ldg)
{
    fetch_next_statistics(&p->mem[0], fused_stats(p, t, 0));
    if (p->dgamma || p->dbeta)
        nl_area_kernel()->row_gradients_affine(tile_rows(p, t), g, ldg, p->c, p->gamma,
                                               t->center[0], t->a[0], t->d[0], t->G, t->H,
                                               t->dgamma, t->dbeta);
    else
        nl_area_kernel()->row_gradients(tile_rows(p, t), g, ldg, p->c, 1, p->gamma, t->center[0],
                                        t->G, t->H);
    fused_chain(p, t, 0);
}

static void back_tile_by_rows(const nl_pass *p, tile *t)
{
    const nl_args *a = p->args;
    const nl_real *g = a->dy + t->from * p->ldy;
    int64_t ldg = p->ldy;
    if (p->differentiate) {
        nl_real *to = nl_place_of_g(p, &ldg);
        nl_differentiate_rows(p, t->from, t->from + t->rows, 1, to, ldg);
        g = to + t->from * ldg;
    }
    row_coefficients(p, t, 0);
    row_area_backward(p, t, g, ldg);
    row_back_coefficients(p, t, 0);
    nl_area_kernel()->back_rows(tile_rows(p, t), g, ldg, a->dx + t->from * p->ldx, p->ldx, p->c,
                                p->gamma, t->center[0], t->a[0], t->p[0], t->q[0], p->stream);
}

/* A block's sums for gamma and beta go into its row of the partial sums. */
static void keep_affine_sums(const nl_pass *p, int64_t b, const tile *t)
{
    const int64_t count = p->m->gamma_rows * p->c;
    double *sums = p->partials + b * 2 * count;
    for (int64_t i = 0; i < count; i++) {
        sums[i] = (double)t->dgamma[i];
        sums[count + i] = (double)t->dbeta[i];
    }
}

static void back_block(const nl_pass *p, int64_t b, void (*body)(const nl_pass *, tile *))
{
    tile t;
    open_tile(p, b, &t);
    memset(t.dgamma, 0, (size_t)(2 * p->m->gamma_rows * p->c) * sizeof *t.dgamma);
    each_tile(p, b, &t, body);
    if (p->dgamma || p->dbeta)
        keep_affine_sums(p, b, &t);
}

static void back_block_by_rows(int64_t b, void *arg) { back_block(arg, b, back_tile_by_rows); }

static void fold_affine_sums(const nl_pass *p)
{
    const int64_t count = p->m->gamma_rows * p->c;
    if (!p->dgamma && !p->dbeta)
        return;
    nl_fold(p->partials, nl_row_blocks(p->rows, p->c), 2 * count);
    add_to_grad(p->dgamma, p->partials, count);
    add_to_grad(p->dbeta, p->partials + count, count);
}

/* g = dy act'(y) into dx, and into d_residual. */
static void differentiate_into_dx(const nl_pass *p, int64_t from, int64_t to)
{
    const nl_args *a = p->args;
    nl_differentiate_rows(p, from, to, 1, a->dx, p->ldx);
    for (int64_t r = from; a->d_residual && r < to; r++)
        memcpy(a->d_residual + r * p->ldy, a->dx + r * p->ldx, (size_t)p->c * sizeof *a->dx);
}

/* g = gamma dy act'(y) into dx, and the sums for gamma and beta. */
static void open_tile_by_parts(const nl_pass *p, tile *t)
{
    differentiate_into_dx(p, t->from, t->from + t->rows);
    tile_coefficients(p, t, false);
    for (int64_t r = 0; r < t->rows; r++) {
        const int64_t row = t->from + r;
        if (p->args->live && !p->args->live[row])
            continue;
        nl_real *g = p->args->dx + row * p->ldx;
        row_z(p, t, r, t->row);
        nl_area_kernel()->affine_back(t->row, g, g, p->c, gamma_row(p, p->gamma, row),
                                      p->dgamma ? (nl_real *)gamma_row(p, t->dgamma, row) : NULL,
                                      p->dbeta ? (nl_real *)gamma_row(p, t->dbeta, row) : NULL);
    }
}

static void open_block_by_parts(int64_t b, void *arg) { back_block(arg, b, open_tile_by_parts); }

static void back_row_by_parts(const nl_pass *p, tile *t, int64_t r)
{
    const nl_area_kernels *kernel = nl_area_kernel();
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

static void back_tile_by_parts(const nl_pass *p, tile *t)
{
    for (int k = 0; k < p->m->nareas; k++) {
        if (p->plan[k].columns)
            continue;
        row_coefficients(p, t, k);
        if (p->plan[k].fused)
            fused_backward(p, t, k);
        row_back_coefficients(p, t, k);
    }
    for (int64_t r = 0; r < t->rows && p->m->nareas; r++)
        if (!p->args->live || p->args->live[t->from + r])
            back_row_by_parts(p, t, r);
}

static void back_block_by_parts(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    tile t;
    open_tile(p, b, &t);
    each_tile(p, b, &t, back_tile_by_parts);
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
            column_coefficients(p, k, false);
    for_row_blocks(p, 3, open_block_by_parts);
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
            p->m->ops->backward(p->m->self, &p->call, k);
            if (p->plan[k].columns)
                column_back_coefficients(p, k, false);
        }
    for_row_blocks(p, 3, back_block_by_parts);
}

static void differentiate_block(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    const int64_t blocks = nl_row_blocks(p->rows, p->c);
    differentiate_into_dx(p, nl_edge(p->rows, blocks, b), nl_edge(p->rows, blocks, b + 1));
}

static void zero_padding(int64_t b, void *arg)
{
    const nl_pass *p = arg;
    const int64_t blocks = nl_row_blocks(p->rows, p->c), to = nl_edge(p->rows, blocks, b + 1);
    for (int64_t r = nl_edge(p->rows, blocks, b); p->args->live && r < to; r++)
        if (!p->args->live[r])
            memset(p->args->dx + r * p->ldx, 0, (size_t)p->c * sizeof *p->args->dx);
}

void nl_norm_backward(nl_norm *m, const nl_args *a)
{
    nl_pass p;
    begin(&p, m, a);
    if (p.rows == 0)
        return;
    if (m->ops->whole_forward) {
        for_row_blocks(&p, 3, differentiate_block);
        m->ops->whole_backward(m->self, &p.call);
        for_row_blocks(&p, 1, zero_padding);
        return;
    }
    switch (way_of(&p)) {
    case BY_COLUMNS: backward_by_columns(&p); return;
    case BY_ROWS:
        if (!p.plan[0].fused)
            break; /* a segment of several rows: by parts */
        p.differentiate = a->act != NL_LINEAR || a->d_residual;
        for_row_blocks(&p, 3, back_block_by_rows);
        fold_affine_sums(&p);
        return;
    case BY_PARTS: break;
    }
    backward_by_parts(&p);
}
