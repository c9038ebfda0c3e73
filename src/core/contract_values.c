/* contract_values.c: forward against the plain formula at the head of norm.h, statistic by
 * statistic; difficult numbers; NaN. */
#include <string.h>

#include "base/alloc.h"
#include "core/contract_rig.h"

/* ---- the plain formula */

/* Statistics of one area, all of them, in doubles. */
typedef struct plain {
    nl_area is;
    int64_t width, statistics;
    double *mean, *var, *a, *d, *count;
} plain;

/* The statistic that value (example i, position p, channel j) belongs to. */
static int64_t statistic_of(const plain *q, const nl_geom *g, int64_t i, int64_t p, int64_t j)
{
    int64_t at = q->is.over & NL_OVER_N ? 0 : i;
    if (!(q->is.over & NL_OVER_S))
        at = at * g->s + p;
    return at * q->width + (q->is.over & NL_OVER_C ? j / (g->c / q->width) : j);
}

static void plain_close(plain *q)
{
    nl_free(q->mean);
    *q = (plain){0};
}

static nl_status plain_open(plain *q, const nl_area *is, bool by_example, const nl_rig *r)
{
    *q = (plain){.is = *is};
    if (by_example)
        q->is.over &= ~(unsigned)NL_OVER_N;
    q->width = q->is.over & NL_OVER_C ? (is->groups > 1 ? is->groups : 1) : r->g.c;
    q->statistics = statistic_of(q, &r->g, r->n - 1, r->g.s - 1, r->g.c - 1) + 1;
    q->mean = nl_alloc((size_t)(5 * q->statistics), sizeof *q->mean);
    if (!q->mean)
        return nl_fail(NL_ENOMEM, "contract: %lld statistics", (long long)q->statistics);
    q->var = q->mean + q->statistics, q->a = q->var + q->statistics;
    q->d = q->a + q->statistics, q->count = q->d + q->statistics;
    return NL_OK;
}

static void plain_moments(plain *q, const nl_rig *r, int64_t k)
{
    const bool about_zero = q->is.moments == NL_MEAN_SQUARE;
    long double m = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        const long double mean = m > 0 && !about_zero ? sum / m : 0;
        for (int64_t row = 0; row < r->rows; row++)
            for (int64_t j = 0; nl_rig_is_live(r, row) && j < r->g.c; j++) {
                if (statistic_of(q, &r->g, row / r->g.s, row % r->g.s, j) != k)
                    continue;
                const long double x = (long double)r->x[row * r->ld + j];
                if (pass == 0)
                    m++, sum += x;
                else
                    squares += (x - mean) * (x - mean);
            }
    }
    q->count[k] = (double)m;
    q->mean[k] = m > 0 && !about_zero ? (double)(sum / m) : 0;
    q->var[k] = m > 0 ? (double)(squares / m) : 0;
}

static const nl_item *state_of(nl_rig *r, int k, nl_purpose purpose)
{
    const nl_variable *v = nl_norm_ops_of(r->m)->variables;
    for (int i = 0; v[i].name; i++)
        if (v[i].role == NL_STATE && v[i].purpose == purpose && v[i].area == k)
            return nl_rig_item(r, i);
    return NULL;
}

/* Counts are one for a segment, which has `width` statistics. */
static double average(nl_rig *r, int k, nl_purpose sum, nl_purpose count, int64_t i, int64_t width,
                      double empty)
{
    const int64_t m = ((const int64_t *)state_of(r, k, count)->val)[i / width];
    return m ? ((const double *)state_of(r, k, sum)->val)[i] / (double)m : empty;
}

/* The population's mean and spread of statistic i of the state, step 0. */
static void population(nl_rig *r, int k, nl_source s, int64_t i, int64_t width, double *mean,
                       double *spread)
{
    switch (s) {
    case NL_FROM_CUMULATIVE:
        *mean = average(r, k, NL_CUM_MEAN, NL_CUM_COUNT, i, width, 0);
        *spread = average(r, k, NL_CUM_SPREAD, NL_CUM_COUNT, i, width, 1);
        return;
    case NL_FROM_EPOCH:
        *mean = average(r, k, NL_EPOCH_MEAN, NL_EPOCH_COUNT, i, width, 0);
        *spread = average(r, k, NL_EPOCH_SPREAD, NL_EPOCH_COUNT, i, width, 1);
        return;
    default:
        *mean = (double)((const nl_real *)state_of(r, k, NL_RUN_MEAN)->val)[i];
        *spread = (double)((const nl_real *)state_of(r, k, NL_RUN_SPREAD)->val)[i];
    }
}

