#include "layers/loss.h"

/* 1 / rows that are asked for. */
static double scale_of(const nl_answers *a)
{
    int64_t asked = 0;
    for (int64_t r = 0; a->label && r < a->rows; r++)
        asked += a->label[r] >= 0;
    return 1 / (double)(a->label ? asked : a->rows);
}

nl_loss_sum nl_loss_of(const nl_answers *a, const nl_real *logits, nl_real *d_logits)
{
    nl_loss_sum sum = {0};
    const double scale = d_logits ? scale_of(a) : 0;
    if (a->value)
        nl_loss()->squared(logits, a->rows, a->value, a->tolerance, scale, d_logits, &sum);
    else if (a->outputs == 1)
        nl_loss()->sigmoid(logits, a->rows, a->label, scale, d_logits, &sum);
    else
        nl_loss()->softmax(logits, a->rows, a->outputs, a->label, scale, d_logits, &sum);
    return sum;
}
