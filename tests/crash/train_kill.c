/* Runs killed with SIGKILL at 20 random moments and resumed, on 1, 2 and 4 threads, leave the same
 * bytes as one that was not: loss curve, statistics, final checkpoint. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "suite.h"
#include "train_run.h"

enum { KILLS = 20 };

static const char *const words =
    "data=circles:train=1500:test=300 model=mlp:hidden=100x3:act=sigmoid:dropout=0.1 "
    "norm=batch_renorm:r_max=1@20..3@200:d_max=0@20..5@200 optimizer=adam:lr=1e-3 batch=60 "
    "epochs=16 "
    "checkpoint=17";

static void sleep_ms(int64_t ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static pid_t start(const char *folder, int threads)
{
    const pid_t child = fork();
    if (child == 0) {
        nl_train_result result;
        const nl_status st = train_in(folder, words, threads, true, &result);
        if (st != NL_OK)
            fprintf(stderr, "%s\n", nl_last_error());
        _exit(st != NL_OK);
    }
    ck_assert_int_gt(child, 0);
    return child;
}

/* Waits for the child to end by itself. */
static double finish(const char *folder, int threads)
{
    int status;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    const pid_t child = start(folder, threads);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

START_TEST(kills_and_threads_change_no_byte)
{
    static const int threads[] = {1, 2, 4};
    const nl_key key = {(uint64_t)getpid(), NL_STREAM_TEST, 0};
    char folder[64];
    make_test_folder(folder);
    const double seconds = finish(folder, 1);
    const uint64_t whole = bytes_of_run(folder);
    remove_test_folder(folder);
    make_test_folder(folder);
    int killed = 0;
    for (int k = 0; k < KILLS; k++) {
        int status;
        const pid_t child = start(folder, threads[k % 3]);
        sleep_ms(20 + (int64_t)(nl_random_uniform(key, (uint64_t)k) * seconds * 300));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "kill %d (seed %d)", k,
                      getpid());
        killed += WIFSIGNALED(status);
    }
    finish(folder, 2);
    ck_assert_int_gt(killed, 2);
    ck_assert_msg(bytes_of_run(folder) == whole, "%d kills (seed %d)", killed, getpid());
    remove_test_folder(folder);
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("train_kill");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 500);
    tcase_add_test(t, kills_and_threads_change_no_byte);
    suite_add_tcase(s, t);
    return run_suite(s);
}
