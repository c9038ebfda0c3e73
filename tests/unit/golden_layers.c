/* Convolution, pooling and a residual block against PyTorch: tests/golden/layers.py. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "draws.h"
#include "one_layer.h"
#include "registry.h"
#include "suite.h"

enum { N = 2, H = 6, W = 5, C = 4, VALUES = N * H * W * C, MOST = 4 * VALUES };

typedef struct golden_layer {
    const char *name, *spec;
    const double *y, *dx, *dw, *db;
    const double *dw2, *dgamma, *dgamma2, *dbeta, *dbeta2, *mean2, *var2; /* of the block */
} golden_layer;

#include "golden/layers.inc"

typedef struct parameter {
    const char *owner, *name;
    uint64_t seed;
    double per, plus;
    const double *gradient;
} parameter;

enum { PARAMETERS = 8 };

static void list_parameters(const golden_layer *g, parameter row[PARAMETERS])
{
    const parameter all[PARAMETERS] = {{"l", "w", 400, 2, 0, g->dw},
                                       {"l", "b", 600, 4, 0, g->db},
                                       {"c1", "w", 400, 2, 0, g->dw},
                                       {"c2", "w", 401, 2, 0, g->dw2},
                                       {"c1/preact", "gamma", 200, 4, 1, g->dgamma},
                                       {"c1/preact", "beta", 300, 2, 0, g->dbeta},
                                       {"c2/preact", "gamma", 201, 4, 1, g->dgamma2},
                                       {"c2/preact", "beta", 301, 2, 0, g->dbeta2}};
    memcpy(row, all, sizeof all);
}

/* Within 1e-12 (double) or 1e-5 (float) of the largest value of the array, or of 1. */
static void same(const golden_layer *g, const char *what, const nl_real *got, const double *wanted,
                 int64_t count)
{
    const double bound = sizeof(nl_real) == sizeof(float) ? 2e-5 : 1e-12;
    double largest = 1;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - wanted[i]) <= bound * largest,
                      "%s: %s[%d] is %.17g, expected %.17g", g->name, what, (int)i, (double)got[i],
                      wanted[i]);
}

/* ---- in -> c1 -> c2 + in; a layer in front, so that the block's dx is asked for */

static nl_status build_block(const void *self, nl_model *m)
{
    (void)self;
    NL_TRY(nl_model_add(m, "in", NL_NOT_NORMED, "dropout:rate=0"));
    NL_TRY(nl_model_add(m, "c1", NL_NORMED, "conv:out=4:pad=1:bias=off:act=relu"));
    nl_model_residual(m, 0);
    return nl_model_add(m, "c2", NL_NORMED, "conv:out=4:pad=1:bias=off:act=relu");
}

static const nl_model_ops nl_model_block = {NL_MODEL_HEADER,
                                            .name = "block",
                                            .title = "Residual block",
                                            .cite = "",
                                            .self_size = sizeof(one_layer),
                                            .options = one_layer_options,
                                            .slots = one_layer_slots,
                                            .build = build_block};

static nl_status open_model(nl_model **m, const char *spec, const nl_model_setup *setup)
{
    static const nl_model_ops *const models[] = {&nl_model_block};
    if (strcmp(spec, "block") != 0)
        return open_one_layer(m, spec, setup);
    nl_model_use(models, 1);
    return nl_model_open(m, "block", setup);
}

/* ---- all cases */

static void follow(const golden_layer *g)
{
    const bool block = strcmp(g->spec, "block") == 0;
    const nl_model_setup setup = {.shape = {.s = H * W, .c = C, .h = H, .w = W},
                                  .outputs = 1,
                                  .batch = N,
                                  .n = N,
                                  .norm = block ? "batch" : "none"};
    static nl_real x[VALUES], dx[VALUES], dy[MOST];
    parameter row[PARAMETERS];
    nl_model *m;
    ck_assert_msg(open_model(&m, g->spec, &setup) == NL_OK, "%s", nl_last_error());
    nl_store *s = nl_model_store(m);
    list_parameters(g, row);
    for (int k = 0; k < PARAMETERS; k++) {
        const nl_item *it = nl_store_find(s, row[k].owner, row[k].name);
        if (it)
            draw_all(it->val, it->count, row[k].seed, row[k].per, row[k].plus);
    }
    const nl_shape out = nl_model_layer(m, nl_model_layers(m) - 1)->out;
    const int64_t values = N * out.s * out.c;
    draw_all(x, VALUES, 0, 1, 0);
    draw_all(dy, values, 100, 1, 0);
    nl_layer_call c = {.n = N, .phase = NL_TRAIN, .update = true, .x = x};
    same(g, "y", nl_model_forward(m, &c), g->y, values);
    if (block) {
        nl_model_backward(m, &c, dy);
        same(g, "dx", dy, g->dx, VALUES); /* dL/dresidual, to which the first convolution added */
        same(g, "mean", nl_store_find(s, "c2/preact", "run_mean")->val, g->mean2, C);
        same(g, "var", nl_store_find(s, "c2/preact", "run_var")->val, g->var2, C);
    } else {
        nl_layer *l = nl_model_layer(m, 0);
        c.y = nl_model_forward(m, &c);
        c.dy = dy, c.dx = dx;
        nl_store_zero_grads(s);
        l->ops->backward(l, &c);
        same(g, "dx", dx, g->dx, VALUES);
    }
    for (int k = 0; k < PARAMETERS; k++) {
        const nl_item *it = nl_store_find(s, row[k].owner, row[k].name);
        if (it)
            same(g, row[k].name, it->grad, row[k].gradient, it->count);
    }
    nl_model_close(m);
}

START_TEST(layers_of_images_are_those_of_pytorch)
{
    for (size_t k = 0; k < sizeof golden_layers / sizeof *golden_layers; k++)
        follow(&golden_layers[k]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden_layers");
    TCase *tc = tcase_create("golden");
    use_registries();
    tcase_add_test(tc, layers_of_images_are_those_of_pytorch);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
