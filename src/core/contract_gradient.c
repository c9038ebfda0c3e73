/* contract_gradient.c: backward against central differences of forward, in training and under every
 * source at evaluation. */
#include <stdio.h>
#include <string.h>

#include "core/contract_rig.h"

/* Double: the step's square and the rounding over the step both stay near 1e-9 of a gradient of
 * size 1; float can only show gross errors. */
static double difference_step(void) { return sizeof(nl_real) == sizeof(double) ? 2e-5 : 4e-3; }
static double difference_bound(void) { return sizeof(nl_real) == sizeof(double) ? 3e-7 : 6e-2; }

/* sum dy y over live rows. */
static double loss(nl_rig *r)
{
    long double sum = 0;
    nl_rig_forward(r);
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; nl_rig_is_live(r, row) && j < r->g.c; j++)
            sum += (long double)r->dy[row * r->ld + j] * (long double)r->y[row * r->ld + j];
    return (double)sum;
}

static double slope_over(nl_rig *r, nl_real *at, double h)
{
    const nl_real keep = *at;
    const nl_real up = (nl_real)((double)keep + h), down = (nl_real)((double)keep - h);
    *at = up;
    const double high = loss(r);
    *at = down;
    const double low = loss(r);
    *at = keep;
    return (high - low) / ((double)up - (double)down);
}

/* Where the curve bends hard (a variance near 0) the first difference is too coarse and the next
 * order decides. */
static double slope_at(nl_rig *r, nl_real *at, double expected)
{
    const double h = difference_step(), plain = slope_over(r, at, h);
    if (fabs(plain - expected) <= difference_bound())
        return plain;
    const double half = slope_over(r, at, h / 2);
    return (4 * half - slope_over(r, at, h)) / 3;
}

/* One tensor: values that move, their gradient, both (rows, cols) with a row stride. */
typedef struct tensor {
    const char *name;
    nl_real *val;
    const nl_real *grad;
    int64_t rows, cols, ld;
    bool by_row; /* rows of the call: padding has no gradient */
} tensor;

static void compare(nl_contract *c, nl_rig *r, const tensor *t)
{
    double largest = 1, worst = 0, expected = 0, seen = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < t->rows * t->cols; i++) {
        const int64_t k = i / t->cols * t->ld + i % t->cols;
        const double g = (double)t->grad[k];
        if (t->by_row && !nl_rig_is_live(r, i / t->cols)) {
            nl_contract_expect(c, g == 0, "gradient of %s in padding row %lld is %g", t->name,
                               (long long)(i / t->cols), g);
            continue;
        }
        const double numeric = slope_at(r, t->val + k, g);
        largest = fmax(largest, fabs(numeric));
        if (!(fabs(g - numeric) <= worst))
            worst = fabs(g - numeric), at = i, expected = numeric, seen = g;
    }
    nl_contract_expect(c, worst <= difference_bound() * largest,
                       "gradient of %s at (%lld, %lld): expected %.9g, seen %.9g, bound %.3g",
                       t->name, (long long)(at / t->cols), (long long)(at % t->cols), expected,
                       seen, difference_bound() * largest);
}

/* The loss does not see outputs next to a kink of relu. */
static void stay_off_kinks(nl_rig *r)
{
    const nl_act act = r->a.act;
    if (act != NL_RELU)
        return;
    r->a.act = NL_LINEAR;
    nl_rig_forward(r);
    r->a.act = act;
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; nl_rig_is_live(r, row) && j < r->g.c; j++)
            if (fabs((double)r->y[row * r->ld + j]) < 400 * difference_step())
                r->dy[row * r->ld + j] = 0;
}

static void compare_all(nl_contract *c, nl_rig *r)
{
    stay_off_kinks(r);
    nl_rig_forward(r);
    nl_rig_backward(r);
    r->a.hold = c->ops->gradient == NL_HELD_EXACT;
    compare(c, r, &(tensor){"x", r->x, r->dx, r->rows, r->g.c, r->ld, true});
    if (r->a.residual)
        compare(c, r,
                &(tensor){"residual", r->residual, r->d_residual, r->rows, r->g.c, r->ld, true});
    for (int i = 0; i < nl_store_count(r->store); i++) {
        const nl_item *it = nl_store_at(r->store, i);
        if (it->decl->role == NL_PARAM)
            compare(c, r,
                    &(tensor){it->decl->name, it->val, it->grad, 1, it->count, it->count, false});
    }
    r->a.hold = false;
}

static const struct {
    const char *name;
    nl_mask mask;
    nl_act act;
    bool residual;
} calls[] = {{"plain", NL_ALL, NL_LINEAR, false},
             {"masked rows", NL_RAGGED, NL_LINEAR, false},
             {"masked examples, residual", NL_EXAMPLES, NL_LINEAR, true},
             {"relu", NL_ALL, NL_RELU, false},
             {"sigmoid, residual, masked rows", NL_RAGGED, NL_SIGMOID, true},
             {"tanh, residual", NL_ALL, NL_TANH, true}};
enum { CALLS = sizeof calls / sizeof *calls };

static void set_call(nl_contract *c, nl_rig *r, int k, const char *phase)
{
    nl_rig_fill(r, 0.3, 1, NL_RIG_SEED);
    nl_rig_call(r, r->n, calls[k].mask);
    nl_rig_act(r, calls[k].act, calls[k].residual);
    nl_contract_at(c, "n %lld, s %lld, c %lld, %s, %s", (long long)r->n, (long long)r->g.s,
                   (long long)r->g.c, phase, calls[k].name);
}

