/* A small run for tests of run files: two numbers a step, the order of examples, percentiles of
 * every fourth step, and a row an epoch of 10 steps; values follow from the step. */
#ifndef NL_TESTS_SMALL_RUN_H
#define NL_TESTS_SMALL_RUN_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/runlog.h"
#include "io/runread.h"

static char folder[64], path[128], part[128];

static inline void make_folder(void)
{
    strcpy(folder, "/tmp/normlab-runlog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run.h5", folder);
    snprintf(part, sizeof part, "%s/run.h5.part", folder);
}

static inline void remove_folder(void)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

#define OK(call)                                            \
    do {                                                    \
        nl_status ok_ = (call);                             \
        ck_assert_msg(ok_ == NL_OK, "%s", nl_last_error()); \
    } while (0)

enum { EPOCH = 10, EVERY = 4, BATCH = 3 };
struct run {
    nl_log *log;
    int steps, layers, epochs;
    int loss, count, percentiles, gamma, train, order;
};

static inline void declare(struct run *r)
{
    static const double percentile[] = {1, 5, 15, 50, 85, 95, 99};
    nl_log *log = r->log;
    OK(nl_log_timeline(log, "/steps", "step", "optimizer steps", 16, &r->steps));
    OK(nl_log_timeline(log, "/layers", "step", "optimizer steps", 4, &r->layers));
    OK(nl_log_timeline(log, "/epochs", "epoch", "epochs", 8, &r->epochs));
    OK(nl_log_labels(log, "/layers/percentile", percentile, 7));
    OK(nl_log_channel(log,
                      &(nl_channel){.path = "/steps/loss",
                                    .timeline = r->steps,
                                    .type = NL_TYPE_DOUBLE,
                                    .unit = "nats",
                                    .doc = "mean loss of the batch"},
                      &r->loss));
    OK(nl_log_channel(
        log, &(nl_channel){.path = "/steps/count", .timeline = r->steps, .type = NL_TYPE_INT64},
        &r->count));
    OK(nl_log_channel(log,
                      &(nl_channel){.path = "/layers/h1/preact/pre/percentiles",
                                    .timeline = r->layers,
                                    .rank = 1,
                                    .dim = {7},
                                    .scale = {"/layers/percentile"}},
                      &r->percentiles));
    OK(nl_log_channel(
        log,
        &(nl_channel){
            .path = "/norms/h1/preact/gamma", .timeline = r->layers, .rank = 1, .dim = {5}},
        &r->gamma));
    OK(nl_log_channel(log,
                      &(nl_channel){.path = "/epochs/train_loss",
                                    .timeline = r->epochs,
                                    .type = NL_TYPE_DOUBLE,
                                    .is_volatile = true},
                      &r->train));
    OK(nl_log_record_order(log, r->steps, BATCH, &r->order));
    OK(nl_log_set_text(log, "spec", "model=mlp norm=batch"));
    OK(nl_log_set_int(log, "threads", 2));
    OK(nl_log_begin(log));
}

static inline void open_run(struct run *r)
{
    OK(nl_log_open(&r->log, path));
    declare(r);
}

static inline void resume_run(struct run *r, int64_t step)
{
    OK(nl_log_resume(&r->log, path, step, step / EPOCH));
    declare(r);
}

static inline double loss_at(int64_t step) { return 1.0 / (double)step; }

static inline nl_status write_step(struct run *r, int64_t step)
{
    const double loss = loss_at(step);
    nl_log_put(r->log, r->loss, &loss);
    if (step % 2)
        nl_log_put_int(r->log, r->count, &step, 1);
    nl_log_put_int(r->log, r->order, (int64_t[]){step, step + 1}, 2);
    NL_TRY(nl_log_row(r->log, r->steps, step));
    if (step % EVERY == 0) {
        nl_real wide[7];
        for (int i = 0; i < 7; i++)
            wide[i] = (nl_real)(step + i);
        nl_log_put_real(r->log, r->percentiles, wide);
        nl_log_put_real(r->log, r->gamma, wide);
        NL_TRY(nl_log_row(r->log, r->layers, step));
    }
    if (step % EPOCH == 0) {
        nl_log_put(r->log, r->train, &loss);
        NL_TRY(nl_log_row(r->log, r->epochs, step / EPOCH));
    }
    return NL_OK;
}

static inline void write_steps(struct run *r, int64_t from, int64_t to)
{
    for (int64_t step = from; step <= to; step++)
        OK(write_step(r, step));
}

static inline nl_array read_back(nl_run *run, const char *name, int64_t rows)
{
    nl_array a;
    OK(nl_run_read(run, name, &a));
    ck_assert_int_eq(a.dim[0], rows);
    return a;
}

static inline void check_steps(nl_run *run, int64_t steps)
{
    nl_array loss = read_back(run, "/steps/loss", steps);
    nl_array count = read_back(run, "/steps/count", steps);
    nl_array order = read_back(run, "/record/order", steps);
    nl_array wide = read_back(run, "/layers/h1/preact/pre/percentiles", steps / EVERY);
    nl_array epochs = read_back(run, "/epochs/train_loss", steps / EPOCH);
    for (int64_t i = 0; i < steps; i++) {
        ck_assert_double_eq(loss.at[i], loss_at(i + 1));
        ck_assert_double_eq(count.at[i], (i + 1) % 2 ? (double)(i + 1) : -1);
        ck_assert_double_eq(order.at[i * BATCH + 1], (double)(i + 2));
        ck_assert_double_eq(order.at[i * BATCH + 2], -1);
    }
    for (int64_t i = 0; i < wide.count; i++)
        ck_assert_double_eq(wide.at[i], (double)((i / 7 + 1) * EVERY + i % 7));
    for (int64_t i = 0; i < epochs.count; i++)
        ck_assert_double_eq(epochs.at[i], loss_at((i + 1) * EPOCH));
    nl_array_free(&loss);
    nl_array_free(&count);
    nl_array_free(&order);
    nl_array_free(&wide);
    nl_array_free(&epochs);
}

static inline void check_file(const char *file, int64_t steps, const char *outcome)
{
    nl_run *run;
    nl_text text = {0};
    OK(nl_run_open(&run, file));
    check_steps(run, steps);
    ck_assert(nl_run_text(run, "/", "outcome", &text));
    ck_assert_str_eq(nl_text_of(&text), outcome);
    nl_text_free(&text);
    nl_run_close(run);
}

#endif
