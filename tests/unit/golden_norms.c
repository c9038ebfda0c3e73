/* Norms against PyTorch and against the published formulas: tests/golden/norms.py. */
#include <check.h>
#include <math.h>

#include "base/alloc.h"
#include "core/norm.h"
#include "draws.h"
#include "registry.h"
#include "suite.h"

typedef struct golden_state {
    const char *name;
    const double *value;
    int64_t count;
} golden_state;

typedef struct golden_norm {
    const char *name, *spec;
    int64_t n, s, c, steps;
    const double *y, *dx, *dgamma, *dbeta; /* of the last step; NULL: not told */
    const double *eval;                    /* of another batch, after the last step */
    const golden_state *state;             /* after the last step; ends with NULL */
} golden_norm;

#include "golden/norms.inc"

typedef struct rig {
    const golden_norm *g;
    nl_store *store;
    nl_norm *norm;
    nl_args args;
    nl_real *x, *y, *dy, *dx;
} rig;

static void fill_parameter(const rig *r, const char *name, uint64_t seed, double per, double plus)
{
    const nl_item *it = nl_store_find(r->store, "n", name);
    if (it)
        draw_all(it->val, it->count, seed, per, plus);
}

static rig open_rig(const golden_norm *g)
{
    const nl_geom geom = {.n = g->n, .s = g->s, .c = g->c, .steps = 1};
    const size_t values = (size_t)(g->n * g->s * g->c);
    rig r = {.g = g};
    ck_assert_int_eq(nl_store_open(&r.store), NL_OK);
    ck_assert_msg(nl_norm_open(&r.norm, g->spec, &geom, r.store, "n") == NL_OK, "%s",
                  nl_last_error());
    ck_assert_int_eq(nl_store_commit(r.store), NL_OK);
    r.x = nl_alloc(values, sizeof *r.x), r.y = nl_alloc(values, sizeof *r.y);
    r.dy = nl_alloc(values, sizeof *r.dy), r.dx = nl_alloc(values, sizeof *r.dx);
    r.args = (nl_args){.n = g->n, .x = r.x, .y = r.y, .dy = r.dy, .dx = r.dx};
    fill_parameter(&r, "gamma", 200, 4, 1);
    fill_parameter(&r, "g", 200, 4, 1); /* of weight */
    fill_parameter(&r, "beta", 300, 2, 0);
    return r;
}

static void close_rig(rig *r)
{
    nl_norm_close(r->norm);
    nl_store_close(r->store);
    nl_free(r->x), nl_free(r->y), nl_free(r->dy), nl_free(r->dx);
}

static void draw_batch(const rig *r, int64_t step)
{
    const double t = (double)step;
    for (int64_t i = 0; i < r->g->n * r->g->s * r->g->c; i++) {
        r->x[i] = (nl_real)(draw((uint64_t)step, i) * (1 + t / 4) + t / 8);
        r->dy[i] = (nl_real)draw(100 + (uint64_t)step, i);
    }
}

/* Within 1e-10 (double) or 1e-4 (float) of the largest value of the array. */
static void same(const rig *r, const char *what, const nl_real *got, const double *wanted,
                 int64_t count)
{
    const double bound = sizeof(nl_real) == sizeof(float) ? 1e-4 : 1e-10;
    double largest = 0;
    if (!wanted)
        return;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - wanted[i]) <= bound * largest,
                      "%s: %s[%d] is %.17g, expected %.17g", r->g->name, what, (int)i,
                      (double)got[i], wanted[i]);
}

static void same_gradient(const rig *r, const char *name, const double *wanted)
{
    const nl_item *it = nl_store_find(r->store, "n", name);
    if (it && wanted)
        same(r, name, it->grad, wanted, it->count);
}

static void same_state(const rig *r)
{
    for (const golden_state *s = r->g->state; s && s->name; s++) {
        const nl_item *it = nl_store_find(r->store, "n", s->name);
        ck_assert_msg(it && it->count == s->count, "%s: %s", r->g->name, s->name);
        nl_real *value = nl_alloc((size_t)it->count, sizeof *value);
        for (int64_t i = 0; i < it->count; i++)
            value[i] = it->decl->type == NL_TYPE_DOUBLE ? (nl_real)((double *)it->val)[i]
                                                        : ((nl_real *)it->val)[i];
        same(r, s->name, value, s->value, s->count);
        nl_free(value);
    }
}

static void follow(const golden_norm *g)
{
    rig r = open_rig(g);
    const int64_t count = g->n * g->s * g->c;
    r.args.phase = NL_TRAIN, r.args.update = true;
    for (int64_t step = 0; step < g->steps; step++) {
        draw_batch(&r, step);
        r.args.step = step;
        nl_norm_forward(r.norm, &r.args);
        same(&r, "y", r.y, step == g->steps - 1 ? g->y : NULL, count);
        nl_store_zero_grads(r.store);
        nl_norm_backward(r.norm, &r.args);
    }
    same(&r, "dx", r.dx, g->dx, count);
    same_gradient(&r, "gamma", g->dgamma);
    same_gradient(&r, "g", g->dgamma);
    same_gradient(&r, "beta", g->dbeta);
    same_state(&r);
    draw_batch(&r, g->steps);
    r.args.phase = NL_EVAL, r.args.update = false;
    nl_norm_forward(r.norm, &r.args);
    same(&r, "evaluation", r.y, g->eval, count);
    close_rig(&r);
}

START_TEST(norms_are_those_of_pytorch_and_of_the_published_formulas)
{
    for (size_t k = 0; k < sizeof golden_norms / sizeof *golden_norms; k++)
        follow(&golden_norms[k]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden_norms");
    TCase *tc = tcase_create("golden");
    use_registries();
    tcase_add_test(tc, norms_are_those_of_pytorch_and_of_the_published_formulas);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
