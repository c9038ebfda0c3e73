/* Rows standardized in one go, against the formulas in double: rows that fill tiles and do not,
 * rows far from zero, first values far from the mean. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/random.h"
#include "kernel/area.h"
#include "suite.h"

enum { ROWS = 37, MOST = 1000, LD = MOST + 8 };
static const double eps = 1e-5;
static const int64_t widths[] = {1, 2, 3, 8, 15, 16, 17, 32, 33, 64, 65, 72, 100, 512, 1000};
static const int64_t counts[] = {1, 2, 3, 4, 5, 8, 16, 17, ROWS};
enum { WIDTHS = sizeof widths / sizeof *widths, COUNTS = sizeof counts / sizeof *counts };

static nl_real x[ROWS * LD], y[ROWS * LD], dy[ROWS * LD], dx[ROWS * LD];
static nl_real gamma_[MOST], beta[MOST], dgamma[MOST], dbeta[MOST];
static double mean[ROWS], var[ROWS];
static uint8_t live[ROWS];

static double draw(uint64_t i) { return nl_random_normal((nl_key){5, NL_STREAM_TEST, 0}, i); }

static void fill(double center)
{
    for (int64_t i = 0; i < ROWS * LD; i++) {
        x[i] = (nl_real)(center + draw((uint64_t)i));
        dy[i] = (nl_real)draw((uint64_t)(i + ROWS * LD));
    }
    for (int64_t k = 0; k < MOST; k++) {
        gamma_[k] = (nl_real)(1 + 0.3 * draw((uint64_t)k));
        beta[k] = (nl_real)(0.2 * draw((uint64_t)(k + MOST)));
        dgamma[k] = dbeta[k] = 0;
    }
    for (int r = 0; r < ROWS; r++)
        live[r] = r % 5 != 3;
}

static nl_standard standard(int about_zero)
{
    return (nl_standard){eps, about_zero, mean, var, gamma_, beta};
}

static void run(int64_t rows, int64_t c, const uint8_t *mask, int about_zero)
{
    const nl_standard s = standard(about_zero);
    const nl_rows in = {x, LD, rows, mask, 1};
    const nl_result to = {.y = y, .ld = LD, .act = NL_LINEAR};
    const nl_arriving g = {.dy = dy, .ld = LD, .act = NL_LINEAR};
    nl_standard_kernel()->forward(in, &to, c, &s);
    nl_standard_kernel()->back(in, &g, dx, LD, c, &s, dgamma, dbeta, 0);
}

typedef struct row_truth {
    double mean, var, r, G, H;
} row_truth;

static row_truth truth_of(int64_t row, int64_t c, int about_zero)
{
    const nl_real *xr = x + row * LD, *g = dy + row * LD;
    row_truth t = {0};
    for (int64_t k = 0; k < c && !about_zero; k++)
        t.mean += (double)xr[k] / (double)c;
    for (int64_t k = 0; k < c; k++) {
        const double d = (double)xr[k] - t.mean, to_z = (double)gamma_[k] * (double)g[k];
        t.var += d * d / (double)c;
        t.G += to_z;
        t.H += to_z * d;
    }
    t.r = 1 / sqrt(t.var + eps);
    return t;
}

static void is_near(const char *what, int64_t row, int64_t k, double seen, double want,
                    double bound)
{
    ck_assert_msg(fabs(seen - want) <= bound, "%s of row %lld, channel %lld: %.9g, expected %.9g",
                  what, (long long)row, (long long)k, seen, want);
}

static void check_row(int64_t row, int64_t c, int about_zero, double bound)
{
    const row_truth t = truth_of(row, c, about_zero);
    const double m = (double)c;
    is_near("mean", row, 0, mean[row], t.mean, bound * (1 + fabs(t.mean)));
    is_near("variance", row, 0, var[row], t.var, bound * (1 + t.var));
    for (int64_t k = 0; k < c; k++) {
        const int64_t at = row * LD + k;
        const double d = (double)x[at] - t.mean, to_z = (double)gamma_[k] * (double)dy[at];
        const double z = t.r * d, dvar = -t.r * t.r * t.r * t.H / 2;
        const double dmean = about_zero ? 0 : -t.r * t.G;
        is_near("y", row, k, (double)y[at], (double)gamma_[k] * z + (double)beta[k],
                bound * (1 + fabs(z)));
        is_near("dx", row, k, (double)dx[at], t.r * to_z + dmean / m + dvar * 2 * d / m,
                bound * (1 + t.r) * (1 + fabs(to_z)));
    }
}

static double bound_of(double of_float)
{
    return sizeof(nl_real) == sizeof(double) ? 1e-12 : of_float;
}

START_TEST(rows_are_as_the_formulas_say)
{
    for (int about_zero = 0; about_zero < 2; about_zero++)
        for (int w = 0; w < WIDTHS; w++)
            for (int n = 0; n < COUNTS; n++) {
                fill(0.5);
                run(counts[n], widths[w], NULL, about_zero);
                for (int64_t row = 0; row < counts[n]; row++)
                    check_row(row, widths[w], about_zero, bound_of(2e-5));
            }
}
END_TEST

static void check_sums(int64_t c, int about_zero)
{
    for (int64_t k = 0; k < c; k++) {
        double to_gamma = 0, to_beta = 0;
        for (int64_t row = 0; row < ROWS; row++) {
            const row_truth t = truth_of(row, c, about_zero);
            const int64_t at = row * LD + k;
            to_gamma += live[row] * (double)dy[at] * t.r * ((double)x[at] - t.mean);
            to_beta += live[row] * (double)dy[at];
        }
        is_near("dgamma", 0, k, (double)dgamma[k], to_gamma, bound_of(1e-4));
        is_near("dbeta", 0, k, (double)dbeta[k], to_beta, bound_of(1e-4));
    }
}

START_TEST(gamma_and_beta_get_the_sums_over_live_rows)
{
    for (int about_zero = 0; about_zero < 2; about_zero++)
        for (int w = 0; w < WIDTHS; w++) {
            fill(0.5);
            run(ROWS, widths[w], live, about_zero);
            check_sums(widths[w], about_zero);
        }
}
END_TEST

/* The loops for the usual parameters and those for others give the same bytes. */
START_TEST(missing_gamma_is_one_and_missing_beta_gets_no_sum)
{
    static nl_real with_dx[ROWS * LD], with_dgamma[MOST];
    const nl_rows in = {x, LD, ROWS, live, 1};
    const nl_arriving g = {.dy = dy, .ld = LD, .act = NL_LINEAR};
    for (int about_zero = 0; about_zero < 2; about_zero++)
        for (int w = 0; w < WIDTHS; w++) {
            const size_t sums = (size_t)widths[w] * sizeof *dgamma;
            fill(0.5);
            for (int64_t k = 0; k < MOST; k++)
                gamma_[k] = 1;
            run(ROWS, widths[w], live, about_zero);
            memcpy(with_dx, dx, sizeof dx);
            memcpy(with_dgamma, dgamma, sizeof dgamma);
            for (int missing = 1; missing < 4; missing++) {
                nl_standard s = standard(about_zero);
                s.gamma = missing & 1 ? NULL : gamma_;
                memset(dgamma, 0, sizeof dgamma);
                memset(dx, 0, sizeof dx);
                nl_standard_kernel()->back(in, &g, dx, LD, widths[w], &s, dgamma,
                                           missing & 2 ? NULL : dbeta, 0);
                ck_assert_int_eq(memcmp(dgamma, with_dgamma, sums), 0);
                for (int64_t row = 0; row < ROWS; row++)
                    ck_assert_int_eq(memcmp(dx + row * LD, with_dx + row * LD, sums), 0);
            }
        }
}
END_TEST

