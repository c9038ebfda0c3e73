/* What charts there are of a comparison, in which order, and that runs meet at the same steps. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/distributions.h"
#include "analysis/pagedata.h"
#include "analysis/series.h"
#include "suite.h"

enum { RUNS_MAX = 16, ROWS = 500 };

static nl_rundata *run[RUNS_MAX];
static int64_t runs;
static nl_compare *comparison;

static void forget(void)
{
    nl_compare_close(comparison);
    comparison = NULL;
    for (int64_t i = 0; i < runs; i++)
        nl_rundata_close(run[i]);
    runs = 0;
}

/* Values are 1, 2, 3, ... times `scale`. */
static void add(nl_rundata *r, const char *name, int64_t rows, int64_t width, double scale)
{
    nl_track *t;
    ck_assert_int_eq(nl_rundata_add(r, name, rows, width, &t), NL_OK);
    for (int64_t i = 0; i < rows * width; i++)
        t->at[i] = scale * (double)(i + 1);
}

static nl_rundata *add_run(const char *norm, int64_t seed, int64_t rows)
{
    static const char *const layers[] = {"h2", "h10", "out"};
    char name[96];
    nl_rundata *r;
    snprintf(name, sizeof name, "%s-%d", norm, (int)seed);
    ck_assert_int_eq(nl_rundata_new(&r, name), NL_OK);
    run[runs++] = r;
    ck_assert_int_eq(nl_rundata_set_text(r, "norm", norm), NL_OK);
    ck_assert_int_eq(nl_rundata_set_text(r, "outcome", rows < ROWS ? "diverged" : "done"), NL_OK);
    ck_assert_int_eq(nl_rundata_set_number(r, "seed", (double)seed), NL_OK);
    add(r, "/steps/step", rows, 1, 1);
    add(r, "/steps/loss", rows, 1, (double)seed);
    add(r, "/evals/step", 2, 1, (double)rows / 2);
    add(r, "/evals/test_accuracy", 2, 1, 0.25);
    add(r, "/epochs/test_accuracy", 1, 1, 0.5);
    add(r, "/layers/step", 4, 1, 1);
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        snprintf(name, sizeof name, "/layers/%s/preact/post/percentiles", layers[l]);
        add(r, name, 4, 7, 1);
        snprintf(name, sizeof name, "/layers/%s/preact/post/dead", layers[l]);
        add(r, name, 4, 1, l == 0 ? 0.1 : 0);
    }
    add(r, "/probes/rank/step", 3, 1, 10);
    add(r, "/probes/rank/h2", 3, 1, 1);
    add(r, "/probes/rank/labels", 5, 1, 1);
    return r;
}

static void find(nl_charts *charts)
{
    nl_compare_options options = NL_COMPARE_DEFAULTS;
    ck_assert_msg(nl_compare_runs(&comparison, (const nl_rundata *const *)run, runs, &options) ==
                      NL_OK,
                  "%s", nl_last_error());
    ck_assert_int_eq(nl_charts_find(charts, comparison), NL_OK);
}

static const nl_chart_kind *kind_of(const char *name)
{
    const nl_chart_kind *kind;
    int i = 0;
    while ((kind = nl_chart_kind_at(i)) != NULL && strcmp(kind->name, name) != 0)
        i++;
    ck_assert_msg(kind != NULL, "%s", name);
    return kind;
}

START_TEST(charts_go_by_kind_then_as_the_network_has_its_layers)
{
    nl_charts charts;
    nl_text titles = {0};
    add_run("none", 1, ROWS);
    add_run("batch", 1, ROWS);
    find(&charts);
    for (int64_t i = 0; i < charts.count; i++) {
        nl_chart_add_title(&charts.at[i], &titles);
        nl_text_add(&titles, "\n");
    }
    ck_assert_str_eq(nl_text_of(&titles), "Difference to none\n"
                                          "Score\n"
                                          "Training loss\n"
                                          "Test accuracy\n"
                                          "h2/preact: after the norm\n"
                                          "h10/preact: after the norm\n"
                                          "out/preact: after the norm\n"
                                          "h2/preact: dead units after the norm\n"
                                          "rank/h2\n");
    nl_text_free(&titles);
    nl_charts_free(&charts);
}
END_TEST

START_TEST(one_chart_is_the_named_one_or_the_last_hidden_layers)
{
    nl_charts charts;
    add_run("none", 1, ROWS);
    find(&charts);
    const nl_chart_kind *percentiles = kind_of("percentiles");
    ck_assert_str_eq(nl_charts_one(&charts, percentiles, NULL)->of, "h10/preact");
    ck_assert_str_eq(nl_charts_one(&charts, percentiles, "h2")->of, "h2/preact");
    ck_assert_str_eq(nl_charts_one(&charts, percentiles, "out/preact")->of, "out/preact");
    ck_assert_ptr_null(nl_charts_one(&charts, percentiles, "h1"));
    ck_assert_ptr_null(nl_charts_one(&charts, kind_of("gamma"), NULL));
    nl_charts_free(&charts);
}
END_TEST

