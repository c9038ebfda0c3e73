#include "train/feeder.h"

#include "base/alloc.h"
#include "par/par.h"

typedef struct slot {
    int64_t step, n; /* step: -1 for none */
    nl_real *x;
    int32_t *label;
    nl_real *value;
    uint8_t *live; /* NULL: no padding */
    int64_t *index;
} slot;

struct nl_feeder {
    const nl_batches *b;
    nl_background *worker;
    bool alone;
    slot slot[2], *filling; /* two: one is used while the other is filled */
    int64_t *order, epoch_of_order;
};

bool nl_feeder_has_no_core(int64_t threads) { return threads < 2 || threads >= nl_cores(); }

nl_status nl_feeder_open(nl_feeder **out, const nl_batches *b, bool alone)
{
    nl_status st = NL_OK;
    nl_feeder *f = *out = nl_alloc(1, sizeof *f);
    if (!f)
        return nl_fail(NL_ENOMEM, "the feeder of batches");
    f->b = b;
    f->alone = alone;
    f->epoch_of_order = -1;
    f->order = nl_alloc((size_t)b->from->count, sizeof *f->order);
    bool whole = f->order;
    const int64_t answers = nl_dataset_answers(b->data);
    for (int k = 0; k < 2; k++) {
        slot *s = &f->slot[k];
        s->step = -1;
        s->x = nl_alloc((size_t)(b->batch * b->width), sizeof *s->x);
        if (b->from->label)
            s->label = nl_alloc((size_t)(b->batch * answers), sizeof *s->label);
        else
            s->value = nl_alloc((size_t)(b->batch * answers), sizeof *s->value);
        s->index = nl_alloc((size_t)b->batch, sizeof *s->index);
        if (b->data->ragged)
            s->live = nl_alloc((size_t)(b->batch * b->data->shape.s), 1);
        whole = whole && s->x && (s->label || s->value) && s->index;
        whole = whole && (s->live || !b->data->ragged);
    }
    if (!whole)
        NL_BAIL(NL_ENOMEM, "a batch of %lld examples", (long long)b->batch);
    NL_GO(nl_background_open(&f->worker, alone));
done:
    if (st != NL_OK) {
        nl_feeder_close(f);
        *out = NULL;
    }
    return st;
}

void nl_feeder_close(nl_feeder *f)
{
    if (!f)
        return;
    nl_background_close(f->worker);
    for (int k = 0; k < 2; k++) {
        nl_free(f->slot[k].x);
        nl_free(f->slot[k].label);
        nl_free(f->slot[k].value);
        nl_free(f->slot[k].live);
        nl_free(f->slot[k].index);
    }
    nl_free(f->order);
    nl_free(f);
}

static nl_status fill(void *arg)
{
    nl_feeder *f = arg;
    slot *s = f->filling;
    const int64_t epoch = s->step / f->b->steps, k = s->step % f->b->steps;
    if (epoch != f->epoch_of_order)
        nl_batches_order(f->b, epoch, f->order);
    f->epoch_of_order = epoch;
    s->n = nl_batches_gather(f->b, f->order, epoch, k, s->x, s->label, s->value, f->alone);
    if (s->live)
        nl_batches_live(f->b, f->order, k, s->live);
    for (int64_t i = 0; i < s->n; i++)
        s->index[i] = nl_batches_example(f->b, f->order, k, i);
    return NL_OK;
}

static void start(nl_feeder *f, slot *s, int64_t step)
{
    s->step = step;
    f->filling = s;
    nl_background_start(f->worker, fill, f);
}

nl_status nl_feeder_batch(nl_feeder *f, int64_t step, nl_batch *out)
{
    NL_TRY(nl_background_wait(f->worker));
    slot *s = f->slot[1].step == step ? &f->slot[1] : &f->slot[0];
    if (s->step != step) { /* the first step, or one out of order */
        start(f, s, step);
        NL_TRY(nl_background_wait(f->worker));
    }
    *out = (nl_batch){.n = s->n,
                      .x = s->x,
                      .label = s->label,
                      .value = s->value,
                      .live = s->live,
                      .index = s->index,
                      .carry = f->b->data->consecutive && step % f->b->steps > 0};
    if (!f->alone)
        start(f, s == f->slot ? &f->slot[1] : &f->slot[0], step + 1);
    return NL_OK;
}
