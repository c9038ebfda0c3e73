/* Whole networks: gradients of every parameter through every kind of slot, bias and activation; the
 * same bytes on any number of threads; data-dependent start; refusals. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "core/model.h"
#include "par/par.h"
#include "registry.h"
#include "suite.h"

enum { N = 7, IN = 5, OUTPUTS = 3, WIDEST = 1 << 16 };

typedef struct rig {
    nl_model *model;
    nl_layer_call call;
    nl_real *x, *weight, *d_logits;
    int64_t n, outputs;
} rig;

static void fill(nl_real *v, int64_t count, uint64_t stream)
{
    const nl_key key = {3, NL_STREAM_TEST, stream};
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)nl_random_normal(key, (uint64_t)i);
}

static void open_shaped(rig *r, const char *spec, const char *norm, const char *act_norm, int64_t n,
                        nl_shape shape, int64_t outputs)
{
    const int64_t in = shape.s * shape.c;
    nl_model_setup setup = {.shape = shape,
                            .outputs = outputs,
                            .batch = n,
                            .n = n,
                            .norm = norm,
                            .norm_slot = {NULL, act_norm, NULL},
                            .seed = 1};
    *r = (rig){.n = n, .outputs = outputs};
    if (nl_model_open(&r->model, spec, &setup) != NL_OK)
        ck_abort_msg("%s with %s: %s", spec, norm, nl_last_error());
    r->x = nl_alloc((size_t)(n * in), sizeof(nl_real));
    r->weight = nl_alloc((size_t)(n * outputs), sizeof(nl_real));
    r->d_logits = nl_alloc((size_t)(n * outputs), sizeof(nl_real));
    fill(r->x, n * in, 1);
    fill(r->weight, n * outputs, 2);
    r->call = (nl_layer_call){.n = n, .phase = NL_TRAIN, .seed = 1, .step = 30000, .x = r->x};
}

static void open_sized(rig *r, const char *spec, const char *norm, const char *act_norm, int64_t n,
                       int64_t in, int64_t outputs)
{
    open_shaped(r, spec, norm, act_norm, n, (nl_shape){.s = 1, .c = in}, outputs);
}

static void open_rig(rig *r, const char *spec, const char *norm, const char *act_norm)
{
    open_sized(r, spec, norm, act_norm, N, IN, OUTPUTS);
}

static void close_rig(rig *r)
{
    nl_model_close(r->model);
    nl_free(r->x);
    nl_free(r->weight);
    nl_free(r->d_logits);
}

static double loss(rig *r)
{
    const nl_real *logits = nl_model_forward(r->model, &r->call);
    double sum = 0;
    for (int64_t i = 0; i < r->n * r->outputs; i++)
        sum += (double)logits[i] * (double)r->weight[i];
    return sum;
}

static void backward(rig *r)
{
    memcpy(r->d_logits, r->weight, (size_t)(r->n * r->outputs) * sizeof(nl_real));
    nl_model_backward(r->model, &r->call, r->d_logits);
}

/* Where parameters start several things are equal: W and the weights in use, gamma and 1. */
static void leave_the_start(nl_real *p, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        p[i] += (nl_real)(0.3 * nl_random_normal((nl_key){3, NL_STREAM_TEST, 3}, (uint64_t)i));
}

/* Every parameter of the open model, which is closed; quotients over +-h. */
static void check_gradients(rig r, double h, const char *spec, const char *norm,
                            const char *act_norm)
{
    int64_t count;
    nl_real *p = nl_store_params(nl_model_store(r.model), &count);
    const nl_real *g = nl_store_grads(nl_model_store(r.model), NULL);
    const double bound = sizeof(nl_real) == 8 ? 2e-7 : 5e-2;
    double size = 1e-6;
    leave_the_start(p, count);
    loss(&r);
    backward(&r);
    for (int64_t i = 0; i < count; i++)
        size = fmax(size, fabs((double)g[i]));
    for (int64_t i = 0; i < count; i++) {
        const nl_real keep = p[i];
        p[i] = (nl_real)((double)keep + h);
        const double up = loss(&r);
        p[i] = (nl_real)((double)keep - h);
        const double down = loss(&r);
        p[i] = keep;
        const double error = fabs((up - down) / (2 * h) - (double)g[i]) / size;
        ck_assert_msg(error < bound, "%s %s %s: parameter %lld: %g, difference quotient %g", spec,
                      norm, act_norm ? act_norm : "", (long long)i, (double)g[i],
                      (up - down) / (2 * h));
    }
    close_rig(&r);
}

