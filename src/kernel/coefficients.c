#include "kernel/coefficients.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/cut.h"
#include "kernel/vec.h"

static double nan_if_infinite(double v) { return v + (v - v); }

static void variance(int64_t count, double per_m, bool about_zero, const double *mean,
                     const double *m2, double *own, double *var)
{
#pragma GCC ivdep /* in place, statistic by statistic */
    for (int64_t i = 0; i < count; i++) {
        const double mu = mean[i];
        var[i] = nan_if_infinite(m2[i] * per_m + (about_zero ? mu * mu : 0));
        own[i] = about_zero ? 0 : mu;
    }
}

#ifdef __AVX512F__
/* A root and a division take 47 cycles in registers of 8 doubles, the processor's estimate (14
 * bits) and two steps as in nl_vec_per_root (42 bits, then all) a fifth of that. */
static __m512d per_root_of(__m512d v)
{
    const __m512d one = _mm512_set1_pd(1), half = _mm512_set1_pd(0.5);
    const __m512d third = _mm512_set1_pd(0.375), estimate = _mm512_rsqrt14_pd(v);
    __m512d r = estimate;
    for (int step = 0; step < 2; step++) {
        const __m512d e = _mm512_fnmadd_pd(_mm512_mul_pd(v, r), r, one);
        r = _mm512_fmadd_pd(_mm512_mul_pd(r, e), _mm512_fmadd_pd(e, third, half), r);
    }
    const __mmask8 is_zero = _mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_EQ_OQ);
    return _mm512_mask_mov_pd(r, is_zero, estimate); /* infinite, where e is NaN */
}

static void per_root(int64_t count, const double *var, double eps, double *r)
{
    for (int64_t i = 0; i < count; i += 8) {
        const __mmask8 have = (__mmask8)(count - i < 8 ? (1U << (count - i)) - 1 : 0xffU);
        const __m512d v = _mm512_maskz_loadu_pd(have, var + i);
        _mm512_mask_storeu_pd(r + i, have, per_root_of(_mm512_add_pd(v, _mm512_set1_pd(eps))));
    }
}
#else
static void per_root(int64_t count, const double *restrict var, double eps, double *restrict r)
{
    for (int64_t i = 0; i < count; i++)
        r[i] = 1 / sqrt(var[i] + eps);
}
#endif

static void standardize(int64_t count, const double *restrict var, double eps, double *restrict a,
                        double *restrict d)
{
    per_root(count, var, eps, a);
    if (d)
        memset(d, 0, (size_t)count * sizeof *d);
}

static void standardize_back(int64_t count, const double *restrict a, const double *restrict G,
                             const double *restrict H, double *restrict dmean,
                             double *restrict dvar)
{
    for (int64_t i = 0; i < count; i++) {
        dmean[i] = G ? -a[i] * G[i] : 0;
        dvar[i] = -0.5 * a[i] * a[i] * a[i] * H[i];
    }
}

static void in_storage(int64_t count, const double *restrict mean, const double *restrict a,
                       const double *restrict d, const nl_real *restrict gamma,
                       const nl_real *restrict beta, nl_real *restrict center, nl_real *restrict ra,
                       nl_real *restrict rd)
{
    for (int64_t i = 0; i < count; i++) {
        const double scale = gamma ? (double)gamma[i] : 1, shift = beta ? (double)beta[i] : 0;
        const double off = d ? d[i] : 0;
        const nl_real mu = (nl_real)mean[i];
        center[i] = mu;
        ra[i] = (nl_real)(scale * a[i]);
        rd[i] = (nl_real)(scale * (off + a[i] * ((double)mu - mean[i])) + shift);
    }
}

static void recenter(int64_t count, const nl_real *restrict center, const double *restrict mean,
                     const double *restrict G, double *restrict H)
{
    for (int64_t i = 0; i < count; i++)
        H[i] += ((double)center[i] - mean[i]) * G[i];
}

static void affine_sums(int64_t count, const double *restrict a, const double *restrict d,
                        const double *restrict G, const double *restrict H,
                        double *restrict to_gamma, double *restrict to_beta)
{
    for (int64_t i = 0; i < count; i++) {
        to_gamma[i] += a[i] * H[i] + (d ? d[i] * G[i] : 0);
        to_beta[i] += G[i];
    }
}

