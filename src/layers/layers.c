/* layers.c: the registry of layers. */
#include <string.h>

#include "core/layer.h"

extern const nl_layer_ops nl_layer_conv, nl_layer_dense, nl_layer_dropout, nl_layer_embedding,
    nl_layer_gru, nl_layer_gru_before, nl_layer_join, nl_layer_lstm, nl_layer_onehot, nl_layer_pool,
    nl_layer_rnn, nl_layer_scalar, nl_layer_shortcut;
static const nl_layer_ops *const table[] = {
    &nl_layer_conv,       &nl_layer_dense,  &nl_layer_dropout, &nl_layer_embedding, &nl_layer_gru,
    &nl_layer_gru_before, &nl_layer_join,   &nl_layer_lstm,    &nl_layer_onehot,    &nl_layer_pool,
    &nl_layer_rnn,        &nl_layer_scalar, &nl_layer_shortcut};

const nl_layer_ops *nl_layer_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}
