/* The run log: what is put comes back, by our reader and by h5py; resume trims; failures are said
 * once and leave a readable file. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "io/file.h"
#include "io/recover.h"
#include "io/runlog.h"
#include "io/runread.h"

#include "crash/small_run.h"
#include "suite.h"

static long torn; /* writes that a kill can cut in two: they lie across a border of pages */

/* Stands before libc's, for HDF5 too.
 * NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *bytes, size_t count,
                                                      off_t at)
{
    enum { PAGE = 4096 };
    torn += at / PAGE != (at + (off_t)count - 1) / PAGE;
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

/* The last rows of a data set are those of the whole. */
static void check_ends(nl_run *run, const char *of)
{
    static const int64_t mosts[] = {0, 1, 5, 1000};
    nl_array whole, last;
    OK(nl_run_read(run, of, &whole));
    for (size_t k = 0; k < sizeof mosts / sizeof *mosts; k++) {
        OK(nl_run_read_last(run, of, mosts[k], &last));
        ck_assert_int_eq(last.rank, whole.rank);
        ck_assert_int_eq(last.dim[0], mosts[k] < whole.dim[0] ? mosts[k] : whole.dim[0]);
        for (int64_t i = 0; i < last.count; i++)
            ck_assert(last.at[i] == whole.at[whole.count - last.count + i] || isnan(last.at[i]));
        nl_array_free(&last);
    }
    nl_array_free(&whole);
}

START_TEST(what_is_put_comes_back)
{
    struct run r;
    open_run(&r);
    write_steps(&r, 1, 57);
    OK(nl_log_set_real(r.log, "wall_seconds", 1.5));
    OK(nl_log_finish(r.log, "done"));
    ck_assert(!nl_file_exists(part));
    check_file(path, 57, "done");

    nl_run *run;
    double seconds = 0;
    int64_t threads = 0;
    nl_text text = {0};
    OK(nl_run_open(&run, path));
    ck_assert(!nl_run_is_live(run));
    ck_assert(nl_run_real(run, "/", "wall_seconds", &seconds));
    ck_assert_double_eq(seconds, 1.5);
    ck_assert(nl_run_int(run, "/", "threads", &threads));
    ck_assert_int_eq(threads, 2);
    ck_assert(nl_run_text(run, "/steps/loss", "units", &text));
    ck_assert_str_eq(nl_text_of(&text), "nats");
    nl_text_clear(&text);
    OK(nl_run_scale_of(run, "/layers/h1/preact/pre/percentiles", 1, &text));
    ck_assert_str_eq(nl_text_of(&text), "/layers/percentile");
    nl_text_free(&text);
    nl_names names;
    OK(nl_run_list(run, "/layers", NL_RUN_GROUP, &names));
    ck_assert_int_eq(names.count, 1);
    ck_assert_str_eq(names.at[0], "h1");
    nl_names_free(&names);
    nl_array index;
    OK(nl_run_read_index(run, "/norms/h1/preact/gamma", &index));
    ck_assert_int_eq(index.count, 14);
    ck_assert_double_eq(index.at[13], 56);
    nl_array_free(&index);
    check_ends(run, "/steps/loss");
    check_ends(run, "/layers/h1/preact/pre/percentiles");
    ck_assert_int_eq(nl_run_read(run, "/steps/lose", &index), NL_ENAME);
    nl_run_close(run);
}
END_TEST

START_TEST(absent_reals_are_nan)
{
    struct run r;
    open_run(&r);
    OK(nl_log_row(r.log, r.steps, 1));
    OK(nl_log_finish(r.log, "diverged"));
    nl_run *run;
    OK(nl_run_open(&run, path));
    nl_array loss = read_back(run, "/steps/loss", 1);
    ck_assert(isnan(loss.at[0]));
    nl_array_free(&loss);
    nl_run_close(run);
}
END_TEST

START_TEST(no_row_is_written_across_two_pages)
{
    enum { STEPS = 3000, FLUSH = 7 };
    struct run r;
    open_run(&r);
    torn = 0;
    for (int64_t step = 1; step <= STEPS; step += FLUSH) {
        write_steps(&r, step, step + FLUSH - 1);
        OK(nl_log_flush(r.log));
    }
    ck_assert_int_eq(torn, 0);
    OK(nl_log_finish(r.log, "done"));
}
END_TEST

