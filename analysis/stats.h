/* stats.h: the statistics a comparison over paired seeds needs, and no more. Double throughout, no
 * state, nothing fails: what is not defined is NaN. Checked against SciPy in tests/unit/stats.c. */
#ifndef NL_STATS_H
#define NL_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* ---- Special functions and distributions ---- */

double nl_log_gamma(double x);          /* x > 0 */
double nl_log_beta(double a, double b); /* a, b > 0 */

/* Regularized incomplete beta I_x(a, b); y must be 1 - x (given so that neither loses digits). */
double nl_incomplete_beta(double a, double b, double x, double y);

double nl_student_cdf(double t, double freedom); /* freedom > 0, need not be whole */
double nl_student_quantile(double p, double freedom);
double nl_normal_cdf(double z);
double nl_normal_quantile(double p);

/* ---- Samples x[0 .. n-1] ---- */

double nl_mean(const double *x, int64_t n); /* n = 0: NaN */
double nl_sd(const double *x, int64_t n);   /* n - 1 in the divisor; n < 2: NaN */
double nl_median(const double *x, int64_t n);

/* Type 7 of Hyndman and Fan 1996 (R's and NumPy's default) of values sorted in growing order. */
double nl_quantile_sorted(const double *sorted, int64_t n, double p);
void nl_sort(double *x, int64_t n);

/* A mean with its two-sided Student t interval. One value gives no interval (low, high and p are
 * NaN); equal values give one of zero width. */
typedef struct nl_interval {
    int64_t n;
    double mean, sd, low, high;
    double p; /* two-sided, of the mean being 0 */
} nl_interval;
nl_interval nl_interval_from(int64_t n, double mean, double sd, double level);
nl_interval nl_mean_interval(const double *x, int64_t n, double level);

/* The same for the differences x[i] - y[i] of n pairs: the paired t test. Where all differences are
 * equal and not 0, t has no value; p is then that of the sign test, 2^(1-n). */
nl_interval nl_paired_interval(const double *x, const double *y, int64_t n, double level);

/* Two-sided p of the signed-rank test for differences d, by counting all sign patterns. Zeros are
 * left out, ties get middle ranks. NaN beyond NL_WILCOXON_MAX values. */
enum { NL_WILCOXON_MAX = 25 };
double nl_wilcoxon_p(const double *d, int64_t n);

/* Holm's step-down adjustment of m <= NL_HOLM_MAX p-values, in place; NaN entries stay and do not
 * count. */
enum { NL_HOLM_MAX = 1024 };
void nl_holm(double *p, int64_t m);

#endif
