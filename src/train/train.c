#include "train/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/optim.h"
#include "io/checkpoint.h"
#include "io/runlog.h"
#include "kernel/cpu.h"
#include "layers/cross_entropy.h"
#include "par/par.h"
#include "train/batches.h"
#include "train/observe.h"
#include "train/provenance.h"

static volatile sig_atomic_t stop_asked;

void nl_train_stop(void) { stop_asked = 1; }

/* Sums over the steps of the epoch so far; checkpoints carry them, so that a resumed epoch ends alike. */
enum { EPOCH_LOSS, EPOCH_CORRECT, EPOCH_EXAMPLES, SUMS };

typedef struct score {
    double loss, accuracy; /* means over examples; NaN where not evaluated */
} score;

typedef struct trainer {
    const nl_run_spec *spec;
    const nl_train_setting *set;
    nl_dataset *data;
    nl_model *model;
    nl_optim *optim;
    nl_batches batches;
    nl_log *log;
    nl_observer *observer;
    int64_t outputs, width;
    int64_t *order;
    nl_real *x, *d_logits;
    int32_t *label;
    double sum[SUMS];
    int64_t eval_batch, total, log_every, eval_every, checkpoint_every;
    int64_t step, epoch_of_order; /* updates made; -1: no order yet */
    int steps_tl, epochs_tl, evals_tl;
    struct {
        int loss, accuracy, lr, order;
        int train_loss, train_accuracy, epoch[2][2], eval[2][2]; /* [val, test][loss, accuracy] */
        int seconds;
    } channel;
    double started, last_progress;
    score val, test;
    bool diverged;
} trainer;

/* ---- set-up */

static nl_status make_folder(const char *path)
{
    char part[NL_STRING_MAX * 2];
    if (strlen(path) >= sizeof part)
        return nl_fail(NL_EIO, "out: a path of more than %zu characters", sizeof part - 1);
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return nl_fail(NL_EIO, "out: folder %s cannot be made: %s", part, strerror(errno));
    }
    if (access(path, W_OK) != 0)
        return nl_fail(NL_EIO, "out: folder %s cannot be written: %s", path, strerror(errno));
    return NL_OK;
}

static int64_t pick(int64_t asked, int64_t automatic)
{
    return asked > 0 ? asked : automatic > 0 ? automatic : 1;
}

static void plan_schedule(trainer *t)
{
    const nl_run_spec *s = t->spec;
    t->total = s->steps > 0 ? s->steps : s->epochs * t->batches.steps;
    t->log_every = pick(s->log, t->total / 100);
    t->eval_every = pick(s->eval, t->total / 50);
    t->checkpoint_every = pick(s->checkpoint, t->batches.steps);
}

static nl_status open_model(trainer *t)
{
    const nl_run_spec *s = t->spec;
    const int64_t batch = t->batches.batch;
    t->outputs = t->data->classes == 2 ? 1 : t->data->classes;
    t->eval_batch = s->eval_batch > 0 ? s->eval_batch : 250;
    nl_model_setup setup = {.shape = t->data->shape,
                            .outputs = t->outputs,
                            .batch = batch,
                            .n = batch > t->eval_batch ? batch : t->eval_batch,
                            .norm = s->norm.is,
                            .norm_slot = {s->norm_preact.is, s->norm_act.is, s->norm_weight.is},
                            .init = s->init.is,
                            .seed = (uint64_t)s->seed};
    NL_TRY(nl_model_open(&t->model, s->model.is, &setup));
    /* statistics of an evaluation batch mean what they meant in training only at its size */
    if (s->eval_batch == 0 && (nl_model_couples_evaluation(t->model) ||
                               nl_model_accepts(t->model, NULL, t->eval_batch) != NL_OK))
        t->eval_batch = batch;
    NL_TRY(nl_model_accepts(t->model, NULL, t->eval_batch));
    return NL_OK;
}

static nl_status take_buffers(trainer *t)
{
    const int64_t batch = t->batches.batch;
    t->width = t->data->shape.s * t->data->shape.c;
    t->order = nl_alloc((size_t)t->data->train.count, sizeof *t->order);
    t->x = nl_alloc((size_t)(batch * t->width), sizeof *t->x);
    t->d_logits = nl_alloc((size_t)(batch * t->outputs), sizeof *t->d_logits);
    t->label = nl_alloc((size_t)batch, sizeof *t->label);
    if (!t->order || !t->x || !t->d_logits || !t->label)
        return nl_fail(NL_ENOMEM, "a batch of %lld examples", (long long)batch);
    return NL_OK;
}

/* ---- the run file */

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

static nl_status declare_channels(trainer *t)
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

