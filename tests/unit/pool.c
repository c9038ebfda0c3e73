/* Pooling against windows visited one by one in double: every kind, size, stride and padding, odd
 * images, NaN, adding, threads. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "core/conv.h"
#include "one_layer.h"
#include "par/par.h"
#include "suite.h"

enum { N = 3, H = 9, W = 7, CHANNELS_MAX = 33 };
static const int64_t channels[] = {1, 3, 6, 16, CHANNELS_MAX};
static const double epsilon = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;

typedef enum kind { AVERAGE, MAX, GLOBAL } kind;
static const char *const kind_names[] = {"avg", "max", "global"};

typedef struct rig {
    nl_model *model;
    nl_layer *layer;
    nl_layer_call call; /* of the layer */
    kind kind;
    nl_conv_geom g;
    int64_t nx, ny;
    nl_real *x, *dy, *dx;
    double *y_wanted, *dx_wanted;
} rig;

static nl_real value(int64_t i) { return (nl_real)sin(0.3 + 1.7 * (double)(i % 9973)); }

static void open_rig(rig *r, kind k, int64_t c, int64_t size, int64_t stride, const char *pad)
{
    char spec[96];
    const nl_model_setup setup = {
        .shape = {.s = H * W, .c = c, .h = H, .w = W}, .outputs = 1, .batch = N, .n = N};
    const bool global = k == GLOBAL;
    *r = (rig){.kind = k, .g = {.h = H, .w = W, .in = c, .out = c, .groups = 1}};
    r->g.kernel_h = global ? H : size, r->g.kernel_w = global ? W : size;
    r->g.stride = stride ? stride : size;
    ck_assert_int_eq(nl_conv_pad(&r->g, global ? "valid" : pad, "test"), NL_OK);
    snprintf(spec, sizeof spec, "pool:kind=%s:size=%d:stride=%d:pad=%s", kind_names[k], (int)size,
             (int)stride, pad);
    if (open_one_layer(&r->model, spec, &setup) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    r->layer = nl_model_layer(r->model, 0);
    r->nx = N * H * W * c, r->ny = N * r->g.out_h * r->g.out_w * c;
    ck_assert_int_eq(N * r->layer->out.s * r->layer->out.c, r->ny);
    r->x = nl_alloc((size_t)r->nx, sizeof *r->x), r->dx = nl_alloc((size_t)r->nx, sizeof *r->dx);
    r->dy = nl_alloc((size_t)r->ny, sizeof *r->dy);
    r->y_wanted = nl_alloc((size_t)r->ny, sizeof(double));
    r->dx_wanted = nl_alloc((size_t)r->nx, sizeof(double));
    for (int64_t i = 0; i < r->nx; i++)
        r->x[i] = value(i);
    for (int64_t i = 0; i < r->ny; i++)
        r->dy[i] = value(i + 5);
    const nl_layer_call c0 = {.n = N, .phase = NL_TRAIN, .x = r->x};
    nl_model_layer_input(r->model, r->layer, &c0, &r->call);
    r->call.dy = r->dy, r->call.dx = r->dx;
}

static void close_rig(rig *r)
{
    void *const all[] = {r->x, r->dy, r->dx, r->y_wanted, r->dx_wanted};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        nl_free(all[i]);
    nl_model_close(r->model);
}

/* Cells of the window of result (n, i, j, k) that are in the image; gives their number. */
static int cells_of(const rig *r, int64_t n, int64_t i, int64_t j, int64_t k, int64_t *cell)
{
    const nl_conv_geom *g = &r->g;
    int count = 0;
    for (int64_t a = 0; a < g->kernel_h; a++)
        for (int64_t b = 0; b < g->kernel_w; b++) {
            const int64_t h = i * g->stride + a - g->pad_top, w = j * g->stride + b - g->pad_left;
            if (h >= 0 && h < H && w >= 0 && w < W)
                cell[count++] = ((n * H + h) * W + w) * g->in + k;
        }
    return count;
}

static void pool_window(rig *r, int64_t y, const int64_t *cell, int count)
{
    int64_t most = cell[0];
    double sum = 0;
    for (int i = 0; i < count; i++) {
        sum += (double)r->x[cell[i]];
        if (!isnan(r->x[most]) && (isnan(r->x[cell[i]]) || r->x[cell[i]] > r->x[most]))
            most = cell[i];
    }
    r->y_wanted[y] = r->kind == MAX ? (double)r->x[most] : sum / count;
    if (r->kind == MAX)
        r->dx_wanted[most] += (double)r->dy[y];
    for (int i = 0; r->kind != MAX && i < count; i++)
        r->dx_wanted[cell[i]] += (double)r->dy[y] / count;
}

static void visit_windows(rig *r)
{
    int64_t cell[H * W], y = 0;
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < r->g.out_h; i++)
            for (int64_t j = 0; j < r->g.out_w; j++)
                for (int64_t k = 0; k < r->g.in; k++, y++)
                    pool_window(r, y, cell, cells_of(r, n, i, j, k, cell));
}

