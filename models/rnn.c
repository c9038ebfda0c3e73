/* Recurrent network (Elman 1990): h_t = act(x_t W + h_{t-1} U + b) in layers, the last output to
 * the logits. norm= normalizes the sum before the activation (slot c), as Ba et al. 2016, sec. 3.1;
 * norm.x= and norm.h= the two projections, as Cooijmans et al. 2017. */
#include "models/recurrent.h"

struct rnn {
    nl_recurrent common;
    nl_choice act;
};

static const char *const acts[] = {"linear", "relu", "sigmoid", "tanh", NULL};
static const nl_option options[] = {NL_RECURRENT_OPTIONS(struct rnn),
                                    NL_OPT_NAMES(struct rnn, act, "tanh", acts, "activation"),
                                    NL_OPT_END};
static const char *const protocol[] = {"batch=100", "optimizer=adam:lr=1e-3:clip=1", NULL};
static const char *const slots[] = {"c", NULL};
static const char *const norms[] = {"batch:gamma.init=0.1", NULL}; /* Cooijmans et al. 2017 */

static nl_status build(const void *self, nl_model *m)
{
    const struct rnn *o = self;
    char cell[64];
    snprintf(cell, sizeof cell, "rnn:act=%s", acts[o->act.is]);
    return nl_recurrent_build(&o->common, cell, m);
}

extern const nl_model_ops nl_model_rnn;
const nl_model_ops nl_model_rnn = {
    NL_MODEL_HEADER,
    .name = "rnn",
    .title = "Recurrent network",
    .cite = "",
    .self_size = sizeof(struct rnn),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .norms = norms,
    .build = build,
};
