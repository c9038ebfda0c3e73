/* Numbers worked out on paper, a few for each method. eps is large where it shows, so that its
 * place (inside the root) and the kind of variance (biased or not) decide the digits. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "core/norm.h"
#include "suite.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const table[] = {
#include "norms_table.inc"
};

enum { MOST = 16 };

typedef struct bench {
    nl_store *store;
    nl_norm *m;
    nl_args a;
    int64_t values;
    nl_real x[MOST], y[MOST], dy[MOST], dx[MOST];
} bench;

static void must(nl_status st)
{
    if (st != NL_OK)
        ck_abort_msg("%s", nl_last_error());
}

static void set(nl_real *to, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (nl_real)from[i];
}

static void open_at(bench *b, const char *spec, nl_geom g, const double *x)
{
    *b = (bench){.values = g.n * g.s * g.c};
    g.steps = 1;
    must(nl_store_open(&b->store));
    must(nl_norm_open(&b->m, spec, &g, b->store, "norm"));
    must(nl_store_commit(b->store));
    b->a = (nl_args){.n = g.n, .update = true, .x = b->x, .y = b->y, .dy = b->dy, .dx = b->dx};
    set(b->x, x, b->values);
    nl_norm_start(b->m, &b->a);
}

static void shut(bench *b)
{
    nl_norm_close(b->m);
    nl_store_close(b->store);
}

static void near(const nl_real *seen, const double *expected, int64_t count)
{
    const double bound = sizeof(nl_real) == sizeof(double) ? 1e-12 : 1e-6; /* a few roundings */
    for (int64_t i = 0; i < count; i++)
        ck_assert_double_eq_tol((double)seen[i], expected[i], bound * (1 + fabs(expected[i])));
}

static void gives(bench *b, const double *y)
{
    nl_norm_forward(b->m, &b->a);
    near(b->y, y, b->values);
}

static void goes_back(bench *b, const double *dy, const double *dx)
{
    set(b->dy, dy, b->values);
    nl_store_zero_grads(b->store);
    nl_norm_backward(b->m, &b->a);
    near(b->dx, dx, b->values);
}

static double state(bench *b, const char *name, int64_t i)
{
    const nl_item *it = nl_store_find(b->store, "norm", name);
    ck_assert_ptr_nonnull(it);
    return it->decl->type == NL_TYPE_REAL ? (double)((nl_real *)it->val)[i]
                                          : ((double *)it->val)[i];
}

static void state_is(bench *b, const char *name, int64_t i, double expected)
{
    ck_assert_double_eq_tol(state(b, name, i), expected, 1e-6);
}

#define ROOT_HALF 0.70710678118654752
#define OF(...) ((const double[]){__VA_ARGS__})
#define SHAPE(N, S, C) ((nl_geom){.n = N, .s = S, .c = C})

/* x = 1, 3: mean 2, variance 1 biased and 2 unbiased; with eps = 1, r = 1/sqrt(2). dy = 1, 0:
 * G = 1, H = -1, dL/dmu = -r, dL/dvar = r^3 / 2 = r / 4,
 * dx_1 = r - r/2 - r/4, dx_2 = -r/2 + r/4. */
START_TEST(batch)
{
    bench b;
    open_at(&b, "batch:eps=1", SHAPE(2, 1, 1), OF(1, 3));
    gives(&b, OF(-ROOT_HALF, ROOT_HALF));
    goes_back(&b, OF(1, 0), OF(ROOT_HALF / 4, -ROOT_HALF / 4));
    state_is(&b, "run_mean", 0, 0.2); /* 0.9 * 0 + 0.1 * 2 */
    state_is(&b, "run_var", 0, 1.1);  /* 0.9 * 1 + 0.1 * 2 */
    b.a.phase = NL_EVAL;              /* (x - 0.2) / sqrt(2.1) */
    gives(&b, OF(0.8 / sqrt(2.1), 2.8 / sqrt(2.1)));
    goes_back(&b, OF(1, 0), OF(1 / sqrt(2.1), 0));
    shut(&b);
    open_at(&b, "batch:unbiased=false:keras_momentum=0.75", SHAPE(2, 1, 1), OF(1, 5));
    gives(&b, OF(-2 / sqrt(4.00001), 2 / sqrt(4.00001)));
    state_is(&b, "run_mean", 0, 0.75); /* 0.75 * 0 + 0.25 * 3 */
    state_is(&b, "run_var", 0, 1.75);  /* 0.75 * 1 + 0.25 * 4 */
    shut(&b);
}
END_TEST

