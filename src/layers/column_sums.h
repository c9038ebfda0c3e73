/* column_sums.h: gradients of biases: sums over the rows of a matrix. */
#ifndef NL_COLUMN_SUMS_H
#define NL_COLUMN_SUMS_H

#include <stdint.h>

#include "base/real.h"

/* (rows, width), row stride ld. */
typedef struct nl_matrix {
    const nl_real *x;
    int64_t rows, width, ld;
} nl_matrix;

/* to (width) += the sum of the rows, which are cut into nl_row_blocks(rows, width) blocks. Scratch:
 * sums and strips are (blocks, width). */
void nl_add_column_sums(nl_matrix m, nl_real *to, double *sums, nl_real *strips);

#endif