static void plain_sources(plain *q, nl_rig *r, int k, const nl_policy *p)
{
    for (int64_t i = 0; i < q->statistics; i++) {
        double mean, var, of_mean, of_var;
        const nl_source s[2] = {p->mean[k], p->var[k]};
        const int64_t at = s[0] >= NL_FROM_EXAMPLE ? i % r->g.c : i;
        population(r, k, s[0], at, q->width, &mean, &of_mean);
        population(r, k, s[1], at, q->width, &of_var, &var);
        if (q->is.keeps_std)
            var = var * var - q->is.std_eps;
        if (s[0] == NL_FROM_MIXTURE) {
            const double w = p->own_weight, own = q->mean[i];
            const double square = w * (q->var[i] + own * own) + (1 - w) * (var + mean * mean);
            q->mean[i] = w * own + (1 - w) * mean;
            q->var[i] = square - q->mean[i] * q->mean[i];
        } else if (s[0] != NL_FROM_EXAMPLE) {
            q->mean[i] = s[0] == NL_FROM_BATCH ? q->mean[i] : mean;
            q->var[i] = s[1] == NL_FROM_BATCH ? q->var[i] : var;
        }
    }
}

static void bind(nl_call *call, nl_rig *r)
{
    const nl_variable *v = nl_norm_ops_of(r->m)->variables;
    for (int i = 0; v && v[i].name; i++) {
        const nl_item *it = nl_rig_item(r, i);
        call->v[i] = it ? (nl_bound){it->val, it->grad, it->rows, it->cols} : (nl_bound){0};
    }
}

static void plain_standardization(plain *q, double eps)
{
    for (int64_t i = 0; i < q->statistics; i++) {
        q->a[i] = 1 / sqrt(q->var[i] + eps);
        q->d[i] = 0;
    }
}

/* The coefficients are the method's own, from these statistics, where it does not standardize. */
static void plain_coefficients(plain *q, int areas, nl_rig *r, const nl_policy *p)
{
    nl_call call = {.args = &r->a, .geom = &r->g, .policy = *p};
    nl_area area[NL_AREAS_MAX];
    nl_norm_areas_of(r->m, area);
    bind(&call, r);
    for (int k = 0; k < areas; k++)
        call.stats[k] = (nl_stats){.mean = q[k].mean,
                                   .var = q[k].var,
                                   .a = q[k].a,
                                   .d = q[k].d,
                                   .count = q[k].count,
                                   .counts_differ = true,
                                   .statistics = q[k].statistics};
    for (int k = 0; k < areas; k++)
        if (area[k].standardizes)
            plain_standardization(&q[k], area[k].eps);
        else
            nl_norm_ops_of(r->m)->forward(nl_norm_options_of(r->m), &call, k);
}

static double affine(nl_rig *r, double z, int64_t p, int64_t j)
{
    const nl_variable *v = nl_norm_ops_of(r->m)->variables;
    double gamma = 1, beta = 0;
    for (int i = 0; v && v[i].name; i++) {
        const nl_item *it = nl_rig_item(r, i);
        const int64_t at = it && it->rows > 1 ? p * r->g.c + j : j;
        if (it && v[i].purpose == NL_GAMMA)
            gamma = (double)((nl_real *)it->val)[at];
        if (it && v[i].purpose == NL_BETA)
            beta = (double)((nl_real *)it->val)[at];
    }
    return gamma * z + beta;
}

static double activate(nl_act act, double z)
{
    switch (act) {
    case NL_LINEAR: return z;
    case NL_RELU: return z > 0 ? z : 0;
    case NL_SIGMOID: return 1 / (1 + exp(-z));
    case NL_TANH: return tanh(z);
    }
    return z;
}

