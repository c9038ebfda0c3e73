/* score.h: how well a model does on a split of its data. */
#ifndef NL_SCORE_H
#define NL_SCORE_H

#include "core/dataset.h"
#include "core/model.h"

typedef struct nl_score {
    double loss, accuracy; /* means over examples; NaN where there are none */
} nl_score;

/* What a split is evaluated with. model and data are lent. */
typedef struct nl_scorer {
    nl_model *model;
    const nl_dataset *data;
    int64_t n; /* examples at once, at most the model's capacity; the last batch may be short */
    const nl_policy *policy; /* NULL: the norms' own */
    int64_t step, epoch;     /* of the training so far */
    uint64_t seed;
    uint8_t *live; /* (n, data->shape.s), where the data are ragged; nl_scorer_open takes it */
} nl_scorer;

/* Takes what the other fields ask for; nl_scorer_close gives it back. */
nl_status nl_scorer_open(nl_scorer *s) NL_CHECKED;
void nl_scorer_close(nl_scorer *s);

/* Sums over examples, then divides: never a mean of batch means. Changes no state. */
nl_score nl_score_split(const nl_scorer *s, const nl_split *split);

#endif
