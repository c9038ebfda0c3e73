/* Networks of recurrent layers: gradients of every parameter through stacked layers, norms and
 * padding; which slots norm= and norm.SLOT= fill; a sequence's class can be learned. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "core/optim.h"
#include "layers/loss.h"
#include "registry.h"
#include "suite.h"

enum { N = 6, STEPS = 4, IN = 3, OUTPUTS = 2 };

typedef struct net {
    nl_model *model;
    nl_layer_call call;
    nl_real x[N * STEPS * IN], weight[N * OUTPUTS], d_logits[N * OUTPUTS];
    uint8_t live[N * STEPS];
} net;

static void fill(nl_real *v, int64_t count, uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)nl_random_normal((nl_key){7, NL_STREAM_TEST, stream}, (uint64_t)i);
}

static const char *norm_act;

static void open_net(net *r, const char *spec, const char *norm, const char *norm_h)
{
    const nl_model_setup setup = {.shape = {.s = STEPS, .c = IN},
                                  .outputs = OUTPUTS,
                                  .batch = N,
                                  .n = N,
                                  .norm = norm,
                                  .norm_slot = {[NL_SLOT_H] = norm_h, [NL_SLOT_ACT] = norm_act},
                                  .seed = 1};
    *r = (net){0};
    if (nl_model_open(&r->model, spec, &setup) != NL_OK)
        ck_abort_msg("%s with %s: %s", spec, norm, nl_last_error());
    fill(r->x, N * STEPS * IN, 1);
    fill(r->weight, N * OUTPUTS, 2);
    for (int i = 0; i < N * STEPS; i++)
        r->live[i] = i % STEPS < STEPS - i / STEPS % 3;
    r->call = (nl_layer_call){
        .n = N, .phase = NL_TRAIN, .seed = 1, .step = 30000, .x = r->x, .live = r->live};
}

static double loss(net *r)
{
    const nl_real *logits = nl_model_forward(r->model, &r->call);
    double sum = 0;
    for (int i = 0; i < N * OUTPUTS; i++)
        sum += (double)logits[i] * (double)r->weight[i];
    return sum;
}

static void gradients_agree(const char *spec, const char *norm, const char *norm_h)
{
    /* float: differences of losses of some 10 lose half their digits */
    const double h = sizeof(nl_real) == 8 ? 1e-5 : 4e-3, bound = sizeof(nl_real) == 8 ? 1e-6 : 8e-2;
    net r;
    int64_t count;
    double size = 1;
    open_net(&r, spec, norm, norm_h);
    nl_real *p = nl_store_params(nl_model_store(r.model), &count);
    const nl_real *g = nl_store_grads(nl_model_store(r.model), NULL);
    loss(&r);
    memcpy(r.d_logits, r.weight, sizeof r.d_logits);
    nl_model_backward(r.model, &r.call, r.d_logits);
    for (int64_t i = 0; i < count; i++)
        size = fmax(size, fabs((double)g[i]));
    for (int64_t i = 0; i < count; i++) {
        const nl_real keep = p[i];
        p[i] = (nl_real)((double)keep + h);
        const double up = loss(&r);
        p[i] = (nl_real)((double)keep - h);
        const double slope = (up - loss(&r)) / (2 * h);
        p[i] = keep;
        ck_assert_msg(fabs(slope - (double)g[i]) <= bound * size,
                      "%s with %s: parameter %d: %g, difference quotient %g", spec, norm, (int)i,
                      (double)g[i], slope);
    }
    nl_model_close(r.model);
}

START_TEST(gradients_go_through_stacked_layers)
{
    static const char *const specs[] = {"rnn:hidden=4:layers=2",
                                        "lstm:hidden=5/3",
                                        "gru:hidden=3:layers=3",
                                        "gru:hidden=4/3:reset=before",
                                        "lstm:hidden=4x2:dropout=0.3:recurrent_dropout=0.2",
                                        "lstm:hidden=3/4:bidirectional=true",
                                        "rnn:hidden=4:bidirectional=true"};
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        gradients_agree(specs[k], "none", NULL);
        gradients_agree(specs[k], "layer:eps=0.1", NULL);
        gradients_agree(specs[k], "batch:eps=0.1", "rms:eps=0.1");
        norm_act = "layer:eps=0.1";
        gradients_agree(specs[k], "none", NULL);
        norm_act = NULL;
    }
}
END_TEST

static bool has(nl_model *m, const char *owner)
{
    return nl_store_find(nl_model_store(m), owner, "gamma");
}

