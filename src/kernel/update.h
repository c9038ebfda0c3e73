/* update.h: the element loops of the optimizers, over one block of parameters. */
#ifndef NL_UPDATE_H
#define NL_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* A block and what every optimizer does to it first. Each kernel reads, for every element,
 *     g' = clamp(scale g, -limit, limit) + l2 (p - l2_to)        p' = keep p
 * and moves p' by its own rule. NaN passes every clamp. p, g and the slots do not overlap. */
typedef struct nl_update {
    nl_real *p;
    const nl_real *g;
    int64_t count;
    nl_real scale, limit; /* 1 and infinity: the gradient as it is */
    nl_real l2, l2_to;
    nl_real keep; /* 1 - rate * decoupled decay */
} nl_update;

enum { NL_SQUARE_LANES = 32 }; /* of the sum, not of a register: every variant adds alike */

typedef struct nl_update_kernels {
    /* p = p' - rate g' */
    void (*plain)(const nl_update *u, nl_real rate);
    /* buf = momentum buf + fresh g';  p = p' - rate buf, or p' - rate (g' + momentum buf) */
    void (*momentum)(const nl_update *u, nl_real *buf, nl_real rate, nl_real momentum,
                     nl_real fresh, bool nesterov);
    /* square = alpha square + fresh g'^2, mean (may be NULL) alike of g'; fresh = 1 - alpha;
     * spread = max(square - mean^2, 0);  d = g' / (sqrt(spread + inside) + outside)
     * p = p' - rate d, or with buf (may be NULL) buf = momentum buf + d, p = p' - rate buf */
    void (*rmsprop)(const nl_update *u, nl_real *square, nl_real *mean, nl_real *buf, nl_real rate,
                    nl_real alpha, nl_real fresh, nl_real momentum, nl_real inside,
                    nl_real outside);
    /* m = beta1 m + (1 - beta1) g', v = beta2 v + (1 - beta2) g'^2, with a fresh = 1 - beta each;
     * p = p' - rate m / (root sqrt(v) + eps) */
    void (*adam)(const nl_update *u, nl_real *m, nl_real *v, nl_real rate, const nl_real beta[2],
                 const nl_real fresh[2], nl_real root, nl_real eps);
    /* p = clamp(p, lo, hi) */
    void (*clamp)(nl_real *p, int64_t count, nl_real lo, nl_real hi);
    /* Adds g[i]^2 to lane[(at + i) % NL_SQUARE_LANES], in order. Zeros left out change nothing. */
    void (*squares)(const nl_real *g, int64_t count, int64_t at, double lane[NL_SQUARE_LANES]);
} nl_update_kernels;

NL_KERNELS(nl_update_kernels, nl_update_kernel)

#endif
