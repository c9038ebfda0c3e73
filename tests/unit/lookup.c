/* Tables of which a step reads few rows: the optimizer lets rows wait, and every row that is read,
 * at any time, has the bytes of the dense update. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "core/lookup.h"
#include "core/optim.h"
#include "par/par.h"
#include "suite.h"

/* Rows of 23 lie across vector registers, the lanes of the norm and (of 700) blocks. */
enum { ROWS = 61, ONCE = 51, COLS = 23, WIDE = 700, STEPS = 1600, TOTAL = 1700 };

static const nl_variable gain = {.name = "gamma", .role = NL_PARAM, .init = 1};
static const nl_variable dense = {.name = "w", .role = NL_PARAM, .flags = NL_DECAYS};
static const nl_variable by_row = {
    .name = "w", .role = NL_PARAM, .flags = NL_DECAYS | NL_OVERWRITES | NL_BY_ROW};

/* A table between two gains, which no run takes in, and its optimizer. */
typedef struct net {
    nl_store *store;
    nl_item *gain[2], *table;
    nl_optim *optim;
} net;

static double draw(int64_t a, int64_t b)
{
    return nl_random_uniform((nl_key){1, NL_STREAM_TEST, (uint64_t)a}, (uint64_t)b);
}

static nl_setting plain(void)
{
    nl_setting set;
    ck_assert_int_eq(nl_options_preset(nl_setting_options, &set, "test"), NL_OK);
    return set;
}

static nl_item *add(nl_store *s, const char *owner, const nl_variable *v, const nl_setting *set,
                    int64_t rows, int64_t cols)
{
    int index;
    ck_assert_int_eq(nl_store_add(s, owner, v, set, rows, cols, 1, &index), NL_OK);
    return nl_store_at(s, index);
}

static nl_optim *optimizer(nl_store *s, const char *spec)
{
    nl_optim *o;
    ck_assert_msg(nl_optim_open(&o, spec, s, TOTAL) == NL_OK, "%s", nl_last_error());
    return o;
}

static net open_net(const nl_variable *v, const char *spec, const nl_setting *set, int64_t cols)
{
    net n;
    ck_assert_int_eq(nl_store_open(&n.store), NL_OK);
    n.gain[0] = add(n.store, "a", &gain, NULL, 1, 40);
    n.table = add(n.store, "b", v, set, ROWS, cols);
    n.gain[1] = add(n.store, "c", &gain, NULL, 1, 5);
    ck_assert_int_eq(nl_store_commit(n.store), NL_OK);
    for (int64_t i = 0; i < n.table->count; i++)
        ((nl_real *)n.table->val)[i] = (nl_real)(2 * draw(0, i) - 1);
    n.optim = optimizer(n.store, spec);
    return n;
}

static void close_net(net *n)
{
    nl_optim_close(n->optim);
    nl_store_close(n->store);
}

/* Some rows at nearly every step, most now and then, one in fifty steps none at all, one row once
 * and the last ones never. */
static int64_t rows_of(int64_t step, int64_t *row)
{
    int64_t count = 0;
    for (int64_t r = 0; r < ONCE && step % 50; r++)
        if (draw(step, r) < 1.2 / (1 + (double)r))
            row[count++] = r;
    if (step == 3)
        row[count++] = ONCE;
    return count;
}

static void take_step(net *n, int64_t step)
{
    int64_t row[ROWS];
    const int64_t count = rows_of(step, row), cols = n->table->cols;
    if (n->table->lookup) {
        if (step % 2) /* who writes a gradient need not have read */
            nl_lookup_read(n->table, row, count);
        nl_lookup_touch(n->table, row, count, false);
    } else {
        memset(n->table->grad, 0, (size_t)n->table->count * sizeof(nl_real));
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < cols; k++)
            n->table->grad[row[i] * cols + k] =
                (nl_real)(draw(step, 100 + row[i] * cols + k) - 0.4);
    for (int g = 0; g < 2; g++)
        for (int64_t k = 0; k < n->gain[g]->count; k++)
            n->gain[g]->grad[k] = (nl_real)(draw(step, -1 - k) - 0.5);
    nl_optim_step(n->optim, step % 3 == 0);
}

