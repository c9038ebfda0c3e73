#include <stddef.h>

#include "kernel/area.h"

static void add_columns(nl_real *restrict z, const nl_real *restrict x, int64_t c, nl_columns q)
{
    const nl_real *restrict center = q.center, *restrict a = q.a, *restrict d = q.d;
    for (int64_t k = 0; k < c; k++)
        z[k] += a[k] * (x[k] - center[k]) + d[k];
}

static void add_scalar(nl_real *restrict z, const nl_real *restrict x, int64_t c, nl_real center,
                       nl_real a, nl_real d)
{
    for (int64_t k = 0; k < c; k++)
        z[k] += a * (x[k] - center) + d;
}

static void affine(const nl_real *restrict z, nl_real *restrict y, int64_t c,
                   const nl_real *restrict gamma, const nl_real *restrict beta)
{
    for (int64_t k = 0; k < c; k++)
        y[k] = (gamma ? z[k] * gamma[k] : z[k]) + (beta ? beta[k] : 0);
}

static void affine_back(const nl_real *restrict z, const nl_real *dy, nl_real *g, int64_t c,
                        const nl_real *restrict gamma, nl_real *restrict dgamma,
                        nl_real *restrict dbeta)
{
#pragma GCC ivdep /* g is dy or apart from it */
    for (int64_t k = 0; k < c; k++) {
        const nl_real dyk = dy[k];
        if (dgamma)
            dgamma[k] += dyk * z[k];
        if (dbeta)
            dbeta[k] += dyk;
        g[k] = gamma ? gamma[k] * dyk : dyk;
    }
}

static void back_add_columns(nl_real *restrict dx, const nl_real *restrict g,
                             const nl_real *restrict x, int64_t c, const nl_real *restrict center,
                             const nl_real *restrict a, const nl_real *restrict p,
                             const nl_real *restrict q)
{
    for (int64_t k = 0; k < c; k++)
        dx[k] += a[k] * g[k] + p[k] * (x[k] - center[k]) + q[k];
}

static void back_add_scalar(nl_real *restrict dx, const nl_real *restrict g,
                            const nl_real *restrict x, int64_t c, nl_real center, nl_real a,
                            nl_real p, nl_real q)
{
    for (int64_t k = 0; k < c; k++)
        dx[k] += a * g[k] + p * (x[k] - center) + q;
}

const nl_part_kernels NL_VARIANT(nl_part_kernel) = {
    .add_columns = add_columns,
    .add_scalar = add_scalar,
    .affine = affine,
    .affine_back = affine_back,
    .back_add_columns = back_add_columns,
    .back_add_scalar = back_add_scalar,
};
