/* one_layer.h: a model of one layer called `l`, for tests of layers. */
#ifndef NL_TEST_ONE_LAYER_H
#define NL_TEST_ONE_LAYER_H

#include <stdio.h>

#include "core/model.h"

typedef struct one_layer {
    bool unused;
} one_layer;

static const nl_option one_layer_options[] = {NL_OPT_FLAG(one_layer, unused, "false", ""),
                                              NL_OPT_END};
static const char *const one_layer_slots[] = {"preact", "x", "h", "c", NULL};
static char one_layer_spec[NL_STRING_MAX];

static nl_status one_layer_build(const void *self, nl_model *m)
{
    (void)self;
    return nl_model_add(m, "l", NL_NORMED, "%s", one_layer_spec);
}

static const nl_model_ops nl_model_one_layer = {NL_MODEL_HEADER,
                                                .name = "one",
                                                .title = "One layer",
                                                .cite = "",
                                                .self_size = sizeof(one_layer),
                                                .options = one_layer_options,
                                                .slots = one_layer_slots,
                                                .build = one_layer_build};

static inline nl_status open_one_layer(nl_model **m, const char *spec, const nl_model_setup *setup)
{
    static const nl_model_ops *const models[] = {&nl_model_one_layer};
    snprintf(one_layer_spec, sizeof one_layer_spec, "%s", spec);
    nl_model_use(models, 1);
    return nl_model_open(m, "one", setup);
}

#endif
