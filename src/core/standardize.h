/* standardize.h: the two formulas that standardizing methods share, z = (x - mu) / sqrt(var + eps).
 */
#ifndef NL_STANDARDIZE_H
#define NL_STANDARDIZE_H

#include <math.h>

#include "core/norm.h"

/* a = r = 1 / sqrt(var + eps), d = 0. */
static inline void nl_standardize(const nl_stats *st, double eps)
{
    for (int64_t i = 0; i < st->statistics; i++) {
        st->a[i] = 1 / sqrt(st->var[i] + eps);
        st->d[i] = 0;
    }
}

/* dL/dmu = -r G, dL/dvar = -r^3 H / 2. */
static inline void nl_standardize_back(const nl_stats *st)
{
    for (int64_t i = 0; i < st->statistics; i++) {
        const double r = st->a[i];
        st->dmean[i] = -r * st->G[i];
        st->dvar[i] = -0.5 * r * r * r * st->H[i];
    }
}

#endif
