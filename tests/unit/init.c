/* Initializers: moments, limits, orthogonality, and values that depend on name and seed alone. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/init.h"
#include "suite.h"

enum { ROWS = 300, COLS = 200, SIZE = ROWS * COLS };
static nl_real w[SIZE], again[SIZE];
static const nl_weight_shape shape = {ROWS, COLS, 0, 0};

static void draw(const char *spec, uint64_t seed, const char *name, nl_real *into)
{
    ck_assert_int_eq(nl_init_weights(spec, seed, "h1", name, shape, into), NL_OK);
}

/* Mean and variance of 60,000 values: within 5 standard errors. */
static void check_moments(const char *spec, double variance, double limit)
{
    double sum = 0, squares = 0, most = 0;
    draw(spec, 7, "w", w);
    for (int i = 0; i < SIZE; i++) {
        sum += w[i];
        squares += (double)w[i] * w[i];
        most = fmax(most, fabs(w[i]));
    }
    ck_assert_double_lt(fabs(sum / SIZE), 5 * sqrt(variance / SIZE));
    ck_assert_double_lt(fabs(squares / SIZE / variance - 1), 5 * sqrt(2.0 / SIZE));
    ck_assert_double_le(most, limit * (1 + 1e-6));
    if (isfinite(limit))
        ck_assert_double_gt(most, limit * 0.999);
}

START_TEST(moments_and_limits_are_the_published_ones)
{
    const double he = 2.0 / ROWS, glorot = 2.0 / (ROWS + COLS);
    const double cut = 2 / .87962566103423978; /* two deviations of the normal that was cut */
    check_moments("he_uniform", he, sqrt(6.0 / ROWS));
    check_moments("glorot_uniform", glorot, sqrt(6.0 / (ROWS + COLS)));
    check_moments("he_normal", he, cut * sqrt(he));
    check_moments("glorot_normal", glorot, cut * sqrt(glorot));
    check_moments("torch_linear", 1.0 / 3 / ROWS, 1 / sqrt(ROWS));
    check_moments("normal", 0.0025, INFINITY);
    check_moments("normal(0.3)", 0.09, INFINITY);
    check_moments("uniform", 0.0025 / 3, 0.05);
    check_moments("uniform(-2/2)", 4.0 / 3, 2);
}
END_TEST

START_TEST(values_drawn_again_are_nobody_elses)
{
    draw("he_normal", 7, "w", w);
    for (int i = 0; i + 1 < SIZE; i++)
        ck_assert_double_ne(w[i], w[i + 1]);
}
END_TEST

START_TEST(constants_are_constant)
{
    static const struct {
        const char *spec;
        double value;
    } rows[] = {{"zeros", 0}, {"ones", 1}, {"constant(0.1)", 0.1}, {"constant", 0}};
    for (int k = 0; k < 4; k++) {
        draw(rows[k].spec, 1, "w", w);
        for (int i = 0; i < SIZE; i++)
            ck_assert_double_eq(w[i], (nl_real)rows[k].value);
    }
}
END_TEST

START_TEST(fans_may_be_given)
{
    nl_real bias[100], kernel[8];
    const nl_weight_shape as_bias = {1, 100, 10000, 0}, as_kernel = {2, 4, 0, 598};
    ck_assert_int_eq(nl_init_weights("torch_linear", 1, "h1", "b", as_bias, bias), NL_OK);
    for (int i = 0; i < 100; i++)
        ck_assert_double_le(fabs(bias[i]), 0.01);
    ck_assert_int_eq(nl_init_weights("glorot_uniform", 1, "c", "w", as_kernel, kernel), NL_OK);
    for (int i = 0; i < 8; i++)
        ck_assert_double_le(fabs(kernel[i]), 0.1);
}
END_TEST

START_TEST(values_follow_name_and_seed_alone)
{
    draw("he_normal", 7, "w", w);
    draw("he_normal", 7, "w", again);
    ck_assert_mem_eq(w, again, sizeof w);
    draw("he_normal", 8, "w", again);
    ck_assert_mem_ne(w, again, sizeof w);
    draw("he_normal", 7, "u", again);
    ck_assert_mem_ne(w, again, sizeof w);
    /* Philox and Box-Muller replayed in Python, counter 0 of seed 7, stream 1, "h1/w" */
    draw("normal(1)", 7, "w", w);
    ck_assert_double_eq(w[0], (nl_real)0.4675651397266582);
}
END_TEST

