/* glyphs: the same digits for the same seed, however many; pixels, labels and noise as promised. */
#include <check.h>
#include <string.h>

#include "registry.h"
#include "suite.h"

enum { PIXELS = 28 * 28 };

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    ck_assert_msg(nl_dataset_open(&d, spec, NULL) == NL_OK, "%s", nl_last_error());
    return d;
}

START_TEST(it_is_shaped_like_mnist_and_says_that_it_is_synthetic)
{
    nl_dataset *d = opened("glyphs:train=50:test=20");
    ck_assert(d->synthetic);
    ck_assert_ptr_nonnull(strstr(d->ops->title, "synthetic"));
    ck_assert_int_eq(d->shape.s, 1);
    ck_assert_int_eq(d->shape.c, PIXELS);
    ck_assert_int_eq(d->shape.h, 28);
    ck_assert_int_eq(d->shape.w, 28);
    ck_assert_int_eq(d->classes, 10);
    ck_assert_int_eq(d->train.count, 50);
    ck_assert_int_eq(d->test.count, 20);
    nl_dataset_close(d);
}
END_TEST

START_TEST(an_example_is_the_same_whatever_the_number)
{
    nl_dataset *few = opened("glyphs:train=10:test=7"), *many = opened("glyphs:train=90:test=8");
    ck_assert_mem_eq(few->train.x, many->train.x, 10 * PIXELS * sizeof(nl_real));
    ck_assert_mem_eq(few->test.x, many->test.x, 7 * PIXELS * sizeof(nl_real));
    ck_assert_mem_eq(few->train.label, many->train.label, 10 * sizeof(int32_t));
    ck_assert_mem_ne(few->train.x, few->test.x, 7 * PIXELS * sizeof(nl_real));
    nl_dataset_close(few);
    nl_dataset_close(many);
}
END_TEST

START_TEST(the_seed_alone_draws_other_digits)
{
    nl_dataset *a = opened("glyphs:train=20:test=5"), *b = opened("glyphs:train=20:test=5:seed=1");
    nl_dataset *again = opened("glyphs:train=20:test=5");
    ck_assert_uint_ne(a->checksum, b->checksum);
    ck_assert_uint_eq(a->checksum, again->checksum);
    nl_dataset_close(a);
    nl_dataset_close(b);
    nl_dataset_close(again);
}
END_TEST

START_TEST(validation_examples_follow_the_training_examples)
{
    nl_dataset *all = opened("glyphs:train=30:test=1"),
               *cut = opened("glyphs:train=20:val=10:test=1");
    ck_assert_mem_eq(cut->val.x, all->train.x + 20 * PIXELS, 10 * PIXELS * sizeof(nl_real));
    nl_dataset_close(all);
    nl_dataset_close(cut);
}
END_TEST

START_TEST(digits_come_about_equally_often)
{
    nl_dataset *d = opened("glyphs:train=5000:test=1");
    int64_t seen[10] = {0};
    for (int64_t i = 0; i < d->train.count; i++)
        seen[d->train.label[i]]++;
    for (int k = 0; k < 10; k++) { /* 500 expected, standard deviation 21 */
        ck_assert_int_gt(seen[k], 395);
        ck_assert_int_lt(seen[k], 605);
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(raw_pixels_are_whole_numbers_up_to_255_and_the_preset_brings_them_to_1)
{
    nl_dataset *raw = opened("glyphs:train=200:test=1:standardize=none");
    nl_dataset *unit = opened("glyphs:train=200:test=1");
    nl_real most = 0;
    for (int64_t i = 0; i < 200 * PIXELS; i++) {
        ck_assert(raw->train.x[i] >= 0 && raw->train.x[i] <= 255);
        ck_assert(raw->train.x[i] == (nl_real)(int)raw->train.x[i]);
        ck_assert_double_eq_tol(unit->train.x[i], raw->train.x[i] / 255., 1e-6);
        most = raw->train.x[i] > most ? raw->train.x[i] : most;
    }
    ck_assert(most == 255);
    nl_dataset_close(raw);
    nl_dataset_close(unit);
}
END_TEST

/* Both at their greatest, so that no point leads outside the picture's memory. */
START_TEST(the_ground_is_dark_without_noise_and_every_digit_has_ink)
{
    nl_dataset *d = opened("glyphs:train=2000:test=1:noise=0:variation=2");
    for (int64_t i = 0; i < d->train.count; i++) {
        int dark = 0, bright = 0;
        for (int k = 0; k < PIXELS; k++) {
            dark += d->train.x[i * PIXELS + k] == 0;
            bright += d->train.x[i * PIXELS + k] > 0.5;
        }
        ck_assert_int_gt(dark, PIXELS / 4);
        ck_assert_int_gt(bright, 3);
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
    nl_dataset *d;
    ck_assert_int_eq(nl_dataset_open(&d, "glyphs:train=0", NULL), NL_EOPTION);
    ck_assert_int_eq(nl_dataset_open(&d, "glyphs:noise=2", NULL), NL_EOPTION);
    ck_assert_str_eq(nl_last_error(), "glyphs: noise=2 is outside [0, 1]");
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("glyphs");
    TCase *t = tcase_create("all");
    tcase_add_test(t, it_is_shaped_like_mnist_and_says_that_it_is_synthetic);
    tcase_add_test(t, an_example_is_the_same_whatever_the_number);
    tcase_add_test(t, the_seed_alone_draws_other_digits);
    tcase_add_test(t, validation_examples_follow_the_training_examples);
    tcase_add_test(t, digits_come_about_equally_often);
    tcase_add_test(t, raw_pixels_are_whole_numbers_up_to_255_and_the_preset_brings_them_to_1);
    tcase_add_test(t, the_ground_is_dark_without_noise_and_every_digit_has_ink);
    tcase_add_test(t, options_out_of_range_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
