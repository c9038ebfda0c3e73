/* Single layers: dropout's mask, scale and key; a dense layer's positions, sums and what the log
 * sees of it. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/model.h"
#include "registry.h"
#include "suite.h"

enum { N = 500, C = 12, VALUES = N * C };

/* A model of one layer, called `name`. */
typedef struct one {
    nl_string name;
} one;

static const nl_option options[] = {NL_OPT_TEXT(one, name, "l", "its name"), NL_OPT_END};
static const char *const slots[] = {"preact", NULL};
static char layer_spec[NL_STRING_MAX];

static nl_status build(const void *self, nl_model *m)
{
    const one *o = self;
    return nl_model_add(m, o->name.is, NL_NORMED, "%s", layer_spec);
}

static const nl_model_ops nl_model_one = {
    NL_MODEL_HEADER,          .name = "one",      .title = "One layer", .cite = "",
    .self_size = sizeof(one), .options = options, .slots = slots,       .build = build};
static const nl_model_ops *const models[] = {&nl_model_one};

typedef struct rig {
    nl_model *model;
    nl_layer *layer;
    nl_layer_call call;
    nl_real *x, *dy, *dx;
} rig;

static void open_rig(rig *r, const char *spec, const char *name, const char *norm, nl_shape shape)
{
    char model[64];
    const nl_model_setup setup = {
        .shape = shape, .outputs = C, .batch = N, .n = N, .norm = norm, .seed = 1};
    snprintf(model, sizeof model, "one:name=%s", name);
    snprintf(layer_spec, sizeof layer_spec, "%s", spec);
    nl_model_use(models, 1);
    if (nl_model_open(&r->model, model, &setup) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    r->layer = nl_model_layer(r->model, 0);
    r->x = nl_alloc(VALUES, sizeof(nl_real));
    r->dy = nl_alloc(VALUES, sizeof(nl_real));
    r->dx = nl_alloc(VALUES, sizeof(nl_real));
    for (int i = 0; i < VALUES; i++) {
        r->x[i] = (nl_real)(1 + (double)i / VALUES);
        r->dy[i] = (nl_real)(2 - (double)i / VALUES);
    }
    r->call = (nl_layer_call){.n = N, .phase = NL_TRAIN, .step = 3, .seed = 1, .x = r->x};
}

static void close_rig(rig *r)
{
    nl_model_close(r->model);
    nl_free(r->x);
    nl_free(r->dy);
    nl_free(r->dx);
}

static const nl_shape flat = {.s = 1, .c = C};

static int kept(const nl_real *y)
{
    int count = 0;
    for (int i = 0; i < VALUES; i++)
        count += y[i] != 0;
    return count;
}

START_TEST(dropout_scales_what_it_keeps)
{
    rig r;
    open_rig(&r, "dropout:rate=0.2", "l", "none", flat);
    const nl_real *y = nl_model_forward(r.model, &r.call);
    for (int i = 0; i < VALUES; i++)
        ck_assert(y[i] == 0 || fabs((double)y[i] - (double)r.x[i] * 1.25) < 1e-6);
    ck_assert_double_eq_tol((double)kept(y) / VALUES, 0.8, 0.02); /* 4 standard deviations */
    close_rig(&r);
}
END_TEST

START_TEST(dropout_goes_back_through_the_same_mask)
{
    rig r;
    open_rig(&r, "dropout:rate=0.4", "l", "none", flat);
    const nl_real *y = nl_model_forward(r.model, &r.call);
    r.call.dy = r.dy, r.call.dx = r.dx;
    r.layer->ops->backward(r.layer, &r.call);
    for (int i = 0; i < VALUES; i++)
        ck_assert(y[i] == 0 ? r.dx[i] == 0 : fabs((double)r.dx[i] - (double)r.dy[i] / 0.6) < 1e-6);
    close_rig(&r);
}
END_TEST

static int differences(const char *spec, const char *name, nl_layer_call with)
{
    rig r, other;
    int differ = 0;
    open_rig(&r, spec, "l", "none", flat);
    open_rig(&other, spec, name, "none", flat);
    with.x = other.x;
    const nl_real *y = nl_model_forward(r.model, &r.call);
    const nl_real *z = nl_model_forward(other.model, &with);
    for (int i = 0; i < with.n * C; i++)
        differ += y[i] != z[i];
    close_rig(&r);
    close_rig(&other);
    return differ;
}

START_TEST(dropout_draws_by_seed_layer_and_step)
{
    const nl_layer_call same = {.n = N, .phase = NL_TRAIN, .step = 3, .seed = 1};
    nl_layer_call step = same, seed = same, fewer = same;
    step.step = 4, seed.seed = 2, fewer.n = 7;
    ck_assert_int_eq(differences("dropout", "l", same), 0);
    ck_assert_int_eq(differences("dropout", "l", fewer), 0);
    ck_assert_int_gt(differences("dropout", "l", step), VALUES / 3);
    ck_assert_int_gt(differences("dropout", "l", seed), VALUES / 3);
    ck_assert_int_gt(differences("dropout", "k", same), VALUES / 3);
}
END_TEST

START_TEST(dropout_is_the_identity_at_evaluation_and_at_rate_0)
{
    static const char *const specs[] = {"dropout:rate=0.5", "dropout:rate=0"};
    for (int k = 0; k < 2; k++) {
        rig r;
        open_rig(&r, specs[k], "l", "none", flat);
        r.call.phase = k ? NL_TRAIN : NL_EVAL;
        const nl_real *y = nl_model_forward(r.model, &r.call);
        ck_assert_mem_eq(y, r.x, VALUES * sizeof *y);
        r.call.dy = r.dy, r.call.dx = r.dx;
        r.layer->ops->backward(r.layer, &r.call);
        ck_assert_mem_eq(r.dx, r.dy, VALUES * sizeof *y);
        close_rig(&r);
    }
}
END_TEST

START_TEST(dense_layers_flatten_positions)
{
    rig r;
    open_rig(&r, "dense:out=12", "l", "none", (nl_shape){.s = 3, .c = 4});
    const nl_item *w = nl_store_find(nl_model_store(r.model), "l", "w");
    ck_assert_int_eq(w->rows, 12);
    const nl_real *y = nl_model_forward(r.model, &r.call);
    double sum = 0;
    for (int k = 0; k < C; k++)
        sum += (double)r.x[C + k] * (double)((nl_real *)w->val)[k * C];
    ck_assert_double_eq_tol((double)y[C], sum, 1e-5);
    close_rig(&r);
}
END_TEST

/* Both of two batches' gradients, weight-space methods included. */
START_TEST(gradients_accumulate_when_asked)
{
    static const char *const norms[] = {"none", "weight", "batch"};
    const double bound = sizeof(nl_real) == 8 ? 1e-12 : 1e-4; /* sums of 500 in another order */
    for (int k = 0; k < 3; k++) {
        rig r;
        int64_t count;
        open_rig(&r, "dense:out=12:act=tanh", "l", norms[k], flat);
        nl_real *g = nl_store_grads(nl_model_store(r.model), &count);
        nl_real *once = nl_alloc((size_t)count, sizeof *once);
        nl_model_forward(r.model, &r.call);
        memcpy(r.dx, r.dy, VALUES * sizeof *r.dx);
        nl_model_backward(r.model, &r.call, r.dx);
        memcpy(once, g, (size_t)count * sizeof *once);
        r.call.accumulate = true;
        memcpy(r.dx, r.dy, VALUES * sizeof *r.dx);
        nl_model_backward(r.model, &r.call, r.dx);
        for (int64_t i = 0; i < count; i++)
            ck_assert_double_eq_tol((double)g[i], 2 * (double)once[i],
                                    bound * (1 + fabs((double)once[i])));
        nl_free(once);
        close_rig(&r);
    }
}
END_TEST

static uint64_t state_of(nl_model *m)
{
    nl_store *s = nl_model_store(m);
    uint64_t hash = NL_HASH_START;
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->decl->role == NL_STATE)
            hash =
                nl_hash_bytes(hash, it->val, (uint64_t)it->count * nl_type_bytes(it->decl->type));
    }
    return hash;
}

