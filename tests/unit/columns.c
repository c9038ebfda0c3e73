/* Short rows that lie side by side, of which many make a line, are as rows that lie apart. */
#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/random.h"
#include "kernel/area.h"
#include "suite.h"

enum { WIDEST = 17, ROWS = 300, LD = WIDEST + 2, ROOM = ROWS * LD };

static const int64_t counts[] = {1, 31, 127, 128, 131, ROWS};
enum { COUNTS = sizeof counts / sizeof *counts };

static nl_real coefficient[4][WIDEST];

static void draw(nl_real *to, int64_t rows, int64_t c, int64_t ld, uint64_t stream)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < c; k++)
            to[r * ld + k] = (nl_real)nl_random_normal((nl_key){stream, NL_STREAM_TEST, 0},
                                                       (uint64_t)(r * WIDEST + k));
}

static void draw_coefficients(void)
{
    for (int i = 0; i < 4; i++)
        draw(coefficient[i], 1, WIDEST, WIDEST, 10 + (uint64_t)i);
}

static void rows_are_equal(const nl_real *beside, const nl_real *apart, int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        ck_assert_msg(memcmp(beside + r * c, apart + r * LD, (size_t)c * sizeof *beside) == 0,
                      "row %lld of %lld with %lld channels", (long long)r, (long long)rows,
                      (long long)c);
}

static void write(int64_t rows, int64_t c, int64_t ld, nl_act act, int adds, nl_real *y)
{
    static nl_real x[ROOM], residual[ROOM];
    draw(x, rows, c, ld, 1);
    draw(residual, rows, c, ld, 2);
    const nl_result to = {y, ld, adds ? residual : NULL, act, 0};
    nl_column_kernel()->write((nl_rows){x, ld, rows, NULL, 1}, &to, c,
                              (nl_columns){coefficient[0], coefficient[1], coefficient[2]});
}

START_TEST(results)
{
    static nl_real beside[ROOM], apart[ROOM];
    draw_coefficients();
    for (int64_t c = 1; c <= WIDEST; c++)
        for (int n = 0; n < COUNTS; n++)
            for (int adds = 0; adds < 2; adds++) {
                const nl_act act = adds ? NL_RELU : NL_TANH;
                write(counts[n], c, c, act, adds, beside);
                write(counts[n], c, LD, act, adds, apart);
                rows_are_equal(beside, apart, counts[n], c);
            }
}
END_TEST

static void back(int64_t rows, int64_t c, int64_t ld, nl_real *dx)
{
    static nl_real x[ROOM], g[ROOM];
    draw(x, rows, c, ld, 3);
    draw(g, rows, c, ld, 4);
    nl_column_kernel()->back((nl_rows){x, ld, rows, NULL, 1}, g, ld, dx, ld, c, coefficient[0],
                             coefficient[1], coefficient[2], coefficient[3], 0);
}

START_TEST(gradients)
{
    static nl_real beside[ROOM], apart[ROOM];
    draw_coefficients();
    for (int64_t c = 1; c <= WIDEST; c++)
        for (int n = 0; n < COUNTS; n++) {
            back(counts[n], c, c, beside);
            back(counts[n], c, LD, apart);
            rows_are_equal(beside, apart, counts[n], c);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("columns");
    TCase *t = tcase_create("all");
    tcase_add_test(t, results);
    tcase_add_test(t, gradients);
    suite_add_tcase(s, t);
    return run_suite(s);
}
