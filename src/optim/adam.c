/* Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1):
 *
 *     m_t = beta1 m_{t-1} + (1 - beta1) g_t
 *     v_t = beta2 v_{t-1} + (1 - beta2) g_t^2
 *     p   = p - lr / (1 - beta1^t) m_t / (sqrt(v_t) / sqrt(1 - beta2^t) + eps)     eps_mode = torch
 *     p   = p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m_t / (sqrt(v_t) + eps)       eps_mode = keras
 *
 * The first is algorithm 1, and PyTorch's (eps 1e-8); the second is the remark at the end of the
 * paper's section 2 ("eps hat"), and Keras's (eps 1e-7). */
#include "optim/adam.h"

#include <math.h>

enum { TORCH, KERAS };
static const char *const eps_modes[] = {"torch", "keras", NULL};

/* A beta of 1 would never let a gradient in, and the correction would divide by 0. */
#define BETA_MAX 0.999999

const nl_option nl_adam_options[] = {
    NL_OPT(nl_adam, beta1, "0.9", 0, BETA_MAX, "weight of the old mean"),
    NL_OPT(nl_adam, beta2, "0.999", 0, BETA_MAX, "weight of the old mean square"),
    NL_OPT(nl_adam, eps, "1e-8", 1e-30, 1, "keeps the divisor from 0"),
    NL_OPT_NAMES(nl_adam, eps_mode, "torch", eps_modes,
                 "torch adds eps after the bias correction, keras before"),
    NL_OPT_END};

enum { RATE, ROOT };

void nl_adam_pace(const void *self, nl_optim_call *c)
{
    const nl_adam *a = self;
    const double t = (double)c->step;
    const double correct1 = 1 - pow(a->beta1, t), root2 = sqrt(1 - pow(a->beta2, t));
    const bool torch = a->eps_mode.is == TORCH;
    c->coef[RATE] = c->lr / correct1 * (torch ? 1 : root2);
    c->coef[ROOT] = torch ? 1 / root2 : 1;
}

void nl_adam_step(const void *self, const nl_optim_call *c)
{
    const nl_adam *a = self;
    const nl_real beta[2] = {(nl_real)a->beta1, (nl_real)a->beta2};
    const nl_real fresh[2] = {(nl_real)(1 - a->beta1), (nl_real)(1 - a->beta2)};
    nl_update_kernel()->adam(&c->u, c->slot[0], c->slot[1], (nl_real)c->coef[RATE], beta, fresh,
                             (nl_real)c->coef[ROOT], (nl_real)a->eps);
}

const nl_optim_ops nl_optim_adam = {
    NL_OPTIM_HEADER,
    .name = "adam",
    .title = "Adam",
    .cite = "kingma2015adam",
    .presets = {{"lr", "0.001"}},
    NL_ADAM_BODY,
};
