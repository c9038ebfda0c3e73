/* gradient_plan.h: which gradients of outputs may lie in the same memory. That of a layer's output
 * is written when the latest layer that reads it goes back, and gone once the layer itself has;
 * that of a layer with a residual then lives on as the gradient of what was added. So a chain needs
 * two, whatever its depth. */
#ifndef NL_GRADIENT_PLAN_H
#define NL_GRADIENT_PLAN_H

#include "core/layer.h"

enum { NL_GRADIENT_ELSEWHERE = -1 }; /* the caller's, or that of another output */

typedef struct nl_gradient_plan {
    int *piece;      /* (layers): where the gradient of that output is written first */
    int64_t *values; /* (layers): of one example, of each piece */
    int pieces;
} nl_gradient_plan;

/* piece and values are the caller's. The last layer's gradient is given by the caller. */
void nl_plan_gradients(nl_gradient_plan *p, nl_layer *const *layer, int layers);

#endif
