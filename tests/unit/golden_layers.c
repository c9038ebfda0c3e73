/* Convolution, pooling and a residual block against PyTorch: tests/golden/layers.py. */
#include <check.h>
#include <string.h>

#include "golden_layer.h"
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

enum { PARAMETERS = 8 };
typedef struct parameters {
    golden_parameter row[PARAMETERS];
} parameters;

static parameters parameters_of(const golden_layer *g, bool block)
{
    const parameters all = {{{"l", "w", 400, 2, 0, block ? NULL : g->dw},
                             {"l", "b", 600, 4, 0, g->db},
                             {"c1", "w", 400, 2, 0, block ? g->dw : NULL},
                             {"c2", "w", 401, 2, 0, g->dw2},
                             {"c1/preact", "gamma", 200, 4, 1, g->dgamma},
                             {"c1/preact", "beta", 300, 2, 0, g->dbeta},
                             {"c2/preact", "gamma", 201, 4, 1, g->dgamma2},
                             {"c2/preact", "beta", 301, 2, 0, g->dbeta2}}};
    return all;
}

static const double bound = sizeof(nl_real) == sizeof(float) ? 2e-5 : 1e-12;

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

/* What stands in dy afterwards is dL/dresidual, to which the first convolution added. */
static void follow_block_back(const golden_layer *g, nl_model *m, const nl_layer_call *c,
                              nl_real *dy)
{
    nl_store *s = nl_model_store(m);
    nl_model_backward(m, c, dy);
    same_values(g->name, "dx", dy, g->dx, VALUES, bound);
    same_values(g->name, "mean", nl_store_find(s, "c2/preact", "run_mean")->val, g->mean2, C,
                bound);
    same_values(g->name, "var", nl_store_find(s, "c2/preact", "run_var")->val, g->var2, C, bound);
}

static void follow_layer_back(const golden_layer *g, nl_model *m, nl_layer_call c, nl_real *dy)
{
    static nl_real dx[VALUES];
    nl_layer *l = nl_model_layer(m, 0);
    c.dy = dy, c.dx = dx;
    nl_store_zero_grads(nl_model_store(m));
    l->ops->backward(l, &c);
    same_values(g->name, "dx", dx, g->dx, VALUES, bound);
}

static void follow(const golden_layer *g)
{
    const bool block = strcmp(g->spec, "block") == 0;
    const nl_model_setup setup = {.shape = {.s = H * W, .c = C, .h = H, .w = W},
                                  .outputs = 1,
                                  .batch = N,
                                  .n = N,
                                  .norm = block ? "batch" : "none"};
    const parameters p = parameters_of(g, block);
    static nl_real x[VALUES], dy[MOST];
    nl_model *m;
    ck_assert_msg(open_model(&m, g->spec, &setup) == NL_OK, "%s", nl_last_error());
    draw_parameters(nl_model_store(m), p.row, PARAMETERS);
    const nl_shape out = nl_model_layer(m, nl_model_layers(m) - 1)->out;
    const int64_t values = N * out.s * out.c;
    draw_all(x, VALUES, 0, 1, 0);
    draw_all(dy, values, 100, 1, 0);
    nl_layer_call c = {.n = N, .phase = NL_TRAIN, .update = true, .x = x};
    c.y = nl_model_forward(m, &c);
    same_values(g->name, "y", c.y, g->y, values, bound);
    if (block)
        follow_block_back(g, m, &c, dy);
    else
        follow_layer_back(g, m, c, dy);
    same_gradients(g->name, nl_model_store(m), p.row, PARAMETERS, bound);
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
