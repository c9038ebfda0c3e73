/* Stochastic gradient descent (Robbins and Monro 1951), with momentum (Polyak 1964) in the form of
 * Sutskever et al. 2013 as PyTorch has it: the rate is outside the buffer.
 *
 *     b_1 = g_1                                    dampening does not act on the first step
 *     b_t = momentum b_{t-1} + (1 - dampening) g_t
 *     p   = p - lr b_t                             momentum
 *     p   = p - lr (g_t + momentum b_t)            nesterov
 *     p   = p - lr g_t                             momentum = 0
 *
 * Keras keeps v = momentum v - lr g instead: the same path while lr is constant. */
#include "optim/sgd.h"

const nl_option nl_sgd_options[] = {
    NL_OPT(nl_sgd, momentum, "0", 0, 1, "weight of the old direction"),
    NL_OPT(nl_sgd, dampening, "0", 0, 1, "takes this share off the new gradient"),
    NL_OPT_FLAG(nl_sgd, nesterov, "false", "looks ahead along the momentum"), NL_OPT_END};

nl_status nl_sgd_check(const void *self)
{
    const nl_sgd *s = self;
    if (s->nesterov && (s->momentum == 0 || s->dampening > 0))
        return nl_fail(NL_EOPTION, "sgd: nesterov wants momentum above 0 and dampening 0");
    return NL_OK;
}

bool nl_sgd_uses_slot(const void *self, int k)
{
    (void)k; /* there is one slot */
    return ((const nl_sgd *)self)->momentum > 0;
}

void nl_sgd_step(const void *self, const nl_optim_call *c)
{
    const nl_sgd *s = self;
    const nl_update_kernels *kernel = nl_update_kernel();
    const double fresh = c->step == 1 ? 1 : 1 - s->dampening;
    if (c->slot[0])
        kernel->momentum(&c->u, c->slot[0], (nl_real)c->lr, (nl_real)s->momentum, (nl_real)fresh,
                         s->nesterov);
    else
        kernel->plain(&c->u, (nl_real)c->lr);
}

const nl_optim_ops nl_optim_sgd = {
    NL_OPTIM_HEADER,
    .name = "sgd",
    .title = "Stochastic gradient descent",
    .cite = "robbins1951stochastic",
    NL_SGD_BODY,
};