START_TEST(dead_rows_are_zeros_and_change_nothing)
{
    static nl_real alone_y[ROWS * LD], alone_dx[ROWS * LD];
    for (int w = 0; w < WIDTHS; w++) {
        const int64_t c = widths[w];
        fill(0.5);
        run(ROWS, c, NULL, 0);
        memcpy(alone_y, y, sizeof y);
        memcpy(alone_dx, dx, sizeof dx);
        run(ROWS, c, live, 0);
        for (int64_t row = 0; row < ROWS; row++)
            for (int64_t k = 0; k < c; k++) {
                const int64_t at = row * LD + k;
                ck_assert(y[at] == (live[row] ? alone_y[at] : 0));
                ck_assert(dx[at] == (live[row] ? alone_dx[at] : 0));
            }
    }
}
END_TEST

/* 1 / sqrt(var) is as exact for every exponent; what has no variance any more is told. */
START_TEST(rows_of_any_scale_are_standardized)
{
    static nl_real plain[ROWS * LD];
    const int exponents = sizeof(nl_real) == sizeof(double) ? 500 : 54;
    const nl_rows in = {x, LD, ROWS, live, 1};
    const nl_result to = {.y = y, .ld = LD, .act = NL_LINEAR};
    nl_standard s = standard(0);
    s.eps = 0;
    fill(0.5);
    memcpy(plain, x, sizeof x);
    for (int w = 0; w < WIDTHS; w++)
        for (int e = -exponents; e <= exponents; e += exponents / 6) {
            const int64_t c = widths[w];
            for (int64_t i = 0; i < ROWS * LD; i++)
                x[i] = (nl_real)ldexp((double)plain[i], e);
            nl_standard_kernel()->forward(in, &to, c, &s);
            memcpy(x, plain, sizeof x);
            for (int64_t row = 0; row < ROWS; row += 4) {
                const row_truth t = truth_of(row, c, 0);
                for (int64_t k = 0; k < c && c > 3 && live[row]; k++) {
                    const double z = ((double)x[row * LD + k] - t.mean) / sqrt(t.var);
                    is_near("y", row, k, (double)y[row * LD + k],
                            (double)gamma_[k] * z + (double)beta[k], bound_of(1e-5));
                }
            }
        }
    for (int64_t i = 0; i < ROWS * LD; i += 2)
        x[i] = (nl_real)ldexp(1, sizeof(nl_real) == sizeof(double) ? 600 : 80);
    nl_standard_kernel()->forward(in, &to, MOST, &s);
    ck_assert(isnan(var[0]) && isnan((double)y[0]));
}
END_TEST

