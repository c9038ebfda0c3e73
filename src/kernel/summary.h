/* summary.h: loops over values that a summary of them needs (train/moments.h). */
#ifndef NL_KERNEL_SUMMARY_H
#define NL_KERNEL_SUMMARY_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

typedef struct nl_summary_kernels {
    /* Counts values by sign and size. Sizes are cut at powers of two and at each quarter between,
     * from 2^least on, `levels` of them, the last open: bin[levels - 1 - k] holds the negative and
     * bin[levels + 1 + k] the positive ones of size k, bin[levels] what is nearer to 0 than all.
     * bin (2 levels + 1) and *nan are added to. */
    void (*count)(const nl_real *v, int64_t count, int least, int levels, int64_t *bin,
                  int64_t *nan);
} nl_summary_kernels;

NL_KERNELS(nl_summary_kernels, nl_summary_kernel)

#endif
