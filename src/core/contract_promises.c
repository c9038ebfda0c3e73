/* contract_promises.c: the traits of a method, kept where given and broken where not; padding; few
 * live values; other batch sizes. */
#include <string.h>

#include "base/alloc.h"
#include "core/contract_rig.h"

/* ---- traits */

/* Where a promise is tested the spread is large, so that eps is nothing beside it; where there is
 * none, it is 1, so that limits of a method (clipping) do not hide the difference. */
enum { LARGE_SPREAD = 300 };
static const double seen_as_different = 1e-3;

typedef enum change { SCALED, SHIFTED, CHANNEL_SHIFTED } change;
static const struct {
    change change;
    unsigned trait;
    const char *name;
} invariances[] = {{SCALED, NL_T_SCALE_INVARIANT, "scale"},
                   {SHIFTED, NL_T_SHIFT_INVARIANT, "shift"},
                   {CHANNEL_SHIFTED, NL_T_CHANNEL_SHIFT_INVARIANT, "channel shift"}};

static void apply(nl_rig *r, change what, double spread)
{
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; j < r->g.c; j++) {
            nl_real *x = r->x + row * r->ld + j;
            const double per_channel = 0.5 * (double)(j % 3) - 0.4;
            switch (what) {
            case SCALED: *x *= (nl_real)1.5; break;
            case SHIFTED: *x += (nl_real)(0.7 * spread); break;
            case CHANNEL_SHIFTED: *x += (nl_real)(per_channel * spread); break;
            }
        }
}

/* The largest change of y, examples other than the first only if `others`. */
static double y_moved(const nl_rig *r, const nl_real *before, bool others)
{
    double worst = 0;
    for (int64_t i = others ? r->g.s * r->g.c : 0; i < r->rows * r->g.c; i++)
        worst = fmax(worst, fabs((double)r->y[i] - (double)before[i]));
    return worst;
}

static void keep_y(const nl_rig *r, nl_real *to)
{
    memcpy(to, r->y, (size_t)(r->rows * r->g.c) * sizeof *to);
}

static void invariance(nl_contract *c, nl_rig *r, int which)
{
    const bool promised = c->ops->traits & invariances[which].trait;
    if (!promised && strchr(c->spec, ':'))
        return; /* options may give more than the method promises */
    const double spread = promised ? LARGE_SPREAD : 1;
    nl_rig_fill(r, 0.3 * spread, spread, NL_RIG_SEED);
    nl_rig_forward(r);
    keep_y(r, r->residual);
    apply(r, invariances[which].change, spread);
    nl_rig_forward(r);
    const double moved = y_moved(r, r->residual, false), bound = 8 * nl_rounding() + 1e-7;
    if (promised)
        nl_contract_expect(c, moved <= bound, "%s: y moves by %.3g, promised 0, bound %.3g",
                           invariances[which].name, moved, bound);
    else
        nl_contract_expect(c, moved > seen_as_different,
                           "%s: y moves by %.3g only, so the trait is missing",
                           invariances[which].name, moved);
}

static void rows_are_coupled(nl_contract *c, nl_rig *r)
{
    const bool promised = c->ops->traits & NL_T_COUPLES_ROWS;
    nl_rig_fill(r, 0.3, 1, NL_RIG_SEED);
    nl_rig_forward(r);
    keep_y(r, r->residual);
    for (int64_t i = 0; i < r->g.s * r->g.c; i++)
        r->x[i] += (nl_real)(1 + 0.1 * (double)(i % 5));
    nl_rig_forward(r);
    const double moved = y_moved(r, r->residual, true);
    const bool may_not = strchr(c->spec, ':'); /* options may take the coupling away */
    nl_contract_expect(c, promised ? moved > 0 || may_not : moved == 0,
                       "couples rows: %s, but the other examples' y moves by %.3g",
                       promised ? "yes" : "no", moved);
}

