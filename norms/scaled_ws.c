/* Scaled weight standardization. Brock, De & Smith 2021 (arXiv:2101.08692), eq. 3; the gain of
 * arXiv:2102.06171, sec. 2.
 *
 * Slot: a weight. x is W, (fan-in, outputs); y is what the layer multiplies by. Area: per output,
 * over the fan-in, {n}; N values.
 *     y = act_gain g (W - mean) r,   r = 1 / sqrt(max(N var, eps))
 *     dL/dmean = -r G;   dL/dvar = -N r^3 H / 2, 0 where eps rules
 *                        u = act_gain g dy,  G = sum u,  H = sum u (W - mean)
 * The layer that gives the logits has no activation behind it and is left alone, as in the paper.
 * The same in training and evaluation; no state. act_gain makes the layer's activation keep the
 * variance: sqrt(2 / (1 - 1 / pi)) = 1.7139588594436646 for a relu behind it. */
#include <math.h>

#include "core/norm.h"

struct scaled_ws {
    double eps, act_gain;
    bool scale;
};

static const nl_option options[] = {
    NL_OPT(struct scaled_ws, eps, "1e-4", 1e-30, 1, "smallest N var that is divided by"),
    NL_OPT(struct scaled_ws, act_gain, "1.7139588594436646", 1e-6, 1e6,
           "of the activation behind the layer: the default is relu's"),
    NL_OPT(struct scaled_ws, scale, "true", 0, 1, "learn the gain g"), NL_OPT_END};

enum { G, VARIABLES };
static const nl_variable variables[] = {[G] = {.name = "g",
                                               .role = NL_PARAM,
                                               .dim = {NL_1, NL_C},
                                               .init = 1,
                                               .flags = NL_LOGGED,
                                               .only_if = "scale",
                                               .purpose = NL_GAMMA,
                                               .doc = "gain of each output"},
                                        [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status check(const void *self, const nl_geom *g)
{
    (void)self;
    if (g->s != 1)
        return nl_fail(NL_ESHAPE, "scaled_ws: wants a weight (fan-in, outputs), got %lld positions",
                       (long long)g->s);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    (void)self, (void)g;
    area[0] = (nl_area){.over = NL_OVER_N, .moments = NL_MEAN_VAR};
    return 1;
}

static void forward(const void *self, nl_call *c, int k)
{
    const struct scaled_ws *o = self;
    const nl_stats *st = &c->stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        st->a[i] = o->act_gain / sqrt(fmax(nl_count(st, i) * st->var[i], o->eps));
        st->d[i] = 0;
    }
}

static void backward(const void *self, nl_call *c, int k)
{
    const struct scaled_ws *o = self;
    const nl_stats *st = &c->stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        const double n = nl_count(st, i), a = st->a[i], sum = n * st->var[i];
        st->dmean[i] = -a * st->G[i];
        st->dvar[i] = sum > o->eps ? -0.5 * n * a / sum * st->H[i] : 0;
    }
}

NL_NORM_DEFINE(scaled_ws) = {
    NL_NORM_HEADER,
    .name = "scaled_ws",
    .title = "Scaled weight standardization",
    .cite = "brock2021characterizing, eq. 3",
    .sites = NL_AT_WEIGHT,
    .traits = NL_T_COUPLES_ROWS | NL_T_SCALE_INVARIANT | NL_T_SHIFT_INVARIANT |
              NL_T_CHANNEL_SHIFT_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct scaled_ws),
    .options = options,
    .variables = variables,
    .check = check,
    .areas = areas,
    .forward = forward,
    .backward = backward,
};
