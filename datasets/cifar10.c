/* CIFAR-10 (Krizhevsky 2009): small photographs of ten kinds of things. */
#include "core/cifar.h"

static const nl_option options[] = {NL_CIFAR_OPTIONS, NL_OPT_END};

static const char *const train[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin", NULL};
static const nl_cifar_layout layout = {.folder = "cifar-10-batches-bin",
                                       .train = train,
                                       .test = "test_batch.bin",
                                       .labels = 1,
                                       .label = 0,
                                       .classes = 10};

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    /* With 9,000 images batch and batch-layer norm reach it in Ziaee & Cano 2022: .4526, .4551 */
    out->target = 0.45;
    return nl_cifar_load(self, &layout, dir, out);
}

extern const nl_dataset_ops nl_dataset_cifar10;
const nl_dataset_ops nl_dataset_cifar10 = {
    NL_DATASET_HEADER,
    .name = "cifar10",
    .title = "CIFAR-10, photographs of ten kinds: 50,000 and 10,000 of 32 x 32 x 3",
    .cite = "krizhevsky2009cifar",
    .files = "cifar-10-batches-bin/data_batch_{1..5}.bin, test_batch.bin",
    .shape = {.s = 1, .c = NL_CIFAR_PIXELS, .h = NL_CIFAR_SIDE, .w = NL_CIFAR_SIDE},
    .classes = 10,
    .examples = 50000,
    .self_size = sizeof(nl_cifar_options),
    .options = options,
    .load = load,
};
