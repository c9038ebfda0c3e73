/* circles and moons: points in the plane with two classes. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "registry.h"
#include "suite.h"

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    ck_assert_msg(nl_dataset_open(&d, spec, NULL) == NL_OK, "%s", nl_last_error());
    ck_assert(d->synthetic);
    ck_assert_int_eq(d->classes, 2);
    ck_assert_double_eq(d->target, d->ops->target);
    ck_assert_double_eq(d->target, 0.95);
    ck_assert_int_eq(d->shape.s * d->shape.c, 2);
    return d;
}

START_TEST(rings_without_noise_have_their_radius)
{
    nl_dataset *d = opened("circles:noise=0:factor=0.25");
    int64_t inner = 0;
    for (int64_t i = 0; i < d->train.count; i++) {
        const double r = hypot(d->train.x[2 * i], d->train.x[2 * i + 1]);
        ck_assert_double_eq_tol(r, d->train.label[i] ? 0.25 : 1, 1e-6);
        inner += d->train.label[i];
    }
    ck_assert_int_gt(inner, 420); /* 500 expected, standard deviation 16 */
    ck_assert_int_lt(inner, 580);
    nl_dataset_close(d);
}
END_TEST

START_TEST(half_circles_without_noise_lie_where_scikit_learn_puts_them)
{
    nl_dataset *d = opened("moons:noise=0");
    for (int64_t i = 0; i < d->train.count; i++) {
        const double x = d->train.x[2 * i], y = d->train.x[2 * i + 1];
        if (d->train.label[i]) {
            ck_assert_double_eq_tol(hypot(x - 1, y - 0.5), 1, 1e-6);
            ck_assert(y <= 0.5);
        } else {
            ck_assert_double_eq_tol(hypot(x, y), 1, 1e-6);
            ck_assert(y >= 0);
        }
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(an_example_is_the_same_whatever_the_number)
{
    static const char *const pairs[][2] = {{"circles:train=10:test=7", "circles:train=1000:test=9"},
                                           {"moons:train=10:test=7", "moons:train=1000:test=9"}};
    for (int k = 0; k < 2; k++) {
        nl_dataset *few = opened(pairs[k][0]), *many = opened(pairs[k][1]);
        ck_assert_mem_eq(few->train.x, many->train.x, 20 * sizeof(nl_real));
        ck_assert_mem_eq(few->test.x, many->test.x, 14 * sizeof(nl_real));
        ck_assert_mem_ne(few->train.x, few->test.x, 14 * sizeof(nl_real));
        nl_dataset_close(few);
        nl_dataset_close(many);
    }
}
END_TEST

START_TEST(validation_examples_follow_the_training_examples)
{
    nl_dataset *all = opened("circles:train=100"), *cut = opened("circles:train=80:val=20");
    nl_dataset *part = opened("circles:train=100:val_fraction=0.2");
    ck_assert_int_eq(cut->train.count, 80);
    ck_assert_mem_eq(cut->val.x, all->train.x + 160, 40 * sizeof(nl_real));
    ck_assert_int_eq(part->train.count, 80);
    ck_assert_mem_eq(part->val.x, cut->val.x, 40 * sizeof(nl_real));
    nl_dataset_close(all);
    nl_dataset_close(cut);
    nl_dataset_close(part);
}
END_TEST

START_TEST(the_seed_draws_other_points)
{
    nl_dataset *a = opened("moons"), *b = opened("moons:seed=1"), *again = opened("moons:seed=0");
    ck_assert_uint_ne(a->checksum, b->checksum);
    ck_assert_uint_eq(a->checksum, again->checksum);
    nl_dataset_close(a);
    nl_dataset_close(b);
    nl_dataset_close(again);
}
END_TEST

START_TEST(unit_range_is_found_in_the_training_part)
{
    nl_dataset *d = opened("circles:standardize=unit");
    double lo = 9, hi = -9;
    for (int64_t i = 0; i < 2 * d->train.count; i++) {
        lo = fmin(lo, d->train.x[i]);
        hi = fmax(hi, d->train.x[i]);
    }
    ck_assert_double_eq(lo, 0);
    ck_assert_double_eq(hi, 1);
    nl_dataset_close(d);
}
END_TEST

START_TEST(a_generator_refuses_to_make_nothing)
{
    nl_dataset *d;
    ck_assert_int_eq(nl_dataset_open(&d, "circles:train=0", NULL), NL_EOPTION);
    ck_assert_str_eq(nl_last_error(), "circles: train=0 is outside [1, 10000000]");
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("circles");
    TCase *t = tcase_create("all");
    tcase_add_test(t, rings_without_noise_have_their_radius);
    tcase_add_test(t, half_circles_without_noise_lie_where_scikit_learn_puts_them);
    tcase_add_test(t, an_example_is_the_same_whatever_the_number);
    tcase_add_test(t, validation_examples_follow_the_training_examples);
    tcase_add_test(t, the_seed_draws_other_points);
    tcase_add_test(t, unit_range_is_found_in_the_training_part);
    tcase_add_test(t, a_generator_refuses_to_make_nothing);
    suite_add_tcase(s, t);
    return run_suite(s);
}
