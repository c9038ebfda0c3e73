/* standardize.h: the formulas that standardizing methods share, z = r (x - mu) with
 * r = 1 / sqrt(var + eps), over all statistics of a call's area. */
#ifndef NL_STANDARDIZE_H
#define NL_STANDARDIZE_H

#include "base/api.h"
#include "core/norm.h"

/* a = r; d = 0 where there is one. */
NL_API void nl_standardize(const nl_stats *st, double eps);
/* dL/dmu = -r G, dL/dvar = -r^3 H / 2. */
NL_API void nl_standardize_back(const nl_stats *st);
/* The same about zero, var being the mean of x^2: dL/dvar = -r^3 H / 2 alone. */
NL_API void nl_rescale_back(const nl_stats *st);

#endif