/* The largest entry of |V V^T - gain^2 I| over the vectors that should be orthonormal. */
static double defect(const nl_real *q, int64_t rows, int64_t cols, double gain)
{
    const int64_t vectors = rows < cols ? rows : cols, n = rows < cols ? cols : rows;
    const int64_t next = rows < cols ? cols : 1, step = rows < cols ? 1 : cols;
    double worst = 0;
    for (int64_t a = 0; a < vectors; a++)
        for (int64_t b = 0; b < vectors; b++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += (double)q[a * next + i * step] * q[b * next + i * step];
            worst = fmax(worst, fabs(sum - (a == b) * gain * gain));
        }
    return worst;
}

START_TEST(orthogonal_weights_are_orthogonal)
{
    static const int64_t sizes[][2] = {{100, 100}, {300, 20}, {20, 300},
                                       {1, 7},     {7, 1},    {128, 200}};
    /* rounding alone; a single pass of Gram-Schmidt is worse */
    const double bound = sizeof(nl_real) == sizeof(float) ? 1e-5 : 1e-14;
    for (int k = 0; k < 6; k++) {
        const nl_weight_shape s = {sizes[k][0], sizes[k][1], 0, 0};
        ck_assert_int_eq(nl_init_weights("orthogonal", 3, "h1", "w", s, w), NL_OK);
        ck_assert_double_lt(defect(w, s.rows, s.cols, 1), bound);
        ck_assert_int_eq(nl_init_weights("orthogonal(1.5)", 3, "h1", "w", s, w), NL_OK);
        ck_assert_double_lt(defect(w, s.rows, s.cols, 1.5), 3 * bound);
    }
}
END_TEST

START_TEST(identity_is_one_on_the_diagonal)
{
    nl_real square[6];
    const nl_weight_shape wide = {.rows = 2, .cols = 3};
    ck_assert_int_eq(nl_init_weights("identity(0.5)", 3, "h1", "w", wide, square), NL_OK);
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq((double)square[i], i == 0 || i == 4 ? 0.5 : 0);
}
END_TEST

START_TEST(orthogonal_gives_back_its_memory_and_tells_when_there_is_none)
{
    const long before = nl_alloc_live();
    nl_alloc_fail_at(0);
    ck_assert_int_eq(nl_init_weights("orthogonal", 3, "h1", "w", shape, w), NL_ENOMEM);
    nl_alloc_fail_at(-1);
    draw("orthogonal", 3, "w", w);
    ck_assert_int_eq(nl_alloc_live(), before);
}
END_TEST

static const char *refusal(const char *spec)
{
    ck_assert_int_eq(nl_init_check(spec, "h1: w.init"), NL_EOPTION);
    return nl_last_error();
}

START_TEST(refusals_say_what_was_wanted)
{
    ck_assert_int_eq(nl_init_check("uniform(-1/1)", "h1"), NL_OK);
    ck_assert_str_eq(refusal("he_unifrom"),
                     "h1: w.init: no initializer 'he_unifrom'; did you mean 'he_uniform'? "
                     "(known: he_normal, he_uniform, glorot_normal, glorot_uniform, torch_linear, "
                     "orthogonal, identity, normal, uniform, constant, zeros, ones)");
    ck_assert_str_eq(refusal("normal(x)"),
                     "h1: w.init: normal takes one number in (), got 'normal(x)'");
    ck_assert_str_eq(refusal("uniform(1)"),
                     "h1: w.init: uniform takes two numbers such as (-0.1/0.1), got 'uniform(1)'");
    ck_assert_str_eq(refusal("zeros(1)"), "h1: w.init: zeros takes no numbers, got 'zeros(1)'");
    ck_assert_ptr_nonnull(strstr(refusal("normal(1"), "one number"));
    ck_assert_ptr_nonnull(strstr(refusal("normal(1)x"), "one number"));
    ck_assert_ptr_nonnull(strstr(refusal("normal()"), "one number"));
    ck_assert_ptr_nonnull(strstr(refusal(""), "no initializer ''"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("init");
    TCase *t = tcase_create("all");
    tcase_add_test(t, moments_and_limits_are_the_published_ones);
    tcase_add_test(t, values_drawn_again_are_nobody_elses);
    tcase_add_test(t, constants_are_constant);
    tcase_add_test(t, fans_may_be_given);
    tcase_add_test(t, values_follow_name_and_seed_alone);
    tcase_add_test(t, orthogonal_weights_are_orthogonal);
    tcase_add_test(t, identity_is_one_on_the_diagonal);
    tcase_add_test(t, orthogonal_gives_back_its_memory_and_tells_when_there_is_none);
    tcase_add_test(t, refusals_say_what_was_wanted);
    suite_add_tcase(s, t);
    return run_suite(s);
}
