/* norm_areas.c: areas cut into work, moments and gradient sums over them, and population
 * statistics. */
#include <math.h>
#include <string.h>

#include "core/norm_plan.h"
#include "par/par.h"

/* ---- the cut */

static int64_t chunks_of(int64_t rows, int64_t c)
{
    const int64_t chunks = (rows * c + NL_CHUNK_VALUES - 1) / NL_CHUNK_VALUES;
    const int64_t most = rows < NL_CHUNKS_MAX ? rows : NL_CHUNKS_MAX;
    return chunks < 1 ? 1 : chunks > most ? most : chunks;
}

int64_t nl_row_blocks(int64_t rows, int64_t c) { return chunks_of(rows, c); }

int64_t nl_tile_rows(int64_t c)
{
    const int64_t rows = NL_TILE_BYTES / (c * (int64_t)sizeof(nl_real));
    return rows < 1 ? 1 : rows > 256 ? 256 : rows;
}

nl_plan nl_plan_of(const nl_area *a, const nl_geom *g, int64_t n)
{
    const bool over_n = a->over & NL_OVER_N, over_s = a->over & NL_OVER_S;
    nl_plan p = {.columns = !(a->over & NL_OVER_C)};
    p.width = p.columns ? g->c : a->groups > 1 ? a->groups : 1;
    p.segments = (over_n ? 1 : n) * (over_s ? 1 : g->s);
    p.rows = (over_n ? n : 1) * (over_s ? g->s : 1);
    p.interleaved = over_n && !over_s && g->s > 1;
    p.fused = !p.columns && p.rows == 1 && !a->whole;
    p.chunks = chunks_of(p.rows, g->c);
    p.statistics = p.segments * p.width;
    return p;
}

/* ---- the reduce pass: one task is a chunk of a segment */

/* Rows [from, to) of segment o as a view; step is the distance of its rows in rows. */
static nl_rows rows_of(const nl_pass *p, const nl_plan *plan, int64_t o, int64_t from, int64_t to,
                       int64_t *first, int64_t *step)
{
    *step = plan->interleaved ? plan->segments : 1;
    *first = plan->interleaved ? o + from * plan->segments : o * plan->rows + from;
    const uint8_t *live = p->args->live;
    return (nl_rows){p->args->x + *first * p->ldx, *step * p->ldx, to - from,
                     live ? live + *first : NULL, *step};
}

static double *partial_of(const nl_pass *p, int64_t task)
{
    return p->partials + task * p->m->partial_room;
}

static void moments_of_chunk(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const nl_plan *plan = &p->plan[p->k];
    const nl_area_kernels *kernel = nl_area_kernel();
    const int64_t o = task / plan->chunks, b = task % plan->chunks, w = plan->width;
    double *mean = partial_of(p, task), *m2 = mean + w, *count = p->counts + task;
    int64_t first, step;
    nl_rows r = rows_of(p, plan, o, nl_edge(plan->rows, plan->chunks, b),
                        nl_edge(plan->rows, plan->chunks, b + 1), &first, &step);
    memset(mean, 0, (size_t)(2 * w) * sizeof *mean);
    *count = 0;
    if (plan->columns) {
        kernel->column_moments(r, p->c, count, mean, m2, p->strips + task * p->m->strip_room);
        return;
    }
    double *row_mean = m2 + w, *row_m2 = row_mean + w;
    const nl_rows all = r;
    for (int64_t i = 0; i < all.count; i++) {
        r = (nl_rows){all.x + i * all.ld, all.ld, 1, NULL, 1};
        if (all.live && !all.live[i * all.live_step])
            continue;
        kernel->row_moments(r, p->c, w, 0, row_mean, row_m2);
        kernel->merge_moments(w, count, mean, m2, (double)(p->c / w), row_mean, row_m2);
    }
}

/* Chunks of a segment are merged pairwise, in a tree fixed by their number. */
static void merge_chunks(const nl_pass *p, const nl_plan *plan, int64_t o)
{
    const nl_area_kernels *kernel = nl_area_kernel();
    const int64_t at = o * plan->chunks, w = plan->width;
    for (int64_t step = 1; step < plan->chunks; step *= 2)
        for (int64_t b = 0; b + step < plan->chunks; b += 2 * step) {
            double *into = partial_of(p, at + b), *from = partial_of(p, at + b + step);
            kernel->merge_moments(w, p->counts + at + b, into, into + w, p->counts[at + b + step],
                                  from, from + w);
        }
}