/* After training on other data evaluation gives something else; promised of the defaults alone. */
static void evaluation_differs(nl_contract *c, nl_rig *r)
{
    const bool promised = c->ops->traits & NL_T_EVAL_DIFFERS;
    if (strchr(c->spec, ':'))
        return;
    nl_norm_epoch_begin(r->m, 0);
    nl_rig_train(r, 2);
    nl_rig_fill(r, -20, 40, NL_RIG_SEED);
    nl_rig_forward(r);
    keep_y(r, r->residual);
    r->a.phase = NL_EVAL;
    nl_rig_forward(r);
    const double moved = y_moved(r, r->residual, false);
    nl_contract_expect(c, promised ? moved > seen_as_different : moved == 0,
                       "evaluation differs: %s, but y moves by %.3g", promised ? "yes" : "no",
                       moved);
}

nl_status nl_check_promises(nl_contract *c)
{
    nl_rig r;
    const nl_geom g = nl_some_geometry(c, 6, 5, 8);
    NL_TRY(nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED));
    nl_contract_at(c, "n %lld, s %lld, c %lld, training", (long long)g.n, (long long)g.s,
                   (long long)g.c);
    for (int k = 0; k < 3; k++)
        invariance(c, &r, k);
    rows_are_coupled(c, &r);
    evaluation_differs(c, &r);
    nl_rig_close(&r);
    return NL_OK;
}

/* ---- padding */

static void both_ways(nl_rig *r)
{
    nl_rig_forward(r);
    nl_rig_backward(r);
}

static void padding_is_zero(nl_contract *c, const nl_rig *r)
{
    bool zero = true;
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; !nl_rig_is_live(r, row) && j < r->g.c; j++) {
            const int64_t at = row * r->ld + j;
            zero = zero && r->y[at] == 0 && r->dx[at] == 0 &&
                   (!r->a.d_residual || r->d_residual[at] == 0);
        }
    nl_contract_expect(c, zero, "y, dx or d_residual of a padding row is not 0");
}

/* Same bytes, whatever padding holds. */
static nl_status padding_is_not_read(nl_contract *c, nl_rig *r, nl_mask mask, nl_phase phase)
{
    nl_status st = NL_OK;
    nl_shot shot[2] = {{0}};
    for (int k = 0; k < 2; k++) {
        nl_rig again;
        NL_GO(nl_rig_open(&again, c->spec, r->g, 0, NL_RIG_SEED));
        nl_norm_epoch_begin(again.m, 0);
        nl_rig_train(&again, 1);
        nl_rig_fill(&again, 0.3, 1, NL_RIG_SEED);
        nl_rig_call(&again, r->n, mask);
        nl_rig_act(&again, NL_SIGMOID, true);
        if (k == 1)
            nl_rig_fill(&again, 0.3, 1, NL_RIG_SEED); /* numbers where NaN was */
        again.a.phase = phase;
        again.a.update = phase == NL_TRAIN;
        both_ways(&again);
        padding_is_zero(c, &again);
        st = nl_shot_take(&shot[k], &again);
        nl_rig_close(&again);
        NL_GO(st);
    }
    nl_contract_expect(c, nl_shot_same(&shot[0], &shot[1]),
                       "what padding holds changes y, dx, a gradient or the state");
done:
    nl_shot_free(&shot[0]);
    nl_shot_free(&shot[1]);
    return st;
}

/* The call on the live rows alone, in `packed`; whole examples are padding. */
static void pack_live(const nl_rig *r, nl_rig *packed)
{
    const int64_t per = r->g.s * r->g.c;
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (!nl_rig_is_live(r, i * r->g.s))
            continue;
        memcpy(packed->x + n * per, r->x + i * per, (size_t)per * sizeof *r->x);
        memcpy(packed->dy + n * per, r->dy + i * per, (size_t)per * sizeof *r->x);
        memcpy(packed->residual + n * per, r->residual + i * per, (size_t)per * sizeof *r->x);
        n++;
    }
    nl_rig_call(packed, n, NL_ALL);
}

