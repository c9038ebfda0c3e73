/* moments.h: summary of the values of a slot, the same for every method and for none. */
#ifndef NL_MOMENTS_H
#define NL_MOMENTS_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "kernel/act.h"
#include "train/percentiles.h"

/* Values (n, s, c) that enter act(value + bias); bias of c values, or NULL. */
typedef struct nl_values {
    const nl_real *at; /* (rows, c) */
    int64_t rows;      /* n s; fewer where only the live ones stand in at */
    int64_t n, s, c;
    const uint8_t *live; /* (n, s): which those are; NULL: all */
    nl_act act;
    const nl_real *bias;
} nl_values;

typedef struct nl_summary {
    double mean, std;          /* biased */
    double skewness, kurtosis; /* third and fourth moment about the mean, over std^3 and std^4: 0
                                  and 3 of a Gaussian; NaN where std is 0 */
    double min, max;
    double percentiles[NL_PERCENTILES];
    /* share of channels that gave no signal anywhere: relu 0, or saturated throughout */
    double dead;
    /* share of values where the activation is flat: relu v <= 0, |sigmoid'| and |tanh'| below 2 %
     * of their largest */
    double saturated;
    const double *channel_mean, *channel_std;   /* (c), over n and s; the summarizer's memory */
    const double *position_mean, *position_std; /* (s), over n and c; NULL when s is 1 */
} nl_summary;

/* Bins of histograms, symmetric about 0, four to a power of two: the edges are
 *     0, -+2^-32, -+2^-32 (1 + 1/4), -+2^-32 (1 + 2/4), ... -+2^8
 * without the 0: the bin in the middle holds what is nearer to 0 than 2^-32. A value on an edge is
 * in the bin farther from 0. The first and the last bin hold all beyond, infinite values too. */
enum {
    NL_HISTOGRAM_LEAST = -32,
    NL_HISTOGRAM_MOST = 8,
    NL_HISTOGRAM_PARTS = 4,
    NL_HISTOGRAM_SIDE = (NL_HISTOGRAM_MOST - NL_HISTOGRAM_LEAST) * NL_HISTOGRAM_PARTS + 1,
    NL_HISTOGRAM_BINS = 2 * NL_HISTOGRAM_SIDE + 1
};

/* The lower edge of each bin, the first being -infinity. */
void nl_histogram_edges(double edge[NL_HISTOGRAM_BINS]);

/* Writes the number of values in each bin, and behind them of those that are NaN and in none. */
void nl_histogram(const nl_real *v, int64_t count, int64_t bin[NL_HISTOGRAM_BINS + 1]);
/* Adds them. */
void nl_histogram_add(const nl_real *v, int64_t count, int64_t bin[NL_HISTOGRAM_BINS + 1]);

/* The same four numbers of (rows, c) values alone; NaN where there are none. */
typedef struct nl_spread {
    double mean, std, min, max;
} nl_spread;

/* Scratch for summaries of up to n examples of up to `cells` = s c values each, and so many
 * positions s and channels c. */
typedef struct nl_summarizer nl_summarizer;
nl_status nl_summarizer_open(nl_summarizer **out, int64_t n, int64_t cells, int64_t positions,
                             int64_t channels) NL_CHECKED;
void nl_summarizer_close(nl_summarizer *w); /* NULL is fine */

/* A value that is not finite makes the moments NaN and counts in no percentile. Cannot fail. */
void nl_summarize(nl_summarizer *w, const nl_values *v, nl_summary *out);
nl_spread nl_spread_of(nl_summarizer *w, const nl_real *v, int64_t rows, int64_t c);

#endif
