/* Multilayer perceptron: [dense, norm, activation, dropout] for each hidden layer, then a dense
 * layer to the logits. norm= sits before the activation, as in Ioffe & Szegedy 2015, sec. 4.1,
 * whose MNIST network is hidden=100x3:act=sigmoid with batches of 60. */
#include <stdio.h>

#include "core/model.h"

struct mlp {
    nl_list hidden;
    nl_choice act, bias;
    double dropout;
};

static const char *const acts[] = {"relu", "sigmoid", "tanh", "linear", NULL};
static const char *const biases[] = {"before", "after", "off", NULL};
static const nl_option options[] = {
    NL_OPT(struct mlp, hidden, "100x3", 1, 1 << 24, "units of the hidden layers"),
    NL_OPT_NAMES(struct mlp, act, "relu", acts, "activation of the hidden layers"),
    NL_OPT_NAMES(struct mlp, bias, "before", biases,
                 "of hidden layers: before the norm, after, off"),
    NL_OPT(struct mlp, dropout, "0", 0, 0.999, "share of hidden values set to 0"), NL_OPT_END};

static const char *const protocol[] = {"batch=60", "optimizer=sgd:lr=0.1", NULL};
static const char *const slots[] = {"preact", NULL};

static nl_status build(const void *self, nl_model *m)
{
    const struct mlp *o = self;
    char name[NL_LAYER_NAME_MAX];
    for (int i = 0; i < o->hidden.count; i++) {
        snprintf(name, sizeof name, "h%d", i + 1);
        NL_TRY(nl_model_add(m, name, NL_NORMED, "dense:out=%.0f:act=%s:bias=%s", o->hidden.at[i],
                            acts[o->act.is], biases[o->bias.is]));
        snprintf(name, sizeof name, "drop%d", i + 1);
        if (o->dropout > 0)
            NL_TRY(nl_model_add(m, name, NL_NOT_NORMED, "dropout:rate=%.17g", o->dropout));
    }
    NL_TRY(nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld", (long long)nl_model_outputs(m)));
    return NL_OK;
}

extern const nl_model_ops nl_model_mlp;
const nl_model_ops nl_model_mlp = {
    NL_MODEL_HEADER,
    .name = "mlp",
    .title = "Multilayer perceptron",
    .cite = "",
    .self_size = sizeof(struct mlp),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .build = build,
};
