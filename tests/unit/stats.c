/* The statistics of comparisons against SciPy (tests/golden/stats_scipy.py), and the degenerate
 * cases that small numbers of seeds really bring. */
#include <check.h>
#include <math.h>
#include <stdio.h>

#include "analysis/stats.h"
#include "suite.h"

#define TOLERANCE 1e-10

static void same(const char *what, double seen, double expected)
{
    const double scale = fmax(fabs(expected), 1e-300);
    if (isnan(expected) ? isnan(seen)
                        : seen == expected || fabs(seen - expected) <= TOLERANCE * scale)
        return;
    ck_abort_msg("%s: %.17g, SciPy has %.17g (relative difference %.3g, allowed %.3g)", what, seen,
                 expected, fabs(seen - expected) / scale, TOLERANCE);
}

static const char *named(const char *name, double a, double b)
{
    static char text[128];
    snprintf(text, sizeof text, "%s(%g, %g)", name, a, b);
    return text;
}

START_TEST(special_functions_agree_with_scipy)
{
#define LOG_GAMMA(x, value) same(named("log_gamma", x, 0), nl_log_gamma(x), value);
#include "golden/stats_scipy.inc"
#undef LOG_GAMMA
#define LOG_BETA(a, b, value) same(named("log_beta", a, b), nl_log_beta(a, b), value);
#include "golden/stats_scipy.inc"
#undef LOG_BETA
#define BETA(a, b, x, value) same(named("beta", a, x), nl_incomplete_beta(a, b, x, 1 - x), value);
#include "golden/stats_scipy.inc"
#undef BETA
}
END_TEST

START_TEST(distributions_agree_with_scipy)
{
#define STUDENT_CDF(t, f, value) same(named("student_cdf", t, f), nl_student_cdf(t, f), value);
#include "golden/stats_scipy.inc"
#undef STUDENT_CDF
#define STUDENT_QUANTILE(p, f, value) \
    same(named("student_quantile", p, f), nl_student_quantile(p, f), value);
#include "golden/stats_scipy.inc"
#undef STUDENT_QUANTILE
#define NORMAL
#define NORMAL_CDF(z, value) same(named("normal_cdf", z, 0), nl_normal_cdf(z), value);
#define NORMAL_QUANTILE(p, value) \
    same(named("normal_quantile", p, 0), nl_normal_quantile(p), value);
#include "golden/stats_scipy.inc"
#undef NORMAL
}
END_TEST

#define VALUES(...) ((const double[]){__VA_ARGS__}), sizeof((const double[]){__VA_ARGS__}) / 8

static void check_paired(const double *x, size_t n, const double *y, size_t ny, double mean,
                         double sd, double low, double high, double p, double median)
{
    double d[64];
    ck_assert_uint_eq(n, ny);
    const nl_interval v = nl_paired_interval(x, y, (int64_t)n, 0.95);
    for (size_t i = 0; i < n; i++)
        d[i] = x[i] - y[i];
    const nl_interval of_differences = nl_mean_interval(d, (int64_t)n, 0.95);
    same("mean", v.mean, mean);
    same("sd", v.sd, sd);
    same("low", v.low, low);
    same("high", v.high, high);
    same("p", v.p, p);
    same("median", nl_median(d, (int64_t)n), median);
    ck_assert(of_differences.low == v.low && of_differences.p == v.p);
}

START_TEST(paired_intervals_and_tests_agree_with_scipy)
{
#define PAIRED(...) check_paired(__VA_ARGS__);
#include "golden/stats_scipy.inc"
#undef PAIRED
}
END_TEST

static void check_wilcoxon(const double *d, size_t n, double p)
{
    same("wilcoxon", nl_wilcoxon_p(d, (int64_t)n), p);
}

static void check_quantile(const double *x, size_t n, double p, double value)
{
    same("quantile", nl_quantile_sorted(x, (int64_t)n, p), value);
}

START_TEST(ranks_and_quantiles_agree_with_scipy)
{
#define WILCOXON(...) check_wilcoxon(__VA_ARGS__);
#include "golden/stats_scipy.inc"
#undef WILCOXON
#define QUANTILE(...) check_quantile(__VA_ARGS__);
#include "golden/stats_scipy.inc"
#undef QUANTILE
}
END_TEST