static const nl_real *row_of(const net *n, int64_t row)
{
    return (const nl_real *)n->table->val + row * n->table->cols;
}

static void check_row(const net *a, const net *b, int64_t row, const char *spec, int64_t step)
{
    const size_t bytes = (size_t)a->table->cols * sizeof(nl_real);
    ck_assert_msg(memcmp(row_of(a, row), row_of(b, row), bytes) == 0,
                  "%s: row %lld after step %lld is not that of the dense update", spec,
                  (long long)row, (long long)step);
}

/* Parameters and slots. */
static void check_all(const net *a, const net *b, const char *spec, int64_t step)
{
    int64_t count;
    nl_real *one, *other;
    for (int k = 0; k < nl_optim_slots(a->optim); k++) {
        const char *name = nl_optim_slot(a->optim, k, &one, &count);
        ck_assert_str_eq(name, nl_optim_slot(b->optim, k, &other, &count));
        ck_assert_msg(memcmp(one, other, (size_t)count * sizeof *one) == 0,
                      "%s: %s after step %lld", spec, name, (long long)step);
    }
    nl_lookup_read_all(a->store);
    nl_lookup_read_all(b->store);
    one = nl_store_params(a->store, &count);
    other = nl_store_params(b->store, NULL);
    ck_assert_msg(memcmp(one, other, (size_t)count * sizeof *one) == 0,
                  "%s: parameters after step %lld", spec, (long long)step);
}

static const char *const every[] = {
    "sgd:lr=0.1",
    "sgd:lr=0.1:decay=0.01",
    "momentum",
    "sgd:momentum=0.8:dampening=0.3",
    "momentum:decay=1e-3:schedule=step:milestones=100/700:gamma=0.3",
    "nesterov:decay=1e-3",
    "nesterov:clip=0.5",
    "rmsprop:centered=true:momentum=0.5",
    "rmsprop:eps_inside=true",
    "rmsprop:momentum=0.5:schedule=linear:warmup=7",
    "rmsprop:decay=0.01:decay_mode=decoupled",
    "adam",
    "adam:clip=0.5",
    "adam:clip_value=0.1",
    "adam:eps_mode=keras:eps=1e-7",
    "adam:decay=1e-3",
    "adam:schedule=cosine:warmup=20:min_lr=1e-4",
    "adamw:schedule=cosine:warmup=2",
    NULL};

static void follow(const char *spec, const nl_setting *set, int64_t cols, int64_t steps)
{
    net a = open_net(&dense, spec, set, cols), b = open_net(&by_row, spec, set, cols);
    for (int64_t step = 1; step <= steps; step++) {
        take_step(&a, step);
        take_step(&b, step);
        const double norm = nl_optim_grad_norm(a.optim);
        ck_assert(norm == nl_optim_grad_norm(b.optim) || isnan(norm));
        for (int64_t row = ROWS - 1; row >= 0 && step % 70 == 0; row -= 5) {
            nl_lookup_read(b.table, &row, 1);
            check_row(&a, &b, row, spec, step);
        }
        if (step == 400)
            check_all(&a, &b, spec, step);
    }
    check_all(&a, &b, spec, steps);
    close_net(&a);
    close_net(&b);
}

START_TEST(waiting_rows_get_the_bytes_of_the_dense_update)
{
    for (int k = 0; every[k]; k++)
        follow(every[k], NULL, COLS, STEPS);
}
END_TEST

START_TEST(rows_across_blocks_and_lanes_do_too)
{
    for (int k = 0; every[k]; k++)
        follow(every[k], NULL, WIDE, 60);
}
END_TEST

START_TEST(settings_of_a_table_move_rows_that_nobody_reads)
{
    nl_setting set[5];
    for (int i = 0; i < 5; i++)
        set[i] = plain();
    set[0].lr = 3;
    set[1].l2 = 0.02;
    set[1].l2_to = 0.5;
    set[2].constraint.is = NL_NONNEG;
    set[3].constraint.is = NL_UNIT;
    set[4].freeze = true;
    for (int i = 0; i < 5; i++)
        for (int k = 0; every[k]; k++)
            follow(every[k], &set[i], COLS, 200);
}
END_TEST

