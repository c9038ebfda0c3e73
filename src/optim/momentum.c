/* sgd with momentum 0.9 (Polyak 1964): formulas in sgd.c. */
#include "optim/sgd.h"

const nl_optim_ops nl_optim_momentum = {
    NL_OPTIM_HEADER,
    .name = "momentum",
    .title = "Gradient descent with momentum",
    .cite = "polyak1964",
    .presets = {{"momentum", "0.9"}},
    NL_SGD_BODY,
};
