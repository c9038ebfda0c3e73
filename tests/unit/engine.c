/* Many runs: a shell script stands for the program and behaves as its seed says. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/h5.h"
#include "registry.h"
#include "suite.h"
#include "train/engine.h"

enum { JOBS = 3 };

static char folder[] = "test_engine.XXXXXX";
static char program[64];
static nl_run_spec specs[JOBS];
static nl_job jobs[JOBS];
static volatile sig_atomic_t stop;
static int reports;

static const char script[] =
    "#!/bin/sh\n"
    "echo \"$@\" >> %s/calls\n"
    "case \"$*\" in\n"
    "*seed=1*) echo 'step 5/10 loss 0.25' >&3; echo 'step 10/10 loss 0.125' >&3;;\n"
    "*seed=2*) echo working; echo 'normlab: circles: out of paint' >&2; exit 1;;\n"
    "*seed=3*) exec sleep 60;;\n"
    "*seed=4*) kill -9 $$;;\n"
    "*seed=5*) echo 'step 5/10 loss 0.25' >&3; echo 'failed disk: no room' >&3; exit 1;;\n"
    "esac\n";

static void count_report(void *arg, const nl_job *all, int count, const nl_job *changed)
{
    (void)arg;
    (void)all;
    (void)count;
    reports += changed != NULL;
}

static void stop_at_first_report(void *arg, const nl_job *all, int count, const nl_job *changed)
{
    (void)arg;
    (void)all;
    (void)count;
    (void)changed;
    stop = 1;
}

static bool write_program(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fputs(text, f);
    return fclose(f) == 0 && chmod(path, 0755) == 0;
}

static void prepare_at(const char *out, const int seeds[JOBS])
{
    char word[128];
    for (int i = 0; i < JOBS; i++) {
        nl_words w = {0};
        snprintf(word, sizeof word, "seed=%d", seeds[i]);
        ck_assert_int_eq(nl_words_take(&w, NL_WORD_LINE, word), NL_OK);
        ck_assert_int_eq(nl_words_take(&w, NL_WORD_LINE, "data=circles"), NL_OK);
        snprintf(word, sizeof word, "out=%s", out);
        ck_assert_int_eq(nl_words_take(&w, NL_WORD_LINE, word), NL_OK);
        ck_assert_msg(nl_spec_parse(&w, &specs[i]) == NL_OK, "%s", nl_last_error());
        nl_words_free(&w);
        jobs[i] = (nl_job){.spec = &specs[i], .label = "none", .progress = -1};
        ck_assert_int_eq(nl_job_place(&jobs[i], 7), NL_OK);
    }
}

static void prepare(const int seeds[JOBS])
{
    static int group;
    char out[96];
    snprintf(out, sizeof out, "%s/deep/out%d", folder, group++);
    prepare_at(out, seeds);
}

static nl_engine engine(void)
{
    stop = 0;
    reports = 0;
    return (nl_engine){.program = program, .at_once = 2, .report = count_report, .stop = &stop};
}

START_TEST(all_runs_are_run_and_their_progress_is_read)
{
    prepare((const int[]){1, 11, 12});
    nl_engine e = engine();
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK);
    ck_assert_int_eq(e.done, JOBS);
    ck_assert_int_eq(e.failed + e.skipped + e.stopped, 0);
    ck_assert_int_eq(jobs[0].step, 10);
    ck_assert_int_eq(jobs[0].steps, 10);
    ck_assert_double_eq(jobs[0].loss, 0.125);
    ck_assert_int_eq(reports, 2 * JOBS);
}
END_TEST

START_TEST(a_failed_run_stops_no_other_and_its_last_words_are_kept)
{
    prepare((const int[]){2, 4, 1});
    nl_engine e = engine();
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK);
    ck_assert_int_eq(e.done, 1);
    ck_assert_int_eq(e.failed, 2);
    ck_assert_str_eq(jobs[0].says, "circles: out of paint");
    ck_assert_str_eq(jobs[1].says, "killed by signal 9 (Killed)");
}
END_TEST

START_TEST(why_a_run_failed_needs_no_room_on_the_disk)
{
    prepare((const int[]){5, 11, 12});
    nl_engine e = engine();
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK);
    ck_assert_int_eq(jobs[0].state, NL_JOB_FAILED);
    ck_assert_int_eq(jobs[0].step, 5);
    ck_assert_str_eq(jobs[0].says, "disk: no room");
}
END_TEST

START_TEST(told_to_stop_it_ends_its_children)
{
    prepare((const int[]){3, 3, 1});
    nl_engine e = engine();
    e.report = stop_at_first_report;
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK);
    ck_assert_int_ge(e.stopped, 1);
    ck_assert_int_eq(e.done + e.failed, 0);
    ck_assert_int_eq(jobs[2].state, NL_JOB_WAITING);
}
END_TEST

static void write_outcome(const char *path, const char *outcome, uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    nl_h5_start();
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    ck_assert_int_ge(nl_h5_set_text(file, "outcome", outcome), 0);
    ck_assert_int_ge(nl_h5_set_text(file, "hash", text), 0);
    H5Fclose(file);
}

START_TEST(finished_runs_are_skipped_and_others_are_not)
{
    char path[NL_PATH_MAX + 16];
    prepare((const int[]){1, 11, 12});
    nl_engine e = engine();
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK); /* makes the folders */
    snprintf(path, sizeof path, "%s/run.h5", jobs[0].folder);
    write_outcome(path, "diverged", jobs[0].hash);
    snprintf(path, sizeof path, "%s/run.h5", jobs[1].folder);
    write_outcome(path, "running", jobs[1].hash);
    snprintf(path, sizeof path, "%s/run.h5", jobs[2].folder);
    write_outcome(path, "done", jobs[2].hash + 1);
    for (int i = 0; i < JOBS; i++)
        jobs[i].state = NL_JOB_WAITING;
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK);
    ck_assert_int_eq(jobs[0].state, NL_JOB_SKIPPED);
    ck_assert_int_eq(jobs[1].state, NL_JOB_DONE);
    ck_assert_int_eq(jobs[2].state, NL_JOB_DONE);
}
END_TEST

