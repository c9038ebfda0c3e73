/* Convolution against sums over all taps in double: every option, ragged sizes, fewer images than
 * planned, adding, threads; as the rule has it and by direct sums. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/conv.h"
#include "par/par.h"
#include "suite.h"

static const double unit = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;

/* Deterministic values in [-1, 1] that are no round numbers. */
static nl_real value(int64_t i) { return (nl_real)sin(0.7 + 1.3 * (double)(i % 9973)); }

static nl_real *filled(int64_t count, int64_t seed)
{
    nl_real *p = nl_alloc((size_t)count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (int64_t i = 0; i < count; i++)
        p[i] = value(i + 31 * seed);
    return p;
}

typedef struct problem {
    nl_conv_geom g;
    int64_t n, nx, ny, nw;
    nl_real *x, *w, *dy, *y, *dx, *dw;
    double *y_sum, *dx_sum, *dw_sum;
    nl_conv *c;
} problem;

static problem opened(nl_conv_geom g, const char *pad, int64_t n, int64_t planned)
{
    problem p = {.g = g, .n = n};
    ck_assert_int_eq(nl_conv_pad(&p.g, pad, "test"), NL_OK);
    p.nx = n * g.h * g.w * g.in;
    p.ny = n * p.g.out_h * p.g.out_w * g.out;
    p.nw = g.kernel_h * g.kernel_w * (g.in / g.groups) * g.out;
    p.x = filled(p.nx, 1), p.w = filled(p.nw, 2), p.dy = filled(p.ny, 3);
    p.y = filled(p.ny, 4), p.dx = filled(p.nx, 5), p.dw = filled(p.nw, 6);
    p.y_sum = nl_alloc((size_t)p.ny, sizeof(double));
    p.dx_sum = nl_alloc((size_t)p.nx, sizeof(double));
    p.dw_sum = nl_alloc((size_t)p.nw, sizeof(double));
    ck_assert(p.y_sum && p.dx_sum && p.dw_sum);
    if (nl_conv_open(&p.c, planned, &p.g) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    return p;
}

static void closed(problem *p)
{
    void *const all[] = {p->x, p->w, p->dy, p->y, p->dx, p->dw, p->y_sum, p->dx_sum, p->dw_sum};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        nl_free(all[i]);
    nl_conv_close(p->c);
}

/* One tap of one result: the three sums it enters. */
static void add_tap(problem *p, int64_t y, int64_t x, int64_t w)
{
    p->y_sum[y] += (double)p->x[x] * (double)p->w[w];
    p->dx_sum[x] += (double)p->dy[y] * (double)p->w[w];
    p->dw_sum[w] += (double)p->dy[y] * (double)p->x[x];
}

static void sum_pixel(problem *p, int64_t n, int64_t i, int64_t j)
{
    const nl_conv_geom *g = &p->g;
    const int64_t in = g->in / g->groups, out = g->out / g->groups;
    for (int64_t a = 0; a < g->kernel_h; a++)
        for (int64_t b = 0; b < g->kernel_w; b++) {
            const int64_t h = i * g->stride + a - g->pad_top, w = j * g->stride + b - g->pad_left;
            if (h < 0 || h >= g->h || w < 0 || w >= g->w)
                continue;
            for (int64_t o = 0; o < g->out; o++)
                for (int64_t q = 0; q < in; q++)
                    add_tap(p, ((n * g->out_h + i) * g->out_w + j) * g->out + o,
                            ((n * g->h + h) * g->w + w) * g->in + o / out * in + q,
                            ((a * g->kernel_w + b) * in + q) * g->out + o);
        }
}

static void sum_all(problem *p)
{
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t i = 0; i < p->g.out_h; i++)
            for (int64_t j = 0; j < p->g.out_w; j++)
                sum_pixel(p, n, i, j);
}

static void run_all(problem *p, bool add)
{
    if (!add)
        nl_conv_forward(p->c, p->n, p->x, p->w, p->y);
    nl_conv_data_gradient(p->c, p->n, p->dy, p->w, p->dx, add);
    nl_conv_weight_gradient(p->c, p->n, p->x, p->dy, p->dw, add);
}

/* terms: how many products of values in [-1, 1] a sum has. */
static void near(const nl_real *seen, const double *wanted, double times, int64_t count,
                 int64_t terms, const char *what)
{
    const double bound = 4 * unit * times * sqrt((double)terms) * (double)terms / 4 + 4 * unit;
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)seen[i] - times * wanted[i]) <= bound))
            ck_abort_msg("%s %lld: %.9g, wanted %.9g", what, (long long)i, (double)seen[i],
                         times * wanted[i]);
}

