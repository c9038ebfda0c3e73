#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "core/model.h"
#include "core/optim.h"
#include "par/par.h"
#include "train/bench.h"
#include "train/feeder.h"
#include "train/observe.h"
#include "train/score.h"
#include "train/setup.h"

enum {
    WARM_STEPS = 10,
    LEAST_STEPS = 15,
    MOST_STEPS = 100000,
    DRAWN = 1 << 18 /* random values; what is more repeats them */
};

typedef struct step_bench {
    const nl_run_spec *spec;
    nl_dataset *real; /* NULL: the data were not needed */
    nl_dataset data;  /* random */
    nl_batches batches;
    nl_model *model;
    nl_optim *optim;
    int64_t outputs, step; /* outputs: of an example */
    nl_feeder *feeder;
    nl_real *d_logits;
    double *seconds;       /* of each step */
    nl_observer *observer; /* NULL: the steps are not logged */
    nl_real *last_gradient;
    double observing; /* seconds */
} step_bench;

/* ---- examples of the data's shape */

static nl_status take_shape(step_bench *b)
{
    char name[NL_STRING_MAX];
    const char *rest;
    NL_TRY(nl_spec_split(b->spec->data.is, name, &rest));
    const nl_dataset_ops *ops = nl_dataset_find(name);
    b->data.ops = ops;
    if (ops && ops->examples) {
        b->data.shape = ops->shape;
        b->data.classes = ops->classes;
        b->data.train.count = ops->examples;
        return NL_OK;
    }
    NL_TRY(nl_dataset_open(&b->real, b->spec->data.is, NULL));
    b->data = *b->real;
    return NL_OK;
}

/* About 0: of positive values and labels without sense all units of a wide relu layer die within a
 * hundred steps, and products with zeros take less time than they do in a training. */
static nl_real drawn_value(nl_key key, int64_t i)
{
    return (nl_real)(2 * nl_random_uniform(key, (uint64_t)i) - 1);
}

static nl_status draw_examples(step_bench *b)
{
    nl_split *s = &b->data.train;
    const int64_t values = s->count * b->data.shape.s * b->data.shape.c;
    const nl_key key = {.stream = NL_STREAM_TEST};
    if (b->real && (b->data.shape.vocabulary > 0 || b->data.each_step || b->data.classes == 0))
        return NL_OK; /* no random values can stand for these */
    s->x = nl_alloc((size_t)values, sizeof *s->x);
    s->label = nl_alloc((size_t)s->count, sizeof *s->label);
    if (!s->x || !s->label)
        return nl_fail(NL_ENOMEM, "bench: %lld examples", (long long)s->count);
    for (int64_t i = 0; i < values; i++)
        s->x[i] = i < DRAWN ? drawn_value(key, i) : s->x[i - DRAWN];
    for (int64_t i = 0; i < s->count; i++)
        s->label[i] = (int32_t)(i % b->data.classes);
    return NL_OK;
}

/* ---- one step */

/* Passes on what watches are told and takes the time of it. */
typedef struct timed_watch {
    nl_watch is;
    nl_watch *of;
    double *seconds;
} timed_watch;

typedef struct timed_steps {
    nl_step_watch is;
    nl_step_watch *of;
    double *seconds;
} timed_steps;

static void see_timed(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot,
                      nl_side side, const nl_real *g)
{
    const timed_watch *t = (const timed_watch *)w;
    const double start = nl_wall_seconds();
    t->of->slot(t->of, l, c, slot, side, g);
    *t->seconds += nl_wall_seconds() - start;
}

static void see_timed_value(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot)
{
    const timed_watch *t = (const timed_watch *)w;
    const double start = nl_wall_seconds();
    t->of->value(t->of, l, c, slot);
    *t->seconds += nl_wall_seconds() - start;
}

static void see_timed_step(nl_step_watch *w, const nl_layer *l, int slot, nl_side side,
                           int64_t position, int64_t n, const uint8_t *live, const nl_real *g)
{
    const timed_steps *t = (const timed_steps *)w;
    const double start = nl_wall_seconds();
    t->of->gradient(t->of, l, slot, side, position, n, live, g);
    *t->seconds += nl_wall_seconds() - start;
}

typedef struct timed {
    timed_watch watch;
    timed_steps steps;
} timed;