START_TEST(a_folder_that_cannot_be_made_and_a_missing_program_are_named)
{
    prepare_at("/dev/null/out", (const int[]){1, 11, 12});
    nl_engine e = engine();
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_EIO);
    ck_assert_str_eq(nl_last_error(), "/dev/null/out: the folder cannot be made: Not a directory");
    prepare((const int[]){1, 11, 12});
    e.program = "./no-such-program";
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_ECHILD);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "cannot be started"));
}
END_TEST

START_TEST(children_get_the_spec_and_how_to_carry_it_out)
{
    static const char *const before[] = {"--plugin", "x.so", NULL};
    char path[96], text[8192] = "";
    snprintf(path, sizeof path, "%s/calls", folder);
    unlink(path);
    prepare((const int[]){1, 11, 12});
    nl_engine e = engine();
    e.before = before;
    e.at_once = 1;
    ck_assert_int_eq(nl_engine_run(&e, jobs, JOBS), NL_OK);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    fclose(f);
    ck_assert_ptr_eq(strstr(text, "--plugin x.so train --resume --progress-fd=3 data=circles"),
                     text);
    ck_assert_ptr_nonnull(strstr(text, " out="));
}
END_TEST

int main(void)
{
    char text[1024];
    use_registries();
    if (!mkdtemp(folder))
        return 1;
    snprintf(program, sizeof program, "%s/program", folder);
    snprintf(text, sizeof text, script, folder);
    if (!write_program(program, text))
        return 1;
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, all_runs_are_run_and_their_progress_is_read);
    tcase_add_test(t, a_failed_run_stops_no_other_and_its_last_words_are_kept);
    tcase_add_test(t, why_a_run_failed_needs_no_room_on_the_disk);
    tcase_add_test(t, told_to_stop_it_ends_its_children);
    tcase_add_test(t, finished_runs_are_skipped_and_others_are_not);
    tcase_add_test(t, a_folder_that_cannot_be_made_and_a_missing_program_are_named);
    tcase_add_test(t, children_get_the_spec_and_how_to_carry_it_out);
    suite_add_tcase(s, t);
    const int failed = run_suite(s);
    snprintf(text, sizeof text, "rm -rf %s", folder);
    return system(text) != 0 || failed != 0;
}