void nl_reduce_moments(nl_pass *p, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const int64_t w = plan->width;
    const bool about_zero = p->m->area[k].is.moments == NL_MEAN_SQUARE;
    p->k = k;
    nl_for(plan->segments * plan->chunks, p->rows * p->c * (int64_t)sizeof(nl_real),
           moments_of_chunk, p);
    for (int64_t o = 0; o < plan->segments; o++) {
        merge_chunks(p, plan, o);
        const double *mean = partial_of(p, o * plan->chunks), *m2 = mean + w;
        const double m = p->counts[o * plan->chunks], per_m = m > 0 ? 1 / m : 0;
        for (int64_t i = 0; i < w; i++) {
            mem->own[o * w + i] = about_zero ? 0 : mean[i];
            mem->var[o * w + i] =
                nl_nan_if_infinite(m2[i] * per_m + (about_zero ? mean[i] * mean[i] : 0));
        }
        if (p->call.stats[k].counts_differ)
            for (int64_t i = 0; i < w; i++)
                mem->count[o * w + i] = m;
        else
            mem->count[0] = m;
    }
}

void nl_differentiate_rows(const nl_pass *p, int64_t from, int64_t to, int64_t step, nl_real *g,
                           int64_t ldg)
{
    const nl_args *a = p->args;
    const nl_act_kernels *kernel = nl_act_kernel();
    if (step == 1 && !a->live && p->ldy == p->c && ldg == p->c) {
        const int64_t at = from * p->c;
        kernel->backward(a->act, a->y ? a->y + at : NULL, a->dy + at, g + at, (to - from) * p->c);
        return;
    }
    for (int64_t r = from; r < to; r += step)
        if (a->live && !a->live[r])
            memset(g + r * ldg, 0, (size_t)p->c * sizeof *g);
        else
            kernel->backward(a->act, a->y ? a->y + r * p->ldy : NULL, a->dy + r * p->ldy,
                             g + r * ldg, p->c);
}

static void gradients_of_chunk(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const nl_plan *plan = &p->plan[p->k];
    const nl_area_memory *mem = &p->mem[p->k];
    const nl_area_kernels *kernel = nl_area_kernel();
    const int64_t o = task / plan->chunks, b = task % plan->chunks, w = plan->width;
    double *G = partial_of(p, task), *H = G + w;
    int64_t first, step;
    const nl_rows r = rows_of(p, plan, o, nl_edge(plan->rows, plan->chunks, b),
                              nl_edge(plan->rows, plan->chunks, b + 1), &first, &step);
    if (p->differentiate) {
        int64_t ldg;
        nl_real *to = nl_place_of_g(p, &ldg);
        nl_differentiate_rows(p, first, first + r.count * step, step, to, ldg);
    }
    memset(G, 0, (size_t)(2 * w) * sizeof *G);
    const nl_real *g = p->g + first * p->ldg;
    if (plan->columns) {
        kernel->column_gradients(r, g, step * p->ldg, p->c, mem->center + o * w, G, H,
                                 p->strips + task * p->m->strip_room);
        return;
    }
    double *row_G = H + w, *row_H = row_G + w;
    for (int64_t i = 0; i < r.count; i++) {
        const nl_rows one = {r.x + i * r.ld, r.ld, 1, r.live ? r.live + i * r.live_step : NULL, 1};
        kernel->row_gradients(one, g + i * step * p->ldg, p->ldg, p->c, w, NULL,
                              mem->center + o * w, row_G, row_H);
        for (int64_t j = 0; j < w; j++)
            G[j] += row_G[j], H[j] += row_H[j];
    }
}

void nl_reduce_gradients(nl_pass *p, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const int64_t w = plan->width, room = p->m->partial_room;
    p->k = k;
    nl_for(plan->segments * plan->chunks, 2 * p->rows * p->c * (int64_t)sizeof(nl_real),
           gradients_of_chunk, p);
    for (int64_t o = 0; o < plan->segments; o++) {
        double *total = partial_of(p, o * plan->chunks);
        nl_fold(total, plan->chunks, room);
        for (int64_t i = 0; i < w; i++) {
            const int64_t at = o * w + i;
            /* the sums are about the center in the storage type: moved to the exact mean */
            mem->G[at] = total[i];
            mem->H[at] = total[w + i] + ((double)mem->center[at] - mem->mean[at]) * total[i];
        }
    }
}

/* ---- sources */

bool nl_needs_batch(const nl_policy *p, int k)
{
    return p->mean[k] == NL_FROM_BATCH || p->var[k] == NL_FROM_BATCH ||
           p->mean[k] >= NL_FROM_EXAMPLE || p->var[k] >= NL_FROM_EXAMPLE;
}

