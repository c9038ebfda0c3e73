/* Group normalization. Wu & He 2018 (arXiv:1803.08494), eq. 1-2, 7.
 *
 * Area: per example and group of c / groups channels, over positions too, {s, c/groups}; m values.
 *     mu = mean x,  var = mean (x - mu)^2 (biased),  r = 1 / sqrt(var + eps)
 *     z = r (x - mu),  y = gamma z + beta, gamma and beta per channel
 *     dL/dmu = -r G,  dL/dvar = -r^3 H / 2          G = sum g, H = sum g (x - mu), g = gamma dy
 *
 * Training and evaluation do the same; no state. With 1 live value per area var is 0 and y = beta.
 */
#include "core/norm.h"

struct group {
    double eps;
    int64_t groups;
    bool center, scale;
    nl_choice time;
};

static const nl_option options[] = {
    NL_OPT(struct group, eps, "1e-5", 0, 1e6, "added to the variance, inside the root"),
    NL_OPT(struct group, groups, "4", 1, 65536, "groups of channels; has to divide them"),
    NL_OPT_FLAG(struct group, scale, "true", "learn gamma"),
    NL_OPT_FLAG(struct group, center, "true", "learn beta"),
    NL_OPT_TIME(struct group),
    NL_OPT_END};

enum { GAMMA, BETA, VARIABLES };
static const nl_variable variables[] = {
    NL_GAMMA_ROW(GAMMA, "scale"), NL_BETA_ROW(BETA, "center"), [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status check(const void *self, const nl_geom *g)
{
    const struct group *o = self;
    if (g->c % o->groups)
        return nl_fail(NL_ESHAPE, "group: %lld channels cannot be cut into %lld groups",
                       (long long)g->c, (long long)o->groups);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct group *o = self;
    (void)g;
    area[0] = (nl_area){
        .over = NL_OVER_S | NL_OVER_C, .groups = o->groups, .standardizes = true, .eps = o->eps};
    return 1;
}

NL_NORM_DEFINE(group) = {
    NL_NORM_HEADER,
    .name = "group",
    .title = "Group normalization",
    .cite = "wu2018group, eq. 7",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_SCALE_INVARIANT | NL_T_SHIFT_INVARIANT,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct group),
    .options = options,
    .variables = variables,
    .check = check,
    .areas = areas,
};