/* Examples and positions together, per channel; two steps of sums. */
START_TEST(batch_over_positions)
{
    bench b;
    open_at(&b, "batch:eps=0:eval=cumulative", SHAPE(2, 2, 1), OF(1, 3, 1, 3));
    gives(&b, OF(-1, 1, -1, 1));
    set(b.x, OF(2, 8, 2, 8), 4);
    gives(&b, OF(-1, 1, -1, 1));
    state_is(&b, "cum_mean", 0, 7);                /* 2 + 5 */
    state_is(&b, "cum_var", 0, 4.0 / 3 * (1 + 9)); /* m / (m - 1) var, summed */
    b.a.phase = NL_EVAL;                           /* mean 3.5, variance 20/3 */
    set(b.x, OF(3.5, 3.5, 3.5, 3.5), 4);
    gives(&b, OF(0, 0, 0, 0));
    shut(&b);
}
END_TEST

START_TEST(layer)
{
    bench b;
    open_at(&b, "layer:eps=1", SHAPE(2, 1, 2), OF(1, 3, 10, 10));
    gives(&b, OF(-ROOT_HALF, ROOT_HALF, 0, 0));
    goes_back(&b, OF(1, 0, 1, 0), OF(ROOT_HALF / 4, -ROOT_HALF / 4, 0.5, -0.5));
    shut(&b);
    open_at(&b, "layer:eps=0:area=sc", SHAPE(1, 2, 2), OF(1, 1, 3, 3));
    gives(&b, OF(-1, -1, 1, 1));
    shut(&b);
}
END_TEST

START_TEST(instance)
{
    bench b;
    open_at(&b, "instance:eps=1", SHAPE(1, 2, 2), OF(1, 10, 3, 14)); /* variances 1 and 4 */
    gives(&b, OF(-ROOT_HALF, -2 / sqrt(5), ROOT_HALF, 2 / sqrt(5)));
    goes_back(&b, OF(1, 0, 0, 0), OF(ROOT_HALF / 4, 0, -ROOT_HALF / 4, 0));
    shut(&b);
}
END_TEST

START_TEST(group)
{
    bench b;
    open_at(&b, "group:groups=2:eps=1", SHAPE(1, 1, 4), OF(1, 3, 10, 14));
    gives(&b, OF(-ROOT_HALF, ROOT_HALF, -2 / sqrt(5), 2 / sqrt(5)));
    goes_back(&b, OF(1, 0, 0, 0), OF(ROOT_HALF / 4, -ROOT_HALF / 4, 0, 0));
    shut(&b);
}
END_TEST

/* x = 3, 4: mean square 12.5; with eps = 12.5, r = 1/5. dy = 1, 0: H = 3, dL/dms = -3 / 250,
 * dx = r dy + dL/dms x. */
START_TEST(rms)
{
    bench b;
    open_at(&b, "rms:eps=12.5", SHAPE(1, 1, 2), OF(3, 4));
    gives(&b, OF(0.6, 0.8));
    goes_back(&b, OF(1, 0), OF(0.2 - 0.036, -0.048));
    shut(&b);
}
END_TEST

/* V = 3, 4 starts with g = 5; with g = 10, W = 2 V, dg = v1 / 5, dV = 2 (dW - V 3 / 25). */
START_TEST(weight)
{
    bench b;
    open_at(&b, "weight:eps=0", SHAPE(2, 1, 1), OF(3, 4));
    state_is(&b, "g", 0, 5);
    gives(&b, OF(3, 4));
    nl_item *g = nl_store_find(b.store, "norm", "g");
    ((nl_real *)g->val)[0] = 10;
    gives(&b, OF(6, 8));
    goes_back(&b, OF(1, 0), OF(1.28, -0.96));
    near(g->grad, OF(0.6), 1);
    shut(&b);
}
END_TEST