static const void *state(const nl_pass *p, int k, nl_purpose purpose)
{
    const int id = p->m->area[k].state[purpose];
    return id < 0 ? NULL : p->call.v[id].val;
}

/* A population mean (spread false) or variance of statistic i of the state. */
static double population(const nl_pass *p, int k, nl_source source, bool spread, int64_t i)
{
    const nl_area *a = &p->m->area[k].is;
    double v;
    if (source == NL_FROM_CUMULATIVE || source == NL_FROM_EPOCH) {
        const bool epoch = source == NL_FROM_EPOCH;
        const double *sum = state(p, k,
                                  epoch ? (spread ? NL_EPOCH_SPREAD : NL_EPOCH_MEAN)
                                        : (spread ? NL_CUM_SPREAD : NL_CUM_MEAN));
        const int64_t *count = state(p, k, epoch ? NL_EPOCH_COUNT : NL_CUM_COUNT);
        v = count[i] ? sum[i] / (double)count[i] : spread ? 1 : 0;
    } else {
        const nl_real *run = state(p, k, spread ? NL_RUN_SPREAD : NL_RUN_MEAN);
        v = (double)run[i];
    }
    return spread && a->keeps_std ? v * v - a->std_eps : v;
}

void nl_take_sources(const nl_pass *p, int k, const nl_stats *st, const double *own, double *mean,
                     double *var)
{
    const nl_source from_mean = p->call.policy.mean[k], from_var = p->call.policy.var[k];
    const double w = from_mean == NL_FROM_EXAMPLE ? 1 : p->call.policy.own_weight;
    if (from_mean >= NL_FROM_EXAMPLE) { /* mixed in mean and mean square (Summers & Dinneen 2020) */
        for (int64_t i = 0; i < st->statistics; i++) {
            const int64_t c = (st->first + i) % p->c;
            const double pop_mean = w < 1 ? population(p, k, NL_FROM_RUNNING, false, c) : 0;
            const double pop_var = w < 1 ? population(p, k, NL_FROM_RUNNING, true, c) : 0;
            const double square =
                w * (var[i] + own[i] * own[i]) + (1 - w) * (pop_var + pop_mean * pop_mean);
            mean[i] = w * own[i] + (1 - w) * pop_mean;
            var[i] = fmax(square - mean[i] * mean[i], 0);
        }
        return;
    }
    for (int64_t i = 0; i < st->statistics; i++) {
        if (from_mean == NL_FROM_BATCH)
            mean[i] = own[i];
        else
            mean[i] = population(p, k, from_mean, false, st->first + i);
        if (from_var != NL_FROM_BATCH)
            var[i] = population(p, k, from_var, true, st->first + i);
    }
}

void nl_update_population(nl_pass *p, int k, int64_t first, int64_t count)
{
    const nl_area *a = &p->m->area[k].is;
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    nl_real *run_mean = (nl_real *)state(p, k, NL_RUN_MEAN);
    nl_real *run_spread = (nl_real *)state(p, k, NL_RUN_SPREAD);
    double *cum_mean = (double *)state(p, k, NL_CUM_MEAN);
    double *cum_spread = (double *)state(p, k, NL_CUM_SPREAD);
    double *epoch_mean = (double *)state(p, k, NL_EPOCH_MEAN);
    double *epoch_spread = (double *)state(p, k, NL_EPOCH_SPREAD);
    int64_t *cum_count = (int64_t *)state(p, k, NL_CUM_COUNT);
    int64_t *epoch_count = (int64_t *)state(p, k, NL_EPOCH_COUNT);
    for (int64_t i = first; i < first + count; i++) {
        const bool dead = plan->fused && p->args->live && !p->args->live[i / plan->width];
        const double m = dead ? 0 : nl_count(&p->call.stats[k], i);
        const double m_in_factor = a->assumed_m > 0 ? a->assumed_m : m;
        if (m == 0 || (a->unbiased && a->assumed_m <= 0 && m < 2))
            continue; /* nothing is known of the spread: this statistic's state stays */
        double spread = mem->var[i];
        if (a->unbiased)
            spread *= m_in_factor / (m_in_factor - 1);
        if (a->keeps_std)
            spread = sqrt(spread + a->std_eps);
        run_mean[i] =
            (nl_real)((double)run_mean[i] + a->momentum * (mem->own[i] - (double)run_mean[i]));
        run_spread[i] =
            (nl_real)((double)run_spread[i] + a->momentum * (spread - (double)run_spread[i]));
        cum_mean[i] += mem->own[i], cum_spread[i] += spread, cum_count[i]++;
        epoch_mean[i] += mem->own[i], epoch_spread[i] += spread, epoch_count[i]++;
    }
}