/* ---- who reads */

START_TEST(a_row_waits_until_it_is_read)
{
    net n = open_net(&by_row, "adam", NULL, COLS);
    const int64_t row = 3;
    nl_real before[COLS];
    nl_lookup_touch(n.table, &row, 1, false);
    n.table->grad[row * COLS] = 1;
    nl_optim_step(n.optim, false);
    memcpy(before, row_of(&n, row), sizeof before);
    nl_lookup_touch(n.table, NULL, 0, false);
    ck_assert_double_eq(n.table->grad[row * COLS], 0);
    nl_optim_step(n.optim, false);
    ck_assert_mem_eq(row_of(&n, row), before, sizeof before);
    nl_lookup_read(n.table, &row, 1);
    ck_assert_double_lt(row_of(&n, row)[0], before[0]);
    close_net(&n);
}
END_TEST

START_TEST(the_optimizer_leaves_no_row_behind)
{
    net a = open_net(&dense, "adam", NULL, COLS), b = open_net(&by_row, "adam", NULL, COLS);
    for (int64_t step = 1; step <= 30; step++) {
        take_step(&a, step);
        take_step(&b, step);
    }
    nl_optim *next = optimizer(b.store, "sgd"); /* takes over what the former one knew */
    ck_assert_mem_eq(a.table->val, b.table->val, (size_t)a.table->count * sizeof(nl_real));
    nl_optim_close(next);
    for (int64_t step = 31; step <= 60; step++)
        take_step(&a, step);
    close_net(&b);
    b = open_net(&by_row, "adam", NULL, COLS);
    for (int64_t step = 1; step <= 60; step++)
        take_step(&b, step);
    nl_optim_close(b.optim);
    b.optim = NULL;
    ck_assert_mem_eq(a.table->val, b.table->val, (size_t)a.table->count * sizeof(nl_real));
    close_net(&a);
    close_net(&b);
}
END_TEST

/* Parameters, slots and step number to a fresh network, as a checkpoint does. */
static net resume(net *old, const char *spec)
{
    net n = open_net(&by_row, spec, NULL, COLS);
    int64_t count;
    nl_real *from, *to;
    for (int k = 0; k < nl_optim_slots(n.optim); k++) {
        nl_optim_slot(old->optim, k, &from, &count);
        nl_optim_slot(n.optim, k, &to, &count);
        memcpy(to, from, (size_t)count * sizeof *to);
    }
    nl_lookup_read_all(old->store);
    from = nl_store_params(old->store, &count);
    memcpy(nl_store_params(n.store, NULL), from, (size_t)count * sizeof *from);
    nl_optim_set_steps(n.optim, nl_optim_steps(old->optim));
    close_net(old);
    return n;
}

START_TEST(resuming_from_a_checkpoint_gives_the_same_bytes)
{
    for (int k = 0; every[k]; k++) {
        net a = open_net(&dense, every[k], NULL, COLS), b = open_net(&by_row, every[k], NULL, COLS);
        for (int64_t step = 1; step <= 300; step++) {
            take_step(&a, step);
            take_step(&b, step);
            if (step == 77 || step == 200)
                b = resume(&b, every[k]);
        }
        check_all(&a, &b, every[k], 300);
        close_net(&a);
        close_net(&b);
    }
}
END_TEST

/* ---- threads, memory, numbers that are none */

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    nl_par_ignore_work(true);
    for (int k = 0; every[k]; k++) {
        nl_threads_set(1);
        net a = open_net(&by_row, every[k], NULL, WIDE),
            b = open_net(&by_row, every[k], NULL, WIDE);
        for (int64_t step = 1; step <= 20; step++) {
            nl_threads_set(1);
            take_step(&a, step);
            nl_threads_set(3);
            nl_par_workers_seen();
            take_step(&b, step);
            ck_assert_int_gt(nl_par_workers_seen(), 1);
        }
        check_all(&a, &b, every[k], 20);
        close_net(&a);
        close_net(&b);
    }
    nl_threads_set(1);
    nl_par_ignore_work(false);
}
END_TEST