/* x = 1, 3, eps = 3: sigma_B = 2; mu = 0, sigma = 1: r = 2, d = 2 give x itself; clipped they give
 * +-0.5 * 1.5 + 0.5. */
START_TEST(batch_renorm)
{
    bench b;
    open_at(&b, "batch_renorm:eps=3:r_max=3:d_max=5", SHAPE(2, 1, 1), OF(1, 3));
    gives(&b, OF(1, 3));
    state_is(&b, "run_mean", 0, 0.02); /* 0.01 * 2 */
    state_is(&b, "run_std", 0, 1.01);  /* 0.99 * 1 + 0.01 * 2: sigma itself is averaged */
    b.a.phase = NL_EVAL;
    gives(&b, OF(0.98 / 1.01, 2.98 / 1.01));
    shut(&b);
    open_at(&b, "batch_renorm:eps=3:r_max=1.5:d_max=0.5", SHAPE(2, 1, 1), OF(1, 3));
    gives(&b, OF(-0.25, 1.25));
    /* r / sigma_B = 0.75: G = 1, H = -1, dL/dmu = -0.75, dL/dvar = 0.75 / 8 */
    goes_back(&b, OF(1, 0), OF(0.75 - 0.375 - 0.09375, -0.375 + 0.09375));
    shut(&b);
    /* mu = 20, sigma = 8: r = 1/4 and d = -18/8 are clipped from below, to 1/1.25 and -2 */
    open_at(&b, "batch_renorm:eps=3:r_max=1.25:d_max=2:run_mean.init=20:run_std.init=8",
            SHAPE(2, 1, 1), OF(1, 3));
    gives(&b, OF(-2.4, -1.6));
    shut(&b);
    open_at(&b, "batch_renorm:eps=3", SHAPE(2, 1, 1), OF(1, 3));
    b.a.step = 9000; /* r_max = 1 + 2 * 4/35, d_max = 5 * 4/20: both clip r = 2, d = 2 */
    gives(&b, OF(-0.5 * 43 / 35 + 1, 0.5 * 43 / 35 + 1));
    shut(&b);
    open_at(&b, "batch_renorm:eps=3", SHAPE(2, 1, 1), OF(1, 3)); /* step 0: batch normalization */
    gives(&b, OF(-0.5, 0.5));
    b.a.step = 22500; /* r_max = 2, d_max = 4.375: r = 2 / 1.01, d = 1.98 / 1.01 fit */
    b.a.update = false;
    gives(&b, OF(0.98 / 1.01, 2.98 / 1.01)); /* what evaluation gives */
    shut(&b);
}
END_TEST

/* Columns 1 3 and 3 9: batch parts +-1, feature parts +-1. B = 4 of the spec: the weights are
 * 1 - (1/4 + 1e-4) and 1/4 - 1e-4, the variances kept 4/3 of the biased. */
START_TEST(batch_layer)
{
    bench b;
    nl_geom g = SHAPE(2, 1, 2);
    g.batch = 4;
    open_at(&b, "batch_layer:eps=0:divide=false", g, OF(1, 3, 3, 9));
    gives(&b, OF(-0.7499 - 0.2499, -0.7499 + 0.2499, 0.7499 - 0.2499, 0.7499 + 0.2499));
    state_is(&b, "epoch_mean", 1, 6);
    state_is(&b, "epoch_var", 1, 12); /* 9 * 4/3 */
    state_is(&b, "feature_epoch_mean", 0, 2);
    state_is(&b, "feature_epoch_var", 1, 12);
    shut(&b);
    open_at(&b, "batch_layer:eps=3:tilt=0", SHAPE(2, 1, 2), OF(1, 3, 1, 3));
    /* batch part 0; feature part +-1/2, its weight 1/2, and the division by sqrt(2) */
    gives(&b, OF(-ROOT_HALF / 4, ROOT_HALF / 4, -ROOT_HALF / 4, ROOT_HALF / 4));
    shut(&b);
}
END_TEST

