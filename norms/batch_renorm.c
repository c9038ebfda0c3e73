/* Batch renormalization. Ioffe 2017 (arXiv:1702.03275), algorithm 1; schedule section 4.
 *
 * Area: per channel, over live examples and positions, {n, s}; m values. sigma_B = sqrt(var + eps).
 *     r = clip(sigma_B / sigma, 1 / r_max, r_max),  d = clip((mu_B - mu) / sigma, -d_max, d_max)
 *     z = (x - mu_B) / sigma_B r + d,  y = gamma z + beta
 *     mu += momentum (mu_B - mu),  sigma += momentum (sigma_B - sigma): sigma itself is averaged
 * No gradient goes through r and d (they are held in the gradient check):
 *     dL/dmu_B = -(r / sigma_B) G,  dL/dvar = -(r / sigma_B) H / (2 sigma_B^2)
 *
 * Evaluation: z = (x - mu) / sigma. r_max and d_max follow the step: 1 and 0 (plain batch
 * normalization) for 5,000 steps, then linearly to 3 at 40,000 and 5 at 25,000. With 1 live value
 * sigma_B is sqrt(eps) and z = d; the running state moves. With none nothing moves. */
#include <math.h>

#include "core/norm.h"

struct batch_renorm {
    double eps, momentum;
    nl_schedule r_max, d_max;
    bool center, scale;
    nl_choice eval, time;
};

static const char *const evals[] = {"running", "batch", "cumulative", "epoch", NULL};
static const nl_source sources[] = {NL_FROM_RUNNING, NL_FROM_BATCH, NL_FROM_CUMULATIVE,
                                    NL_FROM_EPOCH};

static const nl_option options[] = {
    NL_OPT(struct batch_renorm, eps, "1e-5", 1e-30, 1e6, "added to the variance, inside the root"),
    NL_OPT(struct batch_renorm, momentum, "0.01", 0, 1,
           "weight of the new batch (the paper's alpha)"),
    NL_OPT(struct batch_renorm, r_max, "1@5000..3@40000", 1, 1e6, "largest r, by step"),
    NL_OPT(struct batch_renorm, d_max, "0@5000..5@25000", 0, 1e6, "largest |d|, by step"),
    NL_OPT_FLAG(struct batch_renorm, scale, "true", "learn gamma"),
    NL_OPT_FLAG(struct batch_renorm, center, "true", "learn beta"),
    NL_OPT_NAMES(struct batch_renorm, eval, "running", evals, "statistics at evaluation"),
    NL_OPT_TIME(struct batch_renorm),
    NL_OPT_END};

enum { GAMMA, BETA, R, D, POPULATION, VARIABLES = POPULATION + NL_POPULATION_ROWS };
static const nl_variable variables[] = {NL_GAMMA_ROW(GAMMA, "scale"),
                                        NL_BETA_ROW(BETA, "center"),
                                        [R] = {"r",
                                               NL_SAVED,
                                               NL_TYPE_DOUBLE,
                                               {NL_1, NL_AREA},
                                               1.0,
                                               NL_HELD | NL_LOGGED,
                                               NULL,
                                               NL_OWN,
                                               0,
                                               "sigma_B / sigma, clipped"},
                                        [D] = {"d",
                                               NL_SAVED,
                                               NL_TYPE_DOUBLE,
                                               {NL_1, NL_AREA},
                                               0.0,
                                               NL_HELD | NL_LOGGED,
                                               NULL,
                                               NL_OWN,
                                               0,
                                               "(mu_B - mu) / sigma, clipped"},
                                        NL_POPULATION(POPULATION, "", "std", 0, NL_PER_STEP),
                                        [VARIABLES] = NL_ENDS_VARIABLES};

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct batch_renorm *o = self;
    (void)g;
    area[0] = (nl_area){.over = NL_OVER_N | NL_OVER_S,
                        .population = true,
                        .momentum = o->momentum,
                        .keeps_std = true,
                        .std_eps = o->eps};
    return 1;
}

static void evaluation(const void *self, nl_policy *p)
{
    const struct batch_renorm *o = self;
    p->mean[0] = p->var[0] = sources[o->eval.is];
}

static double clip(double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; }

static void correct(const struct batch_renorm *o, nl_call *c, int k)
{
    const nl_stats *st = &c->stats[k];
    const double r_max = nl_schedule_at(&o->r_max, c->args->step);
    const double d_max = nl_schedule_at(&o->d_max, c->args->step);
    const nl_real *mu = NL_REALS(c, POPULATION), *sigma = NL_REALS(c, POPULATION + 1);
    const bool train = c->args->phase == NL_TRAIN;
    for (int64_t i = 0; i < st->statistics; i++) {
        const double s = (double)sigma[i], sigma_B = sqrt(st->var[i] + o->eps);
        NL_DOUBLES(c, R)[i] = train ? clip(sigma_B / s, 1 / r_max, r_max) : 1;
        NL_DOUBLES(c, D)[i] = train ? clip((st->mean[i] - (double)mu[i]) / s, -d_max, d_max) : 0;
    }
}

static void forward(const void *self, nl_call *c, int k)
{
    const struct batch_renorm *o = self;
    const nl_stats *st = &c->stats[k];
    if (!c->args->hold)
        correct(o, c, k);
    for (int64_t i = 0; i < st->statistics; i++) {
        st->a[i] = NL_DOUBLES(c, R)[i] / sqrt(st->var[i] + o->eps);
        st->d[i] = NL_DOUBLES(c, D)[i];
    }
}

static void backward(const void *self, nl_call *c, int k)
{
    const struct batch_renorm *o = self;
    const nl_stats *st = &c->stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        st->dmean[i] = -st->a[i] * st->G[i];
        st->dvar[i] = -0.5 * st->a[i] * st->H[i] / (st->var[i] + o->eps);
    }
}

NL_NORM_DEFINE(batch_renorm) = {
    NL_NORM_HEADER,
    .name = "batch_renorm",
    .title = "Batch renormalization",
    .cite = "ioffe2017renorm, alg. 1",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_COUPLES_ROWS | NL_T_EVAL_DIFFERS,
    .gradient = NL_HELD_EXACT,
    .sources = 1u << NL_FROM_RUNNING | 1u << NL_FROM_CUMULATIVE | 1u << NL_FROM_EPOCH,
    .self_size = sizeof(struct batch_renorm),
    .options = options,
    .variables = variables,
    .areas = areas,
    .evaluation = evaluation,
    .forward = forward,
    .backward = backward,
};
