/* bootstrap.h: intervals for any statistic of a stratified sample (Efron 1987, efron1987better;
 * stratified over tasks as Agarwal et al. 2021, agarwal2021deep, do). Resample b draws value i of
 * its stratum by the counter-based generator, so results are the same bytes everywhere. */
#ifndef NL_BOOTSTRAP_H
#define NL_BOOTSTRAP_H

#include <stdint.h>

#include "analysis/intervals.h"
#include "base/status.h"

/* Observations of `width` numbers each (2 where methods are paired by seed), stratum by stratum. */
typedef struct nl_strata {
    double *at; /* sum of count[] rows of width */
    int64_t width, groups;
    const int64_t *count; /* of each stratum, at least 1 */
} nl_strata;

/* May change the order of rows within a stratum, or of all when it does not ask for strata. */
typedef double nl_statistic(const nl_strata *s);

/* Over strata, as over tasks: the mean of their means, the median of their means (of the values,
 * where there is one stratum), the interquartile mean of all values; of width 1. */
double nl_strata_mean(const nl_strata *s);
double nl_strata_median(const nl_strata *s);
double nl_strata_interquartile_mean(const nl_strata *s);

/* Of width 2: the mean over strata of nl_probability_above(column 0, column 1). */
double nl_strata_probability_above(const nl_strata *s);

typedef struct nl_bootstrap {
    double value;                       /* of the sample itself */
    double bias, acceleration;          /* z_0 and a of Efron 1987 */
    double bca_low, bca_high;           /* BCa as it stands; NaN where a stratum has one value */
    double expanded_low, expanded_high; /* BCa at quantiles as of Student's t, see below */
    double error;   /* standard deviation over resamples times sqrt(N / (N - groups)) */
    nl_interval is; /* the interval to report */
} nl_bootstrap;

/* A resample of n values has a variance of (n-1)/n of the sample's, and its quantiles are those of
 * a normal, not of a t: BCa alone holds 95 % in 72 to 93 % of cases at 3 to 10 values. Hesterberg
 * 2015 (hesterberg2015what) widens the percentiles: z becomes t_{N-groups} sqrt(N / (N - groups)).
 * Below NL_EXPANDED_FROM values a stratum even that has too few distinct resamples, and `is` is
 * value -+ t error; from there on it is the expanded BCa. docs/statistics.md has the figures. */
enum { NL_EXPANDED_FROM = 10, NL_RESAMPLES = 5000 };

nl_status nl_bootstrap_interval(nl_bootstrap *out, nl_statistic *of, const nl_strata *sample,
                                double level, int64_t resamples) NL_CHECKED;

#endif
