/* Long short-term memory (Hochreiter and Schmidhuber 1997; with forget gates Gers et al. 2000):
 * cells in layers, the last output to the logits. norm= sits in all three slots of each cell, as in
 * Ba et al. 2016 and Cooijmans et al. 2017, who start gamma at 0.1; norm.act= stands between the
 * layers. */
#include "models/recurrent.h"

struct lstm {
    nl_recurrent common;
    double forget_bias;
    nl_choice carry;
};

static const char *const carries[] = {"raw", "normalized", NULL};
static const nl_option options[] = {
    NL_RECURRENT_OPTIONS(struct lstm),
    NL_OPT(struct lstm, forget_bias, "1", -1e6, 1e6, "initial bias of the forget gates"),
    NL_OPT_NAMES(struct lstm, carry, "raw", carries,
                 "cell state that goes on: before its norm or after"),
    NL_OPT_END};

static const char *const norms[] = {"batch:gamma.init=0.1", NULL}; /* Cooijmans et al. 2017 */
static const char *const protocol[] = {"batch=100", "optimizer=adam:lr=1e-3:clip=1", NULL};

static nl_status build(const void *self, nl_model *m)
{
    const struct lstm *o = self;
    char cell[128];
    snprintf(cell, sizeof cell, "lstm:forget_bias=%.17g:carry=%s", o->forget_bias,
             carries[o->carry.is]);
    return nl_recurrent_build(&o->common, cell, m);
}

extern const nl_model_ops nl_model_lstm;
const nl_model_ops nl_model_lstm = {
    NL_MODEL_HEADER,
    .name = "lstm",
    .title = "Long short-term memory",
    .cite = "",
    .self_size = sizeof(struct lstm),
    .options = options,
    .protocol = protocol,
    .slots = nl_recurrent_slots,
    .norms = norms,
    .build = build,
};
