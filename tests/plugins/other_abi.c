/* A plugin of a normlab yet to come. */
#include "core/norm.h"

static const nl_option options[] = {NL_OPT_END};

NL_NORM_DEFINE(other_abi) = {
    .abi = NL_NORM_ABI + 1,
    .real_bytes = sizeof(nl_real),
    .name = "other_abi",
    .title = "From another time",
    .cite = "",
    .sites = NL_AT_PREACT,
    .self_size = 1,
    .options = options,
};
