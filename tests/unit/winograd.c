/* Minimal filtering against direct convolution: images that tiles do not divide, channels that
 * registers do not divide, borders, adding, threads; how large its rounding errors are; where it is
 * chosen. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/conv.h"
#include "draws.h"
#include "par/par.h"
#include "suite.h"

static const double unit = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;

typedef struct problem {
    nl_conv_geom g;
    int64_t n, nx, ny, nw;
    nl_real *x, *w, *dy, *y, *dx, *dw;
    nl_conv *c;
} problem;

/* Values in [-1, 1). */
static nl_real *drawn(int64_t count, uint64_t seed)
{
    nl_real *p = nl_alloc((size_t)count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    draw_all(p, count, seed, 2, 0);
    return p;
}

static problem opened(nl_conv_geom g, const char *pad, int64_t n, int64_t algorithm)
{
    problem p = {.g = g, .n = n};
    p.g.algorithm = algorithm;
    ck_assert_int_eq(nl_conv_pad(&p.g, pad, "test"), NL_OK);
    p.nx = n * g.h * g.w * g.in;
    p.ny = n * p.g.out_h * p.g.out_w * g.out;
    p.nw = g.kernel_h * g.kernel_w * (g.in / g.groups) * g.out;
    p.x = drawn(p.nx, 1), p.w = drawn(p.nw, 2), p.dy = drawn(p.ny, 3);
    p.y = drawn(p.ny, 4), p.dx = drawn(p.nx, 5), p.dw = drawn(p.nw, 6);
    if (nl_conv_open(&p.c, n, &p.g) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    return p;
}

static void closed(problem *p)
{
    nl_real *const all[] = {p->x, p->w, p->dy, p->y, p->dx, p->dw};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        nl_free(all[i]);
    nl_conv_close(p->c);
}

static void run(problem *p, bool add)
{
    nl_conv_forward(p->c, p->n, p->x, p->w, p->y);
    nl_conv_data_gradient(p->c, p->n, p->dy, p->w, p->dx, add);
    nl_conv_weight_gradient(p->c, p->n, p->x, p->dy, p->dw, add);
}

static nl_conv_geom square(int64_t h, int64_t w, int64_t in, int64_t out)
{
    return (nl_conv_geom){.h = h,
                          .w = w,
                          .in = in,
                          .out = out,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .stride = 1,
                          .groups = 1};
}

/* Kernels of 5 rows go by pairs of rows. */
static nl_conv_geom five(int64_t h, int64_t w, int64_t in, int64_t out, int64_t kernel_w)
{
    nl_conv_geom g = square(h, w, in, out);
    g.kernel_h = 5, g.kernel_w = kernel_w;
    return g;
}

static int64_t taps_of(const nl_conv_geom *g) { return g->kernel_h * g->kernel_w; }

/* ---- the same results */

/* terms: how many products a sum has. A rounding error grows like their root and meets as many of
 * them; a wrong term is some tenths. */
static void near(const nl_real *seen, const nl_real *wanted, int64_t count, int64_t terms,
                 const char *what)
{
    const double bound = 2 * unit * (double)terms + 16 * unit;
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)seen[i] - (double)wanted[i]) <= bound))
            ck_abort_msg("%s %lld: %.9g, direct %.9g", what, (long long)i, (double)seen[i],
                         (double)wanted[i]);
}

static void agrees(nl_conv_geom g, const char *pad, int64_t n)
{
    char what[96];
    problem direct = opened(g, pad, n, NL_CONV_DIRECT);
    problem tiles = opened(g, pad, n, NL_CONV_WINOGRAD);
    snprintf(what, sizeof what, "%lldx%lldx%lld -> %lld, %lldx%lld, pad %s", (long long)g.h,
             (long long)g.w, (long long)g.in, (long long)g.out, (long long)g.kernel_h,
             (long long)g.kernel_w, pad);
    for (int add = 0; add <= 1; add++) {
        run(&direct, add);
        run(&tiles, add);
        near(tiles.y, direct.y, direct.ny, taps_of(&g) * g.in, what);
        near(tiles.dx, direct.dx, direct.nx, taps_of(&g) * g.out * (1 + add), what);
        near(tiles.dw, direct.dw, direct.nw, direct.ny / g.out * (1 + add), what);
    }
    closed(&direct);
    closed(&tiles);
}

