/* What a run writes about itself, held together by what training is: a step of plain descent moves
 * gamma by the rate times its gradient, a running mean takes the mean that was logged, an epoch's
 * loss is the mean of its steps'. */
#include <math.h>

#include "suite.h"
#include "train_run.h"

enum { EXAMPLES = 300, BATCH = 30, STEPS = 30, EPOCH = EXAMPLES / BATCH, HIDDEN = 16 };
static const double rate = 0.1;

static char folder[64];
static nl_run *run;
static nl_train_result result;

static void train_once(void)
{
    char path[96];
    use_registries();
    make_test_folder(folder);
    if (train_in(folder,
                 "data=circles:train=300:val=60:test=100 model=mlp:hidden=16x2:act=tanh norm=batch "
                 "optimizer=sgd:lr=0.1 batch=30 steps=30 log=1 record=init,order threads=1",
                 1, false, &result) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
}

static void remove_run(void)
{
    nl_run_close(run);
    remove_test_folder(folder);
}

/* Kept until the end of the test. */
static const double *values(const char *path, int64_t count)
{
    enum { KEPT = 64 };
    static nl_array kept[KEPT];
    static int used;
    nl_array *a = &kept[used++ % KEPT];
    nl_array_free(a);
    ck_assert_msg(nl_run_read(run, path, a) == NL_OK, "%s", nl_last_error());
    ck_assert_msg(a->count == count, "%s: %lld values, wanted %lld", path, (long long)a->count,
                  (long long)count);
    return a->at;
}

static double length_of(const double *v, int64_t count)
{
    double squares = 0;
    for (int64_t i = 0; i < count; i++)
        squares += v[i] * v[i];
    return sqrt(squares);
}

/* Rounding of single precision, a few times over. */
static void near(const char *what, int64_t row, double seen, double expected)
{
    ck_assert_msg(fabs(seen - expected) <= 1e-5 * (1 + fabs(expected)),
                  "%s, row %lld: %.9g, expected %.9g", what, (long long)row, seen, expected);
}

START_TEST(gamma_moves_by_the_rate_times_its_gradient)
{
    const double *gamma = values("/norms/h1/preact/gamma", (int64_t)STEPS * HIDDEN);
    const double *gradient = values("/params/h1/preact/gamma/grad_norm", STEPS);
    const double *length = values("/params/h1/preact/gamma/weight_norm", STEPS);
    for (int k = 0; k < STEPS; k++) {
        double step[HIDDEN];
        near("length of gamma", k, length[k], length_of(gamma + k * HIDDEN, HIDDEN));
        for (int i = 0; i < HIDDEN && k > 0; i++)
            step[i] = gamma[k * HIDDEN + i] - gamma[(k - 1) * HIDDEN + i];
        if (k > 0)
            near("step of gamma", k, length_of(step, HIDDEN), rate * gradient[k - 1]);
    }
}
END_TEST

START_TEST(the_gradients_of_all_parameters_make_up_the_whole)
{
    static const char *const owners[] = {"h1/w",
                                         "h1/b",
                                         "h2/w",
                                         "h2/b",
                                         "h1/preact/gamma",
                                         "h1/preact/beta",
                                         "out/w",
                                         "out/b",
                                         "h2/preact/gamma",
                                         "h2/preact/beta"};
    double squares[STEPS] = {0};
    for (size_t p = 0; p < sizeof owners / sizeof *owners; p++) {
        char path[96];
        snprintf(path, sizeof path, "/params/%s/grad_norm", owners[p]);
        const double *part = values(path, STEPS);
        for (int k = 0; k < STEPS; k++)
            squares[k] += part[k] * part[k];
    }
    const double *whole = values("/params/grad_norm", STEPS);
    for (int k = 0; k < STEPS; k++)
        near("norm of the gradient", k, whole[k], sqrt(squares[k]));
}
END_TEST

START_TEST(weights_start_as_recorded)
{
    const double *w = values("/record/init/h1/w", (int64_t)2 * HIDDEN);
    near("length of the weights", 0, values("/params/h1/w/weight_norm", STEPS)[0],
         length_of(w, (int64_t)2 * HIDDEN));
}
END_TEST

START_TEST(the_running_mean_takes_the_mean_of_the_batch)
{
    const double *running = values("/norms/h1/preact/run_mean", (int64_t)STEPS * HIDDEN);
    const double *mean = values("/layers/h1/preact/pre/mean", STEPS);
    double expected = 0;
    for (int k = 0; k < STEPS; k++) {
        double of_all = 0;
        for (int i = 0; i < HIDDEN; i++)
            of_all += running[k * HIDDEN + i] / HIDDEN;
        expected = 0.9 * expected + 0.1 * mean[k];
        near("mean of the running means", k, of_all, expected);
    }
    ck_assert_double_gt(values("/norms/h1/preact/run_var", (int64_t)STEPS * HIDDEN)[0], 0);
}
END_TEST

START_TEST(statistics_of_a_slot_fit_together)
{
    static const char *const sides[] = {"pre", "post"};
    for (int s = 0; s < 2; s++) {
        static const char *const names[] = {"mean", "std", "min", "max", "dead", "saturated"};
        enum { MEAN, STD, MIN, MAX, DEAD, SATURATED, NAMES, SHARES = 7 };
        const double *of[NAMES];
        char path[96];
        for (int i = 0; i < NAMES; i++) {
            snprintf(path, sizeof path, "/layers/h2/preact/%s/%s", sides[s], names[i]);
            of[i] = values(path, STEPS);
        }
        snprintf(path, sizeof path, "/layers/h2/preact/%s/percentiles", sides[s]);
        const double *share = values(path, (int64_t)STEPS * SHARES);
        for (int k = 0; k < STEPS; k++) {
            ck_assert(of[MIN][k] <= share[k * SHARES] && share[k * SHARES + 6] <= of[MAX][k]);
            ck_assert(of[MIN][k] < of[MEAN][k] && of[MEAN][k] < of[MAX][k] && of[STD][k] > 0);
            ck_assert(of[DEAD][k] >= 0 && of[DEAD][k] <= of[SATURATED][k] && of[SATURATED][k] < 1);
        }
        if (s == 1) { /* gamma is 1 and beta 0 at first */
            near("mean behind the norm", 0, of[MEAN][0], 0);
            ck_assert_double_eq_tol(of[STD][0], 1, 1e-3); /* but for eps */
        }
    }
}
END_TEST

START_TEST(the_loss_of_an_epoch_is_that_of_its_steps)
{
    static const char *const names[] = {"loss", "accuracy"};
    for (int i = 0; i < 2; i++) {
        char of_steps[64], of_epochs[64];
        snprintf(of_steps, sizeof of_steps, "/steps/%s", names[i]);
        snprintf(of_epochs, sizeof of_epochs, "/epochs/train_%s", names[i]);
        const double *step = values(of_steps, STEPS);
        const double *epoch = values(of_epochs, STEPS / EPOCH);
        for (int e = 0; e < STEPS / EPOCH; e++) {
            double mean = 0;
            for (int k = 0; k < EPOCH; k++)
                mean += step[e * EPOCH + k] / EPOCH;
            near(of_epochs, e, epoch[e], mean);
        }
    }
}
END_TEST

START_TEST(the_last_evaluation_is_the_result)
{
    const struct {
        const char *path;
        double expected;
    } rows[] = {{"/epochs/val_loss", result.val_loss},
                {"/epochs/val_accuracy", result.val_accuracy},
                {"/epochs/test_loss", result.test_loss},
                {"/epochs/test_accuracy", result.test_accuracy}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        near(rows[i].path, STEPS / EPOCH - 1,
             values(rows[i].path, STEPS / EPOCH)[STEPS / EPOCH - 1], rows[i].expected);
    ck_assert_double_ne(result.val_loss, result.test_loss);
}
END_TEST

START_TEST(every_example_is_recorded_once_an_epoch)
{
    const double *order = values("/record/order", (int64_t)STEPS * BATCH);
    for (int e = 0; e < STEPS / EPOCH; e++) {
        int seen[EXAMPLES] = {0};
        for (int k = 0; k < EXAMPLES; k++)
            seen[(int)order[e * EXAMPLES + k]]++;
        for (int k = 0; k < EXAMPLES; k++)
            ck_assert_int_eq(seen[k], 1);
    }
}
END_TEST

START_TEST(a_run_says_what_it_is_and_where_it_ran)
{
    static const struct {
        const char *name, *has;
    } rows[] = {{"spec", "\nbatch=30\n"},
                {"norm", "batch"},
                {"seed", "1"},
                {"hash", ""},
                {"data_checksum", ""},
                {"numerics_version", ""},
                {"normlab_version", "."},
                {"precision", sizeof(nl_real) == sizeof(float) ? "float" : "double"},
                {"compiler", ""},
                {"hdf5_version", "1."},
                {"cpu", ""},
                {"cpu_variant", ""},
                {"system", ""},
                {"threads", "1"},
                {"cite", "ioffe2015batch robbins1951stochastic"},
                {"total_steps", "30"},
                {"bibtex", "@"},
                {"synthetic", "1"},
                {"train_examples", "300"},
                {"val_examples", "60"},
                {"outcome", "done"},
                {"steps", "30"},
                {"wall_seconds", ""},
                {"cpu_seconds", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nl_text t = {0};
        ck_assert_msg(nl_run_text(run, "/", rows[i].name, &t), "no %s", rows[i].name);
        ck_assert_msg(t.used > 0 && strstr(nl_text_of(&t), rows[i].has), "%s is '%s'", rows[i].name,
                      nl_text_of(&t));
        nl_text_free(&t);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("run_file");
    TCase *t = tcase_create("all");
    tcase_add_unchecked_fixture(t, train_once, remove_run);
    tcase_add_test(t, gamma_moves_by_the_rate_times_its_gradient);
    tcase_add_test(t, the_gradients_of_all_parameters_make_up_the_whole);
    tcase_add_test(t, weights_start_as_recorded);
    tcase_add_test(t, the_running_mean_takes_the_mean_of_the_batch);
    tcase_add_test(t, statistics_of_a_slot_fit_together);
    tcase_add_test(t, the_loss_of_an_epoch_is_that_of_its_steps);
    tcase_add_test(t, the_last_evaluation_is_the_result);
    tcase_add_test(t, every_example_is_recorded_once_an_epoch);
    tcase_add_test(t, a_run_says_what_it_is_and_where_it_ran);
    suite_add_tcase(s, t);
    return run_suite(s);
}
