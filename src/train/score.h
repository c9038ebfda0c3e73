/* score.h: how well a model does on a split of its data. */
#ifndef NL_SCORE_H
#define NL_SCORE_H

#include "core/dataset.h"
#include "core/model.h"
#include "layers/loss.h"

typedef struct nl_score {
    double loss, accuracy; /* means over answers; NaN where there are none */
} nl_score;

/* What a split is evaluated with. model and data are lent. */
typedef struct nl_scorer {
    nl_model *model;
    const nl_dataset *data;
    int64_t n; /* examples at once, at most the model's capacity; the last batch may be short */
    const nl_policy *policy; /* NULL: the norms' own */
    int64_t step, epoch;     /* of the training so far */
    uint64_t seed;
    /* nl_scorer_open takes what the data need: */
    uint8_t *live; /* ragged: (n, data->shape.s) */
    nl_real *x;    /* consecutive: the examples of a batch do not lie side by side */
    int32_t *label;
} nl_scorer;

/* Takes what the other fields ask for; nl_scorer_close gives it back. */
nl_status nl_scorer_open(nl_scorer *s) NL_CHECKED;
void nl_scorer_close(nl_scorer *s);

/* What the outputs for n examples should be; label and value as in nl_split. */
nl_answers nl_answers_of(const nl_dataset *d, const int32_t *label, const nl_real *value,
                         int64_t n);

nl_score nl_score_of(const nl_loss_sum *sum);

/* Sums over answers, then divides: never a mean of batch means. Changes no state of training. */
nl_score nl_score_split(const nl_scorer *s, const nl_split *split);

#endif