START_TEST(norms_fill_the_slots_of_the_model)
{
    net r;
    open_net(&r, "lstm:hidden=4x2", "layer", "none");
    ck_assert(has(r.model, "r1/x") && !has(r.model, "r1/h") && has(r.model, "r2/c"));
    nl_model_close(r.model);
    open_net(&r, "rnn:hidden=4", "layer", NULL);
    ck_assert(!has(r.model, "r1/x") && !has(r.model, "r1/h") && has(r.model, "r1/c"));
    nl_model_close(r.model);
    norm_act = "layer";
    open_net(&r, "lstm:hidden=4x2", "none", NULL);
    norm_act = NULL;
    ck_assert(!has(r.model, "r1/x") && has(r.model, "r1/act") && has(r.model, "r2/act"));
    nl_model_close(r.model);
    open_net(&r, "gru:hidden=4", "layer", "batch");
    ck_assert(has(r.model, "r1/x") && has(r.model, "r1/c"));
    ck_assert_ptr_nonnull(nl_store_find(nl_model_store(r.model), "r1/h", "run_mean"));
    nl_model_close(r.model);
    open_net(&r, "gru:hidden=4:reset=before", "layer", "rms");
    ck_assert(has(r.model, "r1/h_n") && !nl_store_find(nl_model_store(r.model), "r1/h_n", "beta"));
    ck_assert(nl_store_find(nl_model_store(r.model), "r1/c", "beta"));
    nl_model_close(r.model);
}
END_TEST

START_TEST(the_other_direction_is_a_layer_of_its_own)
{
    net r;
    open_net(&r, "gru:hidden=4/3:bidirectional=true", "layer", NULL);
    ck_assert(has(r.model, "r1/x") && has(r.model, "r1_back/x") && has(r.model, "r2_back/c"));
    ck_assert_int_eq(nl_store_find(nl_model_store(r.model), "r2", "wx")->rows, 8);
    ck_assert_int_eq(nl_store_find(nl_model_store(r.model), "out", "w")->rows, 6);
    nl_model_close(r.model);
}
END_TEST

/* Whether the first value of a sequence is positive, seen in its last output. */
static double loss_after_training(const char *spec, const char *norm)
{
    net r;
    nl_optim *optim;
    int32_t label[N];
    const nl_answers answers = {.rows = N, .outputs = OUTPUTS, .label = label};
    open_net(&r, spec, norm, NULL);
    for (int i = 0; i < N; i++)
        label[i] = r.x[i * STEPS * IN] > 0;
    ck_assert_int_eq(nl_optim_open(&optim, "adam:lr=0.02", nl_model_store(r.model), 200), NL_OK);
    r.call.update = true;
    for (r.call.step = 0; r.call.step < 200; r.call.step++) {
        const nl_real *logits = nl_model_forward(r.model, &r.call);
        nl_loss_of(&answers, logits, r.d_logits);
        nl_model_backward(r.model, &r.call, r.d_logits);
        nl_optim_step(optim, false);
        nl_model_after_step(r.model);
    }
    const nl_real *logits = nl_model_forward(r.model, &r.call);
    const double after = nl_loss_of(&answers, logits, NULL).loss;
    nl_optim_close(optim);
    nl_model_close(r.model);
    return after / N;
}

START_TEST(a_class_is_learned_from_a_first_step)
{
    static const char *const specs[] = {"rnn:hidden=8", "lstm:hidden=8", "gru:hidden=8",
                                        "gru:hidden=8:reset=before"};
    static const char *const norms[] = {"none", "layer", "rms"};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++)
            ck_assert_double_lt(loss_after_training(specs[k], norms[i]), 0.1);
}
END_TEST

START_TEST(tokens_are_not_read_as_values)
{
    const nl_model_setup setup = {
        .shape = {.s = STEPS, .c = 1, .vocabulary = 7}, .outputs = OUTPUTS, .batch = N, .n = N};
    nl_model *m;
    ck_assert_int_eq(nl_model_open(&m, "mlp", &setup), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "mlp: layer h1 (dense) reads values, got tokens (7 of them)");
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("recurrent_models");
    TCase *t = tcase_create("all");
    tcase_add_test(t, gradients_go_through_stacked_layers);
    tcase_add_test(t, the_other_direction_is_a_layer_of_its_own);
    tcase_add_test(t, norms_fill_the_slots_of_the_model);
    tcase_add_test(t, tokens_are_not_read_as_values);
    tcase_add_test(t, a_class_is_learned_from_a_first_step);
    suite_add_tcase(s, t);
    return run_suite(s);
}
