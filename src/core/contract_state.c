/* contract_state.c: when state moves and where to; population averages; time steps. */
#include <string.h>

#include "base/alloc.h"
#include "core/contract_rig.h"

static void both_ways(nl_rig *r)
{
    nl_rig_forward(r);
    nl_rig_backward(r);
}

/* ---- when it moves */

static nl_status stays(nl_contract *c, nl_rig *r, nl_phase phase, bool update, const char *why)
{
    nl_shot before, after;
    nl_rig_fill(r, -0.4, 2, NL_RIG_SEED);
    r->a.phase = phase;
    r->a.update = update;
    NL_TRY(nl_shot_take(&before, r));
    both_ways(r);
    const nl_status st = nl_shot_take(&after, r);
    if (st == NL_OK)
        nl_contract_expect(c, nl_shot_same_state(&before, &after), "%s moves the state", why);
    nl_shot_free(&before);
    nl_shot_free(&after);
    return st;
}

static nl_status state_here(nl_contract *c, nl_rig *r)
{
    nl_norm_epoch_begin(r->m, 0);
    nl_rig_train(r, 2);
    NL_TRY(stays(c, r, NL_TRAIN, false, "training with update=false"));
    NL_TRY(stays(c, r, NL_EVAL, false, "evaluation"));
    NL_TRY(stays(c, r, NL_EVAL, true, "evaluation with update=true"));
    const nl_policy batch = {.own_weight = 1};
    r->a.policy = &batch;
    NL_TRY(stays(c, r, NL_EVAL, true, "evaluation with batch statistics"));
    r->a.policy = NULL;
    return NL_OK;
}

nl_status nl_check_state(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, state_here));
    return NL_OK;
}

/* ---- population averages, followed by hand */

enum { STEPS = 5, NEW_EPOCH_AT = 3, FOLLOWED = 24 };

/* What one statistic's state should be. */
typedef struct followed {
    double run_mean, run_spread, cum_mean, cum_spread, epoch_mean, epoch_spread;
    int64_t cum_count, epoch_count;
} followed;

/* Moments of statistic i of an area over the live rows, and how many values. */
static double moments_of(const nl_rig *r, const nl_area *a, int64_t i, double *mean, double *var)
{
    const int64_t width = a->over & NL_OVER_C ? (a->groups > 1 ? a->groups : 1) : r->g.c;
    const int64_t group = r->g.c / width, column = i % width, segment = i / width;
    long double m = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t row = 0; row < r->rows; row++) {
            const int64_t example = a->over & NL_OVER_N ? 0 : row / r->g.s;
            const int64_t position = a->over & NL_OVER_S ? 0 : row % r->g.s;
            const int64_t at = a->over & NL_OVER_S ? example : example * r->g.s + position;
            if (!nl_rig_is_live(r, row) || at != segment)
                continue;
            for (int64_t j = 0; j < r->g.c; j++) {
                if ((a->over & NL_OVER_C ? j / group : j) != column)
                    continue;
                const long double x = (long double)r->x[row * r->ld + j];
                if (pass == 0)
                    m++, sum += x;
                else
                    squares += (x - sum / m) * (x - sum / m);
            }
        }
    *mean = m > 0 ? (double)(sum / m) : 0;
    *var = m > 0 ? (double)(squares / m) : 0;
    return (double)m;
}

static void follow(followed *f, const nl_area *a, double m, double mean, double var)
{
    const double in_factor = a->assumed_m > 0 ? a->assumed_m : m;
    if (m == 0 || (a->unbiased && in_factor < 2))
        return;
    double spread = a->unbiased ? var * in_factor / (in_factor - 1) : var;
    if (a->keeps_std)
        spread = sqrt(spread + a->std_eps);
    f->run_mean = (1 - a->momentum) * f->run_mean + a->momentum * mean;
    f->run_spread = (1 - a->momentum) * f->run_spread + a->momentum * spread;
    f->cum_mean += mean, f->cum_spread += spread, f->cum_count++;
    f->epoch_mean += mean, f->epoch_spread += spread, f->epoch_count++;
}

static double state_at(nl_rig *r, int k, nl_purpose purpose, int64_t i)
{
    const nl_variable *v = nl_norm_ops_of(r->m)->variables;
    for (int id = 0; v[id].name; id++)
        if (v[id].role == NL_STATE && v[id].purpose == purpose && v[id].area == k) {
            const nl_item *it = nl_rig_item(r, id);
            switch (v[id].type) {
            case NL_TYPE_REAL: return (double)((nl_real *)it->val)[i];
            case NL_TYPE_DOUBLE: return ((double *)it->val)[i];
            case NL_TYPE_INT64: return (double)((int64_t *)it->val)[i];
            }
        }
    return NAN;
}

