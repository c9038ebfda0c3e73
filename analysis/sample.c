#include "analysis/sample.h"

#include <math.h>
#include <stdlib.h>

/* One value of a sample, or of the differences of two. */
static double value_at(const double *x, const double *y, int64_t i)
{
    return y ? x[i] - y[i] : x[i];
}

static double mean_of(const double *x, const double *y, int64_t n)
{
    double sum = 0, rest = 0;
    for (int64_t i = 0; i < n; i++)
        sum += value_at(x, y, i);
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) /* takes out the rounding, so equal values give themselves */
        rest += value_at(x, y, i) - mean;
    return n > 0 ? mean + rest / (double)n : NAN;
}

static double sd_of(const double *x, const double *y, int64_t n)
{
    const double mean = mean_of(x, y, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (value_at(x, y, i) - mean) * (value_at(x, y, i) - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : NAN;
}

double nl_mean(const double *x, int64_t n) { return mean_of(x, NULL, n); }
double nl_sd(const double *x, int64_t n) { return sd_of(x, NULL, n); }

double nl_mean_difference(const double *x, const double *y, int64_t n) { return mean_of(x, y, n); }
double nl_sd_difference(const double *x, const double *y, int64_t n) { return sd_of(x, y, n); }

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void nl_sort(double *x, int64_t n)
{
    if (n > 1)
        qsort(x, (size_t)n, sizeof *x, compare_doubles);
}

double nl_quantile_sorted(const double *sorted, int64_t n, double p)
{
    if (n < 1 || !(p >= 0 && p <= 1))
        return NAN;
    const double at = p * (double)(n - 1);
    const int64_t below = (int64_t)at, above = below + 1 < n ? below + 1 : below;
    const double share = at - (double)below;
    if (share == 0 || sorted[below] == sorted[above]) /* infinities stay themselves */
        return sorted[below];
    return sorted[below] + share * (sorted[above] - sorted[below]);
}

/* By counting, so that nothing is copied: samples here are a handful of seeds. */
static double order_statistic(const double *x, int64_t n, int64_t rank)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t less = 0, equal = 0;
        for (int64_t j = 0; j < n; j++) {
            less += x[j] < x[i];
            equal += x[j] == x[i];
        }
        if (less <= rank && rank < less + equal)
            return x[i];
    }
    return NAN;
}

double nl_median(const double *x, int64_t n)
{
    const double low = order_statistic(x, n, (n - 1) / 2), high = order_statistic(x, n, n / 2);
    return low == high ? low : low + (high - low) / 2;
}

int64_t nl_quarter(int64_t n) { return n / 4; }

double nl_interquartile_mean_sorted(const double *sorted, int64_t n)
{
    const int64_t cut = nl_quarter(n);
    return nl_mean(sorted + cut, n - 2 * cut);
}

void nl_ranks(const double *x, int64_t n, double *rank)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t less = 0, equal = 0;
        for (int64_t j = 0; j < n; j++) {
            less += x[j] < x[i];
            equal += x[j] == x[i];
        }
        rank[i] = (double)less + (double)(equal + 1) / 2;
    }
}

double nl_share_within(const double *x, int64_t n, double bound)
{
    int64_t within = 0;
    for (int64_t i = 0; i < n; i++)
        within += x[i] <= bound;
    return n > 0 ? (double)within / (double)n : NAN;
}
