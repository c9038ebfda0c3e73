/* Batch layer normalization (BLN). Ziaee & Cano 2022 (arXiv:2209.08898), as the authors' code
 * computes it (helpers/bln_layer.py).
 *
 * Areas: k = 0, batch: per channel and position over examples, {n} (area=n, the authors'), or over
 * examples and positions, {n,s} (area=ns); k = 1, feature: per example and position over channels,
 * {c}.
 *     x_k = (x - mu_k) / sqrt(var_k + eps)
 *     z = (w_0 x_0 + w_1 x_1) / sqrt(c),  w_0 = 1 - (1/B + tilt),  w_1 = 1/B - tilt
 *     y = gamma z + beta
 *     dL/dmu_k = -a_k G_k,  dL/dvar_k = -a_k H_k / (2 (var_k + eps))
 *         where a_k = w_k / sqrt((var_k + eps) c)
 * B is the batch size of the spec (m=spec, the authors' constructor constant) or the live examples
 * at the position (m=live; evaluation then takes the spec's).
 *
 * Population statistics: the authors average mu_k and B / (B - 1) var_k over the steps of an epoch
 * and start again with the next (population=epoch); the feature statistics are kept by the
 * example's place in the batch, so they belong to that batch size. Evaluation takes population (T)
 * or current (F) statistics, one letter each for batch mean, batch variance, feature mean, feature
 * variance: the sixteen of inference=. TTFF is the authors' constructor default; they validated
 * with FFFF.
 *
 * B = 1: x_0 is 0; population variances are 0 * 1/0 = NaN (batch) and infinite (feature) as in the
 * authors' code, so that only FFFF, TFFF, FFTF and TFTF work. With m=live a statistic of 1 value
 * leaves its state alone. */
#include <math.h>
#include <string.h>

#include "core/norm.h"

struct batch_layer {
    double eps, tilt, momentum;
    nl_choice area, m, population, time;
    bool divide, center, scale, unbiased;
    nl_string inference;
};

static const char *const area_names[] = {"n", "ns", NULL};
static const char *const m_names[] = {"spec", "live", NULL};
static const char *const populations[] = {"epoch", "running", "cumulative", NULL};
static const nl_source population_source[] = {NL_FROM_EPOCH, NL_FROM_RUNNING, NL_FROM_CUMULATIVE};

static const nl_option options[] = {
    NL_OPT(struct batch_layer, eps, "1e-3", 0, 1e6, "added to both variances, inside the root"),
    NL_OPT_NAMES(struct batch_layer, area, "n", area_names, "what the batch part averages over"),
    NL_OPT_FLAG(struct batch_layer, divide, "true", "divide z by sqrt(c)"),
    NL_OPT(struct batch_layer, tilt, "1e-4", 0, 1, "taken off both weights"),
    NL_OPT_NAMES(struct batch_layer, m, "spec", m_names, "B: of the spec, or the live examples"),
    NL_OPT_NAMES(struct batch_layer, population, "epoch", populations, "what T stands for"),
    NL_OPT(struct batch_layer, momentum, "0.1", 0, 1,
           "population=running: weight of the new batch"),
    NL_OPT_FLAG(struct batch_layer, unbiased, "true", "population variances take B / (B - 1) var"),
    NL_OPT_TEXT(struct batch_layer, inference, "TTFF",
                "population (T) or current (F): batch mean, variance, feature mean, variance"),
    NL_OPT_FLAG(struct batch_layer, scale, "true", "learn gamma"),
    NL_OPT_FLAG(struct batch_layer, center, "true", "learn beta"),
    NL_OPT_TIME(struct batch_layer),
    NL_OPT_END};

