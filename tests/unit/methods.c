/* Methods against numbers worked by hand: small enough to check with a pencil. */
#include <check.h>
#include <math.h>

#include "registry.h"

enum { VALUES = 16 };
#define OWNER "norm"

typedef struct rig {
    nl_store *store;
    nl_norm *m;
    nl_real x[VALUES], y[VALUES], dy[VALUES], dx[VALUES];
    nl_args a;
    int64_t values;
} rig;

static void open_rig(rig *r, const char *spec, int64_t n, int64_t s, int64_t c, const double *x)
{
    const nl_geom g = {.n = n, .s = s, .c = c, .steps = 1, .batch = n};
    *r = (rig){.values = n * s * c};
    if (nl_store_open(&r->store) != NL_OK ||
        nl_norm_open(&r->m, spec, &g, r->store, OWNER) != NL_OK ||
        nl_store_commit(r->store) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    for (int64_t i = 0; i < r->values; i++)
        r->x[i] = (nl_real)x[i];
    r->a = (nl_args){.n = n, .phase = NL_TRAIN, .update = true, .x = r->x, .y = r->y};
    r->a.dy = r->dy, r->a.dx = r->dx;
    nl_norm_start(r->m, &r->a);
}

static void close_rig(rig *r)
{
    nl_norm_close(r->m);
    nl_store_close(r->store);
}

static void is_near(const char *what, int64_t i, double seen, double wanted)
{
    const double bound = (sizeof(nl_real) == 8 ? 1e-13 : 1e-6) * (1 + fabs(wanted));
    ck_assert_msg(fabs(seen - wanted) <= bound, "%s %lld: %.9g, by hand %.9g", what, (long long)i,
                  seen, wanted);
}

static void y_is(rig *r, const double *wanted)
{
    nl_norm_forward(r->m, &r->a);
    for (int64_t i = 0; i < r->values; i++)
        is_near("y", i, (double)r->y[i], wanted[i]);
}

static void dx_is(rig *r, const double *dy, const double *wanted)
{
    for (int64_t i = 0; i < r->values; i++)
        r->dy[i] = (nl_real)dy[i];
    nl_norm_forward(r->m, &r->a);
    nl_norm_backward(r->m, &r->a);
    for (int64_t i = 0; i < r->values; i++)
        is_near("dx", i, (double)r->dx[i], wanted[i]);
}

static void state_is(rig *r, const char *name, double wanted)
{
    const nl_item *it = nl_store_find(r->store, OWNER, name);
    is_near(name, 0, (double)((nl_real *)it->val)[0], wanted);
}

/* mean 3, variance 3.5 and with eps 0.5 a root of 2; unbiased 14 / 3; mean square 12.5 */
static const double four[] = {1, 2, 3, 6}, standardized[] = {-1, -0.5, 0, 1.5};

START_TEST(batch_averages_over_examples_with_eps_in_the_root)
{
    rig r;
    open_rig(&r, "batch:eps=0.5", 4, 1, 1, four);
    y_is(&r, standardized);
    state_is(&r, "run_mean", 0.3);
    state_is(&r, "run_var", 0.9 + 0.1 * 14 / 3);
    close_rig(&r);
}
END_TEST

START_TEST(momentum_is_the_weight_of_the_new_batch_or_of_the_old_state)
{
    rig r;
    open_rig(&r, "batch:momentum=0.25:unbiased=false", 4, 1, 1, four);
    nl_norm_forward(r.m, &r.a);
    state_is(&r, "run_mean", 0.75);
    state_is(&r, "run_var", 0.75 + 0.25 * 3.5);
    close_rig(&r);
    open_rig(&r, "batch:keras_momentum=0.75:unbiased=false", 4, 1, 1, four);
    nl_norm_forward(r.m, &r.a);
    state_is(&r, "run_mean", 0.75);
    state_is(&r, "run_var", 0.75 + 0.25 * 3.5);
    close_rig(&r);
}
END_TEST

START_TEST(evaluation_takes_the_running_state)
{
    rig r;
    open_rig(&r, "batch:eps=0.5:run_mean.init=1:run_var.init=3.5", 4, 1, 1, four);
    r.a.phase = NL_EVAL;
    y_is(&r, (const double[]){0, 0.5, 1, 2.5});
    close_rig(&r);
}
END_TEST

/* z = x, r = 1; G = 1, H = -1: dx = g - G / 4 - z H / 4 */
START_TEST(gradients_lose_their_mean_and_their_part_along_z)
{
    static const double x[] = {-1, 1, -1, 1}, dy[] = {1, 0, 0, 0}, dx[] = {0.5, 0, -0.5, 0};
    static const char *const columns[] = {"batch:eps=0", "batch_renorm:eps=1e-30"};
    static const char *const rows[] = {"layer:eps=0", "group:groups=1:eps=0"};
    rig r;
    for (int k = 0; k < 2; k++) {
        open_rig(&r, columns[k], 4, 1, 1, x);
        dx_is(&r, dy, dx);
        close_rig(&r);
        open_rig(&r, rows[k], 1, 1, 4, x);
        dx_is(&r, dy, dx);
        close_rig(&r);
    }
    open_rig(&r, "rms:eps=0", 1, 1, 4, x); /* the mean stays */
    dx_is(&r, dy, (const double[]){0.75, 0.25, -0.25, 0.25});
    close_rig(&r);
}
END_TEST

START_TEST(layer_and_instance_average_within_an_example)
{
    static const double two[] = {1, 2, 3, 6, 10, 20, 30, 60};
    static const double z[] = {-1, -0.5, 0, 1.5};
    const double large = 10 / sqrt(350.5);
    const double y[] = {z[0], z[1], z[2], z[3], -2 * large, -1 * large, 0, 3 * large};
    rig r;
    open_rig(&r, "layer:eps=0.5", 2, 1, 4, two);
    y_is(&r, y);
    close_rig(&r);
    open_rig(&r, "instance:eps=0.5", 2, 4, 1, two);
    y_is(&r, y);
    close_rig(&r);
}
END_TEST

START_TEST(rms_takes_no_mean_off)
{
    rig r;
    open_rig(&r, "rms:eps=3.5", 1, 1, 4, four);
    y_is(&r, (const double[]){0.25, 0.5, 0.75, 1.5});
    close_rig(&r);
}
END_TEST

START_TEST(each_group_of_channels_has_its_own_statistics)
{
    rig r;
    open_rig(&r, "group:groups=2:eps=0", 1, 1, 4, (const double[]){1, 3, 10, 14});
    y_is(&r, (const double[]){-1, 1, -1, 1});
    close_rig(&r);
}
END_TEST

/* V = (3, 4), |V| = 5, g = 10: W = g V / |V|; dg = dW V / |V| = 0.6,
 * dV = g / |V| (dW - V (V dW) / |V|^2) */
START_TEST(weight_keeps_its_length_and_moves_across_itself)
{
    rig r;
    open_rig(&r, "weight:eps=0", 2, 1, 1, (const double[]){3, 4});
    nl_item *g = nl_store_find(r.store, OWNER, "g");
    state_is(&r, "g", 5);
    ((nl_real *)g->val)[0] = 10;
    y_is(&r, (const double[]){6, 8});
    dx_is(&r, (const double[]){1, 0}, (const double[]){1.28, -0.96});
    is_near("dg", 0, (double)g->grad[0], 0.6);
    close_rig(&r);
}
END_TEST

/* x = u_i + v_j, both of mean 0 and variance 8, which with eps = 1 has the root 3: x_0 = u / 3,
 * x_1 = v / 3; B = c = 4, tilt 0.1: w_0 = 0.65, w_1 = 0.15, and sqrt(c) = 2 */
START_TEST(batch_layer_adds_both_parts_by_their_weights)
{
    static const double u[] = {4, 0, -4, 0}, v[] = {4, -4, 0, 0};
    double x[VALUES], y[VALUES], undivided[VALUES], heavy[VALUES];
    rig r;
    for (int i = 0; i < VALUES; i++) {
        x[i] = u[i / 4] + v[i % 4];
        undivided[i] = (0.65 * u[i / 4] + 0.15 * v[i % 4]) / 3;
        y[i] = undivided[i] / 2;
        heavy[i] = (0.75 * u[i / 4] + 0.25 * v[i % 4]) / 6;
    }
    open_rig(&r, "batch_layer:eps=1:tilt=0.1:momentum=1", 4, 1, 4, x);
    y_is(&r, y);
    state_is(&r, "run_mean", v[0]);
    state_is(&r, "run_var", 8 * 4.0 / 3);
    state_is(&r, "feature_run_mean", u[0]);
    state_is(&r, "feature_run_var", 8 * 4.0 / 3);
    close_rig(&r);
    open_rig(&r, "batch_layer:eps=1:tilt=0.1:divide=false:unbiased=false:momentum=1", 4, 1, 4, x);
    y_is(&r, undivided);
    state_is(&r, "run_var", 8);
    close_rig(&r);
    open_rig(&r, "batch_layer:eps=1:tilt=0:m=live", 4, 1, 4, x);
    y_is(&r, heavy);
    close_rig(&r);
}
END_TEST

static void renormed(rig *r, double by, double plus)
{
    double y[4];
    for (int i = 0; i < 4; i++)
        y[i] = by * standardized[i] + plus;
    y_is(r, y);
}

/* sigma_B = 2, mu_B = 3 */
START_TEST(batch_renorm_corrects_towards_the_state_before_it_moves)
{
    rig r;
    open_rig(&r, "batch_renorm:eps=0.5:momentum=0.5:r_max=1.5:d_max=2", 4, 1, 1, four);
    renormed(&r, 1.5, 2); /* mu = 0, sigma = 1: both clipped */
    state_is(&r, "run_mean", 1.5);
    state_is(&r, "run_std", 1.5);
    renormed(&r, 2 / 1.5, 1);
    close_rig(&r);
    open_rig(&r, "batch_renorm:eps=0.5:r_max=1.25:d_max=2:run_mean.init=20:run_std.init=8", 4, 1, 1,
             four);
    renormed(&r, 0.8, -2); /* clipped from below */
    close_rig(&r);
    open_rig(&r, "batch_renorm:eps=0.5:run_mean.init=1:run_std.init=4", 4, 1, 1, four);
    renormed(&r, 1, 0); /* step 0: batch normalization */
    r.a.step = 1000000;
    nl_item *mean = nl_store_find(r.store, OWNER, "run_mean");
    nl_item *std = nl_store_find(r.store, OWNER, "run_std");
    ((nl_real *)mean->val)[0] = 1, ((nl_real *)std->val)[0] = 4;
    renormed(&r, 0.5, 0.5);
    ((nl_real *)mean->val)[0] = 1, ((nl_real *)std->val)[0] = 4;
    r.a.phase = NL_EVAL;
    y_is(&r, (const double[]){0, 0.25, 0.5, 1.25});
    close_rig(&r);
}
END_TEST

/* By columns, by rows, by parts, in the weight slot. */
START_TEST(gradients_of_parameters_are_added_up)
{
    static const char *const specs[] = {"batch", "layer", "batch_layer", "weight"};
    static const double x[VALUES] = {3, -1, 4, 1, -5, 9, 2, -6, 5, 3, -5, 8, 9, 7, 9, 3};
    for (int k = 0; k < 4; k++) {
        rig r;
        double once[4];
        open_rig(&r, specs[k], 4, 1, 4, x);
        const nl_real *g = nl_store_grads(r.store, NULL);
        for (int i = 0; i < VALUES; i++)
            r.dy[i] = (nl_real)(1 + 0.5 * (i % 3));
        nl_norm_forward(r.m, &r.a);
        nl_norm_backward(r.m, &r.a);
        for (int i = 0; i < 4; i++)
            once[i] = (double)g[i];
        nl_norm_backward(r.m, &r.a);
        for (int i = 0; i < 4; i++)
            is_near("gradient", i, (double)g[i], 2 * once[i]);
        close_rig(&r);
    }
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("methods");
    TCase *t = tcase_create("all");
    tcase_add_test(t, batch_averages_over_examples_with_eps_in_the_root);
    tcase_add_test(t, momentum_is_the_weight_of_the_new_batch_or_of_the_old_state);
    tcase_add_test(t, evaluation_takes_the_running_state);
    tcase_add_test(t, gradients_lose_their_mean_and_their_part_along_z);
    tcase_add_test(t, layer_and_instance_average_within_an_example);
    tcase_add_test(t, rms_takes_no_mean_off);
    tcase_add_test(t, each_group_of_channels_has_its_own_statistics);
    tcase_add_test(t, weight_keeps_its_length_and_moves_across_itself);
    tcase_add_test(t, batch_layer_adds_both_parts_by_their_weights);
    tcase_add_test(t, batch_renorm_corrects_towards_the_state_before_it_moves);
    tcase_add_test(t, gradients_of_parameters_are_added_up);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
