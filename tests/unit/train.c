/* The trainer: outcomes are data, threads and interruptions change nothing, bad input refused. */
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "io/h5.h"
#include "par/par.h"
#include "suite.h"
#include "train_run.h"

#define TINY "data=circles:train=1000:test=100 model=mlp:hidden=4 log=1000 "
#define SMALL "data=circles:train=300:test=100 model=mlp:hidden=16x2:act=tanh "

static nl_train_result run_done(const char *words)
{
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    if (train_in(folder, words, 1, false, &result) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    remove_test_folder(folder);
    return result;
}

START_TEST(every_method_learns_the_circles)
{
    static const char *const norms[] = {"none", "batch",  "layer",        "batch_renorm",
                                        "rms",  "weight", "weight+batch", "group"};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        char words[256];
        snprintf(words, sizeof words, SMALL "norm=%s optimizer=adam:lr=1e-2 batch=30 epochs=40",
                 norms[i]);
        const nl_train_result r = run_done(words);
        ck_assert_str_eq(r.outcome, "done");
        ck_assert_int_eq(r.steps, 400);
        ck_assert_msg(r.test_accuracy > 0.9, "%s: %g", norms[i], r.test_accuracy);
    }
}
END_TEST

START_TEST(full_batch_and_single_examples_train_too)
{
    const nl_train_result all =
        run_done(SMALL "norm=batch batch=0 epochs=60 optimizer=adam:lr=3e-2");
    ck_assert_int_eq(all.steps, 60);
    ck_assert(all.test_accuracy > 0.6);
    const nl_train_result one =
        run_done(SMALL "norm=layer batch=1 steps=600 optimizer=adam:lr=5e-3");
    ck_assert_int_eq(one.steps, 600);
    ck_assert(one.test_accuracy > 0.6);
    const nl_train_result lone = run_done(SMALL "norm=batch batch=1 steps=20");
    ck_assert(isfinite(lone.train_loss));
}
END_TEST

START_TEST(a_diverged_run_is_an_outcome_with_its_data)
{
    char folder[64], path[96];
    nl_train_result result;
    nl_run *run;
    nl_array loss;
    nl_text outcome = {0};
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder,
                              "data=circles:train=300:test=100 model=mlp:hidden=16x4:act=linear "
                              "norm=none batch=30 steps=500 optimizer=sgd:lr=1e6",
                              1, false, &result),
                     NL_OK);
    ck_assert_str_eq(result.outcome, "diverged");
    ck_assert_int_lt(result.steps, 500);
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    ck_assert(nl_run_text(run, "/", "outcome", &outcome));
    ck_assert_str_eq(nl_text_of(&outcome), "diverged");
    ck_assert_int_eq(nl_run_read(run, "/steps/loss", &loss), NL_OK);
    ck_assert_int_eq(loss.count, result.steps);
    ck_assert(!isfinite(loss.at[loss.count - 1]));
    nl_array_free(&loss);
    nl_text_free(&outcome);
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

START_TEST(threads_do_not_change_a_byte)
{
    static const char *const words =
        "data=circles:train=600:test=200 model=mlp:hidden=300/200:act=relu norm=batch "
        "optimizer=adam:lr=1e-3 batch=128 epochs=2 checkpoint=3";
    char folder[64];
    nl_train_result result;
    uint64_t alone = 0;
    nl_par_ignore_work(true);
    for (int threads = 1; threads <= 4; threads *= 2) {
        make_test_folder(folder);
        ck_assert_int_eq(train_in(folder, words, threads, false, &result), NL_OK);
        const uint64_t bytes = bytes_of_run(folder);
        if (threads == 1)
            alone = bytes;
        ck_assert_msg(bytes == alone, "%d threads", threads);
        remove_test_folder(folder);
    }
    ck_assert_int_gt(nl_par_workers_seen(), 1);
    nl_par_ignore_work(false);
    nl_threads_set(1);
}
END_TEST