/* One channel: the feature part is 0. x = 1, 3 at the two positions of both examples: the batch
 * part is 0 at each position by itself; over both the variance is 1, so +-1/2 with eps = 3. */
START_TEST(batch_layer_over_positions)
{
    bench b;
    open_at(&b, "batch_layer:eps=3", SHAPE(2, 2, 1), OF(1, 3, 1, 3));
    gives(&b, OF(0, 0, 0, 0));
    shut(&b);
    open_at(&b, "batch_layer:eps=3:area=ns", SHAPE(2, 2, 1), OF(1, 3, 1, 3));
    gives(&b, OF(-0.24995, 0.24995, -0.24995, 0.24995)); /* 1 - (1/2 + 1e-4) */
    shut(&b);
}
END_TEST

/* Two of four examples are padding: m=live takes B = 2, the spec's and evaluation's B is 4. */
START_TEST(batch_layer_of_live_examples)
{
    static const uint8_t live[] = {1, 1, 0, 0};
    bench b;
    open_at(&b, "batch_layer:eps=3", SHAPE(4, 1, 1), OF(1, 3, 9, 9));
    b.a.live = live;
    gives(&b, OF(-0.37495, 0.37495, 0, 0));
    shut(&b);
    open_at(&b, "batch_layer:eps=3:m=live:inference=FFFF", SHAPE(4, 1, 1), OF(1, 3, 9, 9));
    b.a.live = live;
    gives(&b, OF(-0.24995, 0.24995, 0, 0));
    b.a.phase = NL_EVAL;
    gives(&b, OF(-0.37495, 0.37495, 0, 0));
    shut(&b);
}
END_TEST

/* Batches 1, 3 and 5, 7 in one epoch and 1, 3 in the next: means 2, 6, 2, variances 1, the kept
 * ones 2 (m / (m - 1)), sigma 2 = sqrt(1 + eps). Running: .9 (.9 .2 + .6) + .2 and so on. Evaluated
 * at 0, 4, whose own mean is 2 and variance 4. */
START_TEST(evaluation_takes_the_statistics_it_is_told)
{
    static const struct {
        const char *spec;
        double mean, square, weight; /* y = weight (x - mean) / sqrt(square) */
    } rows[] = {
        {"batch:eps=3", 0.902, 1.271 + 3, 1},
        {"batch:eps=3:momentum=0.5", 2.75, 1.875 + 3, 1},
        {"batch:eps=3:unbiased=false", 0.902, 1 + 3, 1},
        {"batch:eps=3:run_mean.init=10:run_var.init=20", 8.192, 15.122 + 3, 1},
        {"batch:eps=3:eval=batch", 2, 4 + 3, 1},
        {"batch:eps=3:eval=cumulative", 10.0 / 3, 2 + 3, 1},
        {"batch:eps=3:eval=epoch", 2, 2 + 3, 1},
        {"batch_renorm:eps=3:momentum=0.1", 0.902, 1.271 * 1.271, 1},
        {"batch_renorm:eps=3:eval=batch", 2, 4 + 3, 1},
        {"batch_renorm:eps=3:eval=cumulative", 10.0 / 3, 4, 1},
        {"batch_renorm:eps=3:eval=epoch", 2, 4, 1},
        {"batch_layer:eps=3", 2, 2 + 3, 0.4999}, /* 1 - (1/2 + 1e-4); the feature part is 0 */
        {"batch_layer:eps=3:unbiased=false", 2, 1 + 3, 0.4999},
        {"batch_layer:eps=3:inference=FFFF", 2, 4 + 3, 0.4999},
        {"batch_layer:eps=3:population=cumulative", 10.0 / 3, 2 + 3, 0.4999},
        {"batch_layer:eps=3:population=running", 0.902, 1.271 + 3, 0.4999},
        {"batch_layer:eps=3:population=running:momentum=0.5", 2.75, 1.875 + 3, 0.4999},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        bench b;
        const double per_unit = rows[k].weight / sqrt(rows[k].square);
        open_at(&b, rows[k].spec, SHAPE(2, 1, 1), OF(1, 3));
        nl_norm_epoch_begin(b.m, 0);
        nl_norm_forward(b.m, &b.a);
        set(b.x, OF(5, 7), 2);
        nl_norm_forward(b.m, &b.a);
        nl_norm_epoch_begin(b.m, 1);
        set(b.x, OF(1, 3), 2);
        nl_norm_forward(b.m, &b.a);
        b.a.phase = NL_EVAL;
        set(b.x, OF(0, 4), 2);
        gives(&b, OF(per_unit * (0 - rows[k].mean), per_unit * (4 - rows[k].mean)));
        shut(&b);
    }
}
END_TEST

