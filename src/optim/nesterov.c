/* sgd with Nesterov's momentum 0.9 (Nesterov 1983; Sutskever et al. 2013): formulas in sgd.c. */
#include "optim/sgd.h"

const nl_optim_ops nl_optim_nesterov = {
    NL_OPTIM_HEADER,
    .name = "nesterov",
    .title = "Gradient descent with Nesterov's momentum",
    .cite = "sutskever2013importance",
    .presets = {{"momentum", "0.9"}, {"nesterov", "true"}},
    NL_SGD_BODY,
};
