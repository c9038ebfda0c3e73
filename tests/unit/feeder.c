/* Batches step by step: the same in the background as alone, out of order as in order; augmentation
 * follows the example and the epoch alone. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "suite.h"
#include "train/feeder.h"

enum { COUNT = 10, H = 4, W = 5, C = 3, WIDTH = H * W * C, BATCH = 4, STEPS = 3 };

static nl_real values[COUNT * WIDTH];
static int32_t labels[COUNT];
static nl_dataset data;

static nl_batches batches_of(int64_t batch, nl_augment augment)
{
    const nl_batches_options o = {.batch = batch};
    nl_batches b;
    for (int i = 0; i < COUNT * WIDTH; i++)
        values[i] = (nl_real)(i + 1);
    for (int i = 0; i < COUNT; i++)
        labels[i] = i;
    data = (nl_dataset){.shape = {.s = 1, .c = WIDTH, .h = H, .w = W},
                        .train = {.count = COUNT, .x = values, .label = labels},
                        .augment = augment};
    ck_assert_int_eq(nl_batches_open(&b, &data, &data.train, &o, 7), NL_OK);
    return b;
}

START_TEST(the_background_changes_no_byte)
{
    const nl_batches b = batches_of(BATCH, (nl_augment){.crop = 1, .flip = true});
    nl_feeder *alone, *threaded;
    ck_assert_int_eq(b.steps, STEPS);
    ck_assert_int_eq(nl_feeder_open(&alone, &b, true), NL_OK);
    ck_assert_int_eq(nl_feeder_open(&threaded, &b, false), NL_OK);
    static const int64_t steps[] = {0, 1, 2, 3, 4, 8, 9, 2, 3}; /* resumed and repeated */
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        nl_batch one, two;
        ck_assert_int_eq(nl_feeder_batch(alone, steps[i], &one), NL_OK);
        ck_assert_int_eq(nl_feeder_batch(threaded, steps[i], &two), NL_OK);
        ck_assert_int_eq(one.n, steps[i] % STEPS == 2 ? 2 : BATCH);
        ck_assert_int_eq(one.n, two.n);
        ck_assert_mem_eq(one.x, two.x, (size_t)one.n * WIDTH * sizeof *one.x);
        ck_assert_mem_eq(one.index, two.index, (size_t)one.n * sizeof *one.index);
        for (int64_t k = 0; k < one.n; k++)
            ck_assert(one.label[k] == one.index[k] && two.label[k] == one.index[k]);
    }
    nl_feeder_close(alone);
    nl_feeder_close(threaded);
}
END_TEST

/* The image moved by (down, right), mirrored first or not: which of all it is. */
static int which(const nl_real *image, const nl_real *x)
{
    for (int k = 0; k < 18; k++) {
        const int down = k / 2 / 3 - 1, right = k / 2 % 3 - 1, flip = k % 2;
        bool same = true;
        for (int i = 0; i < H; i++)
            for (int j = 0; j < W; j++)
                for (int c = 0; c < C; c++) {
                    const int h = i + down, w = (flip ? W - 1 - j : j) + right;
                    const bool inside = h >= 0 && h < H && w >= 0 && w < W;
                    same =
                        same && x[(i * W + j) * C + c] == (inside ? image[(h * W + w) * C + c] : 0);
                }
        if (same)
            return k;
    }
    return -1;
}

static void note(const nl_batches *b, int64_t epoch, int seen[COUNT])
{
    nl_real x[COUNT * WIDTH];
    int32_t label[COUNT];
    int64_t order[COUNT];
    nl_batches_order(b, epoch, order);
    for (int64_t k = 0; k < b->steps; k++) {
        const int64_t n = nl_batches_gather(b, order, epoch, k, x, label, NULL, false);
        for (int64_t i = 0; i < n; i++)
            seen[label[i]] = which(values + label[i] * WIDTH, x + i * WIDTH);
    }
}

START_TEST(augmented_images_are_shifts_and_mirrors_by_example_and_epoch)
{
    const nl_augment augment = {.crop = 1, .flip = true};
    const nl_batches small = batches_of(3, augment), large = batches_of(COUNT, augment);
    int seen[COUNT], other[COUNT], kinds = 0, changed = 0;
    for (int64_t epoch = 0; epoch < 20; epoch++) {
        note(&small, epoch, seen);
        note(&large, epoch, other);
        ck_assert_mem_eq(seen, other, sizeof seen);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_int_ge(seen[i], 0);
            kinds |= 1 << seen[i];
        }
        note(&small, epoch + 1, other);
        changed += memcmp(seen, other, sizeof seen) != 0;
    }
    ck_assert_int_eq(kinds, (1 << 18) - 1); /* every shift, mirrored and not, in 200 draws */
    ck_assert_int_eq(changed, 20);
}
END_TEST

START_TEST(without_augmentation_images_stay_as_they_are)
{
    const nl_batches b = batches_of(BATCH, (nl_augment){0});
    int seen[COUNT];
    note(&b, 0, seen);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(seen[i], 8); /* no shift, no mirror */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("feeder");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_background_changes_no_byte);
    tcase_add_test(t, augmented_images_are_shifts_and_mirrors_by_example_and_epoch);
    tcase_add_test(t, without_augmentation_images_stay_as_they_are);
    suite_add_tcase(s, t);
    return run_suite(s);
}