/* A deep network has so many; HDF5's cache of metadata holds fewer by itself. */
START_TEST(thousands_of_channels_are_written)
{
    enum { CHANNELS = 4000, ROWS = 24, CHUNK = 8 };
    static int channel[CHANNELS];
    nl_log *log;
    int timeline;
    OK(nl_log_open(&log, path));
    OK(nl_log_timeline(log, "/layers", "step", "optimizer steps", CHUNK, &timeline));
    for (int k = 0; k < CHANNELS; k++) {
        char name[64];
        snprintf(name, sizeof name, "/layers/l%d/preact/pre/c%d", k / 20, k % 20);
        const nl_channel c = {.path = name,
                              .timeline = timeline,
                              .type = NL_TYPE_REAL,
                              .unit = "1",
                              .doc = "a value"};
        OK(nl_log_channel(log, &c, &channel[k]));
    }
    OK(nl_log_begin(log));
    torn = 0;
    for (int row = 1; row <= ROWS; row++) {
        for (int k = 0; k < CHANNELS; k++) {
            const double v = k + row;
            nl_log_put(log, channel[k], &v);
        }
        OK(nl_log_row(log, timeline, row));
    }
    ck_assert_int_eq(torn, 0);
    OK(nl_log_finish(log, "done"));
    nl_run *run;
    OK(nl_run_open(&run, path));
    nl_array last = read_back(run, "/layers/l199/preact/pre/c19", ROWS);
    ck_assert_double_eq(last.at[ROWS - 1], CHANNELS - 1 + ROWS);
    nl_array_free(&last);
    nl_run_close(run);
}
END_TEST

/* Writes 20 steps, 16 of which fill a chunk, and says so; flushes when told; then waits. */
static void write_and_wait(int from_parent, int to_parent)
{
    struct run r;
    char token = 0;
    open_run(&r);
    write_steps(&r, 1, 20);
    for (int round = 0; round < 2; round++) {
        if (write(to_parent, &token, 1) != 1 || read(from_parent, &token, 1) != 1)
            break;
        OK(nl_log_flush(r.log));
    }
    _exit(0);
}

START_TEST(a_live_file_shows_committed_rows)
{
    int down[2], up[2], how;
    char token;
    ck_assert(pipe(down) == 0 && pipe(up) == 0);
    const pid_t child = fork();
    if (child == 0)
        write_and_wait(down[0], up[1]);
    ck_assert_int_eq(read(up[0], &token, 1), 1);
    nl_run *run;
    OK(nl_run_open(&run, part));
    ck_assert(nl_run_is_live(run));
    nl_array loss = read_back(run, "/steps/loss", 16);
    nl_array_free(&loss);
    check_ends(run, "/steps/loss");
    nl_run_close(run);
    ck_assert_int_eq(nl_recover(part, NULL), NL_EIO);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "another process has it open"));
    nl_log *second;
    ck_assert_int_eq(nl_log_open(&second, path), NL_EIO);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "another process has it open"));
    ck_assert_int_eq(nl_log_resume(&second, path, 1, 0), NL_EIO);
    ck_assert(write(down[1], &token, 1) == 1 && read(up[0], &token, 1) == 1);
    check_file(part, 20, "running");
    ck_assert_int_eq(write(down[1], &token, 1), 1);
    waitpid(child, &how, 0);
}
END_TEST

START_TEST(a_file_being_written_is_not_recovered)
{
    struct run r;
    open_run(&r);
    ck_assert_int_eq(nl_recover(part, NULL), NL_EIO);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "another process has it open"));
    nl_log *second;
    ck_assert_int_eq(nl_log_open(&second, path), NL_EIO);
    write_steps(&r, 1, 5);
    OK(nl_log_finish(r.log, "done"));
    check_file(path, 5, "done");
}
END_TEST

