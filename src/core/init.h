/* init.h: initial values of weights, by a text such as `he_uniform` or `normal(0.05)` (a spec parts
 * its options by ':', so arguments stand in parentheses and are parted by '/'). The table in init.c
 * says what there is. */
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

enum { NL_INIT_ARGS_MAX = 2 };
typedef struct nl_initializer {
    const char *name, *title, *cite;
    int args;
    const char *takes; /* what its arguments are, such as "lo/hi" */
    double preset[NL_INIT_ARGS_MAX];
} nl_initializer;
const nl_initializer *nl_init_at(int i); /* NULL past the end */

/* Whether spec names an initializer with its arguments; what says whose it is in the message. */
nl_status nl_init_check(const char *spec, const char *what) NL_CHECKED;

/* Fills w (rows, cols). The values are a function of spec, seed, owner, name and shape alone, not
 * of the order of creation; drawn in double and rounded, so float and double builds agree. Only
 * `orthogonal` takes memory, for a while. */
nl_status nl_init_weights(const char *spec, uint64_t seed, const char *owner, const char *name,
                          nl_weight_shape shape, nl_real *w) NL_CHECKED;

#endif
