#include "core/gradient_plan.h"

#include "core/model.h"

enum { NOWHERE = -2 };

/* The backward pass, acted out. */
typedef struct pass {
    nl_gradient_plan *plan;
    int at[NL_MODEL_LAYERS_MAX]; /* piece that holds the gradient of an output by now */
    bool taken[NL_MODEL_LAYERS_MAX];
} pass;

/* Of two free pieces the one that is large enough with less to spare, or else the larger one. */
static bool fits_better(int64_t wanted, int64_t a, int64_t b)
{
    if ((a >= wanted) != (b >= wanted))
        return a >= wanted;
    return a >= wanted ? a < b : a > b;
}

static int take(pass *p, int64_t values)
{
    nl_gradient_plan *plan = p->plan;
    int best = plan->pieces;
    for (int k = 0; k < plan->pieces; k++)
        if (!p->taken[k] &&
            (best == plan->pieces || fits_better(values, plan->values[k], plan->values[best])))
            best = k;
    if (best == plan->pieces)
        plan->values[plan->pieces++] = 0;
    if (plan->values[best] < values)
        plan->values[best] = values;
    p->taken[best] = true;
    return best;
}

static void write_gradient(pass *p, nl_layer *const *layer, int output)
{
    if (output == NL_FROM_INPUT || p->at[output] != NOWHERE)
        return;
    const nl_shape *out = &layer[output]->out;
    p->at[output] = p->plan->piece[output] = take(p, out->s * out->c);
}

/* A layer has gone back: its gradient is that of what it added, or is gone. */
static void leave(pass *p, const nl_layer *l, int output)
{
    if (l->residual != NL_NO_RESIDUAL && p->at[l->residual] == NOWHERE)
        p->at[l->residual] = p->at[output];
    else if (p->at[output] != NL_GRADIENT_ELSEWHERE)
        p->taken[p->at[output]] = false;
}

void nl_plan_gradients(nl_gradient_plan *plan, nl_layer *const *layer, int layers)
{
    pass p = {.plan = plan};
    plan->pieces = 0;
    for (int i = 0; i < layers; i++)
        p.at[i] = NOWHERE, plan->piece[i] = NL_GRADIENT_ELSEWHERE;
    p.at[layers - 1] = NL_GRADIENT_ELSEWHERE;
    for (int i = layers - 1; i >= 0; i--) {
        write_gradient(&p, layer, layer[i]->from);
        leave(&p, layer[i], i);
    }
}
