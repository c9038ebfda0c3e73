/* norm_areas.c: areas cut into work, moments and gradient sums over them. */
#include <string.h>

#include "core/norm_plan.h"
#include "kernel/coefficients.h"
#include "par/par.h"

/* ---- the cut */

/* An even number where there are several: two threads meet in the middle in every pass. */
static int64_t chunks_of(int64_t rows, int64_t c)
{
    const int64_t pairs = nl_ceil_div(rows * c, 2 * NL_CHUNK_VALUES);
    const int64_t most = nl_least(rows, NL_CHUNKS_MAX);
    return rows * c <= NL_CHUNK_VALUES ? 1 : 2 * pairs > most ? most : 2 * pairs;
}

int64_t nl_row_blocks(int64_t rows, int64_t c) { return chunks_of(rows, c); }

int64_t nl_row_edge(int64_t rows, int64_t blocks, int64_t b)
{
    int64_t whole = NL_ROWS_AT_ONCE;
    while (whole > 1 && whole > rows / blocks)
        whole /= 2;
    return b == blocks ? rows : nl_edge(rows, blocks, b) / whole * whole;
}

int64_t nl_tile_rows(int64_t c, int64_t arrays)
{
    const int64_t rows = NL_TILE_BYTES / (arrays * c * (int64_t)sizeof(nl_real));
    return rows < NL_TILE_ROWS_LEAST ? NL_TILE_ROWS_LEAST : rows > 256 ? 256 : rows;
}

/* A channel's sums are merged once for each chunk, so chunks of few rows are dear: where channels
 * are not reduced, they are cut, too. */
static void cut_into_tasks(nl_plan *p, int64_t c)
{
    const int64_t tasks = chunks_of(p->rows, c);
    p->chunks = p->columns ? nl_least(tasks, nl_ceil_div(p->rows, NL_CHUNK_ROWS)) : tasks;
    p->spans = p->columns ? nl_least(tasks / p->chunks, nl_ceil_div(c, NL_SPAN_CHANNELS)) : 1;
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
    cut_into_tasks(&p, g->c);
    p.statistics = p.segments * p.width;
    return p;
}

/* ---- the reduce pass: one task is a chunk of a segment's rows and a span of the channels */

typedef struct piece {
    int64_t segment, chunk;    /* chunk: among those of all segments */
    int64_t channel, channels; /* the first, and how many */
    int64_t row, step;         /* the first, and the distance to the next, in rows of the call */
    nl_rows x;
} piece;

/* Spans begin where lines of the cache may. */
static int64_t span_edge(const nl_plan *plan, int64_t c, int64_t span)
{
    enum { LINE = 16 };
    return nl_least(nl_edge(nl_ceil_div(c, LINE), plan->spans, span) * LINE, c);
}

static piece piece_of(const nl_pass *p, int64_t task)
{
    const nl_plan *plan = &p->plan[p->k];
    const int64_t span = task % plan->spans, chunk = task / plan->spans;
    const int64_t o = chunk / plan->chunks, b = chunk % plan->chunks;
    const int64_t from = nl_edge(plan->rows, plan->chunks, b);
    const uint8_t *live = p->args->live;
    piece t = {.segment = o,
               .chunk = chunk,
               .channel = span_edge(plan, p->c, span),
               .row = plan->interleaved ? o + from * plan->segments : o * plan->rows + from,
               .step = plan->interleaved ? plan->segments : 1};
    t.channels = span_edge(plan, p->c, span + 1) - t.channel;
    t.x = (nl_rows){p->args->x + t.row * p->ldx + t.channel, t.step * p->ldx,
                    nl_edge(plan->rows, plan->chunks, b + 1) - from, live ? live + t.row : NULL,
                    t.step};
    return t;
}

static double *partial_of(const nl_pass *p, int64_t chunk)
{
    return p->partials + chunk * p->m->partial_room;
}

/* Sums of a chunk, (width), of the area being reduced: those of a segment's first chunk are made
 * where the segment's belong. */
static double *in_place(const nl_pass *p, int64_t chunk, double *of_segments, double *of_chunk)
{
    const nl_plan *plan = &p->plan[p->k];
    return chunk % plan->chunks == 0 ? of_segments + chunk / plan->chunks * plan->width : of_chunk;
}

static double *mean_of(const nl_pass *p, int64_t chunk)
{
    return in_place(p, chunk, p->mem[p->k].own, partial_of(p, chunk));
}

static double *m2_of(const nl_pass *p, int64_t chunk)
{
    return in_place(p, chunk, p->mem[p->k].var, partial_of(p, chunk) + p->plan[p->k].width);
}

static nl_real *scratch_of(const nl_pass *p, int64_t task)
{
    return p->strips + task * p->m->strip_room;
}

static void moments_of_columns(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const piece t = piece_of(p, task);
    double *mean = mean_of(p, t.chunk) + t.channel, *m2 = m2_of(p, t.chunk) + t.channel, count = 0;
    nl_column_kernel()->moments(t.x, t.channels, &count, mean, m2, scratch_of(p, task));
    if (t.channel == 0)
        p->counts[t.chunk] = count;
}