START_TEST(a_norm_that_is_no_number_reaches_every_row)
{
    static const char *const specs[] = {"sgd:clip=1", "adam:clip=1", "adamw:clip=1"};
    for (int k = 0; k < 3; k++) {
        net a = open_net(&dense, specs[k], NULL, COLS), b = open_net(&by_row, specs[k], NULL, COLS);
        for (int64_t step = 1; step <= 3; step++) {
            take_step(&a, step);
            take_step(&b, step);
        }
        a.gain[0]->grad[0] = b.gain[0]->grad[0] = NAN;
        nl_optim_step(a.optim, false);
        nl_optim_step(b.optim, false);
        nl_lookup_read_all(b.store);
        for (int64_t i = 0; i < a.table->count; i++)
            ck_assert(isnan(((nl_real *)a.table->val)[i]) && isnan(((nl_real *)b.table->val)[i]));
        close_net(&a);
        close_net(&b);
    }
}
END_TEST

START_TEST(steps_and_reads_take_no_memory)
{
    net n = open_net(&by_row, "adamw:clip=1", NULL, COLS);
    const long before = nl_alloc_calls();
    for (int64_t step = 1; step <= 10; step++)
        take_step(&n, step);
    nl_lookup_read_all(n.store);
    ck_assert_int_eq(nl_alloc_calls(), before);
    close_net(&n);
}
END_TEST

START_TEST(failing_allocations_leave_nothing_behind)
{
    const long before = nl_alloc_live();
    nl_status st = NL_ENOMEM;
    long k = 0;
    for (; st != NL_OK && k < 50; k++) {
        nl_store *s = NULL;
        nl_optim *o = NULL;
        int index;
        nl_alloc_fail_at(k);
        st = nl_store_open(&s);
        if (st == NL_OK)
            st = nl_store_add(s, "b", &by_row, NULL, ROWS, COLS, 1, &index);
        if (st == NL_OK)
            st = nl_store_commit(s);
        if (st == NL_OK)
            st = nl_optim_open(&o, "adam", s, 0);
        nl_alloc_fail_at(-1);
        nl_optim_close(o);
        nl_store_close(s);
        ck_assert_int_eq(nl_alloc_live(), before);
    }
    ck_assert_int_gt(k, 15);
    ck_assert_int_eq(st, NL_OK);
}
END_TEST

/* ---- touched rows */

START_TEST(touched_rows_are_joined_and_cleared)
{
    static const int64_t first[] = {2, 5, 9}, more[] = {0, 5, 7, 60},
                         joined[] = {0, 2, 5, 7, 9, 60};
    net n = open_net(&by_row, "sgd", NULL, COLS);
    nl_lookup_touch(n.table, first, 3, false);
    for (int i = 0; i < 3; i++)
        n.table->grad[first[i] * COLS + 1] = 1;
    nl_lookup_touch(n.table, more, 4, true);
    ck_assert_int_eq(n.table->lookup->count, 6);
    ck_assert_mem_eq(n.table->lookup->touched, joined, sizeof joined);
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq(n.table->grad[first[i] * COLS + 1], 1);
    nl_lookup_touch(n.table, more, 4, false);
    ck_assert_int_eq(n.table->lookup->count, 4);
    for (int64_t i = 0; i < n.table->count; i++)
        ck_assert_double_eq(n.table->grad[i], 0);
    close_net(&n);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lookup");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, waiting_rows_get_the_bytes_of_the_dense_update);
    tcase_add_test(t, rows_across_blocks_and_lanes_do_too);
    tcase_add_test(t, settings_of_a_table_move_rows_that_nobody_reads);
    tcase_add_test(t, a_row_waits_until_it_is_read);
    tcase_add_test(t, the_optimizer_leaves_no_row_behind);
    tcase_add_test(t, resuming_from_a_checkpoint_gives_the_same_bytes);
    tcase_add_test(t, any_number_of_threads_gives_the_same_bytes);
    tcase_add_test(t, a_norm_that_is_no_number_reaches_every_row);
    tcase_add_test(t, steps_and_reads_take_no_memory);
    tcase_add_test(t, failing_allocations_leave_nothing_behind);
    tcase_add_test(t, touched_rows_are_joined_and_cleared);
    suite_add_tcase(s, t);
    return run_suite(s);
}
