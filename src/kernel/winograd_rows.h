/* winograd_rows.h: the transforms of minimal filtering F(2, 5), Winograd 1980; of Toom and Cook's
 * kind, with the points p = 0, 3/4, -3/4, 3/2, -3/2 and infinity. Two results y_k = sum over a < 5
 * of d_(k+a) g_a come from six values d:
 *
 *     y = A^T [(G g) . (B^T d)]           6 multiplications where the sums have 10
 *
 *     A_pk = p^k       G_pa = p^a / prod_(q != p) (p - q)       B^T_p: prod_(q != p) (x - q)
 * k < 2, a < 5; q and x are finite; B^T_p is the coefficients of 1, x, ..., x^5. At infinity a row
 * of A or of G has a 1 at its end, and B^T the product over all points. So dg = G^T [(A dy) . (B^T
 * d)], and dd = B [(A dy) . (G g)].
 *
 * Here a value is a whole row of numbers, and "." a correlation or a product of rows, summed over
 * whatever else is summed over. These points round less than 0, 1, -1, 2 and -2. */
#ifndef NL_KERNEL_WINOGRAD_ROWS_H
#define NL_KERNEL_WINOGRAD_ROWS_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

enum { NL_PAIR = 2, NL_ROW_TAPS = 5, NL_POINTS = NL_PAIR + NL_ROW_TAPS - 1 };

/* Rows of `count` values; none that is written begins within another. */
typedef void nl_row_transform(const nl_real *const *from, nl_real *const *to, int64_t count);

typedef struct nl_winograd_row_kernels {
    nl_row_transform *weights;         /* NL_POINTS rows = G of NL_ROW_TAPS */
    nl_row_transform *weight_gradient; /* NL_ROW_TAPS = G^T of NL_POINTS */
    nl_row_transform *results;         /* NL_PAIR = A^T of NL_POINTS */
    nl_row_transform *gradients;       /* NL_POINTS = A of NL_PAIR */
    nl_row_transform *patches;         /* NL_POINTS = B^T of NL_POINTS */
    /* NL_POINTS rows = B of the first NL_POINTS + the four behind them in the first four: sums over
     * patches that overlap. The results may begin where the latter do. */
    nl_row_transform *overlap;
    /* `results` from planes of channels, from[p][o plane + i], i < pixels, in whole registers; row
     * k is to[k][i out + o]. out is at most NL_FEW_RESULTS (kernel/conv.h). */
    void (*results_of_planes)(const nl_real *const *from, int64_t plane, int64_t pixels,
                              int64_t out, nl_real *const *to);
    /* Zeros in the first `count` values of rows that lie `line` apart. */
    void (*clear)(nl_real *row, int64_t rows, int64_t line, int64_t count);
} nl_winograd_row_kernels;

NL_KERNELS(nl_winograd_row_kernels, nl_winograd_row_kernel)

#endif
