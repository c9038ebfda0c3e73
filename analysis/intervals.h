/* intervals.h: two-sided intervals for the mean, the interquartile mean and the median of one
 * sample, by formula. They hold their level from few values on, where a bootstrap does not
 * (docs/statistics.md has the figures); bootstrap.h has what no formula covers. */
#ifndef NL_INTERVALS_H
#define NL_INTERVALS_H

#include <stdint.h>

/* One value gives no interval (low, high and p are NaN); equal values give one of zero width. */
typedef struct nl_interval {
    int64_t n;
    double mean; /* or what else is estimated */
    double sd, low, high;
    double p; /* two-sided, of what is estimated being 0 */
} nl_interval;

/* Student 1908 (student1908probable): mean -+ t sd / sqrt(n), n - 1 degrees of freedom. Where all
 * values are equal and not 0, t has no value; p is then that of the sign test, 2^(1-n). */
nl_interval nl_interval_from(int64_t n, double mean, double sd, double level);
nl_interval nl_mean_interval(const double *x, int64_t n, double level);

/* The same for the differences x[i] - y[i] of n pairs: the paired t test. */
nl_interval nl_paired_interval(const double *x, const double *y, int64_t n, double level);

/* Of the interquartile mean, by Tukey and McLaughlin 1963 (tukey1963less): the mean of the h values
 * kept -+ t sd_w sqrt((n-1) / (h (h-1))), h - 1 degrees of freedom. sd_w, the interval's sd, is of
 * the values with those cut replaced by the nearest one kept. */
nl_interval nl_interquartile_interval_sorted(const double *sorted, int64_t n, double level);

/* Of the median, by Hettmansperger and Sheather 1986 (hettmansperger1986confidence): between order
 * statistics, interpolated to the level. Its level is that of the sign test, whatever the
 * distribution: 5 values reach 93.75 %, which is taken for 95; fewer give no interval. sd and p are
 * NaN. */
nl_interval nl_median_interval_sorted(const double *sorted, int64_t n, double level);

#endif
