/* Convolutions beside the fastest arithmetic of the machine, turn and turn about. */
#include "base/alloc.h"
#include "base/clock.h"
#include "core/conv.h"
#include "kernel/limit.h"
#include "par/par.h"
#include "train/bench.h"

enum { SAMPLES_MOST = 64, PEAK_ROUNDS = 20000, WAYS = 3 };

typedef struct conv_bench {
    nl_conv *conv;
    nl_conv_geom g;
    int64_t n;
    nl_real *x, *y, *w, *dw;
} conv_bench;

static void run_way(conv_bench *b, int way)
{
    switch (way) {
    case 0: nl_conv_forward(b->conv, b->n, b->x, b->w, b->y); break;
    case 1: nl_conv_data_gradient(b->conv, b->n, b->y, b->w, b->x, false); break;
    default: nl_conv_weight_gradient(b->conv, b->n, b->x, b->y, b->dw, false);
    }
}

static void peak_block(int64_t b, void *arg)
{
    nl_real *sum = arg;
    sum[64 * b] = nl_limits()->multiply_add(PEAK_ROUNDS);
}

/* GFLOP/s of multiply-adds in registers on all threads. */
static double peak(void)
{
    nl_real sum[64 * NL_THREADS_MAX];
    const int blocks = nl_threads();
    const double flops = (double)nl_limits()->multiply_add_flops * PEAK_ROUNDS * blocks;
    const double start = nl_wall_seconds();
    nl_for(blocks, INT64_MAX / 2, peak_block, sum);
    return flops / (nl_wall_seconds() - start) * 1e-9;
}

/* Taps of one axis that lie inside of the image, over all results. */
static int64_t taps_of(int64_t size, int64_t out, int64_t kernel, int64_t stride, int64_t pad)
{
    int64_t taps = 0;
    for (int64_t i = 0; i < out; i++)
        for (int64_t a = 0; a < kernel; a++)
            taps += i * stride + a >= pad && i * stride + a - pad < size;
    return taps;
}

static double flops_of(const conv_bench *b)
{
    const nl_conv_geom *g = &b->g;
    const int64_t taps = taps_of(g->h, g->out_h, g->kernel_h, g->stride, g->pad_top) *
                         taps_of(g->w, g->out_w, g->kernel_w, g->stride, g->pad_left);
    return 2.0 * (double)(b->n * taps * (g->in / g->groups) * g->out);
}

static void measure(conv_bench *b, int samples, nl_bench_conv_row *out)
{
    double ms[WAYS][SAMPLES_MOST], limit[SAMPLES_MOST];
    for (int way = 0; way < WAYS; way++)
        run_way(b, way);
    for (int k = 0; k < samples; k++) {
        limit[k] = peak();
        for (int way = 0; way < WAYS; way++) {
            const double start = nl_wall_seconds();
            run_way(b, way);
            ms[way][k] = (nl_wall_seconds() - start) * 1e3;
        }
    }
    out->peak_gflops = nl_bench_median(limit, samples);
    for (int way = 0; way < WAYS; way++) {
        out->median_ms[way] = nl_bench_median(ms[way], samples);
        out->min_ms[way] = ms[way][0]; /* sorted now */
        out->gflops[way] = flops_of(b) / out->median_ms[way] * 1e-6;
    }
}

static nl_real *filled(int64_t count)
{
    nl_real *v = nl_alloc((size_t)count, sizeof *v);
    for (int64_t i = 0; v && i < count; i++)
        v[i] = (nl_real)((double)(i % 29) / 29 - 0.5);
    return v;
}

nl_status nl_bench_conv(const nl_conv_geom *geom, const char *pad, int64_t n, int threads,
                        int samples, nl_bench_conv_row *out)
{
    nl_status st = NL_OK;
    conv_bench b = {.g = *geom, .n = n};
    const nl_conv_geom *g = &b.g;
    const int before = nl_threads();
    nl_threads_set(threads);
    NL_GO(nl_conv_pad(&b.g, pad, "bench"));
    NL_GO(nl_conv_open(&b.conv, n, g));
    b.x = filled(n * g->h * g->w * g->in);
    b.y = filled(n * g->out_h * g->out_w * g->out);
    b.w = filled(g->kernel_h * g->kernel_w * g->in / g->groups * g->out);
    b.dw = filled(g->kernel_h * g->kernel_w * g->in / g->groups * g->out);
    if (!b.x || !b.y || !b.w || !b.dw)
        NL_BAIL(NL_ENOMEM, "bench: %lld images", (long long)n);
    measure(&b, samples < SAMPLES_MOST ? samples : SAMPLES_MOST, out);
done:
    nl_conv_close(b.conv);
    nl_free(b.x);
    nl_free(b.y);
    nl_free(b.w);
    nl_free(b.dw);
    nl_threads_set(before);
    return st;
}
