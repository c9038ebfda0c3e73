/* The order of examples and the assembly of batches. */
#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "registry.h"
#include "suite.h"
#include "train/batches.h"

enum { COUNT = 103 };

static nl_dataset *data;

static void make_data(void)
{
    use_registries();
    ck_assert_int_eq(nl_dataset_open(&data, "circles:train=103", NULL), NL_OK);
}
static void drop_data(void) { nl_dataset_close(data); }

static nl_batches opened(const char *list, uint64_t seed)
{
    nl_batches_options o;
    nl_batches b;
    ck_assert_int_eq(nl_options_preset(nl_batches_option_table, &o, "run"), NL_OK);
    ck_assert_int_eq(nl_options_parse(nl_batches_option_table, &o, "run", list), NL_OK);
    ck_assert_int_eq(nl_batches_open(&b, data, &data->train, &o, seed), NL_OK);
    return b;
}

static void order_of(const char *list, uint64_t seed, int64_t epoch, int64_t order[COUNT])
{
    const nl_batches b = opened(list, seed);
    memset(order, 0xff, COUNT * sizeof *order);
    nl_batches_order(&b, epoch, order);
}

START_TEST(every_example_comes_once_an_epoch)
{
    int64_t order[COUNT], seen[COUNT] = {0};
    order_of("order=reshuffle", 3, 5, order);
    for (int i = 0; i < COUNT; i++)
        seen[order[i]]++;
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(seen[i], 1);
}
END_TEST

START_TEST(epochs_and_seeds_shuffle_anew_unless_the_order_is_fixed)
{
    int64_t a[COUNT], b[COUNT];
    order_of("order=reshuffle", 3, 0, a);
    order_of("order=reshuffle", 3, 1, b);
    ck_assert_mem_ne(a, b, sizeof a);
    order_of("order=reshuffle", 4, 0, b);
    ck_assert_mem_ne(a, b, sizeof a);
    order_of("order=reshuffle", 3, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);
    order_of("order=fixed", 3, 0, a);
    order_of("order=fixed", 3, 1, b);
    ck_assert_mem_eq(a, b, sizeof a);
    order_of("order=sequential", 3, 7, a);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(a[i], i);
}
END_TEST

START_TEST(the_last_batch_is_kept_short_or_dropped)
{
    nl_batches b = opened("batch=25:last=keep", 0);
    ck_assert_int_eq(b.steps, 5);
    ck_assert_int_eq(nl_batches_rows(&b, 3), 25);
    ck_assert_int_eq(nl_batches_rows(&b, 4), 3);
    b = opened("batch=25:last=drop", 0);
    ck_assert_int_eq(b.steps, 4);
    ck_assert_int_eq(nl_batches_rows(&b, 3), 25);
    b = opened("batch=1", 0);
    ck_assert_int_eq(b.steps, COUNT);
    b = opened("batch=0:last=drop", 0);
    ck_assert_int_eq(b.batch, COUNT);
    ck_assert_int_eq(b.steps, 1);
}
END_TEST

START_TEST(a_batch_holds_the_examples_of_its_stretch_of_the_order)
{
    const nl_batches b = opened("batch=25", 9);
    int64_t order[COUNT], done = 0;
    nl_real x[25 * 2];
    int32_t label[25];
    nl_batches_order(&b, 2, order);
    for (int64_t k = 0; k < b.steps; k++) {
        const int64_t rows = nl_batches_gather(&b, order, 0, k, x, label, NULL, false);
        ck_assert_int_eq(rows, nl_batches_rows(&b, k));
        for (int64_t i = 0; i < rows; i++, done++) {
            ck_assert_mem_eq(x + 2 * i, data->train.x + 2 * order[done], 2 * sizeof *x);
            ck_assert_int_eq(label[i], data->train.label[order[done]]);
        }
    }
    ck_assert_int_eq(done, COUNT);
}
END_TEST

/* 103 examples in 10 streams of 11: 0 .. 10, 11 .. 21, ..., the last one shorter, 99 .. 102. */
START_TEST(consecutive_examples_come_as_parallel_streams)
{
    data->consecutive = true;
    nl_batches b = opened("batch=10", 9);
    nl_real x[10 * 2];
    int32_t label[10];
    ck_assert_int_eq(b.steps, 11);
    for (int64_t k = 0, done = 0; k < b.steps; k++) {
        const int64_t rows = nl_batches_gather(&b, NULL, 0, k, x, label, NULL, false);
        ck_assert_int_eq(rows, k < 4 ? 10 : 9);
        for (int64_t i = 0; i < rows; i++)
            ck_assert_mem_eq(x + 2 * i, data->train.x + 2 * (11 * i + k), 2 * sizeof *x);
        done += rows;
        ck_assert(k < b.steps - 1 || done == COUNT);
    }
    b = opened("batch=10:last=drop", 9);
    ck_assert_int_eq(b.steps, 10);
    ck_assert_int_eq(nl_batches_rows(&b, 9), 10);
    ck_assert_int_eq(nl_batches_example(&b, NULL, 9, 9), 99);
    data->consecutive = false;
}
END_TEST

START_TEST(batches_larger_than_the_data_are_refused)
{
    const nl_batches_options all = {.batch = 103}, o = {.batch = 104};
    nl_batches b;
    ck_assert_int_eq(nl_batches_open(&b, data, &data->train, &all, 0), NL_OK);
    ck_assert_int_eq(nl_batches_open(&b, data, &data->train, &o, 0), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(),
                     "batch of 104 is larger than the 103 training examples of circles");
    ck_assert_int_eq(nl_batches_open(&b, data, &data->val, &o, 0), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "circles: no examples to make batches of");
}
END_TEST

START_TEST(gathering_takes_no_memory)
{
    const nl_batches b = opened("batch=25", 9);
    int64_t order[COUNT];
    nl_real x[25 * 2];
    int32_t label[25];
    const long calls = nl_alloc_calls();
    nl_batches_order(&b, 0, order);
    nl_batches_gather(&b, order, 0, 0, x, label, NULL, true);
    ck_assert_int_eq(nl_alloc_calls(), calls);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("batches");
    TCase *t = tcase_create("all");
    tcase_add_unchecked_fixture(t, make_data, drop_data);
    tcase_add_test(t, every_example_comes_once_an_epoch);
    tcase_add_test(t, epochs_and_seeds_shuffle_anew_unless_the_order_is_fixed);
    tcase_add_test(t, the_last_batch_is_kept_short_or_dropped);
    tcase_add_test(t, a_batch_holds_the_examples_of_its_stretch_of_the_order);
    tcase_add_test(t, consecutive_examples_come_as_parallel_streams);
    tcase_add_test(t, batches_larger_than_the_data_are_refused);
    tcase_add_test(t, gathering_takes_no_memory);
    suite_add_tcase(s, t);
    return run_suite(s);
}
