#include "train/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cut.h"
#include "core/norm.h"
#include "kernel/limit.h"
#include "par/par.h"

static const double SAMPLE_SECONDS = 2e-3; /* short calls are repeated until a sample lasts this */
enum {
    PIECE = 16384, /* values of one block of a limit loop */
    LINE = 16,     /* arrays of a limit loop start on cache lines */
    WARM_CALLS = 5,
    PLACES = 7,
    PLACES_BYTES = 64 << 20 /* of arrays, at all places */
};

/* ---- the limit: a loop over the memory of the kernel's arrays, in blocks like a kernel's */

typedef struct range {
    const nl_limit *loop;
    nl_real *from;  /* its arrays one behind the other, the last is written */
    int64_t values; /* of each */
    double *sum;    /* one a block: the loop's value */
} range;

static void limit_block(int64_t b, void *arg)
{
    const range *r = arg;
    nl_real *from = r->from + b * PIECE, *to = from + (r->loop->arrays - 1) * r->values;
    r->sum[b] =
        (double)r->loop->run(to, from, from + r->values, nl_least(r->values - b * PIECE, PIECE));
}

/* ---- what is measured */

enum { FORWARD, BACKWARD, WAYS, LOOPS = 5 };

/* Where a norm and its arrays are in memory. */
typedef struct place {
    nl_store *store;
    nl_norm *norm;
    nl_args args;
    nl_real *tensors; /* y, x, dy, dx: each way's lie side by side */
} place;

typedef struct bench {
    place place[PLACES];
    int places;                                /* of them, the last is in use */
    int64_t values;                            /* of one array */
    double *sums;                              /* of the read loop */
    double *kernel[WAYS], *limit[WAYS][LOOPS]; /* seconds of one call, by sample */
    int samples;
} bench;

static const place *here(const bench *b) { return &b->place[b->places - 1]; }

/* Values from one array to the next. */
static int64_t array_room(const bench *b) { return nl_ceil_div(b->values, LINE) * LINE; }

/* Arrays that are in use, and arrays moved: what cannot be avoided when a statistic spans rows (x,
 * or x and dy, twice) and when it does not. */
static const int arrays_used[WAYS] = {2, 3};
static const int arrays_moved[2][WAYS] = {{2, 3}, {3, 5}};

static int spans_rows(const nl_norm *m)
{
    nl_area area[NL_AREAS_MAX];
    const int areas = nl_norm_areas_of(m, area);
    int spans = 0;
    for (int k = 0; k < areas; k++)
        spans |= (area[k].over & NL_OVER_N) != 0;
    return spans;
}

static void run_kernel(bench *b, int way)
{
    if (way == FORWARD)
        nl_norm_forward(here(b)->norm, &here(b)->args);
    else
        nl_norm_backward(here(b)->norm, &here(b)->args);
}

static void run_loop(bench *b, int way, const nl_limit *loop)
{
    const int64_t values = b->values * arrays_used[way] / loop->arrays / LINE * LINE;
    nl_real *tensors = here(b)->tensors;
    range r = {loop, way == FORWARD ? tensors : tensors + array_room(b), values, b->sums};
    nl_for(nl_ceil_div(values, PIECE), values * loop->arrays * (int64_t)sizeof(nl_real),
           limit_block, &r);
}

static void run(bench *b, int way, int loop)
{
    if (loop < 0)
        run_kernel(b, way);
    else
        run_loop(b, way, &nl_limits()->loops[loop]);
}

/* Seconds of one call, over at least so many and as many as the clock needs. */
static double time_calls(bench *b, int way, int loop, int least)
{
    int64_t calls = 0;
    double now;
    const double start = nl_wall_seconds();
    do {
        run(b, way, loop);
        calls++;
        now = nl_wall_seconds();
    } while (calls < least || now - start < SAMPLE_SECONDS);
    return (now - start) / (double)calls;
}

/* As many calls before, but several: so long it takes until a working set has settled in the outer
 * cache, where the first call is much slower than the last. */
static double time_warm(bench *b, int way, int loop)
{
    time_calls(b, way, loop, WARM_CALLS);
    return time_calls(b, way, loop, 1);
}

static void take_sample(bench *b, int64_t i)
{
    for (int way = 0; way < WAYS; way++) {
        for (int loop = 0; loop < LOOPS; loop++)
            b->limit[way][loop][i] = time_warm(b, way, loop);
        if (way == BACKWARD)
            run_kernel(b, FORWARD);
        b->kernel[way][i] = time_warm(b, way, -1);
    }
}

/* ---- results */

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double nl_bench_median(double *v, int64_t count)
{
    qsort(v, (size_t)count, sizeof *v, by_size);
    return count % 2 ? v[count / 2] : 0.5 * (v[count / 2 - 1] + v[count / 2]);
}

/* Of the samples taken at place k. */
static double least_at(const bench *b, int k, const double *seconds)
{
    const int64_t from = nl_edge(b->samples, b->places, k);
    const int64_t to = nl_edge(b->samples, b->places, k + 1);
    double least = seconds[from];
    for (int64_t i = from + 1; i < to; i++)
        least = fmin(least, seconds[i]);
    return least;
}