static void gradients_agree(const char *spec, const char *norm, const char *act_norm)
{
    rig r;
    open_rig(&r, spec, norm, act_norm);
    check_gradients(r, sizeof(nl_real) == 8 ? 1e-6 : 2e-3, spec, norm, act_norm);
}

START_TEST(gradients_are_the_difference_quotients)
{
    static const char *const norms[] = {"none",          "batch", "layer",  "rms:center=true",
                                        "batch_layer",   "group", "weight", "weight+batch",
                                        "batch:eps=1e-2"};
    static const char *const nets[] = {"mlp:hidden=8/4:act=sigmoid",
                                       "mlp:hidden=8:act=tanh:bias=after",
                                       "mlp:hidden=4x2:act=tanh:bias=off"};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        for (size_t k = 0; k < sizeof nets / sizeof *nets; k++)
            gradients_agree(nets[k], norms[i], NULL);
    gradients_agree("mlp:hidden=8/4:act=sigmoid", "none", "batch");
    gradients_agree("mlp:hidden=8/4:act=tanh:bias=after", "layer", "batch_layer");
    gradients_agree("mlp:hidden=8/4:act=tanh:dropout=0.3", "batch", NULL);
}
END_TEST

/* In double alone, with small steps: the kinks of relu and maximum are close. */
START_TEST(gradients_of_networks_on_images_are_the_difference_quotients)
{
    static const char *const norms[] = {
        "none", "batch",  "layer:area=c", "layer:area=sc",   "instance",           "group:groups=2",
        "rms",  "weight", "batch_layer",  "scaled_ws+layer", "batch_layer:area=ns"};
    static const char *const nets[] = {"resnet:depth=8:width=2:shortcut=a",
                                       "resnet:depth=8:width=2:shortcut=b:bias=after",
                                       "resnet:depth=8:width=2:shortcut=none:bias=before",
                                       "vgg:width=2:stages=2:convs=1:hidden=4",
                                       "mobile:width=2:stages=2:blocks=1",
                                       "lenet_bln:maps1=2:maps2=2:units1=4:units2=4",
                                       "lenet_bln:maps1=2:maps2=2:units1=4:units2=4:slot=preact"};
    const nl_shape image = {.s = 1, .c = 12 * 12 * 2, .h = 12, .w = 12};
    const double h = 1e-8;
    rig r;
    if (sizeof(nl_real) != 8)
        return;
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++)
        for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
            if (strcmp(norms[i], "instance") == 0 && strncmp(nets[k], "resnet", 6) != 0)
                continue; /* dense layers have one position */
            open_shaped(&r, nets[k], norms[i], NULL, 3, image, OUTPUTS);
            check_gradients(r, h, nets[k], norms[i], NULL);
        }
    open_shaped(&r, "resnet:depth=8:width=2:fixup=true", "none", NULL, 3, image, OUTPUTS);
    check_gradients(r, h, "fixup", "none", NULL);
    open_shaped(&r, "resnet:depth=8:width=2", "batch", "layer", 3, image, OUTPUTS);
    check_gradients(r, h, "resnet", "batch", "layer");
}
END_TEST

/* Everything a step leaves behind, hashed. */
static uint64_t bytes_of_a_step(const char *norm)
{
    rig r;
    int64_t count;
    open_sized(&r, "mlp:hidden=130/70:act=relu:dropout=0.2", norm, NULL, 1500, 40, 10);
    r.call.update = true;
    loss(&r);
    backward(&r);
    const nl_real *g = nl_store_grads(nl_model_store(r.model), &count);
    uint64_t hash = nl_hash_bytes(NL_HASH_START, g, (uint64_t)count * sizeof *g);
    nl_store *s = nl_model_store(r.model);
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->decl->role == NL_STATE)
            hash =
                nl_hash_bytes(hash, it->val, (uint64_t)it->count * nl_type_bytes(it->decl->type));
    }
    close_rig(&r);
    return hash;
}

