/* special.h: the special functions that distributions stand on. Double throughout; outside of their
 * domain they are NaN. Sections are of the NIST Digital Library of Mathematical Functions. */
#ifndef NL_SPECIAL_H
#define NL_SPECIAL_H

/* log Gamma(x), x > 0, by Stirling's series (5.11.1) above 12 and the recurrence (5.5.1) below. */
double nl_log_gamma(double x);

/* log B(a, b) = log (Gamma(a) Gamma(b) / Gamma(a + b)); a, b > 0 (5.12.1). */
double nl_log_beta(double a, double b);

/* I_x(a, b) = 1/B(a, b) int_0^x t^(a-1) (1-t)^(b-1) dt, by its continued fraction (8.17.22). y must
 * be 1 - x, given so that neither loses digits. */
double nl_incomplete_beta(double a, double b, double x, double y);

/* Q(a, x) = 1/Gamma(a) int_x^inf t^(a-1) e^-t dt; a > 0, x >= 0: the series of 1 - Q (8.7.1) for
 * small x, the continued fraction (8.9.2) for large. */
double nl_incomplete_gamma(double a, double x);

/* int f over [low, high] by the trapezoid rule of `count` intervals. For smooth functions that have
 * died out at both ends it gains digits exponentially with count (Trefethen and Weideman 2014,
 * trefethen2014exponentially). */
double nl_integrate(double (*f)(double x, const void *with), const void *with, double low,
                    double high, int count);

#endif
