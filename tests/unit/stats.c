/* The statistics of comparisons against SciPy (tests/golden/stats_scipy.py), and the degenerate
 * cases that small numbers of seeds really bring. */
#include <check.h>
#include <math.h>
#include <stdio.h>

#include "analysis/bootstrap.h"
#include "analysis/distributions.h"
#include "analysis/intervals.h"
#include "analysis/ranks.h"
#include "analysis/sample.h"
#include "analysis/significance.h"
#include "analysis/special.h"
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
#define GAMMA(a, x, value) same(named("gamma", a, x), nl_incomplete_gamma(a, x), value);
#include "golden/stats_scipy.inc"
#undef GAMMA
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
#define TAILS
#define CHI_SQUARE(x, f, value) same(named("chi_square", x, f), nl_chi_square_tail(x, f), value);
#define F(x, n, d, value) same(named("f", x, n), nl_f_tail(x, n, d), value);
#define SIGN(k, n, value) same(named("sign", k, n), nl_sign_cdf((int)(k), (int)(n)), value);
#define NONCENTRAL(t, f, shift, value) \
    same(named("noncentral", t, f), nl_noncentral_t_tail(t, f, shift), value);
#define RANGE(q, k, value) same(named("range", q, k), nl_range_cdf(q, (int)(k)), value);
#include "golden/stats_scipy.inc"
#undef TAILS
#undef F
}
END_TEST

#define VALUES(...) ((const double[]){__VA_ARGS__}), sizeof((const double[]){__VA_ARGS__}) / 8

enum { VALUES_MAX = 64 };

static void check_interval(const char *what, nl_interval is, double value, double low, double high)
{
    char name[64];
    snprintf(name, sizeof name, "%s, low end", what);
    same(what, is.mean, value);
    same(name, is.low, low);
    snprintf(name, sizeof name, "%s, high end", what);
    same(name, is.high, high);
}

/* Differences of nearly equal numbers keep their absolute digits; ends are such differences. */
static void check_data(const double *x, size_t n, const double *y, size_t ny, double mean,
                       double sd, double low, double high, double p, double middle,
                       double middle_low, double middle_high, double median, double median_low,
                       double median_high, double flips, double signed_rank, double above)
{
    double d[VALUES_MAX];
    const int64_t count = (int64_t)n;
    ck_assert_uint_eq(n, ny);
    const nl_interval v = nl_paired_interval(x, y, count, 0.95);
    for (size_t i = 0; i < n; i++)
        d[i] = x[i] - y[i];
    check_interval("mean", v, mean, low, high);
    same("sd", v.sd, sd);
    same("p of t", v.p, p);
    same("p of signed ranks", nl_wilcoxon_p(d, count), signed_rank);
    if (n <= NL_FLIPS_EXACT)
        same("p of sign flips", nl_permutation_p(d, count), flips);
    same("probability above", nl_probability_above(x, count, y, count), above);
    const nl_interval of_differences = nl_mean_interval(d, count, 0.95);
    ck_assert(of_differences.low == v.low || isnan(v.low));
    nl_sort(d, count);
    check_interval("interquartile mean", nl_interquartile_interval_sorted(d, count, 0.95), middle,
                   middle_low, middle_high);
    check_interval("median", nl_median_interval_sorted(d, count, 0.95), median, median_low,
                   median_high);
}

START_TEST(twenty_data_sets_agree_with_scipy)
{
    int sets = 0;
#define DATA(...) check_data(__VA_ARGS__), sets++;
#include "golden/stats_scipy.inc"
#undef DATA
    ck_assert_int_eq(sets, 20);
}
END_TEST

static void check_bootstrap(nl_statistic *of, const double *x, size_t n, const double *counts,
                            size_t groups, double value, double low, double high, double error)
{
    double at[VALUES_MAX];
    int64_t count[VALUES_MAX];
    nl_bootstrap b;
    for (size_t i = 0; i < n; i++)
        at[i] = x[i];
    for (size_t g = 0; g < groups; g++)
        count[g] = (int64_t)counts[g];
    const nl_strata sample = {at, 1, (int64_t)groups, count};
    ck_assert_int_eq(nl_bootstrap_interval(&b, of, &sample, 0.95, 1000), NL_OK);
    same("bootstrap", b.value, value);
    same("bootstrap, low end", b.bca_low, low);
    same("bootstrap, high end", b.bca_high, high);
    same("bootstrap, error", b.error, error);
}

START_TEST(bootstrap_intervals_agree_with_scipy_on_the_same_resamples)
{
#define BOOTSTRAP(name, ...) check_bootstrap(nl_strata_##name, __VA_ARGS__);
#include "golden/stats_scipy.inc"
#undef BOOTSTRAP
}
END_TEST

