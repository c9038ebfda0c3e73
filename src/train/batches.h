/* batches.h: the order of the examples and the assembly of a batch.
 *
 * Nothing here changes once opened: orders and batches go into the caller's memory, so the next
 * batch can be assembled by another thread. The order of epoch e is a function of (seed, e) alone.
 *
 * Consecutive examples (one long sequence, cut) are read as `batch` parallel streams of `steps`
 * examples, whatever the order: example i of batch k is number i * steps + k, which goes on where
 * example i of batch k - 1 ended. */
#ifndef NL_BATCHES_H
#define NL_BATCHES_H

#include "core/dataset.h"

typedef struct nl_batches_options {
    int64_t batch;   /* examples in a batch; 0: all of them */
    nl_choice order; /* NL_ORDER_... */
    nl_choice last;  /* NL_LAST_...: a last batch that is not full */
} nl_batches_options;
enum { NL_ORDER_RESHUFFLE, NL_ORDER_FIXED, NL_ORDER_SEQUENTIAL };
enum { NL_LAST_KEEP, NL_LAST_DROP };
extern const nl_option nl_batches_option_table[];

typedef struct nl_batches {
    const nl_dataset *data; /* lent */
    const nl_split *from;   /* of it */
    int64_t width;          /* values of one example */
    int64_t batch;          /* examples in a full batch, at least 1 */
    int64_t steps;          /* batches in an epoch, at least 1 where there are examples */
    int order;
    uint64_t seed;
    nl_augment augment;
} nl_batches;

/* Fails when a batch is larger than the split, or the split is empty. */
nl_status nl_batches_open(nl_batches *out, const nl_dataset *d, const nl_split *from,
                          const nl_batches_options *options, uint64_t seed) NL_CHECKED;

/* Batches of `most` examples, fewer in the last one, as they lie; none of an empty split. */
nl_batches nl_batches_in_order(const nl_dataset *d, const nl_split *from, int64_t most);

/* order (from->count) becomes the examples in the order of this epoch. */
void nl_batches_order(const nl_batches *b, int64_t epoch, int64_t *order);

/* Rows of batch k, 0 <= k < steps: batch, or fewer in a last one that is kept. */
int64_t nl_batches_rows(const nl_batches *b, int64_t k);

/* The number of example i of batch k. order NULL: as they lie. */
int64_t nl_batches_example(const nl_batches *b, const int64_t *order, int64_t k, int64_t i);

/* Copies batch k of the epoch into x (rows, width), augmented, and label or value (rows, answers),
 * whichever the data have, and gives the number of rows. parallel: by all threads, else by the
 * calling one. */
int64_t nl_batches_gather(const nl_batches *b, const int64_t *order, int64_t epoch, int64_t k,
                          nl_real *x, int32_t *label, nl_real *value, bool parallel);

/* live (rows, shape.s) becomes 1 for the steps of batch k's examples and 0 for padding. */
void nl_batches_live(const nl_batches *b, const int64_t *order, int64_t k, uint8_t *live);

#endif