static void observe_begin(step_bench *b, nl_layer_call *c, timed *t)
{
    if (!b->observer)
        return;
    nl_observe_begin(b->observer, b->step + 1, c);
    if (c->watch) {
        const nl_watch is = {.slot = see_timed, .value = see_timed_value, .room = c->watch->room};
        t->watch = (timed_watch){is, c->watch, &b->observing};
        c->watch = &t->watch.is;
    }
    if (c->steps) {
        t->steps = (timed_steps){{see_timed_step}, c->steps, &b->observing};
        c->steps = &t->steps.is;
    }
}

static void observe_layers(step_bench *b, const nl_layer_call *c)
{
    const double start = nl_wall_seconds();
    if (b->observer)
        nl_observe_layers(b->observer, c);
    b->observing += nl_wall_seconds() - start;
}

static nl_status observe_end(step_bench *b)
{
    const double start = nl_wall_seconds();
    if (b->observer)
        NL_TRY(nl_observe_end(b->observer, nl_optim_next_lr(b->optim)));
    b->observing += nl_wall_seconds() - start;
    return NL_OK;
}

static nl_status train_step(step_bench *b)
{
    const int64_t epoch = b->step / b->batches.steps;
    nl_batch batch;
    if (b->step % b->batches.steps == 0)
        nl_model_epoch_begin(b->model, epoch);
    NL_TRY(nl_feeder_batch(b->feeder, b->step, &batch));
    nl_layer_call c = {.n = batch.n,
                       .phase = NL_TRAIN,
                       .update = true,
                       .start = b->step == 0,
                       .step = b->step,
                       .epoch = epoch,
                       .seed = (uint64_t)b->spec->seed,
                       .carry = batch.carry,
                       .live = batch.live,
                       .x = batch.x};
    timed told;
    observe_begin(b, &c, &told);
    const nl_real *logits = nl_model_forward(b->model, &c);
    const nl_answers answers = nl_answers_of(&b->data, batch.label, batch.value, batch.n);
    nl_loss_of(&answers, logits, b->d_logits);
    observe_layers(b, &c);
    nl_model_backward(b->model, &c, b->d_logits);
    NL_TRY(observe_end(b));
    nl_optim_step(b->optim, false);
    nl_model_after_step(b->model);
    b->step++;
    return NL_OK;
}

/* layers: their times start anew behind the warm-up; or NULL. */
static nl_status measure(step_bench *b, double seconds, nl_layer_seconds *layers,
                         nl_bench_step_row *out)
{
    int64_t steps = 0;
    for (int i = 0; i < WARM_STEPS; i++)
        NL_TRY(train_step(b));
    if (layers)
        memset(layers, 0, (size_t)nl_model_layers(b->model) * sizeof *layers);
    const double cpu = nl_process_cpu_seconds(), start = nl_wall_seconds();
    double now = start;
    for (; steps < LEAST_STEPS || (steps < MOST_STEPS && now - start < seconds); steps++) {
        const double before = now;
        NL_TRY(train_step(b));
        now = nl_wall_seconds();
        b->seconds[steps] = now - before;
    }
    out->mean_ms = (now - start) / (double)steps * 1e3;
    out->cpu_ms = (nl_process_cpu_seconds() - cpu) / (double)steps * 1e3;
    out->median_ms = nl_bench_median(b->seconds, steps) * 1e3;
    out->min_ms = b->seconds[0] * 1e3;
    out->steps = steps;
    return NL_OK;
}

/* ---- setting up */

static nl_status open_step(step_bench *b)
{
    const nl_run_spec *s = b->spec;
    const nl_batches_options order = {.batch = s->batch, .order = s->order, .last = s->last};
    NL_TRY(take_shape(b));
    NL_TRY(draw_examples(b));
    NL_TRY(nl_batches_open(&b->batches, &b->data, &b->data.train, &order, (uint64_t)s->seed));
    const int64_t batch = b->batches.batch;
    b->outputs = nl_dataset_answers(&b->data) * nl_dataset_outputs(&b->data);
    const nl_model_setup setup = nl_spec_setup(s, &b->data, batch, batch);
    NL_TRY(nl_model_open(&b->model, s->model.is, &setup));
    NL_TRY(nl_optim_open(&b->optim, s->optimizer.is, nl_model_store(b->model), MOST_STEPS));
    NL_TRY(nl_feeder_open(&b->feeder, &b->batches, nl_feeder_has_no_core(s->threads)));
    b->d_logits = nl_alloc((size_t)(batch * b->outputs), sizeof *b->d_logits);
    b->seconds = nl_alloc(MOST_STEPS, sizeof *b->seconds);
    if (!b->d_logits || !b->seconds)
        return nl_fail(NL_ENOMEM, "bench: a batch of %lld examples", (long long)batch);
    return NL_OK;
}

