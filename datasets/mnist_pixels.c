/* MNIST read pixel by pixel (Le et al. 2015, arXiv:1504.00941): a sequence of 784 steps. */
#include "core/idx.h"

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    return nl_idx_load_from(self, dir, "mnist", out);
}

const nl_dataset_ops nl_dataset_mnist_pixels = {
    NL_DATASET_HEADER,
    .name = "mnist_pixels",
    .title = "MNIST as sequences: 784 steps of one pixel",
    .cite = "lecun1998mnist",
    .files = NL_IDX_FILES,
    .shape = {.s = 784, .c = 1},
    .classes = 10,
    .examples = 60000,
    .target = 0.95,
    .self_size = sizeof(nl_idx_options),
    .options = nl_idx_option_table,
    .load = load,
};
