/* Tables of methods x seeds from runs made up here: what is counted, censored, paired and said. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/compare.h"
#include "analysis/measures.h"
#include "analysis/report.h"
#include "analysis/sample.h"
#include "analysis/show.h"
#include "analysis/significance.h"
#include "base/alloc.h"
#include "base/random.h"
#include "io/runlog.h"
#include "suite.h"

enum { RUNS_MAX = 64, BUDGET = 2000, EVAL_EVERY = 100 };

static nl_rundata *run[RUNS_MAX];
static int64_t runs;

static void forget_runs(void)
{
    for (int64_t i = 0; i < runs; i++)
        nl_rundata_close(run[i]);
    runs = 0;
}

static double *track(nl_rundata *r, const char *name, int64_t rows, int64_t width)
{
    nl_track *t;
    ck_assert_int_eq(nl_rundata_add(r, name, rows, width, &t), NL_OK);
    return t->at;
}

static void text(nl_rundata *r, const char *name, const char *value)
{
    ck_assert_int_eq(nl_rundata_set_text(r, name, value), NL_OK);
}

static void number(nl_rundata *r, const char *name, double value)
{
    ck_assert_int_eq(nl_rundata_set_number(r, name, value), NL_OK);
}

static double noise(int64_t seed, uint32_t stream, int64_t i)
{
    return nl_random_normal((nl_key){.seed = (uint64_t)seed, .stream = stream}, (uint64_t)i);
}

/* A layer's statistics that drift by `drift` over the run. */
static void add_layer(nl_rundata *r, const char *place, double drift, int64_t seed)
{
    static const double z[] = {-2.33, -1.64, -1.04, 0, 1.04, 1.64, 2.33};
    const char *const sides[] = {"pre", "post"};
    const char *const values[] = {"mean", "std", "min", "max", "dead", "saturated"};
    const int64_t rows = BUDGET / 20;
    char name[256];
    for (int side = 0; side < 2; side++) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            snprintf(name, sizeof name, "/layers/%s/%s/%s", place, sides[side], values[v]);
            double *at = track(r, name, rows, 1);
            for (int64_t i = 0; i < rows; i++)
                at[i] = v == 0 ? drift * (double)i / (double)rows : v == 1 ? 1 : 0.1;
        }
        snprintf(name, sizeof name, "/layers/%s/%s/percentiles", place, sides[side]);
        double *at = track(r, name, rows, 7);
        for (int64_t i = 0; i < rows; i++)
            for (int k = 0; k < 7; k++)
                at[7 * i + k] = drift * sin(3.0 * (double)i / (double)rows) +
                                z[k] * (1 + fabs(drift) * (double)i / (double)rows) +
                                0.05 * noise(seed, NL_STREAM_PROBE, 7 * i + k);
    }
}

