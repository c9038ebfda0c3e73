#include "layers/cross_entropy.h"

#include "kernel/loss.h"

double nl_cross_entropy(int64_t outputs, const nl_real *logits, const int32_t *label, int64_t n,
                        double scale, nl_real *d_logits, int64_t *correct)
{
    nl_loss_sum sum = {0};
    if (outputs == 1)
        nl_loss()->sigmoid(logits, n, label, scale, d_logits, &sum);
    else
        nl_loss()->softmax(logits, n, outputs, label, scale, d_logits, &sum);
    *correct += sum.correct;
    return sum.loss;
}
