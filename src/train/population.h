/* population.h: how far a batch is from what a norm keeps for evaluation. Per channel, with
 * N(mean, var) of the batch and N(run_mean, run_var) of the running statistics,
 *     kl = log(run_std / std) + (var + (mean - run_mean)^2) / (2 run_var) - 1/2
 * is the Kullback-Leibler divergence of the batch's Gaussian from the other, in nats. */
#ifndef NL_POPULATION_H
#define NL_POPULATION_H

#include "core/layer.h"

/* Running statistics of the norm in a slot; mean is NULL where it keeps none per channel. */
typedef struct nl_running {
    const nl_item *mean, *spread;
    bool spread_is_std;
} nl_running;

nl_running nl_running_of(const nl_layer *l, int slot);

/* kl of each channel of x (rows, out.c), whose variances are above 0. The memory of kl is twice as
 * large. */
void nl_running_divergence(const nl_running *r, const nl_real *x, int64_t rows, double *kl);

#endif