static nl_status open_log(trainer *t, bool resume, int64_t epoch)
{
    char path[NL_STRING_MAX * 2];
    snprintf(path, sizeof path, "%s/run.h5", t->set->out);
    if (resume)
        NL_TRY(nl_log_resume(&t->log, path, t->step, epoch));
    else
        NL_TRY(nl_log_open(&t->log, path));
    NL_TRY(declare_channels(t));
    NL_TRY(nl_provenance_write(t->log, t->spec, t->data, t->model, t->set->threads));
    if (t->spec->record_init && !resume)
        NL_TRY(nl_log_record_init(t->log, nl_model_store(t->model)));
    NL_TRY(nl_log_begin(t->log));
    return NL_OK;
}

/* ---- checkpoints */

static int optimizer_slots(trainer *t, nl_slot slot[NL_OPTIM_SLOTS_MAX])
{
    int64_t count;
    const int slots = nl_optim_slots(t->optim);
    for (int k = 0; k < slots; k++)
        slot[k].name = nl_optim_slot(t->optim, k, &slot[k].slab, &count);
    return slots;
}

static void checkpoint_path(const trainer *t, char *path, size_t room)
{
    snprintf(path, room, "%s/checkpoint.nlc", t->set->out);
}

static nl_status describe_state(const trainer *t, nl_checkpoint *c)
{
    uint64_t hash;
    c->step = t->step;
    c->epoch = t->step / t->batches.steps;
    c->batch = t->step % t->batches.steps;
    c->numerics = NL_NUMERICS_VERSION;
    memcpy(c->carry, t->sum, sizeof t->sum);
    NL_TRY(nl_spec_hash(t->spec, t->data->checksum, &hash));
    NL_TRY(nl_spec_canonical(t->spec, &c->spec));
    nl_text_add(&c->hash, "%016" PRIx64, hash);
    nl_text_add(&c->cpu, "%s", nl_cpu_name(nl_cpu_level()));
    return NL_OK;
}

static nl_status save_checkpoint(trainer *t)
{
    char path[NL_STRING_MAX * 2];
    nl_checkpoint c = {0};
    nl_slot slot[NL_OPTIM_SLOTS_MAX];
    nl_status st = NL_OK;
    const int slots = optimizer_slots(t, slot);
    checkpoint_path(t, path, sizeof path);
    NL_GO(describe_state(t, &c));
    NL_GO(nl_log_sync(t->log));
    NL_GO(nl_checkpoint_save(path, &c, nl_model_store(t->model), slot, slots));
done:
    nl_checkpoint_free(&c);
    return st;
}

/* The checkpoint has to be of this run, this arithmetic and, unless asked, this class of CPU. */
static nl_status check_checkpoint(const trainer *t, const char *path, const nl_checkpoint *c)
{
    nl_checkpoint now = {0};
    nl_status st = NL_OK;
    NL_GO(describe_state(t, &now));
    if (c->numerics != now.numerics)
        NL_BAIL(NL_ESTATE, "%s: numerics version %lld, this normlab has %lld", path,
                (long long)c->numerics, (long long)now.numerics);
    if (strcmp(nl_text_of(&c->hash), nl_text_of(&now.hash)) != 0)
        NL_BAIL(NL_ESTATE, "%s: belongs to another run (hash %s, this one %s)", path,
                nl_text_of(&c->hash), nl_text_of(&now.hash));
    if (!t->set->anyway && strcmp(nl_text_of(&c->cpu), nl_text_of(&now.cpu)) != 0)
        NL_BAIL(NL_ESTATE,
                "%s: made with %s kernels, this CPU runs %s: the rest would not be the same bytes "
                "(--resume=anyway goes on)",
                path, nl_text_of(&c->cpu), nl_text_of(&now.cpu));
done:
    nl_checkpoint_free(&now);
    return st;
}

static nl_status load_checkpoint(trainer *t, bool *found)
{
    char path[NL_STRING_MAX * 2];
    nl_checkpoint c = {0};
    nl_slot slot[NL_OPTIM_SLOTS_MAX];
    nl_status st = NL_OK;
    const int slots = optimizer_slots(t, slot);
    checkpoint_path(t, path, sizeof path);
    *found = access(path, F_OK) == 0;
    if (!*found)
        return NL_OK;
    NL_GO(nl_checkpoint_peek(path, &c));
    NL_GO(check_checkpoint(t, path, &c));
    nl_checkpoint_free(&c);
    NL_GO(nl_checkpoint_load(path, &c, nl_model_store(t->model), slot, slots));
    t->step = c.step;
    memcpy(t->sum, c.carry, sizeof t->sum);
    nl_optim_set_steps(t->optim, t->step);
done:
    nl_checkpoint_free(&c);
    return st;
}

/* ---- evaluation */

static score missing(void) { return (score){NAN, NAN}; }

