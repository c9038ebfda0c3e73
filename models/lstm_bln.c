/* The IMDB network of Ziaee & Cano 2022 (arXiv:2209.08898, authors' code): on 80 tokens of 20,000
 *
 *     embedding 512 (without a mask: padding is a token like others)
 *     LSTM 128, every output, NORM over (example; step; unit);  LSTM 64, last output, NORM
 *     dense 32, tanh, NORM;  dense to the logit
 * Both LSTMs drop .2 of their inputs and .2 of their outputs on the way back, one mask a sequence.
 * Table, kernels and recurrent kernels are Glorot-uniform, the forget gates' bias 1, the dense
 * layers orthogonal, other biases 0. slot=cells puts norm= into the LSTMs instead (x, h and c, as
 * in Cooijmans et al. 2017), slot=both there, too; norm.x, norm.h, norm.c and norm.act say it one
 * by one.
 *
 * Its methods are Keras's: batch norm with eps 1e-3 and momentum .99, layer norm over the channels
 * of a position with eps 1e-3; batch-layer norm is evaluated with statistics of the batch (FFFF)
 * while training. */
#include "core/model.h"

struct lstm_bln {
    int64_t embedding, units1, units2, units3;
    double dropout, recurrent_dropout;
    nl_choice slot;
};

static const char *const places[] = {"act", "cells", "both", NULL};

static const nl_option options[] = {
    NL_OPT(struct lstm_bln, embedding, "512", 1, 1 << 16, "values of a token"),
    NL_OPT(struct lstm_bln, units1, "128", 1, 1 << 16, "units of the first LSTM"),
    NL_OPT(struct lstm_bln, units2, "64", 1, 1 << 16, "units of the second"),
    NL_OPT(struct lstm_bln, units3, "32", 1, 1 << 16, "units of the dense layer"),
    NL_OPT(struct lstm_bln, dropout, "0.2", 0, 0.999, "share of an LSTM's inputs set to 0"),
    NL_OPT(struct lstm_bln, recurrent_dropout, "0.2", 0, 0.999,
           "the same for its outputs on their way back"),
    NL_OPT_NAMES(struct lstm_bln, slot, "act", places,
                 "norms on the outputs of LSTMs and dense layer, in the LSTMs' cells, or in both"),
    NL_OPT_END};

static const char *const protocol[] = {"batch=25",
                                       "epochs=10",
                                       "order=fixed",
                                       "last=drop",
                                       "optimizer=adam:lr=0.003:eps=1e-8:eps_mode=keras",
                                       NULL};
static const char *const data[] = {"imdb:train=4000:val=1000", NULL};
static const char *const slots[] = {"act", NULL};
static const char *const in_cells[] = {"x", "h", "c", NULL};
static const char *const in_both[] = {"act", "x", "h", "c", NULL};
static const char *const *const filled[] = {slots, in_cells, in_both};
static const char *const norms[] = {"batch:eps=1e-3:momentum=0.01", "layer:area=c:eps=1e-3",
                                    "batch_layer:inference=FFFF", NULL};

static nl_status add_lstm(const struct lstm_bln *o, nl_model *m, const char *name, int64_t units,
                          bool sequences)
{
    NL_TRY(nl_model_add(m, name, NL_NORMED,
                        "lstm:units=%lld:sequences=%d:init=glorot_uniform:"
                        "recurrent_init=glorot_uniform:dropout=%.17g:recurrent_dropout=%.17g",
                        (long long)units, sequences, o->dropout, o->recurrent_dropout));
    return NL_OK;
}

static nl_status build(const void *self, nl_model *m)
{
    const struct lstm_bln *o = self;
    nl_model_norms_go_to(m, filled[o->slot.is]);
    NL_TRY(nl_model_add(m, "emb", NL_NOT_NORMED, "embedding:out=%lld:init=glorot_uniform",
                        (long long)o->embedding));
    NL_TRY(add_lstm(o, m, "r1", o->units1, true));
    NL_TRY(add_lstm(o, m, "r2", o->units2, false));
    NL_TRY(nl_model_add(m, "d1", NL_NORMED, "dense:out=%lld:act=tanh:init=orthogonal",
                        (long long)o->units3));
    NL_TRY(nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld:init=orthogonal",
                        (long long)nl_model_outputs(m)));
    return NL_OK;
}

extern const nl_model_ops nl_model_lstm_bln;
const nl_model_ops nl_model_lstm_bln = {
    NL_MODEL_HEADER,
    .name = "lstm_bln",
    .title = "LSTM network of the batch-layer-norm paper",
    .cite = "ziaee2022batch",
    .self_size = sizeof(struct lstm_bln),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .norms = norms,
    .data = data,
    .build = build,
};
