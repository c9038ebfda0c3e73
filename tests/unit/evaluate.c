/* One checkpoint under many inference policies. */
#include "train/evaluate.h"

#include <check.h>
#include <math.h>

#include "io/h5.h"
#include "suite.h"
#include "train_run.h"

static char folder[64];

/* Training evaluates in larger calls, whose products are summed in another order. */
static const double rounding = sizeof(nl_real) == 4 ? 1e-6 : 1e-14;

#define RUN "data=circles:train=200:val=60:test=100 model=mlp:hidden=8x2 steps=30 batch=20 norm="

static nl_trained trained(const char *norm, nl_train_result *result)
{
    char words[256];
    nl_trained t;
    snprintf(words, sizeof words, "%s%s", RUN, norm);
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, result), NL_OK);
    if (nl_trained_open(&t, folder, NULL, 100) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    return t;
}

static void leave(nl_trained *t)
{
    nl_trained_close(t);
    remove_test_folder(folder);
}

static const nl_policy_row *row_called(nl_trained *t, const char *name)
{
    static nl_policy_row rows[NL_POLICIES_MAX];
    const int count = nl_policies_of(t->model, rows);
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    ck_abort_msg("no policy %s", name);
}

static nl_score test_score(nl_trained *t, const char *name, int64_t n)
{
    nl_score val, test;
    if (nl_evaluate(t, row_called(t, name), n, &val, &test) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    return test;
}

START_TEST(the_own_policy_gives_what_training_ended_with)
{
    nl_train_result r;
    nl_score val, test;
    nl_trained t = trained("batch", &r);
    ck_assert_int_eq(nl_evaluate(&t, row_called(&t, "own"), 100, &val, &test), NL_OK);
    ck_assert_double_eq_tol(test.loss, r.test_loss, rounding);
    ck_assert_double_eq_tol(val.loss, r.val_loss, rounding);
    ck_assert(test.accuracy == r.test_accuracy && val.accuracy == r.val_accuracy);
    const nl_score running = test_score(&t, "running", 100);
    ck_assert(running.loss == test.loss);
    ck_assert(test_score(&t, "batch", 100).loss != test.loss);
    ck_assert(test_score(&t, "mixture/0.5", 100).loss != test.loss);
    leave(&t);
}
END_TEST

START_TEST(letters_of_a_run_are_those_of_the_policy)
{
    nl_train_result r;
    nl_trained t = trained("batch_layer:inference=FTFF", &r);
    ck_assert_double_eq_tol(test_score(&t, "FTFF", 20).loss, r.test_loss, rounding);
    ck_assert(test_score(&t, "FFFF", 20).loss != r.test_loss);
    ck_assert(test_score(&t, "TTTT", 20).loss != test_score(&t, "TFTT", 20).loss);
    leave(&t);
}
END_TEST

static nl_item *item(nl_trained *t, const char *owner, const char *name)
{
    nl_item *it = nl_store_find(nl_model_store(t->model), owner, name);
    ck_assert_ptr_nonnull(it);
    return it;
}

/* Mean over the training set of unit u of the first layer, before its norm. */
static double mean_preactivation(nl_trained *t, int64_t u)
{
    const nl_split *s = &t->data->train;
    const nl_item *w = item(t, "h1", "w");
    const nl_real *W = w->val;
    double sum = 0;
    for (int64_t i = 0; i < s->count; i++)
        for (int64_t k = 0; k < w->rows; k++)
            sum += (double)s->x[i * w->rows + k] * (double)W[k * w->cols + u];
    return sum / (double)s->count;
}

START_TEST(statistics_estimated_anew_are_averages_over_the_training_set)
{
    nl_train_result r;
    nl_trained t = trained("batch", &r);
    const nl_item *mean = item(&t, "h1/preact", "cum_mean");
    const nl_item *count = item(&t, "h1/preact", "cum_count");
    const double before = test_score(&t, "cumulative", 100).loss;
    ck_assert_int_eq(((int64_t *)count->val)[0], 30);
    ck_assert_int_eq(nl_reestimate(&t, 0), NL_OK);
    ck_assert_int_eq(count->count, 1);
    ck_assert_int_eq(((int64_t *)count->val)[0], 10); /* batches of 20 out of 200 */
    for (int64_t u = 0; u < mean->count; u++)
        ck_assert_double_eq_tol(((double *)mean->val)[u] / 10, mean_preactivation(&t, u), 1e-5);
    ck_assert(test_score(&t, "reestimated", 100).loss != before);
    ck_assert_int_eq(nl_reestimate(&t, 50), NL_OK);
    ck_assert_int_eq(((int64_t *)count->val)[0], 3);
    leave(&t);
}
END_TEST

START_TEST(a_run_of_other_arithmetic_is_refused)
{
    nl_train_result r;
    nl_trained t = trained("batch", &r), again;
    nl_h5_start();
    const hid_t file = H5Fopen(t.path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert(nl_h5_set_int(file, "numerics", NL_NUMERICS_VERSION - 1) >= 0);
    H5Fclose(file);
    ck_assert_int_eq(nl_trained_open(&again, folder, NULL, 100), NL_ESTATE);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "this normlab has"));
    leave(&t);
}
END_TEST

START_TEST(what_a_run_cannot_do_is_said)
{
    nl_train_result r;
    nl_score val, test;
    nl_run_spec spec;
    nl_policy_row rows[NL_POLICIES_MAX];
    nl_trained t = trained("batch_layer", &r);
    ck_assert_int_eq(nl_evaluate(&t, row_called(&t, "TTTT"), 7, &val, &test), NL_ESTATE);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "belongs to batches of 20 examples"));
    ck_assert_int_eq(nl_evaluate(&t, row_called(&t, "example"), 20, &val, &test), NL_ESTATE);
    leave(&t);
    t = trained("batch", &r);
    ck_assert_int_eq(nl_evaluate(&t, row_called(&t, "example"), 20, &val, &test), NL_ESTATE);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "1 value"));
    leave(&t);
    t = trained("layer", &r);
    ck_assert_int_eq(nl_policies_of(t.model, rows), 1);
    leave(&t);
    ck_assert_int_eq(nl_trained_spec("/nowhere", &spec), NL_EIO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("evaluate");
    TCase *t = tcase_create("policies");
    use_registries();
    tcase_add_test(t, the_own_policy_gives_what_training_ended_with);
    tcase_add_test(t, letters_of_a_run_are_those_of_the_policy);
    tcase_add_test(t, statistics_estimated_anew_are_averages_over_the_training_set);
    tcase_add_test(t, a_run_of_other_arithmetic_is_refused);
    tcase_add_test(t, what_a_run_cannot_do_is_said);
    suite_add_tcase(s, t);
    return run_suite(s);
}