static void kill_after(int64_t steps, int64_t flushed)
{
    const pid_t child = fork();
    if (child == 0) {
        struct run r;
        open_run(&r);
        write_steps(&r, 1, flushed);
        OK(nl_log_sync(r.log));
        write_steps(&r, flushed + 1, steps);
        kill(getpid(), SIGKILL);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFSIGNALED(how));
}

START_TEST(a_killed_file_recovers_to_its_committed_rows)
{
    kill_after(20, 20);
    nl_text says = {0};
    OK(nl_recover(part, &says));
    ck_assert_ptr_nonnull(strstr(nl_text_of(&says), "27 committed rows of 3 timelines"));
    nl_text_free(&says);
    check_file(part, 20, "killed");
    OK(nl_recover(part, NULL));
    check_file(part, 20, "killed");
}
END_TEST

START_TEST(a_resumed_run_equals_an_uninterrupted_one)
{
    kill_after(45, 33);
    struct run r;
    resume_run(&r, 27);
    ck_assert_int_eq(nl_log_rows(r.log, r.steps), 27);
    ck_assert_int_eq(nl_log_rows(r.log, r.layers), 6);
    ck_assert_int_eq(nl_log_rows(r.log, r.epochs), 2);
    write_steps(&r, 28, 70);
    OK(nl_log_finish(r.log, "done"));
    check_file(path, 70, "done");
    resume_run(&r, 70); /* an ended run goes on */
    write_steps(&r, 71, 100);
    OK(nl_log_finish(r.log, "stopped"));
    check_file(path, 100, "stopped");
}
END_TEST

START_TEST(resume_refuses_other_channels)
{
    kill_after(20, 20);
    struct run r;
    int id;
    OK(nl_log_resume(&r.log, path, 20, 2));
    OK(nl_log_timeline(r.log, "/steps", "step", NULL, 16, &r.steps));
    ck_assert_int_eq(nl_log_channel(r.log,
                                    &(nl_channel){.path = "/record/order",
                                                  .timeline = r.steps,
                                                  .type = NL_TYPE_INT64,
                                                  .rank = 1,
                                                  .dim = {4}},
                                    &id),
                     NL_ESTATE);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "is (20, 3) or of another type"));
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "this run wants (20, 4)"));
    ck_assert_int_eq(nl_log_begin(r.log), NL_ESTATE);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "which this run has not"));
    nl_log_abandon(r.log);
}
END_TEST

START_TEST(declarations_are_checked)
{
    struct run r;
    int id;
    OK(nl_log_open(&r.log, path));
    OK(nl_log_timeline(r.log, "/steps", "step", NULL, 16, &r.steps));
    const nl_channel loss = {.path = "/steps/loss", .timeline = r.steps};
    OK(nl_log_channel(r.log, &loss, &id));
    ck_assert_int_eq(nl_log_channel(r.log, &loss, &id), NL_ENAME);
    const nl_channel unlabelled = {
        .path = "/steps/x", .timeline = r.steps, .rank = 1, .dim = {2}, .scale = {"/nowhere"}};
    ck_assert_int_eq(nl_log_channel(r.log, &unlabelled, &id), NL_ENAME);
    ck_assert_int_eq(nl_log_labels(r.log, "percentile", (double[]){1}, 1), NL_ENAME);
    nl_log_abandon(r.log);
    ck_assert(!nl_file_exists(part));
}
END_TEST

static void write_text_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void refused(nl_status wanted, const char *words)
{
    nl_run *run;
    ck_assert_int_eq(nl_run_open(&run, path), wanted);
    ck_assert_msg(strstr(nl_last_error(), words), "%s", nl_last_error());
    ck_assert_int_eq(nl_recover(path, NULL), wanted);
    ck_assert_msg(strstr(nl_last_error(), words), "%s", nl_last_error());
}

START_TEST(files_of_others_are_refused)
{
    refused(NL_EIO, "No such file");
    write_text_file(path, "not a run");
    refused(NL_EFORMAT, "is not an HDF5 file");
    write_text_file(path, "");
    refused(NL_EFORMAT, "is not an HDF5 file");
}
END_TEST