static double plain_y(const plain *q, int areas, nl_rig *r, int64_t row, int64_t j)
{
    const int64_t at = row * r->ld + j;
    double z = areas ? 0 : (double)r->x[at];
    for (int k = 0; k < areas; k++) {
        const int64_t i = statistic_of(&q[k], &r->g, row / r->g.s, row % r->g.s, j);
        z += q[k].a[i] * ((double)r->x[at] - q[k].mean[i]) + q[k].d[i];
    }
    z = affine(r, z, row % r->g.s, j) + (r->a.residual ? (double)r->residual[at] : 0);
    return activate(r->a.act, z);
}

static void compare(nl_contract *c, const plain *q, int areas, nl_rig *r, double bound)
{
    double worst = 0, largest = 1, expected = 0, seen = 0;
    int64_t at_row = 0, at = 0;
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; j < r->g.c; j++) {
            const double y = (double)r->y[row * r->ld + j];
            const double want = nl_rig_is_live(r, row) ? plain_y(q, areas, r, row, j) : 0;
            largest = fmax(largest, fabs(want));
            if (!(fabs(y - want) <= worst))
                worst = fabs(y - want), at_row = row, at = j, expected = want, seen = y;
        }
    nl_contract_expect(c, worst <= bound * largest,
                       "y at (%lld, %lld): expected %.9g, seen %.9g, bound %.3g", (long long)at_row,
                       (long long)at, expected, seen, bound * largest);
}

/* The call as it stands against the formula. */
static nl_status against_formula(nl_contract *c, nl_rig *r, double bound)
{
    nl_status st = NL_OK;
    nl_area area[NL_AREAS_MAX];
    plain q[NL_AREAS_MAX];
    memset(q, 0, sizeof q);
    nl_policy p = {.own_weight = 1};
    const int areas = nl_norm_areas_of(r->m, area);
    if (r->a.phase == NL_EVAL)
        nl_norm_own_policy(r->m, &p);
    for (int k = 0; k < areas; k++) {
        NL_GO(plain_open(&q[k], &area[k], p.mean[k] >= NL_FROM_EXAMPLE, r));
        for (int64_t i = 0; i < q[k].statistics; i++)
            plain_moments(&q[k], r, i);
        if (area[k].population)
            plain_sources(&q[k], r, k, &p);
    }
    nl_rig_forward(r);
    if (areas)
        plain_coefficients(q, areas, r, &p);
    compare(c, q, areas, r, bound);
done:
    for (int k = 0; k < areas; k++)
        plain_close(&q[k]);
    return st;
}

/* After which segments have different counts. */
static void train_on_two_rows(nl_rig *r)
{
    nl_rig_call(r, r->n, NL_TWO);
    r->a.phase = NL_TRAIN, r->a.update = true;
    nl_rig_forward(r);
    r->a.update = false;
}

static nl_status formula_here(nl_contract *c, nl_rig *r)
{
    static const nl_mask masks[] = {NL_ALL, NL_RAGGED, NL_EXAMPLES};
    nl_norm_epoch_begin(r->m, 0);
    nl_rig_train(r, 2);
    train_on_two_rows(r);
    if (!nl_rig_role_finite(r, NL_STATE))
        return NL_OK; /* the method says so of one example; see nl_check_few */
    for (int k = 0; k < 3; k++)
        for (nl_phase phase = NL_TRAIN; phase <= NL_EVAL; phase++)
            for (nl_act act = NL_LINEAR; act <= NL_TANH; act++) {
                nl_rig_fill(r, 0.3, 1, NL_RIG_SEED);
                nl_rig_call(r, r->n, masks[k]);
                nl_rig_act(r, act, act % 2);
                r->a.phase = phase;
                nl_contract_at(c, "n %lld, s %lld, c %lld, phase %d, mask %d, activation %d",
                               (long long)r->n, (long long)r->g.s, (long long)r->g.c, phase,
                               masks[k], act);
                NL_TRY(against_formula(c, r, nl_rounding()));
            }
    return NL_OK;
}

nl_status nl_check_formula(nl_contract *c)
{
    if (c->ops->whole_forward)
        return NL_OK; /* its own formula */
    NL_TRY(nl_each_geometry(c, formula_here));
    return NL_OK;
}

/* ---- difficult numbers */

typedef enum hard { MEAN_2000, CONSTANT, TINY, OUTLIER, HARD } hard;
static const char *const hard_names[HARD] = {"mean 2000, variance 1", "constant channels",
                                             "inputs of 1e-20", "one value of 1e6"};

