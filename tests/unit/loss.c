/* Cross-entropy against long double, gradients, certainty, masks, ties and NaN. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/loss.h"
#include "suite.h"

enum { MOST = 700 };
static const double unit = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;

static const nl_loss_kernels *variant(int v)
{
    const nl_loss_kernels *all[] = {&nl_loss_base, &nl_loss_avx2, &nl_loss_avx512};
    return all[v];
}

static long double exact_loss(const nl_real *x, int64_t n, int64_t label)
{
    long double rest = 0; /* e^(x_k - x_label) of the others: no cancellation */
    for (int64_t k = 0; k < n; k++)
        if (k != label)
            rest += expl((long double)x[k] - x[label]);
    return log1pl(rest);
}

static long double exact_gradient(const nl_real *x, int64_t n, int64_t label, int64_t which)
{
    long double sum = 0, others = 0;
    for (int64_t k = 0; k < n; k++) {
        const long double e = expl((long double)x[k] - x[label]);
        sum += e;
        others += k == label ? 0 : e;
    }
    return which == label ? -others / sum : expl((long double)x[which] - x[label]) / sum;
}

static void fill(nl_real *x, int64_t n, int seed, double size)
{
    for (int64_t k = 0; k < n; k++)
        x[k] = (nl_real)(size * sin(1.7 * (double)k + seed));
}

START_TEST(softmax_loss_and_gradient_keep_their_digits)
{
    nl_real x[MOST], dx[MOST];
    const int64_t sizes[] = {1, 2, 3, 10, 16, 17, 255, 256, 257, MOST};
    const double magnitudes[] = {0, 0.1, 3, 40, 4e3};
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int i = 0; i < 10 * 5; i++) {
            const int64_t n = sizes[i / 5];
            const int32_t label = (int32_t)(n / 3);
            nl_loss_sum sum = {0};
            fill(x, n, i, magnitudes[i % 5]);
            variant(v)->softmax(x, 1, n, &label, 0.5, dx, &sum);
            const double loss = (double)exact_loss(x, n, label);
            /* x_k - x_best is rounded once, and e^ makes of that a relative error. */
            const double bound = (8 + 2 * fmin(magnitudes[i % 5], 100)) * unit;
            ck_assert_msg(fabs(sum.loss - loss) <= bound * loss + 1e-37, "%.17g, expected %.17g",
                          sum.loss, loss);
            for (int64_t k = 0; k < n; k++) {
                const double wanted = 0.5 * (double)exact_gradient(x, n, label, k);
                ck_assert_msg(fabs((double)dx[k] - wanted) <= bound * fabs(wanted) + 1e-37,
                              "%d of %d: %.17g, expected %.17g", (int)k, (int)n, (double)dx[k],
                              wanted);
            }
        }
}
END_TEST

START_TEST(sigmoid_loss_and_gradient_keep_their_digits)
{
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int i = -80; i <= 80; i++)
            for (int32_t label = 0; label < 2; label++) {
                const nl_real x = (nl_real)(0.99 * i);
                nl_real dx;
                nl_loss_sum sum = {0};
                const long double s = label ? -(long double)x : (long double)x;
                const double loss = (double)log1pl(expl(s));
                const double slope = (double)((label ? -2 : 2) / (1 + expl(-s)));
                variant(v)->sigmoid(&x, 1, &label, 2, &dx, &sum);
                ck_assert_double_le(fabs(sum.loss - loss), 8 * unit * loss);
                ck_assert_double_le(fabs((double)dx - slope), 8 * unit * fabs(slope));
                ck_assert_int_eq(sum.correct, (x > 0) == label);
            }
}
END_TEST

START_TEST(totals_add_up_over_rows_and_skip_rows_without_label)
{
    nl_real x[6 * 5], dx[6 * 5], again[6 * 5];
    const int32_t labels[] = {0, 4, -1, 2, -7, 1};
    nl_loss_sum sum = {1, 2, 3}, blind = {1, 2, 3};
    double loss = 1;
    fill(x, 30, 3, 2);
    nl_loss()->softmax(x, 6, 5, labels, 1, dx, &sum);
    for (int r = 0; r < 6; r++) {
        if (labels[r] >= 0)
            loss += (double)exact_loss(x + 5 * r, 5, labels[r]);
        for (int k = 0; k < 5; k++)
            ck_assert((labels[r] < 0) == (dx[5 * r + k] == 0));
    }
    ck_assert_double_eq_tol(sum.loss, loss, 40 * unit);
    ck_assert_int_eq(sum.rows, 3 + 4);
    nl_loss()->softmax(x, 6, 5, labels, 1, NULL, &blind);
    ck_assert_mem_eq(&sum, &blind, sizeof sum);
    memcpy(again, x, sizeof x);
    nl_loss()->softmax(again, 6, 5, labels, 1, again, &blind);
    ck_assert_mem_eq(again, dx, sizeof dx);
}
END_TEST