/* Counts are one for a segment, which has `width` statistics. */
static void compare(nl_contract *c, nl_rig *r, int k, int64_t i, int64_t width, const followed *f)
{
    const double bound = 16 * nl_rounding();
    const struct {
        nl_purpose purpose;
        int64_t at;
        const char *name;
        double expected;
    } rows[] = {{NL_RUN_MEAN, i, "running mean", f->run_mean},
                {NL_RUN_SPREAD, i, "running spread", f->run_spread},
                {NL_CUM_MEAN, i, "sum of means", f->cum_mean},
                {NL_CUM_SPREAD, i, "sum of spreads", f->cum_spread},
                {NL_CUM_COUNT, i / width, "terms of the sums", (double)f->cum_count},
                {NL_EPOCH_MEAN, i, "epoch's sum of means", f->epoch_mean},
                {NL_EPOCH_SPREAD, i, "epoch's sum of spreads", f->epoch_spread},
                {NL_EPOCH_COUNT, i / width, "terms of the epoch's sums", (double)f->epoch_count}};
    for (size_t p = 0; p < sizeof rows / sizeof *rows; p++)
        nl_contract_near(c, rows[p].name, state_at(r, k, rows[p].purpose, rows[p].at),
                         rows[p].expected, bound * (1 + fabs(rows[p].expected)));
}

static nl_mask mask_of_step(const nl_rig *r, int step)
{
    if (r->g.n * r->g.s < 4)
        return NL_ALL;
    return step == 1 ? NL_RAGGED : step == 2 ? NL_EXAMPLES : NL_ALL;
}

/* Follows the first statistics of area k over a few steps with masks and a new epoch. */
static nl_status follow_area(nl_contract *c, const nl_rig *like, int k, const nl_area *area)
{
    nl_rig r;
    NL_TRY(nl_rig_open(&r, c->spec, like->g, 0, NL_RIG_SEED));
    const int64_t width = area->over & NL_OVER_C ? (area->groups > 1 ? area->groups : 1) : r.g.c;
    const int64_t all =
        (area->over & NL_OVER_N ? 1 : r.g.n) * (area->over & NL_OVER_S ? 1 : r.g.s) * width;
    const int64_t count = all < FOLLOWED ? all : FOLLOWED;
    followed f[FOLLOWED] = {{0}};
    for (int64_t i = 0; i < count; i++) {
        f[i].run_mean = state_at(&r, k, NL_RUN_MEAN, i);
        f[i].run_spread = state_at(&r, k, NL_RUN_SPREAD, i);
    }
    r.a.phase = NL_TRAIN;
    r.a.update = true;
    for (int step = 0; step < STEPS; step++) {
        nl_rig_fill(&r, 0.2 * step, 1 + 0.2 * step, 30 + (uint64_t)step);
        nl_rig_call(&r, r.g.n, mask_of_step(&r, step));
        if (step == NEW_EPOCH_AT)
            nl_norm_epoch_begin(r.m, 1);
        both_ways(&r);
        for (int64_t i = 0; i < count; i++) {
            double mean, var;
            const double m = moments_of(&r, area, i, &mean, &var);
            if (step == NEW_EPOCH_AT)
                f[i].epoch_mean = f[i].epoch_spread = 0, f[i].epoch_count = 0;
            follow(&f[i], area, m, mean, var);
        }
    }
    nl_contract_at(c, "area %d, n %lld, s %lld, c %lld, %d steps", k, (long long)r.g.n,
                   (long long)r.g.s, (long long)r.g.c, STEPS);
    for (int64_t i = 0; i < count; i++)
        compare(c, &r, k, i, width, &f[i]);
    nl_rig_close(&r);
    return NL_OK;
}

static nl_status averages_here(nl_contract *c, nl_rig *r)
{
    nl_area area[NL_AREAS_MAX];
    const int areas = nl_norm_areas_of(r->m, area);
    for (int k = 0; k < areas; k++)
        if (area[k].population && area[k].assumed_m != 1) /* 1: NaN, as it says */
            NL_TRY(follow_area(c, r, k, &area[k]));
    return NL_OK;
}

nl_status nl_check_averages(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, averages_here));
    return NL_OK;
}

/* ---- time: a norm of several steps is as many norms of one, with shared parameters */

enum { TIMES = 3 };

