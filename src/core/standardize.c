#include "core/standardize.h"

#include "kernel/coefficients.h"

void nl_standardize(const nl_stats *st, double eps)
{
    nl_coefficient_kernel()->standardize(st->statistics, st->var, eps, st->a, st->d);
}

void nl_standardize_back(const nl_stats *st)
{
    nl_coefficient_kernel()->standardize_back(st->statistics, st->a, st->G, st->H, st->dmean,
                                              st->dvar);
}

void nl_rescale_back(const nl_stats *st)
{
    nl_coefficient_kernel()->standardize_back(st->statistics, st->a, NULL, st->H, st->dmean,
                                              st->dvar);
}
