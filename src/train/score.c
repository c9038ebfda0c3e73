#include "train/score.h"

#include <math.h>

#include "base/alloc.h"
#include "train/batches.h"

nl_answers nl_answers_of(const nl_dataset *d, const int32_t *label, const nl_real *value, int64_t n)
{
    return (nl_answers){.rows = n * nl_dataset_answers(d),
                        .outputs = nl_dataset_outputs(d),
                        .label = label,
                        .value = value,
                        .tolerance = d->tolerance};
}

nl_score nl_score_of(const nl_loss_sum *sum)
{
    const double rows = sum->rows > 0 ? (double)sum->rows : NAN;
    return (nl_score){sum->loss / rows, (double)sum->correct / rows};
}

nl_status nl_scorer_open(nl_scorer *s)
{
    const nl_dataset *d = s->data;
    if (d->ragged)
        s->live = nl_alloc((size_t)(s->n * d->shape.s), 1);
    if (d->consecutive) {
        s->x = nl_alloc((size_t)(s->n * d->shape.s * d->shape.c), sizeof *s->x);
        s->label = nl_alloc((size_t)(s->n * nl_dataset_answers(d)), sizeof *s->label);
    }
    if ((d->ragged && !s->live) || (d->consecutive && (!s->x || !s->label)))
        return nl_fail(NL_ENOMEM, "an evaluation batch of %lld examples", (long long)s->n);
    return NL_OK;
}

void nl_scorer_close(nl_scorer *s)
{
    nl_free(s->live);
    nl_free(s->x);
    nl_free(s->label);
    s->live = NULL;
    s->x = NULL;
    s->label = NULL;
}

/* Batch k of a split: where it lies, or gathered. */
static nl_layer_call call_of(const nl_scorer *s, const nl_batches *b, int64_t k,
                             nl_answers *answers)
{
    const nl_dataset *d = s->data;
    const int64_t n = nl_batches_rows(b, k), from = k * b->batch;
    const int64_t first = from * nl_dataset_answers(d);
    nl_layer_call c = {.n = n,
                       .phase = NL_EVAL,
                       .policy = s->policy,
                       .step = s->step,
                       .epoch = s->epoch,
                       .seed = s->seed,
                       .live = s->live};
    if (s->live)
        nl_batches_live(b, NULL, k, s->live);
    if (d->consecutive) {
        nl_batches_gather(b, NULL, 0, k, s->x, s->label, NULL, true);
        c.x = s->x;
        c.carry = k > 0;
        *answers = nl_answers_of(d, s->label, NULL, n);
    } else {
        const int32_t *label = b->from->label;
        const nl_real *value = b->from->value;
        c.x = b->from->x + from * b->width;
        *answers = nl_answers_of(d, label ? label + first : NULL, value ? value + first : NULL, n);
    }
    return c;
}

nl_score nl_score_split(const nl_scorer *s, const nl_split *split)
{
    nl_loss_sum all = {0};
    const nl_batches b = nl_batches_in_order(s->data, split, s->n);
    for (int64_t k = 0; k < b.steps; k++) {
        nl_answers answers;
        const nl_layer_call c = call_of(s, &b, k, &answers);
        const nl_real *logits = nl_model_forward(s->model, &c);
        const nl_loss_sum sum = nl_loss_of(&answers, logits, NULL);
        all.loss += sum.loss;
        all.correct += sum.correct;
        all.rows += sum.rows;
    }
    return nl_score_of(&all);
}