static double farthest(const nl_rig *r, const nl_real *t, const nl_real *packed)
{
    const int64_t per = r->g.s * r->g.c;
    double worst = 0;
    for (int64_t i = 0, n = 0; i < r->n; i++) {
        if (!nl_rig_is_live(r, i * r->g.s))
            continue;
        for (int64_t k = 0; k < per; k++)
            worst = fmax(worst, fabs((double)t[i * per + k] - (double)packed[n * per + k]));
        n++;
    }
    return worst;
}

static nl_status equals_live_rows(nl_contract *c, nl_rig *r)
{
    nl_status st = NL_OK;
    nl_rig packed = {0};
    const double bound = 16 * nl_rounding();
    NL_GO(nl_rig_open(&packed, c->spec, r->g, 0, NL_RIG_SEED));
    nl_rig_fill(r, 0.3, 1, NL_RIG_SEED);
    nl_rig_call(r, r->n, NL_EXAMPLES);
    pack_live(r, &packed);
    nl_rig_act(r, NL_TANH, true);
    nl_rig_act(&packed, NL_TANH, true);
    both_ways(r);
    both_ways(&packed);
    nl_contract_near(c, "y of a masked call against the live rows alone",
                     farthest(r, r->y, packed.y), 0, bound);
    nl_contract_near(c, "dx of a masked call against the live rows alone",
                     farthest(r, r->dx, packed.dx), 0, bound);
    int64_t count;
    const nl_real *one = nl_store_grads(r->store, &count);
    const nl_real *other = nl_store_grads(packed.store, NULL);
    double worst = 0;
    for (int64_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)one[i] - (double)other[i]));
    nl_contract_near(c, "gradients of a masked call against the live rows alone", worst, 0, bound);
done:
    nl_rig_close(&packed);
    return st;
}

static nl_status masks_here(nl_contract *c, nl_rig *r)
{
    if (r->g.n * r->g.s < 4)
        return NL_OK;
    for (nl_mask mask = NL_RAGGED; mask <= NL_TWO; mask++) {
        NL_TRY(padding_is_not_read(c, r, mask, NL_TRAIN));
        NL_TRY(padding_is_not_read(c, r, mask, NL_EVAL));
    }
    if (r->g.n > 2)
        NL_TRY(equals_live_rows(c, r));
    return NL_OK;
}

nl_status nl_check_masks(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, masks_here));
    return NL_OK;
}

/* ---- few live values */

static void finite_here(nl_contract *c, const nl_rig *r)
{
    bool finite = true;
    for (int64_t i = 0; i < r->rows * r->g.c; i++)
        finite = finite && isfinite((double)r->y[i]) && isfinite((double)r->dx[i]);
    nl_contract_expect(c, finite, "y or dx is not finite");
}

static nl_status few_here(nl_contract *c, nl_rig *r)
{
    static const nl_mask few[] = {NL_NOBODY, NL_ONE, NL_TWO};
    for (int live = 0; live < 3; live++) {
        nl_shot before, after;
        nl_rig_fill(r, 0.3, 1, NL_RIG_SEED);
        nl_rig_call(r, r->n, few[live]);
        nl_rig_act(r, NL_SIGMOID, true);
        r->a.phase = NL_TRAIN;
        r->a.update = true;
        nl_contract_at(c, "n %lld, s %lld, c %lld, %d live rows", (long long)r->n,
                       (long long)r->g.s, (long long)r->g.c, live);
        NL_TRY(nl_shot_take(&before, r));
        both_ways(r);
        finite_here(c, r);
        const nl_status st = nl_shot_take(&after, r);
        if (st == NL_OK && live == 0) {
            bool zero = true;
            for (int64_t i = 0; i < after.reals; i++)
                zero = zero && after.outputs[i] == 0;
            nl_contract_expect(c, zero, "without a live row y, dx or a gradient is not 0");
            nl_contract_expect(c, nl_shot_same_state(&before, &after),
                               "without a live row the state moves");
        }
        if (r->n > 1)
            nl_contract_expect(c, nl_rig_role_finite(r, NL_STATE), "the state is not finite");
        nl_shot_free(&before);
        nl_shot_free(&after);
        NL_TRY(st);
    }
    return NL_OK;
}

