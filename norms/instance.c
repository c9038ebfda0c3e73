/* Instance normalization. Ulyanov, Vedaldi & Lempitsky 2016 (arXiv:1607.08022), eq. 2.
 *
 * Area: per example and channel, over positions, {s}; m values.
 *     mu = mean x,  var = mean (x - mu)^2 (biased),  r = 1 / sqrt(var + eps)
 *     z = r (x - mu),  y = gamma z + beta
 *     dL/dmu = -r G,  dL/dvar = -r^3 H / 2          G = sum g, H = sum g (x - mu), g = gamma dy
 *
 * Training and evaluation do the same; no state. gamma and beta are off, as in PyTorch, unless
 * asked for. One position an example leaves nothing to normalize: refused, as in PyTorch. With 1
 * live position var is 0 and y = beta. */
#include "core/norm.h"

struct instance {
    double eps;
    bool center, scale;
    nl_choice time;
};

static const nl_option options[] = {
    NL_OPT(struct instance, eps, "1e-5", 0, 1e6, "added to the variance, inside the root"),
    NL_OPT_FLAG(struct instance, scale, "false", "learn gamma"),
    NL_OPT_FLAG(struct instance, center, "false", "learn beta"), NL_OPT_TIME(struct instance),
    NL_OPT_END};

enum { GAMMA, BETA, VARIABLES };
static const nl_variable variables[] = {
    NL_GAMMA_ROW(GAMMA, "scale"), NL_BETA_ROW(BETA, "center"), [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status check(const void *self, const nl_geom *g)
{
    (void)self;
    if (g->s < 2)
        return nl_fail(NL_ESHAPE, "instance: %lld position per example, at least 2 needed",
                       (long long)g->s);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct instance *o = self;
    (void)g;
    area[0] = (nl_area){.over = NL_OVER_S, .standardizes = true, .eps = o->eps};
    return 1;
}

NL_NORM_DEFINE(instance) = {
    NL_NORM_HEADER,
    .name = "instance",
    .title = "Instance normalization",
    .cite = "ulyanov2016instance, eq. 2",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_SCALE_INVARIANT | NL_T_SHIFT_INVARIANT | NL_T_CHANNEL_SHIFT_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct instance),
    .options = options,
    .variables = variables,
    .check = check,
    .areas = areas,
};
