/* norm_areas.c: areas cut into work, moments and gradient sums over them. */
#include <string.h>

#include "core/norm_plan.h"
#include "kernel/coefficients.h"
#include "par/par.h"

/* ---- the cut */

static int64_t chunks_of(int64_t rows, int64_t c)
{
    const int64_t chunks = (rows * c + NL_CHUNK_VALUES - 1) / NL_CHUNK_VALUES;
    const int64_t most = rows < NL_CHUNKS_MAX ? rows : NL_CHUNKS_MAX;
    return chunks < 1 ? 1 : chunks > most ? most : chunks;
}

int64_t nl_row_blocks(int64_t rows, int64_t c) { return chunks_of(rows, c); }

int64_t nl_tile_rows(int64_t c, int64_t arrays)
{
    const int64_t rows = NL_TILE_BYTES / (arrays * c * (int64_t)sizeof(nl_real));
    return rows < NL_TILE_ROWS_LEAST ? NL_TILE_ROWS_LEAST : rows > 256 ? 256 : rows;
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
    const int64_t o = task / plan->chunks, b = task % plan->chunks, w = plan->width;
    double *mean = partial_of(p, task), *m2 = mean + w, *count = p->counts + task;
    int64_t first, step;
    nl_rows r = rows_of(p, plan, o, nl_edge(plan->rows, plan->chunks, b),
                        nl_edge(plan->rows, plan->chunks, b + 1), &first, &step);
    memset(mean, 0, (size_t)(2 * w) * sizeof *mean);
    *count = 0;
    if (plan->columns) {
        nl_column_kernel()->moments(r, p->c, count, mean, m2, p->strips + task * p->m->strip_room);
        return;
    }
    double *row_mean = m2 + w, *row_m2 = row_mean + w;
    const nl_rows all = r;
    for (int64_t i = 0; i < all.count; i++) {
        r = (nl_rows){all.x + i * all.ld, all.ld, 1, NULL, 1};
        if (all.live && !all.live[i * all.live_step])
            continue;
        nl_row_kernel()->moments(r, p->c, w, 0, 0, row_mean, row_m2);
        nl_column_kernel()->merge_moments(w, count, mean, m2, (double)(p->c / w), row_mean, row_m2);
    }
}

/* Chunks of a segment are merged pairwise, in a tree fixed by their number. */
static void merge_chunks(const nl_pass *p, const nl_plan *plan, int64_t o)
{
    const int64_t at = o * plan->chunks, w = plan->width;
    for (int64_t step = 1; step < plan->chunks; step *= 2)
        for (int64_t b = 0; b + step < plan->chunks; b += 2 * step) {
            double *into = partial_of(p, at + b), *from = partial_of(p, at + b + step);
            nl_column_kernel()->merge_moments(w, p->counts + at + b, into, into + w,
                                              p->counts[at + b + step], from, from + w);
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
        nl_coefficient_kernel()->variance(w, per_m, about_zero, mean, m2, mem->own + o * w,
                                          mem->var + o * w);
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

nl_arriving nl_arriving_at(const nl_pass *p, int64_t row, int64_t step)
{
    const nl_args *a = p->args;
    nl_arriving g = {.dy = a->dy + row * p->ldy,
                     .y = a->y ? a->y + row * p->ldy : NULL,
                     .ld = step * p->ldy,
                     .act = a->act};
    if (p->differentiate) {
        int64_t ldg;
        g.kept = nl_place_of_g(p, &ldg) + row * ldg;
        g.ld_kept = step * ldg;
    }
    return g;
}

static void gradients_of_chunk(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const nl_plan *plan = &p->plan[p->k];
    const nl_area_memory *mem = &p->mem[p->k];
    const int64_t o = task / plan->chunks, b = task % plan->chunks, w = plan->width;
    double *G = partial_of(p, task), *H = G + w;
    int64_t first, step;
    const nl_rows r = rows_of(p, plan, o, nl_edge(plan->rows, plan->chunks, b),
                              nl_edge(plan->rows, plan->chunks, b + 1), &first, &step);
    memset(G, 0, (size_t)(2 * w) * sizeof *G);
    const nl_real *g = p->g + first * p->ldg;
    if (plan->columns) {
        const nl_arriving arriving = p->differentiate ? nl_arriving_at(p, first, step)
                                                      : (nl_arriving){.dy = g, .ld = step * p->ldg};
        nl_column_kernel()->gradients(r, &arriving, p->c, mem->center + o * w, G, H,
                                      p->strips + task * p->m->strip_room);
        return;
    }
    double *row_G = H + w, *row_H = row_G + w;
    for (int64_t i = 0; i < r.count; i++) {
        const nl_rows one = {r.x + i * r.ld, r.ld, 1, r.live ? r.live + i * r.live_step : NULL, 1};
        nl_row_kernel()->gradients(one, g + i * step * p->ldg, p->ldg, p->c, w, mem->center + o * w,
                                   row_G, row_H);
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
        memcpy(mem->G + o * w, total, (size_t)w * sizeof *total);
        memcpy(mem->H + o * w, total + w, (size_t)w * sizeof *total);
        nl_coefficient_kernel()->recenter(w, mem->center + o * w, mem->mean + o * w, mem->G + o * w,
                                          mem->H + o * w);
    }
}
