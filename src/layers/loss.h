/* loss.h: the loss of a batch, the last layer of training.
 *
 *     classes, outputs > 1   softmax:  L_r = log sum_k exp(l_rk) - l_r,label
 *     classes, outputs = 1   sigmoid:  L_r = log(1 + exp(l_r)) - label l_r
 *     numbers                squared:  L_r = (l_r - value_r)^2
 *
 * A row is an example, or a step of one where the data ask at each step. */
#ifndef NL_LAYERS_LOSS_H
#define NL_LAYERS_LOSS_H

#include "kernel/loss.h"

/* What the outputs of a call should have been. */
typedef struct nl_answers {
    int64_t rows, outputs; /* outputs a row */
    const int32_t *label;  /* (rows) classes; negative: nothing is asked for */
    const nl_real *value;  /* (rows) numbers instead; NULL: classes */
    double tolerance;      /* numbers: errors below it count as correct */
} nl_answers;

/* Sums over the rows that are asked for. logits, d_logits (rows, outputs); d_logits becomes the
 * gradient of their mean loss; NULL: not wanted. A loss that is not finite stays so. */
nl_loss_sum nl_loss_of(const nl_answers *a, const nl_real *logits, nl_real *d_logits);

#endif
