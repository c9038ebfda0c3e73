/* loss.h: losses of rows of outputs with their gradients, in one go.
 *
 *     softmax   loss = log(sum_k e^x_k) - x_label      dx_k = (p_k - [k = label]) scale
 *     sigmoid   loss = log(1 + e^x) - x label          dx = (p - label) scale, one logit a row
 *     squared   loss = (x - value)^2                   dx = 2 (x - value) scale, one output a row
 *
 * Any finite logits are safe. A loss near 0 keeps its digits: loss and gradient are within a few
 * units in the last place, plus one for each unit of difference between the logits that matter.
 * A NaN or +infinity in a row of softmax makes its loss NaN. */
#ifndef NL_LOSS_H
#define NL_LOSS_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* Totals over rows with a label. */
typedef struct nl_loss_sum {
    double loss;
    /* the largest logit is the label's (the first of equals); sigmoid: logit > 0 is label 1;
     * squared: |x - value| < tolerance */
    int64_t correct;
    int64_t rows;
} nl_loss_sum;

typedef struct nl_loss_kernels {
    /* logits (rows, classes), labels (rows), 0 .. classes-1. A row with a negative label has no
     * loss and gradient 0. Adds to *sum. dlogits (rows, classes) is overwritten; it may be NULL
     * or logits itself. A row whose loss is NaN counts as wrong. */
    void (*softmax)(const nl_real *logits, int64_t rows, int64_t classes, const int32_t *labels,
                    double scale, nl_real *dlogits, nl_loss_sum *sum);
    /* The same with logits (rows) and labels 0 or 1. */
    void (*sigmoid)(const nl_real *logits, int64_t rows, const int32_t *labels, double scale,
                    nl_real *dlogits, nl_loss_sum *sum);
    /* x (rows) against values (rows): every row counts. dx may be NULL or x itself. */
    void (*squared)(const nl_real *x, int64_t rows, const nl_real *values, double tolerance,
                    double scale, nl_real *dx, nl_loss_sum *sum);
} nl_loss_kernels;

NL_KERNELS(nl_loss_kernels, nl_loss)

#endif