static void check_friedman(const double *x, size_t n, int64_t tasks, int64_t methods,
                           const double *ranks, size_t nr, double chi, double p, double f,
                           double fp, double cd)
{
    double mean[VALUES_MAX];
    nl_friedman is;
    ck_assert(n == (size_t)(tasks * methods) && nr == (size_t)methods);
    ck_assert_int_eq(nl_friedman_ranks(&is, x, tasks, methods, 0.95, mean), NL_OK);
    for (int64_t i = 0; i < methods; i++)
        same("mean rank", mean[i], ranks[i]);
    same("chi square", is.chi_square, chi);
    same("p of chi square", is.chi_square_p, p);
    same("F", is.f, f);
    same("p of F", is.f_p, fp);
    same("critical difference", is.critical_difference, cd);
}

START_TEST(ranks_over_tasks_agree_with_scipy)
{
#define FRIEDMAN(...) check_friedman(__VA_ARGS__);
#include "golden/stats_scipy.inc"
#undef FRIEDMAN
    /* Table 5a of Demsar 2006: q at 0.05 for 3, 5 and 10 methods, cut after 3 digits */
    const double q[][2] = {{3, 2.343}, {5, 2.728}, {10, 3.164}};
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq_tol(nl_range_quantile(0.95, (int)q[i][0]) / sqrt(2), q[i][1], 1e-3);
}
END_TEST

START_TEST(the_smallest_effect_agrees_with_its_defining_integral)
{
#define SMALLEST(n, value) \
    same(named("smallest", n, 0), nl_smallest_effect((int64_t)(n), 1, 0.95, 0.8), value);
#include "golden/stats_scipy.inc"
#undef SMALLEST
    ck_assert(isnan(nl_smallest_effect(1, 1, 0.95, 0.8)));
}
END_TEST

START_TEST(resamples_without_spread_give_no_width_and_one_value_no_interval)
{
    double same_values[] = {0.5, 0.5, 0.5, 0.5};
    nl_bootstrap b;
    const nl_strata four = {same_values, 1, 1, (const int64_t[]){4}};
    ck_assert_int_eq(nl_bootstrap_interval(&b, nl_strata_mean, &four, 0.95, 100), NL_OK);
    ck_assert(b.is.low == 0.5 && b.is.high == 0.5 && b.bca_low == 0.5);
    const nl_strata uneven = {same_values, 1, 2, (const int64_t[]){1, 3}};
    ck_assert_int_eq(nl_bootstrap_interval(&b, nl_strata_mean, &uneven, 0.95, 100), NL_OK);
    ck_assert(b.value == 0.5 && isnan(b.is.low) && isnan(b.bca_low));
}
END_TEST

START_TEST(many_sign_flips_are_drawn_and_agree_with_the_count)
{
    double d[24];
    for (int i = 0; i < 24; i++)
        d[i] = i < 16 ? 1 : -1;
    /* |sum| >= 8 of 24 signs: at most 8 or at least 16 heads */
    const double exact = 2 * nl_sign_cdf(8, 24), spread = sqrt(exact * (1 - exact) / 1e5);
    ck_assert_double_eq_tol(nl_permutation_p(d, 24), exact, 4 * spread);
    ck_assert(nl_permutation_p(d, 24) == nl_permutation_p(d, 24));
}
END_TEST

START_TEST(ranks_of_equal_scores_show_no_difference)
{
    const double score[] = {1, 1, 1, 1, 1, 1};
    double rank[3];
    nl_friedman f;
    ck_assert_int_eq(nl_friedman_ranks(&f, score, 2, 3, 0.95, rank), NL_OK);
    ck_assert(rank[0] == 2 && f.chi_square == 0 && f.chi_square_p == 1 && f.f_p == 1);
    ck_assert_int_eq(nl_friedman_ranks(&f, score, 1, 3, 0.95, rank), NL_OK);
    ck_assert(isnan(f.chi_square_p) && isnan(f.critical_difference));
}
END_TEST

START_TEST(profiles_count_what_was_not_solved_as_never_within)
{
    const double ratio[] = {1, 1.5, 3, INFINITY};
    ck_assert(nl_share_within(ratio, 4, 1) == 0.25 && nl_share_within(ratio, 4, 2) == 0.5);
    ck_assert(nl_share_within(ratio, 4, 1e300) == 0.75 && isnan(nl_share_within(ratio, 0, 1)));
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
    tcase_add_test(t, twenty_data_sets_agree_with_scipy);
    tcase_add_test(t, bootstrap_intervals_agree_with_scipy_on_the_same_resamples);
    tcase_add_test(t, ranks_over_tasks_agree_with_scipy);
    tcase_add_test(t, the_smallest_effect_agrees_with_its_defining_integral);
    tcase_add_test(t, resamples_without_spread_give_no_width_and_one_value_no_interval);
    tcase_add_test(t, many_sign_flips_are_drawn_and_agree_with_the_count);
    tcase_add_test(t, ranks_of_equal_scores_show_no_difference);
    tcase_add_test(t, profiles_count_what_was_not_solved_as_never_within);
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
