/* Activations: accuracy over all numbers against long double, limits, position, in place. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "kernel/act.h"
#include "suite.h"

enum { SHORT = 70 };
static const nl_act acts[] = {NL_LINEAR, NL_RELU, NL_SIGMOID, NL_TANH};

static const nl_act_kernels *variant(int v)
{
    const nl_act_kernels *all[] = {&nl_act_kernel_base, &nl_act_kernel_avx2, &nl_act_kernel_avx512};
    return all[v];
}

static long double exact(nl_act act, long double x)
{
    switch (act) {
    case NL_LINEAR: return x;
    case NL_RELU: return x > 0 ? x : 0;
    case NL_SIGMOID: return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
    case NL_TANH: return tanhl(x);
    }
    return 0;
}

/* ---- accuracy over all numbers there are */

enum { SWEPT = 1 << 21, BITS_SWEPT = 21, CHUNK = 4096 };
static const bool narrow = sizeof(nl_real) == 4;

/* Bits of a number of every sign and exponent: the upper 21 count, the others are drawn. Among them
 * are NaN, infinities, both zeros and denormal numbers. */
static nl_real swept(int64_t i)
{
    const uint64_t bits =
        (uint64_t)i << (64 - BITS_SWEPT) | nl_hash_bytes(NL_HASH_START, &i, sizeof i) >> BITS_SWEPT;
    const uint32_t upper = (uint32_t)(bits >> 32);
    nl_real x;
    memcpy(&x, narrow ? (const void *)&upper : &bits, sizeof x);
    return x;
}

/* Distance in units in the last place of `wanted`, or of the smallest normal number. */
static double ulps(nl_real seen, long double wanted)
{
    const int digits = narrow ? FLT_MANT_DIG : DBL_MANT_DIG;
    const int least = narrow ? FLT_MIN_EXP : DBL_MIN_EXP;
    int exponent;
    frexpl(wanted, &exponent);
    return (double)(fabsl(seen - wanted) /
                    ldexpl(1, (exponent > least ? exponent : least) - digits));
}

/* What act.h states. */
typedef struct accuracy {
    nl_act act;
    double ulps, absolute[2]; /* float, double */
} accuracy;
static const accuracy stated[] = {{NL_LINEAR, 0, {0, 0}},
                                  {NL_RELU, 0, {0, 0}},
                                  {NL_SIGMOID, 2.1, {9e-8, 1.7e-16}},
                                  {NL_TANH, 2.5, {1.5e-7, 2.8e-16}}};

static bool rounds_to_0(nl_act act, nl_real x)
{
    return act == NL_SIGMOID && x < (nl_real)(narrow ? -87 : -708);
}

static bool is_as_stated(const accuracy *a, nl_real x, nl_real y)
{
    const long double wanted = exact(a->act, x);
    if (isnan(x))
        return isnan(y);
    if (isinf(x))
        return (long double)y == wanted;
    return fabsl(y - wanted) <= a->absolute[!narrow] &&
           (rounds_to_0(a->act, x) ? y == 0 : ulps(y, wanted) <= a->ulps);
}

START_TEST(every_kind_of_number_has_the_stated_accuracy)
{
    static nl_real x[CHUNK], y[CHUNK];
    for (int64_t from = 0; from < SWEPT; from += CHUNK) {
        for (int64_t i = 0; i < CHUNK; i++)
            x[i] = swept(from + i);
        for (size_t k = 0; k < sizeof stated / sizeof *stated; k++)
            for (int v = 0; v <= (int)nl_cpu_level(); v++) {
                variant(v)->forward(stated[k].act, x, y, CHUNK);
                for (int64_t i = 0; i < CHUNK; i++)
                    if (!is_as_stated(&stated[k], x[i], y[i]))
                        ck_abort_msg("%s act %d of %.17g: %.17g", nl_cpu_name((nl_cpu)v),
                                     stated[k].act, (double)x[i], (double)y[i]);
            }
    }
}
END_TEST

START_TEST(limits_and_nan_are_right)
{
    const nl_real big = (nl_real)1e30;
    const nl_real x[] = {INFINITY, -INFINITY, big, -big, NAN, 0, (nl_real)-0.0, -1000, 1000};
    const double wanted[4][9] = {
        {INFINITY, -INFINITY, (double)big, -(double)big, NAN, 0, 0, -1000, 1000},
        {INFINITY, 0, (double)big, 0, NAN, 0, 0, 0, 1000},
        {1, 0, 1, 0, NAN, 0.5, 0.5, 0, 1},
        {1, -1, 1, -1, NAN, 0, 0, -1, 1}};
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int a = 0; a < 4; a++) {
            nl_real y[9];
            variant(v)->forward(acts[a], x, y, 9);
            for (int i = 0; i < 9; i++)
                ck_assert_msg(isnan(wanted[a][i]) ? isnan(y[i]) : y[i] == (nl_real)wanted[a][i],
                              "%s act %d of %g: %g", nl_cpu_name((nl_cpu)v), a, (double)x[i],
                              (double)y[i]);
        }
}
END_TEST

START_TEST(zeros_keep_their_sign_where_the_function_is_odd)
{
    const nl_real x[] = {0, (nl_real)-0.0};
    for (int v = 0; v <= (int)nl_cpu_level(); v++) {
        nl_real y[2];
        variant(v)->forward(NL_TANH, x, y, 2);
        ck_assert_mem_eq(y, x, sizeof x);
    }
}
END_TEST

