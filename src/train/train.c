/* train.c: one run: set-up, the loop over steps, evaluation. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "io/file.h"
#include "par/par.h"
#include "train/setup.h"
#include "train/trainer.h"

static volatile sig_atomic_t stop_asked;

void nl_train_stop(void) { stop_asked = 1; }

/* ---- set-up */

static nl_status make_folder(const char *path)
{
    NL_TRY(nl_file_make_folder(path));
    if (access(path, W_OK) != 0)
        return nl_fail(NL_EIO, "out: folder %s cannot be written: %s", path, strerror(errno));
    return NL_OK;
}

static int64_t pick(int64_t asked, int64_t automatic)
{
    return asked > 0 ? asked : automatic > 0 ? automatic : 1;
}

/* Besides those at the ends of epochs, evaluations pass at most as many examples as training, and
 * forward alone: they take about a quarter of the time. */
static int64_t evaluation_interval(const trainer *t)
{
    enum { TIMES = 50 }; /* a run */
    const int64_t examples = t->data->val.count + t->data->test.count, batch = t->batches.batch;
    const int64_t affordable = (examples + batch - 1) / batch, wanted = t->total / TIMES;
    return wanted > affordable ? wanted : affordable;
}

static void plan_schedule(trainer *t)
{
    const nl_run_spec *s = t->spec;
    t->total = nl_spec_steps(s, t->batches.steps);
    t->eval_every = pick(s->eval, evaluation_interval(t));
    t->checkpoint_every = pick(s->checkpoint, t->batches.steps);
}

/* Examples at once when evaluating: so many, or fewer large ones, whose layers take memory. Behind
 * a token stands an embedding. */
enum { EVAL_BATCH = 500, EVAL_VALUES = 1 << 19, TOKEN_VALUES = 128 };

static int64_t examples_that_fit(const nl_shape *s)
{
    const int64_t fit = EVAL_VALUES / (s->s * s->c * (s->vocabulary > 0 ? TOKEN_VALUES : 1));
    return fit < EVAL_BATCH ? fit : EVAL_BATCH;
}

static nl_status open_model(trainer *t)
{
    const nl_run_spec *s = t->spec;
    const int64_t batch = t->batches.batch;
    t->eval_batch = pick(s->eval_batch, examples_that_fit(&t->data->shape));
    if (t->data->consecutive) /* as many streams as in training */
        t->eval_batch = pick(s->eval_batch, batch);
    const nl_model_setup setup =
        nl_spec_setup(s, t->data, batch, batch > t->eval_batch ? batch : t->eval_batch);
    NL_TRY(nl_model_open(&t->model, s->model.is, &setup));
    /* statistics of an evaluation batch mean what they meant in training only at its size */
    if (s->eval_batch == 0 && (nl_model_couples_evaluation(t->model) ||
                               nl_model_accepts(t->model, NULL, t->eval_batch) != NL_OK))
        t->eval_batch = batch;
    NL_TRY(nl_model_accepts(t->model, NULL, t->eval_batch));
    return NL_OK;
}

static nl_status take_last_gradient(trainer *t)
{
    int64_t count;
    nl_store_grads(nl_model_store(t->model), &count);
    NL_TRY(nl_log_plan_parse(t->spec->log.is, &t->plan));
    if (nl_log_plan_every(&t->plan, NL_LOG_COSINE, t->total) == 0)
        return NL_OK;
    t->last_gradient = nl_alloc((size_t)count, sizeof *t->last_gradient);
    return t->last_gradient ? NL_OK
                            : nl_fail(NL_ENOMEM, "a gradient of %lld values", (long long)count);
}

static nl_status take_buffers(trainer *t)
{
    const int64_t batch = t->batches.batch;
    const int64_t outputs = nl_dataset_answers(t->data) * nl_dataset_outputs(t->data);
    t->d_logits = nl_alloc((size_t)(batch * outputs), sizeof *t->d_logits);
    if (!t->d_logits)
        return nl_fail(NL_ENOMEM, "gradients of %lld examples", (long long)batch);
    NL_TRY(take_last_gradient(t));
    t->scorer = (nl_scorer){
        .model = t->model, .data = t->data, .n = t->eval_batch, .seed = (uint64_t)t->spec->seed};
    NL_TRY(nl_scorer_open(&t->scorer));
    NL_TRY(nl_feeder_open(&t->feeder, &t->batches, nl_feeder_has_no_core(t->set->threads)));
    return NL_OK;
}

/* ---- evaluation */

static nl_layer_call call_of(const trainer *t, int64_t n, const nl_real *x)
{
    return (nl_layer_call){.n = n,
                           .phase = NL_TRAIN,
                           .update = true,
                           .start = t->step == 0,
                           .step = t->step,
                           .epoch = t->step / t->batches.steps,
                           .seed = (uint64_t)t->spec->seed,
                           .carry = t->batch.carry,
                           .live = t->batch.live,
                           .x = x};
}

static void evaluate_splits(trainer *t)
{
    t->scorer.step = t->step;
    t->scorer.epoch = t->step / t->batches.steps;
    t->val = nl_score_split(&t->scorer, &t->data->val);
    t->test = nl_score_split(&t->scorer, &t->data->test);
}

/* ---- one step */

