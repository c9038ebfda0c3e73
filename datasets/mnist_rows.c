/* MNIST read row by row: a sequence of 28 steps of 28 pixels. */
#include "core/idx.h"

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    return nl_idx_load_from(self, dir, "mnist", out);
}

const nl_dataset_ops nl_dataset_mnist_rows = {
    NL_DATASET_HEADER,
    .name = "mnist_rows",
    .title = "MNIST as sequences: 28 steps of 28 pixels",
    .cite = "lecun1998mnist",
    .files = NL_IDX_FILES,
    .shape = {.s = 28, .c = 28},
    .classes = 10,
    .examples = 60000,
    .target = 0.95,
    .self_size = sizeof(nl_idx_options),
    .options = nl_idx_option_table,
    .load = load,
};