START_TEST(at_least_a_hundred_rows_of_statistics)
{
    char folder[64], path[96];
    nl_train_result result;
    nl_run *run;
    nl_array mean, percentiles;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, SMALL "norm=batch batch=30 steps=230", 1, false, &result),
                     NL_OK);
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    ck_assert_int_eq(nl_run_read(run, "/layers/h2/preact/post/mean", &mean), NL_OK);
    ck_assert_int_ge(mean.count, 100);
    ck_assert_double_eq_tol(mean.at[50], 0, 0.5);
    ck_assert_int_eq(nl_run_read(run, "/layers/h2/preact/post/percentiles", &percentiles), NL_OK);
    ck_assert_int_eq(percentiles.dim[1], 7);
    for (int k = 1; k < 7; k++)
        ck_assert(percentiles.at[k] >= percentiles.at[k - 1]);
    nl_array_free(&mean);
    nl_array_free(&percentiles);
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

/* A method that looks at the step: a look from outside at the wrong one would show. */
struct parity {
    char nothing;
};
static const nl_option parity_options[] = {NL_OPT_END};

static int parity_areas(const void *self, const nl_geom *g, nl_area *area)
{
    (void)self, (void)g;
    area[0] = (nl_area){.over = NL_OVER_C, .moments = NL_MEAN_SQUARE};
    return 1;
}

static void parity_forward(const void *self, nl_call *c, int k)
{
    const nl_stats *st = &c->stats[k];
    (void)self;
    for (int64_t i = 0; i < st->statistics; i++) {
        st->a[i] = c->args->step % 2 ? 1 : 0.5;
        st->d[i] = 0;
    }
}

static void parity_backward(const void *self, nl_call *c, int k)
{
    const nl_stats *st = &c->stats[k];
    (void)self;
    for (int64_t i = 0; i < st->statistics; i++)
        st->dmean[i] = st->dvar[i] = 0;
}

static const nl_norm_ops parity = {NL_NORM_HEADER,
                                   .name = "parity",
                                   .title = "Scales by the parity of the step",
                                   .cite = "",
                                   .sites = NL_AT_PREACT,
                                   .self_size = sizeof(struct parity),
                                   .options = parity_options,
                                   .areas = parity_areas,
                                   .forward = parity_forward,
                                   .backward = parity_backward};

START_TEST(logging_never_changes_training)
{
    static const char *const norms[] = {"none",  "batch",       "batch_renorm:r_max=2:d_max=1",
                                        "layer", "batch_layer", "weight:init=data+batch",
                                        "parity"};
    if (!nl_norm_find("parity"))
        ck_assert_int_eq(nl_norm_register(&parity), NL_OK);
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        char often[256], seldom[256];
        snprintf(often, sizeof often, SMALL "norm=%s batch=30 steps=40 log=1 eval=3", norms[i]);
        snprintf(seldom, sizeof seldom, SMALL "norm=%s batch=30 steps=40 log=40 eval=3", norms[i]);
        ck_assert_msg(checkpoint_bytes(often) == checkpoint_bytes(seldom), "%s", norms[i]);
    }
}
END_TEST

static const char *refusal(const char *folder, const char *words)
{
    nl_train_result result;
    ck_assert_int_ne(train_in(folder, words, 1, true, &result), NL_OK);
    return nl_last_error();
}

START_TEST(a_checkpoint_of_another_run_is_refused)
{
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, SMALL "norm=batch steps=20 batch=30", 1, false, &result),
                     NL_OK);
    ck_assert_ptr_nonnull(
        strstr(refusal(folder, SMALL "norm=layer steps=20 batch=30"), "belongs to another run"));
    remove_test_folder(folder);
}
END_TEST

static hid_t open_checkpoint(const char *folder)
{
    char path[96];
    nl_h5_start();
    snprintf(path, sizeof path, "%s/checkpoint.nlc", folder);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert(file >= 0);
    return file;
}

START_TEST(a_checkpoint_of_other_arithmetic_is_refused)
{
    static const char *const words = SMALL "norm=batch steps=20 batch=30";
    char folder[64];
    nl_run_spec spec;
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, &result), NL_OK);
    hid_t file = open_checkpoint(folder);
    ck_assert(nl_h5_set_int(file, "numerics", NL_NUMERICS_VERSION - 1) >= 0);
    ck_assert(nl_h5_set_text(file, "cpu", "another") >= 0);
    H5Fclose(file);
    ck_assert_ptr_nonnull(strstr(refusal(folder, words), "this normlab has"));
    file = open_checkpoint(folder);
    ck_assert(nl_h5_set_int(file, "numerics", NL_NUMERICS_VERSION) >= 0);
    H5Fclose(file);
    ck_assert_ptr_nonnull(strstr(refusal(folder, words), "made with another kernels"));
    parse_run(words, &spec);
    const nl_train_setting anyway = {.out = folder, .threads = 1, .resume = true, .anyway = true};
    ck_assert_int_eq(nl_train(&spec, &anyway, &result), NL_OK);
    remove_test_folder(folder);
}
END_TEST

