/* Recurrent layers against PyTorch and, with norms, against the papers' equations step by step:
 * tests/golden/rnn.py. */
#include <check.h>

#include "golden_layer.h"
#include "one_layer.h"
#include "registry.h"
#include "suite.h"

enum { N = 5, STEPS = 4, IN = 3, UNITS = 4 };

typedef struct golden_rnn {
    const char *name, *spec;
    int length[N];
    const char *norm[3];       /* in slots x, h, c; NULL: none */
    const double *y, *dx, *dh; /* dh: mean length of dL/dh_t */
    const double *dwx, *dwh, *dwh_n, *db, *dbh, *dh0, *dc0;
    const double *dgamma_x, *dgamma_h, *dgamma_c, *dbeta_x, *dbeta_h, *dbeta_c;
    const double *dgamma_h_n, *dbeta_h_n; /* of the norm in slot h that a candidate has */
} golden_rnn;

#include "golden/rnn.inc"

enum { PARAMETERS = 15 };
typedef struct parameters {
    golden_parameter row[PARAMETERS];
} parameters;

static parameters parameters_of(const golden_rnn *g)
{
    const parameters all = {{{"l", "wx", 400, 2, 0, g->dwx},
                             {"l", "wh", 500, 2, 0, g->dwh},
                             {"l", "wh_n", 501, 2, 0, g->dwh_n},
                             {"l", "b", 600, 4, 0, g->db},
                             {"l", "bh", 700, 4, 0, g->dbh},
                             {"l", "h0", 800, 2, 0, g->dh0},
                             {"l", "c0", 900, 2, 0, g->dc0},
                             {"l/x", "gamma", 200, 4, 1, g->dgamma_x},
                             {"l/x", "beta", 300, 2, 0, g->dbeta_x},
                             {"l/h", "gamma", 201, 4, 1, g->dgamma_h},
                             {"l/h", "beta", 301, 2, 0, g->dbeta_h},
                             {"l/c", "gamma", 202, 4, 1, g->dgamma_c},
                             {"l/c", "beta", 302, 2, 0, g->dbeta_c},
                             {"l/h_n", "gamma", 203, 4, 1, g->dgamma_h_n},
                             {"l/h_n", "beta", 303, 2, 0, g->dbeta_h_n}}};
    return all;
}

/* The gradient of the initial state under batch normalization is 0, and the variance of 0 there
 * multiplies rounding by 1 / sqrt(eps) = 316. */
static const double bound = sizeof(nl_real) == sizeof(float) ? 1e-3 : 1e-10;

static void follow(const golden_rnn *g)
{
    const nl_model_setup setup = {
        .shape = {.s = STEPS, .c = IN},
        .outputs = 1,
        .batch = N,
        .n = N,
        .norm_slot = {
            [NL_SLOT_X] = g->norm[0], [NL_SLOT_H] = g->norm[1], [NL_SLOT_C] = g->norm[2]}};
    const parameters p = parameters_of(g);
    static nl_real x[N * STEPS * IN], dx[N * STEPS * IN], dy[N * STEPS * UNITS];
    uint8_t live[N * STEPS];
    nl_model *m;
    ck_assert_msg(open_one_layer(&m, g->spec, &setup) == NL_OK, "%s", nl_last_error());
    nl_layer *l = nl_model_layer(m, 0);
    draw_parameters(nl_model_store(m), p.row, PARAMETERS);
    draw_all(x, N * STEPS * IN, 0, 1, 0);
    draw_all(dy, N * STEPS * UNITS, 100, 1, 0);
    for (int i = 0; i < N * STEPS; i++)
        live[i] = i % STEPS < g->length[i / STEPS];
    nl_layer_call c = {.n = N, .phase = NL_TRAIN, .logged = true, .x = x, .live = live};
    c.y = nl_model_forward(m, &c);
    same_values(g->name, "y", c.y, g->y, N * STEPS * UNITS, bound);
    c.dy = dy, c.dx = dx;
    nl_store_zero_grads(nl_model_store(m));
    l->ops->backward(l, &c);
    same_values(g->name, "dx", dx, g->dx, N * STEPS * IN, bound);
    same_gradients(g->name, nl_model_store(m), p.row, PARAMETERS, bound);
    for (int t = 0; g->dh && t < STEPS; t++) {
        const nl_real length = (nl_real)l->ops->step_gradients(l)[t];
        same_values(g->name, "dh", &length, g->dh + t, 1, bound);
    }
    nl_model_close(m);
}

START_TEST(cells_are_those_of_pytorch_and_of_the_papers)
{
    for (size_t k = 0; k < sizeof golden_rnns / sizeof *golden_rnns; k++)
        follow(&golden_rnns[k]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden_rnn");
    TCase *tc = tcase_create("golden");
    use_registries();
    tcase_add_test(tc, cells_are_those_of_pytorch_and_of_the_papers);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
