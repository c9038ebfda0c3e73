/* MNIST read row by row: a sequence of 28 steps of 28 pixels. */
#include "core/idx.h"

const nl_dataset_ops nl_dataset_mnist_rows = {
    NL_IDX_HEADER,
    .name = "mnist_rows",
    .title = "MNIST as sequences: 28 steps of 28 pixels",
    .cite = "lecun1998mnist",
    .shape = {.s = 28, .c = 28},
    .target = 0.95,
    .load = nl_idx_load_mnist,
};
