#include "analysis/stats.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const double log_sqrt_2pi = 0.918938533204672741780329736406;
enum { STIRLING_FROM = 12 }; /* from here on seven terms of the series are exact to double */

/* log_gamma(x) minus Stirling's main part: sum of B_2k / (2k (2k-1) x^(2k-1)), x >= STIRLING_FROM.
 */
static double stirling_rest(double x)
{
    static const double terms[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                   1.0 / 1188, -691.0 / 360360, 1.0 / 156};
    const double inverse = 1 / x, square = inverse * inverse;
    double sum = 0;
    for (int k = (int)(sizeof terms / sizeof *terms) - 1; k >= 0; k--)
        sum = sum * square + terms[k];
    return sum * inverse;
}

double nl_log_gamma(double x)
{
    if (!(x > 0))
        return NAN;
    if (x == 1 || x == 2)
        return 0;
    double below = 1; /* the product x (x+1) ... that lifts x to where the series holds */
    for (; x < STIRLING_FROM; x++)
        below *= x;
    return (x - 0.5) * log(x) - x + log_sqrt_2pi + stirling_rest(x) - log(below);
}

/* Large arguments would cancel in log_gamma(a) + log_gamma(b) - log_gamma(a + b), so Stirling's
 * main parts are subtracted on paper. */
double nl_log_beta(double a, double b)
{
    const double p = fmin(a, b), q = fmax(a, b), share = p / (p + q);
    if (!(p > 0))
        return NAN;
    if (q < STIRLING_FROM)
        return nl_log_gamma(p) + nl_log_gamma(q) - nl_log_gamma(p + q);
    const double rest = stirling_rest(q) - stirling_rest(p + q);
    if (p < STIRLING_FROM)
        return nl_log_gamma(p) + rest + p - p * log(p + q) + (q - 0.5) * log1p(-share);
    return -0.5 * log(q) + log_sqrt_2pi + stirling_rest(p) + rest + (p - 0.5) * log(share) +
           q * log1p(-share);
}

/* Continued fraction of I_x(a, b) by Lentz's method (DLMF 8.17.22); quick for x < (a+1)/(a+b+2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m < 100000; m++) {
        double change = 1;
        for (int odd = 0; odd < 2; odd++) {
            const double term = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                                    : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + term * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + term / c;
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            value *= change;
        }
        if (fabs(change - 1) < DBL_EPSILON)
            break;
    }
    return value;
}

double nl_incomplete_beta(double a, double b, double x, double y)
{
    if (!(a > 0 && b > 0 && x >= 0 && y >= 0))
        return NAN;
    if (x == 0 || y == 0)
        return x == 0 ? 0 : 1;
    const double log_x = x < 0.5 ? log(x) : log1p(-y), log_y = y < 0.5 ? log(y) : log1p(-x);
    const double front = exp(a * log_x + b * log_y - nl_log_beta(a, b));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

/* P(T > t) for t >= 0: keeps its digits far out, where 1 - cdf has none left. */
static double student_tail(double t, double freedom)
{
    if (isinf(t))
        return 0;
    const double square = t * t, whole = freedom + square;
    if (isinf(square))
        return 0;
    return 0.5 * nl_incomplete_beta(freedom / 2, 0.5, freedom / whole, square / whole);
}

static double normal_tail(double z, double unused)
{
    (void)unused;
    return 0.5 * erfc(z * M_SQRT1_2);
}

double nl_student_cdf(double t, double freedom)
{
    if (!(freedom > 0) || isnan(t))
        return NAN;
    return t < 0 ? student_tail(-t, freedom) : 1 - student_tail(t, freedom);
}

double nl_normal_cdf(double z) { return normal_tail(-z, 0); }

/* The t >= 0 whose upper tail is q, 0 < q <= 1/2: halving down to neighbouring doubles. */
static double invert_tail(double (*tail)(double, double), double freedom, double q)
{
    double low = 0, high = 1;
    while (tail(high, freedom) > q && high < DBL_MAX / 4) {
        low = high;
        high *= 2;
    }
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            return middle;
        if (tail(middle, freedom) > q)
            low = middle;
        else
            high = middle;
    }
}

