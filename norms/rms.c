/* RMS normalization. Zhang & Sennrich 2019 (arXiv:1910.07467), eq. 4.
 *
 * Area: per example and position, over channels, {c}; m values.
 *     ms = mean x^2,  r = 1 / sqrt(ms + eps),  z = r x,  y = gamma z + beta
 *     dL/dms = -r^3 H / 2                           H = sum g x, g = gamma dy
 *
 * The paper has no beta (center=false). eps is inside the root, as in Keras; the authors' code adds
 * 1e-8 outside. Training and evaluation do the same; no state. Any number of live values will do.
 */
#include "core/norm.h"

struct rms {
    double eps;
    bool center, scale;
};

static const nl_option options[] = {
    NL_OPT(struct rms, eps, "1e-6", 0, 1e6, "added to the mean square, inside the root"),
    NL_OPT_FLAG(struct rms, scale, "true", "learn gamma"),
    NL_OPT_FLAG(struct rms, center, "false", "learn beta"), NL_OPT_END};

enum { GAMMA, BETA, VARIABLES };
static const nl_variable variables[] = {
    NL_GAMMA_ROW(GAMMA, "scale"), NL_BETA_ROW(BETA, "center"), [VARIABLES] = NL_ENDS_VARIABLES};

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct rms *o = self;
    (void)g;
    area[0] = (nl_area){
        .over = NL_OVER_C, .moments = NL_MEAN_SQUARE, .standardizes = true, .eps = o->eps};
    return 1;
}

NL_NORM_DEFINE(rms) = {
    NL_NORM_HEADER,
    .name = "rms",
    .title = "RMS normalization",
    .cite = "zhang2019root, eq. 4",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_SCALE_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct rms),
    .options = options,
    .variables = variables,
    .areas = areas,
};