static void close_step(step_bench *b)
{
    nl_optim_close(b->optim);
    nl_model_close(b->model);
    nl_feeder_close(b->feeder);
    if (!b->real || b->data.train.x != b->real->train.x)
        nl_free(b->data.train.x);
    if (!b->real || b->data.train.label != b->real->train.label)
        nl_free(b->data.train.label);
    nl_dataset_close(b->real);
    nl_free(b->d_logits);
    nl_free(b->seconds);
}

nl_status nl_bench_step(const nl_run_spec *spec, double seconds, nl_bench_step_row *out)
{
    nl_status st = NL_OK;
    step_bench b = {.spec = spec};
    const int before = nl_threads();
    NL_GO(open_step(&b));
    nl_threads_set(spec->threads > 0 ? (int)spec->threads : 1);
    NL_GO(measure(&b, seconds, NULL, out));
done:
    nl_threads_set(before);
    close_step(&b);
    return st;
}

/* ---- by kind of layer */

static nl_bench_kind *kind_of(nl_bench_layers *out, const char *name)
{
    int i = 0;
    while (i < out->kinds && strcmp(out->kind[i].kind, name) != 0)
        i++;
    if (i == out->kinds && i < NL_BENCH_KINDS - 1)
        out->kind[out->kinds++] = (nl_bench_kind){.kind = name};
    return &out->kind[i];
}

static void add_up_kinds(nl_model *m, const nl_layer_seconds *s, double steps, nl_bench_layers *out)
{
    const double to_ms = 1e3 / steps;
    nl_bench_kind norm = {.kind = "norm"}, rest = {"rest", out->step_ms, 0};
    for (int i = 0; i < nl_model_layers(m); i++) {
        nl_bench_kind *kind = kind_of(out, nl_model_layer(m, i)->ops->name);
        kind->forward_ms += (s[i].forward - s[i].norm_forward) * to_ms;
        kind->backward_ms += (s[i].backward - s[i].norm_backward) * to_ms;
        norm.forward_ms += s[i].norm_forward * to_ms;
        norm.backward_ms += s[i].norm_backward * to_ms;
        rest.forward_ms -= (s[i].forward + s[i].backward) * to_ms;
    }
    *kind_of(out, "norm") = norm;
    *kind_of(out, "rest") = rest;
}

static nl_status time_layers(step_bench *b, double seconds, nl_bench_layers *out)
{
    nl_bench_step_row row;
    nl_layer_seconds *s = nl_alloc((size_t)nl_model_layers(b->model), sizeof *s);
    if (!s)
        return nl_fail(NL_ENOMEM, "bench: times of layers");
    nl_model_clock(b->model, s);
    const nl_status st = measure(b, seconds, s, &row);
    nl_model_clock(b->model, NULL);
    if (st == NL_OK) {
        *out = (nl_bench_layers){.step_ms = row.mean_ms, .steps = row.steps};
        add_up_kinds(b->model, s, (double)row.steps, out);
    }
    nl_free(s);
    return st;
}

nl_status nl_bench_layers_of(const nl_run_spec *spec, double seconds, nl_bench_layers *out)
{
    nl_status st = NL_OK;
    step_bench b = {.spec = spec};
    const int before = nl_threads();
    NL_GO(open_step(&b));
    nl_threads_set(spec->threads > 0 ? (int)spec->threads : 1);
    NL_GO(time_layers(&b, seconds, out));
done:
    nl_threads_set(before);
    close_step(&b);
    return st;
}

/* ---- statistics */

/* Rows: those that fill a chunk of the file behind its first one, so that it is written once; or
 * half of them. */
enum { LOGGED = 63, LOGGED_OF_LONG = 31, LONG_MS = 50 };

