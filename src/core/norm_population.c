/* norm_population.c: where the statistics of a call come from, and how a batch's statistics enter
 * the population's. */
#include <math.h>

#include "core/norm_plan.h"
#include "kernel/coefficients.h"

bool nl_needs_batch(const nl_policy *p, int k)
{
    return p->mean[k] == NL_FROM_BATCH || p->var[k] == NL_FROM_BATCH ||
           p->mean[k] >= NL_FROM_EXAMPLE || p->var[k] >= NL_FROM_EXAMPLE;
}

static void *state(const nl_pass *p, int k, nl_purpose purpose)
{
    const int id = p->m->area[k].state[purpose];
    return id < 0 ? NULL : p->call.v[id].val;
}

/* A population mean (spread false) or variance of statistic i of the state. */
static double population(const nl_pass *p, int k, nl_source source, bool spread, int64_t i)
{
    const nl_area *a = &p->m->area[k].is;
    double v;
    if (source == NL_FROM_CUMULATIVE || source == NL_FROM_EPOCH) {
        const bool epoch = source == NL_FROM_EPOCH;
        const double *sum = state(p, k,
                                  epoch ? (spread ? NL_EPOCH_SPREAD : NL_EPOCH_MEAN)
                                        : (spread ? NL_CUM_SPREAD : NL_CUM_MEAN));
        const int64_t *count = state(p, k, epoch ? NL_EPOCH_COUNT : NL_CUM_COUNT);
        const int64_t terms = count[i / p->plan[k].width];
        v = terms ? sum[i] / (double)terms : spread ? 1 : 0;
    } else {
        const nl_real *run = state(p, k, spread ? NL_RUN_SPREAD : NL_RUN_MEAN);
        v = (double)run[i];
    }
    return spread && a->keeps_std ? v * v - a->std_eps : v;
}

void nl_take_sources(const nl_pass *p, int k, const nl_stats *st, const double *own, double *mean,
                     double *var)
{
    const nl_source from_mean = p->call.policy.mean[k], from_var = p->call.policy.var[k];
    const double w = from_mean == NL_FROM_EXAMPLE ? 1 : p->call.policy.own_weight;
    if (from_mean >= NL_FROM_EXAMPLE) { /* mixed in mean and mean square (Summers & Dinneen 2020) */
        for (int64_t i = 0; i < st->statistics; i++) {
            const int64_t c = (st->first + i) % p->c;
            const double pop_mean = w < 1 ? population(p, k, NL_FROM_RUNNING, false, c) : 0;
            const double pop_var = w < 1 ? population(p, k, NL_FROM_RUNNING, true, c) : 0;
            const double square =
                w * (var[i] + own[i] * own[i]) + (1 - w) * (pop_var + pop_mean * pop_mean);
            mean[i] = w * own[i] + (1 - w) * pop_mean;
            var[i] = fmax(square - mean[i] * mean[i], 0);
        }
        return;
    }
    for (int64_t i = 0; from_mean != NL_FROM_BATCH && i < st->statistics; i++)
        mean[i] = population(p, k, from_mean, false, st->first + i);
    for (int64_t i = 0; from_var != NL_FROM_BATCH && i < st->statistics; i++)
        var[i] = population(p, k, from_var, true, st->first + i);
}

/* Live values of statistic i of the batch. */
static double live_values(const nl_pass *p, int k, int64_t i)
{
    const nl_plan *plan = &p->plan[k];
    const bool dead = plan->fused && p->args->live && !p->args->live[i / plan->width];
    return dead ? 0 : nl_count(&p->call.stats[k], i);
}

/* The state of area k from statistic i on. */
static nl_averages averages_at(const nl_pass *p, int k, int64_t i, double m)
{
    const nl_area *a = &p->m->area[k].is;
    const double m_in_factor = a->assumed_m > 0 ? a->assumed_m : m;
    return (nl_averages){.run_mean = (nl_real *)state(p, k, NL_RUN_MEAN) + i,
                         .run_spread = (nl_real *)state(p, k, NL_RUN_SPREAD) + i,
                         .cum_mean = (double *)state(p, k, NL_CUM_MEAN) + i,
                         .cum_spread = (double *)state(p, k, NL_CUM_SPREAD) + i,
                         .epoch_mean = (double *)state(p, k, NL_EPOCH_MEAN) + i,
                         .epoch_spread = (double *)state(p, k, NL_EPOCH_SPREAD) + i,
                         .momentum = a->momentum,
                         .factor = a->unbiased ? m_in_factor / (m_in_factor - 1) : 1,
                         .keeps_std = a->keeps_std,
                         .std_eps = a->std_eps};
}

static void count_terms(const nl_pass *p, int k, int64_t segment, int64_t segments)
{
    int64_t *cum = state(p, k, NL_CUM_COUNT), *epoch = state(p, k, NL_EPOCH_COUNT);
    for (int64_t o = segment; o < segment + segments; o++)
        cum[o]++, epoch[o]++;
}

/* The statistics of a segment have the same live values. */
void nl_update_population(nl_pass *p, int k, int64_t count)
{
    const nl_area *a = &p->m->area[k].is;
    const int64_t width = p->plan[k].width;
    const bool alike = !p->call.stats[k].counts_differ && !(p->plan[k].fused && p->args->live);
    for (int64_t i = 0, run = alike ? count : width; i < count; i += run) {
        const double m = live_values(p, k, i);
        if (m == 0 || (a->unbiased && a->assumed_m <= 0 && m < 2))
            continue; /* nothing is known of the spread: the state stays */
        const nl_averages to = averages_at(p, k, i, m);
        nl_coefficient_kernel()->average(run, p->mem[k].own + i, p->mem[k].var + i, &to);
        count_terms(p, k, i / width, run / width);
    }
}
