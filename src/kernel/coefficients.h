/* coefficients.h: what happens to statistics between the passes over their values, in double, for
 * `count` statistics side by side. Symbols are those of core/norm.h: mean, var; a, d (NULL: 0);
 * G, H; dmean, dvar; m live values. */
#ifndef NL_COEFFICIENTS_H
#define NL_COEFFICIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* Population statistics and how a batch enters them. */
typedef struct nl_averages {
    nl_real *run_mean, *run_spread;
    double *cum_mean, *cum_spread, *epoch_mean, *epoch_spread;
    double momentum; /* weight of the batch in run_ */
    double factor;   /* of the batch's variance: m / (m - 1) or 1 */
    bool keeps_std;  /* spread is sqrt(variance + std_eps) */
    double std_eps;
} nl_averages;

typedef struct nl_coefficient_kernels {
    /* var = m2 / m; about zero: var = m2 / m + mean^2, own mean 0. Infinite becomes NaN: it is
     * told, not hidden by y = 0. own may be mean, var may be m2. */
    void (*variance)(int64_t count, double per_m, bool about_zero, const double *mean,
                     const double *m2, double *own, double *var);
    /* a = 1 / sqrt(var + eps) to a unit in the last place; d = 0 where there is one */
    void (*standardize)(int64_t count, const double *var, double eps, double *a, double *d);
    /* dvar = -a^3 H / 2, dmean = -a G; G NULL: there is no mean, dmean = 0 */
    void (*standardize_back)(int64_t count, const double *a, const double *G, const double *H,
                             double *dmean, double *dvar);
    /* gamma (a (x - mean) + d) + beta = ra (x - center) + rd in the storage type; gamma, beta may
     * be NULL */
    void (*in_storage)(int64_t count, const double *mean, const double *a, const double *d,
                       const nl_real *gamma, const nl_real *beta, nl_real *center, nl_real *ra,
                       nl_real *rd);
    /* H about the mean from H about the center */
    void (*recenter)(int64_t count, const nl_real *center, const double *mean, const double *G,
                     double *H);
    /* to_gamma += a H + d G, to_beta += G: sums of dy z and dy */
    void (*affine_sums)(int64_t count, const double *a, const double *d, const double *G,
                        const double *H, double *to_gamma, double *to_beta);
    /* G *= gamma, H *= gamma */
    void (*scale)(int64_t count, const nl_real *gamma, double *G, double *H);
    /* p (x - center) + q = dmean / m + dvar 2 (x - own) / m */
    void (*chain)(int64_t count, double per_m, const double *dmean, const double *dvar,
                  const nl_real *center, const double *own, nl_real *p, nl_real *q);
    /* to[count] += the sum of `parts` arrays, `stride` reals apart: fours in the storage type,
     * (0 + 1) + (2 + 3), then in double. */
    void (*add_parts)(int64_t count, const nl_real *part, int64_t parts, int64_t stride,
                      nl_real *to);
    /* The batch's mean and variance enter the population's. */
    void (*average)(int64_t count, const double *mean, const double *var, const nl_averages *to);
} nl_coefficient_kernels;

NL_KERNELS(nl_coefficient_kernels, nl_coefficient_kernel)

#endif