/* Opens b->observer for log=TEXT. */
static nl_status observe(step_bench *b, nl_log *log, const char *text)
{
    nl_log_plan plan;
    NL_TRY(nl_log_plan_parse(text, &plan));
    const nl_observer_setup s = {.log = log,
                                 .model = b->model,
                                 .plan = &plan,
                                 .n = b->batches.batch,
                                 .steps = MOST_STEPS,
                                 .checkpoint = MOST_STEPS,
                                 .last_gradient = b->last_gradient};
    NL_TRY(nl_observer_open(&b->observer, &s));
    return nl_log_begin(log);
}

/* Calls `use` with a run file, which is removed. */
static nl_status with_run_file(step_bench *b, nl_status use(step_bench *b, nl_log *log, void *arg),
                               void *arg)
{
    const char *tmp = getenv("TMPDIR");
    char folder[256], path[300], part[310];
    nl_log *log = NULL;
    nl_status st = NL_OK;
    snprintf(folder, sizeof folder, "%.200s/normlab-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return nl_fail(NL_EIO, "%s: cannot be made: %s", folder, strerror(errno));
    snprintf(path, sizeof path, "%s/run.h5", folder);
    snprintf(part, sizeof part, "%s.part", path);
    NL_GO(nl_log_open(&log, path));
    NL_GO(use(b, log, arg));
done:
    nl_observer_close(b->observer);
    b->observer = NULL;
    nl_log_abandon(log);
    unlink(part);
    rmdir(folder);
    return st;
}

typedef struct one_channel {
    nl_log_channel_id id;
    int rows;
    double row_ms;
} one_channel;

/* Every step has a row of the channel. */
static nl_status log_steps(step_bench *b, nl_log *log, void *arg)
{
    one_channel *c = arg;
    char only[NL_STRING_MAX];
    snprintf(only, sizeof only, "none,%s:every=1", nl_log_channels[c->id].name);
    NL_TRY(observe(b, log, only));
    NL_TRY(train_step(b));
    NL_TRY(nl_log_flush(log));
    b->observing = 0;
    for (int i = 0; i < c->rows; i++)
        NL_TRY(train_step(b));
    const double start = nl_wall_seconds();
    NL_TRY(nl_log_flush(log));
    b->observing += nl_wall_seconds() - start;
    c->row_ms = b->observing / c->rows * 1e3;
    return NL_OK;
}

typedef struct all_off {
    double seconds;
    nl_bench_logging_row *out;
} all_off;

/* Pairs of steps, one with an observer that has nothing to do, one without any; who comes first
 * takes turns. */
static nl_status step_in_pairs(step_bench *b, nl_log *log, void *arg)
{
    const all_off *off = arg;
    double *with = b->seconds, *without = b->seconds + MOST_STEPS / 2;
    int64_t pairs = 0;
    NL_TRY(observe(b, log, "none"));
    nl_observer *idle = b->observer;
    const double start = nl_wall_seconds();
    while (pairs < LEAST_STEPS ||
           (pairs < MOST_STEPS / 2 && nl_wall_seconds() - start < off->seconds)) {
        for (int k = 0; k < 2; k++) {
            const bool watched = (k + pairs) % 2;
            b->observer = watched ? idle : NULL;
            const double before = nl_wall_seconds();
            NL_TRY(train_step(b));
            (watched ? with : without)[pairs] = nl_wall_seconds() - before;
        }
        pairs++;
    }
    b->observer = idle;
    off->out->off_ms = nl_bench_median(with, pairs) * 1e3;
    off->out->bare_ms = nl_bench_median(without, pairs) * 1e3;
    off->out->pairs = pairs;
    return NL_OK;
}

static nl_status log_channels(step_bench *b, nl_bench_logging_row *out)
{
    nl_log_plan plan, all;
    double asked = 0, every = 0; /* ms a step */
    const int rows = out->step_ms > LONG_MS ? LOGGED_OF_LONG : LOGGED;
    NL_TRY(nl_log_plan_parse(b->spec->log.is, &plan));
    NL_TRY(nl_log_plan_parse("all", &all));
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        nl_bench_channel *c = &out->channel[k];
        c->on = plan.of[k].on;
        c->every = nl_log_plan_every(c->on ? &plan : &all, (nl_log_channel_id)k, out->steps);
        one_channel one = {.id = (nl_log_channel_id)k, .rows = rows};
        NL_TRY(with_run_file(b, log_steps, &one));
        c->row_ms = one.row_ms;
        every += c->row_ms / (double)c->every;
        asked += c->on ? c->row_ms / (double)c->every : 0;
    }
    out->share = asked / (out->step_ms + asked);
    out->share_of_all = every / (out->step_ms + every);
    return NL_OK;
}

