/* ScaleNorm. Nguyen & Salazar 2019 (arXiv:1910.05895), eq. 5.
 *
 * Area: per example and position, over channels, {c}; m values. The core gives the mean square ms.
 *     y = g x / |x| = a x,  a = g r,  r = 1 / sqrt(m ms + eps),  one g for all, sqrt(c) at first
 *     dL/dg = sum over rows of r H,  dL/dms = -m g r^3 H / 2        H = sum of dL/dy x over a row
 *
 * Training and evaluation do the same; no state. eps guards |x| = 0: a row of zeros gives zeros. */
#include <math.h>

#include "core/norm.h"

struct scale_norm {
    double eps;
};

static const nl_option options[] = {
    NL_OPT(struct scale_norm, eps, "1e-10", 0, 1, "added to |x|^2, inside the root"), NL_OPT_END};

enum { G, VARIABLES };
static const nl_variable variables[] = {[G] = {.name = "g",
                                               .role = NL_PARAM,
                                               .type = NL_TYPE_REAL,
                                               .init = 1,
                                               .flags = NL_LOGGED,
                                               .doc = "length of every output row"},
                                        [VARIABLES] = NL_ENDS_VARIABLES};

/* whole: all rows at once, because each adds to the gradient of the one g. */
static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    (void)self, (void)g;
    area[0] = (nl_area){.over = NL_OVER_C, .moments = NL_MEAN_SQUARE, .whole = true};
    return 1;
}

static void start(const void *self, nl_call *c)
{
    (void)self;
    NL_REALS(c, G)[0] = (nl_real)sqrt((double)c->geom->c);
}

static void forward(const void *self, nl_call *c, int k)
{
    const struct scale_norm *o = self;
    const nl_stats *st = &c->stats[k];
    const double g = (double)NL_REALS(c, G)[0], m = (double)c->geom->c;
    for (int64_t i = 0; i < st->statistics; i++) {
        st->a[i] = g / sqrt(m * st->var[i] + o->eps);
        st->d[i] = 0;
    }
}

static void backward(const void *self, nl_call *c, int k)
{
    const struct scale_norm *o = self;
    const nl_stats *st = &c->stats[k];
    const double g = (double)NL_REALS(c, G)[0], m = (double)c->geom->c;
    double dg = 0;
    for (int64_t i = 0; i < st->statistics; i++) {
        const double r = 1 / sqrt(m * st->var[i] + o->eps);
        dg += r * st->H[i];
        st->dmean[i] = 0;
        st->dvar[i] = -0.5 * m * g * r * r * r * st->H[i];
    }
    c->v[G].grad[0] += (nl_real)dg;
}

NL_NORM_DEFINE(scale_norm) = {
    NL_NORM_HEADER,
    .name = "scale_norm",
    .title = "ScaleNorm",
    .cite = "",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_SCALE_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct scale_norm),
    .options = options,
    .variables = variables,
    .areas = areas,
    .start = start,
    .forward = forward,
    .backward = backward,
};
