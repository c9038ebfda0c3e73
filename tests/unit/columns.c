/* Short rows that lie side by side, of which many make a line, are as rows that lie apart; long
 * ones are as their formulas say wherever they begin, and past the cache, too. */
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

/* ---- long rows */

enum { LONG = 100, LONG_ROWS = 5, SHIFTS = 64 / (int)sizeof(nl_real) };
static const int64_t lengths[] = {33, 63, 64, 65, 80, 99, LONG};
enum { LENGTHS = sizeof lengths / sizeof *lengths, LONG_ROOM = LONG_ROWS * (LONG + 1) + SHIFTS };

static _Alignas(64) nl_real long_x[LONG_ROOM], long_g[LONG_ROOM], long_added[LONG_ROOM];
static _Alignas(64) nl_real long_y[LONG_ROOM], long_dx[LONG_ROOM];
static nl_real long_q[4][LONG];

static nl_real drawn(uint64_t stream, int64_t i)
{
    return (nl_real)nl_random_normal((nl_key){stream, NL_STREAM_TEST, 0}, (uint64_t)i);
}

static void draw_long(void)
{
    for (int64_t i = 0; i < 4 * LONG; i++)
        long_q[i / LONG][i % LONG] = drawn(20, i);
    for (int64_t i = 0; i < LONG_ROOM; i++) {
        long_x[i] = drawn(30, i);
        long_g[i] = drawn(31, i);
        long_added[i] = drawn(32, i);
        long_y[i] = long_dx[i] = 7;
    }
}

static void is_near(const char *what, nl_real seen, double want, int64_t c, int shift)
{
    const double bound = sizeof(nl_real) == sizeof(double) ? 1e-13 : 1e-5;
    ck_assert_msg(seen - want < bound && want - seen < bound,
                  "%s of %lld channels, %d values behind a line: %.9g, expected %.9g", what,
                  (long long)c, shift, (double)seen, want);
}

/* Rows of c + 1 values, of which the last is not theirs; results do not begin where x does. */
static void check_long(int64_t c, int shift, int stream, int adds)
{
    const int64_t ld = c + 1;
    const int other = (3 * shift + 5) % SHIFTS;
    const nl_rows in = {long_x + shift, ld, LONG_ROWS, NULL, 1};
    const nl_result to = {long_y + other, ld, adds ? long_added + shift : NULL,
                          adds ? NL_RELU : NL_LINEAR, stream};
    nl_column_kernel()->write(in, &to, c, (nl_columns){long_q[0], long_q[1], long_q[2]});
    nl_column_kernel()->back(in, long_g + shift, ld, long_dx + other, ld, c, long_q[0], long_q[1],
                             long_q[2], long_q[3], stream);
    nl_column_kernel()->settle();
    for (int64_t i = 0; i < other; i++)
        ck_assert(long_y[i] == 7 && long_dx[i] == 7);
    for (int64_t r = 0; r < LONG_ROWS; r++) {
        const nl_real *x = in.x + r * ld, *g = long_g + shift + r * ld, *y = to.y + r * ld;
        const nl_real *dx = long_dx + other + r * ld, *added = long_added + shift + r * ld;
        for (int64_t k = 0; k < c; k++) {
            const double d = (double)x[k] - (double)long_q[0][k], a = (double)long_q[1][k];
            const double p = (double)long_q[2][k], q = (double)long_q[3][k];
            const double z = a * d + p + (adds ? (double)added[k] : 0);
            is_near("y", y[k], adds && z < 0 ? 0 : z, c, shift);
            is_near("dx", dx[k], a * (double)g[k] + p * d + q, c, shift);
        }
        ck_assert(y[c] == 7 && dx[c] == 7);
    }
}

START_TEST(long_rows_wherever_they_begin)
{
    for (int n = 0; n < LENGTHS; n++)
        for (int shift = 0; shift < SHIFTS; shift++)
            for (int way = 0; way < 4; way++) {
                draw_long();
                check_long(lengths[n], shift, way % 2, way / 2);
            }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("columns");
    TCase *t = tcase_create("all");
    tcase_add_test(t, results);
    tcase_add_test(t, gradients);
    tcase_add_test(t, long_rows_wherever_they_begin);
    suite_add_tcase(s, t);
    return run_suite(s);
}
