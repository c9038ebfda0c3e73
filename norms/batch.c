/* Batch normalization. Ioffe & Szegedy 2015 (arXiv:1502.03167), algorithm 1 forward, section 3 for
 * the gradient, algorithm 2 for inference; per-step statistics in an RNN as in Cooijmans et al.
 * 2017.
 *
 * Area: per channel, over live examples and positions, {n, s}; m values.
 *     mu = mean x,  var = mean (x - mu)^2 (biased),  r = 1 / sqrt(var + eps)
 *     z = r (x - mu),  y = gamma z + beta
 *     dL/dmu = -r G,  dL/dvar = -r^3 H / 2          G = sum g, H = sum g (x - mu), g = gamma dy
 *
 * Training normalizes by the batch; evaluation by population statistics (option eval). The running
 * variance averages m / (m - 1) var as PyTorch does (unbiased=true) or var as Keras's 2-D layer
 * does. With 1 live value var is 0 and y = beta; the running state does not move where the unbiased
 * variance is unknown. With none, nothing is written but zeros.
 *
 * momentum is the weight of the new batch (PyTorch's convention); keras_momentum is the weight of
 * the old value (Keras's) and, where not 0, rules: keras_momentum=0.99 is momentum=0.01. */
#include "core/norm.h"

struct batch {
    double eps, momentum, keras_momentum, own_weight;
    bool center, scale, unbiased;
    nl_choice eval, time;
};

static const char *const evals[] = {"running", "batch",   "cumulative", "epoch",
                                    "example", "mixture", NULL};
static const nl_source sources[] = {NL_FROM_RUNNING, NL_FROM_BATCH,   NL_FROM_CUMULATIVE,
                                    NL_FROM_EPOCH,   NL_FROM_EXAMPLE, NL_FROM_MIXTURE};

static const nl_option options[] = {
    NL_OPT(struct batch, eps, "1e-5", 0, 1e6, "added to the variance, inside the root"),
    NL_OPT(struct batch, momentum, "0.1", 0, 1, "weight of the new batch in the running state"),
    NL_OPT(struct batch, keras_momentum, "0", 0, 1,
           "weight of the old running state; rules over momentum where not 0"),
    NL_OPT_FLAG(struct batch, scale, "true", "learn gamma"),
    NL_OPT_FLAG(struct batch, center, "true", "learn beta"),
    NL_OPT_FLAG(struct batch, unbiased, "true", "population variance takes m / (m - 1) var"),
    NL_OPT_NAMES(struct batch, eval, "running", evals, "statistics at evaluation"),
    NL_OPT(struct batch, own_weight, "0.5", 0, 1, "eval=mixture: weight of the example's own"),
    NL_OPT_TIME(struct batch),
    NL_OPT_END};

enum { GAMMA, BETA, POPULATION, VARIABLES = POPULATION + NL_POPULATION_ROWS };
static const nl_variable variables[] = {
    NL_GAMMA_ROW(GAMMA, "scale"), NL_BETA_ROW(BETA, "center"),
    NL_POPULATION(POPULATION, "", "var", 0, NL_PER_STEP), [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status check(const void *self, const nl_geom *g)
{
    const struct batch *o = self;
    if (sources[o->eval.is] == NL_FROM_EXAMPLE && g->s < 2)
        return nl_fail(NL_ESHAPE,
                       "batch: eval=example has %lld position per example, at least 2 needed",
                       (long long)g->s);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct batch *o = self;
    (void)g;
    area[0] = (nl_area){
        .over = NL_OVER_N | NL_OVER_S,
        .standardizes = true,
        .eps = o->eps,
        .population = true,
        .momentum = o->keras_momentum > 0 ? 1 - o->keras_momentum : o->momentum,
        .unbiased = o->unbiased,
    };
    return 1;
}

static void evaluation(const void *self, nl_policy *p)
{
    const struct batch *o = self;
    p->mean[0] = p->var[0] = sources[o->eval.is];
    p->own_weight = o->own_weight;
}

NL_NORM_DEFINE(batch) = {
    NL_NORM_HEADER,
    .name = "batch",
    .title = "Batch normalization",
    .cite = "ioffe2015batch, alg. 1-2",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_COUPLES_ROWS | NL_T_SCALE_INVARIANT | NL_T_SHIFT_INVARIANT |
              NL_T_CHANNEL_SHIFT_INVARIANT | NL_T_EVAL_DIFFERS,
    .gradient = NL_EXACT,
    .sources = 1u << NL_FROM_RUNNING | 1u << NL_FROM_CUMULATIVE | 1u << NL_FROM_EPOCH |
               1u << NL_FROM_EXAMPLE | 1u << NL_FROM_MIXTURE,
    .self_size = sizeof(struct batch),
    .options = options,
    .variables = variables,
    .check = check,
    .areas = areas,
    .evaluation = evaluation,
};