static nl_status step_alone(nl_shot *out, nl_contract *c, nl_geom g, int t, nl_phase phase)
{
    nl_rig r;
    nl_status st = NL_OK;
    NL_TRY(nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED));
    const int last = phase == NL_TRAIN || g.steps == 1 ? t : t < TIMES - 1 ? t : TIMES - 2;
    nl_norm_epoch_begin(r.m, 0);
    /* trains steps 0 .. TIMES - 2 (a norm of one step: its own), differently at each */
    for (int k = 0; k < TIMES - 1; k++) {
        if (g.steps == 1 && k != (last < TIMES - 1 ? last : TIMES - 2))
            continue;
        r.a.t = g.steps == 1 ? 0 : k;
        nl_rig_fill(&r, 0.5 * k, 1 + k, 70 + (uint64_t)k);
        r.a.update = true;
        nl_rig_forward(&r);
    }
    if (g.steps > 1) { /* nobody is left at the last step: it is not trained by that */
        r.a.t = TIMES - 1;
        nl_rig_call(&r, g.n, NL_NOBODY);
        nl_rig_forward(&r);
        nl_rig_call(&r, g.n, NL_ALL);
    }
    r.a.t = g.steps == 1 ? 0 : t;
    r.a.phase = phase;
    r.a.update = false;
    nl_rig_fill(&r, 0.3, 1, 90 + (uint64_t)t);
    both_ways(&r);
    st = nl_shot_take(out, &r);
    nl_rig_close(&r);
    return st;
}

static bool has_step_parameters(const nl_norm_ops *ops)
{
    for (const nl_variable *v = ops->variables; v && v->name; v++)
        if (v->role == NL_PARAM && v->flags & NL_PER_STEP)
            return true;
    return false;
}

/* Steps whose state is kept apart. */
static nl_status steps_are_apart(nl_contract *c, nl_geom g, int t, nl_phase phase)
{
    nl_shot alone, among;
    nl_geom three = g;
    three.steps = TIMES;
    NL_TRY(step_alone(&alone, c, g, t, phase));
    const nl_status st = step_alone(&among, c, three, t, phase);
    if (st != NL_OK) {
        nl_shot_free(&alone);
        return st;
    }
    const bool same =
        alone.reals == among.reals &&
        memcmp(alone.outputs, among.outputs, (size_t)alone.reals * sizeof *alone.outputs) == 0;
    nl_contract_expect(c, same,
                       "step %d of %d gives other bytes than a norm of one step with that step's "
                       "state (steps beyond the trained ones take the last trained one's)",
                       t, TIMES);
    nl_shot_free(&alone);
    nl_shot_free(&among);
    return NL_OK;
}

/* All forwards, then the backwards in reverse: each finds its own saved values. */
static nl_status saved_values_last(nl_contract *c, nl_geom g)
{
    nl_status st = NL_OK;
    nl_rig r;
    nl_shot now[TIMES] = {{0}}, later = {0};
    g.steps = TIMES;
    NL_TRY(nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED));
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < TIMES; k++) {
            const int t = pass ? TIMES - 1 - k : k;
            nl_rig_fill(&r, 0.3 * t, 1, 20 + (uint64_t)t);
            nl_rig_call(&r, g.n, t == 1 && g.n > 3 ? NL_EXAMPLES : NL_ALL);
            r.a.t = t;
            if (pass == 0) {
                both_ways(&r);
                NL_GO(nl_shot_take(&now[t], &r));
                continue;
            }
            nl_rig_backward(&r); /* act is linear: y is not read */
            NL_GO(nl_shot_take(&later, &r));
            const int64_t values = r.rows * g.c;
            nl_contract_expect(c,
                               memcmp(now[t].outputs + values, later.outputs + values,
                                      (size_t)(later.reals - values) * sizeof(nl_real)) == 0,
                               "backward of step %d after the other steps gives other bytes", t);
            nl_shot_free(&later);
        }
done:
    for (int t = 0; t < TIMES; t++)
        nl_shot_free(&now[t]);
    nl_rig_close(&r);
    return st;
}

nl_status nl_check_time(nl_contract *c)
{
    const nl_geom both[] = {nl_some_geometry(c, 6, 1, 8), nl_some_geometry(c, 5, 3, 8),
                            nl_some_geometry(c, 1, 1, 8)};
    if (!(c->ops->sites & NL_AT_RNN))
        return NL_OK;
    for (int k = 0; k < 3; k++) {
        nl_contract_at(c, "n %lld, s %lld, c %lld, %d steps", (long long)both[k].n,
                       (long long)both[k].s, (long long)both[k].c, TIMES);
        for (int t = 0; t < TIMES && !has_step_parameters(c->ops); t++) {
            NL_TRY(steps_are_apart(c, both[k], t, NL_EVAL));
            if (t < TIMES - 1)
                NL_TRY(steps_are_apart(c, both[k], t, NL_TRAIN));
        }
        NL_TRY(saved_values_last(c, both[k]));
    }
    return NL_OK;
}
