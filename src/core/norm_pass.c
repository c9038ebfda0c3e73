/* norm_pass.c: one call set up: its variables, areas, sources and memory. */
#include "core/norm_pass.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "core/standardize.h"
#include "par/par.h"

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
    mem->mean = saved[NL_SAVED_MEAN], mem->var = saved[NL_SAVED_VAR];
    mem->a = saved[NL_SAVED_A], mem->d = saved[NL_SAVED_D];
    mem->own = p->call.policy.mean[k] == NL_FROM_BATCH ? mem->mean : saved[NL_SAVED_OWN];
    mem->count = saved[NL_SAVED_COUNT];
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
                     .count = p->plan[k].fused ? &p->row_count[k] : mem->count,
                     .counts_differ =
                         !p->plan[k].fused && p->args->live && nl_needs_batch(&p->call.policy, k),
                     .statistics = p->plan[k].statistics};
    p->row_count[k] = (double)(p->c / p->plan[k].width);
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

void nl_pass_begin(nl_pass *p, nl_norm *m, const nl_args *a)
{
    p->m = m;
    p->args = a;
    p->c = m->g.c;
    const int64_t pieces = nl_is_piece(a) ? a->pieces : 1;
    p->first = nl_edge(a->n, pieces, a->piece) * m->g.s;
    p->rows = nl_edge(a->n, pieces, a->piece + 1) * m->g.s - p->first;
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
    p->partials = nl_store_at(m->store, m->partials)->val;
    p->counts = nl_store_at(m->store, m->counts)->val;
    p->strips = (nl_real *)nl_store_at(m->store, m->strips)->val + a->piece * m->strip_room;
}

nl_way nl_way_of(const nl_pass *p)
{
    const nl_area *area = &p->m->area[0].is;
    if (p->m->nareas != 1 || p->m->gamma_rows != 1)
        return NL_BY_PARTS;
    if (p->plan[0].columns)
        return NL_BY_COLUMNS;
    if (p->plan[0].width > 1)
        return NL_BY_PARTS;
    return p->plan[0].fused && area->standardizes && !area->population ? NL_STANDARDIZED_ROWS
                                                                       : NL_BY_ROWS;
}

/* ---- coefficients */

void nl_find_coefficients(const nl_norm *m, nl_call *call, int k)
{
    const nl_area *area = &m->area[k].is;
    if (area->standardizes)
        nl_standardize(&call->stats[k], area->eps);
    else
        m->ops->forward(m->self, call, k);
}

void nl_find_gradients(const nl_norm *m, nl_call *call, int k)
{
    const nl_area *area = &m->area[k].is;
    if (!area->standardizes)
        m->ops->backward(m->self, call, k);
    else if (area->moments == NL_MEAN_SQUARE)
        nl_rescale_back(&call->stats[k]);
    else
        nl_standardize_back(&call->stats[k]);
}

nl_standard nl_standard_at(const nl_pass *p, int64_t row)
{
    const nl_area *area = &p->m->area[0].is;
    return (nl_standard){.eps = area->eps,
                         .about_zero = area->moments == NL_MEAN_SQUARE,
                         .mean = p->mem[0].mean + row,
                         .var = p->mem[0].var + row,
                         .gamma = p->gamma,
                         .beta = p->beta};
}

/* ---- the clock of benchmarks */

static double *clock_sum;
static atomic_llong clock_picoseconds;

void nl_norm_clock(double *seconds)
{
    const long long passed = atomic_exchange(&clock_picoseconds, 0);
    if (clock_sum)
        *clock_sum += (double)passed * 1e-12;
    clock_sum = seconds;
}

double nl_clock_start(void) { return clock_sum ? nl_wall_seconds() : 0; }

/* Pieces are done side by side. */
void nl_clock_stop(double start, const nl_args *a)
{
    const int64_t threads = nl_threads(), side_by_side = a->pieces < threads ? a->pieces : threads;
    if (!clock_sum)
        return;
    const double seconds = nl_wall_seconds() - start;
    atomic_fetch_add(&clock_picoseconds,
                     (long long)(1e12 * seconds / (double)(nl_is_piece(a) ? side_by_side : 1)));
}
