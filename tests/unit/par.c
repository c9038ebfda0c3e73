/* The parallel loop, the fold and the background worker: nothing depends on who does the work. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "par/par.h"
#include "suite.h"

enum { BLOCKS = 37 };
static const int thread_counts[] = {1, 2, 3, 5};

typedef struct loop {
    double sum[BLOCKS];
    int times[BLOCKS];
} loop;

static void sum_block(int64_t b, void *arg)
{
    loop *l = arg;
    for (int i = 1; i <= 1000; i++)
        l->sum[b] += sin((double)(b * 1000 + i));
    l->times[b]++;
}

START_TEST(every_block_runs_once_and_alike_on_any_number_of_threads)
{
    loop one = {0};
    nl_threads_set(1);
    nl_for(BLOCKS, 1, sum_block, &one);
    nl_par_ignore_work(true);
    for (int k = 0; k < 4; k++) {
        loop many = {0};
        nl_threads_set(thread_counts[k]);
        nl_par_workers_seen();
        nl_for(BLOCKS, 1, sum_block, &many);
        if (thread_counts[k] > 1)
            ck_assert_int_gt(nl_par_workers_seen(), 1);
        ck_assert_mem_eq(&many, &one, sizeof one);
    }
    for (int b = 0; b < BLOCKS; b++)
        ck_assert_int_eq(one.times[b], 1);
    nl_par_ignore_work(false);
}
END_TEST

static void loop_in_loop(int64_t b, void *arg)
{
    loop *inner = (loop *)arg + b;
    nl_for(BLOCKS, INT64_C(1) << 40, sum_block, inner);
}

START_TEST(a_loop_in_a_loop_runs_on_its_thread)
{
    enum { OUTER = 4 };
    loop one = {0}, many[OUTER] = {0};
    nl_threads_set(1);
    nl_for(BLOCKS, 1, sum_block, &one);
    nl_threads_set(3);
    nl_for(OUTER, INT64_C(1) << 40, loop_in_loop, many);
    for (int k = 0; k < OUTER; k++)
        ck_assert_mem_eq(&many[k], &one, sizeof one);
}
END_TEST

static void *many_loops(void *arg)
{
    loop *l = arg;
    for (int i = 0; i < 200; i++) {
        *l = (loop){0};
        nl_for(BLOCKS, INT64_C(1) << 40, sum_block, l);
    }
    return NULL;
}

START_TEST(loops_of_two_threads_do_not_meet)
{
    loop one = {0}, here, there;
    pthread_t other;
    nl_threads_set(1);
    nl_for(BLOCKS, 1, sum_block, &one);
    nl_threads_set(3);
    ck_assert_int_eq(pthread_create(&other, NULL, many_loops, &there), 0);
    many_loops(&here);
    pthread_join(other, NULL);
    ck_assert_mem_eq(&here, &one, sizeof one);
    ck_assert_mem_eq(&there, &one, sizeof one);
}
END_TEST

typedef struct shares {
    atomic_int begun[2], turn[BLOCKS]; /* of two shares; of a block in its share */
} shares;

static void note_turn(int64_t b, void *arg)
{
    shares *s = arg;
    atomic_store(&s->turn[b], atomic_fetch_add(&s->begun[b >= BLOCKS / 2], 1));
}

/* A worker that ignores the work does all of its share itself. */
START_TEST(workers_go_towards_each_other_or_apart_or_in_order)
{
    enum { SECOND = BLOCKS - BLOCKS / 2 };
    shares meeting = {0}, parting = {0}, in_order = {0}, alone = {0};
    nl_threads_set(2);
    nl_par_ignore_work(true);
    nl_for(BLOCKS, 1, note_turn, &meeting);
    nl_for_back(BLOCKS, 1, note_turn, &parting);
    nl_for_in_order(BLOCKS, 1, note_turn, &in_order);
    nl_par_ignore_work(false);
    nl_threads_set(1);
    nl_for_back(BLOCKS, 1, note_turn, &alone);
    for (int b = BLOCKS / 2; b < BLOCKS; b++) {
        ck_assert_int_eq(meeting.turn[b], BLOCKS - 1 - b);
        ck_assert_int_eq(parting.turn[b], b - BLOCKS / 2);
        ck_assert_int_eq(in_order.turn[b], b - BLOCKS / 2);
    }
    ck_assert_int_eq(alone.turn[BLOCKS - 1], 0);
    ck_assert_int_eq(alone.turn[BLOCKS / 2], SECOND - 1);
    ck_assert_int_eq(alone.turn[0], BLOCKS / 2 - 1);
}
END_TEST

