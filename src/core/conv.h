/* conv.h: 2-D convolution (cross-correlation, as everywhere in this field) of images (n, h, w, in),
 * channels innermost, with weights (kernel_h, kernel_w, in / groups, out), row-major:
 *
 *     y[n,i,j,o] = sum_{a,b,q} x[n, i stride + a - pad_top, j stride + b - pad_left, q] w[a,b,q,o]
 *
 * where x is 0 outside of the image. With groups, out / groups channels read in / groups channels.
 * Nothing is unfolded: the loops run over the image's own rows (kernel/conv.h); only images of few
 * channels are copied once into a frame of zeros.
 *
 * 3x3 kernels with stride 1 go by minimal filtering (kernel/winograd.h) where that is faster: where
 * there are no groups, x and y have 16 channels or more each, no side is padded by more than 2, and
 * the tiles need at most 2/3 of the multiplications. Kernels of 5 rows do so along the rows alone
 * (kernel/winograd_rows.h), with stride 1 and 1 group, where x and y have channels enough to pay
 * for the transforms and a row fits into the nearest cache. The rules see no n and no machine.
 *
 * A plan is made at set-up for the largest n and serves every smaller n; calls allocate nothing and
 * cannot fail. Work is cut by the sizes alone: same bytes for any number of threads. y and dx do
 * not depend on the other images of a call; dw is summed in parts of images, folded in double. */
#ifndef NL_CONV_H
#define NL_CONV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

enum { NL_CONV_AUTO, NL_CONV_DIRECT, NL_CONV_WINOGRAD };
extern const char *const nl_conv_algorithms[]; /* their names; ends with NULL */

/* Padding at the bottom and right is what the output's size leaves. */
typedef struct nl_conv_geom {
    int64_t h, w, in, out;
    int64_t kernel_h, kernel_w, stride, groups;
    int64_t pad_top, pad_left, out_h, out_w;
    int64_t algorithm; /* AUTO: by the rule above */
} nl_conv_geom;

/* Fills pads and output size from h, w, the kernel and the stride. pad is "same" (Keras: the output
 * has ceil(size / stride), an odd pad is larger at the bottom and right), "valid" (none), or a
 * number of zeros on every side (PyTorch). Fails, naming `owner`, where nothing is left. */
nl_status nl_conv_pad(nl_conv_geom *g, const char *pad, const char *owner) NL_CHECKED;

typedef struct nl_conv nl_conv;

/* NL_ESHAPE: channels that the groups do not divide, or minimal filtering asked for where it is not
 * defined; NL_ENOMEM. n is the most images of a call. */
nl_status nl_conv_open(nl_conv **out, int64_t n, const nl_conv_geom *g) NL_CHECKED;
void nl_conv_close(nl_conv *c); /* NULL is fine */

/* No operand may alias another. */
void nl_conv_forward(nl_conv *c, int64_t n, const nl_real *x, const nl_real *w, nl_real *y);
/* add: dx += dL/dx instead of being written. */
void nl_conv_data_gradient(nl_conv *c, int64_t n, const nl_real *dy, const nl_real *w, nl_real *dx,
                           bool add);
void nl_conv_weight_gradient(nl_conv *c, int64_t n, const nl_real *x, const nl_real *dy,
                             nl_real *dw, bool add);

#endif
