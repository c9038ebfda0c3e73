/* Several tasks at once, from runs made up here: what is a task, what is averaged, ranked, said. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/collect.h"
#include "analysis/sheet.h"
#include "analysis/study.h"
#include "suite.h"

enum { RUNS_MAX = 256, SEEDS = 5 };

static nl_rundata *run[RUNS_MAX];
static int64_t runs;
static nl_study *study;

static void forget(void)
{
    nl_study_close(study);
    study = NULL;
    for (int64_t i = 0; i < runs; i++)
        nl_rundata_close(run[i]);
    runs = 0;
}

static void text(nl_rundata *r, const char *name, const char *value)
{
    ck_assert_int_eq(nl_rundata_set_text(r, name, value), NL_OK);
}

static void track(nl_rundata *r, const char *name, double a, double b)
{
    nl_track *t;
    ck_assert_int_eq(nl_rundata_add(r, name, 2, 1, &t), NL_OK);
    t->at[0] = a;
    t->at[1] = b;
}

/* A run of a model and a rate that comes to `score` in 200 steps and has half of it after 100. */
static nl_rundata *add_run(const char *norm, const char *model, const char *rate, int seed,
                           double score)
{
    char spec[256], name[64];
    nl_rundata *r;
    snprintf(name, sizeof name, "%s-%s-%s-%d", model, rate, norm, seed);
    snprintf(spec, sizeof spec,
             "data=circles\nmodel=%s:act=relu\nnorm=%s:eps=1e-05\noptimizer=sgd:lr=%s\nseed=%d\n",
             model, norm, rate, seed);
    ck_assert_int_eq(nl_rundata_new(&r, name), NL_OK);
    run[runs++] = r;
    text(r, "spec", spec);
    text(r, "norm", norm);
    text(r, "data", "circles");
    text(r, "outcome", "done");
    ck_assert_int_eq(nl_rundata_set_number(r, "seed", seed), NL_OK);
    track(r, "/evals/step", 100, 200);
    track(r, "/evals/seconds", 1, 2);
    track(r, "/evals/test_accuracy", score / 2, score);
    return r;
}

/* Differences that differ by seed, so that nothing has zero width. */
static void add_method(const char *norm, const char *model, const char *rate, double score)
{
    static const double by_seed[SEEDS] = {0.01, -0.02, 0.005, 0.015, -0.01};
    for (int s = 0; s < SEEDS; s++)
        add_run(norm, model, rate, s + 1, score + by_seed[s] * (norm[0] == 'b' ? 1 : 0.5));
}

static void three_tasks(void)
{
    const char *const rates[] = {"0.1", "10", "0.03"};
    for (int k = 0; k < 3; k++) {
        add_method("none", "mlp", rates[k], 0.6 + 0.05 * k);
        add_method("batch", "mlp", rates[k], 0.7 + 0.05 * k);
        add_method("layer", "mlp", rates[k], 0.6 + 0.05 * k);
    }
}

static nl_status make(const char *baseline)
{
    nl_compare_options options = NL_COMPARE_DEFAULTS;
    options.baseline = baseline;
    options.target = 0.65;
    return nl_study_make(&study, run, runs, &options);
}

static const char *printed(void (*print)(const nl_study *s, nl_text *out))
{
    static nl_text out;
    nl_text_clear(&out);
    print(study, &out);
    ck_assert_int_eq(nl_text_status(&out), NL_OK);
    return nl_text_of(&out);
}

static void says(const char *all, const char *expected)
{
    ck_assert_msg(strstr(all, expected) != NULL, "no '%s' in\n%s", expected, all);
}

START_TEST(a_task_is_all_but_norm_and_seed)
{
    three_tasks();
    ck_assert_msg(make(NULL) == NL_OK, "%s", nl_last_error());
    ck_assert(study->tasks == 3 && study->methods == 3 && study->common == 3);
    ck_assert_str_eq(study->method[study->baseline].label, "none");
    ck_assert_str_eq(nl_text_of(&study->task[0].label), "optimizer.lr=0.03");
    ck_assert_str_eq(nl_text_of(&study->task[2].label), "optimizer.lr=10");
    const nl_standing *batch = &study->method[1];
    ck_assert(batch->runs == 3 * SEEDS && batch->mean.is.n == 3 * SEEDS);
    ck_assert_double_eq_tol(batch->mean.value, 0.75, 1e-12);
    ck_assert_double_eq_tol(batch->median, 0.75, 1e-12);
    ck_assert_double_eq_tol(batch->difference.value, 0.1, 1e-12);
    ck_assert(batch->difference.is.low > 0.08 && batch->difference.is.high < 0.12);
    ck_assert(batch->verdict == NL_VERDICT_BETTER && batch->above.value == 1);
    ck_assert(study->method[2].verdict == NL_VERDICT_NOT_SHOWN);
    ck_assert(batch->mean_rank == 1 && batch->flips_p == 2 / 32768.0);
}
END_TEST

