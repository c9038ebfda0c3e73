/* dataset.h: what a data set is. A reader or generator is one file, datasets/NAME.c, that defines
 * one object `const nl_dataset_ops nl_dataset_NAME`; the build lists the folder. */
#ifndef NL_DATASET_H
#define NL_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "core/option.h"

/* Shape of one example: s positions (h * w for images, t for sequences; 1 for plain features) of c
 * channels, channels innermost. */
typedef struct nl_shape {
    int64_t s, c;
    int64_t h, w; /* images: s = h * w; 0 otherwise */
} nl_shape;

typedef struct nl_split {
    int64_t count;
    nl_real *x;     /* (count, s, c); owned by the dataset */
    int32_t *label; /* count class numbers in [0, classes) */
} nl_split;

typedef struct nl_dataset {
    const struct nl_dataset_ops *ops;
    nl_shape shape;
    int64_t classes;           /* 2 may be trained with one logit and sigmoid cross-entropy */
    nl_split train, val, test; /* val.count is 0 unless asked for */
    uint64_t checksum;         /* of the content as trained on; part of a run's hash */
    bool synthetic;
    double target; /* accuracy that "steps to target" asks for unless told otherwise */
    void *memory;  /* owned by the reader's file, freed by nl_dataset_close */
} nl_dataset;

enum { NL_DATASET_ABI = 1 };

typedef struct nl_dataset_ops {
    uint32_t abi, real_bytes;
    const char *name;  /* key on the command line: [a-z0-9_]+ */
    const char *title; /* for people */
    const char *cite;  /* BibTeX key in paper/refs.bib, or NULL */
    const char *files; /* what has to lie in the data folder, or NULL for generators */
    bool synthetic;
    size_t self_size;
    const nl_option *options;
    /* Fills out->train, val, test, shape, classes, target. dir is the data folder (may be NULL).
     * On failure nothing is left allocated. */
    nl_status (*load)(const void *self, const char *dir, nl_dataset *out);
} nl_dataset_ops;

/* spec is "mnist:train=9000:val=1000". dir NULL takes $NORMLAB_DATA, then "data". Sets *out NULL on
 * failure; the caller owns it. */
nl_status nl_dataset_open(nl_dataset **out, const char *spec, const char *dir) NL_CHECKED;
void nl_dataset_close(nl_dataset *d); /* NULL is fine */

/* The canonical spec: defaults expanded. */
nl_status nl_dataset_canonical(const char *spec, nl_text *out) NL_CHECKED;

const nl_dataset_ops *nl_dataset_find(const char *name);
const nl_dataset_ops *nl_dataset_at(int i); /* NULL past the end */

/* The registry is made by the build (generated table in cli and tests): called once by main. */
void nl_dataset_use(const nl_dataset_ops *const *table, int count);

#define NL_DATASET_HEADER .abi = NL_DATASET_ABI, .real_bytes = sizeof(nl_real)

#endif
