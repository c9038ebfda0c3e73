#include "train/batches.h"

#include <string.h>

#include "base/random.h"
#include "par/par.h"

static const char *const orders[] = {"reshuffle", "fixed", "sequential", NULL};
static const char *const lasts[] = {"keep", "drop", NULL};

const nl_option nl_batches_option_table[] = {
    NL_OPT(nl_batches_options, batch, "60", 0, NL_DATASET_MOST, "examples in a batch (0: all)"),
    NL_OPT_NAMES(nl_batches_options, order, "reshuffle", orders,
                 "a new order each epoch, one for all epochs, or as the data lie"),
    NL_OPT_NAMES(nl_batches_options, last, "keep", lasts, "a last batch that is not full"),
    NL_OPT_END};

nl_batches nl_batches_in_order(const nl_dataset *d, const nl_split *from, int64_t most)
{
    const int64_t batch = most < from->count ? most : from->count;
    return (nl_batches){.data = d,
                        .from = from,
                        .width = d->shape.s * d->shape.c,
                        .batch = batch,
                        .steps = batch > 0 ? (from->count + batch - 1) / batch : 0,
                        .order = NL_ORDER_SEQUENTIAL};
}

nl_status nl_batches_open(nl_batches *out, const nl_dataset *d, const nl_split *from,
                          const nl_batches_options *options, uint64_t seed)
{
    const int64_t count = from->count, batch = options->batch ? options->batch : count;
    if (count == 0)
        return nl_fail(NL_ESHAPE, "%s: no examples to make batches of", d->ops->name);
    if (batch > count)
        return nl_fail(NL_ESHAPE, "batch of %lld is larger than the %lld training examples of %s",
                       (long long)batch, (long long)count, d->ops->name);
    *out = nl_batches_in_order(d, from, batch);
    if (options->last.is == NL_LAST_DROP)
        out->steps = count / batch;
    out->order = options->order.is;
    out->seed = seed;
    if (from == &d->train)
        out->augment = d->augment;
    return NL_OK;
}

void nl_batches_order(const nl_batches *b, int64_t epoch, int64_t *order)
{
    if (b->order == NL_ORDER_SEQUENTIAL) {
        for (int64_t i = 0; i < b->from->count; i++)
            order[i] = i;
        return;
    }
    const nl_key key = {.seed = b->seed,
                        .stream = NL_STREAM_ORDER,
                        .epoch = b->order == NL_ORDER_FIXED ? 0 : (uint64_t)epoch};
    nl_random_permutation(key, order, b->from->count);
}

int64_t nl_batches_rows(const nl_batches *b, int64_t k)
{
    const int64_t count = b->from->count;
    /* streams that are long enough, or what the batches before have left */
    const int64_t rows =
        b->data->consecutive ? (count - k + b->steps - 1) / b->steps : count - k * b->batch;
    return rows < b->batch ? rows : b->batch;
}

int64_t nl_batches_example(const nl_batches *b, const int64_t *order, int64_t k, int64_t i)
{
    if (b->data->consecutive)
        return i * b->steps + k;
    return order ? order[k * b->batch + i] : k * b->batch + i;
}

typedef struct gather {
    const nl_batches *b;
    const int64_t *order;
    int64_t epoch, k;
    nl_real *x, *value;
    int32_t *label;
} gather;

static void copy_input(const gather *g, int64_t example, nl_real *to)
{
    const nl_batches *b = g->b;
    const nl_real *from = b->from->x + example * b->width;
    const nl_shape *s = &b->data->shape;
    if (nl_augments(&b->augment))
        nl_augment_image(&b->augment, b->seed, g->epoch, example, s->h, s->w,
                         b->width / (s->h * s->w), from, to);
    else
        memcpy(to, from, (size_t)b->width * sizeof *to);
}

static void copy_answers(const gather *g, int64_t example, int64_t row)
{
    const nl_split *from = g->b->from;
    const int64_t answers = nl_dataset_answers(g->b->data);
    if (from->label)
        memcpy(g->label + row * answers, from->label + example * answers,
               (size_t)answers * sizeof *g->label);
    if (from->value)
        memcpy(g->value + row * answers, from->value + example * answers,
               (size_t)answers * sizeof *g->value);
}

static void copy_example(int64_t i, void *arg)
{
    const gather *g = arg;
    const int64_t example = nl_batches_example(g->b, g->order, g->k, i);
    copy_input(g, example, g->x + i * g->b->width);
    copy_answers(g, example, i);
}

int64_t nl_batches_gather(const nl_batches *b, const int64_t *order, int64_t epoch, int64_t k,
                          nl_real *x, int32_t *label, nl_real *value, bool parallel)
{
    const int64_t rows = nl_batches_rows(b, k);
    gather g = {b, order, epoch, k, x, value, label};
    const int64_t bytes = 2 * rows * b->width * (int64_t)sizeof *x;
    nl_for(rows, parallel ? bytes : 0, copy_example, &g);
    return rows;
}

void nl_batches_live(const nl_batches *b, const int64_t *order, int64_t k, uint8_t *live)
{
    const int64_t rows = nl_batches_rows(b, k);
    for (int64_t i = 0; i < rows; i++)
        nl_dataset_live(b->data, b->from, nl_batches_example(b, order, k, i),
                        live + i * b->data->shape.s);
}
