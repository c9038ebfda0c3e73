/* recurrent.h: what the models rnn, lstm and gru share: tokens as one-hot vectors, layers of cells,
 * the last output of the last one, or each where the data ask at each step, and a dense layer to
 * the logits. */
#ifndef NL_RECURRENT_H
#define NL_RECURRENT_H

#include <stdio.h>

#include "core/model.h"

/* First member of each model's options. */
typedef struct nl_recurrent {
    nl_list hidden;
    int64_t layers, truncate;
    double dropout, recurrent_dropout, initial_noise;
    nl_string recurrent_init;
    bool bias, learn_initial, reverse, bidirectional;
} nl_recurrent;

#define NL_RECURRENT_OPTIONS(S)                                                                    \
    NL_OPT_AS(S, common.hidden, "hidden", "100", 1, 1 << 20, "units of the layers"),               \
        NL_OPT_AS(S, common.layers, "layers", "1", 1, 64, "times that list of layers is stacked"), \
        NL_OPT_AS(S, common.bias, "bias", "true", 0, 1, "bias behind the norms of x and h"),       \
        NL_OPT_AS(S, common.recurrent_init, "recurrent_init", "orthogonal", 0, 0,                  \
                  "initializer of recurrent weights, or one a gate parted by '+'"),                \
        NL_OPT_AS(S, common.dropout, "dropout", "0", 0, 0.999,                                     \
                  "share of a layer's inputs set to 0, the same at each step"),                    \
        NL_OPT_AS(S, common.recurrent_dropout, "recurrent_dropout", "0", 0, 0.999,                 \
                  "the same for its outputs on their way back"),                                   \
        NL_OPT_AS(S, common.learn_initial, "learn_initial", "false", 0, 1,                         \
                  "learns the initial state"),                                                     \
        NL_OPT_AS(S, common.initial_noise, "initial_noise", "0", 0, 1e3,                           \
                  "deviation of noise on each sequence's first state in training"),                \
        NL_OPT_AS(S, common.reverse, "reverse", "false", 0, 1, "reads sequences from their end"),  \
        NL_OPT_AS(S, common.bidirectional, "bidirectional", "false", 0, 1,                         \
                  "a second layer beside each reads from the other end, outputs are joined"),      \
        NL_OPT_AS(S, common.truncate, "truncate", "0", 0, 1e9,                                     \
                  "steps after which gradients through time are cut; 0: never")

/* The norms of a cell: input projection, recurrent projection, inner state. */
static const char *const nl_recurrent_slots[] = {"x", "h", "c", NULL};

/* cell is the spec of a layer: "lstm:carry=raw". */
static inline nl_status nl_recurrent_layer(const nl_recurrent *o, const char *cell, nl_model *m,
                                           int i, bool reverse, const char *name)
{
    const bool last = i + 1 == o->hidden.count * (int)o->layers;
    const bool sequences = !last || nl_model_each_step(m);
    NL_TRY(nl_model_add(m, name, NL_NORMED,
                        "%s:units=%.0f:sequences=%d:bias=%d:recurrent_init=%s:dropout=%.17g:"
                        "recurrent_dropout=%.17g:learn_initial=%d:initial_noise=%.17g:"
                        "reverse=%d:truncate=%lld",
                        cell, o->hidden.at[i % o->hidden.count], sequences, o->bias,
                        o->recurrent_init.is, o->dropout, o->recurrent_dropout, o->learn_initial,
                        o->initial_noise, reverse, (long long)o->truncate));
    return NL_OK;
}

/* The layer that reads from the other end, of the same input, and both outputs side by side. */
static inline nl_status nl_recurrent_other(const nl_recurrent *o, const char *cell, nl_model *m,
                                           int i, int input)
{
    const int first = nl_model_latest(m);
    char name[NL_LAYER_NAME_MAX];
    snprintf(name, sizeof name, "r%d_back", i + 1);
    nl_model_from(m, input);
    NL_TRY(nl_recurrent_layer(o, cell, m, i, !o->reverse, name));
    snprintf(name, sizeof name, "r%d_both", i + 1);
    nl_model_residual(m, nl_model_latest(m));
    nl_model_from(m, first);
    NL_TRY(nl_model_add(m, name, NL_NOT_NORMED, "join"));
    return NL_OK;
}

static inline nl_status nl_recurrent_build(const nl_recurrent *o, const char *cell, nl_model *m)
{
    char name[NL_LAYER_NAME_MAX];
    if (nl_model_shape(m).vocabulary > 0)
        NL_TRY(nl_model_add(m, "tokens", NL_NOT_NORMED, "onehot"));
    for (int i = 0; i < o->hidden.count * (int)o->layers; i++) {
        const int input = nl_model_latest(m);
        snprintf(name, sizeof name, "r%d", i + 1);
        NL_TRY(nl_recurrent_layer(o, cell, m, i, o->reverse, name));
        if (o->bidirectional)
            NL_TRY(nl_recurrent_other(o, cell, m, i, input));
    }
    NL_TRY(nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld:positions=%d",
                        (long long)nl_model_outputs(m), nl_model_each_step(m)));
    return NL_OK;
}

#endif
