/* train.h: one run, from its spec to its run file. */
#ifndef NL_TRAIN_H
#define NL_TRAIN_H

#include "train/spec.h"

typedef struct nl_train_setting {
    const char *out;      /* folder of this run: run.h5, checkpoint.nlc; made if absent */
    const char *data_dir; /* NULL: $NORMLAB_DATA, then "data" */
    bool resume;          /* go on from the folder's checkpoint, if there is one */
    bool anyway;          /* resume although the checkpoint is of another class of CPU */
    int threads;
    /* Told how far it is, at most ten times a second and at the end; loss: the epoch's. Or NULL. */
    void (*progress)(void *arg, int64_t step, int64_t steps, double loss);
    void *arg;
} nl_train_setting;

typedef struct nl_train_result {
    char outcome[16]; /* done, diverged, stopped */
    int64_t steps;
    double train_loss;               /* mean over the last epoch, or what there was of it */
    double test_loss, test_accuracy; /* of the last evaluation; NaN without one */
    double val_loss, val_accuracy;
    double test_bits; /* the test loss in bits per character, of texts; otherwise NaN */
    double seconds;   /* wall time of the steps, evaluation and logging included */
} nl_train_result;

/* Trains as the spec says. A loss that stops being finite is an outcome ("diverged"), not an error.
 * After an NL_EIO of a full disk the run file is dead: leave the process by _exit. */
nl_status nl_train(const nl_run_spec *spec, const nl_train_setting *setting,
                   nl_train_result *result) NL_CHECKED;

/* Asks a running nl_train to checkpoint and end ("stopped") after its step. Safe in a signal
 * handler. */
void nl_train_stop(void);

#endif
