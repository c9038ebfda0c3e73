/* cifar.h: the binary files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records of one or two
 * label bytes and 3072 pixels, the red plane of 32 x 32 first, then green and blue. */
#ifndef NL_CIFAR_H
#define NL_CIFAR_H

#include "core/dataset.h"

enum { NL_CIFAR_SIDE = 32, NL_CIFAR_COLOURS = 3, NL_CIFAR_PIXELS = 3072 };

/* Where a data set's files lie and how a record begins. */
typedef struct nl_cifar_layout {
    const char *folder;       /* in the data folder; tried as FOLDER/FILE and NAME/FOLDER/FILE */
    const char *const *train; /* file names, ends with NULL */
    const char *test;
    int labels, label; /* label bytes of a record; which of them is meant */
    int classes;
} nl_cifar_layout;

typedef struct nl_cifar_options {
    nl_dataset_common common;
    nl_choice fit; /* NL_FIT_...: images that standardize= takes its moments from */
    nl_augment augment;
    nl_choice labels; /* CIFAR-100: fine, coarse */
} nl_cifar_options;
enum { NL_FIT_TRAIN, NL_FIT_ALL };
extern const char *const nl_cifar_fits[];

/* Rows of the option tables. */
#define NL_CIFAR_OPTIONS                                                                  \
    NL_DATASET_OPTIONS(nl_cifar_options, "0", "0", 0, "channel"),                         \
        NL_OPT_NAMES(nl_cifar_options, fit, "train", nl_cifar_fits,                       \
                     "standardize takes its moments from the training part, or from all " \
                     "images of the training files"),                                     \
        NL_AUGMENT_OPTIONS(nl_cifar_options, augment)

/* Values are pixels 0 .. 255, channels innermost. One-line messages name the file: missing, not a
 * whole number of records, label out of range. */
nl_status nl_cifar_load(const nl_cifar_options *o, const nl_cifar_layout *layout, const char *dir,
                        nl_dataset *out) NL_CHECKED;

/* One file's records, appended: for the loader, tests and fuzzing. */
typedef struct nl_cifar_records {
    uint8_t *bytes; /* (count, labels + 3072); nl_free */
    int64_t count;
} nl_cifar_records;
nl_status nl_cifar_read(nl_cifar_records *to, const char *path,
                        const nl_cifar_layout *layout) NL_CHECKED;

#endif
