/* moments.h: summary of the values of a slot, the same for every method and for none. */
#ifndef NL_MOMENTS_H
#define NL_MOMENTS_H

#include <stdint.h>

#include "base/real.h"
#include "kernel/act.h"

enum { NL_PERCENTILES = 7 };
extern const double nl_percentiles[NL_PERCENTILES]; /* 1, 5, 15, 50, 85, 95, 99 */

typedef struct nl_summary {
    double mean, std; /* biased */
    double min, max;
    double percentiles[NL_PERCENTILES]; /* between order statistics linearly, as NumPy does */
    double
        dead; /* share of units that gave no signal for any row: relu 0, or saturated throughout */
    /* share of values where the activation is flat: relu v <= 0, |sigmoid'| and |tanh'| below 2 %
     * of their largest */
    double saturated;
} nl_summary;

/* Of (rows, c) values v; work (rows * c) is overwritten. dead and saturated are those of
 * act(v + bias), bias of c values or NULL. A value that is not finite makes mean and std NaN and
 * counts in no percentile. Cannot fail. */
void nl_summarize(const nl_real *v, int64_t rows, int64_t c, nl_act act, const nl_real *bias,
                  nl_real *work, nl_summary *out);

#endif
