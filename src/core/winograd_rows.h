/* winograd_rows.h: correlations of images with kernels of 5 rows, stride 1 and 1 group by minimal
 * filtering along the rows (kernel/winograd_rows.h): 5/3 times fewer multiplications than the sums
 * of core/conv.h, which use it by a rule of shapes.
 *
 * Results come in pairs of rows from six rows of x. These are transformed into the rows of six
 * points, each is correlated with the one row of weights of its point, and what comes of it is
 * transformed back; all of it in the nearest cache of the thread that does it. */
#ifndef NL_WINOGRAD_ROWS_H
#define NL_WINOGRAD_ROWS_H

#include "core/conv.h"

/* What the lanes of a register are. */
typedef struct nl_lane_choice {
    bool by_planes; /* forward: pixels, not channels */
    bool by_runs;   /* gradient of x: a row of taps and channels */
    bool by_taps;   /* gradient of w: the same */
} nl_lane_choice;

typedef struct nl_winograd_rows nl_winograd_rows;

/* Whether it is defined, and rows are short enough. */
bool nl_winograd_rows_fit(const nl_conv_geom *g);

nl_status nl_winograd_rows_open(nl_winograd_rows **out, const nl_conv_geom *g,
                                nl_lane_choice lanes) NL_CHECKED; /* NL_ENOMEM */
void nl_winograd_rows_close(nl_winograd_rows *c);                 /* NULL is fine */

void nl_winograd_rows_forward(nl_winograd_rows *c, int64_t n, const nl_real *x, const nl_real *w,
                              nl_real *y);
void nl_winograd_rows_data_gradient(nl_winograd_rows *c, int64_t n, const nl_real *dy,
                                    const nl_real *w, nl_real *dx, bool add);
void nl_winograd_rows_weight_gradient(nl_winograd_rows *c, int64_t n, const nl_real *x,
                                      const nl_real *dy, nl_real *dw, bool add);

#endif