enum {
    GAMMA,
    BETA,
    BATCH,
    FEATURE = BATCH + NL_POPULATION_ROWS,
    VARIABLES = FEATURE + NL_POPULATION_ROWS
};
static const nl_variable variables[] = {
    NL_GAMMA_ROW(GAMMA, "scale"), NL_BETA_ROW(BETA, "center"),
    NL_POPULATION(BATCH, "", "var", 0, NL_PER_STEP),
    NL_POPULATION(FEATURE, "feature_", "var", 1, NL_PER_STEP), [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status check(const void *self, const nl_geom *g)
{
    const struct batch_layer *o = self;
    (void)g;
    if (strlen(o->inference.is) != 4 || strspn(o->inference.is, "TF") != 4)
        return nl_fail(NL_EOPTION, "batch_layer: inference wants four letters T or F, got '%s'",
                       o->inference.is);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area)
{
    const struct batch_layer *o = self;
    const nl_area common = {.population = true,
                            .momentum = o->momentum,
                            .unbiased = o->unbiased,
                            .assumed_m = o->m.is ? 0 : (double)g->batch};
    area[0] = area[1] = common;
    area[0].over = o->area.is ? NL_OVER_N | NL_OVER_S : NL_OVER_N;
    area[1].over = NL_OVER_C;
    return 2;
}

static void by_letters(const struct batch_layer *o, const char letter[4], nl_policy *p)
{
    const nl_source population = population_source[o->population.is];
    for (int k = 0; k < 2; k++) {
        p->mean[k] = letter[2 * k] == 'T' ? population : NL_FROM_BATCH;
        p->var[k] = letter[2 * k + 1] == 'T' ? population : NL_FROM_BATCH;
    }
}

static void evaluation(const void *self, nl_policy *p)
{
    const struct batch_layer *o = self;
    by_letters(o, o->inference.is, p);
}

/* The sixteen, TTTT to FFFF. */
static bool policy(const void *self, int i, char *name, nl_policy *p)
{
    for (int bit = 0; bit < 4; bit++)
        name[bit] = i >> (3 - bit) & 1 ? 'F' : 'T';
    name[4] = 0;
    by_letters(self, name, p);
    return i < 16;
}

/* B at the position of statistic i of area k. */
static double examples(const struct batch_layer *o, const nl_call *c, int k, int64_t i)
{
    const nl_stats *batch = &c->stats[0];
    const int64_t s = c->geom->s, channels = c->geom->c;
    if (o->m.is == 0 || c->args->phase == NL_EVAL)
        return (double)c->geom->batch;
    if (o->area.is)
        return nl_count(batch, 0) / (double)s;
    const int64_t position = k == 0 ? i / channels : i % s;
    return nl_count(batch, position * channels);
}

static void forward(const void *self, nl_call *c, int k)
{
    const struct batch_layer *o = self;
    const nl_stats *st = &c->stats[k];
    const double shrink = o->divide ? sqrt((double)c->geom->c) : 1;
    for (int64_t i = 0; i < st->statistics; i++) {
        const double B = examples(o, c, k, st->first + i);
        const double per_B = B > 0 ? 1 / B : 0;
        const double w = k == 0 ? 1 - (per_B + o->tilt) : per_B - o->tilt;
        st->a[i] = w / (sqrt(st->var[i] + o->eps) * shrink);
        st->d[i] = 0;
    }
}

static void backward(const void *self, nl_call *c, int k)
{
    const struct batch_layer *o = self;
    const nl_stats *st = &c->stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        st->dmean[i] = -st->a[i] * st->G[i];
        st->dvar[i] = -0.5 * st->a[i] * st->H[i] / (st->var[i] + o->eps);
    }
}

NL_NORM_DEFINE(batch_layer) = {
    NL_NORM_HEADER,
    .name = "batch_layer",
    .title = "Batch layer normalization",
    .cite = "ziaee2022batch, authors' code",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = NL_T_COUPLES_ROWS | NL_T_SCALE_INVARIANT | NL_T_SHIFT_INVARIANT | NL_T_EVAL_DIFFERS,
    .gradient = NL_EXACT,
    .sources = 1u << NL_FROM_RUNNING | 1u << NL_FROM_CUMULATIVE | 1u << NL_FROM_EPOCH,
    .self_size = sizeof(struct batch_layer),
    .options = options,
    .variables = variables,
    .check = check,
    .areas = areas,
    .evaluation = evaluation,
    .policy = policy,
    .forward = forward,
    .backward = backward,
};