/* Two positions of each of two examples; x = 1, 3, 5, 7: means 2 and 6, variances 1; running mean
 * 0.4, variance 0.9 + 0.1 * 20/3. */
START_TEST(evaluation_weighs_the_example)
{
    bench b;
    open_at(&b, "batch:eps=3:eval=example", SHAPE(2, 2, 1), OF(1, 3, 5, 7));
    nl_norm_forward(b.m, &b.a);
    b.a.phase = NL_EVAL;
    gives(&b, OF(-0.5, 0.5, -0.5, 0.5));
    shut(&b);
    open_at(&b, "batch:eps=3:eval=mixture:own_weight=0.25", SHAPE(2, 2, 1), OF(1, 3, 5, 7));
    nl_norm_forward(b.m, &b.a);
    b.a.phase = NL_EVAL;
    const double kept = 0.9 + 2.0 / 3 + 0.16; /* mean square of the population */
    const double one = 0.25 * 2 + 0.75 * 0.4, other = 0.25 * 6 + 0.75 * 0.4;
    const double r = 1 / sqrt(0.25 * 5 + 0.75 * kept - one * one + 3);
    const double q = 1 / sqrt(0.25 * 37 + 0.75 * kept - other * other + 3);
    gives(&b, OF((1 - one) * r, (3 - one) * r, (5 - other) * q, (7 - other) * q));
    shut(&b);
}
END_TEST

/* By columns, by rows, by parts, in the weight slot. */
START_TEST(gradients_of_parameters_are_added_up)
{
    static const char *const specs[] = {"batch", "layer", "batch_layer", "weight"};
    for (int k = 0; k < 4; k++) {
        bench b;
        double twice[4];
        open_at(&b, specs[k], SHAPE(4, 1, 4),
                OF(3, -1, 4, 1, -5, 9, 2, -6, 5, 3, -5, 8, 9, 7, 9, 3));
        set(b.dy, OF(1, 1.5, 2, 1, 1.5, 2, 1, 1.5, 2, 1, 1.5, 2, 1, 1.5, 2, 1), b.values);
        nl_norm_forward(b.m, &b.a);
        nl_norm_backward(b.m, &b.a);
        const nl_real *g = nl_store_grads(b.store, NULL); /* of gamma; of g */
        for (int i = 0; i < 4; i++)
            twice[i] = 2 * (double)g[i];
        nl_norm_backward(b.m, &b.a);
        near(g, twice, 4);
        shut(&b);
    }
}
END_TEST

int main(void)
{
    nl_norm_use(table, sizeof table / sizeof *table);
    Suite *s = suite_create("norms by hand");
    TCase *t = tcase_create("all");
    tcase_add_test(t, batch);
    tcase_add_test(t, batch_over_positions);
    tcase_add_test(t, layer);
    tcase_add_test(t, instance);
    tcase_add_test(t, group);
    tcase_add_test(t, rms);
    tcase_add_test(t, weight);
    tcase_add_test(t, batch_renorm);
    tcase_add_test(t, batch_layer);
    tcase_add_test(t, batch_layer_over_positions);
    tcase_add_test(t, batch_layer_of_live_examples);
    tcase_add_test(t, evaluation_takes_the_statistics_it_is_told);
    tcase_add_test(t, evaluation_weighs_the_example);
    tcase_add_test(t, gradients_of_parameters_are_added_up);
    suite_add_tcase(s, t);
    return run_suite(s);
}