START_TEST(a_step_is_the_same_bytes_on_any_number_of_threads)
{
    static const char *const norms[] = {"none", "batch", "layer", "batch_layer", "weight"};
    nl_par_ignore_work(true);
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        nl_threads_set(1);
        const uint64_t alone = bytes_of_a_step(norms[i]);
        nl_par_workers_seen();
        for (int threads = 2; threads <= 5; threads++) {
            nl_threads_set(threads);
            ck_assert_msg(bytes_of_a_step(norms[i]) == alone, "%s on %d threads", norms[i],
                          threads);
        }
        ck_assert_int_gt(nl_par_workers_seen(), 1);
    }
    nl_threads_set(1);
    nl_par_ignore_work(false);
}
END_TEST

static int64_t parameters_of(nl_model *m)
{
    nl_store *s = nl_model_store(m);
    int64_t count = 0;
    for (int i = 0; i < nl_store_count(s); i++)
        count += nl_store_at(s, i)->decl->role == NL_PARAM ? nl_store_at(s, i)->count : 0;
    return count;
}

/* The authors' code prints 83,578; without the two times 226 of the norms 83,126. */
START_TEST(lenet_bln_has_the_parameters_of_its_paper)
{
    static const nl_shape image = {.s = 1, .c = 32 * 32 * 3, .h = 32, .w = 32};
    rig r;
    open_shaped(&r, "lenet_bln", "batch", NULL, 2, image, 10);
    ck_assert_int_eq(parameters_of(r.model), 83578);
    close_rig(&r);
    open_shaped(&r, "lenet_bln", "none", NULL, 2, image, 10);
    ck_assert_int_eq(parameters_of(r.model), 83126);
    close_rig(&r);
}
END_TEST

START_TEST(a_hundred_layers_of_scaled_weights_keep_their_values_and_gradients)
{
    static const nl_shape image = {.s = 1, .c = 8 * 8 * 3, .h = 8, .w = 8};
    rig r;
    int64_t count, moved = 0;
    open_shaped(&r, "resnet:depth=110:width=2", "scaled_ws", NULL, 4, image, 10);
    const double first = loss(&r);
    ck_assert(isfinite(first) && fabs(first) > 0);
    backward(&r);
    const nl_real *g = nl_store_grads(nl_model_store(r.model), &count);
    for (int64_t i = 0; i < count; i++) {
        ck_assert(isfinite(g[i]));
        moved += g[i] != 0;
    }
    ck_assert_int_gt(moved, count / 2);
    close_rig(&r);
}
END_TEST

/* Those of a chain take turns in two places; a shortcut of another shape keeps a third alive. */
START_TEST(gradients_of_outputs_share_memory_whatever_the_depth)
{
    static const nl_shape image = {.s = 1, .c = 8 * 8 * 3, .h = 8, .w = 8};
    static const struct {
        const char *spec;
        int places;
    } row[] = {{"mlp:hidden=8x20", 2},
               {"resnet:depth=20:width=2:shortcut=none", 2},
               {"resnet:depth=110:width=2", 3},
               {"resnet:depth=110:width=2:shortcut=b", 3}};
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        rig r;
        int places = 0;
        open_shaped(&r, row[k].spec, "none", NULL, 2, image, 10);
        for (int i = 0; i < nl_store_count(nl_model_store(r.model)); i++)
            places += strcmp(nl_store_at(nl_model_store(r.model), i)->decl->name, "dy") == 0;
        ck_assert_int_eq(places, row[k].places);
        close_rig(&r);
    }
}
END_TEST

START_TEST(weights_normalized_by_length_start_as_they_were)
{
    rig plain, normed;
    open_rig(&plain, "mlp:hidden=8", "none", NULL);
    open_rig(&normed, "mlp:hidden=8", "weight", NULL);
    ck_assert_double_eq_tol(loss(&plain), loss(&normed), 1e-5);
    close_rig(&plain);
    close_rig(&normed);
}
END_TEST