/* Bytes of a row do not depend on the rows beside it. */
START_TEST(rows_do_not_know_their_neighbours)
{
    static nl_real among_y[ROWS * LD];
    for (int w = 0; w < WIDTHS; w++) {
        const int64_t c = widths[w];
        fill(0.5);
        x[2 * LD] = 40; /* its moments are taken twice, and others' are not */
        run(ROWS, c, NULL, 0);
        memcpy(among_y, y, sizeof y);
        for (int64_t row = 0; row < ROWS; row++) {
            const nl_standard s = {eps, 0, mean, var, gamma_, beta};
            const nl_result to = {.y = y, .ld = LD, .act = NL_LINEAR};
            nl_standard_kernel()->forward((nl_rows){x + row * LD, LD, 1, NULL, 1}, &to, c, &s);
            ck_assert_int_eq(memcmp(y, among_y + row * LD, (size_t)c * sizeof *y), 0);
        }
    }
}
END_TEST

/* ---- the same bytes wherever a row lies and however loops go */

/* x and dy of rows that begin `shift` values behind a line; y and dx begin elsewhere. */
typedef struct placed {
    nl_real *x, *dy, *y, *dx;
} placed;

enum { SHIFTS = 64 / (int)sizeof(nl_real), ROOM = ROWS * LD + SHIFTS };
static _Alignas(64) nl_real room[4][ROOM];

static placed place(int shift)
{
    memset(room, 0, sizeof room);
    const int other = (3 * shift + 5) % SHIFTS;
    const placed at = {room[0] + shift, room[1] + shift, room[2] + other, room[3] + shift / 2};
    memcpy(at.x, x, sizeof x);
    memcpy(at.dy, dy, sizeof dy);
    return at;
}

typedef struct way {
    int about_zero;
    nl_act act; /* forward */
    const uint8_t *mask;
    const nl_real *beta;
    int stream;
} way;

static void run_placed(placed at, int64_t ld, int64_t c, way how)
{
    const nl_standard s = {eps, how.about_zero, mean, var, gamma_, how.beta};
    const nl_rows in = {at.x, ld, ROWS, how.mask, 1};
    const nl_result to = {.y = at.y, .ld = ld, .act = how.act, .stream = how.stream};
    const nl_arriving g = {.dy = at.dy, .ld = ld, .act = NL_LINEAR};
    memset(dgamma, 0, sizeof dgamma);
    memset(dbeta, 0, sizeof dbeta);
    nl_standard_kernel()->forward(in, &to, c, &s);
    nl_standard_kernel()->back(in, &g, at.dx, ld, c, &s, dgamma, dbeta, how.stream);
    nl_column_kernel()->settle();
}

