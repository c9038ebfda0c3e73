/* The LeNet of Ziaee & Cano 2022 (arXiv:2209.08898, authors' code): on 32 x 32 x 3
 *
 *     conv 5x5 6 same, tanh, average pool 2, NORM
 *     conv 5x5 16 valid, tanh, average pool 2, NORM
 *     dense 120, tanh, NORM;  dense 84, tanh, NORM;  dense to the logits
 * so the norm stands after the activation and the pooling; slot=preact puts it before the
 * activation instead. Glorot-uniform convolutions, orthogonal dense layers, biases 0.
 *
 * Its methods are Keras's: batch norm with eps 1e-3 and momentum .99, layer norm over the channels
 * of a position with eps 1e-3; batch-layer norm is evaluated with statistics of the batch (FFFF)
 * while training. */
#include "core/model.h"

struct lenet_bln {
    nl_choice slot, act;
    int64_t maps1, maps2, units1, units2;
};

static const char *const places[] = {"act", "preact", NULL};
static const char *const acts[] = {"tanh", "relu", "sigmoid", "linear", NULL};
static const nl_option options[] = {
    NL_OPT_NAMES(struct lenet_bln, slot, "act", places,
                 "norms after the activation and pooling, or before the activation"),
    NL_OPT_NAMES(struct lenet_bln, act, "tanh", acts, "activation"),
    NL_OPT(struct lenet_bln, maps1, "6", 1, 1 << 16, "channels of the first convolution"),
    NL_OPT(struct lenet_bln, maps2, "16", 1, 1 << 16, "channels of the second"),
    NL_OPT(struct lenet_bln, units1, "120", 1, 1 << 24, "units of the first dense layer"),
    NL_OPT(struct lenet_bln, units2, "84", 1, 1 << 24, "units of the second"),
    NL_OPT_END};

static const char *const protocol[] = {"batch=25",
                                       "epochs=15",
                                       "order=fixed",
                                       "last=drop",
                                       "optimizer=adam:lr=0.002:eps=1e-8:eps_mode=keras",
                                       NULL};
static const char *const data[] = {"cifar10:train=9000:val=1000:standardize=feature:fit=all", NULL};
static const char *const slots[] = {"act", NULL}, *const preact[] = {"preact", NULL};
static const char *const norms[] = {"batch:eps=1e-3:momentum=0.01", "layer:area=c:eps=1e-3",
                                    "batch_layer:inference=FFFF", NULL};

static nl_status build(const void *self, nl_model *m)
{
    const struct lenet_bln *o = self;
    const char *act = acts[o->act.is];
    const bool before = o->slot.is == 1;
    /* a pooling stands between a convolution's activation and the norm after it */
    const unsigned conv = before ? NL_NORMED : NL_NOT_NORMED;
    const unsigned pool = before ? NL_NOT_NORMED : NL_NORMED;
    nl_model_norms_go_to(m, before ? preact : slots);
    NL_TRY(nl_model_add(m, "c1", conv, "conv:out=%lld:kernel=5:pad=same:act=%s",
                        (long long)o->maps1, act));
    NL_TRY(nl_model_add(m, "p1", pool, "pool:kind=avg:size=2"));
    NL_TRY(nl_model_add(m, "c2", conv, "conv:out=%lld:kernel=5:pad=valid:act=%s",
                        (long long)o->maps2, act));
    NL_TRY(nl_model_add(m, "p2", pool, "pool:kind=avg:size=2"));
    NL_TRY(nl_model_add(m, "d1", NL_NORMED, "dense:out=%lld:act=%s:init=orthogonal",
                        (long long)o->units1, act));
    NL_TRY(nl_model_add(m, "d2", NL_NORMED, "dense:out=%lld:act=%s:init=orthogonal",
                        (long long)o->units2, act));
    NL_TRY(nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld:init=orthogonal",
                        (long long)nl_model_outputs(m)));
    return NL_OK;
}

extern const nl_model_ops nl_model_lenet_bln;
const nl_model_ops nl_model_lenet_bln = {
    NL_MODEL_HEADER,
    .name = "lenet_bln",
    .title = "LeNet of the batch-layer-norm paper",
    .cite = "ziaee2022batch",
    .self_size = sizeof(struct lenet_bln),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .norms = norms,
    .data = data,
    .build = build,
};