/* Sums of up to H W values in [-1, 1], and one more that was there. */
static void near(const nl_real *seen, const double *wanted, double before, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const double d = wanted[i] + before;
        ck_assert_msg(isnan(d) ? isnan(seen[i]) : fabs((double)seen[i] - d) <= H * W * epsilon,
                      "value %lld: %.9g, wanted %.9g", (long long)i, (double)seen[i], d);
    }
}

static void agrees(rig *r)
{
    visit_windows(r);
    r->layer->ops->forward(r->layer, &r->call);
    near(r->call.y, r->y_wanted, 0, r->ny);
    for (int64_t i = 0; i < r->nx; i++)
        r->dx[i] = 7; /* overwritten */
    r->layer->ops->backward(r->layer, &r->call);
    near(r->dx, r->dx_wanted, 0, r->nx);
    for (int64_t i = 0; i < r->nx; i++)
        r->dx[i] = 1;
    r->call.add_dx = true;
    r->layer->ops->backward(r->layer, &r->call);
    near(r->dx, r->dx_wanted, 1, r->nx);
    r->call.add_dx = false;
}

static void each_geometry(void (*check)(rig *))
{
    static const struct {
        int64_t size, stride;
        const char *pad;
    } windows[] = {{2, 0, "valid"}, {2, 0, "same"}, {3, 2, "valid"},
                   {3, 2, "1"},     {3, 1, "same"}, {1, 0, "valid"},
                   {2, 3, "valid"}, {5, 4, "2"},    {7, 0, "valid"}};
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
        for (size_t w = 0; w < sizeof windows / sizeof *windows; w++)
            for (kind k = AVERAGE; k <= GLOBAL; k++) {
                rig r;
                open_rig(&r, k, channels[c], windows[w].size, windows[w].stride, windows[w].pad);
                check(&r);
                close_rig(&r);
            }
}

START_TEST(every_window_is_pooled_as_if_alone) { each_geometry(agrees); }
END_TEST

static void with_nan(rig *r)
{
    for (int64_t i = 0; i < r->nx; i += 37)
        r->x[i] = (nl_real)NAN;
    agrees(r);
}

START_TEST(nan_in_a_window_is_its_result) { each_geometry(with_nan); }
END_TEST

/* Of equal values the first is the largest one. */
START_TEST(a_tie_gives_its_gradient_once)
{
    rig r;
    open_rig(&r, MAX, 6, 2, 0, "valid");
    for (int64_t i = 0; i < r.nx; i++)
        r.x[i] = (nl_real)0.5;
    agrees(&r);
    close_rig(&r);
}
END_TEST

static void on_threads(rig *r)
{
    const size_t y_bytes = (size_t)r->ny * sizeof(nl_real),
                 x_bytes = (size_t)r->nx * sizeof(nl_real);
    nl_real *y = nl_alloc(1, y_bytes), *dx = nl_alloc(1, x_bytes);
    static const int threads[] = {1, 2, 3, 5};
    for (int t = 0; t < 4; t++) {
        nl_threads_set(threads[t]);
        r->layer->ops->forward(r->layer, &r->call);
        r->layer->ops->backward(r->layer, &r->call);
        if (t == 0) {
            memcpy(y, r->call.y, y_bytes);
            memcpy(dx, r->dx, x_bytes);
        }
        ck_assert_mem_eq(r->call.y, y, y_bytes);
        ck_assert_mem_eq(r->dx, dx, x_bytes);
    }
    nl_free(y);
    nl_free(dx);
}

START_TEST(threads_change_no_byte)
{
    nl_par_ignore_work(true);
    each_geometry(on_threads);
    nl_threads_set(1);
    nl_par_ignore_work(false);
}
END_TEST

START_TEST(windows_of_nothing_but_padding_are_refused)
{
    nl_model *m;
    const nl_model_setup setup = {
        .shape = {.s = H * W, .c = 1, .h = H, .w = W}, .outputs = 1, .batch = N, .n = N};
    ck_assert_int_eq(open_one_layer(&m, "pool:size=2:pad=2", &setup), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "l: windows of 2 in a padding of 2");
    ck_assert_int_eq(open_one_layer(&m, "pool:size=10", &setup), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "l: a kernel of 10 on an image of 9 with pad 0");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_window_is_pooled_as_if_alone);
    tcase_add_test(t, nan_in_a_window_is_its_result);
    tcase_add_test(t, a_tie_gives_its_gradient_once);
    tcase_add_test(t, threads_change_no_byte);
    tcase_add_test(t, windows_of_nothing_but_padding_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