typedef struct results {
    nl_real y[ROWS * LD], dx[ROWS * LD], dgamma[MOST], dbeta[MOST];
    double mean[ROWS], var[ROWS];
} results;

static void keep(results *r, placed at)
{
    memcpy(r->y, at.y, sizeof r->y);
    memcpy(r->dx, at.dx, sizeof r->dx);
    memcpy(r->dgamma, dgamma, sizeof dgamma);
    memcpy(r->dbeta, dbeta, sizeof dbeta);
    memcpy(r->mean, mean, sizeof mean);
    memcpy(r->var, var, sizeof var);
}

static void is_same(const results *r, const results *want, const char *how, int at, int64_t c)
{
    ck_assert_msg(memcmp(r, want, sizeof *r) == 0, "%lld channels, %s: %d", (long long)c, how, at);
}

static const nl_cpu_habits habits[] = {
    {.near_bytes = 32768, .one_row = false, .asks_ahead = false},
    {.near_bytes = 49152, .one_row = true, .asks_ahead = true},
    {.near_bytes = 1, .one_row = false, .asks_ahead = true},
    {.near_bytes = 1 << 20, .one_row = true, .asks_ahead = false},
};
enum { HABITS = sizeof habits / sizeof *habits };

START_TEST(bytes_do_not_depend_on_where_a_row_lies)
{
    static results want, seen;
    for (int about_zero = 0; about_zero < 2; about_zero++)
        for (int w = 0; w < WIDTHS; w++) {
            fill(0.5);
            x[2 * LD] = 40; /* its moments are taken twice */
            for (int shift = 0; shift < SHIFTS; shift++) {
                const placed at = place(shift);
                run_placed(at, LD, widths[w], (way){about_zero, NL_LINEAR, NULL, beta, 0});
                keep(shift ? &seen : &want, at);
                if (shift > 0)
                    is_same(&seen, &want, "values behind a line", shift, widths[w]);
            }
        }
}
END_TEST

static void try_habits(placed at, int64_t ld, int64_t c, way as)
{
    static results want, seen;
    for (int how = 0; how < 2 * HABITS; how++) {
        as.stream = how % 2;
        nl_cpu_habits_set(&habits[how / 2]);
        memset(at.y, 0, sizeof y);
        memset(at.dx, 0, sizeof dx);
        run_placed(at, ld, c, as);
        keep(how ? &seen : &want, at);
        if (how > 0)
            is_same(&seen, &want,
                    how % 2 ? "past the cache, rows apart" : "other habits, rows apart", (int)ld,
                    c);
    }
    nl_cpu_habits_set(NULL);
}

/* Rows that loops treat as special, among others. */
static void place_far_rows_and_outliers(void)
{
    for (int64_t row = 0; row < ROWS; row++) {
        for (int64_t k = 0; k < LD && row % 6 == 1; k++)
            x[row * LD + k] += 1000;
        if (row % 6 == 4)
            x[row * LD] = 40;
    }
}

/* Past the cache or not, side by side, as rows LD apart can be, or one by one, in any tiles. */
START_TEST(bytes_do_not_depend_on_the_habits_of_the_machine)
{
    const placed on_lines = {room[0], room[1], room[2], room[3]};
    for (int about_zero = 0; about_zero < 2; about_zero++)
        for (int w = 0; w < WIDTHS; w++) {
            const nl_real *usual = about_zero ? NULL : beta;
            const way ways[] = {{about_zero, NL_LINEAR, NULL, beta, 0},
                                {about_zero, NL_LINEAR, live, usual, 0},
                                {about_zero, NL_RELU, NULL, usual, 0}};
            fill(0.5);
            place_far_rows_and_outliers();
            for (int i = 0; i < (int)(sizeof ways / sizeof *ways); i++) {
                try_habits(place(SHIFTS / 2), MOST, widths[w], ways[i]);
                place(0);
                try_habits(on_lines, LD, widths[w], ways[i]);
                place(0);
                try_habits(on_lines, widths[w], widths[w], ways[i]); /* every second mid-line */
            }
        }
}
END_TEST

START_TEST(a_machine_has_a_nearest_cache)
{
    ck_assert_int_ge(nl_cpu_habits_now()->near_bytes, 4096);
    nl_cpu_habits_set(&habits[2]);
    ck_assert_int_eq(nl_cpu_habits_now()->near_bytes, 1);
    nl_cpu_habits_set(NULL);
    ck_assert_int_ge(nl_cpu_habits_now()->near_bytes, 4096);
}
END_TEST