START_TEST(a_given_initial_value_rules_over_a_start)
{
    rig r;
    static const char *const norms[] = {"weight:g.init=0.25", "weight:init=data:g.init=0.25"};
    for (int k = 0; k < 2; k++) {
        open_rig(&r, "mlp:hidden=8", norms[k], NULL);
        const nl_item *g = nl_store_find(nl_model_store(r.model), "h1/weight", "g");
        r.call.start = true;
        loss(&r);
        for (int64_t i = 0; i < g->count; i++)
            ck_assert_double_eq((double)((const nl_real *)g->val)[i], 0.25);
        close_rig(&r);
    }
}
END_TEST

START_TEST(a_data_dependent_start_gives_unit_variance)
{
    rig r;
    open_rig(&r, "mlp:hidden=8:act=linear", "weight:init=data", NULL);
    r.call.start = true;
    loss(&r);
    r.call.start = false;
    const nl_real *logits = nl_model_forward(r.model, &r.call);
    for (int k = 0; k < OUTPUTS; k++) {
        double mean = 0, var = 0;
        for (int i = 0; i < N; i++)
            mean += (double)logits[i * OUTPUTS + k] / N;
        for (int i = 0; i < N; i++)
            var += pow((double)logits[i * OUTPUTS + k] - mean, 2) / N;
        ck_assert_double_eq_tol(mean, 0, 1e-5);
        ck_assert_double_eq_tol(var, 1, 1e-4);
    }
    close_rig(&r);
}
END_TEST

START_TEST(initial_weights_do_not_depend_on_the_method)
{
    rig a, b;
    open_rig(&a, "mlp:hidden=8/4", "none", NULL);
    open_rig(&b, "mlp:hidden=8/4", "batch", NULL);
    const nl_item *wa = nl_store_find(nl_model_store(a.model), "h2", "w");
    const nl_item *wb = nl_store_find(nl_model_store(b.model), "h2", "w");
    ck_assert_mem_eq(wa->val, wb->val, (size_t)wa->count * sizeof(nl_real));
    close_rig(&a);
    close_rig(&b);
}
END_TEST

START_TEST(every_failing_allocation_is_a_clean_refusal)
{
    const nl_model_setup setup = {.shape = {.s = 1, .c = IN},
                                  .outputs = OUTPUTS,
                                  .batch = N,
                                  .n = N,
                                  .norm = "weight+batch",
                                  .seed = 1};
    const long before = nl_alloc_live();
    nl_model *m = NULL;
    nl_status st = NL_ENOMEM;
    for (long k = 0; st != NL_OK; k++) {
        nl_alloc_fail_at(k);
        st = nl_model_open(&m, "mlp:hidden=8/4", &setup);
        nl_alloc_fail_at(-1);
        ck_assert(st == NL_OK || (st == NL_ENOMEM && !m && nl_alloc_live() == before));
    }
    nl_model_close(m);
    ck_assert_int_eq(nl_alloc_live(), before);
}
END_TEST

START_TEST(a_step_allocates_nothing)
{
    rig r;
    open_rig(&r, "mlp:hidden=8/4:dropout=0.1", "weight+batch_layer", NULL);
    const long before = nl_alloc_calls();
    loss(&r);
    backward(&r);
    nl_model_after_step(r.model);
    ck_assert_int_eq(nl_alloc_calls(), before);
    close_rig(&r);
}
END_TEST

static const char *refusal(const char *spec, const char *norm, const char *weight)
{
    const nl_model_setup setup = {.shape = {.s = 1, .c = IN},
                                  .outputs = OUTPUTS,
                                  .batch = N,
                                  .n = N,
                                  .norm = norm,
                                  .norm_slot = {NULL, NULL, weight}};
    nl_model *m;
    ck_assert_int_ne(nl_model_open(&m, spec, &setup), NL_OK);
    ck_assert_ptr_null(m);
    return nl_last_error();
}

