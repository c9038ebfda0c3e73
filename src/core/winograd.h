/* winograd.h: 3x3 correlations of images with stride 1 by minimal filtering (kernel/winograd.h):
 * 2.25 times fewer multiplications than the sums of core/conv.h, which use it by a rule of shapes.
 *
 *     y[n,i,j,o] = sum_{a,b,q} x[n, i + a - pad_top, j + b - pad_left, q] w[a,b,q,o]     a, b < 3
 *
 * Tiles are transformed, multiplied and transformed back a group at a time, on the stack of the
 * thread that does it; groups follow the sizes alone. */
#ifndef NL_WINOGRAD_H
#define NL_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

typedef struct nl_winograd_geom {
    int64_t h, w, in; /* of x */
    int64_t out_h, out_w, out;
    int64_t pad_top, pad_left; /* 0 to 2 */
} nl_winograd_geom;

/* Multiplications of an image of results, for one channel each. */
int64_t nl_winograd_products(int64_t out_h, int64_t out_w);

typedef struct nl_winograd nl_winograd;

nl_status nl_winograd_open(nl_winograd **out, const nl_winograd_geom *g) NL_CHECKED; /* NL_ENOMEM */
void nl_winograd_close(nl_winograd *c); /* NULL is fine */

void nl_winograd_correlate(nl_winograd *c, int64_t n, const nl_real *x, const nl_real *w,
                           nl_real *y, bool add);
/* dw of each of `parts` even parts of the images, at part + k (9 in out). */
void nl_winograd_weight_gradient(nl_winograd *c, int64_t n, const nl_real *x, const nl_real *dy,
                                 nl_real *part, int64_t parts);

#endif