static double quantile(double (*tail)(double, double), double freedom, double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (p == 0.5)
        return 0;
    return p < 0.5 ? -invert_tail(tail, freedom, p) : invert_tail(tail, freedom, 1 - p);
}

double nl_student_quantile(double p, double freedom)
{
    return freedom > 0 ? quantile(student_tail, freedom, p) : NAN;
}

double nl_normal_quantile(double p) { return quantile(normal_tail, 0, p); }

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

nl_interval nl_interval_from(int64_t n, double mean, double sd, double level)
{
    nl_interval v = {.n = n, .mean = mean, .sd = sd, .low = NAN, .high = NAN, .p = NAN};
    if (n < 2)
        return v;
    const double freedom = (double)(n - 1), error = sd / sqrt((double)n);
    const double reach = sd == 0 ? 0 : nl_student_quantile(0.5 + level / 2, freedom) * error;
    v.low = mean - reach;
    v.high = mean + reach;
    if (sd > 0)
        v.p = 2 * student_tail(fabs(mean) / error, freedom);
    else
        v.p = mean == 0 ? 1 : ldexp(1, n < 1000 ? 1 - (int)n : -1000);
    return v;
}

nl_interval nl_mean_interval(const double *x, int64_t n, double level)
{
    return nl_interval_from(n, nl_mean(x, n), nl_sd(x, n), level);
}

nl_interval nl_paired_interval(const double *x, const double *y, int64_t n, double level)
{
    return nl_interval_from(n, mean_of(x, y, n), sd_of(x, y, n), level);
}

/* Twice the middle rank of |d[i]| among the non-zero values: always a whole number. */
static int twice_rank(const double *d, int64_t n, int64_t i)
{
    int less = 0, equal = 0;
    for (int64_t j = 0; j < n; j++) {
        less += d[j] != 0 && fabs(d[j]) < fabs(d[i]);
        equal += d[j] != 0 && fabs(d[j]) == fabs(d[i]);
    }
    return 2 * less + equal + 1;
}

double nl_wilcoxon_p(const double *d, int64_t n)
{
    enum { SUM_MAX = NL_WILCOXON_MAX * (NL_WILCOXON_MAX + 1) }; /* of twice the ranks */
    double share[SUM_MAX + 1] = {
        1}; /* share[s] of the sign patterns have positive ranks summing to s */
    int seen = 0, whole = 0, used = 0;
    if (n > NL_WILCOXON_MAX)
        return NAN;
    for (int64_t i = 0; i < n; i++) {
        if (d[i] == 0 || isnan(d[i]))
            continue;
        const int rank = twice_rank(d, n, i);
        for (int s = whole; s >= 0; s--) {
            share[s] /= 2;
            share[s + rank] += share[s];
        }
        whole += rank;
        seen += d[i] > 0 ? rank : 0;
        used++;
    }
    if (used == 0)
        return NAN;
    const int extreme = seen < whole - seen ? seen : whole - seen; /* the law is symmetric */
    double tail = 0;
    for (int s = 0; s <= extreme; s++)
        tail += share[s];
    return fmin(1, 2 * tail);
}

void nl_holm(double *p, int64_t m)
{
    bool done[NL_HOLM_MAX] = {false};
    int64_t live = 0;
    double largest = 0; /* adjusted so far: step-down never falls */
    m = m < NL_HOLM_MAX ? m : NL_HOLM_MAX;
    for (int64_t i = 0; i < m; i++)
        live += !isnan(p[i]);
    for (int64_t rank = 0; rank < live; rank++) {
        int64_t least = -1;
        for (int64_t i = 0; i < m; i++)
            if (!isnan(p[i]) && !done[i] && (least < 0 || p[i] < p[least]))
                least = i;
        largest = fmax(largest, fmin(1, (double)(live - rank) * p[least]));
        p[least] = largest;
        done[least] = true;
    }
}
