/* No normalization: y = x. The template to read first: a method is one object with tables and
 * formulas; this one has none. norms/batch.c shows options, variables, an area and the two
 * formulas.
 *
 * Training and evaluation do the same; there are no statistics, so any number of live values will
 * do. */
#include "core/norm.h"

struct identity {
    char nothing;
};

static const nl_option options[] = {NL_OPT_END};

NL_NORM_DEFINE(identity) = {
    NL_NORM_HEADER,
    .name = "identity",
    .title = "No normalization",
    .cite = "",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_WEIGHT | NL_AT_RNN,
    .traits = 0,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct identity),
    .options = options,
};