/* `pre` is the slot's input, `post` its output; the layer's output and state stay as they are. */
START_TEST(observing_a_slot_changes_nothing)
{
    static const char *const norms[] = {"none", "batch", "batch_renorm:r_max=3:d_max=5"};
    static const char *const specs[] = {"dense:out=12:act=sigmoid",
                                        "dense:out=12:act=sigmoid:bias=off"};
    for (int k = 0; k < 6; k++) {
        rig r;
        nl_layer_call in;
        open_rig(&r, specs[k % 2], "l", norms[k / 2], flat);
        nl_real *pre = r.dy, *post = r.dx, *keep = nl_alloc(VALUES, sizeof *keep);
        r.call.update = true;
        nl_real *y = nl_model_forward(r.model, &r.call);
        memcpy(keep, y, VALUES * sizeof *keep);
        nl_model_layer_input(r.model, r.layer, &r.call, &in);
        const uint64_t state = state_of(r.model);
        r.layer->ops->observe(r.layer, &in, 0, pre, post);
        ck_assert(state_of(r.model) == state);
        ck_assert_mem_eq(y, keep, VALUES * sizeof *keep);
        for (int i = 0; i < VALUES; i++) {
            ck_assert(k >= 2 || pre[i] == post[i]);
            ck_assert_double_eq_tol(1 / (1 + exp(-(double)post[i])), (double)y[i], 1e-6);
        }
        nl_free(keep);
        close_rig(&r);
    }
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("layers");
    TCase *t = tcase_create("all");
    tcase_add_test(t, dropout_scales_what_it_keeps);
    tcase_add_test(t, dropout_goes_back_through_the_same_mask);
    tcase_add_test(t, dropout_draws_by_seed_layer_and_step);
    tcase_add_test(t, dropout_is_the_identity_at_evaluation_and_at_rate_0);
    tcase_add_test(t, dense_layers_flatten_positions);
    tcase_add_test(t, gradients_accumulate_when_asked);
    tcase_add_test(t, observing_a_slot_changes_nothing);
    suite_add_tcase(s, t);
    return run_suite(s);
}
