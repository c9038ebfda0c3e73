/* distributions.h: cumulative distributions, tails and quantiles. What is not defined is NaN.
 * Checked against SciPy in tests/unit/stats.c to a relative 1e-10. */
#ifndef NL_DISTRIBUTIONS_H
#define NL_DISTRIBUTIONS_H

double nl_normal_cdf(double z);
double nl_normal_quantile(double p);

/* Student's t; freedom > 0, need not be whole. P(T <= t), P(|T| > t), the inverse of the first. */
double nl_student_cdf(double t, double freedom);
double nl_student_two_sided(double t, double freedom);
double nl_student_quantile(double p, double freedom);

/* P(X > x) of chi-square: Q(freedom / 2, x / 2). */
double nl_chi_square_tail(double x, double freedom);

/* P(X > x) of Fisher's F: I_y(d/2, n/2) with y = d / (d + n x), n and d the degrees of freedom. */
double nl_f_tail(double x, double numerator, double denominator);

/* P(T > t) of the noncentral t: T = (Z + shift) / U with U^2 = chi^2 / freedom, so
 * int Phi(shift - t u) dP(u). */
double nl_noncentral_t_tail(double t, double freedom, double shift);

/* P(Q <= q) of the range of k standard normal values, which is the studentized range of infinite
 * freedom: k int phi(z) (Phi(z) - Phi(z - q))^(k-1) dz; k >= 2. */
double nl_range_cdf(double q, int k);
double nl_range_quantile(double p, int k);

/* P(B <= successes) of the binomial distribution with probability 1/2. */
double nl_sign_cdf(int successes, int trials);

#endif
