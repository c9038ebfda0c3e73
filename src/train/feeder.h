/* feeder.h: the batches of a run, step by step. The next one is assembled in the background while
 * the step runs, if there is a core for it; which batch is which follows from the step alone, so
 * bytes stay the same. */
#ifndef NL_FEEDER_H
#define NL_FEEDER_H

#include "train/batches.h"

typedef struct nl_batch {
    int64_t n;            /* examples */
    const nl_real *x;     /* (n, width) */
    const int32_t *label; /* (n, answers), or NULL where there are */
    const nl_real *value; /* (n, answers) numbers */
    const uint8_t *live;  /* (n, s): 0 is padding; NULL: there is none */
    const int64_t *index; /* n: their numbers in the training set */
    bool carry;           /* they go on where those of the step before ended */
} nl_batch;

typedef struct nl_feeder nl_feeder;

/* Whether `threads` leave no core for a thread of the feeder; with one, none is wanted. */
bool nl_feeder_has_no_core(int64_t threads);

/* b is lent. alone: no thread of its own, batches are assembled when asked for, by all threads. */
nl_status nl_feeder_open(nl_feeder **out, const nl_batches *b, bool alone) NL_CHECKED;
void nl_feeder_close(nl_feeder *f); /* NULL is fine */

/* The batch of a step (0, 1, ...), valid until the next call. Steps in order are fast. */
nl_status nl_feeder_batch(nl_feeder *f, int64_t step, nl_batch *out) NL_CHECKED;

#endif
