/* checkpoint.h: the state a run goes on from, in its own file (docs/format.md).
 *
 * An HDF5 file built in memory and put in place as a whole (write, sync, rename): after a kill or
 * on a full disk the former checkpoint is still there. The same content gives the same bytes. */
#ifndef NL_CHECKPOINT_H
#define NL_CHECKPOINT_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "base/text.h"
#include "core/store.h"

enum { NL_CHECKPOINT_CARRY = 16 };

/* Zero-initialised is empty; nl_checkpoint_free gives the texts back. */
typedef struct nl_checkpoint {
    int64_t step, epoch;               /* whole ones done */
    int64_t batch;                     /* batches done in the epoch that is open */
    int64_t numerics;                  /* version of the arithmetic */
    nl_text spec, hash;                /* of the run */
    nl_text cpu;                       /* kernel variant */
    double carry[NL_CHECKPOINT_CARRY]; /* what the trainer sums up within an epoch */
} nl_checkpoint;
void nl_checkpoint_free(nl_checkpoint *c);

/* A slot of the optimizer: one real for each real of the store's parameter slab, same offsets. */
typedef struct nl_slot {
    const char *name;
    nl_real *slab;
} nl_slot;

/* Every parameter and state of the store, and the slots. */
nl_status nl_checkpoint_save(const char *path, const nl_checkpoint *c, nl_store *store,
                             const nl_slot *slots, int slot_count) NL_CHECKED;

/* The head alone: NL_EIO not there, NL_EFORMAT not a checkpoint. */
nl_status nl_checkpoint_peek(const char *path, nl_checkpoint *c) NL_CHECKED;

/* All or nothing: a variable that the file lacks, that the model lacks, or whose shape or type
 * differs is NL_ESHAPE with both shapes, a damaged one NL_EFORMAT, and then the store, the slots
 * and *c are as before. slot_count 0 leaves the optimizer's part of the file out (to evaluate). */
nl_status nl_checkpoint_load(const char *path, nl_checkpoint *c, nl_store *store,
                             const nl_slot *slots, int slot_count) NL_CHECKED;

#endif
