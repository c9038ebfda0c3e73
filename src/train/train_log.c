/* train_log.c: what a run writes into its file while it goes on. */
#include <stdio.h>

#include "base/clock.h"
#include "train/provenance.h"
#include "train/trainer.h"

static nl_status declare(trainer *t, int timeline, const char *path, const char *unit,
                         const char *doc, bool is_volatile, int *id)
{
    const nl_channel c = {.path = path,
                          .timeline = timeline,
                          .type = NL_TYPE_DOUBLE,
                          .unit = unit,
                          .doc = doc,
                          .is_volatile = is_volatile};
    NL_TRY(nl_log_channel(t->log, &c, id));
    return NL_OK;
}

static nl_status declare_scores(trainer *t, int timeline, const char *folder, const char *split,
                                int id[2])
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s_loss", folder, split);
    NL_TRY(declare(t, timeline, path, "nats", "mean loss over the examples", false, &id[0]));
    snprintf(path, sizeof path, "%s/%s_accuracy", folder, split);
    NL_TRY(declare(t, timeline, path, "1", "share of correct answers", false, &id[1]));
    return NL_OK;
}

static nl_status declare_training(trainer *t)
{
    nl_log *log = t->log;
    NL_TRY(nl_log_timeline(log, "/steps", "step", "optimizer steps", 512, &t->steps_tl));
    NL_TRY(nl_log_timeline(log, "/epochs", "epoch", "epochs", 16, &t->epochs_tl));
    NL_TRY(nl_log_timeline(log, "/evals", "step", "optimizer steps", 16, &t->evals_tl));
    NL_TRY(declare(t, t->steps_tl, "/steps/loss", "nats", "mean loss of the batch", false,
                   &t->channel.loss));
    NL_TRY(declare(t, t->steps_tl, "/steps/accuracy", "1", "share of correct answers of the batch",
                   false, &t->channel.accuracy));
    NL_TRY(declare(t, t->steps_tl, "/steps/lr", "1", "learning rate", false, &t->channel.lr));
    NL_TRY(declare(t, t->epochs_tl, "/epochs/train_loss", "nats", "mean over the epoch's steps",
                   false, &t->channel.train_loss));
    NL_TRY(declare(t, t->epochs_tl, "/epochs/train_accuracy", "1", "mean over the epoch's steps",
                   false, &t->channel.train_accuracy));
    return NL_OK;
}

static nl_status declare_channels(trainer *t)
{
    nl_log *log = t->log;
    NL_TRY(declare_training(t));
    static const char *const splits[] = {"val", "test"};
    for (int i = 0; i < 2; i++) {
        NL_TRY(declare_scores(t, t->epochs_tl, "/epochs", splits[i], t->channel.epoch[i]));
        NL_TRY(declare_scores(t, t->evals_tl, "/evals", splits[i], t->channel.eval[i]));
    }
    NL_TRY(declare(t, t->evals_tl, "/evals/seconds", "s", "wall time since the run began", true,
                   &t->channel.seconds));
    if (t->spec->record_order)
        NL_TRY(nl_log_record_order(log, t->steps_tl, t->batches.batch, &t->channel.order));
    NL_TRY(nl_observer_open(&t->observer, log, t->model, t->batches.batch));
    return NL_OK;
}

/* Epochs that have their row once t->step is done: the last one may be cut short by the budget. */
static int64_t epochs_logged(const trainer *t)
{
    const int64_t steps = t->batches.steps;
    return t->step == t->total ? (t->step + steps - 1) / steps : t->step / steps;
}

nl_status nl_trainer_open_log(trainer *t, bool resume)
{
    char path[NL_TRAIN_PATH_MAX];
    snprintf(path, sizeof path, "%s/run.h5", t->set->out);
    if (resume)
        NL_TRY(nl_log_resume(&t->log, path, t->step, epochs_logged(t)));
    else
        NL_TRY(nl_log_open(&t->log, path));
    NL_TRY(declare_channels(t));
    NL_TRY(nl_provenance_write(t->log, t->spec, t->data, t->model, t->set->threads));
    if (t->spec->record_init && !resume)
        NL_TRY(nl_log_record_init(t->log, nl_model_store(t->model)));
    NL_TRY(nl_log_begin(t->log));
    if (nl_log_rows(t->log, t->steps_tl) != t->step)
        return nl_fail(NL_ESTATE,
                       "%s: holds %lld steps, the checkpoint beside it %lld: not one run", path,
                       (long long)nl_log_rows(t->log, t->steps_tl), (long long)t->step);
    return NL_OK;
}

static void put_scores(trainer *t, int channel[2][2])
{
    const nl_score *s[] = {&t->val, &t->test};
    for (int i = 0; i < 2; i++) {
        nl_log_put(t->log, channel[i][0], &s[i]->loss);
        nl_log_put(t->log, channel[i][1], &s[i]->accuracy);
    }
}

nl_status nl_trainer_log_evaluation(trainer *t)
{
    const double seconds = nl_wall_seconds() - t->started;
    put_scores(t, t->channel.eval);
    nl_log_put(t->log, t->channel.seconds, &seconds);
    NL_TRY(nl_log_row(t->log, t->evals_tl, t->step));
    return NL_OK;
}

nl_status nl_trainer_log_step(trainer *t, int64_t n, double loss, double correct)
{
    const double mean = loss / (double)n, accuracy = correct / (double)n;
    const double lr = nl_optim_lr(t->optim);
    nl_log_put(t->log, t->channel.loss, &mean);
    nl_log_put(t->log, t->channel.accuracy, &accuracy);
    nl_log_put(t->log, t->channel.lr, &lr);
    if (t->spec->record_order)
        nl_log_put_int(t->log, t->channel.order, t->batch.index, n);
    NL_TRY(nl_log_row(t->log, t->steps_tl, t->step));
    return NL_OK;
}

nl_status nl_trainer_log_epoch(trainer *t)
{
    const double n = t->sum[EPOCH_EXAMPLES];
    const double loss = t->sum[EPOCH_LOSS] / n, accuracy = t->sum[EPOCH_CORRECT] / n;
    const int64_t epoch = (t->step - 1) / t->batches.steps;
    nl_log_put(t->log, t->channel.train_loss, &loss);
    nl_log_put(t->log, t->channel.train_accuracy, &accuracy);
    put_scores(t, t->channel.epoch);
    NL_TRY(nl_log_row(t->log, t->epochs_tl, epoch + 1));
    return NL_OK;
}

nl_status nl_trainer_finish_log(trainer *t, const char *outcome)
{
    nl_log *log = t->log;
    NL_TRY(nl_log_set_real(log, "wall_seconds", nl_wall_seconds() - t->started));
    NL_TRY(nl_log_set_real(log, "cpu_seconds", nl_process_cpu_seconds()));
    NL_TRY(nl_log_set_int(log, "steps", t->step));
    t->log = NULL; /* gone in any case */
    NL_TRY(nl_log_finish(log, outcome));
    return NL_OK;
}
