/* limit.h: the loops whose speed is the machine's limit for kernels that move memory. `bench
 * kernels` runs them on arrays of the kernel's own working set, in the same process. */
#ifndef NL_LIMIT_H
#define NL_LIMIT_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

typedef struct nl_limit {
    const char *name; /* NULL ends the table */
    int arrays;       /* arrays of `count` reals that are moved: 1, 2 or 3 */
    /* a = ..., from b and c as far as the loop needs them; arrays are aligned to NL_ALIGN and do
     * not overlap. Gives a value that depends on the work, so that none of it can be left out.
     * Streaming loops are ordered with later stores of the same thread when they return. */
    nl_real (*run)(nl_real *a, const nl_real *b, const nl_real *c, int64_t count);
} nl_limit;

typedef struct nl_limit_kernels {
    nl_limit loops[6]; /* read, copy, triad (a = b + s c), copy and triad with streaming stores */
    /* Multiply-adds in registers, so many independent ones a round that only their number counts;
     * gives a value that depends on all. */
    nl_real (*multiply_add)(int64_t rounds);
    int64_t multiply_add_flops; /* of a round */
} nl_limit_kernels;

NL_KERNELS(nl_limit_kernels, nl_limits)

#endif