START_TEST(tasks_that_differ_in_one_key_are_a_view_by_growing_value)
{
    three_tasks();
    add_method("none", "rnn", "0.1", 0.5);
    ck_assert_int_eq(make(NULL), NL_OK);
    ck_assert(study->tasks == 4 && study->common == 3 && study->views == 1);
    ck_assert_str_eq(study->view[0].key, "optimizer.lr");
    ck_assert_int_eq(study->view[0].count, 3);
    ck_assert_int_eq(study->view[0].task[0], 0); /* 0.03 before 0.1 before 10 */
    ck_assert_int_eq(study->view[0].task[2], 2);
    ck_assert_str_eq(nl_text_of(&study->view[0].rest), "mlp");
    const char *all = printed(nl_study_print);
    says(all, "test accuracy, % over optimizer.lr at mlp");
    says(all, "1 of 4 tasks lack a method");
    says(all, "Nemenyi's critical difference");
}
END_TEST

START_TEST(profiles_count_tasks_and_leave_out_those_nobody_solved)
{
    three_tasks(); /* 0.65 is reached by batch everywhere, by the others at two rates */
    ck_assert_int_eq(make(NULL), NL_OK);
    ck_assert_int_eq(study->profiled, 3);
    ck_assert(study->method[1].profile[0] == 1);
    ck_assert_double_eq_tol(study->method[0].profile[NL_PROFILE_POINTS - 1], 2.0 / 3, 1e-12);
}
END_TEST

START_TEST(diverged_runs_stay_and_are_counted)
{
    three_tasks();
    for (int s = 0; s < SEEDS; s++) { /* all of one method in one task */
        text(run[SEEDS + s], "outcome", "diverged");
        ((nl_track *)nl_rundata_track(run[SEEDS + s], "/evals/test_accuracy"))->at[1] = 0.1;
    }
    ck_assert_int_eq(make(NULL), NL_OK);
    ck_assert(study->method[1].diverged == SEEDS && study->common == 3);
    ck_assert_double_eq_tol(study->method[1].mean.value, (0.1 + 0.75 + 0.8) / 3, 1e-9);
    says(printed(nl_study_print), "diverged runs (5)");
    says(printed(nl_study_print), "†");
}
END_TEST

START_TEST(slots_of_their_own_make_methods_of_their_own)
{
    three_tasks();
    for (int s = 0; s < SEEDS; s++) {
        nl_rundata *r = add_run("layer", "mlp", "0.1", s + 1, 0.9);
        text(
            r, "spec",
            "data=circles\nmodel=mlp:act=relu\nnorm=layer\nnorm.act=batch\noptimizer=sgd:lr=0.1\n");
    }
    ck_assert_msg(make(NULL) == NL_OK, "%s", nl_last_error());
    ck_assert_int_eq(study->methods, 4);
    ck_assert_str_eq(study->method[3].label, "layer, norm.act=batch");
}
END_TEST

START_TEST(one_task_is_a_comparison_with_all_its_tables)
{
    add_method("none", "mlp", "0.1", 0.6);
    add_method("batch", "mlp", "0.1", 0.7);
    ck_assert_int_eq(make("batch"), NL_OK);
    ck_assert(study->common == 1 && isnan(study->friedman.chi_square_p));
    says(printed(nl_study_print), "p sign flips");
    says(printed(nl_study_print), "difference to batch");
}
END_TEST

START_TEST(refusals_name_what_is_missing)
{
    three_tasks();
    ck_assert_int_eq(make("bacth"), NL_ENAME);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "did you mean 'batch'?"));
    add_method("batch", "rnn", "0.1", 0.5);
    ck_assert_int_eq(make(NULL), NL_EOPTION);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "has no run of the baseline 'none'"));
    add_run("none", "mlp", "0.1", 1, 0.5);
    ck_assert_int_eq(make("batch"), NL_EOPTION);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "two runs of seed 1"));
}
END_TEST

