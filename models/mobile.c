/* Small depthwise-separable network. Howard et al. 2017 (arXiv:1704.04861), sec. 3.1, the scheme of
 * its table 1 at the size of small images: a 3x3 convolution, then blocks of a depthwise 3x3 and a
 * pointwise 1x1 convolution, each followed by norm and relu; the first block of every stage but the
 * first has stride 2 and doubles the channels; global average pool; dense. */
#include <stdio.h>

#include "core/model.h"

struct mobile {
    int64_t width, stages, blocks;
};

static const nl_option options[] = {
    NL_OPT(struct mobile, width, "32", 1, 1 << 12, "channels of the first stage"),
    NL_OPT(struct mobile, stages, "3", 1, 10, "stages, each of half the size of the one before"),
    NL_OPT(struct mobile, blocks, "2", 1, 50, "depthwise-separable blocks of a stage"), NL_OPT_END};

static const char *const protocol[] = {"batch=128", "init=he_normal",
                                       "optimizer=momentum:lr=0.1:momentum=0.9:decay=4e-5", NULL};
static const char *const slots[] = {"preact", NULL};

static nl_status add_block(nl_model *m, int stage, int k, long long out)
{
    char name[NL_LAYER_NAME_MAX];
    const long long in = (long long)nl_model_shape(m).c;
    snprintf(name, sizeof name, "s%db%dd", stage + 1, k + 1);
    NL_TRY(nl_model_add(m, name, NL_NORMED,
                        "conv:out=%lld:depthwise=true:stride=%d:pad=1:act=relu:bias=off", in,
                        stage > 0 && k == 0 ? 2 : 1));
    snprintf(name, sizeof name, "s%db%dp", stage + 1, k + 1);
    return nl_model_add(m, name, NL_NORMED, "conv:out=%lld:kernel=1:act=relu:bias=off", out);
}

static nl_status build(const void *self, nl_model *m)
{
    const struct mobile *o = self;
    NL_TRY(nl_model_add(m, "c0", NL_NORMED, "conv:out=%lld:pad=1:act=relu:bias=off",
                        (long long)o->width));
    for (int stage = 0; stage < o->stages; stage++)
        for (int k = 0; k < o->blocks; k++)
            NL_TRY(add_block(m, stage, k, (long long)o->width << stage));
    NL_TRY(nl_model_add(m, "pool", NL_NOT_NORMED, "pool:kind=global"));
    return nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld", (long long)nl_model_outputs(m));
}

extern const nl_model_ops nl_model_mobile;
const nl_model_ops nl_model_mobile = {
    NL_MODEL_HEADER,
    .name = "mobile",
    .title = "Small depthwise-separable network",
    .cite = "howard2017mobilenets",
    .self_size = sizeof(struct mobile),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .build = build,
};