START_TEST(refusals_name_what_was_wanted)
{
    ck_assert_str_eq(refusal("mpl", "none", NULL),
                     "no model called 'mpl'; did you mean 'mlp'? (see: normlab models)");
    ck_assert_str_eq(refusal("mlp", "bacth", NULL),
                     "no normalization method called 'bacth'; did you mean 'batch'? (see: normlab "
                     "norms)");
    ck_assert_str_eq(refusal("mlp", "none", "batch"),
                     "batch cannot sit in slot weight of h1 (on the weights)");
    ck_assert_str_eq(refusal("mlp", "group:groups=7", NULL),
                     "h1/preact: group: 100 channels cannot be cut into 7 groups");
    ck_assert_str_eq(refusal("mlp", "batch+layer", NULL),
                     "norm: batch+layer has two methods for slot preact");
    ck_assert_str_eq(refusal("mlp", "weight+batch+", NULL),
                     "norm: no method behind the '+' of 'batch+'");
    ck_assert_str_eq(refusal("mlp", "batch:eval=example", NULL),
                     "h1/preact: batch: eval=example has 1 position per example, at least 2 "
                     "needed");
    ck_assert_str_eq(refusal("mlp:hidden=0", "none", NULL),
                     "mlp: hidden=0 is outside [1, 16777216]");
}
END_TEST

static const char *refused_slot(const char *spec, int slot, const char *norm)
{
    nl_model_setup setup = {
        .shape = {.s = 1, .c = 12 * 12, .h = 12, .w = 12}, .outputs = OUTPUTS, .batch = N, .n = N};
    nl_model *m;
    setup.norm_slot[slot] = norm;
    ck_assert_int_eq(nl_model_open(&m, spec, &setup), NL_EOPTION);
    return nl_last_error();
}

START_TEST(a_slot_that_the_model_lacks_is_refused)
{
    ck_assert_str_eq(refused_slot("mlp", NL_SLOT_H, "layer"),
                     "mlp has no slot 'h', got norm.h=layer (known: preact, act, weight)");
    ck_assert_str_eq(refused_slot("resnet:depth=8:width=2", NL_SLOT_C, "batch"),
                     "resnet has no slot 'c', got norm.c=batch (known: preact, act, weight)");
}
END_TEST

START_TEST(fixup_takes_neither_norms_nor_other_biases)
{
    static const char fixup[] = "resnet:depth=8:width=2:fixup=true";
    nl_text spec = {0};
    ck_assert_str_eq(
        refused_slot(fixup, NL_SLOT_WEIGHT, "scaled_ws"),
        "resnet: fixup=true is a net without norms, wanted no norm, got norm.weight=scaled_ws");
    ck_assert_str_eq(refusal(fixup, "batch", NULL),
                     "resnet: fixup=true is a net without norms, wanted no norm, got norm=batch");
    nl_text_add(&spec, "%s:bias=before", fixup);
    ck_assert_str_eq(
        refusal(nl_text_of(&spec), "none", NULL),
        "resnet: fixup=true has scalar biases of its own, wanted bias=off, got bias=before");
    nl_text_free(&spec);
}
END_TEST

static nl_real *value_of(rig *r, const char *owner, const char *name)
{
    return nl_store_find(nl_model_store(r->model), owner, name)->val;
}

/* conv2 starts at 0, so a block's output is its shortcut: every second pixel of x + bias1a. */
START_TEST(fixup_shortcuts_of_another_shape_see_the_first_bias)
{
    enum { SIDE = 12, WIDTH = 2, BEFORE = 3 };
    rig r;
    open_shaped(&r, "resnet:depth=8:width=2:fixup=true:s2b1b1a/b.init=3", "none", NULL, 1,
                (nl_shape){.s = 1, .c = SIDE * SIDE, .h = SIDE, .w = SIDE}, OUTPUTS);
    loss(&r);
    const nl_real *x = value_of(&r, "s1b1b2b", "y"), *y = value_of(&r, "s2b1b2b", "y");
    for (int row = 0; row < SIDE / 2; row++)
        for (int col = 0; col < SIDE / 2; col++) {
            const int to = row * SIDE / 2 + col, from = 2 * row * SIDE + 2 * col;
            double channels[2 * WIDTH], wanted = 0, sum = 0;
            for (int c = 0; c < 2 * WIDTH; c++)
                sum += channels[c] = (double)y[to * 2 * WIDTH + c];
            for (int c = 0; c < WIDTH; c++)
                wanted += (double)x[from * WIDTH + c] + BEFORE;
            ck_assert_double_eq_tol(sum, wanted, 1e-4 * wanted);
            ck_assert_double_ge(channels[0], 0);
        }
    close_rig(&r);
}
END_TEST

