/* summary.h: loops over values that summaries of them need (train/moments.h). Sums are in the
 * storage type inside of a short run of values, runs are added in double. */
#ifndef NL_KERNEL_SUMMARY_H
#define NL_KERNEL_SUMMARY_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/act.h"
#include "kernel/cpu.h"

/* Of d = v - center over some values. */
typedef struct nl_powers {
    double sum[4]; /* of d, d^2, d^3, d^4 */
    nl_real least, most;
} nl_powers;

/* Rows of c values each, to which bias (c values, or NULL) is added. */
typedef struct nl_biased {
    const nl_real *v, *bias;
    int64_t rows, c;
} nl_biased;

enum { NL_IN_NO_BIN = 0xffff, NL_WANTED_MOST = 14 /* bins */ };

typedef struct nl_summary_kernels {
    /* Of count > 0 values, which are finite. */
    nl_powers (*powers)(const nl_real *v, int64_t count, nl_real center);
    /* at[i] = floor((v[i] - from) scale), within [0, last], last < NL_IN_NO_BIN. v is finite. */
    void (*place)(const nl_real *v, int64_t count, nl_real from, nl_real scale, int last,
                  uint16_t *at);
    /* at[i] = NL_IN_NO_BIN where v[i] is the value. */
    void (*leave_out)(const nl_real *v, int64_t count, nl_real value, uint16_t *at);
    /* Copies to kept what lies in one of the wanted bins, which ascend; the last one stands in all
     * places that are left. Gives their number. kept is not v and has room for count values. */
    int64_t (*keep)(const nl_real *v, int64_t count, const uint16_t wanted[NL_WANTED_MOST],
                    const uint16_t *at, nl_real *kept);
    /* Adds to flat[c] the rows in which the activation is flat: relu where v + bias <= 0, others
     * where |v + bias| > limit. */
    void (*flat)(nl_biased b, nl_act act, nl_real limit, int64_t *flat);
    /* Counts values by sign and size. Sizes are cut at powers of two and at each quarter between,
     * from 2^least on, `levels` of them, the last open: bin[levels - 1 - k] holds the negative and
     * bin[levels + 1 + k] the positive ones of size k, bin[levels] what is nearer to 0 than all,
     * bin[2 levels + 1] what is no number. bin is added to. */
    void (*count)(const nl_real *v, int64_t count, int least, int levels, int64_t *bin);
    /* sum[3] += a a, a b, b b over the values. */
    void (*products)(const nl_real *a, const nl_real *b, int64_t count, double *sum);
} nl_summary_kernels;

NL_KERNELS(nl_summary_kernels, nl_summary_kernel)

#endif
