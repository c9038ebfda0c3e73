/* Weight normalization. Salimans & Kingma 2016 (arXiv:1602.07868), eq. 2-3; data-dependent start
 * section 3, eq. 5-6.
 *
 * Slot: a weight. x is V, (fan-in, outputs); y is W. Area: per output, over the fan-in, {n};
 * m values.
 *     ms = mean v^2,  W = g V / |V| = g r V,  r = 1 / sqrt(m ms + eps)
 *     dL/dms = -m r^3 H / 2                         H = sum dW g v
 *
 * The same in training and evaluation; no state. g starts at |V|, so that W = V; with init=data the
 * first batch's pre-activations t then set g = g / std t, b = -mean t / std t. eps guards |V| = 0.
 */
#include <math.h>

#include "core/norm.h"

struct weight {
    double eps;
    nl_choice init;
};

static const char *const inits[] = {"length", "data", NULL};
static const nl_option options[] = {
    NL_OPT(struct weight, eps, "1e-12", 0, 1, "added to |V|^2, inside the root"),
    NL_OPT_NAMES(struct weight, init, "length", inits,
                 "length: g = |V|; data: unit variance of the first batch's outputs"),
    NL_OPT_END};

enum { G, VARIABLES };
static const nl_variable variables[] = {[G] = {"g",
                                               NL_PARAM,
                                               NL_TYPE_REAL,
                                               {NL_1, NL_C},
                                               1.0,
                                               NL_LOGGED,
                                               NULL,
                                               NL_GAMMA,
                                               0,
                                               "length of each output's weight vector"},
                                        [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status check(const void *self, const nl_geom *g)
{
    (void)self;
    if (g->s != 1)
        return nl_fail(NL_ESHAPE, "weight: wants a weight (fan-in, outputs), got %lld positions",
                       (long long)g->s);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    (void)self, (void)g;
    area[0] = (nl_area){.over = NL_OVER_N, .moments = NL_MEAN_SQUARE};
    return 1;
}

static void start(const void *self, nl_call *c)
{
    const nl_stats *st = &c->stats[0];
    (void)self;
    for (int64_t i = 0; i < st->statistics; i++)
        NL_REALS(c, G)[i] = (nl_real)sqrt(nl_count(st, i) * st->var[i]);
}

static void start_output(const void *self, nl_call *c, const double *mean, const double *var,
                         nl_real *bias)
{
    const struct weight *o = self;
    for (int64_t j = 0; o->init.is && j < c->geom->c; j++) {
        const double std =
            sqrt(var[j]) + 1e-10; /* as in the authors' code: an output that never moves */
        NL_REALS(c, G)[j] = (nl_real)((double)NL_REALS(c, G)[j] / std);
        if (bias)
            bias[j] = (nl_real)(-mean[j] / std);
    }
}

static void forward(const void *self, nl_call *c, int k)
{
    const struct weight *o = self;
    const nl_stats *st = &c->stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        st->a[i] = 1 / sqrt(nl_count(st, i) * st->var[i] + o->eps);
        st->d[i] = 0;
    }
}

static void backward(const void *self, nl_call *c, int k)
{
    const nl_stats *st = &c->stats[k];
    (void)self;
    for (int64_t i = 0; i < st->statistics; i++) {
        const double r = st->a[i];
        st->dmean[i] = 0;
        st->dvar[i] = -0.5 * nl_count(st, i) * r * r * r * st->H[i];
    }
}

NL_NORM_DEFINE(weight) = {
    NL_NORM_HEADER,
    .name = "weight",
    .title = "Weight normalization",
    .cite = "salimans2016weight, eq. 2-3",
    .sites = NL_AT_WEIGHT | NL_AT_ANSWER,
    .traits = NL_T_COUPLES_ROWS | NL_T_SCALE_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct weight),
    .options = options,
    .variables = variables,
    .check = check,
    .areas = areas,
    .start = start,
    .start_output = start_output,
    .forward = forward,
    .backward = backward,
};