START_TEST(methods_for_activated_layers_leave_the_answer_alone)
{
    rig r;
    open_rig(&r, "mlp:hidden=8", "scaled_ws", NULL);
    ck_assert_ptr_nonnull(nl_store_find(nl_model_store(r.model), "h1/weight", "g"));
    ck_assert_ptr_null(nl_store_find(nl_model_store(r.model), "out/weight", "g"));
    close_rig(&r);
    open_rig(&r, "mlp:hidden=8", "weight", NULL);
    ck_assert_ptr_nonnull(nl_store_find(nl_model_store(r.model), "out/weight", "g"));
    close_rig(&r);
}
END_TEST

START_TEST(parameters_of_layers_take_settings)
{
    nl_text spec = {0};
    ck_assert_int_eq(
        nl_model_canonical("mlp:out/b.init=0.50:w.l2=1e-3:hidden=8:h1/w.l2=0:b.freeze=1", &spec),
        NL_OK);
    ck_assert_ptr_nonnull(
        strstr(nl_text_of(&spec), ":b.freeze=true:w.l2=0.001:h1/w.l2=0:out/b.init=0.5"));
    rig r;
    open_rig(&r, nl_text_of(&spec), "batch", NULL);
    nl_store *store = nl_model_store(r.model);
    ck_assert_double_eq(nl_store_find(store, "out", "w")->set.l2, 1e-3);
    ck_assert_double_eq(nl_store_find(store, "h1", "w")->set.l2, 0);
    ck_assert(nl_store_find(store, "h1", "b")->set.freeze);
    ck_assert(!nl_store_find(store, "h1", "w")->set.freeze);
    ck_assert_double_eq((double)value_of(&r, "out", "b")[OUTPUTS - 1], 0.5);
    ck_assert_double_eq((double)value_of(&r, "h1", "b")[0], 0);
    close_rig(&r);
    nl_text_free(&spec);
    ck_assert_str_eq(refusal("mlp:hidden=8:v.l2=1", "none", NULL),
                     "mlp: v.l2 is of no parameter (known: h1/w, h1/b, out/w, out/b)");
    ck_assert_str_eq(refusal("mlp:hidden=8:h2/w.l2=1", "none", NULL),
                     "mlp: h2/w.l2 is of no parameter (known: h1/w, h1/b, out/w, out/b)");
    ck_assert_str_eq(refusal("mlp:w.l3=1", "none", NULL),
                     "mlp: w has no option 'l3'; did you mean 'lr'? (known: init, lr, l2, l2_to, "
                     "constraint, freeze)");
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("model");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 400);
    tcase_add_test(t, gradients_are_the_difference_quotients);
    tcase_add_test(t, gradients_of_networks_on_images_are_the_difference_quotients);
    tcase_add_test(t, lenet_bln_has_the_parameters_of_its_paper);
    tcase_add_test(t, a_hundred_layers_of_scaled_weights_keep_their_values_and_gradients);
    tcase_add_test(t, a_step_is_the_same_bytes_on_any_number_of_threads);
    tcase_add_test(t, gradients_of_outputs_share_memory_whatever_the_depth);
    tcase_add_test(t, weights_normalized_by_length_start_as_they_were);
    tcase_add_test(t, a_given_initial_value_rules_over_a_start);
    tcase_add_test(t, a_data_dependent_start_gives_unit_variance);
    tcase_add_test(t, initial_weights_do_not_depend_on_the_method);
    tcase_add_test(t, every_failing_allocation_is_a_clean_refusal);
    tcase_add_test(t, a_step_allocates_nothing);
    tcase_add_test(t, refusals_name_what_was_wanted);
    tcase_add_test(t, a_slot_that_the_model_lacks_is_refused);
    tcase_add_test(t, fixup_takes_neither_norms_nor_other_biases);
    tcase_add_test(t, fixup_shortcuts_of_another_shape_see_the_first_bias);
    tcase_add_test(t, methods_for_activated_layers_leave_the_answer_alone);
    tcase_add_test(t, parameters_of_layers_take_settings);
    suite_add_tcase(s, t);
    return run_suite(s);
}
