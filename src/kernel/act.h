/* act.h: activations and their derivatives, over contiguous values. */
#ifndef NL_ACT_H
#define NL_ACT_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

typedef enum nl_act { NL_LINEAR, NL_RELU, NL_SIGMOID, NL_TANH } nl_act;

typedef struct nl_act_kernels {
    /* y = act(x); y may be x. Beside the exact value, of all numbers (tests/unit/act.c):
     *     sigmoid  2.1 units in the last place, at most 9e-8 (double: 1.7e-16)
     *     tanh     2.5 units in the last place, at most 1.5e-7 (double: 2.8e-16)
     * but that sigmoid gives 0 below -87 (double: -708). Infinities give the limits, NaN gives
     * NaN. */
    void (*forward)(nl_act act, const nl_real *x, nl_real *y, int64_t count);
    /* dx = dy * act'(x), written from y = act(x); dx may be dy. relu: 0 where y is 0;
     * linear: y is not read. */
    void (*backward)(nl_act act, const nl_real *y, const nl_real *dy, nl_real *dx, int64_t count);
    /* y = act(x + bias), rows by c, bias of c values or NULL; y may be x. */
    void (*bias_forward)(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                         int64_t rows, int64_t c);
    /* Its counterpart: g, rows of c values that lie ld apart, holds dL/dy and becomes dL/dx;
     * sums[c] += the sums of its columns. y lies as g does; linear: it is not read. */
    void (*bias_backward)(nl_act act, const nl_real *y, nl_real *g, int64_t rows, int64_t c,
                          int64_t ld, double *sums);
} nl_act_kernels;

NL_KERNELS(nl_act_kernels, nl_act_kernel)

#endif
