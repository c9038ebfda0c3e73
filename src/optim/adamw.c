/* Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2), as
 * PyTorch has it: p = p - lr decay p, then Adam's step (formulas in adam.c). */
#include "optim/adam.h"

const nl_optim_ops nl_optim_adamw = {
    NL_OPTIM_HEADER,
    .name = "adamw",
    .title = "Adam with decoupled weight decay",
    .cite = "loshchilov2019decoupled",
    .presets = {{"lr", "0.001"}, {"decay", "0.01"}, {"decay_mode", "decoupled"}},
    NL_ADAM_BODY,
};
