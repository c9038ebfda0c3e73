/* bias_gradient.h: from dL/dy of y = act(t + bias) to dL/dt, and its column sums, the gradient of
 * the bias. */
#ifndef NL_BIAS_GRADIENT_H
#define NL_BIAS_GRADIENT_H

#include "kernel/act.h"

/* (rows, width), rows ld apart. g holds dL/dy and becomes dL/dt; y is not read where act is
 * linear. */
typedef struct nl_gradient_rows {
    nl_real *g;
    const nl_real *y;
    nl_act act;
    int64_t rows, width, ld;
} nl_gradient_rows;

/* bias (width) += the column sums, or NULL: no bias. The rows are cut into nl_row_blocks(rows,
 * width) blocks; sums (blocks, width) is scratch. */
void nl_add_bias_gradient(nl_gradient_rows r, nl_real *bias, double *sums);

#endif