START_TEST(every_size_of_image_agrees)
{
    static const char *const pads[] = {"0", "1", "2"};
    for (int64_t h = 3; h <= 8; h++)
        for (int64_t w = 3; w <= 9; w++)
            for (int pad = 0; pad < 3; pad++)
                agrees(square(h, w, 5, 18), pads[pad], 3);
    agrees(square(1, 2, 4, 4), "1", 2);
}
END_TEST

START_TEST(every_number_of_channels_agrees)
{
    static const int64_t channels[] = {1, 7, 16, 33, 64, 65, 130};
    for (size_t in = 0; in < sizeof channels / sizeof *channels; in++)
        for (size_t out = 0; out < sizeof channels / sizeof *channels; out++)
            agrees(square(7, 6, channels[in], channels[out]), "same", 5);
}
END_TEST

/* A row of these has more tiles than a group. */
START_TEST(wide_images_agree)
{
    agrees(square(5, 131, 16, 3), "1", 2);
    agrees(square(3, 270, 17, 64), "2", 2);
}
END_TEST

START_TEST(five_rows_agree_on_every_size)
{
    static const char *const pads[] = {"0", "1", "same", "4"};
    for (int64_t h = 5; h <= 12; h++)
        for (int64_t kernel_w = 1; kernel_w <= 5; kernel_w += 2)
            for (int pad = 0; pad < (kernel_w == 5 ? 4 : kernel_w == 3 ? 3 : 1); pad++) {
                agrees(five(h, 7, 3, 5, kernel_w), pads[pad], 3);
                agrees(five(h, 6, 6, 18, kernel_w), pads[pad], 3);
            }
    agrees(five(1, 2, 4, 4, 5), "2", 2);
}
END_TEST

START_TEST(five_rows_agree_with_every_number_of_channels)
{
    static const int64_t channels[] = {1, 3, 4, 6, 8, 16, 33, 65};
    for (size_t in = 0; in < sizeof channels / sizeof *channels; in++)
        for (size_t out = 0; out < sizeof channels / sizeof *channels; out++)
            agrees(five(9, 8, channels[in], channels[out], 5), "same", 20);
}
END_TEST

/* More parts of the images, and more registers of a row, than in small ones. */
START_TEST(five_rows_agree_on_large_images)
{
    agrees(five(32, 32, 3, 6, 5), "same", 25);
    agrees(five(16, 16, 6, 16, 5), "valid", 25);
    agrees(five(21, 100, 16, 20, 3), "1", 3);
}
END_TEST

/* ---- how exact */

typedef struct sums {
    long double *y, *dx, *dw;
} sums;