/* A run whose accuracy approaches `best` with time constant `tau` steps. */
static nl_rundata *add_run(const char *norm, int64_t seed, double best, double tau)
{
    static const char *const layers[] = {"h1", "h2", "h3", "out"};
    char name[128];
    nl_rundata *r;
    snprintf(name, sizeof name, "%s-%d.h5", norm, (int)seed);
    ck_assert_int_eq(nl_rundata_new(&r, name), NL_OK);
    run[runs++] = r;
    text(r, "norm", norm);
    text(r, "data", "glyphs:train=20000");
    text(r, "model", "mlp:hidden=100x3:act=sigmoid");
    text(r, "outcome", "done");
    text(r, "synthetic", "1");
    text(r, "cite", strcmp(norm, "none") ? "ioffe2015batch" : "");
    snprintf(name, sizeof name, "data=glyphs model=mlp norm=%s batch=60 seed=%d", norm, (int)seed);
    text(r, "spec", name);
    number(r, "seed", (double)seed);
    number(r, "steps", BUDGET);
    number(r, "wall_seconds", 0.4);
    double *step = track(r, "/steps/step", BUDGET, 1), *loss = track(r, "/steps/loss", BUDGET, 1);
    for (int64_t i = 0; i < BUDGET; i++) {
        step[i] = (double)(i + 1);
        loss[i] = (2.3 * exp(-(double)i / tau) + 0.05) * exp(0.2 * noise(seed, NL_STREAM_TEST, i));
    }
    const int64_t evals = BUDGET / EVAL_EVERY;
    double *at = track(r, "/evals/step", evals, 1),
           *acc = track(r, "/evals/test_accuracy", evals, 1);
    double *val = track(r, "/evals/test_loss", evals, 1);
    for (int64_t i = 0; i < evals; i++) {
        at[i] = (double)((i + 1) * EVAL_EVERY);
        acc[i] = best * (1 - 0.9 * exp(-at[i] / tau)) +
                 0.002 * noise(seed + (int64_t)tau, NL_STREAM_DATA, i);
        val[i] = 2.3 * exp(-at[i] / tau) + 0.1;
    }
    track(r, "/epochs/test_accuracy", 1, 1)[0] = acc[evals - 1];
    track(r, "/epochs/test_loss", 1, 1)[0] = val[evals - 1];
    track(r, "/epochs/train_loss", 1, 1)[0] = loss[BUDGET - 1];
    double *rows = track(r, "/layers/step", BUDGET / 20, 1);
    for (int64_t i = 0; i < BUDGET / 20; i++)
        rows[i] = (double)(20 * i + 1);
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        snprintf(name, sizeof name, "%s/preact", layers[l]);
        add_layer(r, name, (strcmp(norm, "none") ? 0.1 : 2) * (double)(l + 1), seed);
    }
    return r;
}

/* none never reaches 95 %, batch does quickly, layer differs from none by nothing. */
static void three_methods(int64_t seeds)
{
    for (int64_t s = 1; s <= seeds; s++) {
        add_run("none", s, 0.90, 400);
        add_run("batch", s, 0.98, 100);
        add_run("layer:eps=1e-3", s, 0.90, 400);
    }
}

static nl_compare *compared(double target, const char *baseline)
{
    nl_compare *c;
    nl_compare_options options = NL_COMPARE_DEFAULTS;
    options.target = target;
    options.baseline = baseline;
    ck_assert_msg(nl_compare_runs(&c, (const nl_rundata *const *)run, runs, &options) == NL_OK,
                  "%s", nl_last_error());
    return c;
}

static void says(const nl_compare *c, const char *expected, bool wanted)
{
    nl_text out = {0};
    nl_compare_print(c, false, &out);
    ck_assert_msg((strstr(nl_text_of(&out), expected) != NULL) == wanted, "%s '%s' in\n%s",
                  wanted ? "no" : "unwanted", expected, nl_text_of(&out));
    nl_text_free(&out);
}

START_TEST(runs_are_grouped_by_norm_and_paired_by_seed)
{
    three_methods(3);
    nl_compare *c = compared(NAN, NULL);
    ck_assert_int_eq(c->count, 3);
    ck_assert_str_eq(c->methods[1].label, "batch");
    ck_assert_int_eq(c->methods[1].difference.n, 3);
    ck_assert_double_eq_tol(c->methods[1].difference.mean,
                            c->methods[1].score.mean - c->methods[0].score.mean, 1e-12);
    ck_assert(c->methods[1].verdict == NL_VERDICT_BETTER);
    ck_assert(c->methods[2].verdict == NL_VERDICT_NOT_SHOWN);
    ck_assert(c->methods[0].verdict == NL_VERDICT_BASELINE);
    says(c, "SYNTHETIC DATA", true);
    says(c, "steps to", false);
    nl_compare_close(c);
}
END_TEST

START_TEST(a_censored_baseline_makes_a_bound_and_drops_nobody)
{
    three_methods(5);
    nl_compare *c = compared(0.95, NULL);
    const nl_method *none = &c->methods[0], *batch = &c->methods[1];
    ck_assert(none->tried == 5 && none->reached == 0 && isinf(none->median_steps));
    ck_assert(batch->reached == 5 && batch->ratio.bound == NL_BOUND_BELOW);
    ck_assert_double_lt(batch->ratio.is.mean, 0.25);
    ck_assert(batch->ratio_verdict == NL_VERDICT_BETTER);
    ck_assert(c->methods[2].ratio.bound == NL_BOUND_NONE); /* censored on both sides */
    says(c, "> 2,000", true);
    says(c, "0/5", true);
    says(c, "< 0.", true);
    nl_compare_close(c);
}
END_TEST

