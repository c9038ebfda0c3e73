/* MNIST (LeCun, Bottou, Bengio and Haffner 1998): handwritten digits. */
#include "core/idx.h"

const nl_dataset_ops nl_dataset_mnist = {
    NL_IDX_HEADER,
    .name = "mnist",
    .title = "MNIST, handwritten digits: 60,000 and 10,000 of 28 x 28",
    .cite = "lecun1998mnist",
    .shape = {.s = 1, .c = 784, .h = 28, .w = 28},
    .target = 0.95,
    .load = nl_idx_load,
};