START_TEST(a_truncated_file_is_refused_or_read_right)
{
    struct run r;
    struct stat info;
    open_run(&r);
    write_steps(&r, 1, 40);
    OK(nl_log_finish(r.log, "done"));
    ck_assert_int_eq(stat(path, &info), 0);
    for (int k = 1; k < 20; k++) {
        ck_assert_int_eq(truncate(path, info.st_size * (20 - k) / 20), 0);
        nl_run *run;
        ck_assert_int_eq(nl_run_open(&run, path), NL_EFORMAT);
        ck_assert_int_ne(nl_recover(path, NULL), NL_OK);
        char copy[160];
        snprintf(copy, sizeof copy, "%s.recover", path);
        ck_assert(!nl_file_exists(copy));
    }
}
END_TEST

/* What is read back of so many rows is right, or none is. */
START_TEST(a_killed_and_truncated_file_keeps_no_wrong_row)
{
    struct stat info;
    char copy[160];
    snprintf(copy, sizeof copy, "%s/copy.h5", folder);
    kill_after(400, 400);
    ck_assert_int_eq(stat(part, &info), 0);
    for (int k = 1; k < 20; k++) {
        ck_assert_int_eq(truncate(part, info.st_size * (20 - k) / 20), 0);
        if (nl_recover_to(part, copy, INT64_MAX, INT64_MAX) == NL_OK)
            check_file(copy, 400, "running");
    }
}
END_TEST

START_TEST(an_unwritable_folder_is_said)
{
    nl_log *log;
    ck_assert_int_eq(nl_log_open(&log, "/nowhere/run.h5"), NL_EIO);
    ck_assert_str_eq(nl_last_error(),
                     "/nowhere/run.h5.part: cannot be created: No such file or directory");
}
END_TEST

/* Writes until it cannot; gives the rows that were flushed. */
static int64_t write_until_full(const char *reason)
{
    struct run r;
    open_run(&r);
    int64_t flushed = 0;
    nl_status st = NL_OK;
    for (int64_t step = 1; st == NL_OK && step < 200000; step++) {
        st = write_step(&r, step);
        if (st == NL_OK && step % 50 == 0) {
            st = nl_log_flush(r.log);
            if (st == NL_OK)
                flushed = step;
        }
    }
    char wanted[300];
    snprintf(wanted, sizeof wanted, "%s: cannot be written: %s", part, reason);
    if (st != NL_EIO || strcmp(nl_last_error(), wanted) != 0 || !nl_log_dead(r.log) ||
        nl_log_flush(r.log) != NL_EIO || strcmp(nl_last_error(), wanted) != 0 ||
        nl_log_finish(r.log, "done") != NL_EIO)
        return -1;
    return flushed;
}

/* A process of its own, which leaves through exit, HDF5's handlers included. */
static void full_disk(rlim_t limit, const char *reason)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (limit) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
        }
        const int64_t rows = write_until_full(reason);
        const ssize_t sent = write(ends[1], &rows, sizeof rows);
        exit(rows > 0 && sent == sizeof rows ? 0 : 1);
    }
    int how;
    int64_t rows = 0;
    ck_assert_int_eq(read(ends[0], &rows, sizeof rows), sizeof rows);
    close(ends[0]);
    close(ends[1]);
    waitpid(child, &how, 0);
    ck_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    ck_assert_int_gt(rows, 0);
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s.h5", folder);
    OK(nl_recover_to(part, elsewhere, rows, rows / EPOCH));
    check_file(elsewhere, rows, "running");
    unlink(elsewhere);
}

START_TEST(a_full_disk_is_said_once_and_keeps_what_was_flushed)
{
    full_disk(300000, "File too large");
    OK(nl_recover(part, NULL));
    nl_run *run;
    OK(nl_run_open(&run, part));
    ck_assert(!nl_run_is_live(run));
    nl_run_close(run);
}
END_TEST

START_TEST(a_full_file_system_too)
{
    if (mount("normlab-test", folder, "tmpfs", 0, "size=400k") != 0) {
        printf("runlog: a_full_file_system_too skipped, a tmpfs cannot be mounted\n");
        return;
    }
    full_disk(0, "No space left on device");
    ck_assert_int_eq(nl_recover(part, NULL), NL_EIO); /* no room for the copy */
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "No space left on device"));
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