static void sleep_a_little(int64_t b, void *arg)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)b;
    (void)arg;
    nanosleep(&pause, NULL);
}

START_TEST(workers_that_sleep_wake_again)
{
    loop one = {0};
    nl_threads_set(1);
    nl_for(BLOCKS, 1, sum_block, &one);
    nl_threads_set(2);
    for (int i = 0; i < 20; i++) {
        loop l = {0};
        nl_for(BLOCKS, INT64_C(1) << 40, sum_block, &l);
        ck_assert_mem_eq(&l, &one, sizeof one);
        sleep_a_little(0, NULL);                           /* the worker falls asleep */
        nl_for(2, INT64_C(1) << 40, sleep_a_little, NULL); /* so does the caller */
    }
}
END_TEST

typedef struct queue {
    atomic_int done, waits;
} queue;

/* The first block of the second worker ends when all others are done. */
static void wait_for_the_others(int64_t b, void *arg)
{
    queue *q = arg;
    for (int ms = 0; b == BLOCKS - 1 && atomic_load(&q->done) < BLOCKS - 1 && ms < 10000; ms++) {
        atomic_store(&q->waits, ms);
        sleep_a_little(b, NULL);
    }
    atomic_fetch_add(&q->done, 1);
}

START_TEST(blocks_that_their_worker_has_not_begun_are_done_by_others)
{
    queue q = {0};
    nl_threads_set(2);
    nl_for(BLOCKS, INT64_C(1) << 40, wait_for_the_others, &q);
    ck_assert_int_eq(q.done, BLOCKS);
    ck_assert_int_lt(q.waits, 9999);
}
END_TEST

START_TEST(little_work_does_not_fork)
{
    loop l = {0};
    nl_threads_set(4);
    nl_par_workers_seen();
    nl_for(BLOCKS, 100, sum_block, &l);
    ck_assert_int_le(nl_par_workers_seen(), 1);
}
END_TEST

START_TEST(fold_adds_every_block_in_a_fixed_tree)
{
    for (int64_t blocks = 1; blocks <= BLOCKS; blocks++) {
        double part[2 * BLOCKS];
        for (int64_t b = 0; b < blocks; b++) {
            part[2 * b] = 1;
            part[2 * b + 1] = (double)b;
        }
        nl_fold(part, blocks, 2);
        ck_assert_double_eq(part[0], (double)blocks);
        ck_assert_double_eq(part[1], 0.5 * (double)(blocks * (blocks - 1)));
    }
    /* (1 + u) + (u + 0) keeps both halves of an ulp; ((1 + u) + u) would lose them. */
    const double u = 0x1p-53;
    double part[4] = {1, 0, u, u};
    nl_fold(part, 4, 1);
    ck_assert_double_eq(part[0], 1 + 2 * u);
}
END_TEST

static nl_status fail_with(void *arg) { return nl_fail(NL_EIO, "disk: %s", (const char *)arg); }

static nl_status set_flag(void *arg)
{
    *(int *)arg = 1;
    return NL_OK;
}

START_TEST(background_worker_hands_back_the_result_and_the_message)
{
    for (int inline_only = 0; inline_only < 2; inline_only++) {
        nl_background *w;
        char what[] = "full";
        int flag = 0;
        ck_assert_int_eq(nl_background_open(&w, inline_only), NL_OK);
        ck_assert_int_eq(nl_background_wait(w), NL_OK);
        nl_background_start(w, set_flag, &flag);
        ck_assert_int_eq(nl_background_wait(w), NL_OK);
        ck_assert_int_eq(flag, 1);
        nl_background_start(w, fail_with, what);
        ck_assert_int_eq(nl_background_wait(w), NL_EIO);
        ck_assert_str_eq(nl_last_error(), "disk: full");
        ck_assert_int_eq(nl_background_wait(w), NL_OK);
        nl_background_close(w);
    }
    ck_assert_int_eq(nl_alloc_live(), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("par");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_block_runs_once_and_alike_on_any_number_of_threads);
    tcase_add_test(t, workers_go_towards_each_other_or_apart_or_in_order);
    tcase_add_test(t, a_loop_in_a_loop_runs_on_its_thread);
    tcase_add_test(t, loops_of_two_threads_do_not_meet);
    tcase_add_test(t, workers_that_sleep_wake_again);
    tcase_add_test(t, blocks_that_their_worker_has_not_begun_are_done_by_others);
    tcase_add_test(t, little_work_does_not_fork);
    tcase_add_test(t, fold_adds_every_block_in_a_fixed_tree);
    tcase_add_test(t, background_worker_hands_back_the_result_and_the_message);
    suite_add_tcase(s, t);
    return run_suite(s);
}