START_TEST(a_median_stands_where_most_but_not_all_reach_the_target)
{
    for (int64_t s = 1; s <= 3; s++)
        add_run("none", s, s == 2 ? 0.5 : 0.98, 200);
    nl_compare *c = compared(0.95, NULL);
    ck_assert(c->methods[0].reached == 2 && isfinite(c->methods[0].median_steps));
    says(c, "median ", true);
    says(c, "2/3", true);
    nl_compare_close(c);
}
END_TEST

START_TEST(diverged_runs_count_with_their_last_value_and_a_mark)
{
    three_methods(3);
    nl_rundata *bad = add_run("rms", 1, 0.3, 400);
    text(bad, "outcome", "diverged");
    add_run("rms", 2, 0.97, 100);
    add_run("rms", 3, 0.97, 100);
    nl_compare *c = compared(0.95, NULL);
    const nl_method *rms = &c->methods[3];
    ck_assert(rms->diverged == 1 && rms->score.n == 3 && rms->score.mean < 0.8);
    ck_assert(rms->tried == 3 && rms->reached == 2);
    says(c, "†", true);
    nl_compare_close(c);
}
END_TEST

START_TEST(unfinished_runs_are_counted_and_left_out)
{
    three_methods(3);
    text(run[1], "outcome", "stopped");
    nl_compare *c = compared(NAN, NULL);
    ck_assert(c->methods[1].unfinished == 1 && c->methods[1].score.n == 2);
    ck_assert(c->methods[1].difference.n == 2);
    says(c, "the table is incomplete", true);
    nl_compare_close(c);
}
END_TEST

START_TEST(one_seed_gives_no_interval_and_no_verdict)
{
    three_methods(1);
    nl_compare *c = compared(0.95, "batch");
    ck_assert_int_eq(c->baseline, 1);
    for (int64_t i = 0; i < 3; i++)
        ck_assert(isnan(c->methods[i].score.low));
    ck_assert(c->methods[0].verdict == NL_VERDICT_NONE);
    says(c, "no interval can be given", true);
    says(c, "±", false);
    nl_compare_close(c);
}
END_TEST

START_TEST(refusals_name_what_is_wrong)
{
    nl_compare *c;
    nl_compare_options options = NL_COMPARE_DEFAULTS;
    three_methods(2);
    options.baseline = "bacth";
    ck_assert_int_eq(nl_compare_runs(&c, (const nl_rundata *const *)run, runs, &options), NL_ENAME);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "did you mean 'batch'?"));
    add_run("none", 1, 0.9, 100);
    options.baseline = NULL;
    ck_assert_int_eq(nl_compare_runs(&c, (const nl_rundata *const *)run, runs, &options),
                     NL_EOPTION);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "two runs of seed 1"));
    ck_assert_int_eq(nl_compare_runs(&c, NULL, 0, &options), NL_EOPTION);
    text(run[1], "data", "circles");
    ck_assert_int_eq(nl_compare_runs(&c, (const nl_rundata *const *)run, runs, &options),
                     NL_EOPTION);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "has data 'glyphs:train=20000'"));
    const char *const missing[] = {"/nowhere/run.h5"};
    ck_assert_int_ne(nl_compare_open(&c, missing, 1, &options), NL_OK);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "/nowhere/run.h5"));
}
END_TEST