START_TEST(the_first_of_equal_logits_wins)
{
    const nl_real x[] = {1, 5, 5, 2};
    const int32_t first = 1, second = 2;
    nl_loss_sum sum = {0};
    nl_loss()->softmax(x, 1, 4, &second, 1, NULL, &sum);
    ck_assert_int_eq(sum.correct, 0);
    nl_loss()->softmax(x, 1, 4, &first, 1, NULL, &sum);
    ck_assert_int_eq(sum.correct, 1);
}
END_TEST

START_TEST(nan_stays_and_is_wrong)
{
    nl_real x[20];
    const int32_t label = 3;
    for (int where = 0; where < 21; where++) { /* 20: everywhere */
        nl_loss_sum sum = {0};
        fill(x, 20, 1, 1);
        x[label] = 9;
        for (int k = 0; k < 20; k++)
            if (k == where || where == 20)
                x[k] = NAN;
        nl_loss()->softmax(x, 1, 20, &label, 1, where % 2 ? x : NULL, &sum);
        ck_assert_double_nan(sum.loss);
        ck_assert_int_eq(sum.correct, 0);
    }
    const nl_real bad = NAN;
    const int32_t zero = 0;
    nl_loss_sum sum = {0};
    nl_loss()->sigmoid(&bad, 1, &zero, 1, NULL, &sum);
    ck_assert_double_nan(sum.loss);
    ck_assert_int_eq(sum.correct, 0);
}
END_TEST

START_TEST(infinite_logits_have_their_limits)
{
    const nl_real x[] = {-INFINITY, 1, 1};
    nl_real dx[3];
    const int32_t one = 1, zero = 0;
    nl_loss_sum sum = {0};
    nl_loss()->softmax(x, 1, 3, &one, 1, dx, &sum);
    ck_assert_double_eq_tol(sum.loss, log(2), 4 * unit);
    ck_assert(dx[0] == 0);
    sum.loss = 0;
    nl_loss()->softmax(x, 1, 3, &zero, 1, dx, &sum);
    ck_assert(isinf(sum.loss) && sum.loss > 0);
}
END_TEST

START_TEST(squares_of_errors_and_those_within_the_tolerance)
{
    const nl_real x[] = {1, (nl_real)0.5, -2, (nl_real)0.96}, value[] = {1, 1, -1, 1};
    nl_real dx[4];
    nl_loss_sum sum = {0};
    nl_loss()->squared(x, 4, value, 0.04001, 0.25, dx, &sum);
    ck_assert_double_eq_tol(sum.loss, 0 + 0.25 + 1 + 0.0016, 8 * unit);
    ck_assert_int_eq(sum.correct, 2);
    ck_assert_int_eq(sum.rows, 4);
    ck_assert(dx[0] == 0 && dx[1] == (nl_real)-0.25 && dx[2] == (nl_real)-0.5);
    ck_assert_double_eq_tol((double)dx[3], -0.02, 8 * unit);
    const nl_real bad = NAN;
    nl_loss()->squared(&bad, 1, value, 1, 1, NULL, &sum);
    ck_assert_double_nan(sum.loss);
    ck_assert_int_eq(sum.correct, 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loss");
    TCase *t = tcase_create("all");
    tcase_add_test(t, softmax_loss_and_gradient_keep_their_digits);
    tcase_add_test(t, sigmoid_loss_and_gradient_keep_their_digits);
    tcase_add_test(t, totals_add_up_over_rows_and_skip_rows_without_label);
    tcase_add_test(t, the_first_of_equal_logits_wins);
    tcase_add_test(t, nan_stays_and_is_wrong);
    tcase_add_test(t, squares_of_errors_and_those_within_the_tolerance);
    tcase_add_test(t, infinite_logits_have_their_limits);
    suite_add_tcase(s, t);
    return run_suite(s);
}