START_TEST(a_value_does_not_depend_on_its_place)
{
    nl_real x[SHORT], y[SHORT], alone, dy[SHORT], dx[SHORT];
    for (int i = 0; i < SHORT; i++) {
        x[i] = (nl_real)(3 * sin(i));
        dy[i] = (nl_real)cos(i);
    }
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int a = 0; a < 4; a++)
            for (int n = 1; n <= SHORT; n++) {
                variant(v)->forward(acts[a], x, y, n);
                variant(v)->backward(acts[a], y, dy, dx, n);
                for (int i = 0; i < n; i++) {
                    variant(v)->forward(acts[a], x + i, &alone, 1);
                    ck_assert_mem_eq(&alone, y + i, sizeof alone);
                    variant(v)->backward(acts[a], y + i, dy + i, &alone, 1);
                    ck_assert_mem_eq(&alone, dx + i, sizeof alone);
                }
            }
}
END_TEST

START_TEST(backward_is_the_slope_and_works_in_place)
{
    const double eps = 1e-5, bound = 1e-6;
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int a = 0; a < 4; a++)
            for (int i = -40; i <= 40; i++) {
                const nl_real x = (nl_real)(0.1 * i + 0.03);
                nl_real y = (nl_real)exact(acts[a], x), dy = 2;
                variant(v)->backward(acts[a], &y, &dy, &dy, 1);
                const long double high = exact(acts[a], x + eps), low = exact(acts[a], x - eps);
                ck_assert_double_eq_tol((double)dy, (double)((high - low) / eps), bound);
            }
    /* relu: where y is 0 nothing flows, whatever comes. */
    nl_real y[] = {0, 0, 1, NAN}, dy[] = {INFINITY, NAN, 5, 7};
    nl_act_kernel()->backward(NL_RELU, y, dy, dy, 4);
    ck_assert(dy[0] == 0 && dy[1] == 0 && dy[2] == 5 && dy[3] == 7);
}
END_TEST

START_TEST(bias_and_activation_at_once_equal_one_after_the_other)
{
    enum { ROWS = 37 }; /* twice the lanes of a register, and some */
    nl_real x[ROWS * SHORT], bias[SHORT], fused[ROWS * SHORT], apart[ROWS * SHORT];
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int c = 1; c <= SHORT; c++)
            for (int a = 0; a < 4; a++) {
                for (int i = 0; i < ROWS * c; i++) {
                    x[i] = (nl_real)(3 * sin(i));
                    bias[i % c] = (nl_real)cos(i % c);
                    apart[i] = x[i] + bias[i % c];
                }
                variant(v)->forward(acts[a], apart, apart, ROWS * c);
                variant(v)->bias_forward(acts[a], x, bias, fused, ROWS, c);
                ck_assert_mem_eq(apart, fused, (size_t)(ROWS * c) * sizeof *x);
                variant(v)->forward(acts[a], x, apart, ROWS * c);
                variant(v)->bias_forward(acts[a], x, NULL, fused, ROWS, c);
                ck_assert_mem_eq(apart, fused, (size_t)(ROWS * c) * sizeof *x);
            }
}
END_TEST

static void check_bias_backward(const nl_act_kernels *k, nl_act act, int64_t rows, int64_t c,
                                int64_t ld)
{
    enum { ROOM = 600 * 40 };
    static nl_real y[ROOM], g[ROOM], wanted[ROOM];
    const double epsilon = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;
    double sums[40], exact_sum[40], size[40];
    for (int64_t i = 0; i < rows * ld; i++) {
        y[i] = (nl_real)(0.9 * sin((double)i));
        g[i] = wanted[i] = (nl_real)cos(3 * (double)i);
    }
    for (int64_t j = 0; j < c; j++)
        sums[j] = exact_sum[j] = 100, size[j] = 0;
    for (int64_t r = 0; r < rows; r++) {
        k->backward(act, y + r * ld, wanted + r * ld, wanted + r * ld, c);
        for (int64_t j = 0; j < c; j++) {
            exact_sum[j] += (double)wanted[r * ld + j];
            size[j] += fabs((double)wanted[r * ld + j]);
        }
    }
    k->bias_backward(act, act == NL_LINEAR ? NULL : y, g, rows, c, ld, sums);
    ck_assert_mem_eq(g, wanted, (size_t)(rows * ld) * sizeof *g);
    for (int64_t j = 0; j < c; j++) /* 64 sums of the storage type: WAYS chains of RUN / WAYS */
        ck_assert_double_eq_tol(sums[j], exact_sum[j], 64 * epsilon * size[j] + 1e-13);
}

START_TEST(gradient_and_sums_of_columns_at_once_equal_one_after_the_other)
{
    static const int64_t rows[] = {1, 3, 16, 37, 600}, columns[] = {1, 3, 6, 8, 16, 17, 33};
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int a = 0; a < 4; a++)
            for (int r = 0; r < 5; r++)
                for (int c = 0; c < 7; c++) {
                    check_bias_backward(variant(v), acts[a], rows[r], columns[c], columns[c]);
                    check_bias_backward(variant(v), acts[a], rows[r], columns[c], columns[c] + 5);
                }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("act");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_kind_of_number_has_the_stated_accuracy);
    tcase_add_test(t, limits_and_nan_are_right);
    tcase_add_test(t, zeros_keep_their_sign_where_the_function_is_odd);
    tcase_add_test(t, a_value_does_not_depend_on_its_place);
    tcase_add_test(t, backward_is_the_slope_and_works_in_place);
    tcase_add_test(t, bias_and_activation_at_once_equal_one_after_the_other);
    tcase_add_test(t, gradient_and_sums_of_columns_at_once_equal_one_after_the_other);
    suite_add_tcase(s, t);
    return run_suite(s);
}
