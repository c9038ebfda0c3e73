/* One run, killed by SIGKILL at 20 random moments and resumed each time: every row that was flushed
 * is there and right, in the killed file, after recovery, and at the end. */
#include <check.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "crash/small_run.h"
#include "io/recover.h"
#include "suite.h"

enum { KILLS = 20, FLUSH = 7 };

/* Reports the step of each flush that returned. */
static void write_forever(int64_t from, int report)
{
    struct run r;
    if (from)
        resume_run(&r, from);
    else
        open_run(&r);
    for (int64_t step = from + 1;; step++) {
        if (write_step(&r, step) != NL_OK)
            _exit(1);
        if (step % FLUSH)
            continue;
        if (nl_log_flush(r.log) != NL_OK || write(report, &step, sizeof step) != sizeof step)
            _exit(1);
    }
}

static int64_t run_and_kill(int64_t from, useconds_t after)
{
    int ends[2], how;
    int64_t step, flushed = from;
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0)
        write_forever(from, ends[1]);
    close(ends[1]);
    if (read(ends[0], &step, sizeof step) == sizeof step)
        flushed = step; /* set up and on its way */
    usleep(after);
    kill(child, SIGKILL);
    waitpid(child, &how, 0);
    ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    while (read(ends[0], &step, sizeof step) == sizeof step)
        flushed = step;
    close(ends[0]);
    return flushed;
}

/* Chunks that filled up after the flush may be there too. */
static void check_killed(int64_t flushed)
{
    nl_run *run;
    nl_array index;
    OK(nl_run_open(&run, part));
    ck_assert(nl_run_is_live(run));
    OK(nl_run_read(run, "/steps/step", &index));
    ck_assert_int_ge(index.count, flushed);
    for (int64_t i = 0; i < index.count; i++)
        ck_assert_double_eq(index.at[i], (double)(i + 1));
    nl_array_free(&index);
    nl_run_close(run);
}

START_TEST(every_flushed_row_survives)
{
    const nl_key key = {.seed = 1, .stream = NL_STREAM_TEST};
    char copy[160];
    int64_t flushed = 0;
    snprintf(copy, sizeof copy, "%s/copy.h5", folder);
    for (int k = 0; k < KILLS; k++) {
        flushed = run_and_kill(flushed, (useconds_t)nl_random_below(key, (uint64_t)k, 30000));
        check_killed(flushed);
        OK(nl_recover_to(part, copy, flushed, flushed / EPOCH));
        check_file(copy, flushed, "running");
    }
    ck_assert_int_gt(flushed, KILLS * FLUSH);
    struct run r;
    resume_run(&r, flushed);
    write_steps(&r, flushed + 1, flushed + 100);
    OK(nl_log_finish(r.log, "done"));
    check_file(path, flushed + 100, "done");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runlog_kill");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, every_flushed_row_survives);
    suite_add_tcase(s, t);
    return run_suite(s);
}
