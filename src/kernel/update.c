#include "kernel/update.h"

#include <string.h>
#include <tgmath.h>

static inline nl_real between(nl_real x, nl_real lo, nl_real hi)
{
    const nl_real low = lo > x ? lo : x; /* max and min as the registers have them: NaN stays */
    return hi < low ? hi : low;
}

/* g' of update.h. The settings come by value: a struct in memory might change under the loop. */
static inline nl_real pulled(nl_update u, nl_real p, nl_real g)
{
    return between(u.scale * g, -u.limit, u.limit) + u.l2 * (p - u.l2_to);
}

static void plain(const nl_update *block, nl_real rate)
{
    const nl_update u = *block;
    nl_real *restrict p = u.p;
    const nl_real *restrict g = u.g;
    for (int64_t i = 0; i < u.count; i++)
        p[i] = u.keep * p[i] - rate * pulled(u, p[i], g[i]);
}

static void heavy_ball(const nl_update *block, nl_real *restrict buf, nl_real rate,
                       nl_real momentum, nl_real fresh)
{
    const nl_update u = *block;
    nl_real *restrict p = u.p;
    const nl_real *restrict g = u.g;
    for (int64_t i = 0; i < u.count; i++) {
        buf[i] = momentum * buf[i] + fresh * pulled(u, p[i], g[i]);
        p[i] = u.keep * p[i] - rate * buf[i];
    }
}

static void look_ahead(const nl_update *block, nl_real *restrict buf, nl_real rate,
                       nl_real momentum, nl_real fresh)
{
    const nl_update u = *block;
    nl_real *restrict p = u.p;
    const nl_real *restrict g = u.g;
    for (int64_t i = 0; i < u.count; i++) {
        const nl_real d = pulled(u, p[i], g[i]);
        buf[i] = momentum * buf[i] + fresh * d;
        p[i] = u.keep * p[i] - rate * (d + momentum * buf[i]);
    }
}

static void momentum_step(const nl_update *u, nl_real *buf, nl_real rate, nl_real momentum,
                          nl_real fresh, bool nesterov)
{
    (nesterov ? look_ahead : heavy_ball)(u, buf, rate, momentum, fresh);
}

/* Inlined with constant `centered` and `heavy`: four loops without branches. */
__attribute__((always_inline)) static inline void
rmsprop_loop(nl_update u, nl_real *restrict square, nl_real *restrict mean, nl_real *restrict buf,
             nl_real rate, nl_real alpha, nl_real fresh, nl_real momentum, nl_real inside,
             nl_real outside, bool centered, bool heavy)
{
    nl_real *restrict p = u.p;
    const nl_real *restrict g = u.g;
    for (int64_t i = 0; i < u.count; i++) {
        const nl_real d = pulled(u, p[i], g[i]);
        nl_real spread = square[i] = alpha * square[i] + fresh * (d * d);
        if (centered) {
            mean[i] = alpha * mean[i] + fresh * d;
            spread -= mean[i] * mean[i];
            spread = spread < 0 ? 0 : spread;
        }
        nl_real move = d / (sqrt(spread + inside) + outside);
        if (heavy)
            move = buf[i] = momentum * buf[i] + move;
        p[i] = u.keep * p[i] - rate * move;
    }
}

static void rmsprop(const nl_update *block, nl_real *square, nl_real *mean, nl_real *buf,
                    nl_real rate, nl_real alpha, nl_real fresh, nl_real momentum, nl_real inside,
                    nl_real outside)
{
    const nl_update u = *block;
    if (mean && buf)
        rmsprop_loop(u, square, mean, buf, rate, alpha, fresh, momentum, inside, outside, true,
                     true);
    else if (mean)
        rmsprop_loop(u, square, mean, buf, rate, alpha, fresh, momentum, inside, outside, true,
                     false);
    else if (buf)
        rmsprop_loop(u, square, mean, buf, rate, alpha, fresh, momentum, inside, outside, false,
                     true);
    else
        rmsprop_loop(u, square, mean, buf, rate, alpha, fresh, momentum, inside, outside, false,
                     false);
}

static void adam(const nl_update *block, nl_real *restrict m, nl_real *restrict v, nl_real rate,
                 const nl_real beta[2], const nl_real fresh[2], nl_real root, nl_real eps)
{
    const nl_update u = *block;
    nl_real *restrict p = u.p;
    const nl_real *restrict g = u.g;
    const nl_real beta1 = beta[0], beta2 = beta[1], fresh1 = fresh[0], fresh2 = fresh[1];
    for (int64_t i = 0; i < u.count; i++) {
        const nl_real d = pulled(u, p[i], g[i]);
        m[i] = beta1 * m[i] + fresh1 * d;
        v[i] = beta2 * v[i] + fresh2 * (d * d);
        p[i] = u.keep * p[i] - rate * m[i] / (root * sqrt(v[i]) + eps);
    }
}

static void clamp(nl_real *p, int64_t count, nl_real lo, nl_real hi)
{
    for (int64_t i = 0; i < count; i++)
        p[i] = between(p[i], lo, hi);
}

static void squares(const nl_real *g, int64_t count, int64_t at, double lane[NL_SQUARE_LANES])
{
    enum { LANES = NL_SQUARE_LANES };
    double sum[LANES];
    int64_t i = 0;
    memcpy(sum, lane, sizeof sum);
    for (; i < count && (at + i) % LANES; i++)
        sum[(at + i) % LANES] += (double)g[i] * (double)g[i];
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            sum[k] += (double)g[i + k] * (double)g[i + k];
    for (int k = 0; i < count; i++, k++)
        sum[k] += (double)g[i] * (double)g[i];
    memcpy(lane, sum, sizeof sum);
}

const nl_update_kernels NL_VARIANT(nl_update_kernel) = {
    .plain = plain,
    .momentum = momentum_step,
    .rmsprop = rmsprop,
    .adam = adam,
    .clamp = clamp,
    .squares = squares,
};
