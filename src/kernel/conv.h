/* conv.h: the loops of convolution on rows of channels: register tiles of pixels by channels.
 *
 * A tile stays in registers while its sums run, so every result is one chain of fused multiply-adds
 * in an order of its own: taps by rows, columns, channels; or pixels by rows, columns. */
#ifndef NL_KERNEL_CONV_H
#define NL_KERNEL_CONV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* y[p ldy + o] = sum over a < rows, b < cols, q < run of
 *     x[p ldx + a x_row + b x_col + q] w[a w_row + b w_col + q ldw + o]      p < pixels, o < out */
typedef struct nl_correlation {
    const nl_real *x, *w;
    nl_real *y;
    int64_t pixels, out;
    int64_t rows, cols, run;
    int64_t ldx, x_row, x_col;
    int64_t ldw, w_row, w_col;
    int64_t ldy;
    bool add; /* y += */
} nl_correlation;

/* w[r ldw + o] += sum over i < rows, j < cols of
 *     x[i x_row + j x_col + r] y[i y_row + j y_col + o]                       r < run, o < out */
typedef struct nl_outer_sum {
    const nl_real *x, *y;
    nl_real *w;
    int64_t rows, cols, run, out;
    int64_t x_row, x_col, y_row, y_col, ldw;
} nl_outer_sum;

/* Taps of pictures: 3 x 3 of three colours. */
enum { NL_PICTURE_LINES = 3, NL_PICTURE_RUN = 9 };

/* Few results a pixel: registers of pixels instead of channels. x is planes of one channel each,
 * y[l y_line + p out + o] = sum over a < rows, b < cols, q < planes of
 *     x[q plane + (l + a) x_row + b + p] w[((a cols + b) planes + q) out + o]
 *                                                           l < lines, p < pixels, o < out
 * x is readable for a register beyond its last pixel; out is at most NL_FEW_RESULTS. With y_plane,
 * y is planes, too, y[l y_line + o y_plane + p], of whole pairs of registers. */
typedef struct nl_planes {
    const nl_real *x, *w;
    nl_real *y;
    int64_t lines, pixels, out, planes, rows, cols, plane, x_row, y_line, y_plane;
} nl_planes;

/* Runs of values that overlap, run p from place p step - shift on:
 * to[e] (+)= sum over p < pixels with 0 <= e + shift - p step < run of
 *     runs[p (run + lanes) + e + shift - p step]                                      e < count
 * lanes zeros stand before the first run and after each. */
typedef struct nl_runs {
    const nl_real *runs;
    nl_real *to;
    int64_t pixels, run, step, shift, count;
    bool add;
} nl_runs;

/* One tap of a depthwise convolution adds to rows of pixels: y[p ldy + c] += x[p ldx + c] w[c]; and
 * its gradient w[c] += sum over p of x[p ldx + c] y[p ldy + c]. */
typedef struct nl_conv_kernels {
    int64_t lanes; /* of a register */
    void (*correlate)(const nl_correlation *t);
    void (*correlate_planes)(const nl_planes *t);
    void (*outer_sum)(const nl_outer_sum *t);
    /* The same for NL_PICTURE_LINES runs of NL_PICTURE_RUN at once, line l of them at
     * x + l x_line and w + l w_line; y is read once. */
    void (*outer_picture)(const nl_outer_sum *t, int64_t x_line, int64_t w_line);
    void (*sum_runs)(const nl_runs *t);
    void (*depthwise)(int64_t pixels, int64_t c, const nl_real *x, int64_t ldx, const nl_real *w,
                      nl_real *y, int64_t ldy);
    void (*depthwise_sum)(int64_t pixels, int64_t c, const nl_real *x, int64_t ldx,
                          const nl_real *y, int64_t ldy, nl_real *w);
    /* to[i] (+)= sum over k < parts of part[k stride + i], in double, the parts pairwise in a tree
     * fixed by their number. parts is at most NL_CONV_PARTS. */
    void (*fold)(const nl_real *part, int64_t parts, int64_t stride, int64_t count, nl_real *to,
                 bool add);
} nl_conv_kernels;

enum { NL_CONV_PARTS = 16, NL_FEW_RESULTS = 8 };

NL_KERNELS(nl_conv_kernels, nl_conv_kernel)

/* Values of nl_runs. */
static inline int64_t nl_runs_room(int64_t pixels, int64_t run)
{
    const int64_t lanes = nl_conv_kernel()->lanes;
    return lanes + pixels * (run + lanes);
}

#endif
