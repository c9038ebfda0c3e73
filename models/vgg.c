/* VGG-like network. Simonyan & Zisserman 2015 (arXiv:1409.1556), the scheme of its table 1 at the
 * size of small images: stages of 3x3 convolutions, each stage with twice the channels of the one
 * before and a maximum pool behind it; then dense layers. norm= sits before the activations. */
#include <stdio.h>

#include "core/model.h"

struct vgg {
    int64_t width, stages, convs;
    nl_list hidden;
    double dropout;
    nl_choice bias;
};

static const char *const biases[] = {"before", "after", "off", NULL};
static const nl_option options[] = {
    NL_OPT(struct vgg, width, "32", 1, 1 << 12, "channels of the first stage"),
    NL_OPT(struct vgg, stages, "3", 1, 10, "stages, each of half the size of the one before"),
    NL_OPT(struct vgg, convs, "2", 1, 20, "convolutions of a stage"),
    NL_OPT(struct vgg, hidden, "256", 1, 1 << 24, "units of the hidden dense layers"),
    NL_OPT(struct vgg, dropout, "0", 0, 0.999, "share of hidden dense values set to 0"),
    NL_OPT_NAMES(struct vgg, bias, "before", biases, "before the norm, after it, or none"),
    NL_OPT_END};

static const char *const protocol[] = {"batch=128", "init=he_normal",
                                       "optimizer=momentum:lr=0.05:momentum=0.9:decay=5e-4", NULL};
static const char *const slots[] = {"preact", NULL};

static nl_status add_stage(const struct vgg *o, nl_model *m, int stage)
{
    char name[NL_LAYER_NAME_MAX];
    for (int k = 0; k < o->convs; k++) {
        snprintf(name, sizeof name, "s%dc%d", stage + 1, k + 1);
        NL_TRY(nl_model_add(m, name, NL_NORMED, "conv:out=%lld:pad=1:act=relu:bias=%s",
                            (long long)o->width << stage, biases[o->bias.is]));
    }
    snprintf(name, sizeof name, "pool%d", stage + 1);
    return nl_model_add(m, name, NL_NOT_NORMED, "pool:kind=max:size=2");
}

static nl_status build(const void *self, nl_model *m)
{
    const struct vgg *o = self;
    char name[NL_LAYER_NAME_MAX];
    for (int stage = 0; stage < o->stages; stage++)
        NL_TRY(add_stage(o, m, stage));
    for (int k = 0; k < o->hidden.count; k++) {
        snprintf(name, sizeof name, "h%d", k + 1);
        NL_TRY(nl_model_add(m, name, NL_NORMED, "dense:out=%.0f:act=relu:bias=%s", o->hidden.at[k],
                            biases[o->bias.is]));
        snprintf(name, sizeof name, "drop%d", k + 1);
        if (o->dropout > 0)
            NL_TRY(nl_model_add(m, name, NL_NOT_NORMED, "dropout:rate=%.17g", o->dropout));
    }
    return nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld", (long long)nl_model_outputs(m));
}

extern const nl_model_ops nl_model_vgg;
const nl_model_ops nl_model_vgg = {
    NL_MODEL_HEADER,
    .name = "vgg",
    .title = "VGG-like network",
    .cite = "simonyan2015very",
    .self_size = sizeof(struct vgg),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .build = build,
};