START_TEST(what_stands_beside_the_mean_is_of_the_same_runs)
{
    double at[5], base[5];
    three_methods(5);
    for (int64_t i = 1; i <= 5; i++)
        add_run("rms", i, 0.90, 405); /* as none, but for noise */
    nl_compare *c = compared(0.95, NULL);
    const nl_method *batch = &c->methods[1];
    ck_assert_int_eq(nl_compare_scores(c, batch, at), 5);
    ck_assert_int_eq(nl_compare_pairs(c, batch, at, base), 5);
    ck_assert(batch->above == 1 && batch->flips_p == 2.0 / 32 && batch->ranks_p == 2.0 / 32);
    nl_sort(at, 5);
    ck_assert(batch->median.mean == at[2] && batch->median.low == at[0]);
    ck_assert_double_eq_tol(batch->middle.mean, (at[1] + at[2] + at[3]) / 3, 1e-12);
    /* the curve rises to 0.98 with a time constant of 100 steps, and is seen from step 100 on */
    ck_assert(batch->height.mean > 0.95 && batch->height.mean < batch->score.mean);
    ck_assert_double_eq_tol(batch->smallest_effect,
                            nl_smallest_effect(5, batch->difference.sd, 0.95, 0.8), 1e-12);
    says(c, "from this size on", true);
    nl_compare_close(c);
}
END_TEST

START_TEST(the_curve_of_a_diverged_run_is_held_to_the_end)
{
    nl_rundata *r = add_run("none", 1, 0.9, 100);
    nl_track *step = (nl_track *)nl_rundata_track(r, "/evals/step");
    double *value = ((nl_track *)nl_rundata_track(r, "/evals/test_accuracy"))->at;
    step->rows = 3; /* 100, 200, 300 */
    value[0] = 0.2, value[1] = 0.4, value[2] = NAN;
    ck_assert_double_eq_tol(nl_curve_height(r, "test_accuracy", 200), 0.3, 1e-12);
    ck_assert_double_eq_tol(nl_curve_height(r, "test_accuracy", 500), (30 + 120) / 400.0, 1e-12);
    ck_assert(isnan(nl_curve_height(r, "val_accuracy", 500)));
}
END_TEST

START_TEST(a_difference_in_other_settings_is_said)
{
    three_methods(2);
    text(run[1], "spec", "data=glyphs model=mlp norm=batch batch=120 seed=1");
    nl_compare *c = compared(NAN, NULL);
    says(c, "differ in more than norm and seed: batch", true);
    nl_compare_close(c);
}
END_TEST

START_TEST(methods_go_by_their_names_where_these_differ)
{
    three_methods(3);
    nl_compare *c = compared(NAN, "layer:eps=1e-3");
    ck_assert_str_eq(c->methods[2].label, "layer");
    ck_assert_str_eq(c->methods[2].spec, "layer:eps=1e-3");
    ck_assert_int_eq(c->baseline, 2);
    says(c, "difference to layer ", true);
    says(c, "In full: layer:eps=1e-3.", true);
    nl_compare_close(c);
    add_run("layer", 1, 0.9, 400);
    c = compared(NAN, NULL);
    ck_assert_str_eq(c->methods[2].label, "layer:eps=1e-3");
    ck_assert_str_eq(c->methods[3].label, "layer");
    says(c, "In full", false);
    nl_compare_close(c);
}
END_TEST

START_TEST(json_has_the_same_numbers_and_no_nan)
{
    nl_text out = {0};
    three_methods(1);
    nl_compare *c = compared(0.95, NULL);
    nl_compare_json(c, &out);
    ck_assert_ptr_nonnull(strstr(nl_text_of(&out), "\"verdict\": \"baseline\""));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&out), "\"low\": null"));
    ck_assert_ptr_null(strstr(nl_text_of(&out), "nan"));
    ck_assert_ptr_null(strstr(nl_text_of(&out), "inf,"));
    nl_text_free(&out);
    nl_compare_close(c);
}
END_TEST

