/* Gated recurrent units (Cho et al. 2014): cells in layers, the last output to the logits. norm=
 * sits in all three slots of each cell. reset=after resets what the candidate's product gave, as
 * PyTorch and Keras (reset_after=True) do; reset=before resets h before it, as the paper does. */
#include "models/recurrent.h"

struct gru {
    nl_recurrent common;
    nl_choice reset;
};

static const char *const resets[] = {"after", "before", NULL};
static const char *const cells[] = {"gru", "gru_before"};
static const nl_option options[] = {
    NL_RECURRENT_OPTIONS(struct gru),
    NL_OPT_NAMES(struct gru, reset, "after", resets,
                 "of the candidate's h, after its product or before"),
    NL_OPT_END};
static const char *const norms[] = {"batch:gamma.init=0.1", NULL}; /* Cooijmans et al. 2017 */
static const char *const protocol[] = {"batch=100", "optimizer=adam:lr=1e-3:clip=1", NULL};

static nl_status build(const void *self, nl_model *m)
{
    const struct gru *o = self;
    return nl_recurrent_build(&o->common, cells[o->reset.is], m);
}

extern const nl_model_ops nl_model_gru;
const nl_model_ops nl_model_gru = {
    NL_MODEL_HEADER,
    .name = "gru",
    .title = "Gated recurrent units",
    .cite = "cho2014learning",
    .self_size = sizeof(struct gru),
    .options = options,
    .protocol = protocol,
    .slots = nl_recurrent_slots,
    .norms = norms,
    .build = build,
};
