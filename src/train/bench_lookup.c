/* An embedding's table under an optimizer: every row moved at every step, or rows that wait until
 * they are read. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "core/lookup.h"
#include "core/optim.h"
#include "par/par.h"
#include "train/bench.h"

/* The table and the batches of ziaee2022's IMDB network. Enough steps that waiting rows are brought
 * up to date as often as they ever are. */
enum { ROWS = 20000, COLS = 512, TOKENS = 25 * 80, DENSE_STEPS = 40, WAITING_STEPS = 1024 };

static const nl_variable dense = {.name = "w", .role = NL_PARAM};
static const nl_variable by_row = {
    .name = "w", .role = NL_PARAM, .flags = NL_OVERWRITES | NL_BY_ROW};

typedef struct lookup_bench {
    nl_store *store;
    nl_item *table;
    nl_optim *optim;
    int64_t row[TOKENS], rows, touched; /* of this step; of all steps */
} lookup_bench;

static nl_status open_bench(lookup_bench *b, const nl_variable *table, const char *optimizer)
{
    int index;
    NL_TRY(nl_store_open(&b->store));
    NL_TRY(nl_store_add(b->store, "table", table, NULL, ROWS, COLS, 1, &index));
    NL_TRY(nl_store_commit(b->store));
    b->table = nl_store_at(b->store, index);
    NL_TRY(nl_optim_open(&b->optim, optimizer, b->store, WAITING_STEPS));
    return NL_OK;
}

static void close_bench(lookup_bench *b)
{
    nl_optim_close(b->optim);
    nl_store_close(b->store);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Word k about as often as 1/k (Zipf's law); each row once. */
static void draw_rows(lookup_bench *b, int64_t step)
{
    const nl_key key = {.stream = NL_STREAM_TEST, .epoch = (uint64_t)step};
    for (int i = 0; i < TOKENS; i++)
        b->row[i] = (int64_t)pow(ROWS, nl_random_uniform(key, (uint64_t)i));
    qsort(b->row, TOKENS, sizeof *b->row, ascending);
    b->rows = 0;
    for (int i = 0; i < TOKENS; i++)
        if (i == 0 || b->row[i] != b->row[b->rows - 1])
            b->row[b->rows++] = b->row[i];
    b->touched += b->rows;
}

static double step_seconds(lookup_bench *b, int64_t step)
{
    draw_rows(b, step);
    const double start = nl_wall_seconds();
    if (b->table->lookup) {
        nl_lookup_read(b->table, b->row, b->rows);
        nl_lookup_touch(b->table, b->row, b->rows, false);
    }
    for (int64_t i = 0; i < b->rows; i++)
        b->table->grad[b->row[i] * COLS + step % COLS] = 1;
    nl_optim_step(b->optim, false);
    return nl_wall_seconds() - start;
}

/* Mean milliseconds of a step, the end's bringing up to date included. */
static nl_status measure(const nl_variable *table, const char *optimizer, int64_t steps, double *ms,
                         double *rows, int *slots)
{
    lookup_bench b = {0};
    double seconds = 0;
    nl_status st = NL_OK;
    NL_GO(open_bench(&b, table, optimizer));
    step_seconds(&b, 0);
    b.touched = 0;
    for (int64_t step = 1; step <= steps; step++)
        seconds += step_seconds(&b, step);
    const double start = nl_wall_seconds();
    nl_lookup_read_all(b.store);
    *ms = (seconds + nl_wall_seconds() - start) / (double)steps * 1e3;
    *rows = (double)b.touched / (double)steps;
    *slots = nl_optim_slots(b.optim);
done:
    close_bench(&b);
    return st;
}

nl_status nl_bench_lookup(const char *optimizer, int threads, nl_bench_lookup_row *out)
{
    nl_status st = NL_OK;
    const int before = nl_threads();
    const double row = COLS * sizeof(nl_real) * 1e-6;
    int slots;
    nl_threads_set(threads);
    NL_GO(measure(&dense, optimizer, DENSE_STEPS, &out->dense_ms, &out->rows, &slots));
    NL_GO(measure(&by_row, optimizer, WAITING_STEPS, &out->waiting_ms, &out->rows, &slots));
    out->dense_mb = ROWS * row * (3 + 2 * slots);
    /* the update; the missed steps, where there are slots; the gradient that is cleared */
    out->waiting_mb = out->rows * row * (3 + 2 * slots + (slots ? 2 + 2 * slots : 0) + 1);
done:
    nl_threads_set(before);
    return st;
}
