/* trainer.h: a run in progress. Private to src/train: train.c is the loop, train_log.c the run
 * file, train_state.c the checkpoints. */
#ifndef NL_TRAINER_H
#define NL_TRAINER_H

#include "core/dataset.h"
#include "core/model.h"
#include "core/optim.h"
#include "io/runlog.h"
#include "train/feeder.h"
#include "train/observe.h"
#include "train/probe.h"
#include "train/score.h"
#include "train/train.h"

/* Sums over the steps of the epoch so far; checkpoints carry them: a resumed epoch ends alike. */
enum { EPOCH_LOSS, EPOCH_CORRECT, EPOCH_ANSWERS, SUMS };

/* Channels of a mean over answers; bits_per_character is there where the data ask for it. */
enum { SCORE_LOSS, SCORE_ACCURACY, SCORE_BITS, SCORES };

typedef struct trainer {
    const nl_run_spec *spec;
    const nl_train_setting *set;
    nl_dataset *data;
    nl_model *model;
    nl_optim *optim;
    nl_batches batches;
    nl_feeder *feeder;
    nl_batch batch; /* of the latest step */
    nl_log *log;
    nl_observer *observer;
    nl_probes *probes;
    nl_real *d_logits;
    nl_scorer scorer;
    double sum[SUMS];
    nl_log_plan plan;
    nl_real *last_gradient; /* NULL: the plan has no use for it */
    int64_t eval_batch, total, eval_every, checkpoint_every;
    int64_t step; /* updates made */
    int steps_tl, epochs_tl, evals_tl;
    struct {
        int step[SCORES], train[SCORES], epoch[2][SCORES], eval[2][SCORES]; /* [val, test] */
        int lr, order, seconds;
    } channel;
    double started, last_progress;
    nl_score val, test; /* of the latest evaluation */
    bool diverged;
} trainer;

enum { NL_TRAIN_PATH_MAX = NL_STRING_MAX + 32 };

/* The run file in the folder: opened, or with `resume` gone on from t->step. */
nl_status nl_trainer_open_log(trainer *t, bool resume) NL_CHECKED;
nl_status nl_trainer_log_step(trainer *t, const nl_loss_sum *of_batch) NL_CHECKED;
nl_status nl_trainer_log_evaluation(trainer *t) NL_CHECKED;
nl_status nl_trainer_log_epoch(trainer *t) NL_CHECKED;
nl_status nl_trainer_finish_log(trainer *t, const char *outcome) NL_CHECKED;

/* checkpoint.nlc in the folder, after what the run file holds is on the disk. */
nl_status nl_trainer_save(trainer *t) NL_CHECKED;
/* Removes the folder's checkpoint: a run that starts anew has none. */
nl_status nl_trainer_forget(const trainer *t) NL_CHECKED;
/* Sets the state and t->step from it; *found false when there is none. */
nl_status nl_trainer_load(trainer *t, bool *found) NL_CHECKED;

#endif
