/* act_inline.h: the activations on one register, for kernels that apply them to values they hold.
 * Lane by lane the same arithmetic as nl_act_kernel(), so fused and unfused paths give the same
 * bytes within one CPU variant. For kernel sources only; `act` should be a constant where it is
 * called in a loop.
 *
 *     e^y      2^n (1 + p), n the nearest whole number to y / ln 2, p = e^r - 1 a polynomial
 *              (float: Cephes expf, Moshier 1992; double: Taylor's, degree 13)
 *     sigmoid  1 / (1 + t) or t / (1 + t), t = e^-|x|
 *     tanh     -m / (2 + m) with the sign of x, m = e^(-2|x|) - 1 = 2^n p + (2^n - 1) */
#ifndef NL_ACT_INLINE_H
#define NL_ACT_INLINE_H

#include "kernel/act.h"
#include "kernel/vec.h"

#ifdef NL_F64
#define NL_EXP_LIMIT 708.0 /* e^-708 is the last that is no denormal number */
#define NL_ROUNDER (0x1.8p52 + NL_BIAS)
#define NL_LN2_HIGH 6.93145751953125e-1
#define NL_LN2_LOW 1.42860682030941723212e-6
enum { NL_MANTISSA = 52, NL_BIAS = 1023 };
static const nl_real nl_exp_poly[] = {
    1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
    1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
#else
#define NL_EXP_LIMIT 87.0f
#define NL_ROUNDER (0x1.8p23f + NL_BIAS)
#define NL_LN2_HIGH 0.693359375f
#define NL_LN2_LOW (-2.12194440e-4f)
enum { NL_MANTISSA = 23, NL_BIAS = 127 };
static const nl_real nl_exp_poly[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                      4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
#endif

NL_INLINE nl_vec nl_vec_abs(nl_vec x)
{
    return (nl_vec)((nl_lanes)x & ~(nl_lanes)nl_vec_of((nl_real)-0.0));
}

/* e^y = scale (1 + p) for -NL_EXP_LIMIT <= y <= 0; p is NaN where y is. */
typedef struct nl_exp_parts {
    nl_vec scale, p;
} nl_exp_parts;

NL_INLINE nl_exp_parts nl_vec_exp_parts(nl_vec y)
{
    const nl_vec shifted =
        nl_vec_fma(y, nl_vec_of((nl_real)1.44269504088896340736), nl_vec_of(NL_ROUNDER));
    const nl_vec n = shifted - NL_ROUNDER;
    nl_vec r = nl_vec_fma(n, nl_vec_of(-NL_LN2_HIGH), y);
    r = nl_vec_fma(n, nl_vec_of(-NL_LN2_LOW), r);
    nl_vec sum = nl_vec_of(nl_exp_poly[0]);
#pragma GCC unroll 16
    for (int i = 1; i < (int)(sizeof nl_exp_poly / sizeof *nl_exp_poly); i++)
        sum = nl_vec_fma(sum, r, nl_vec_of(nl_exp_poly[i]));
    /* The low bits of `shifted` are the exponent of 2^n. */
    const nl_vec scale = (nl_vec)((nl_lanes)shifted << NL_MANTISSA);
    return (nl_exp_parts){scale, nl_vec_fma(r * r, sum, r)};
}

NL_INLINE nl_vec nl_vec_sigmoid(nl_vec x)
{
    const nl_vec size = nl_vec_abs(x), limit = nl_vec_of(NL_EXP_LIMIT), one = nl_vec_of(1);
    const nl_exp_parts e = nl_vec_exp_parts(-nl_vec_least(limit, size));
    const nl_vec small = nl_vec_fma(e.scale, e.p, e.scale);
    const nl_vec t = nl_vec_choose(size > limit, nl_vec_of(0), small);
    return nl_vec_quotient(nl_vec_choose(x < nl_vec_of(0), t, one), one + t);
}

NL_INLINE nl_vec nl_vec_tanh(nl_vec x)
{
    const nl_vec twice = nl_vec_abs(x + x), limit = nl_vec_of(NL_EXP_LIMIT);
    const nl_exp_parts e = nl_vec_exp_parts(-nl_vec_least(limit, twice));
    const nl_vec m = nl_vec_fma(e.scale, e.p, e.scale - 1);
    const nl_lanes sign = (nl_lanes)nl_vec_of((nl_real)-0.0);
    const nl_vec signed_m = (nl_vec)((sign & (nl_lanes)x) | (~sign & (nl_lanes)m));
    return nl_vec_quotient(signed_m, 2 + m);
}

/* act(x) */
NL_INLINE nl_vec nl_act_of(nl_act act, nl_vec x)
{
    switch (act) {
    case NL_LINEAR: return x;
    case NL_RELU: return nl_vec_choose((x > nl_vec_of(0)) | (x != x), x, nl_vec_of(0));
    case NL_SIGMOID: return nl_vec_sigmoid(x);
    case NL_TANH: return nl_vec_tanh(x);
    }
    return x;
}

/* dy * act'(x), from y = act(x) */
NL_INLINE nl_vec nl_act_gradient(nl_act act, nl_vec y, nl_vec dy)
{
    switch (act) {
    case NL_LINEAR: return dy;
    case NL_RELU: return nl_vec_choose((y > nl_vec_of(0)) | (y != y), dy, nl_vec_of(0));
    case NL_SIGMOID: return dy * (y * (1 - y));
    case NL_TANH: return dy * (1 - y * y);
    }
    return dy;
}

#endif