static void moments_of_rows(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const piece t = piece_of(p, task);
    const int64_t w = p->plan[p->k].width;
    double *mean = mean_of(p, t.chunk), *m2 = m2_of(p, t.chunk), *count = p->counts + t.chunk;
    double *row_mean = partial_of(p, t.chunk) + 2 * w, *row_m2 = row_mean + w;
    memset(mean, 0, (size_t)w * sizeof *mean);
    memset(m2, 0, (size_t)w * sizeof *m2);
    *count = 0;
    for (int64_t i = 0; i < t.x.count; i++) {
        const nl_rows row = {t.x.x + i * t.x.ld, t.x.ld, 1, NULL, 1};
        if (t.x.live && !t.x.live[i * t.step])
            continue;
        nl_row_kernel()->moments(row, p->c, w, 0, row_mean, row_m2);
        nl_column_kernel()->merge_moments(w, count, mean, m2, (double)(p->c / w), row_mean, row_m2);
    }
}

static void for_pieces(nl_pass *p, int k, int64_t arrays, void (*body)(int64_t, void *))
{
    const nl_plan *plan = &p->plan[k];
    p->k = k;
    nl_for(plan->segments * plan->chunks * plan->spans,
           arrays * p->rows * p->c * (int64_t)sizeof(nl_real), body, p);
}

/* Chunks of a segment are merged pairwise, in a tree fixed by their number. */
static void merge_chunks(const nl_pass *p, int64_t o)
{
    const nl_plan *plan = &p->plan[p->k];
    const int64_t at = o * plan->chunks, w = plan->width;
    for (int64_t step = 1; step < plan->chunks; step *= 2)
        for (int64_t b = at; b + step < at + plan->chunks; b += 2 * step)
            nl_column_kernel()->merge_moments(w, p->counts + b, mean_of(p, b), m2_of(p, b),
                                              p->counts[b + step], mean_of(p, b + step),
                                              m2_of(p, b + step));
}

void nl_reduce_moments(nl_pass *p, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const int64_t w = plan->width;
    const bool about_zero = p->m->area[k].is.moments == NL_MEAN_SQUARE;
    for_pieces(p, k, 1, plan->columns ? moments_of_columns : moments_of_rows);
    for (int64_t o = 0; o < plan->segments; o++) {
        merge_chunks(p, o);
        const double m = p->counts[o * plan->chunks], per_m = m > 0 ? 1 / m : 0;
        double *own = mem->own + o * w, *var = mem->var + o * w; /* mean and m2 so far */
        nl_coefficient_kernel()->variance(w, per_m, about_zero, own, var, own, var);
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

static nl_arriving arriving_at(const nl_pass *p, const piece *t)
{
    nl_arriving g = {.dy = p->g + t->row * p->ldg, .ld = t->step * p->ldg};
    if (p->differentiate)
        g = nl_arriving_at(p, t->row, t->step);
    return nl_arriving_from(g, 0, t->channel);
}

static void gradients_of_columns(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const piece t = piece_of(p, task);
    const nl_arriving g = arriving_at(p, &t);
    const nl_real *center = p->mem[p->k].center + t.segment * p->c + t.channel;
    double *G = partial_of(p, t.chunk) + t.channel, *H = G + p->c;
    memset(G, 0, (size_t)t.channels * sizeof *G);
    memset(H, 0, (size_t)t.channels * sizeof *H);
    nl_column_kernel()->gradients(t.x, &g, t.channels, center, G, H, scratch_of(p, task));
}

static void gradients_of_rows(int64_t task, void *arg)
{
    const nl_pass *p = arg;
    const piece t = piece_of(p, task);
    const int64_t w = p->plan[p->k].width;
    const nl_real *center = p->mem[p->k].center + t.segment * w, *g = p->g + t.row * p->ldg;
    double *G = partial_of(p, t.chunk), *H = G + w, *row_G = H + w, *row_H = row_G + w;
    memset(G, 0, (size_t)(2 * w) * sizeof *G);
    for (int64_t i = 0; i < t.x.count; i++) {
        const nl_rows row = {t.x.x + i * t.x.ld, t.x.ld, 1,
                             t.x.live ? t.x.live + i * t.x.live_step : NULL, 1};
        nl_row_kernel()->gradients(row, g + i * t.step * p->ldg, p->ldg, p->c, w, center, row_G,
                                   row_H);
        for (int64_t j = 0; j < w; j++)
            G[j] += row_G[j], H[j] += row_H[j];
    }
}

void nl_reduce_gradients(nl_pass *p, int k)
{
    const nl_plan *plan = &p->plan[k];
    const nl_area_memory *mem = &p->mem[k];
    const int64_t w = plan->width, room = p->m->partial_room;
    for_pieces(p, k, 2, plan->columns ? gradients_of_columns : gradients_of_rows);
    for (int64_t o = 0; o < plan->segments; o++) {
        double *total = partial_of(p, o * plan->chunks);
        nl_fold(total, plan->chunks, room);
        memcpy(mem->G + o * w, total, (size_t)w * sizeof *total);
        memcpy(mem->H + o * w, total + w, (size_t)w * sizeof *total);
        nl_coefficient_kernel()->recenter(w, mem->center + o * w, mem->mean + o * w, mem->G + o * w,
                                          mem->H + o * w);
    }
}
