/* Kuzushiji-MNIST (Clanuwat et al. 2018): cursive Japanese characters. */
#include "core/idx.h"

const nl_dataset_ops nl_dataset_kmnist = {
    NL_IDX_HEADER,
    .name = "kmnist",
    .title = "Kuzushiji-MNIST, cursive Japanese: 60,000 and 10,000 of 28 x 28",
    .cite = "clanuwat2018kmnist",
    .shape = {.s = 1, .c = 784, .h = 28, .w = 28},
    .target = 0.85,
    .load = nl_idx_load,
};
