/* MNIST read pixel by pixel (Le et al. 2015, arXiv:1504.00941): a sequence of 784 steps. */
#include "core/idx.h"

const nl_dataset_ops nl_dataset_mnist_pixels = {
    NL_IDX_HEADER,
    .name = "mnist_pixels",
    .title = "MNIST as sequences: 784 steps of one pixel",
    .cite = "lecun1998mnist",
    .shape = {.s = 784, .c = 1},
    .target = 0.95,
    .load = nl_idx_load_mnist,
};
