#include "analysis/special.h"

#include <float.h>
#include <math.h>

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

/* 1 - Q(a, x) = x^a e^-x / Gamma(a + 1) * sum_k x^k / ((a+1) ... (a+k)) */
static double gamma_series(double a, double x)
{
    double term = 1, sum = 1;
    for (int k = 1; k < 100000 && term > sum * DBL_EPSILON / 4; k++) {
        term *= x / (a + k);
        sum += term;
    }
    return exp(a * log(x) - x - nl_log_gamma(a + 1)) * sum;
}

/* Q(a, x) by the even part of the continued fraction, Lentz's method. */
static double gamma_fraction(double a, double x)
{
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, value = d;
    for (int k = 1; k < 100000; k++) {
        const double term = -k * (k - a);
        b += 2;
        d = term * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + term / c;
        c = fabs(c) < tiny ? tiny : c;
        value *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON)
            break;
    }
    return exp(a * log(x) - x - nl_log_gamma(a)) * value;
}

double nl_incomplete_gamma(double a, double x)
{
    if (!(a > 0 && x >= 0))
        return NAN;
    if (x == 0 || isinf(x))
        return x == 0 ? 1 : 0;
    return x < a + 1 ? 1 - gamma_series(a, x) : gamma_fraction(a, x);
}

double nl_integrate(double (*f)(double x, const void *with), const void *with, double low,
                    double high, int count)
{
    const double h = (high - low) / count;
    double sum = (f(low, with) + f(high, with)) / 2;
    for (int i = 1; i < count; i++)
        sum += f(low + i * h, with);
    return h * sum;
}
