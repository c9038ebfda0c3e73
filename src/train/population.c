#include "train/population.h"

#include <math.h>
#include <string.h>

static bool is_of(const nl_item *it, const nl_layer *l, int slot)
{
    const size_t n = strlen(l->name);
    return strncmp(it->owner, l->name, n) == 0 && it->owner[n] == '/' &&
           strcmp(it->owner + n + 1, l->ops->slots[slot].name) == 0 && it->count == l->out.c;
}

nl_running nl_running_of(const nl_layer *l, int slot)
{
    nl_running r = {0};
    for (int i = 0; i < nl_store_count(l->store); i++) {
        const nl_item *it = nl_store_at(l->store, i);
        if (!is_of(it, l, slot))
            continue;
        if (it->decl->purpose == NL_RUN_MEAN)
            r.mean = it;
        if (it->decl->purpose == NL_RUN_SPREAD)
            r.spread = it;
    }
    r.spread_is_std = r.spread && strstr(r.spread->decl->name, "std");
    return r;
}

static void find_moments(const nl_real *x, int64_t rows, int64_t c, double *mean, double *var)
{
    memset(mean, 0, (size_t)c * sizeof *mean);
    memset(var, 0, (size_t)c * sizeof *var);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < c; k++)
            mean[k] += (double)x[r * c + k] / (double)rows;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < c; k++) {
            const double d = (double)x[r * c + k] - mean[k];
            var[k] += d * d / (double)rows;
        }
}

void nl_running_divergence(const nl_running *r, const nl_real *x, int64_t rows, double *kl)
{
    const int64_t c = r->mean->count;
    const nl_real *run_mean = r->mean->val, *spread = r->spread->val;
    double *mean = kl + c, *var = kl;
    find_moments(x, rows, c, mean, var);
    for (int64_t k = 0; k < c; k++) {
        const double s = (double)spread[k], run_var = r->spread_is_std ? s * s : s;
        const double d = mean[k] - (double)run_mean[k];
        kl[k] = 0.5 * log(run_var / var[k]) + (var[k] + d * d) / (2 * run_var) - 0.5;
    }
}
