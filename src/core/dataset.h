/* dataset.h: what a data set is. A reader or generator is one file, datasets/NAME.c, that defines
 * one object `const nl_dataset_ops nl_dataset_NAME`; the build lists the folder.
 *
 * The file fills in raw values; the host cuts off the validation part, standardizes, sorts and
 * takes the checksum, so that these mean the same for every data set. */
#ifndef NL_DATASET_H
#define NL_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "core/augment.h"
#include "core/option.h"

/* Shape of one example: s positions (t for sequences; 1 for plain features) of c channels, channels
 * innermost. An image is given flat, s = 1 and c = h * w * colours, with h and w recorded: a
 * network that wants positions reads the same memory as s = h * w (NHWC). Tokens (words,
 * characters) are whole numbers 0 .. vocabulary - 1 with c = 1; a layer that takes them says so by
 * `reads_tokens`. */
typedef struct nl_shape {
    int64_t s, c;
    int64_t h, w;       /* images; 0 otherwise */
    int64_t vocabulary; /* tokens: how many there are; 0: x are values */
} nl_shape;

typedef struct nl_split {
    int64_t count;
    nl_real *x;     /* (count, s, c), aligned to NL_ALIGN; owned by the dataset */
    int32_t *label; /* (count, answers) class numbers in [0, classes); at a step where nothing is
                       asked for: negative. NULL where classes is 0 */
    nl_real *value; /* (count, answers) numbers, where classes is 0 */
    /* Steps of each example, 1 .. shape.s, the rest is padding; NULL: all have shape.s. */
    int32_t *length;
} nl_split;

typedef struct nl_dataset {
    const struct nl_dataset_ops *ops;
    nl_shape shape;
    int64_t classes;  /* 2: told by one logit; 0: the answers are numbers */
    double tolerance; /* of numbers: an error below this counts as correct */
    bool each_step;   /* an answer for each step of an example, s of them, instead of one */
    bool consecutive; /* example i + 1 goes on where i ended: batches are parallel streams, and
                         recurrent states are carried from batch to batch */
    bool in_bits;     /* a step is a character: losses are reported in bits, too */
    nl_split train, val, test; /* val.count is 0 unless asked for */
    uint64_t checksum;         /* of the content as trained on; part of a run's hash */
    bool synthetic;
    double target;  /* accuracy that "steps to target" asks for unless told otherwise */
    double lo, hi;  /* what raw values lie in, for standardize=unit; equal: looked up */
    double *fitted; /* mean and variance of each feature that standardize takes instead of those of
                       the training part (2, s * c); nl_alloc'ed; or NULL */
    nl_augment augment; /* of training images, at each use */
    bool ragged;        /* splits have lengths */
    bool pads_before;   /* padding stands before an example's steps, as Keras pads, not behind */
    void *memory;       /* taken by nl_dataset_room, freed by nl_dataset_close */
} nl_dataset;

enum { NL_DATASET_ABI = 1 };

/* Options of every data set: the first member of each one's struct. */
typedef struct nl_dataset_common {
    int64_t train, val, test;
    double val_fraction;
    nl_choice standardize;
    bool sort;
} nl_dataset_common;

enum { NL_SCALE_NONE, NL_SCALE_UNIT, NL_SCALE_GLOBAL, NL_SCALE_FEATURE, NL_SCALE_CHANNEL };
extern const char *const nl_dataset_scales[];

/* Rows of the option table of struct S, whose first member is `common`. `least` is 0 for readers
 * (0 means all that there are) and 1 for generators. */
#define NL_DATASET_MOST 1e7
#define NL_DATASET_OPTIONS(S, train_preset, test_preset, least, scale_preset)                     \
    NL_OPT_AS(S, common.train, "train", train_preset, least, NL_DATASET_MOST,                     \
              "training examples, the first ones (0: all that the validation part leaves)"),      \
        NL_OPT_AS(S, common.val, "val", "0", 0, NL_DATASET_MOST,                                  \
                  "validation examples, the last ones of the training set"),                      \
        NL_OPT_AS(S, common.val_fraction, "val_fraction", "0", 0, 0.999,                          \
                  "instead of val: the last fraction of the train examples, as Keras cuts it"),   \
        NL_OPT_AS(S, common.test, "test", test_preset, least, NL_DATASET_MOST,                    \
                  "test examples, the first ones (0: all)"),                                      \
        {"standardize",                                                                           \
         NL_OPTION_TYPE(S, common.standardize),                                                   \
         offsetof(S, common.standardize),                                                         \
         scale_preset,                                                                            \
         0,                                                                                       \
         0,                                                                                       \
         nl_dataset_scales,                                                                       \
         "raw values, 0..1, or mean 0 and variance 1 of all values, of each feature, or of each " \
         "colour (moments of the training part)"},                                                \
        NL_OPT_AS(S, common.sort, "sort", "false", 0, 1,                                          \
                  "training examples in the order of their labels (stable)")

