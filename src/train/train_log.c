/* train_log.c: what a run writes into its file while it goes on. */
#include <math.h>
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

/* prefix: "/steps/" or "/epochs/val_"; of: "of the batch". */
static nl_status declare_scores(trainer *t, int timeline, const char *prefix, const char *of,
                                int id[SCORES])
{
    const struct {
        const char *name, *unit, *doc;
    } rows[SCORES] = {
        [SCORE_LOSS] = {"loss", t->data->classes > 0 ? "nats" : "1", "mean loss"},
        [SCORE_ACCURACY] = {"accuracy", "1", "share of correct answers"},
        [SCORE_BITS] = {"bits_per_character", "bits", "mean loss"},
    };
    char path[64], doc[96];
    for (int k = 0; k < SCORES; k++) {
        snprintf(path, sizeof path, "%s%s", prefix, rows[k].name);
        snprintf(doc, sizeof doc, "%s %s", rows[k].doc, of);
        if (k != SCORE_BITS || t->data->in_bits)
            NL_TRY(declare(t, timeline, path, rows[k].unit, doc, false, &id[k]));
    }
    return NL_OK;
}

static nl_status declare_training(trainer *t)
{
    nl_log *log = t->log;
    NL_TRY(nl_log_timeline(log, "/steps", "step", "optimizer steps", 512, &t->steps_tl));
    NL_TRY(nl_log_timeline(log, "/epochs", "epoch", "epochs", 16, &t->epochs_tl));
    NL_TRY(nl_log_timeline(log, "/evals", "step", "optimizer steps", 16, &t->evals_tl));
    NL_TRY(declare_scores(t, t->steps_tl, "/steps/", "of the batch", t->channel.step));
    NL_TRY(declare(t, t->steps_tl, "/steps/lr", "1", "learning rate", false, &t->channel.lr));
    NL_TRY(declare_scores(t, t->epochs_tl, "/epochs/train_", "over the epoch's steps",
                          t->channel.train));
    return NL_OK;
}

static nl_status declare_evaluation(trainer *t, int i, const char *split)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "/epochs/%s_", split);
    NL_TRY(declare_scores(t, t->epochs_tl, prefix, "over the split", t->channel.epoch[i]));
    snprintf(prefix, sizeof prefix, "/evals/%s_", split);
    NL_TRY(declare_scores(t, t->evals_tl, prefix, "over the split", t->channel.eval[i]));
    return NL_OK;
}

static nl_status open_observer(trainer *t)
{
    const nl_observer_setup s = {.log = t->log,
                                 .model = t->model,
                                 .plan = &t->plan,
                                 .n = t->batches.batch,
                                 .steps = t->total,
                                 .checkpoint = t->checkpoint_every,
                                 .last_gradient = t->last_gradient};
    NL_TRY(nl_observer_open(&t->observer, &s));
    return NL_OK;
}

static nl_status open_probes(trainer *t)
{
    const nl_probes_setup s = {.list = t->spec->probe.is,
                               .log = t->log,
                               .model = t->model,
                               .batches = &t->batches,
                               .total = t->total,
                               .seed = (uint64_t)t->spec->seed,
                               .d_logits = t->d_logits};
    NL_TRY(nl_probes_open(&t->probes, &s));
    return NL_OK;
}

static nl_status declare_channels(trainer *t)
{
    nl_log *log = t->log;
    NL_TRY(declare_training(t));
    NL_TRY(declare_evaluation(t, 0, "val"));
    NL_TRY(declare_evaluation(t, 1, "test"));
    NL_TRY(declare(t, t->evals_tl, "/evals/seconds", "s", "wall time since the run began", true,
                   &t->channel.seconds));
    if (t->spec->record_order)
        NL_TRY(nl_log_record_order(log, t->steps_tl, t->batches.batch, &t->channel.order));
    NL_TRY(open_observer(t));
    NL_TRY(open_probes(t));
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
    NL_TRY(nl_log_set_int(t->log, "total_steps", t->total));
    if (t->spec->record_init && !resume)
        NL_TRY(nl_log_record_init(t->log, nl_model_store(t->model)));
    NL_TRY(nl_log_begin(t->log));
    if (nl_log_rows(t->log, t->steps_tl) != t->step)
        return nl_fail(NL_ESTATE,
                       "%s: holds %lld steps, the checkpoint beside it %lld: not one run", path,
                       (long long)nl_log_rows(t->log, t->steps_tl), (long long)t->step);
    return NL_OK;
}

static void put_score(trainer *t, const int channel[SCORES], nl_score s)
{
    const double bits = s.loss / log(2);
    nl_log_put(t->log, channel[SCORE_LOSS], &s.loss);
    nl_log_put(t->log, channel[SCORE_ACCURACY], &s.accuracy);
    if (t->data->in_bits)
        nl_log_put(t->log, channel[SCORE_BITS], &bits);
}

static void put_evaluation(trainer *t, int channel[2][SCORES])
{
    put_score(t, channel[0], t->val);
    put_score(t, channel[1], t->test);
}

nl_status nl_trainer_log_evaluation(trainer *t)
{
    const double seconds = nl_wall_seconds() - t->started;
    put_evaluation(t, t->channel.eval);
    nl_log_put(t->log, t->channel.seconds, &seconds);
    NL_TRY(nl_log_row(t->log, t->evals_tl, t->step));
    return NL_OK;
}

nl_status nl_trainer_log_step(trainer *t, const nl_loss_sum *of_batch)
{
    const double lr = nl_optim_lr(t->optim);
    put_score(t, t->channel.step, nl_score_of(of_batch));
    nl_log_put(t->log, t->channel.lr, &lr);
    if (t->spec->record_order)
        nl_log_put_int(t->log, t->channel.order, t->batch.index, t->batch.n);
    NL_TRY(nl_log_row(t->log, t->steps_tl, t->step));
    return NL_OK;
}

nl_status nl_trainer_log_epoch(trainer *t)
{
    const double answers = t->sum[EPOCH_ANSWERS];
    const nl_score train = {t->sum[EPOCH_LOSS] / answers, t->sum[EPOCH_CORRECT] / answers};
    const int64_t epoch = (t->step - 1) / t->batches.steps;
    put_score(t, t->channel.train, train);
    put_evaluation(t, t->channel.epoch);
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