/* Seen by eye: NORMLAB_REPORT=page.html test_compare_f32 */
START_TEST(the_page_stands_alone_escapes_text_and_repeats_to_the_byte)
{
    three_methods(3);
    for (int64_t s = 1; s <= 3; s++) {
        add_run("rms", s, 0.96, 180);
        add_run("batch_layer", s, 0.97, 130);
        add_run("<b>'&\"`id`</script>", s, 0.95, 150);
    }
    nl_compare *c = compared(0.95, NULL);
    for (int pictures = NL_DRAWINGS; pictures <= NL_CHARTS; pictures++) {
        nl_text one = {0}, two = {0};
        ck_assert_msg(nl_report_page(c, NULL, (nl_pictures)pictures, &one) == NL_OK, "%s",
                      nl_last_error());
        ck_assert_int_eq(nl_report_page(c, NULL, (nl_pictures)pictures, &two), NL_OK);
        const char *page = nl_text_of(&one);
        ck_assert(strcmp(page, nl_text_of(&two)) == 0);
        ck_assert_ptr_null(strstr(page, "<b>"));
        ck_assert_ptr_null(strstr(page, "`</script>"));
        static const char *const outside[] = {"<script src", "<link",       "<iframe",
                                              "src=\"http",  "href=\"http", "url(http"};
        for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
            ck_assert_msg(!strstr(page, outside[i]), "%s", outside[i]);
        ck_assert_ptr_nonnull(strstr(page, "SYNTHETIC DATA"));
        ck_assert((strstr(page, "<script") == NULL) == (pictures == NL_DRAWINGS));
        nl_text_free(&one);
        nl_text_free(&two);
    }
    if (getenv("NORMLAB_REPORT"))
        ck_assert_msg(nl_report_write(c, NULL, getenv("NORMLAB_REPORT")) == NL_OK, "%s",
                      nl_last_error());
    nl_compare_close(c);
}
END_TEST

/* A gradient that vanishes towards the first of 50 steps, and one that is 0 there. */
static void add_steps(nl_rundata *r, double decades)
{
    const int64_t rows = BUDGET / 20, width = 50;
    double *norm = track(r, "/layers/r1/gradient_norm", rows, width);
    double *std = track(r, "/layers/r1/act/pre/step_std", rows, width);
    for (int64_t i = 0; i < rows * width; i++) {
        const double back = (double)(width - 1 - i % width) / (double)(width - 1);
        norm[i] = i == 0 ? 0 : pow(10, -decades * back);
        std[i] = i % 7 ? 0.5 + back / 2 : NAN;
    }
}

START_TEST(recurrent_layers_have_heat_maps)
{
    nl_text page = {0}, shown = {0};
    three_methods(1);
    for (int64_t i = 0; i < runs; i++)
        add_steps(run[i], 4 + 20 * (double)i);
    nl_compare *c = compared(0.95, NULL);
    ck_assert_msg(nl_report_page(c, NULL, NL_DRAWINGS, &page) == NL_OK, "%s", nl_last_error());
    ck_assert_ptr_nonnull(strstr(nl_text_of(&page), "<h2>Over time steps</h2>"));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&page), "r1: norm of dL/dh"));
    int images = 0;
    for (const char *at = nl_text_of(&page); (at = strstr(at, "data:image/png;base64")); at++)
        images++;
    ck_assert_int_eq(images, 2 * 3);
    if (getenv("NORMLAB_REPORT"))
        ck_assert_msg(nl_report_write(c, NULL, getenv("NORMLAB_REPORT")) == NL_OK, "%s",
                      nl_last_error());
    nl_show_run(run[0], &shown);
    ck_assert_ptr_nonnull(strstr(nl_text_of(&shown), "|dL/dh|"));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&shown), "        50\n"));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&shown), "    0.0001 "));
    nl_text_free(&page);
    nl_text_free(&shown);
    nl_compare_close(c);
}
END_TEST

START_TEST(without_gnuplot_the_page_says_so_and_keeps_its_tables)
{
    nl_text page = {0};
    three_methods(2);
    nl_compare *c = compared(0.95, NULL);
    ck_assert_int_eq(setenv("PATH", "/nowhere", 1), 0);
    ck_assert_int_eq(nl_report_page(c, NULL, NL_DRAWINGS, &page), NL_OK);
    ck_assert_ptr_nonnull(strstr(nl_text_of(&page), "gnuplot"));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&page), "<table"));
    ck_assert_ptr_null(strstr(nl_text_of(&page), "<svg"));
    nl_text_free(&page);
    nl_compare_close(c);
}
END_TEST

