#include "analysis/distributions.h"

#include <float.h>
#include <math.h>

#include "analysis/special.h"

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

double nl_student_two_sided(double t, double freedom)
{
    return freedom > 0 ? 2 * student_tail(fabs(t), freedom) : NAN;
}

/* The x >= 0 whose upper tail is q: halving down to neighbouring doubles. */
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

double nl_chi_square_tail(double x, double freedom)
{
    return freedom > 0 ? nl_incomplete_gamma(freedom / 2, fmax(x, 0) / 2) : NAN;
}

double nl_f_tail(double x, double numerator, double denominator)
{
    if (!(numerator > 0 && denominator > 0) || isnan(x))
        return NAN;
    if (isinf(x) || x <= 0)
        return x <= 0;
    const double whole = denominator + numerator * x;
    return nl_incomplete_beta(denominator / 2, numerator / 2, denominator / whole,
                              numerator * x / whole);
}

struct noncentral {
    double t, freedom, shift, log_front;
};

/* In x = log u the density of U is 2 (f/2)^(f/2) / Gamma(f/2) exp(f (x - e^2x / 2)), smooth and
 * dying out on both sides. */
static double noncentral_integrand(double x, const void *with)
{
    const struct noncentral *w = with;
    const double u = exp(x);
    return exp(w->log_front + w->freedom * (x - u * u / 2)) * nl_normal_cdf(w->shift - w->t * u);
}

double nl_noncentral_t_tail(double t, double freedom, double shift)
{
    if (!(freedom > 0) || isnan(t) || isnan(shift))
        return NAN;
    const double half = freedom / 2, spread = 1 / sqrt(2 * freedom);
    const struct noncentral w = {.t = t,
                                 .freedom = freedom,
                                 .shift = shift,
                                 .log_front = M_LN2 + half * log(half) - nl_log_gamma(half)};
    const double low = -fmax(10 * spread, 45 / freedom), high = fmin(10 * spread, 3);
    return nl_integrate(noncentral_integrand, &w, low, high, 2000);
}

struct range {
    double q;
    int k;
};

static double range_integrand(double z, const void *with)
{
    const struct range *w = with;
    const double inside = nl_normal_cdf(z) - nl_normal_cdf(z - w->q);
    return exp(-z * z / 2) * pow(inside, w->k - 1);
}

double nl_range_cdf(double q, int k)
{
    const struct range w = {.q = q, .k = k};
    if (k < 2 || isnan(q))
        return NAN;
    if (q <= 0 || isinf(q))
        return q > 0;
    return k / sqrt(2 * M_PI) * nl_integrate(range_integrand, &w, -10, 10, 400);
}

static double range_tail(double q, double k) { return 1 - nl_range_cdf(q, (int)k); }

double nl_range_quantile(double p, int k)
{
    if (k < 2 || !(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? 0 : INFINITY;
    return invert_tail(range_tail, k, 1 - p);
}

double nl_sign_cdf(int successes, int trials)
{
    double term = ldexp(1, -trials), sum = 0; /* of `trials` choose k over 2^trials */
    for (int k = 0; k <= successes && k <= trials; k++) {
        sum += term;
        term *= (double)(trials - k) / (k + 1);
    }
    return fmin(sum, 1);
}