static long double *zeros(int64_t count)
{
    long double *p = nl_alloc((size_t)count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    return p;
}

static void add_tap(const problem *p, sums s, int64_t y, int64_t x, int64_t w)
{
    const int64_t in = p->g.in, out = p->g.out;
    for (int64_t q = 0; q < in; q++)
        for (int64_t o = 0; o < out; o++) {
            const long double v = p->x[x * in + q], weight = p->w[(w * in + q) * out + o];
            const long double dy = p->dy[y * out + o];
            s.y[y * out + o] += v * weight;
            s.dx[x * in + q] += dy * weight;
            s.dw[(w * in + q) * out + o] += dy * v;
        }
}

static sums exact(const problem *p)
{
    const nl_conv_geom *g = &p->g;
    const sums s = {zeros(p->ny), zeros(p->nx), zeros(p->nw)};
    for (int64_t pixel = 0; pixel < p->n * g->out_h * g->out_w; pixel++)
        for (int64_t tap = 0; tap < taps_of(g); tap++) {
            const int64_t n = pixel / g->out_w / g->out_h;
            const int64_t i = pixel / g->out_w % g->out_h + tap / g->kernel_w - g->pad_top;
            const int64_t j = pixel % g->out_w + tap % g->kernel_w - g->pad_left;
            if (i >= 0 && i < g->h && j >= 0 && j < g->w)
                add_tap(p, s, pixel, (n * g->h + i) * g->w + j, tap);
        }
    return s;
}

/* Root of the mean square error. */
static double error(const nl_real *seen, const long double *wanted, int64_t count)
{
    long double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += ((long double)seen[i] - wanted[i]) * ((long double)seen[i] - wanted[i]);
    return (double)sqrtl(sum / (long double)count);
}

/* Errors of minimal filtering over those of direct sums. */
typedef struct ratios {
    double y, dx, dw;
} ratios;

static ratios errors_beside_direct(nl_conv_geom g, const char *pad, int64_t n)
{
    problem direct = opened(g, pad, n, NL_CONV_DIRECT);
    problem tiles = opened(g, pad, n, NL_CONV_WINOGRAD);
    const sums s = exact(&direct);
    run(&direct, false);
    run(&tiles, false);
    const ratios r = {error(tiles.y, s.y, tiles.ny) / error(direct.y, s.y, direct.ny),
                      error(tiles.dx, s.dx, tiles.nx) / error(direct.dx, s.dx, direct.nx),
                      error(tiles.dw, s.dw, tiles.nw) / error(direct.dw, s.dw, direct.nw)};
    nl_free(s.y);
    nl_free(s.dx);
    nl_free(s.dw);
    closed(&direct);
    closed(&tiles);
    return r;
}

/* On the stages of ResNet-20. A result has fewer roundings than a direct sum; a gradient of w adds
 * up larger numbers, of which halves are taken at the end. */
START_TEST(rounding_errors_are_those_of_direct_sums)
{
    static const int64_t stages[][2] = {{32, 16}, {16, 32}, {8, 64}};
    for (size_t k = 0; k < sizeof stages / sizeof *stages; k++) {
        const int64_t size = stages[k][0], channels = stages[k][1];
        const ratios r = errors_beside_direct(square(size, size, channels, channels), "1", 4);
        ck_assert(r.y < 1 && r.dx < 1 && r.dw < 1.5);
    }
}
END_TEST

/* On LeNet's convolutions. */
START_TEST(rounding_errors_of_five_rows_are_near_those_of_direct_sums)
{
    const ratios one = errors_beside_direct(five(32, 32, 3, 6, 5), "same", 25);
    const ratios two = errors_beside_direct(five(16, 16, 6, 16, 5), "valid", 25);
    ck_assert(one.y < 1.7 && one.dx < 2.1 && one.dw < 2.5);
    ck_assert(two.y < 1.7 && two.dx < 2.1 && two.dw < 2.5);
}
END_TEST

/* ---- the same bytes */

static bool same_bytes(const problem *a, const problem *b)
{
    return memcmp(a->y, b->y, (size_t)a->ny * sizeof *a->y) == 0 &&
           memcmp(a->dx, b->dx, (size_t)a->nx * sizeof *a->dx) == 0 &&
           memcmp(a->dw, b->dw, (size_t)a->nw * sizeof *a->dw) == 0;
}

static void alike_on_threads(nl_conv_geom g, int64_t n)
{
    problem one = opened(g, "same", n, NL_CONV_WINOGRAD);
    nl_threads_set(1);
    run(&one, false);
    for (int threads = 2; threads <= 3; threads++) {
        problem many = opened(g, "same", n, NL_CONV_WINOGRAD);
        nl_threads_set(threads);
        run(&many, false);
        ck_assert(same_bytes(&one, &many));
        closed(&many);
    }
    closed(&one);
    nl_threads_set(1);
}

START_TEST(threads_change_no_byte)
{
    static const int64_t images[] = {1, 3, 20};
    nl_par_ignore_work(true);
    for (size_t i = 0; i < 3; i++) {
        alike_on_threads(square(13, 11, 20, 70), images[i]);
        alike_on_threads(five(13, 11, 3, 6, 5), images[i]);
        alike_on_threads(five(32, 11, 6, 20, 5), images[i]);
    }
    nl_par_ignore_work(false);
}
END_TEST

static void stands_alone(nl_conv_geom g)
{
    problem all = opened(g, "1", 7, NL_CONV_WINOGRAD), few = opened(g, "1", 7, NL_CONV_WINOGRAD);
    run(&all, false);
    few.n = 2;
    run(&few, false);
    ck_assert_mem_eq(all.y, few.y, (size_t)(2 * all.ny / 7) * sizeof *all.y);
    ck_assert_mem_eq(all.dx, few.dx, (size_t)(2 * all.nx / 7) * sizeof *all.dx);
    closed(&all);
    closed(&few);
}

START_TEST(an_image_does_not_depend_on_the_others)
{
    stands_alone(square(5, 7, 16, 16));
    stands_alone(five(9, 7, 3, 6, 5));
    stands_alone(five(9, 7, 6, 16, 5));
}
END_TEST

/* ---- where it is chosen */

static bool is_chosen(nl_conv_geom g, const char *pad)
{
    problem chosen = opened(g, pad, 2, NL_CONV_AUTO), direct = opened(g, pad, 2, NL_CONV_DIRECT);
    run(&chosen, false);
    run(&direct, false);
    const bool same = same_bytes(&chosen, &direct);
    closed(&chosen);
    closed(&direct);
    return !same;
}

START_TEST(the_rule_sees_shapes)
{
    nl_conv_geom g = square(8, 8, 16, 16);
    ck_assert(is_chosen(g, "1"));
    ck_assert(is_chosen(g, "same"));
    ck_assert(is_chosen(square(32, 32, 16, 40), "0"));
    ck_assert(is_chosen(square(4, 4, 64, 64), "1"));
    ck_assert(!is_chosen(square(8, 8, 15, 16), "1"));
    ck_assert(!is_chosen(square(8, 8, 16, 15), "1"));
    ck_assert(!is_chosen(square(5, 5, 64, 64), "1")); /* 9 tiles: 144 instead of 169 */
    g.stride = 2;
    ck_assert(!is_chosen(g, "1"));
    g.stride = 1, g.groups = 2;
    ck_assert(!is_chosen(g, "1"));
    g.groups = 1, g.kernel_w = 1;
    ck_assert(!is_chosen(g, "1"));
}
END_TEST

START_TEST(the_rule_of_five_rows_sees_shapes)
{
    nl_conv_geom g = five(12, 12, 6, 16, 5);
    ck_assert(is_chosen(g, "valid"));
    ck_assert(is_chosen(five(32, 32, 3, 6, 5), "same"));
    ck_assert(is_chosen(five(12, 12, 16, 16, 1), "0"));
    ck_assert(!is_chosen(five(12, 12, 1, 6, 5), "same"));
    ck_assert(!is_chosen(five(12, 12, 3, 6, 1), "0"));
    ck_assert(!is_chosen(five(8, 300, 3, 16, 5), "same")); /* rows of 4,864 values */
    g.stride = 2;
    ck_assert(!is_chosen(g, "valid"));
    g.stride = 1, g.groups = 2;
    ck_assert(!is_chosen(g, "valid"));
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
    nl_conv_geom g = square(8, 8, 16, 16);
    nl_conv *c;
    g.algorithm = NL_CONV_WINOGRAD, g.stride = 2;
    ck_assert_int_eq(nl_conv_pad(&g, "1", "test"), NL_OK);
    ck_assert_int_eq(nl_conv_open(&c, 1, &g), NL_ESHAPE);
    ck_assert_str_eq(
        nl_last_error(),
        "minimal filtering is for kernels of 3x3 with pads up to 2, or of 5 rows with pads smaller "
        "than the kernel and rows of few values, stride 1 and 1 group, got 3x3, stride 2, 1 "
        "groups, pads 1 and 1");
    ck_assert_ptr_null(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("winograd");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_size_of_image_agrees);
    tcase_add_test(t, every_number_of_channels_agrees);
    tcase_add_test(t, wide_images_agree);
    tcase_add_test(t, five_rows_agree_on_every_size);
    tcase_add_test(t, five_rows_agree_with_every_number_of_channels);
    tcase_add_test(t, five_rows_agree_on_large_images);
    tcase_add_test(t, rounding_errors_are_those_of_direct_sums);
    tcase_add_test(t, rounding_errors_of_five_rows_are_near_those_of_direct_sums);
    tcase_add_test(t, threads_change_no_byte);
    tcase_add_test(t, an_image_does_not_depend_on_the_others);
    tcase_add_test(t, the_rule_sees_shapes);
    tcase_add_test(t, the_rule_of_five_rows_sees_shapes);
    tcase_add_test(t, what_cannot_be_is_said);
    suite_add_tcase(s, t);
    return run_suite(s);
}
