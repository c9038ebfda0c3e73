/* Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): photographs of clothing. */
#include "core/idx.h"

const nl_dataset_ops nl_dataset_fashion_mnist = {
    NL_IDX_HEADER,
    .name = "fashion_mnist",
    .title = "Fashion-MNIST, pieces of clothing: 60,000 and 10,000 of 28 x 28",
    .cite = "xiao2017fashion",
    .shape = {.s = 1, .c = 784, .h = 28, .w = 28},
    .target = 0.85,
    .load = nl_idx_load,
};