/* Bins are those of the longest run of the method: the last point of the other one ends its bin. */
START_TEST(a_run_that_ended_early_meets_the_others_at_the_same_steps)
{
    nl_charts charts;
    nl_series whole, early;
    add_run("none", 1, ROWS);
    add_run("none", 2, ROWS / 2 + 1);
    find(&charts);
    const nl_chart *loss = nl_charts_one(&charts, kind_of("loss"), NULL);
    ck_assert_int_eq(nl_series_take(&whole, &charts, loss, 0), NL_OK);
    ck_assert_int_eq(nl_series_take(&early, &charts, loss, 1), NL_OK);
    ck_assert(early.points > 1 && early.points < whole.points);
    for (int64_t i = 0; i + 1 < early.points; i++) {
        ck_assert(early.x[i] == whole.x[i]);
        ck_assert_double_eq_tol(early.y[i], 2 * whole.y[i], 1e-9 * whole.y[i]);
    }
    ck_assert(early.x[early.points - 1] == ROWS / 2 + 1);
    nl_series_free(&whole);
    nl_series_free(&early);
    nl_charts_free(&charts);
}
END_TEST

START_TEST(few_seeds_have_their_range_and_more_an_interval)
{
    double three[] = {1, 2, 6}, four[] = {1, NAN, 2, 3, 4}, logs[] = {1, 100, -1};
    nl_band b = nl_band_of(three, 3, false, 0.95);
    ck_assert(b.mean == 3 && b.low == 1 && b.high == 6);
    b = nl_band_of(four, 5, false, 0.95);
    const double half = nl_student_quantile(0.975, 3) * sqrt(5.0 / 3 / 4);
    ck_assert_double_eq_tol(b.mean, 2.5, 1e-12);
    ck_assert_double_eq_tol(b.high, 2.5 + half, 1e-9);
    b = nl_band_of(logs, 3, true, 0.95);
    ck_assert_double_eq_tol(b.mean, 10, 1e-9);
    ck_assert_double_eq_tol(b.high, 100, 1e-9);
    ck_assert(isnan(nl_band_of(three, 0, false, 0.95).mean));
}
END_TEST

/* A quarter of the values lies evenly in [-1, 1), the rest in [1, 2). */
START_TEST(ridges_are_densities_of_the_histograms)
{
    static const double edges[] = {-INFINITY, -2, -1, 1, 2}, counts[] = {0, 0, 10, 30, 0};
    nl_charts charts;
    nl_series p;
    nl_track *t;
    nl_rundata *r = add_run("none", 1, ROWS);
    add(r, "/histograms/step", 1, 1, 1);
    ck_assert_int_eq(nl_rundata_add(r, "/histograms/bin", 5, 1, &t), NL_OK);
    memcpy(t->at, edges, sizeof edges);
    ck_assert_int_eq(nl_rundata_add(r, "/histograms/h2/preact/post/counts", 1, 5, &t), NL_OK);
    memcpy(t->at, counts, sizeof counts);
    find(&charts);
    const nl_chart *chart = nl_charts_one(&charts, kind_of("ridgelines"), NULL);
    const nl_span span = nl_ridge_span(&charts, chart);
    ck_assert(span.low == -1 && span.high == 2);
    ck_assert_int_eq(nl_series_take(&p, &charts, chart, 0), NL_OK);
    ck_assert(p.points == 1 && p.width == NL_RIDGE_CELLS && NL_RIDGE_CELLS % 3 == 0);
    for (int k = 0; k < NL_RIDGE_CELLS; k++)
        ck_assert_double_eq_tol(p.y[k], k < NL_RIDGE_CELLS / 3 * 2 ? 0.125 : 0.75, 1e-12);
    nl_series_free(&p);
    nl_charts_free(&charts);
}
END_TEST

START_TEST(the_page_is_told_steps_once_and_shares_in_percent)
{
    nl_charts charts;
    nl_text out = {0};
    for (int64_t seed = 1; seed <= 3; seed++)
        add_run("none", seed, ROWS);
    find(&charts);
    ck_assert_int_eq(nl_pagedata_add(&charts, 1, NULL, &out), NL_OK);
    const char *at = strstr(nl_text_of(&out), "\"name\":\"test-accuracy\"");
    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_nonnull(strstr(at,
                                 "\"x\":[[250,500]],\"series\":[{\"r\":0,\"x\":0,\"y\":[25,50]},"
                                 "{\"r\":1,\"x\":0,\"y\":[25,50]}"));
    ck_assert_ptr_null(strstr(nl_text_of(&out), "nan"));
    nl_text_free(&out);
    nl_charts_free(&charts);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("charts");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, forget);
    tcase_add_test(t, charts_go_by_kind_then_as_the_network_has_its_layers);
    tcase_add_test(t, one_chart_is_the_named_one_or_the_last_hidden_layers);
    tcase_add_test(t, a_run_that_ended_early_meets_the_others_at_the_same_steps);
    tcase_add_test(t, few_seeds_have_their_range_and_more_an_interval);
    tcase_add_test(t, ridges_are_densities_of_the_histograms);
    tcase_add_test(t, the_page_is_told_steps_once_and_shares_in_percent);
    suite_add_tcase(s, t);
    return run_suite(s);
}