static void scale(int64_t count, const nl_real *restrict gamma, double *restrict G,
                  double *restrict H)
{
    for (int64_t i = 0; i < count; i++) {
        G[i] *= (double)gamma[i];
        H[i] *= (double)gamma[i];
    }
}

static void chain(int64_t count, double per_m, const double *restrict dmean,
                  const double *restrict dvar, const nl_real *restrict center,
                  const double *restrict own, nl_real *restrict p, nl_real *restrict q)
{
    for (int64_t i = 0; i < count; i++) {
        const double slope = 2 * dvar[i] * per_m;
        p[i] = (nl_real)slope;
        q[i] = (nl_real)(dmean[i] * per_m + slope * ((double)center[i] - own[i]));
    }
}

NL_INLINE nl_real sum_of_four(const nl_real *part, int64_t stride)
{
    return (part[0] + part[stride]) + (part[2 * stride] + part[3 * stride]);
}

/* Fours are added in the storage type, since converting takes longer than adding, their sums in
 * double. */
static void add_parts(int64_t count, const nl_real *restrict part, int64_t parts, int64_t stride,
                      nl_real *restrict to)
{
    enum { AT_ONCE = 512 };
    if (parts == 4) { /* a sum that goes to double and back stays the same */
        for (int64_t i = 0; i < count; i++)
            to[i] += sum_of_four(part + i, stride);
        return;
    }
    for (int64_t from = 0; from < count; from += AT_ONCE) {
        const int64_t some = nl_least(count - from, AT_ONCE);
        double sum[AT_ONCE] = {0};
        int64_t k = 0;
        for (; k + 4 <= parts; k += 4)
            for (int64_t i = 0; i < some; i++)
                sum[i] += (double)sum_of_four(part + k * stride + from + i, stride);
        for (; k < parts; k++)
            for (int64_t i = 0; i < some; i++)
                sum[i] += (double)part[k * stride + from + i];
        for (int64_t i = 0; i < some; i++)
            to[from + i] += (nl_real)sum[i];
    }
}

static void average_runs(int64_t count, const double *restrict mean, const double *restrict var,
                         const nl_averages *to)
{
    nl_real *restrict run_mean = to->run_mean, *restrict run_spread = to->run_spread;
    const double momentum = to->momentum, factor = to->factor, eps = to->std_eps;
    const bool keeps_std = to->keeps_std;
    for (int64_t i = 0; i < count; i++) {
        const double variance = factor * var[i];
        const double spread = keeps_std ? sqrt(variance + eps) : variance;
        const double from_mean = (double)run_mean[i], from_spread = (double)run_spread[i];
        run_mean[i] = (nl_real)(from_mean + momentum * (mean[i] - from_mean));
        run_spread[i] = (nl_real)(from_spread + momentum * (spread - from_spread));
    }
}

static void add_to_sums(int64_t count, const double *restrict mean, const double *restrict var,
                        const nl_averages *to, double *restrict sum_mean,
                        double *restrict sum_spread)
{
    const double factor = to->factor, eps = to->std_eps;
    const bool keeps_std = to->keeps_std;
    for (int64_t i = 0; i < count; i++) {
        const double variance = factor * var[i];
        sum_mean[i] += mean[i];
        sum_spread[i] += keeps_std ? sqrt(variance + eps) : variance;
    }
}

static void average(int64_t count, const double *mean, const double *var, const nl_averages *to)
{
    average_runs(count, mean, var, to);
    add_to_sums(count, mean, var, to, to->cum_mean, to->cum_spread);
    add_to_sums(count, mean, var, to, to->epoch_mean, to->epoch_spread);
}

const nl_coefficient_kernels NL_VARIANT(nl_coefficient_kernel) = {
    .variance = variance,
    .standardize = standardize,
    .standardize_back = standardize_back,
    .in_storage = in_storage,
    .recenter = recenter,
    .affine_sums = affine_sums,
    .scale = scale,
    .chain = chain,
    .add_parts = add_parts,
    .average = average,
};
