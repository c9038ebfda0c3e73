/* cross_entropy.h: cross-entropy of logits, the last layer of training.
 *
 *     outputs > 1   softmax:  L_i = log sum_k exp(l_ik) - l_i,label      correct: largest logit
 *     outputs = 1   sigmoid:  L_i = log(1 + exp(l_i)) - label l_i         correct: l_i > 0 */
#ifndef NL_CROSS_ENTROPY_H
#define NL_CROSS_ENTROPY_H

#include <stdint.h>

#include "base/real.h"

/* Sum of the n losses; adds to *correct. logits, d_logits (n, outputs); d_logits = scale
 * dL/dlogits, or NULL. A loss that is not finite stays so. */
double nl_cross_entropy(int64_t outputs, const nl_real *logits, const int32_t *label, int64_t n,
                        double scale, nl_real *d_logits, int64_t *correct);

#endif
