/* Every kind of area keeps the contract: a method made for it that standardizes over any axes, with
 * or without population statistics, groups, several areas at once, per-position gamma. And the cut
 * into blocks follows extents: areas that are the same set of values give the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/contract_rig.h"
#include "core/standardize.h"

struct axes {
    double eps;
    nl_choice over, second, kept;
    int64_t groups;
    bool whole, elementwise, unbiased, square;
    double weight; /* of the first area where there are two */
    nl_choice eval;
};

static const char *const names[] = {"n",  "s",   "c",    "ns",      "nc",
                                    "sc", "nsc", "none", "nothing", NULL};
static const unsigned axes_of[] = {NL_OVER_N,
                                   NL_OVER_S,
                                   NL_OVER_C,
                                   NL_OVER_N | NL_OVER_S,
                                   NL_OVER_N | NL_OVER_C,
                                   NL_OVER_S | NL_OVER_C,
                                   NL_OVER_N | NL_OVER_S | NL_OVER_C,
                                   0};
enum { NOTHING = 8 };
static const char *const kept_names[] = {"no", "yes", NULL};
static const char *const evals[] = {"batch", "running", "cumulative", "epoch", NULL};
static const nl_source sources[] = {NL_FROM_BATCH, NL_FROM_RUNNING, NL_FROM_CUMULATIVE,
                                    NL_FROM_EPOCH};

static const nl_option options[] = {
    NL_OPT(struct axes, eps, "1e-3", 0, 1, "inside the root"),
    NL_OPT_NAMES(struct axes, over, "ns", names, "axes of the first area"),
    NL_OPT_NAMES(struct axes, second, "nothing", names, "axes of the second area"),
    NL_OPT_NAMES(struct axes, kept, "yes", kept_names, "population statistics of the first"),
    NL_OPT_NAMES(struct axes, eval, "batch", evals, "source at evaluation"),
    NL_OPT(struct axes, groups, "1", 1, 64, "groups of channels"),
    NL_OPT_FLAG(struct axes, whole, "false", "coefficients once a call"),
    NL_OPT_FLAG(struct axes, elementwise, "false", "gamma per position"),
    NL_OPT_FLAG(struct axes, unbiased, "false", "m / (m - 1)"),
    NL_OPT_FLAG(struct axes, square, "false", "mean squares"),
    NL_OPT(struct axes, weight, "0.7", -1, 1, "of the first area"),
    NL_OPT_END};

/* The population's rows are there or not, which two tables say. */
enum { GAMMA, BETA, POPULATION, VARIABLES = POPULATION + NL_POPULATION_ROWS };
#define AFFINE_ROWS                    \
    [GAMMA] = {.name = "gamma",        \
               .role = NL_PARAM,       \
               .dim = {NL_USER, NL_C}, \
               .init = 1,              \
               .purpose = NL_GAMMA,    \
               .doc = "scale"},        \
    [BETA] = {.name = "beta",          \
              .role = NL_PARAM,        \
              .dim = {NL_USER, NL_C},  \
              .purpose = NL_BETA,      \
              .doc = "shift"}
static const nl_variable kept[] = {
    AFFINE_ROWS,
    NL_POPULATION(POPULATION, "", "var", 0, NL_PER_STEP), [VARIABLES] = NL_ENDS_VARIABLES};
static const nl_variable bare[] = {AFFINE_ROWS, [BETA + 1] = NL_ENDS_VARIABLES};

static int64_t extent(const void *self, const nl_geom *g, int id, int dim)
{
    const struct axes *o = self;
    (void)id, (void)dim;
    return o->elementwise ? g->s : 1;
}

static nl_status check(const void *self, const nl_geom *g)
{
    const struct axes *o = self;
    if (g->c % o->groups)
        return nl_fail(NL_ESHAPE, "axes: %lld groups", (long long)o->groups);
    return NL_OK;
}

static int areas(const void *self, const nl_geom *g, nl_area *area, bool population)
{
    const struct axes *o = self;
    (void)g;
    area[0] = (nl_area){.over = axes_of[o->over.is],
                        .groups = o->groups,
                        .whole = o->whole,
                        .moments = o->square ? NL_MEAN_SQUARE : NL_MEAN_VAR,
                        .population = population,
                        .momentum = 0.3,
                        .unbiased = o->unbiased};
    if (o->second.is == NOTHING)
        return 1;
    area[1] = (nl_area){.over = axes_of[o->second.is], .groups = o->groups};
    return 2;
}

static int areas_kept(const void *self, const nl_geom *g, nl_area *area)
{
    return areas(self, g, area, true);
}

static int areas_bare(const void *self, const nl_geom *g, nl_area *area)
{
    return areas(self, g, area, false);
}

static void evaluation(const void *self, nl_policy *p)
{
    const struct axes *o = self;
    p->mean[0] = p->var[0] = sources[o->eval.is];
}

static double share(const struct axes *o, int k)
{
    return o->second.is == NOTHING ? 1 : k ? 1 - o->weight : o->weight;
}

static void forward(const void *self, nl_call *c, int k)
{
    const struct axes *o = self;
    const nl_stats *st = &c->stats[k];
    nl_standardize(st, o->eps);
    for (int64_t i = 0; i < st->statistics; i++)
        st->a[i] *= share(o, k), st->d[i] = 0.1 * k;
}

static void backward(const void *self, nl_call *c, int k)
{
    const struct axes *o = self;
    const nl_stats *st = &c->stats[k];
    for (int64_t i = 0; i < st->statistics; i++) {
        st->dmean[i] = k == 0 && o->square ? 0 : -st->a[i] * st->G[i];
        st->dvar[i] = -0.5 * st->a[i] * st->H[i] / (st->var[i] + o->eps);
    }
}

