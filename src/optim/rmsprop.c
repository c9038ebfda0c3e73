/* RMSprop (Tieleman and Hinton 2012, lecture 6.5), as PyTorch has it:
 *
 *     v_t = alpha v_{t-1} + (1 - alpha) g_t^2
 *     a_t = alpha a_{t-1} + (1 - alpha) g_t        centered (Graves 2013, arXiv:1308.0850, eq. 38)
 *     s_t = v_t, or v_t - a_t^2 if centered        not below 0, which rounding would allow
 *     d_t = g_t / (sqrt(s_t) + eps)                PyTorch: alpha 0.99, eps 1e-8
 *     d_t = g_t / sqrt(s_t + eps)                  eps_inside = true: Keras, alpha 0.9, eps 1e-7
 *     b_t = momentum b_{t-1} + d_t
 *     p   = p - lr b_t
 *
 * Without momentum p = p - lr d_t. Keras calls alpha rho, and has lr inside b: the same path while
 * lr is constant. */
#include "core/optim.h"

typedef struct rmsprop {
    double alpha, eps, momentum;
    bool eps_inside, centered;
} rmsprop;

enum { SQUARE, MEAN, MOMENTUM };

static const nl_option options[] = {
    NL_OPT(rmsprop, alpha, "0.99", 0, 1, "weight of the old mean square"),
    NL_OPT(rmsprop, eps, "1e-8", 1e-30, 1, "keeps the divisor from 0"),
    NL_OPT_FLAG(rmsprop, eps_inside, "false", "eps under the root (Keras) instead of outside"),
    NL_OPT_FLAG(rmsprop, centered, "false", "divides by the deviation, not the root mean square"),
    NL_OPT(rmsprop, momentum, "0", 0, 1, "weight of the old direction"),
    NL_OPT_END};

static bool uses_slot(const void *self, int k)
{
    const rmsprop *r = self;
    return k == SQUARE || (k == MEAN && r->centered) || (k == MOMENTUM && r->momentum > 0);
}

static void step(const void *self, const nl_optim_call *c)
{
    const rmsprop *r = self;
    nl_update_kernel()->rmsprop(&c->u, c->slot[SQUARE], c->slot[MEAN], c->slot[MOMENTUM],
                                (nl_real)c->lr, (nl_real)r->alpha, (nl_real)(1 - r->alpha),
                                (nl_real)r->momentum, (nl_real)(r->eps_inside ? r->eps : 0),
                                (nl_real)(r->eps_inside ? 0 : r->eps));
}

const nl_optim_ops nl_optim_rmsprop = {
    NL_OPTIM_HEADER,
    .name = "rmsprop",
    .title = "RMSprop",
    .cite = "tieleman2012rmsprop",
    .self_size = sizeof(rmsprop),
    .options = options,
    .slots = {"square", "mean", "momentum"},
    .uses_slot = uses_slot,
    .step = step,
};