static void agrees_so(nl_conv_geom g, const char *pad, int64_t n, int64_t planned)
{
    char what[128];
    problem p = opened(g, pad, n, planned);
    snprintf(what, sizeof what, "%lldx%lldx%lld -> %lld, %lldx%lld / %lld, groups %lld, pad %s",
             (long long)g.h, (long long)g.w, (long long)g.in, (long long)g.out,
             (long long)g.kernel_h, (long long)g.kernel_w, (long long)g.stride, (long long)g.groups,
             pad);
    sum_all(&p);
    for (int times = 1; times <= 2; times++) { /* the second time added to the first */
        run_all(&p, times == 2);
        near(p.y, p.y_sum, 1, p.ny, p.nw / g.out, what);
        near(p.dx, p.dx_sum, times, p.nx, p.nw / g.in * g.groups, what);
        near(p.dw, p.dw_sum, times, p.nw, p.ny / g.out, what);
    }
    closed(&p);
}

static void agrees(nl_conv_geom g, const char *pad, int64_t n, int64_t planned)
{
    for (g.algorithm = NL_CONV_AUTO; g.algorithm <= NL_CONV_DIRECT; g.algorithm++)
        agrees_so(g, pad, n, planned);
}

START_TEST(every_option_agrees_with_the_sums)
{
    static const char *const pads[] = {"same", "valid", "0", "1", "2"};
    static const int64_t channels[][3] = {{1, 1, 1},  {1, 6, 1},    {3, 6, 1},    {3, 16, 1},
                                          {6, 16, 1}, {16, 6, 1},   {5, 17, 1},   {16, 16, 1},
                                          {8, 12, 2}, {16, 16, 16}, {17, 17, 17}, {4, 8, 4}};
    static const int64_t kernels[][2] = {{1, 1}, {2, 2}, {3, 3}, {5, 5}, {1, 3}, {3, 2}};
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
            for (size_t d = 0; d < sizeof pads / sizeof *pads; d++)
                for (int64_t stride = 1; stride <= 3; stride++)
                    agrees((nl_conv_geom){.h = 9,
                                          .w = 7,
                                          .in = channels[c][0],
                                          .out = channels[c][1],
                                          .groups = channels[c][2],
                                          .kernel_h = kernels[k][0],
                                          .kernel_w = kernels[k][1],
                                          .stride = stride},
                           pads[d], 2, 3);
}
END_TEST