static nl_status training(nl_contract *c, nl_rig *r)
{
    r->a.phase = NL_TRAIN;
    for (int k = 0; k < CALLS; k++) {
        set_call(c, r, k, "training");
        compare_all(c, r);
    }
    return NL_OK;
}

nl_status nl_check_gradients(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, training));
    return NL_OK;
}

/* ---- evaluation: every source, for each mean and variance apart */

static void name_policy(const nl_policy *p, int areas, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "evaluation");
    for (int k = 0; k < areas && used < room; k++)
        used += (size_t)snprintf(text + used, room - used, " %s/%s", nl_source_name(p->mean[k]),
                                 nl_source_name(p->var[k]));
}

static void under_policy(nl_contract *c, nl_rig *r, const nl_policy *p, int areas)
{
    char name[128];
    r->a.phase = NL_EVAL;
    r->a.policy = p;
    name_policy(p, areas, name, sizeof name);
    for (int k = 0; k < CALLS; k++) {
        set_call(c, r, k, name);
        compare_all(c, r);
    }
    r->a.policy = NULL;
}

/* Each bit of `taken` is one mean or variance that comes from s, the others from the batch. */
static void each_mixture(nl_contract *c, nl_rig *r, nl_source s, int areas)
{
    nl_policy p = {.own_weight = 0.3};
    for (unsigned taken = 1; taken < 1u << 2 * areas; taken++) {
        for (int k = 0; k < areas; k++) {
            p.mean[k] = taken >> 2 * k & 1 ? s : NL_FROM_BATCH;
            p.var[k] = taken >> (2 * k + 1) & 1 ? s : NL_FROM_BATCH;
        }
        if (nl_norm_accepts(r->m, &p, r->n) == NL_OK)
            under_policy(c, r, &p, areas);
    }
}

static nl_status evaluation(nl_contract *c, nl_rig *r)
{
    nl_area area[NL_AREAS_MAX];
    nl_policy own;
    const int areas = nl_norm_areas_of(r->m, area);
    nl_norm_epoch_begin(r->m, 0);
    nl_rig_train(r, 3);
    if (!nl_rig_role_finite(r, NL_STATE))
        return NL_OK; /* one example: what the method says of it */
    nl_norm_own_policy(r->m, &own);
    under_policy(c, r, &own, areas);
    for (nl_source s = NL_FROM_RUNNING; s < NL_SOURCES; s++)
        if (c->ops->sources & 1u << s)
            each_mixture(c, r, s, areas);
    return NL_OK;
}

nl_status nl_check_sources(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, evaluation));
    return NL_OK;
}

/* ---- many blocks: along random directions */

enum { DIRECTIONS = 2 };

static void move_along(nl_real *to, const nl_real *from, int64_t count, double h, uint64_t seed)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (nl_real)((double)from[i] + h * nl_rig_normal(seed, 9, i));
}

/* The slope of the loss as val moves along a normal direction: its size is that of the gradient. */
static void along(nl_contract *c, nl_rig *r, const char *name, nl_real *val, const nl_real *grad,
                  int64_t count, nl_real *keep, uint64_t seed)
{
    const double h = 0.1 * difference_step();
    double expected = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        const double v = nl_rig_normal(seed, 9, i);
        expected += v * (double)grad[i];
        squares += (double)grad[i] * (double)grad[i];
    }
    memcpy(keep, val, (size_t)count * sizeof *keep);
    move_along(val, keep, count, h, seed);
    const double high = loss(r);
    move_along(val, keep, count, -h, seed);
    const double low = loss(r);
    memcpy(val, keep, (size_t)count * sizeof *keep);
    nl_contract_near(c, name, (high - low) / (2 * h), expected, 1e-6 * (1 + sqrt(squares)));
}

static nl_status large_with(nl_contract *c, nl_geom g, nl_mask mask)
{
    nl_rig r;
    int64_t count;
    NL_TRY(nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED));
    nl_contract_at(c, "n %lld, s %lld, c %lld, training, mask %d", (long long)g.n, (long long)g.s,
                   (long long)g.c, mask);
    nl_rig_call(&r, g.n, mask);
    nl_rig_act(&r, NL_TANH, true);
    nl_rig_forward(&r);
    nl_rig_backward(&r);
    r.a.hold = c->ops->gradient == NL_HELD_EXACT;
    nl_real *params = nl_store_params(r.store, &count);
    for (uint64_t d = 1; d <= DIRECTIONS; d++) {
        /* d_residual is free now: it keeps the values that move */
        along(c, &r, "slope along a random direction of the parameters", params,
              nl_store_grads(r.store, NULL), count, r.d_residual, d);
        along(c, &r, "slope along a random direction of x", r.x, r.dx, r.rows * g.c, r.d_residual,
              d);
    }
    nl_rig_close(&r);
    return NL_OK;
}

nl_status nl_check_large(nl_contract *c)
{
    if (sizeof(nl_real) != sizeof(double)) /* differences of sums over 86,400 floats say nothing */
        return NL_OK;
    const nl_geom g = nl_some_geometry(c, 30, 60, 48), wide = nl_some_geometry(c, 260, 1, 520);
    NL_TRY(large_with(c, g, NL_ALL));
    NL_TRY(large_with(c, g, NL_RAGGED));
    NL_TRY(large_with(c, wide, NL_RAGGED));
    return NL_OK;
}