/* Values are whole numbers, so that a row's mean lies between two numbers of the storage type. */
START_TEST(a_mean_that_cannot_be_stored_is_kept)
{
    const double far = sizeof(nl_real) == sizeof(double) ? 0x1p50 : 0x1p21;
    const int64_t c = 100;
    fill(0);
    for (int64_t i = 0; i < ROWS * LD; i++)
        x[i] = (nl_real)(far + (i % LD % 10 < 3));
    run(ROWS, c, NULL, 0);
    for (int64_t row = 0; row < ROWS; row++) {
        const double r = 1 / sqrt(0.21 + eps), rest = (double)gamma_[0] * r * 0.7;
        is_near("y", row, 0, (double)(y[row * LD] - beta[0]), rest, 2e-5);
        is_near("variance", row, 0, var[row], 0.21, 1e-6);
    }
}
END_TEST

START_TEST(a_mean_that_cannot_be_stored_is_kept_going_back)
{
    const double far = 0x1p21; /* kept as a double between the passes, it has room for the rest */
    static nl_real near_dx[MOST], near_dgamma[MOST];
    const int64_t c = 100;
    fill(0);
    for (int64_t i = 0; i < LD; i++)
        x[i] = (nl_real)(i % 10 < 3);
    run(1, c, NULL, 0);
    memcpy(near_dx, dx, sizeof near_dx);
    memcpy(near_dgamma, dgamma, sizeof near_dgamma);
    memset(dgamma, 0, sizeof dgamma);
    for (int64_t i = 0; i < LD; i++)
        x[i] += (nl_real)far;
    run(1, c, NULL, 0);
    for (int64_t k = 0; k < c; k++)
        is_near("dx", 0, k, (double)dx[k], (double)near_dx[k], 1e-4);
    for (int64_t k = 0; k < c; k++)
        is_near("dgamma", 0, k, (double)dgamma[k], (double)near_dgamma[k], 1e-4);
}
END_TEST

/* An outlier of sqrt(c) standard deviations stands first: its squares hide all others'. */
START_TEST(an_outlier_that_comes_first_does_not_hide_the_rest)
{
    const double away = sizeof(nl_real) == sizeof(double) ? 1e9 : 3000;
    const int64_t c = 1000;
    fill(0);
    for (int64_t row = 0; row < ROWS; row += 2)
        x[row * LD] = (nl_real)away;
    run(ROWS, c, NULL, 0);
    for (int64_t row = 0; row < ROWS; row++) {
        const row_truth t = truth_of(row, c, 0);
        const double share = sizeof(nl_real) == sizeof(double) ? 1e-14 : 1e-6;
        is_near("variance", row, 0, var[row], t.var, share * t.var);
        is_near("mean", row, 0, mean[row], t.mean, share * (1 + fabs(t.mean)));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("standardize");
    TCase *formulas = tcase_create("formulas");
    tcase_add_test(formulas, rows_are_as_the_formulas_say);
    suite_add_tcase(s, formulas);
    TCase *sums = tcase_create("sums");
    tcase_add_test(sums, gamma_and_beta_get_the_sums_over_live_rows);
    tcase_add_test(sums, missing_gamma_is_one_and_missing_beta_gets_no_sum);
    tcase_add_test(sums, dead_rows_are_zeros_and_change_nothing);
    suite_add_tcase(s, sums);
    TCase *bytes = tcase_create("bytes");
    tcase_add_test(bytes, rows_do_not_know_their_neighbours);
    tcase_add_test(bytes, bytes_do_not_depend_on_where_a_row_lies);
    tcase_add_test(bytes, bytes_do_not_depend_on_the_habits_of_the_machine);
    suite_add_tcase(s, bytes);
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, rows_of_any_scale_are_standardized);
    tcase_add_test(numbers, a_machine_has_a_nearest_cache);
    tcase_add_test(numbers, a_mean_that_cannot_be_stored_is_kept);
    tcase_add_test(numbers, a_mean_that_cannot_be_stored_is_kept_going_back);
    tcase_add_test(numbers, an_outlier_that_comes_first_does_not_hide_the_rest);
    suite_add_tcase(s, numbers);
    return run_suite(s);
}