START_TEST(one_value_gives_no_interval_and_none_gives_no_mean)
{
    const double x[] = {0.7};
    const nl_interval one = nl_mean_interval(x, 1, 0.95), none = nl_mean_interval(x, 0, 0.95);
    ck_assert(one.n == 1 && one.mean == 0.7);
    ck_assert(isnan(one.low) && isnan(one.high) && isnan(one.p) && isnan(one.sd));
    ck_assert(none.n == 0 && isnan(none.mean) && isnan(none.low));
    ck_assert(isnan(nl_median(x, 0)) && isnan(nl_quantile_sorted(x, 0, 0.5)));
}
END_TEST

START_TEST(equal_values_give_an_interval_of_zero_width)
{
    const double x[] = {0.1, 0.1, 0.1, 0.1, 0.1}, y[] = {0.1, 0.1, 0.1, 0.1, 0.1};
    const nl_interval v = nl_mean_interval(x, 5, 0.95), d = nl_paired_interval(x, y, 5, 0.95);
    ck_assert(v.mean == 0.1 && v.low == 0.1 && v.high == 0.1 && v.sd == 0);
    ck_assert(v.p == 0.0625); /* five equal signs: 2^(1-5), not certainty */
    ck_assert(d.mean == 0 && d.low == 0 && d.high == 0 && d.p == 1);
}
END_TEST

START_TEST(what_is_not_defined_is_nan_and_limits_are_exact)
{
    ck_assert(isnan(nl_log_gamma(0)) && isnan(nl_log_beta(-1, 1)) && isnan(nl_student_cdf(1, 0)));
    ck_assert(isnan(nl_student_quantile(1.5, 3)) && isnan(nl_normal_quantile(-0.1)));
    ck_assert(nl_student_quantile(0.5, 3) == 0 && nl_normal_quantile(0.5) == 0);
    ck_assert(nl_student_quantile(0, 3) == -INFINITY && nl_normal_quantile(1) == INFINITY);
    ck_assert(nl_student_cdf(INFINITY, 3) == 1 && nl_student_cdf(-INFINITY, 3) == 0);
    ck_assert(nl_student_cdf(-1e200, 3) == 0);
    ck_assert(isnan(nl_wilcoxon_p((const double[]){0, 0}, 2)));
}
END_TEST

START_TEST(an_infinite_median_and_quantile_stay_infinite)
{
    const double x[] = {100, INFINITY, 300, INFINITY, INFINITY}, sorted[] = {1, INFINITY, INFINITY};
    ck_assert(nl_median(x, 5) == INFINITY && nl_median(x, 3) == 300);
    ck_assert(nl_quantile_sorted(sorted, 3, 0.75) == INFINITY);
}
END_TEST

START_TEST(ties_in_the_signed_rank_test_get_middle_ranks)
{
    /* |d| = 1 1 2, ranks 1.5 1.5 3: W- = 0 in one of eight patterns, two-sided 1/4 */
    ck_assert(nl_wilcoxon_p((const double[]){1, 0, 1, 2}, 4) == 0.25);
}
END_TEST

START_TEST(holm_steps_down_and_never_falls)
{
    double p[] = {0.01, 0.04, NAN, 0.03, 0.005}; /* R: p.adjust(c(.01,.04,.03,.005), "holm") */
    nl_holm(p, 5);
    same("holm", p[0], 0.03);
    same("holm", p[1], 0.06);
    ck_assert(isnan(p[2]));
    same("holm", p[3], 0.06);
    same("holm", p[4], 0.02);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stats");
    TCase *t = tcase_create("all");
    tcase_add_test(t, special_functions_agree_with_scipy);
    tcase_add_test(t, distributions_agree_with_scipy);
    tcase_add_test(t, paired_intervals_and_tests_agree_with_scipy);
    tcase_add_test(t, ranks_and_quantiles_agree_with_scipy);
    tcase_add_test(t, one_value_gives_no_interval_and_none_gives_no_mean);
    tcase_add_test(t, equal_values_give_an_interval_of_zero_width);
    tcase_add_test(t, what_is_not_defined_is_nan_and_limits_are_exact);
    tcase_add_test(t, an_infinite_median_and_quantile_stay_infinite);
    tcase_add_test(t, ties_in_the_signed_rank_test_get_middle_ranks);
    tcase_add_test(t, holm_steps_down_and_never_falls);
    suite_add_tcase(s, t);
    return run_suite(s);
}