static nl_layer_call call_of(const trainer *t, nl_phase phase, int64_t n, const nl_real *x)
{
    return (nl_layer_call){.n = n,
                           .phase = phase,
                           .update = phase == NL_TRAIN,
                           .step = t->step,
                           .epoch = t->step / t->batches.steps,
                           .seed = (uint64_t)t->spec->seed,
                           .x = x};
}

/* Sums over examples, then divides: never a mean of batch means. */
static score evaluate(trainer *t, const nl_split *split)
{
    double loss = 0;
    int64_t correct = 0;
    if (split->count == 0)
        return missing();
    for (int64_t from = 0; from < split->count; from += t->eval_batch) {
        const int64_t left = split->count - from;
        const int64_t n = left < t->eval_batch ? left : t->eval_batch;
        const nl_layer_call c = call_of(t, NL_EVAL, n, split->x + from * t->width);
        const nl_real *logits = nl_model_forward(t->model, &c);
        loss += nl_cross_entropy(t->outputs, logits, split->label + from, n, 0, NULL, &correct);
    }
    return (score){loss / (double)split->count, (double)correct / (double)split->count};
}

static void evaluate_splits(trainer *t)
{
    t->val = evaluate(t, &t->data->val);
    t->test = evaluate(t, &t->data->test);
}

static void put_scores(trainer *t, int channel[2][2])
{
    const score *s[] = {&t->val, &t->test};
    for (int i = 0; i < 2; i++) {
        nl_log_put(t->log, channel[i][0], &s[i]->loss);
        nl_log_put(t->log, channel[i][1], &s[i]->accuracy);
    }
}

static nl_status log_evaluation(trainer *t)
{
    const double seconds = nl_wall_seconds() - t->started;
    put_scores(t, t->channel.eval);
    nl_log_put(t->log, t->channel.seconds, &seconds);
    NL_TRY(nl_log_row(t->log, t->evals_tl, t->step));
    return NL_OK;
}

/* ---- one step */

static int64_t next_batch(trainer *t)
{
    const int64_t epoch = t->step / t->batches.steps, k = t->step % t->batches.steps;
    if (epoch != t->epoch_of_order) {
        nl_batches_order(&t->batches, epoch, t->order);
        t->epoch_of_order = epoch;
    }
    if (k == 0) {
        nl_model_epoch_begin(t->model, epoch);
        memset(t->sum, 0, sizeof t->sum);
    }
    return nl_batches_gather(&t->batches, t->order, k, t->x, t->label);
}

static nl_status log_step(trainer *t, int64_t n, double loss, double correct)
{
    const double mean = loss / (double)n, accuracy = correct / (double)n;
    const double lr = nl_optim_lr(t->optim);
    const int64_t k = (t->step - 1) % t->batches.steps;
    nl_log_put(t->log, t->channel.loss, &mean);
    nl_log_put(t->log, t->channel.accuracy, &accuracy);
    nl_log_put(t->log, t->channel.lr, &lr);
    if (t->spec->record_order)
        nl_log_put_int(t->log, t->channel.order, t->order + k * t->batches.batch, n);
    NL_TRY(nl_log_row(t->log, t->steps_tl, t->step));
    t->sum[EPOCH_LOSS] += loss;
    t->sum[EPOCH_CORRECT] += correct;
    t->sum[EPOCH_EXAMPLES] += (double)n;
    return NL_OK;
}

static nl_status train_step(trainer *t)
{
    int64_t correct = 0;
    const int64_t n = next_batch(t);
    const bool logged = (t->step + 1) % t->log_every == 0 || t->step == 0;
    nl_layer_call c = call_of(t, NL_TRAIN, n, t->x);
    c.start = t->step == 0;
    const nl_real *logits = nl_model_forward(t->model, &c);
    const double loss =
        nl_cross_entropy(t->outputs, logits, t->label, n, 1 / (double)n, t->d_logits, &correct);
    c.step = t->step + 1;
    if (logged)
        NL_TRY(nl_observe_layers(t->observer, &c));
    c.step = t->step;
    nl_model_backward(t->model, &c, t->d_logits);
    if (logged)
        NL_TRY(nl_observe_parameters(t->observer, t->step + 1));
    t->diverged = !isfinite(loss);
    if (!t->diverged) {
        nl_optim_step(t->optim, false);
        nl_model_after_step(t->model);
    }
    t->step++;
    NL_TRY(log_step(t, n, loss, (double)correct));
    return NL_OK;
}

