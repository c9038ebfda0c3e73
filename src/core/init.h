/* init.h: initial values of weights, by a text such as `he_uniform` or `normal(0.05)` (a spec parts
 * its options by ':', so arguments stand in parentheses and are parted by '/').
 *
 *     he_normal, he_uniform          He et al. 2015 (arXiv:1502.01852): variance 2 / fan-in
 *     glorot_normal, glorot_uniform  Glorot and Bengio 2010: variance 2 / (fan-in + fan-out)
 *     torch_linear                   PyTorch's nn.Linear: uniform in +-1 / sqrt(fan-in)
 *     orthogonal(gain)               Saxe et al. 2014 (arXiv:1312.6120): gain 1
 *     identity(gain)                 Le et al. 2015 (arXiv:1504.00941): gain 1, zeros beside it
 *     normal(std)                    std 0.05
 *     uniform(lo/hi)                 -0.05 to 0.05
 *     constant(v), zeros, ones
 *
 * he_* and glorot_* are Keras's: uniform in +-sqrt(3 variance), or normal cut off at two standard
 * deviations and widened so that the variance is the one stated. */
#ifndef NL_INIT_H
#define NL_INIT_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

/* A weight is (rows, cols) = (fan-in, outputs). */
typedef struct nl_weight_shape {
    int64_t rows, cols;
    int64_t fan_in;  /* 0: rows; a bias with torch_linear has its weight's */
    int64_t fan_out; /* 0: cols; a convolution has height * width * cols */
} nl_weight_shape;

/* Whether spec names an initializer with its arguments; what says whose it is in the message. */
nl_status nl_init_check(const char *spec, const char *what) NL_CHECKED;

/* Fills w (rows, cols). The values are a function of spec, seed, owner, name and shape alone, not
 * of the order of creation; drawn in double and rounded, so float and double builds agree. Only
 * `orthogonal` takes memory, for a while. */
nl_status nl_init_weights(const char *spec, uint64_t seed, const char *owner, const char *name,
                          nl_weight_shape shape, nl_real *w) NL_CHECKED;

#endif