START_TEST(sizes_of_networks_agree_with_the_sums)
{
    static const nl_conv_geom cases[] = {
        {.h = 32, .w = 32, .in = 3, .out = 16, .kernel_h = 3, .kernel_w = 3, .stride = 1},
        {.h = 32, .w = 32, .in = 3, .out = 6, .kernel_h = 5, .kernel_w = 5, .stride = 1},
        {.h = 16, .w = 16, .in = 32, .out = 32, .kernel_h = 3, .kernel_w = 3, .stride = 1},
        {.h = 8, .w = 8, .in = 64, .out = 64, .kernel_h = 3, .kernel_w = 3, .stride = 1},
        {.h = 16, .w = 16, .in = 16, .out = 32, .kernel_h = 3, .kernel_w = 3, .stride = 2},
        {.h = 16, .w = 16, .in = 32, .out = 70, .kernel_h = 1, .kernel_w = 1, .stride = 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nl_conv_geom g = cases[i];
        g.groups = 1;
        agrees(g, "same", 18, 18);
    }
}
END_TEST

/* Keras: the odd pixel of padding is at the bottom and right. */
START_TEST(same_padding_is_keras_s)
{
    nl_conv_geom g = {.h = 8, .w = 7, .in = 1, .out = 1, .kernel_h = 3, .kernel_w = 3, .stride = 2};
    ck_assert_int_eq(nl_conv_pad(&g, "same", "test"), NL_OK);
    ck_assert_int_eq(g.out_h, 4);
    ck_assert_int_eq(g.pad_top, 0);
    ck_assert_int_eq(g.out_w, 4);
    ck_assert_int_eq(g.pad_left, 1);
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
    nl_conv_geom g = {.h = 4,
                      .w = 4,
                      .in = 6,
                      .out = 4,
                      .kernel_h = 5,
                      .kernel_w = 5,
                      .stride = 1,
                      .groups = 4,
                      .out_h = 1,
                      .out_w = 1};
    nl_conv *c;
    ck_assert_int_eq(nl_conv_pad(&g, "valid", "c1"), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "c1: a kernel of 5 on an image of 4 with pad 0");
    ck_assert_int_eq(nl_conv_pad(&g, "most", "c1"), NL_EOPTION);
    ck_assert_str_eq(nl_last_error(),
                     "c1: pad is same, valid or a number of zeros up to 1024, got 'most'");
    ck_assert_int_eq(nl_conv_pad(&g, "0.5", "c1"), NL_EOPTION);
    ck_assert_int_eq(nl_conv_pad(&g, "5e18", "c1"), NL_EOPTION);
    ck_assert_int_eq(nl_conv_open(&c, 1, &g), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "a convolution of 6 to 4 channels in 4 groups");
    ck_assert_ptr_null(c);
}
END_TEST

static void alike_on_threads(nl_conv_geom g, const char *pad, int64_t n)
{
    static const int threads[] = {2, 3, 5};
    problem one = opened(g, pad, n, 20);
    nl_threads_set(1);
    run_all(&one, false);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        problem many = opened(g, pad, n, 20);
        nl_threads_set(threads[t]);
        run_all(&many, false);
        ck_assert_mem_eq(one.y, many.y, (size_t)one.ny * sizeof(nl_real));
        ck_assert_mem_eq(one.dx, many.dx, (size_t)one.nx * sizeof(nl_real));
        ck_assert_mem_eq(one.dw, many.dw, (size_t)one.nw * sizeof(nl_real));
        closed(&many);
    }
    closed(&one);
}

START_TEST(threads_change_no_byte)
{
    static const struct {
        int64_t in, out, kernel, stride, groups;
        const char *pad;
    } cases[] = {{3, 20, 3, 1, 1, "same"},   {3, 6, 5, 1, 1, "2"},      {6, 16, 5, 1, 1, "valid"},
                 {1, 4, 3, 1, 1, "valid"},   {16, 16, 3, 1, 1, "same"}, {16, 32, 3, 2, 1, "1"},
                 {5, 17, 2, 3, 1, "valid"},  {8, 12, 3, 1, 2, "1"},     {16, 16, 3, 1, 16, "1"},
                 {17, 17, 3, 2, 17, "same"}, {20, 24, 1, 2, 1, "0"}};
    static const int64_t images[] = {1, 3, 20};
    nl_par_ignore_work(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t n = 0; n < 3; n++) {
            const nl_conv_geom g = {.h = 13,
                                    .w = 11,
                                    .in = cases[i].in,
                                    .out = cases[i].out,
                                    .kernel_h = cases[i].kernel,
                                    .kernel_w = cases[i].kernel,
                                    .stride = cases[i].stride,
                                    .groups = cases[i].groups,
                                    .algorithm = NL_CONV_DIRECT};
            alike_on_threads(g, cases[i].pad, images[n]);
        }
    nl_threads_set(1);
    nl_par_ignore_work(false);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conv");
    TCase *sums = tcase_create("sums");
    tcase_set_tags(sums, "one_thread");
    tcase_set_timeout(sums, 120);
    tcase_add_test(sums, every_option_agrees_with_the_sums);
    tcase_add_test(sums, sizes_of_networks_agree_with_the_sums);
    tcase_add_test(sums, same_padding_is_keras_s);
    tcase_add_test(sums, what_cannot_be_is_said);
    suite_add_tcase(s, sums);
    TCase *threads = tcase_create("threads");
    tcase_set_timeout(threads, 120);
    tcase_add_test(threads, threads_change_no_byte);
    suite_add_tcase(s, threads);
    return run_suite(s);
}