static nl_status take_last_gradient(step_bench *b)
{
    int64_t count;
    nl_store_grads(nl_model_store(b->model), &count);
    b->last_gradient = nl_alloc((size_t)count, sizeof *b->last_gradient);
    return b->last_gradient ? NL_OK : nl_fail(NL_ENOMEM, "bench: a gradient");
}

nl_status nl_bench_logging(const nl_run_spec *spec, double seconds, nl_bench_logging_row *out)
{
    nl_status st = NL_OK;
    nl_bench_step_row step;
    step_bench b = {.spec = spec};
    const int before = nl_threads();
    NL_GO(open_step(&b));
    NL_GO(take_last_gradient(&b));
    nl_threads_set(spec->threads > 0 ? (int)spec->threads : 1);
    out->steps = nl_spec_steps(spec, b.batches.steps);
    NL_GO(measure(&b, seconds, NULL, &step));
    out->step_ms = step.median_ms;
    NL_GO(log_channels(&b, out));
    NL_GO(with_run_file(&b, step_in_pairs, &(all_off){seconds, out}));
done:
    nl_threads_set(before);
    nl_free(b.last_gradient);
    close_step(&b);
    return st;
}

/* ---- inference */

static nl_real *infer(step_bench *b)
{
    const nl_layer_call c = {.n = b->batches.batch, .phase = NL_EVAL, .x = b->data.train.x};
    return nl_model_forward(b->model, &c);
}

static double median_of_inference(step_bench *b, double seconds)
{
    int64_t runs = 0;
    infer(b);
    const double start = nl_wall_seconds();
    for (double now = start; runs < LEAST_STEPS || (runs < MOST_STEPS && now - start < seconds);
         runs++) {
        const double before = now;
        infer(b);
        now = nl_wall_seconds();
        b->seconds[runs] = now - before;
    }
    return nl_bench_median(b->seconds, runs) * 1e3;
}

/* Running statistics and gammas as after some training, and the three times. */
static nl_status compare_inference(step_bench *b, step_bench *bare, double seconds,
                                   nl_bench_inference_row *out)
{
    const int64_t count = b->batches.batch * b->outputs;
    double largest = 0, difference = 0;
    for (int i = 0; i < WARM_STEPS; i++)
        NL_TRY(train_step(b));
    nl_model_epoch_end(b->model, 0);
    out->normed_ms = median_of_inference(b, seconds);
    nl_real *before = nl_alloc((size_t)count, sizeof *before);
    if (!before)
        return nl_fail(NL_ENOMEM, "bench: logits");
    memcpy(before, infer(b), (size_t)count * sizeof *before);
    const nl_status st = nl_model_fold(b->model, NULL, &out->folded);
    const nl_real *after = infer(b);
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)before[i]));
        difference = fmax(difference, fabs((double)before[i] - (double)after[i]));
    }
    nl_free(before);
    NL_TRY(st);
    out->difference = difference / largest;
    out->folded_ms = median_of_inference(b, seconds);
    out->bare_ms = median_of_inference(bare, seconds);
    return NL_OK;
}

nl_status nl_bench_inference(const nl_run_spec *spec, double seconds, nl_bench_inference_row *out)
{
    nl_status st = NL_OK;
    nl_run_spec without = *spec;
    step_bench b = {.spec = spec}, bare = {.spec = &without};
    const int before = nl_threads();
    without.norm = (nl_string){"none"};
    without.norm_preact = without.norm_act = without.norm_weight = (nl_string){""};
    NL_GO(open_step(&b));
    NL_GO(open_step(&bare));
    nl_threads_set(spec->threads > 0 ? (int)spec->threads : 1);
    NL_GO(compare_inference(&b, &bare, seconds, out));
done:
    nl_threads_set(before);
    close_step(&b);
    close_step(&bare);
    return st;
}