#define METHOD(called, table, which)                                                          \
    {                                                                                         \
        NL_NORM_HEADER, .name = called, .title = "Any axes", .cite = "",                      \
                        .sites = NL_AT_PREACT | NL_AT_RNN, .traits = NL_T_COUPLES_ROWS,       \
                        .sources = 14u, .self_size = sizeof(struct axes), .options = options, \
                        .variables = table, .check = check, .areas = which, .extent = extent, \
                        .evaluation = evaluation, .forward = forward, .backward = backward    \
    }
static const nl_norm_ops with_population = METHOD("axes_kept", kept, areas_kept);
static const nl_norm_ops without = METHOD("axes", bare, areas_bare);
static const nl_norm_ops *const table[] = {&with_population, &without};

/* Under a sanitizer, which is slow, a sample has to do: of this many, one. */
#if defined(__SANITIZE_THREAD__) /* where each parallel loop starts its threads anew */
enum { STRIDE = 12 };
#elif defined(__SANITIZE_ADDRESS__)
enum { STRIDE = 4 };
#else
enum { STRIDE = 1 };
#endif

static int failures;

static void say(void *to, const nl_finding *f)
{
    if (f->verdict == NL_BROKEN)
        printf("%s: %s: %d of %d cases: %s\n", (const char *)to, f->property, f->failures, f->cases,
               f->detail);
}

static void keeps_the_contract(const char *spec)
{
    char copy[256];
    int broken = 1;
    snprintf(copy, sizeof copy, "%s", spec);
    if (nl_contract_check(spec, say, copy, &broken) != NL_OK)
        printf("%s: %s\n", spec, nl_last_error());
    failures += broken;
}

/* ---- the same values, the same bytes */

static nl_status shot_of(nl_shot *s, const char *spec, nl_geom g)
{
    nl_rig r;
    NL_TRY(nl_rig_open(&r, spec, g, 0, NL_RIG_SEED));
    r.a.update = true;
    nl_rig_forward(&r);
    nl_rig_backward(&r);
    const nl_status st = nl_shot_take(s, &r);
    nl_rig_close(&r);
    return st;
}

static void same_bytes(const char *one, nl_geom of_one, const char *other, nl_geom of_other)
{
    nl_shot a = {0}, b = {0};
    int64_t at;
    if (shot_of(&a, one, of_one) != NL_OK || shot_of(&b, other, of_other) != NL_OK) {
        printf("%s, %s: %s\n", one, other, nl_last_error());
        failures++;
    } else if (!nl_shot_same(&a, &b)) {
        printf("%s and %s: other bytes, by up to %g\n", one, other, nl_shot_distance(&a, &b, &at));
        failures++;
    }
    nl_shot_free(&a);
    nl_shot_free(&b);
}

static nl_geom shape(int64_t n, int64_t s, int64_t c)
{
    return (nl_geom){.n = n, .s = s, .c = c, .steps = 1};
}

static void the_cut_follows_extents(void)
{
    same_bytes("axes_kept:over=n", shape(3000, 1, 40), "axes_kept:over=ns", shape(3000, 1, 40));
    same_bytes("axes_kept:over=ns", shape(30, 100, 40), "axes_kept:over=ns", shape(3000, 1, 40));
    same_bytes("axes_kept:over=ns", shape(1, 3000, 40), "axes_kept:over=n", shape(3000, 1, 40));
    same_bytes("axes:over=s", shape(1, 3000, 40), "axes:over=n", shape(3000, 1, 40));
    same_bytes("axes:over=sc", shape(3000, 1, 40), "axes:over=c", shape(3000, 1, 40));
    same_bytes("axes:over=c", shape(30, 100, 40), "axes:over=c", shape(3000, 1, 40));
    same_bytes("axes:over=nsc", shape(30, 100, 40), "axes:over=nc", shape(3000, 1, 40));
}

static const char *const specs[] = {
    "axes:over=n",
    "axes:over=s",
    "axes:over=c",
    "axes:over=ns",
    "axes:over=nc",
    "axes:over=sc",
    "axes:over=nsc",
    "axes:over=c:whole=true",
    "axes:over=c:groups=2",
    "axes:over=nsc:groups=4",
    "axes:over=nc:groups=2:elementwise=true",
    "axes:over=c:groups=2:whole=true",
    "axes:over=s:elementwise=true",
    "axes:over=nsc:square=true",
    "axes:over=s:square=true",
    "axes:over=c:second=n",
    "axes:over=s:second=c:groups=2",
    "axes:over=sc:second=nsc",
    "axes:over=ns:second=sc:elementwise=true",
    "axes_kept:over=n:eval=running",
    "axes_kept:over=ns:eval=cumulative:unbiased=true",
    "axes_kept:over=nsc:eval=epoch",
    "axes_kept:over=nc:eval=running:groups=4",
    "axes_kept:over=c:eval=running:unbiased=true",
    "axes_kept:over=sc:eval=epoch:groups=2",
    "axes_kept:over=s:eval=cumulative",
    "axes_kept:over=ns:second=sc:eval=running:weight=0.4",
    "axes_kept:over=c:second=ns:eval=running:weight=-0.4:unbiased=true",
    "axes_kept:over=n:second=nsc:eval=epoch:elementwise=true",
};

int main(int argc, char **argv)
{
    nl_norm_use(table, sizeof table / sizeof *table);
    for (int k = 1; k < argc; k++)
        keeps_the_contract(argv[k]);
    for (size_t k = 0; argc < 2 && k < sizeof specs / sizeof *specs; k += STRIDE)
        keeps_the_contract(specs[k]);
    the_cut_follows_extents();
    return failures != 0;
}