static nl_status next_batch(trainer *t)
{
    NL_TRY(nl_feeder_batch(t->feeder, t->step, &t->batch));
    if (t->step % t->batches.steps == 0) {
        nl_model_epoch_begin(t->model, t->step / t->batches.steps);
        memset(t->sum, 0, sizeof t->sum);
    }
    return NL_OK;
}

static nl_status train_step(trainer *t)
{
    NL_TRY(next_batch(t));
    const nl_batch *batch = &t->batch;
    const nl_answers answers = nl_answers_of(t->data, batch->label, batch->value, batch->n);
    nl_layer_call c = call_of(t, batch->n, batch->x);
    nl_observe_begin(t->observer, t->step + 1, &c);
    const nl_real *logits = nl_model_forward(t->model, &c);
    const nl_loss_sum sum = nl_loss_of(&answers, logits, t->d_logits);
    nl_observe_layers(t->observer, &c);
    nl_model_backward(t->model, &c, t->d_logits);
    NL_TRY(nl_observe_end(t->observer, nl_optim_next_lr(t->optim)));
    t->diverged = !isfinite(sum.loss);
    const bool probed = !t->diverged && nl_probes_due(t->probes, t->step + 1);
    if (probed)
        nl_probes_before(t->probes, sum.loss / (double)sum.rows);
    if (!t->diverged) {
        nl_optim_step(t->optim, false);
        nl_model_after_step(t->model);
    }
    t->step++;
    if (probed)
        NL_TRY(nl_probes_after(t->probes, &c, batch, t->step, nl_optim_lr(t->optim)));
    t->sum[EPOCH_LOSS] += sum.loss;
    t->sum[EPOCH_CORRECT] += (double)sum.correct;
    t->sum[EPOCH_ANSWERS] += (double)sum.rows;
    NL_TRY(nl_trainer_log_step(t, &sum));
    return NL_OK;
}

static nl_status end_epoch(trainer *t)
{
    nl_model_epoch_end(t->model, (t->step - 1) / t->batches.steps);
    NL_TRY(nl_trainer_log_epoch(t));
    return NL_OK;
}

static void tell_progress(trainer *t)
{
    const double now = nl_wall_seconds(), n = t->sum[EPOCH_ANSWERS];
    if (!t->set->progress || (now - t->last_progress < 0.1 && t->step < t->total))
        return;
    t->last_progress = now;
    t->set->progress(t->set->arg, t->step, t->total, t->sum[EPOCH_LOSS] / (n > 0 ? n : 1));
}

static nl_status run(trainer *t)
{
    t->started = nl_wall_seconds();
    if (t->step == 0 || t->step == t->total) /* all done before: say the result again */
        evaluate_splits(t);
    if (t->step == 0)
        NL_TRY(nl_trainer_log_evaluation(t));
    while (t->step < t->total && !t->diverged && !stop_asked) {
        NL_TRY(train_step(t));
        const bool last = t->step == t->total || t->diverged;
        const bool epoch_ends = t->step % t->batches.steps == 0;
        const bool evaluates = t->step % t->eval_every == 0 || epoch_ends || last;
        if (evaluates) {
            evaluate_splits(t);
            NL_TRY(nl_trainer_log_evaluation(t));
        }
        if (epoch_ends || last)
            NL_TRY(end_epoch(t));
        if (t->step % t->checkpoint_every == 0 && !last)
            NL_TRY(nl_trainer_save(t));
        tell_progress(t);
    }
    /* what the last update broke shows in the evaluation, not in a training loss */
    if (t->step == t->total && t->data->test.count > 0)
        t->diverged = t->diverged || !isfinite(t->test.loss);
    if (!t->diverged)
        NL_TRY(nl_trainer_save(t));
    return NL_OK;
}

/* ---- the whole */

static void report(const trainer *t, const char *outcome, nl_train_result *result)
{
    const double n = t->sum[EPOCH_ANSWERS];
    snprintf(result->outcome, sizeof result->outcome, "%s", outcome);
    result->steps = t->step;
    result->train_loss = n > 0 ? t->sum[EPOCH_LOSS] / n : NAN;
    result->test_loss = t->test.loss;
    result->test_accuracy = t->test.accuracy;
    result->test_bits = t->data->in_bits ? t->test.loss / log(2) : NAN;
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
        NL_TRY(nl_trainer_load(t, &found));
    if (!found)
        NL_TRY(nl_trainer_forget(t));
    NL_TRY(nl_trainer_open_log(t, found));
    return NL_OK;
}

nl_status nl_train(const nl_run_spec *spec, const nl_train_setting *setting,
                   nl_train_result *result)
{
    nl_status st = NL_OK;
    trainer t = {.spec = spec, .set = setting};
    t.val = t.test = (nl_score){NAN, NAN};
    nl_threads_set(setting->threads);
    nl_flush_denormals();
    NL_GO(open_all(&t));
    NL_GO(run(&t));
    const char *outcome = t.diverged ? "diverged" : t.step < t.total ? "stopped" : "done";
    NL_GO(nl_trainer_finish_log(&t, outcome));
    report(&t, outcome, result);
done:
    nl_log_abandon(t.log);
    nl_observer_close(t.observer);
    nl_probes_close(t.probes);
    nl_optim_close(t.optim);
    nl_model_close(t.model);
    nl_feeder_close(t.feeder);
    nl_dataset_close(t.data);
    nl_free(t.d_logits);
    nl_free(t.last_gradient);
    nl_scorer_close(&t.scorer);
    return st;
}