START_TEST(refusals_say_what_was_wanted)
{
    char folder[64], below[96];
    make_test_folder(folder);
    ck_assert_ptr_nonnull(strstr(refusal(folder, SMALL "batch=3000 steps=5"), "300"));
    ck_assert_ptr_nonnull(strstr(refusal("/proc/normlab/run", SMALL "steps=5"), "cannot be made"));
    snprintf(below, sizeof below, "%s/file", folder);
    FILE *f = fopen(below, "w");
    fclose(f);
    snprintf(below, sizeof below, "%s/file/run", folder);
    ck_assert_ptr_nonnull(strstr(refusal(below, SMALL "steps=5"), "cannot be made"));
    ck_assert_ptr_nonnull(strstr(
        refusal(folder, SMALL "norm=batch_layer:inference=TTTT batch=30 steps=5 eval_batch=50"),
        "belongs to batches of 30 examples, evaluation has 50"));
    remove_test_folder(folder);
}
END_TEST

/* Means over examples, the short last batch included. */
/* How often a run was evaluated, and at which steps first. */
static int64_t evaluations(const char *words, double *steps, int64_t room)
{
    char folder[64], path[96];
    nl_train_result result;
    nl_run *run;
    nl_array at;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, &result), NL_OK);
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    ck_assert_int_eq(nl_run_read(run, "/evals/step", &at), NL_OK);
    const int64_t count = at.count;
    for (int64_t i = 0; i < count && i < room; i++)
        steps[i] = at.at[i];
    nl_array_free(&at);
    nl_run_close(run);
    remove_test_folder(folder);
    return count;
}

START_TEST(evaluation_passes_no_more_examples_than_training_between_the_ends_of_epochs)
{
    double at[8];
    /* 100 test examples are 10 steps of 10, a fiftieth of 1000 steps is 20; epochs of 100 */
    ck_assert_int_eq(evaluations(TINY "batch=10 steps=1000", at, 8), 51);
    ck_assert(at[1] == 20 && at[5] == 100 && at[6] == 120);
    ck_assert_int_eq(evaluations(TINY "batch=10 steps=100", at, 8), 11);
    ck_assert(at[1] == 10 && at[2] == 20);
    /* 100 are 50 steps of 2, epochs of 500; and 100 steps of 1 with evaluation asked for */
    ck_assert_int_eq(evaluations(TINY "batch=2 steps=120", at, 8), 4);
    ck_assert(at[1] == 50 && at[2] == 100 && at[3] == 120);
    ck_assert_int_eq(evaluations(TINY "batch=1 steps=100 eval=25", at, 8), 5);
}
END_TEST

START_TEST(evaluation_does_not_depend_on_its_batches)
{
    const nl_train_result all = run_done(SMALL "norm=batch batch=30 steps=40 eval_batch=100");
    const nl_train_result some = run_done(SMALL "norm=batch batch=30 steps=40 eval_batch=33");
    ck_assert_double_eq_tol(all.test_loss, some.test_loss, 1e-6 * all.test_loss);
    ck_assert_double_eq(all.test_accuracy, some.test_accuracy);
}
END_TEST

/* Unless the spec says otherwise: where its statistics are needed or state is tied to its size. */
START_TEST(evaluation_takes_the_batch_of_training_where_that_matters)
{
    static const char *const norms[] = {"batch:eval=batch", "batch_layer:inference=FFFF",
                                        "batch_layer:inference=TTTT"};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        char alone[192], told[224];
        snprintf(alone, sizeof alone, SMALL "norm=%s batch=25 steps=24", norms[i]);
        snprintf(told, sizeof told, "%s eval_batch=25", alone);
        const double loss = run_done(alone).test_loss; /* room for more may round otherwise */
        ck_assert_double_eq_tol(loss, run_done(told).test_loss, 1e-6);
    }
}
END_TEST