nl_status nl_check_few(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, few_here));
    return NL_OK;
}

/* ---- other batch sizes */

/* A call of few examples in a large rig and in one made for them: the same bytes. */
static nl_status short_batch(nl_contract *c, nl_geom g, nl_phase phase)
{
    nl_status st = NL_OK;
    nl_rig large = {0}, exact = {0};
    nl_shot one = {0}, other = {0};
    const int64_t n = (g.n + 1) / 2;
    nl_geom small = g;
    g.batch = small.batch = g.n;
    small.n = n;
    NL_GO(nl_rig_open(&large, c->spec, g, 0, NL_RIG_SEED));
    NL_GO(nl_rig_open(&exact, c->spec, small, 0, NL_RIG_SEED));
    int64_t params;
    const nl_real *started = nl_store_params(exact.store, &params);
    if (params) /* a start from data saw other data */
        memcpy(nl_store_params(large.store, NULL), started, (size_t)params * sizeof *started);
    nl_policy own;
    nl_norm_own_policy(large.m, &own);
    if (phase == NL_EVAL && nl_norm_accepts(large.m, &own, n) != NL_OK)
        goto done;
    nl_rig *const both[] = {&large, &exact};
    for (int k = 0; k < 2; k++) {
        nl_rig_call(both[k], n, NL_ALL);
        nl_norm_epoch_begin(both[k]->m, 0);
        nl_rig_train(both[k], 2);
        nl_rig_fill(both[k], 0.3, 1, NL_RIG_SEED);
        both[k]->a.phase = phase;
        both[k]->a.update = true;
        both_ways(both[k]);
    }
    NL_GO(nl_shot_take(&one, &large));
    NL_GO(nl_shot_take(&other, &exact));
    nl_contract_expect(c, nl_shot_same(&one, &other),
                       "a batch of %lld where up to %lld fit gives other bytes than where %lld fit",
                       (long long)n, (long long)g.n, (long long)n);
done:
    nl_shot_free(&one);
    nl_shot_free(&other);
    nl_rig_close(&large);
    nl_rig_close(&exact);
    return st;
}

/* A policy that takes the population of an area kept by example fits its batch size alone. */
static nl_status tied_state_refuses(nl_contract *c, nl_geom g)
{
    nl_rig r;
    nl_area area[NL_AREAS_MAX];
    g.batch = g.n;
    NL_TRY(nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED));
    const int areas = nl_norm_areas_of(r.m, area);
    for (nl_source s = NL_FROM_RUNNING; s <= NL_FROM_EPOCH; s++)
        for (int k = 0; k < areas && c->ops->sources & 1u << s; k++) {
            nl_policy p = {.own_weight = 1};
            p.mean[k] = p.var[k] = s;
            const bool tied = area[k].population && !(area[k].over & NL_OVER_N);
            const bool fits = nl_norm_accepts(r.m, &p, g.n) == NL_OK;
            const bool other = nl_norm_accepts(r.m, &p, g.n - 1) == NL_OK;
            nl_contract_expect(c, fits == area[k].population,
                               "area %d, %s statistics: accepted is %d at the batch size it has", k,
                               nl_source_name(s), fits);
            nl_contract_expect(c, other == (area[k].population && !tied),
                               "area %d, %s statistics: accepted is %d at another batch size", k,
                               nl_source_name(s), other);
        }
    nl_rig_close(&r);
    return NL_OK;
}

nl_status nl_check_sizes(nl_contract *c)
{
    const nl_geom flat = nl_some_geometry(c, 7, 1, 8), deep = nl_some_geometry(c, 6, 3, 8);
    const nl_geom both[] = {flat, deep};
    for (int k = 0; k < 2; k++) {
        nl_contract_at(c, "n %lld, s %lld, c %lld", (long long)both[k].n, (long long)both[k].s,
                       (long long)both[k].c);
        NL_TRY(short_batch(c, both[k], NL_TRAIN));
        NL_TRY(short_batch(c, both[k], NL_EVAL));
        NL_TRY(tied_state_refuses(c, both[k]));
    }
    return NL_OK;
}
