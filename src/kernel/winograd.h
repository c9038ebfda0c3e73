/* winograd.h: the transforms of minimal filtering F(2x2, 3x3), Lavin & Gray 2016
 * (arXiv:1509.09308), sec. 4.1. A tile Y of 2x2 results of a 3x3 correlation with weights g comes
 * from a patch d of 4x4 pixels:
 *
 *     Y = A^T [(G g G^T) . (B^T d B)] A          16 multiplications where the sums have 36
 *
 *     B^T = 1  0 -1  0     G = 1    0   0      A^T = 1  1  1  0
 *           0  1  1  0         1/2  1/2 1/2          0  1 -1 -1
 *           0 -1  1  0         1/2 -1/2 1/2
 *           0  1  0 -1         0    0   1
 *
 * so that dg = G^T [(A dY A^T) . (B^T d B)] G. Over channels "." is 16 matrix products. Element
 * (i, j) of a transform lies at (4 i + j) times a distance; a vector is of channels. */
#ifndef NL_KERNEL_WINOGRAD_H
#define NL_KERNEL_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

enum { NL_TILE = 2, NL_PATCH = 4, NL_PRODUCTS = NL_PATCH * NL_PATCH };

/* Tiles side by side on rows of pixels, given beside it, of which tile t begins at column
 * left + 2 t; columns outside of 0 .. width - 1 read as zeros and are not written. What is
 * transformed of tile t and element k lies at t tile + k product, in whole registers. */
typedef struct nl_strip {
    int64_t left, width, pixel; /* pixel: distance of pixels */
    int64_t tiles, channels;
    int64_t tile, product;
} nl_strip;

typedef struct nl_winograd_kernels {
    /* G g G^T of `count` weights; tap (a, b) of weight i is w[(3 a + b) tap + i]. */
    void (*weights)(int64_t count, const nl_real *w, int64_t tap, nl_real *to, int64_t product);
    /* G^T m G, the same way back. */
    void (*weight_gradient)(int64_t count, const nl_real *m, int64_t product, nl_real *dw,
                            int64_t tap);
    /* B^T d B of 4 rows of pixels. */
    void (*patches)(const nl_strip *s, const nl_real *const *row, nl_real *to);
    /* A dY A^T of 2 rows of pixels. */
    void (*gradients)(const nl_strip *s, const nl_real *const *row, nl_real *to);
    /* Two rows (+)= A^T m A; a row that is NULL is left out. */
    void (*results)(const nl_strip *s, const nl_real *m, nl_real *const *row, bool add);
    /* Asks for the first `channels` values of pixels, which lie `pixel` apart. */
    void (*fetch)(const nl_real *from, int64_t pixels, int64_t pixel, int64_t channels);
} nl_winograd_kernels;

NL_KERNELS(nl_winograd_kernels, nl_winograd_kernel)

#endif