START_TEST(show_draws_one_run_in_text)
{
    nl_text out = {0};
    three_methods(1);
    nl_show_run(run[1], &out);
    const char *const expected[] = {"done",
                                    "norm=batch",
                                    "h3/preact",
                                    "training loss, logarithmic",
                                    "test accuracy, %",
                                    "step 100 to 2000",
                                    "flat"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_msg(strstr(nl_text_of(&out), expected[i]) != NULL, "no '%s' in\n%s", expected[i],
                      nl_text_of(&out));
    nl_text_free(&out);
}
END_TEST

START_TEST(run_files_are_read_as_they_were_written)
{
    char path[48]; /* both number types may run at once */
    snprintf(path, sizeof path, "compare_test_run_%d.h5", (int)getpid());
    nl_log *log;
    nl_rundata *r;
    int steps, loss;
    ck_assert_int_eq(nl_log_open(&log, path), NL_OK);
    ck_assert_int_eq(nl_log_timeline(log, "/steps", "step", "1", 16, &steps), NL_OK);
    const nl_channel channel = {.path = "/steps/loss", .timeline = steps, .type = NL_TYPE_DOUBLE};
    ck_assert_int_eq(nl_log_channel(log, &channel, &loss), NL_OK);
    ck_assert_int_eq(nl_log_set_text(log, "norm", "batch"), NL_OK);
    ck_assert_int_eq(nl_log_set_int(log, "seed", 7), NL_OK);
    ck_assert_int_eq(nl_log_begin(log), NL_OK);
    for (int64_t i = 1; i <= 3; i++) {
        nl_log_put(log, loss, (const double[]){(double)i / 4});
        ck_assert_int_eq(nl_log_row(log, steps, i), NL_OK);
    }
    ck_assert_int_eq(nl_log_finish(log, "done"), NL_OK);
    ck_assert_msg(nl_rundata_open(&r, path) == NL_OK, "%s", nl_last_error());
    run[runs++] = r;
    const nl_track *t = nl_rundata_track(r, "/steps/loss");
    ck_assert(t && t->rows == 3 && t->width == 1 && t->at[2] == 0.75);
    ck_assert_str_eq(nl_rundata_text(r, "norm", ""), "batch");
    ck_assert_str_eq(nl_rundata_text(r, "outcome", ""), "done");
    ck_assert(nl_rundata_number(r, "seed", 0) == 7);
    remove(path);
}
END_TEST

/* A folder of a paper with these claims and one curve. */
static void write_paper(char folder[64], const char *claims, const char *curve)
{
    const char *const part[][2] = {{"claims.tsv", claims}, {"accuracy.csv", curve}};
    char path[96];
    snprintf(folder, 64, "/tmp/normlab-paper-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, part[i][0]);
        FILE *f = fopen(path, "w");
        ck_assert_ptr_nonnull(f);
        fputs(part[i][1], f);
        ck_assert_int_eq(fclose(f), 0);
    }
}

static void remove_paper(const char *folder)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char curve[] =
    "# /evals/test_accuracy\nmethod,step,value\nbatch,100,0.9\nbatch,200,0.95\n";

START_TEST(claims_are_judged_by_their_intervals)
{
    static const char claims[] =
        "baseline\tnone\n"
        "A\tsteps\tbatch\tbelow\t\tfaster\n"
        "A\tscore\tbatch\tabove\t\tbetter\n"
        "B\tdrift\tbatch\tbelow\t/layers/h3/preact/post/percentiles\tcalm\n"
        "C\tscore\tbatch\tbelow\t\tworse\n"
        "D\tscore\tbatch\tabove\t\tbetter\n"
        "D\tdrift\tbatch\tbelow\t/nowhere\tnot measured\n";
    static const nl_finding wanted[] = {NL_REPRODUCED,   NL_REPRODUCED, NL_REPRODUCED,
                                        NL_CONTRADICTED, NL_NOT_SHOWN,  NL_NOT_SHOWN};
    char folder[64];
    nl_published p;
    nl_text page = {0};
    three_methods(3);
    nl_compare *c = compared(0.85, "none");
    write_paper(folder, claims, curve);
    ck_assert_msg(nl_published_read(&p, folder) == NL_OK, "%s", nl_last_error());
    ck_assert_int_eq(nl_published_measure(&p, c), NL_OK);
    ck_assert_int_eq(p.conditions, 6);
    for (int i = 0; i < 6; i++)
        ck_assert_msg(nl_published_finding(&p, i) == wanted[i], "condition %d: %s", i,
                      nl_finding_name(nl_published_finding(&p, i)));
    ck_assert_double_eq_tol(p.condition[1].is.mean, c->methods[1].difference.mean, 1e-15);
    ck_assert(p.condition[2].is.n == 3 && p.condition[2].is.high < 0.5);
    ck_assert_int_eq(p.curves, 1);
    ck_assert(p.curve[0].count == 2 && p.curve[0].x[1] == 200 && p.curve[0].y[1] == 0.95);
    ck_assert_int_eq(nl_report_page(c, &p, NL_CHARTS, &page), NL_OK);
    ck_assert_ptr_nonnull(strstr(nl_text_of(&page), "\"published\":[{\"m\":1,\"x\":[100,200]"));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&page), "<strong>contradicted</strong>"));
    nl_text_free(&page);
    nl_published_free(&p);
    nl_compare_close(c);
    remove_paper(folder);
}
END_TEST

