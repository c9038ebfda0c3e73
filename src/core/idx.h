/* idx.h: the IDX files of MNIST and its relatives (LeCun et al. 1998, yann.lecun.com/exdb/mnist):
 * two zero bytes, a type (8: unsigned bytes), the number of dimensions, each as 4 bytes big-endian,
 * then the bytes. Plain or gzip. */
#ifndef NL_IDX_H
#define NL_IDX_H

#include "core/dataset.h"

enum { NL_IDX_DIMS = 3, NL_IDX_SIDE = 28, NL_IDX_CLASSES = 10 };

typedef struct nl_idx {
    int dims;
    int64_t size[NL_IDX_DIMS];
    uint8_t *bytes; /* owned: nl_idx_free */
} nl_idx;

/* Reads a whole file that must have `dims` dimensions. One-line messages that name the file:
 * missing, wrong magic number, truncated, too long, corrupt gzip. On failure nothing is left
 * allocated. */
nl_status nl_idx_read(nl_idx *out, const char *path, int dims) NL_CHECKED;
void nl_idx_free(nl_idx *f);

/* Options and loader of a data set made of the four files train-images-idx3-ubyte,
 * train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each plain or with .gz,
 * in DIR/NAME/. Values are pixels 0 .. 255. */
typedef struct nl_idx_options {
    nl_dataset_common common;
    double binary;
} nl_idx_options;
extern const nl_option nl_idx_option_table[];
nl_status nl_idx_load(const void *self, const char *dir, nl_dataset *out) NL_CHECKED;
/* The same from MNIST's folder, for data sets that read its images in another shape. */
nl_status nl_idx_load_mnist(const void *self, const char *dir, nl_dataset *out) NL_CHECKED;

#define NL_IDX_FILES "{train,t10k}-images-idx3-ubyte[.gz], {train,t10k}-labels-idx1-ubyte[.gz]"

/* What the tables of such data sets share. */
#define NL_IDX_HEADER                                                                       \
    NL_DATASET_HEADER, .files = NL_IDX_FILES, .classes = NL_IDX_CLASSES, .examples = 60000, \
                       .self_size = sizeof(nl_idx_options), .options = nl_idx_option_table

#endif