static nl_status end_epoch(trainer *t)
{
    const double n = t->sum[EPOCH_EXAMPLES];
    const double loss = t->sum[EPOCH_LOSS] / n, accuracy = t->sum[EPOCH_CORRECT] / n;
    const int64_t epoch = (t->step - 1) / t->batches.steps;
    nl_model_epoch_end(t->model, epoch);
    nl_log_put(t->log, t->channel.train_loss, &loss);
    nl_log_put(t->log, t->channel.train_accuracy, &accuracy);
    put_scores(t, t->channel.epoch);
    NL_TRY(nl_log_row(t->log, t->epochs_tl, epoch + 1));
    return NL_OK;
}

static void tell_progress(trainer *t)
{
    const double now = nl_wall_seconds(), n = t->sum[EPOCH_EXAMPLES];
    if (t->set->progress_fd < 0 || (now - t->last_progress < 0.1 && t->step < t->total))
        return;
    t->last_progress = now;
    dprintf(t->set->progress_fd, "step %lld/%lld loss %.6g\n", (long long)t->step,
            (long long)t->total, t->sum[EPOCH_LOSS] / (n > 0 ? n : 1));
}

static nl_status run(trainer *t)
{
    t->started = nl_wall_seconds();
    if (t->step == 0) {
        evaluate_splits(t);
        NL_TRY(log_evaluation(t));
    }
    while (t->step < t->total && !t->diverged && !stop_asked) {
        NL_TRY(train_step(t));
        const bool last = t->step == t->total || t->diverged;
        const bool epoch_ends = t->step % t->batches.steps == 0;
        const bool evaluates = t->step % t->eval_every == 0 || epoch_ends || last;
        if (evaluates) {
            evaluate_splits(t);
            NL_TRY(log_evaluation(t));
        }
        if (epoch_ends || last)
            NL_TRY(end_epoch(t));
        if (t->step % t->checkpoint_every == 0 && !last)
            NL_TRY(save_checkpoint(t));
        tell_progress(t);
    }
    if (!t->diverged)
        NL_TRY(save_checkpoint(t));
    return NL_OK;
}

/* ---- the whole */

static void report(const trainer *t, const char *outcome, nl_train_result *result)
{
    const double n = t->sum[EPOCH_EXAMPLES];
    snprintf(result->outcome, sizeof result->outcome, "%s", outcome);
    result->steps = t->step;
    result->train_loss = n > 0 ? t->sum[EPOCH_LOSS] / n : NAN;
    result->test_loss = t->test.loss;
    result->test_accuracy = t->test.accuracy;
    result->val_loss = t->val.loss;
    result->val_accuracy = t->val.accuracy;
    result->seconds = nl_wall_seconds() - t->started;
}

static nl_status open_all(trainer *t)
{
    const nl_run_spec *s = t->spec;
    const nl_batches_options order = {.batch = s->batch, .order = s->order, .last = s->last};
    bool found = false;
    NL_TRY(make_folder(t->set->out));
    NL_TRY(nl_dataset_open(&t->data, s->data.is, t->set->data_dir));
    NL_TRY(nl_batches_open(&t->batches, t->data, &t->data->train, &order, (uint64_t)s->seed));
    NL_TRY(open_model(t));
    plan_schedule(t);
    NL_TRY(nl_optim_open(&t->optim, s->optimizer.is, nl_model_store(t->model), t->total));
    NL_TRY(take_buffers(t));
    if (t->set->resume)
        NL_TRY(load_checkpoint(t, &found));
    NL_TRY(open_log(t, found, t->step / t->batches.steps));
    return NL_OK;
}

static nl_status finish_log(trainer *t, const char *outcome)
{
    nl_log *log = t->log;
    NL_TRY(nl_log_set_real(log, "wall_seconds", nl_wall_seconds() - t->started));
    NL_TRY(nl_log_set_real(log, "cpu_seconds", nl_process_cpu_seconds()));
    NL_TRY(nl_log_set_int(log, "steps", t->step));
    t->log = NULL; /* gone in any case */
    NL_TRY(nl_log_finish(log, outcome));
    return NL_OK;
}

nl_status nl_train(const nl_run_spec *spec, const nl_train_setting *setting,
                   nl_train_result *result)
{
    nl_status st = NL_OK;
    trainer t = {.spec = spec, .set = setting, .epoch_of_order = -1};
    t.val = t.test = missing();
    nl_threads_set(setting->threads);
    nl_flush_denormals();
    NL_GO(open_all(&t));
    NL_GO(run(&t));
    const char *outcome = t.diverged ? "diverged" : t.step < t.total ? "stopped" : "done";
    NL_GO(finish_log(&t, outcome));
    report(&t, outcome, result);
done:
    nl_log_abandon(t.log);
    nl_observer_close(t.observer);
    nl_optim_close(t.optim);
    nl_model_close(t.model);
    nl_dataset_close(t.data);
    nl_free(t.order);
    nl_free(t.x);
    nl_free(t.d_logits);
    nl_free(t.label);
    return st;
}
