/* Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): photographs of clothing. */
#include "core/idx.h"

const nl_dataset_ops nl_dataset_fashion_mnist = {
    NL_DATASET_HEADER,
    .name = "fashion_mnist",
    .title = "Fashion-MNIST, pieces of clothing: 60,000 and 10,000 of 28 x 28",
    .cite = "xiao2017fashion",
    .files = NL_IDX_FILES,
    .shape = {.s = 1, .c = 784, .h = 28, .w = 28},
    .classes = 10,
    .examples = 60000,
    .target = 0.85,
    .self_size = sizeof(nl_idx_options),
    .options = nl_idx_option_table,
    .load = nl_idx_load,
};
