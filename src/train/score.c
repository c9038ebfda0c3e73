#include "train/score.h"

#include <math.h>

#include "base/alloc.h"
#include "layers/cross_entropy.h"
#include "train/setup.h"

nl_status nl_scorer_open(nl_scorer *s)
{
    if (s->data->ragged && !(s->live = nl_alloc((size_t)(s->n * s->data->shape.s), 1)))
        return nl_fail(NL_ENOMEM, "masks of %lld examples", (long long)s->n);
    return NL_OK;
}

void nl_scorer_close(nl_scorer *s)
{
    nl_free(s->live);
    s->live = NULL;
}

static nl_layer_call call_of(const nl_scorer *s, const nl_split *split, int64_t from, int64_t n)
{
    const nl_shape *shape = &s->data->shape;
    for (int64_t i = 0; s->live && i < n; i++)
        nl_dataset_live(s->data, split, from + i, s->live + i * shape->s);
    return (nl_layer_call){.n = n,
                           .phase = NL_EVAL,
                           .policy = s->policy,
                           .step = s->step,
                           .epoch = s->epoch,
                           .seed = s->seed,
                           .live = s->live,
                           .x = split->x + from * shape->s * shape->c};
}

nl_score nl_score_split(const nl_scorer *s, const nl_split *split)
{
    double loss = 0;
    int64_t correct = 0;
    for (int64_t from = 0; from < split->count; from += s->n) {
        const int64_t left = split->count - from, n = left < s->n ? left : s->n;
        const nl_layer_call c = call_of(s, split, from, n);
        const nl_real *logits = nl_model_forward(s->model, &c);
        loss += nl_cross_entropy(nl_outputs_of(s->data), logits, split->label + from, n, 0, NULL,
                                 &correct);
    }
    const double count = split->count > 0 ? (double)split->count : NAN;
    return (nl_score){loss / count, (double)correct / count};
}
