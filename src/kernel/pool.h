/* pool.h: the loops of pooling on rows of channels. */
#ifndef NL_KERNEL_POOL_H
#define NL_KERNEL_POOL_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* Results p < pixels of lines l < lines, of c channels each, at l pixels c + p c; they look at the
 * cells l x_line + p x_step + a x_row + b c, a < rows, b < cols, of x. At least one cell. */
typedef struct nl_window {
    int64_t lines, pixels, c, rows, cols, x_line, x_step, x_row;
} nl_window;

typedef struct nl_pool_kernels {
    /* y = scale * sum of the cells; and dx of every cell += scale dy, or = where no two windows
     * share a cell. */
    void (*average)(nl_window t, const nl_real *x, nl_real scale, nl_real *y);
    void (*average_back)(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx);
    void (*average_spread)(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx);
    /* y = the largest cell, NaN if there is one; and dx of the first cell that is y += dy. */
    void (*max)(nl_window t, const nl_real *x, nl_real *y);
    void (*max_back)(nl_window t, const nl_real *x, const nl_real *y, const nl_real *dy,
                     nl_real *dx);
} nl_pool_kernels;

NL_KERNELS(nl_pool_kernels, nl_pool_kernel)

#endif