START_TEST(memory_that_runs_out_is_said)
{
    const long live = nl_alloc_live();
    for (long k = 0; k < 100; k++) {
        nl_log *log = NULL;
        int steps, id;
        nl_alloc_fail_at(k);
        nl_status st = nl_log_open(&log, path);
        if (st == NL_OK)
            st = nl_log_timeline(log, "/steps", "step", NULL, 16, &steps);
        if (st == NL_OK)
            st = nl_log_channel(log, &(nl_channel){.path = "/steps/loss", .rank = 1, .dim = {3}},
                                &id);
        if (st == NL_OK)
            st = nl_log_begin(log);
        nl_alloc_fail_at(-1);
        ck_assert(st == NL_OK || st == NL_ENOMEM);
        if (log)
            nl_log_abandon(log);
        ck_assert_int_eq(nl_alloc_live(), live);
        if (st == NL_OK)
            return;
    }
    ck_abort_msg("never enough memory");
}
END_TEST

START_TEST(rows_cost_little)
{
    struct run r;
    OK(nl_log_open(&r.log, path));
    OK(nl_log_timeline(r.log, "/steps", "step", NULL, 512, &r.steps));
    int id[5];
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "/steps/c%d", i);
        OK(nl_log_channel(r.log, &(nl_channel){.path = name, .timeline = r.steps}, &id[i]));
    }
    OK(nl_log_begin(r.log));
    enum { STEPS = 51200 };
    const long calls = nl_alloc_calls();
    const double begin = nl_wall_seconds();
    for (int64_t step = 0; step < STEPS; step++) {
        const double v = 1.0 / (double)(step + 1);
        for (int i = 0; i < 5; i++)
            nl_log_put(r.log, id[i], &v);
        OK(nl_log_row(r.log, r.steps, step));
    }
    const double us = (nl_wall_seconds() - begin) * 1e6 / STEPS / 6;
    ck_assert_int_eq(nl_alloc_calls(), calls);
    if (getenv("NORMLAB_TIMES"))
        printf("runlog: %.3f us a value and step\n", us);
    ck_assert_double_lt(us, 10); /* 1 alone on the machine */
    OK(nl_log_finish(r.log, "done"));
}
END_TEST

START_TEST(h5py_sees_labels_as_docs_format_md_says)
{
    if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        printf("runlog: h5py_sees_labels_as_docs_format_md_says skipped, no h5py\n");
        return;
    }
    struct run r;
    open_run(&r);
    write_steps(&r, 1, 57);
    OK(nl_log_finish(r.log, "done"));
    char command[400];
    snprintf(command, sizeof command, "/usr/bin/python3 '%s/tests/unit/format_h5py.py' '%s' '%s'",
             NL_SOURCE_DIR, NL_SOURCE_DIR "/docs/format.md", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runlog");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 400);
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, what_is_put_comes_back);
    tcase_add_test(t, absent_reals_are_nan);
    tcase_add_test(t, no_row_is_written_across_two_pages);
    tcase_add_test(t, thousands_of_channels_are_written);
    tcase_add_test(t, a_live_file_shows_committed_rows);
    tcase_add_test(t, a_file_being_written_is_not_recovered);
    tcase_add_test(t, a_killed_file_recovers_to_its_committed_rows);
    tcase_add_test(t, a_resumed_run_equals_an_uninterrupted_one);
    tcase_add_test(t, resume_refuses_other_channels);
    tcase_add_test(t, declarations_are_checked);
    tcase_add_test(t, files_of_others_are_refused);
    tcase_add_test(t, a_truncated_file_is_refused_or_read_right);
    tcase_add_test(t, a_killed_and_truncated_file_keeps_no_wrong_row);
    tcase_add_test(t, an_unwritable_folder_is_said);
    tcase_add_test(t, a_full_disk_is_said_once_and_keeps_what_was_flushed);
    tcase_add_test(t, a_full_file_system_too);
    tcase_add_test(t, memory_that_runs_out_is_said);
    tcase_add_test(t, rows_cost_little);
    tcase_add_test(t, h5py_sees_labels_as_docs_format_md_says);
    suite_add_tcase(s, t);
    return run_suite(s);
}
