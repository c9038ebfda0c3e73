#include "analysis/intervals.h"

#include <math.h>

#include "analysis/distributions.h"
#include "analysis/sample.h"

/* What t says of an estimate with this standard error. */
static void take_student(nl_interval *v, double error, double freedom, double level)
{
    const double reach = error == 0 ? 0 : nl_student_quantile(0.5 + level / 2, freedom) * error;
    v->low = v->mean - reach;
    v->high = v->mean + reach;
    if (error > 0)
        v->p = nl_student_two_sided(v->mean / error, freedom);
    else
        v->p = v->mean == 0 ? 1 : ldexp(1, v->n < 1000 ? 1 - (int)v->n : -1000);
}

nl_interval nl_interval_from(int64_t n, double mean, double sd, double level)
{
    nl_interval v = {.n = n, .mean = mean, .sd = sd, .low = NAN, .high = NAN, .p = NAN};
    if (n >= 2)
        take_student(&v, sd / sqrt((double)n), (double)(n - 1), level);
    return v;
}

nl_interval nl_mean_interval(const double *x, int64_t n, double level)
{
    return nl_interval_from(n, nl_mean(x, n), nl_sd(x, n), level);
}

nl_interval nl_paired_interval(const double *x, const double *y, int64_t n, double level)
{
    return nl_interval_from(n, nl_mean_difference(x, y, n), nl_sd_difference(x, y, n), level);
}

/* sd of the sample after the `cut` values at each end were moved to the nearest one kept. */
static double winsorized_sd(const double *sorted, int64_t n, int64_t cut)
{
    const double low = sorted[cut], high = sorted[n - 1 - cut];
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fmin(fmax(sorted[i], low), high) - low;
    const double mean = low + sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += pow(fmin(fmax(sorted[i], low), high) - mean, 2);
    return sqrt(squares / (double)(n - 1));
}

nl_interval nl_interquartile_interval_sorted(const double *sorted, int64_t n, double level)
{
    nl_interval v = {.n = n,
                     .mean = nl_interquartile_mean_sorted(sorted, n),
                     .sd = NAN,
                     .low = NAN,
                     .high = NAN,
                     .p = NAN};
    const int64_t cut = nl_quarter(n);
    const double kept = (double)(n - 2 * cut);
    if (n < 2)
        return v;
    v.sd = winsorized_sd(sorted, n, cut);
    take_student(&v, v.sd * sqrt((double)(n - 1) / (kept * (kept - 1))), kept - 1, level);
    return v;
}

/* Chance that the median lies between the k-th value from below and the k-th from above. */
static double order_level(int k, int n) { return 1 - 2 * nl_sign_cdf(k - 1, n); }

nl_interval nl_median_interval_sorted(const double *sorted, int64_t n, double level)
{
    enum { EXACT_MAX = 1000 };    /* beyond, 2^-n is no number */
    const double nearly = 0.0126; /* 5 values reach 93.75 % */
    nl_interval v = {
        .n = n, .mean = nl_median(sorted, n), .sd = NAN, .low = NAN, .high = NAN, .p = NAN};
    if (n < 2 || n > EXACT_MAX || order_level(1, (int)n) < level - nearly)
        return v;
    int k = 1;
    while (k < n / 2 && order_level(k + 1, (int)n) >= level)
        k++;
    const double outer = order_level(k, (int)n), inner = order_level(k + 1, (int)n);
    double share = 0; /* of the way from the k-th value to the next */
    if (outer > level && k < n / 2) {
        const double at = (outer - level) / (outer - inner);
        share = (double)(n - k) * at / ((double)k + (double)(n - 2 * k) * at);
    }
    v.low = sorted[k - 1] + share * (sorted[k] - sorted[k - 1]);
    v.high = sorted[n - k] - share * (sorted[n - k] - sorted[n - k - 1]);
    return v;
}
