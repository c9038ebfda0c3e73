/* Layer normalization. Ba, Kiros & Hinton 2016 (arXiv:1607.06450), eq. 3-4.
 *
 * Area: each example by itself, over its channels at each position, {c} (area=c: Keras's last axis,
 * an RNN step), or over positions and channels together, {s,c} (area=sc: PyTorch's (C, H, W));
 * m values.
 *     mu = mean x,  var = mean (x - mu)^2 (biased),  r = 1 / sqrt(var + eps)
 *     z = r (x - mu),  y = gamma z + beta
 *     dL/dmu = -r G,  dL/dvar = -r^3 H / 2          G = sum g, H = sum g (x - mu), g = gamma dy
 *
 * Training and evaluation do the same; no state. gamma and beta are per channel, or with
 * elementwise=true per position and channel as PyTorch's are. With 1 value per area var is 0, y =
 * beta. */
#include "core/norm.h"

struct layer {
    double eps;
    nl_choice area, time;
    bool center, scale, elementwise;
};

static const char *const area_names[] = {"c", "sc", NULL};
static const nl_option options[] = {
    NL_OPT(struct layer, eps, "1e-5", 0, 1e6, "added to the variance, inside the root"),
    NL_OPT_NAMES(struct layer, area, "c", area_names,
                 "values that share a statistic: channels, or positions and channels"),
    NL_OPT_FLAG(struct layer, scale, "true", "learn gamma"),
    NL_OPT_FLAG(struct layer, center, "true", "learn beta"),
    NL_OPT_FLAG(struct layer, elementwise, "false", "gamma, beta per position too"),
    NL_OPT_TIME(struct layer),
    NL_OPT_END};

enum { GAMMA, BETA, VARIABLES };
static const nl_variable variables[] = {
    [GAMMA] = {"gamma",
               NL_PARAM,
               NL_TYPE_REAL,
               {NL_USER, NL_C},
               1.0,
               NL_LOGGED,
               "scale",
               NL_GAMMA,
               0,
               "scale per channel (elementwise: per position and channel)"},
    [BETA] = {"beta",
              NL_PARAM,
              NL_TYPE_REAL,
              {NL_USER, NL_C},
              0.0,
              NL_LOGGED,
              "center",
              NL_BETA,
              0,
              "shift per channel (elementwise: per position and channel)"},
    [VARIABLES] = NL_ENDS_VARIABLES};

static int64_t extent(const void *self, const nl_geom *g, int id, int dim)
{
    const struct layer *o = self;
    (void)id, (void)dim;
    return o->elementwise ? g->s : 1;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct layer *o = self;
    (void)g;
    area[0] = (nl_area){.over = o->area.is ? NL_OVER_S | NL_OVER_C : NL_OVER_C,
                        .standardizes = true,
                        .eps = o->eps};
    return 1;
}

NL_NORM_DEFINE(layer) = {
    NL_NORM_HEADER,
    .name = "layer",
    .title = "Layer normalization",
    .cite = "ba2016layer, eq. 3-4",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_SCALE_INVARIANT | NL_T_SHIFT_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct layer),
    .options = options,
    .variables = variables,
    .extent = extent,
    .areas = areas,
};