START_TEST(a_stopped_run_goes_on_where_it_was)
{
    static const char *const words = SMALL "norm=batch optimizer=adam:lr=1e-3 batch=30 steps=6000 "
                                           "checkpoint=300";
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, &result), NL_OK);
    const uint64_t whole = bytes_of_run(folder);
    remove_test_folder(folder);
    make_test_folder(folder);
    run_until_stopped(folder, words);
    ck_assert_int_eq(train_in(folder, words, 1, true, &result), NL_OK);
    ck_assert_str_eq(result.outcome, "done");
    ck_assert(bytes_of_run(folder) == whole);
    remove_test_folder(folder);
}
END_TEST

/* Killed between its last checkpoint and its end, a run has nothing left to do but to say so. */
START_TEST(a_run_resumed_at_its_end_stays_whole)
{
    static const char *const words = SMALL "norm=batch batch=30 steps=25";
    char folder[64];
    nl_train_result first, again;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, &first), NL_OK);
    const uint64_t whole = bytes_of_run(folder);
    ck_assert_int_eq(train_in(folder, words, 1, true, &again), NL_OK);
    ck_assert(bytes_of_run(folder) == whole);
    ck_assert_str_eq(again.outcome, "done");
    ck_assert_double_eq(first.test_accuracy, again.test_accuracy);
    remove_test_folder(folder);
}
END_TEST

START_TEST(a_log_and_a_checkpoint_of_two_attempts_are_refused)
{
    static const char *const words = SMALL "norm=batch batch=30 steps=6000 checkpoint=300";
    char folder[64], other[64], command[256];
    nl_train_result result;
    make_test_folder(folder);
    make_test_folder(other);
    ck_assert_int_eq(train_in(folder, words, 1, false, &result), NL_OK);
    run_until_stopped(other, words);
    snprintf(command, sizeof command, "cp %s/checkpoint.nlc %s/", folder, other);
    ck_assert_int_eq(system(command), 0);
    ck_assert_ptr_nonnull(strstr(refusal(other, words), "not one run"));
    ck_assert_int_eq(train_in(other, words, 1, false, &result), NL_OK); /* anew: nothing stale */
    ck_assert(bytes_of_run(other) == bytes_of_run(folder));
    remove_test_folder(folder);
    remove_test_folder(other);
}
END_TEST

START_TEST(parameters_broken_by_the_last_update_are_a_divergence)
{
    const nl_train_result r =
        run_done("data=circles:train=300:test=100 model=mlp:hidden=16x80:act=linear norm=none "
                 "batch=30 steps=1 optimizer=sgd:lr=1e6");
    ck_assert_str_eq(r.outcome, "diverged");
}
END_TEST

START_TEST(nothing_is_left_allocated)
{
    const long before = nl_alloc_live();
    run_done(SMALL "norm=batch_layer batch=30 steps=15");
    ck_assert_int_eq(nl_alloc_live(), before);
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("train");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, every_method_learns_the_circles);
    tcase_add_test(t, full_batch_and_single_examples_train_too);
    tcase_add_test(t, a_diverged_run_is_an_outcome_with_its_data);
    tcase_add_test(t, threads_do_not_change_a_byte);
    tcase_add_test(t, at_least_a_hundred_rows_of_statistics);
    tcase_add_test(t, logging_never_changes_training);
    tcase_add_test(t, a_checkpoint_of_another_run_is_refused);
    tcase_add_test(t, a_checkpoint_of_other_arithmetic_is_refused);
    tcase_add_test(t, refusals_say_what_was_wanted);
    tcase_add_test(t, nothing_is_left_allocated);
    TCase *evaluation = tcase_create("evaluation");
    tcase_add_test(evaluation,
                   evaluation_passes_no_more_examples_than_training_between_the_ends_of_epochs);
    tcase_add_test(evaluation, evaluation_does_not_depend_on_its_batches);
    tcase_add_test(evaluation, evaluation_takes_the_batch_of_training_where_that_matters);
    TCase *resumed = tcase_create("resumed");
    tcase_set_timeout(resumed, 300);
    tcase_add_test(resumed, a_run_resumed_at_its_end_stays_whole);
    tcase_add_test(resumed, a_log_and_a_checkpoint_of_two_attempts_are_refused);
    tcase_add_test(t, parameters_broken_by_the_last_update_are_a_divergence);
    tcase_add_test(resumed, a_stopped_run_goes_on_where_it_was);
    suite_add_tcase(s, t);
    suite_add_tcase(s, evaluation);
    suite_add_tcase(s, resumed);
    return run_suite(s);
}