static nl_bench_row rates_at(const bench *b, int way, int k)
{
    const double array = (double)b->values * (double)sizeof(nl_real) * 1e-9;
    const int moved = arrays_moved[spans_rows(here(b)->norm)][way];
    nl_bench_row row = {.gbps = moved * array / least_at(b, k, b->kernel[way])};
    for (int loop = 0; loop < LOOPS; loop++) {
        const double gbps = arrays_used[way] * array / least_at(b, k, b->limit[way][loop]);
        if (gbps > row.limit_gbps)
            row.limit_gbps = gbps, row.limit = nl_limits()->loops[loop].name;
    }
    return row;
}

static int by_share(const void *a, const void *b)
{
    const nl_bench_row *x = a, *y = b;
    const double share = x->gbps / x->limit_gbps, other = y->gbps / y->limit_gbps;
    return (share > other) - (share < other);
}

/* Who else uses the machine makes a sample slower, never faster: the best of a place counts, of the
 * kernel as of each loop. */
static nl_bench_row summary(bench *b, int way)
{
    nl_bench_row rows[PLACES];
    for (int k = 0; k < b->places; k++)
        rows[k] = rates_at(b, way, k);
    qsort(rows, (size_t)b->places, sizeof *rows, by_share);
    nl_bench_row row = rows[b->places / 2];
    /* last, since it sorts */
    row.median_ms = nl_bench_median(b->kernel[way], b->samples) * 1e3;
    row.min_ms = b->kernel[way][0] * 1e3;
    return row;
}

/* ---- setting up */

static nl_status open_bench(bench *b)
{
    const int64_t n = array_room(b);
    double *seconds = nl_alloc((size_t)b->samples * (WAYS * (1 + LOOPS)), sizeof *seconds);
    b->kernel[0] = seconds;
    b->sums = nl_alloc((size_t)(3 * n / PIECE + 1), sizeof *b->sums);
    if (!seconds || !b->sums)
        return nl_fail(NL_ENOMEM, "bench: %d samples", b->samples);
    for (int way = 0; way < WAYS; way++, seconds += b->samples) {
        b->kernel[way] = seconds;
        for (int loop = 0; loop < LOOPS; loop++)
            b->limit[way][loop] = seconds += b->samples;
    }
    return NL_OK;
}

static void leave(place *p)
{
    nl_norm_close(p->norm);
    nl_store_close(p->store);
    nl_free(p->tensors);
}

static nl_status fill(place *p, int64_t room)
{
    const nl_key key = {.stream = NL_STREAM_TEST};
    p->tensors = nl_alloc((size_t)(4 * room), sizeof *p->tensors);
    if (!p->tensors)
        return nl_fail(NL_ENOMEM, "bench: arrays of %lld values", (long long)room);
    for (int64_t i = 0; i < 4 * room; i++)
        p->tensors[i] = (nl_real)(nl_random_uniform(key, (uint64_t)i) - 0.5);
    return NL_OK;
}

static nl_status open_place(place *p, const char *spec, nl_bench_shape shape, int64_t room)
{
    const nl_geom g = {.n = shape.rows, .s = 1, .c = shape.channels, .steps = 1};
    NL_TRY(nl_store_open(&p->store));
    NL_TRY(nl_norm_open(&p->norm, spec, &g, p->store, "norm"));
    NL_TRY(nl_store_commit(p->store));
    NL_TRY(fill(p, room));
    p->args = (nl_args){.n = shape.rows,
                        .phase = NL_TRAIN,
                        .update = true,
                        .y = p->tensors,
                        .x = p->tensors + room,
                        .dy = p->tensors + 2 * room,
                        .dx = p->tensors + 3 * room};
    return NL_OK;
}

/* The pages of a place share the lines of a cache in one way or another, which decides some per
 * cent where arrays just fit. Pages that are given back would come again. */
static int places_for(const bench *b)
{
    const int64_t bytes = 4 * b->values * (int64_t)sizeof(nl_real);
    const int64_t fit = nl_least(nl_least(PLACES_BYTES / bytes, PLACES), b->samples);
    return fit > 2 ? (int)(fit - 1) / 2 * 2 + 1 : 1; /* one is in the middle */
}

/* A place that could not be opened is closed with the others. */
static nl_status move_on(bench *b, const char *spec, nl_bench_shape shape)
{
    return open_place(&b->place[b->places++], spec, shape, array_room(b));
}

static void close_bench(bench *b)
{
    for (int k = 0; k < b->places; k++)
        leave(&b->place[k]);
    nl_free(b->kernel[0]);
    nl_free(b->sums);
}

nl_status nl_bench_norm(const char *spec, nl_bench_shape shape, int threads, int samples,
                        nl_bench_pair *out)
{
    nl_status st = NL_OK;
    bench b = {.values = shape.rows * shape.channels, .samples = samples};
    const int before = nl_threads();
    NL_GO(open_bench(&b));
    nl_threads_set(threads);
    for (int k = 0, places = places_for(&b); k < places; k++) {
        NL_GO(move_on(&b, spec, shape));
        for (int64_t i = nl_edge(samples, places, k); i < nl_edge(samples, places, k + 1); i++)
            take_sample(&b, i);
    }
    *out = (nl_bench_pair){summary(&b, FORWARD), summary(&b, BACKWARD)};
done:
    nl_threads_set(before);
    close_bench(&b);
    return st;
}