typedef struct nl_dataset_ops {
    uint32_t abi, real_bytes;
    const char *name;  /* key on the command line: [a-z0-9_]+ */
    const char *title; /* for people */
    const char *cite;  /* BibTeX key in paper/refs.bib, or NULL */
    const char *files; /* what has to lie in the data folder, or NULL for generators */
    bool synthetic;
    nl_shape shape;            /* of an example and */
    int64_t classes, examples; /* how many, for benchmarks that do without the data; 0: ask load */
    double target;             /* accuracy of steps-to-target, where load sets no other */
    size_t self_size;
    const nl_option *options;
    /* Fills out->train, val, test, shape, classes, target, lo, hi with raw values: calls
     * nl_dataset_cut, then nl_dataset_room, then writes x and label. dir is the data folder; ops is
     * set already. What nl_dataset_room took is freed by the host, on failure too. */
    nl_status (*load)(const void *self, const char *dir, nl_dataset *out);
} nl_dataset_ops;

/* Which examples go where: training 0 .. train-1, validation val_at .. val_at+val-1, both of the
 * training set; 0 .. test-1 of the test set. */
typedef struct nl_cut {
    int64_t train, val_at, val, test;
} nl_cut;

/* Resolves the common options against what there is; NL_ANY_NUMBER for generators. Fails, naming
 * `owner`, when more is asked for. */
enum { NL_ANY_NUMBER = -1 };
nl_status nl_dataset_cut(const nl_dataset_common *common, const char *owner, int64_t train_there,
                         int64_t test_there, nl_cut *out) NL_CHECKED;

/* Answers of an example. */
static inline int64_t nl_dataset_answers(const nl_dataset *d)
{
    return d->each_step ? d->shape.s : 1;
}

/* Outputs an answer is told by: one logit a class, one for two classes, or the number itself. */
static inline int64_t nl_dataset_outputs(const nl_dataset *d)
{
    return d->classes > 2 ? d->classes : 1;
}

/* Takes the memory of the three splits, zeroed, as the cut and out->shape, classes, each_step and
 * ragged say; lengths start as shape.s. */
nl_status nl_dataset_room(nl_dataset *out, const nl_cut *cut) NL_CHECKED;

/* live (shape.s) becomes 1 for the steps of example i and 0 for its padding. */
void nl_dataset_live(const nl_dataset *d, const nl_split *s, int64_t i, uint8_t *live);

/* spec is "mnist:train=9000:val=1000". dir NULL takes $NORMLAB_DATA, then "data". Sets *out NULL on
 * failure; the caller owns it. */
nl_status nl_dataset_open(nl_dataset **out, const char *spec, const char *dir) NL_CHECKED;
void nl_dataset_close(nl_dataset *d); /* NULL is fine */

/* Appends the canonical spec: defaults expanded. */
nl_status nl_dataset_canonical(const char *spec, nl_text *out) NL_CHECKED;

const nl_dataset_ops *nl_dataset_find(const char *name); /* NULL: not there */
/* NL_ENAME with the nearest name, *out NULL, where there is none. */
nl_status nl_dataset_find_or_say(const char *name, const nl_dataset_ops **out) NL_CHECKED;
const nl_dataset_ops *nl_dataset_at(int i); /* NULL past the end */

/* The registry is made by the build (generated table in cli and tests): called once by main. */
void nl_dataset_use(const nl_dataset_ops *const *table, int count);

#define NL_DATASET_HEADER .abi = NL_DATASET_ABI, .real_bytes = sizeof(nl_real)

#endif
