/* sample.h: what is said about a sample x[0 .. n-1] in one number. No state, nothing fails: what is
 * not defined is NaN. */
#ifndef NL_SAMPLE_H
#define NL_SAMPLE_H

#include <stdint.h>

double nl_mean(const double *x, int64_t n); /* n = 0: NaN */
double nl_sd(const double *x, int64_t n);   /* n - 1 in the divisor; n < 2: NaN */
double nl_median(const double *x, int64_t n);

/* The same of the differences x[i] - y[i]. */
double nl_mean_difference(const double *x, const double *y, int64_t n);
double nl_sd_difference(const double *x, const double *y, int64_t n);

void nl_sort(double *x, int64_t n);

/* Type 7 of Hyndman and Fan 1996 (R's and NumPy's default) of values sorted in growing order. */
double nl_quantile_sorted(const double *sorted, int64_t n, double p);

/* Mean of what is left when a quarter of the values, rounded down, is cut from each end (Agarwal et
 * al. 2021, agarwal2021deep; scipy.stats.trim_mean(x, 0.25)). */
int64_t nl_quarter(int64_t n); /* how many are cut from one end */
double nl_interquartile_mean_sorted(const double *sorted, int64_t n);

/* rank[i] of x[i] among all, 1 for the least; equal values get their middle rank. */
void nl_ranks(const double *x, int64_t n, double *rank);

/* Share of x that is at most `bound`: performance profiles are this over growing bounds (Dolan and
 * More 2002, dolan2002benchmarking, where x is a method's cost relative to the cheapest, one value
 * a task; infinite where a task was not solved). */
double nl_share_within(const double *x, int64_t n, double bound);

#endif