static void harden(nl_rig *r, hard what)
{
    nl_rig_fill(r, what == MEAN_2000 ? 2000 : 0, what == TINY ? 1e-20 : 1, NL_RIG_SEED);
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; what == CONSTANT && j < r->g.c; j++)
            r->x[row * r->ld + j] = (nl_real)(1.7 * (double)(j + 1));
    if (what == OUTLIER)
        r->x[r->rows / 2 * r->ld] = (nl_real)1e6;
}

/* About 2000 half a unit of x is 1000 units of the spread. What comes out is a few of those and not
 * their squares: a sum of squares about 0 would be off by 2000^2 units. */
static double hard_bound(hard what) { return nl_rounding() * (what == MEAN_2000 ? 100 : 4); }

static nl_status extremes_at(nl_contract *c, nl_geom g)
{
    nl_rig r;
    NL_TRY(nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED));
    for (hard what = MEAN_2000; what < HARD; what++) {
        harden(&r, what);
        nl_contract_at(c, "n %lld, s %lld, c %lld, %s", (long long)g.n, (long long)g.s,
                       (long long)g.c, hard_names[what]);
        if (!c->ops->whole_forward) {
            const nl_status st = against_formula(c, &r, hard_bound(what));
            if (st != NL_OK) {
                nl_rig_close(&r);
                return st;
            }
        } else {
            nl_rig_forward(&r);
        }
        nl_rig_backward(&r);
        bool finite = true;
        for (int64_t i = 0; i < r.rows * g.c; i++)
            finite = finite && isfinite((double)r.y[i]) && isfinite((double)r.dx[i]);
        nl_contract_expect(c, finite, "y or dx is not finite");
    }
    nl_rig_close(&r);
    return NL_OK;
}

nl_status nl_check_extremes(nl_contract *c)
{
    NL_TRY(extremes_at(c, nl_some_geometry(c, 12, 1, 48)));
    NL_TRY(extremes_at(c, nl_some_geometry(c, 20, 30, 8)));
    return NL_OK;
}

/* ---- NaN */

/* What moves when one x moves has to be NaN when that x is. */
static void nan_at(nl_contract *c, nl_rig *r, int64_t at, nl_real *moved)
{
    const nl_real keep = r->x[at];
    nl_rig_forward(r);
    memcpy(moved, r->y, (size_t)(r->rows * r->g.c) * sizeof *moved);
    r->x[at] = keep + 3;
    nl_rig_forward(r);
    for (int64_t i = 0; i < r->rows * r->g.c; i++)
        moved[i] = moved[i] != r->y[i] ? 1 : 0;
    r->x[at] = (nl_real)NAN;
    nl_rig_forward(r);
    for (int64_t i = 0; i < r->rows * r->g.c; i++)
        nl_contract_expect(c, moved[i] == 0 || isnan((double)r->y[i]),
                           "x %lld is NaN, y %lld depends on it and is %g", (long long)at,
                           (long long)i, (double)r->y[i]);
    nl_rig_backward(r);
    nl_contract_expect(c, isnan((double)r->y[at]) || moved[at] == 0 || isnan((double)r->dx[at]),
                       "x %lld is NaN, neither its y nor its dx is", (long long)at);
    r->x[at] = keep;
    const nl_real dy = r->dy[at];
    nl_rig_forward(r);
    r->dy[at] = (nl_real)NAN;
    nl_rig_backward(r);
    nl_contract_expect(c, moved[at] == 0 || isnan((double)r->dx[at]),
                       "dy %lld is NaN, its dx is %g", (long long)at, (double)r->dx[at]);
    r->dy[at] = dy;
}

static nl_status nan_here(nl_contract *c, nl_rig *r)
{
    static const nl_act acts[] = {NL_LINEAR, NL_SIGMOID};
    for (int k = 0; k < 2; k++) {
        nl_rig_act(r, acts[k], false);
        nan_at(c, r, 0, r->residual);
        nan_at(c, r, r->rows * r->g.c - 1, r->residual);
    }
    return NL_OK;
}

nl_status nl_check_nan(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, nan_here));
    return NL_OK;
}
