/* Summaries of activations: percentiles against a sorted copy, values that are not finite, dead and
 * saturated units. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "suite.h"
#include "train/moments.h"

enum { MOST = 20000 };
static nl_real values[MOST];

/* The summary of (rows, c) values, without what stays in the summarizer. */
static nl_summary summary_of(const nl_real *v, int64_t rows, int64_t c, nl_act act)
{
    nl_summarizer *w;
    nl_summary s;
    ck_assert_int_eq(nl_summarizer_open(&w, rows, c, 1, c), NL_OK);
    nl_summarize(w, &(nl_values){.at = v, .rows = rows, .n = rows, .s = 1, .c = c, .act = act}, &s);
    nl_summarizer_close(w);
    return s;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between order statistics, of a sorted copy. */
static double by_sorting(double percent, int64_t count)
{
    static double sorted[MOST];
    for (int64_t i = 0; i < count; i++)
        sorted[i] = (double)values[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    const double at = percent / 100 * (double)(count - 1), below = floor(at);
    const int64_t i = (int64_t)below;
    return i + 1 < count ? sorted[i] + (at - below) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

static double normal(int64_t i, int64_t count)
{
    (void)count;
    return nl_random_normal((nl_key){1, NL_STREAM_TEST, 0}, (uint64_t)i);
}
static double ties(int64_t i, int64_t count) { return floor(2 * normal(i, count)); }
static double equal(int64_t i, int64_t count) { return 0.5 + 0 * (double)(i + count); }
static double growing(int64_t i, int64_t count) { return (double)i / (double)count; }
static double falling(int64_t i, int64_t count) { return (double)(count - i); }
static double rectified(int64_t i, int64_t count) { return fmax(0, normal(i, count)); }
/* Most are 1/3, among values that share its bin. */
static double crowded(int64_t i, int64_t count)
{
    return i % 4 ? 1.0 / 3 : 1.0 / 3 + 1e-6 * normal(i, count) + (i % 400 ? 0 : normal(i, count));
}
static double two_humps(int64_t i, int64_t count) { return i % 2 ? normal(i, count) : -50; }

START_TEST(percentiles_are_those_of_a_sorted_copy)
{
    static double (*const kinds[])(int64_t, int64_t) = {normal,  ties,      equal,   growing,
                                                        falling, rectified, crowded, two_humps};
    static const int64_t counts[] = {1, 2, 3, 4, 7, 100, 101, 4095, 4096, MOST};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            const int64_t count = counts[k];
            nl_summary s;
            for (int64_t i = 0; i < count; i++)
                values[i] = (nl_real)kinds[kind](i, count);
            s = summary_of(values, count, 1, NL_LINEAR);
            for (int p = 0; p < NL_PERCENTILES; p++)
                ck_assert_double_eq_tol(s.percentiles[p], by_sorting(nl_percentiles[p], count),
                                        1e-12);
            ck_assert_double_eq(s.min, by_sorting(0, count));
            ck_assert_double_eq(s.max, by_sorting(100, count));
        }
}
END_TEST

START_TEST(one_value_is_every_percentile_of_itself)
{
    const nl_real v = 3;
    nl_summary s;
    s = summary_of(&v, 1, 1, NL_RELU);
    ck_assert_double_eq(s.mean, 3);
    ck_assert_double_eq(s.std, 0);
    ck_assert(s.min == 3 && s.max == 3 && s.dead == 0 && s.saturated == 0);
    for (int p = 0; p < NL_PERCENTILES; p++)
        ck_assert_double_eq(s.percentiles[p], 3);
}
END_TEST

START_TEST(the_spread_is_biased_and_safe_far_from_zero)
{
    nl_summary s;
    for (int i = 0; i < MOST; i++)
        values[i] = i % 2 ? 2001 : 1999;
    s = summary_of(values, MOST / 4, 4, NL_LINEAR);
    ck_assert_double_eq_tol(s.mean, 2000, 1e-9);
    ck_assert_double_eq_tol(s.std, 1, 1e-9);
}
END_TEST

/* (n, s, c) = (3, 4, 2), each value 100 s + 10 c + n. */
START_TEST(channels_and_positions_have_moments_of_their_own)
{
    enum { N_ = 3, S_ = 4, C_ = 2 };
    nl_real v[N_ * S_ * C_];
    nl_summarizer *w;
    nl_summary s;
    for (int i = 0; i < N_ * S_ * C_; i++)
        v[i] = (nl_real)(100 * (i / C_ % S_) + 10 * (i % C_) + i / C_ / S_);
    ck_assert_int_eq(nl_summarizer_open(&w, N_, S_ * C_, S_, C_), NL_OK);
    nl_summarize(
        w, &(nl_values){.at = v, .rows = N_ * S_, .n = N_, .s = S_, .c = C_, .act = NL_LINEAR}, &s);
    for (int c = 0; c < C_; c++) {
        ck_assert_double_eq_tol(s.channel_mean[c], 150 + 10 * c + 1, 1e-4);
        ck_assert_double_eq_tol(s.channel_std[c], sqrt(12500 + 2.0 / 3), 1e-4);
    }
    for (int p = 0; p < S_; p++) {
        ck_assert_double_eq_tol(s.position_mean[p], 100 * p + 5 + 1, 1e-4);
        ck_assert_double_eq_tol(s.position_std[p], sqrt(25 + 2.0 / 3), 1e-4);
    }
    ck_assert_double_eq_tol(s.mean, 156, 1e-4);
    ck_assert_double_eq_tol(s.std, sqrt(12500 + 25 + 2.0 / 3), 1e-4);
    nl_summarizer_close(w);
}
END_TEST

/* Examples of 4, 3 and 2 live steps, whose rows stand together: each value 100 s + n. */
START_TEST(positions_count_their_live_rows)
{
    static const uint8_t live[] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1};
    nl_real v[9];
    nl_summarizer *w;
    nl_summary s;
    int rows = 0;
    for (int i = 0; i < 12; i++)
        if (live[i])
            v[rows++] = (nl_real)(100 * (i % 4) + i / 4);
    ck_assert_int_eq(nl_summarizer_open(&w, 3, 4, 4, 1), NL_OK);
    nl_summarize(w, &(nl_values){.at = v, .rows = rows, .n = 3, .s = 4, .c = 1, .live = live}, &s);
    static const double mean[] = {0.5, 100.5, 201, 301}, std[] = {0.5, 0.5, 0.8164966, 1};
    for (int p = 0; p < 4; p++) {
        ck_assert_double_eq_tol(s.position_mean[p], mean[p], 1e-5);
        ck_assert_double_eq_tol(s.position_std[p], std[p], 1e-5);
    }
    ck_assert_double_eq_tol(s.mean, 1407 / 9.0, 1e-4);
    nl_summarizer_close(w);
}
END_TEST

/* scipy.stats.skew and kurtosis(fisher=False) of [1, 2, 2, 3, 3, 3, 9], and far from 0. */
START_TEST(skewness_and_kurtosis_are_standardized_moments)
{
    static const double v[] = {1, 2, 2, 3, 3, 3, 9};
    for (double shift = 0; shift <= 4096; shift += 4096) {
        nl_summary s;
        for (int i = 0; i < 7 * 300; i++)
            values[i] = (nl_real)(v[i % 7] + shift);
        s = summary_of(values, 300, 7, NL_LINEAR);
        ck_assert_double_eq_tol(s.skewness, 1.6899792938171436, 1e-5);
        ck_assert_double_eq_tol(s.kurtosis, 4.482259215219979, 1e-5);
    }
    values[0] = values[1] = 5;
    ck_assert(isnan(summary_of(values, 2, 1, NL_LINEAR).skewness));
}
END_TEST

/* Two values of each bin: its edge that is nearer to 0, and just below the other one. */
START_TEST(bins_are_symmetric_and_hold_the_edge_nearer_to_zero)
{
    double edge[NL_HISTOGRAM_BINS];
    int64_t bin[NL_HISTOGRAM_BINS + 1];
    int64_t n = 0;
    nl_histogram_edges(edge);
    for (int k = NL_HISTOGRAM_SIDE + 1; k < NL_HISTOGRAM_BINS; k++) {
        const nl_real from = (nl_real)edge[k];
        const nl_real to = k + 1 < NL_HISTOGRAM_BINS ? (nl_real)edge[k + 1] : (nl_real)INFINITY;
        const nl_real last = sizeof from == 4 ? (nl_real)nextafterf((float)to, 0)
                                              : (nl_real)nextafter((double)to, 0);
        values[n++] = from, values[n++] = -from, values[n++] = last, values[n++] = -last;
        ck_assert_double_eq(edge[k], -edge[NL_HISTOGRAM_BINS - k]);
    }
    values[n++] = 0, values[n++] = (nl_real)1e-12;
    values[n++] = (nl_real)NAN, values[n++] = -(nl_real)NAN, values[n++] = (nl_real)NAN;
    nl_histogram(values, n, bin);
    for (int k = 0; k < NL_HISTOGRAM_BINS; k++)
        ck_assert_msg(bin[k] == 2, "bin %d from %g holds %lld", k, edge[k], (long long)bin[k]);
    ck_assert_int_eq(bin[NL_HISTOGRAM_BINS], 3);
    ck_assert(isinf(edge[0]) && edge[0] < 0);
    ck_assert_double_eq(edge[1], -256);
    ck_assert_double_eq(edge[NL_HISTOGRAM_SIDE], -ldexp(1, -32));
    ck_assert_double_eq(edge[NL_HISTOGRAM_SIDE + 2], ldexp(1.25, -32));
}
END_TEST

START_TEST(a_spread_is_that_of_the_summary)
{
    nl_summarizer *w;
    for (int i = 0; i < 700; i++)
        values[i] = (nl_real)(3 + normal(i, 700));
    const nl_summary whole = summary_of(values, 100, 7, NL_LINEAR);
    ck_assert_int_eq(nl_summarizer_open(&w, 100, 7, 1, 7), NL_OK);
    const nl_spread s = nl_spread_of(w, values, 100, 7), none = nl_spread_of(w, values, 0, 7);
    ck_assert_double_eq_tol(s.mean, whole.mean, 1e-6);
    ck_assert_double_eq_tol(s.std, whole.std, 1e-6);
    ck_assert(s.min == whole.min && s.max == whole.max);
    ck_assert(isnan(none.mean) && isnan(none.std) && isnan(none.min) && isnan(none.max));
    nl_summarizer_close(w);
}
END_TEST

START_TEST(values_that_are_not_finite_show_in_the_mean_and_in_no_percentile)
{
    const nl_real bad[] = {(nl_real)NAN, (nl_real)INFINITY, (nl_real)-INFINITY};
    for (int k = 0; k < 3; k++) {
        nl_real v[] = {4, bad[k], 1, 3, 2, bad[k], 5};
        nl_summary s;
        s = summary_of(v, 7, 1, NL_LINEAR);
        ck_assert(!isfinite(s.mean));
        ck_assert(!isfinite(s.std));
        ck_assert(s.min == 1 && s.max == 5);
        ck_assert_double_eq(s.percentiles[3], 3); /* the median */
        ck_assert_double_eq_tol(s.percentiles[0], 1.04, 1e-12);
        ck_assert(v[0] == 4 && v[6] == 5); /* the values stay where they are */
    }
}
END_TEST

START_TEST(nothing_finite_gives_nan)
{
    const nl_real v[] = {(nl_real)NAN, (nl_real)INFINITY};
    nl_summary s;
    s = summary_of(v, 2, 1, NL_SIGMOID);
    ck_assert(isnan(s.mean) && isnan(s.std) && isnan(s.min) && isnan(s.max));
    for (int p = 0; p < NL_PERCENTILES; p++)
        ck_assert(isnan(s.percentiles[p]));
}
END_TEST

/* Columns: always flat, flat in one of two rows, never. */
START_TEST(a_unit_is_dead_when_it_is_flat_for_every_row)
{
    static const struct {
        nl_act act;
        nl_real v[6];
    } cases[] = {
        {NL_RELU, {-1, 0, 2, 0, 1, (nl_real)1e-3}},
        {NL_SIGMOID, {6, -6, (nl_real)5.28, (nl_real)-5.29, (nl_real)-5.28, 0}},
        {NL_TANH, {-3, (nl_real)2.65, 1, (nl_real)2.65, (nl_real)-2.64, (nl_real)2.64}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        nl_summary s;
        s = summary_of(cases[k].v, 2, 3, cases[k].act);
        ck_assert_double_eq_tol(s.dead, 1.0 / 3, 1e-15);
        ck_assert_double_eq_tol(s.saturated, 3.0 / 6, 1e-15);
    }
}
END_TEST

START_TEST(without_an_activation_nothing_is_dead_or_saturated)
{
    const nl_real v[] = {-9, 9};
    nl_summary s;
    s = summary_of(v, 1, 2, NL_LINEAR);
    ck_assert(isnan(s.dead) && isnan(s.saturated));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("moments");
    TCase *t = tcase_create("all");
    tcase_add_test(t, percentiles_are_those_of_a_sorted_copy);
    tcase_add_test(t, one_value_is_every_percentile_of_itself);
    tcase_add_test(t, the_spread_is_biased_and_safe_far_from_zero);
    tcase_add_test(t, channels_and_positions_have_moments_of_their_own);
    tcase_add_test(t, positions_count_their_live_rows);
    tcase_add_test(t, skewness_and_kurtosis_are_standardized_moments);
    tcase_add_test(t, bins_are_symmetric_and_hold_the_edge_nearer_to_zero);
    tcase_add_test(t, a_spread_is_that_of_the_summary);
    tcase_add_test(t, values_that_are_not_finite_show_in_the_mean_and_in_no_percentile);
    tcase_add_test(t, nothing_finite_gives_nan);
    tcase_add_test(t, a_unit_is_dead_when_it_is_flat_for_every_row);
    tcase_add_test(t, without_an_activation_nothing_is_dead_or_saturated);
    suite_add_tcase(s, t);
    return run_suite(s);
}
