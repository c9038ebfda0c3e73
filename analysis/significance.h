/* significance.h: tests of differences paired by seed, their correction for many, how often one
 * method beats another, and what a number of seeds could show at all. */
#ifndef NL_SIGNIFICANCE_H
#define NL_SIGNIFICANCE_H

#include <stdint.h>

/* Two-sided p of the sign-flip permutation test (Fisher 1935, fisher1935design): share of the 2^n
 * sign patterns whose |sum of differences| is at least the one seen. All patterns are counted up to
 * NL_FLIPS_EXACT differences; beyond, NL_FLIPS_DRAWN random ones, p = (1 + as extreme) / (1 +
 * drawn). n = 0: NaN. */
enum { NL_FLIPS_EXACT = 20, NL_FLIPS_DRAWN = 100000 };
double nl_permutation_p(const double *d, int64_t n);

/* Two-sided p of the signed-rank test (Wilcoxon 1945, wilcoxon1945individual) for differences d.
 * Zeros are left out, ties get middle ranks. All sign patterns are counted up to NL_WILCOXON_EXACT
 * values; beyond, the normal distribution with the variance of tied ranks. No value left: NaN. */
enum { NL_WILCOXON_EXACT = 25 };
double nl_wilcoxon_p(const double *d, int64_t n);

/* Holm's step-down adjustment (Holm 1979, holm1979simple) of m <= NL_HOLM_MAX p-values, in place;
 * NaN entries stay and do not count. */
enum { NL_HOLM_MAX = 1024 };
void nl_holm(double *p, int64_t m);

/* P(X > Y) + P(X = Y) / 2 over all pairs: U / (nx ny) of Mann and Whitney (mann1947test), the
 * probability of improvement of Agarwal et al. 2021. None: NaN. */
double nl_probability_above(const double *x, int64_t nx, const double *y, int64_t ny);

/* Chance that the two-sided paired t test at `level` finds a true mean difference of `effect`
 * standard deviations with n pairs (Cohen 1988, cohen1988statistical). n < 2: NaN. */
double nl_power(double effect, int64_t n, double level);

/* The difference, in the unit of sd (the standard deviation of differences), that is found with
 * chance `power`: what this number of seeds could show. */
double nl_smallest_effect(int64_t n, double sd, double level, double power);

#endif