static void is_json(const char *text)
{
    int deep = 0;
    bool quoted = false;
    for (; *text; text++) {
        if (*text == '"' && text[-1] != '\\')
            quoted = !quoted;
        deep += !quoted && strchr("{[", *text) ? 1 : 0;
        deep -= !quoted && strchr("}]", *text) ? 1 : 0;
        ck_assert(deep >= 0);
    }
    ck_assert(deep == 0 && !quoted);
}

START_TEST(json_and_csv_have_every_task_and_method)
{
    three_tasks();
    ck_assert_int_eq(make(NULL), NL_OK);
    const char *json = printed(nl_study_json);
    is_json(json);
    ck_assert_ptr_null(strstr(json, "nan"));
    ck_assert_ptr_null(strstr(json, "inf,"));
    says(json, "\"sensitivity\": [\n  {\"key\": \"optimizer.lr\", \"at\": \"\", \"values\": "
               "[\"0.03\", \"0.1\", \"10\"]");
    const char *csv = printed(nl_study_csv);
    int lines = 0;
    for (const char *c = csv; *c; c++)
        lines += *c == '\n';
    ck_assert_int_eq(lines, 10);
    says(csv, "\noptimizer.lr=0.1,batch,test_accuracy,better,5,0,0,5,0.7,");
}
END_TEST

START_TEST(sheets_quote_what_csv_and_json_need)
{
    nl_sheet s = {0};
    nl_text out = {0};
    nl_sheet_text(&s, "name");
    nl_sheet_text(&s, "value");
    nl_sheet_end(&s);
    nl_sheet_text(&s, "a,\"b\"");
    nl_sheet_real(&s, 0.5);
    nl_sheet_text(&s, "µ");
    nl_sheet_real(&s, NAN);
    nl_sheet_csv(&s, &out);
    ck_assert_str_eq(nl_text_of(&out), "name,value\n\"a,\"\"b\"\"\",0.5\nµ,\n");
    nl_text_clear(&out);
    nl_sheet_json(&s, &out);
    ck_assert_str_eq(nl_text_of(&out), "[\n {\"name\": \"a,\\\"b\\\"\", \"value\": 0.5},\n"
                                       " {\"name\": \"µ\", \"value\": null}]\n");
    nl_text_clear(&out);
    nl_sheet_print(&s, &out);
    ck_assert_str_eq(nl_text_of(&out), "name    value\na,\"b\"     0.5\nµ            \n");
    nl_text_free(&out);
    nl_sheet_free(&s);
}
END_TEST

START_TEST(collected_runs_are_one_row_each_with_every_key)
{
    nl_text out = {0};
    nl_sheet s = {0};
    add_run("none", "mlp", "0.1", 1, 0.6);
    add_run("batch", "rnn", "0.3", 2, 0.7);
    ck_assert_int_eq(nl_collect(&s, (const nl_rundata *const *)run, runs), NL_OK);
    nl_sheet_csv(&s, &out);
    says(nl_text_of(&out),
         "run,outcome,method,data,model,model.act,norm,norm.eps,optimizer,optimizer.lr,"
         "seed,last_step,train_loss,");
    says(nl_text_of(&out), "\nrnn-0.3-batch-2,done,batch,circles,rnn,relu,batch,1e-05,sgd,0.3,2,");
    says(nl_text_of(&out), ",0.7,");
    nl_text_free(&out);
    nl_sheet_free(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("study");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, forget);
    tcase_add_test(t, a_task_is_all_but_norm_and_seed);
    tcase_add_test(t, tasks_that_differ_in_one_key_are_a_view_by_growing_value);
    tcase_add_test(t, profiles_count_tasks_and_leave_out_those_nobody_solved);
    tcase_add_test(t, diverged_runs_stay_and_are_counted);
    tcase_add_test(t, slots_of_their_own_make_methods_of_their_own);
    tcase_add_test(t, one_task_is_a_comparison_with_all_its_tables);
    tcase_add_test(t, refusals_name_what_is_missing);
    tcase_add_test(t, json_and_csv_have_every_task_and_method);
    tcase_add_test(t, sheets_quote_what_csv_and_json_need);
    tcase_add_test(t, collected_runs_are_one_row_each_with_every_key);
    suite_add_tcase(s, t);
    return run_suite(s);
}