START_TEST(a_paper_with_bad_lines_is_refused_by_file_and_line)
{
    static const struct {
        const char *claims, *curve, *says;
    } bad[] = {
        {"baseline\tnone\nA\tspeed\tbatch\tbelow\t\tx\n", curve, "claims.tsv:2: wanted claim"},
        {"baseline\tnone\nA\tsteps\tbatch\tunder\t\tx\n", curve, "claims.tsv:2: wanted claim"},
        {"A\tsteps\tbatch\tbelow\t\tx\n", curve, "no line 'baseline METHOD'"},
        {"baseline\tnone\n", "method,step,value\n", "accuracy.csv:1: wanted the channel"},
        {"baseline\tnone\n", "# /a\nmethod,step,value\nbatch,1,x\n", "accuracy.csv:3: wanted"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char folder[64];
        nl_published p;
        write_paper(folder, bad[i].claims, bad[i].curve);
        ck_assert_int_eq(nl_published_read(&p, folder), NL_EFORMAT);
        ck_assert_msg(strstr(nl_last_error(), bad[i].says) != NULL, "%s", nl_last_error());
        remove_paper(folder);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("compare");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, forget_runs);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, runs_are_grouped_by_norm_and_paired_by_seed);
    tcase_add_test(t, a_censored_baseline_makes_a_bound_and_drops_nobody);
    tcase_add_test(t, a_median_stands_where_most_but_not_all_reach_the_target);
    tcase_add_test(t, diverged_runs_count_with_their_last_value_and_a_mark);
    tcase_add_test(t, unfinished_runs_are_counted_and_left_out);
    tcase_add_test(t, one_seed_gives_no_interval_and_no_verdict);
    tcase_add_test(t, refusals_name_what_is_wrong);
    tcase_add_test(t, what_stands_beside_the_mean_is_of_the_same_runs);
    tcase_add_test(t, the_curve_of_a_diverged_run_is_held_to_the_end);
    tcase_add_test(t, a_difference_in_other_settings_is_said);
    tcase_add_test(t, methods_go_by_their_names_where_these_differ);
    tcase_add_test(t, json_has_the_same_numbers_and_no_nan);
    tcase_add_test(t, the_page_stands_alone_escapes_text_and_repeats_to_the_byte);
    tcase_add_test(t, recurrent_layers_have_heat_maps);
    tcase_add_test(t, without_gnuplot_the_page_says_so_and_keeps_its_tables);
    tcase_add_test(t, show_draws_one_run_in_text);
    tcase_add_test(t, run_files_are_read_as_they_were_written);
    tcase_add_test(t, claims_are_judged_by_their_intervals);
    tcase_add_test(t, a_paper_with_bad_lines_is_refused_by_file_and_line);
    suite_add_tcase(s, t);
    return run_suite(s);
}
