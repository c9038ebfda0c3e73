/* CIFAR-100 (Krizhevsky 2009): small photographs of a hundred kinds of things in twenty groups. */
#include "core/cifar.h"

static const char *const kinds[] = {"fine", "coarse", NULL};
static const nl_option options[] = {NL_CIFAR_OPTIONS,
                                    NL_OPT_NAMES(nl_cifar_options, labels, "fine", kinds,
                                                 "the hundred kinds, or their twenty groups"),
                                    NL_OPT_END};

static const char *const train[] = {"train.bin", NULL};
static const nl_cifar_layout layouts[] = {{.folder = "cifar-100-binary",
                                           .train = train,
                                           .test = "test.bin",
                                           .labels = 2,
                                           .label = 1,
                                           .classes = 100},
                                          {.folder = "cifar-100-binary",
                                           .train = train,
                                           .test = "test.bin",
                                           .labels = 2,
                                           .label = 0,
                                           .classes = 20}};

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const nl_cifar_options *o = self;
    out->target = 0.25; /* a round number: none is published for networks of this size */
    return nl_cifar_load(o, &layouts[o->labels.is], dir, out);
}

extern const nl_dataset_ops nl_dataset_cifar100;
const nl_dataset_ops nl_dataset_cifar100 = {
    NL_DATASET_HEADER,
    .name = "cifar100",
    .title = "CIFAR-100, photographs of a hundred kinds: 50,000 and 10,000 of 32 x 32 x 3",
    .cite = "krizhevsky2009cifar",
    .files = "cifar-100-binary/train.bin, test.bin",
    .shape = {.s = 1, .c = NL_CIFAR_PIXELS, .h = NL_CIFAR_SIDE, .w = NL_CIFAR_SIDE},
    .classes = 100,
    .examples = 50000,
    .self_size = sizeof(nl_cifar_options),
    .options = options,
    .load = load,
};
