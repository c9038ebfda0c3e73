/* What the log sees of recurrent layers: the slots of a step, put together by the cell's formula,
 * give its states; padding is in no row; looking changes nothing. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "one_layer.h"
#include "registry.h"
#include "suite.h"

enum {
    N = 6,
    STEPS = 4,
    IN = 3,
    U = 5,
    WIDEST = 4 * U,
    SLOT_X = 0,
    SLOT_H,
    SLOT_C,
    SLOT_OUT,
    SLOT_HN
};

typedef struct rig {
    nl_model *model;
    nl_layer *layer;
    nl_layer_call call;
    nl_real x[N * STEPS * IN];
    uint8_t live[N * STEPS];
    /* of the position at hand */
    nl_real x_pre[N * WIDEST], h_pre[N * WIDEST], c_pre[N * U], h[N * U];
    nl_real x_post[N * WIDEST], h_post[N * WIDEST], c_post[N * U];
} rig;

static void fill(nl_real *v, int64_t count, uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)nl_random_normal((nl_key){3, NL_STREAM_TEST, stream}, (uint64_t)i);
}

static void open_rig(rig *r, const char *spec, const char *norm)
{
    const nl_model_setup setup = {
        .shape = {.s = STEPS, .c = IN}, .outputs = 1, .batch = N, .n = N, .norm = norm, .seed = 1};
    *r = (rig){0};
    if (open_one_layer(&r->model, spec, &setup) != NL_OK)
        ck_abort_msg("%s with %s: %s", spec, norm, nl_last_error());
    r->layer = nl_model_layer(r->model, 0);
    int64_t count;
    nl_real *p = nl_store_params(nl_model_store(r->model), &count);
    for (int64_t i = 0; i < count; i++)
        p[i] += (nl_real)(0.2 * nl_random_normal((nl_key){3, NL_STREAM_TEST, 9}, (uint64_t)i));
    fill(r->x, N * STEPS * IN, 1);
    r->call = (nl_layer_call){
        .n = N, .phase = NL_TRAIN, .update = true, .seed = 1, .step = 30000, .x = r->x};
    r->call.y = nl_model_forward(r->model, &r->call);
}

static int64_t look(rig *r, int64_t position)
{
    const struct {
        int slot;
        nl_real *pre, *post;
    } row[] = {{SLOT_X, r->x_pre, r->x_post},
               {SLOT_H, r->h_pre, r->h_post},
               {SLOT_C, r->c_pre, r->c_post},
               {SLOT_OUT, r->h, NULL}};
    int64_t rows = 0;
    for (int k = 0; k < 4; k++)
        rows = r->layer->ops->observe_step(r->layer, &r->call, row[k].slot, position, row[k].pre,
                                           row[k].post);
    return rows;
}

static double sigmoid(double v) { return 1 / (1 + exp(-v)); }

/* x, h and bias of gate g for unit k of row i. */
static double sum_of(const rig *r, int gates, int i, int g, int k)
{
    const nl_real *b = nl_store_find(nl_model_store(r->model), "l", "b")->val;
    const int at = (i * gates + g) * U + k;
    return (double)r->x_post[at] + (double)r->h_post[at] + (double)b[g * U + k];
}

static void same(const char *spec, const char *norm, const char *what, double got, double wanted)
{
    const double bound = sizeof(nl_real) == 8 ? 1e-12 : 1e-5;
    ck_assert_msg(fabs(got - wanted) <= bound * (1 + fabs(wanted)),
                  "%s with %s: %s is %.9g, not %.9g", spec, norm, what, got, wanted);
}

static const char *const norms[] = {"none", "layer", "batch", "batch_renorm:r_max=2:d_max=1",
                                    "batch:time=pooled"};

START_TEST(an_rnn_adds_what_its_slots_give)
{
    static const char *const specs[] = {"rnn:units=5", "rnn:units=5:reverse=true",
                                        "rnn:units=5:recurrent_dropout=0.3:dropout=0.2"};
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
            rig r;
            open_rig(&r, specs[s], norms[m]);
            for (int64_t t = 0; t < STEPS; t++) {
                ck_assert_int_eq(look(&r, t), N);
                for (int i = 0; i < N; i++)
                    for (int k = 0; k < U; k++) {
                        same(specs[s], norms[m], "sum", (double)r.c_pre[i * U + k],
                             sum_of(&r, 1, i, 0, k));
                        same(specs[s], norms[m], "h", (double)r.h[i * U + k],
                             tanh((double)r.c_post[i * U + k]));
                    }
            }
            nl_model_close(r.model);
        }
}
END_TEST

START_TEST(an_lstm_gates_what_its_slots_give)
{
    for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
        rig r;
        double c[N * U] = {0};
        open_rig(&r, "lstm:units=5", norms[m]);
        for (int64_t t = 0; t < STEPS; t++) {
            look(&r, t);
            for (int i = 0; i < N; i++)
                for (int k = 0; k < U; k++) {
                    const int at = i * U + k;
                    c[at] = sigmoid(sum_of(&r, 4, i, 1, k)) * c[at] +
                            sigmoid(sum_of(&r, 4, i, 0, k)) * tanh(sum_of(&r, 4, i, 2, k));
                    same("lstm", norms[m], "c", (double)r.c_pre[at], c[at]);
                    same("lstm", norms[m], "h", (double)r.h[at],
                         sigmoid(sum_of(&r, 4, i, 3, k)) * tanh((double)r.c_post[at]));
                }
        }
        nl_model_close(r.model);
    }
}
END_TEST

/* (r h_{t-1}) U_n */
static double early_product(nl_model *m, const double *r, const double *h, int k)
{
    const nl_real *un = nl_store_find(nl_model_store(m), "l", "wh_n")->val;
    double sum = 0;
    for (int j = 0; j < U; j++)
        sum += r[j] * h[j] * (double)un[j * U + k];
    return sum;
}

/* Gates of row i, from slots x (z r n) and h (z r): sigmoid of gate g for every unit. */
static void early_gate(const rig *r, int i, int g, double *gate)
{
    const nl_real *b = nl_store_find(nl_model_store(r->model), "l", "b")->val;
    for (int k = 0; k < U; k++)
        gate[k] = sigmoid((double)r->x_post[(i * 3 + g) * U + k] +
                          (double)r->h_post[(i * 2 + g) * U + k] + (double)b[g * U + k]);
}

START_TEST(a_gru_that_resets_before_projects_the_reset_state)
{
    for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
        rig r;
        double h[N * U] = {0}, update[U], reset[U];
        nl_real pre[N * U], post[N * U];
        open_rig(&r, "gru_before:units=5", norms[m]);
        const nl_real *b = nl_store_find(nl_model_store(r.model), "l", "b")->val;
        for (int64_t t = 0; t < STEPS; t++) {
            look(&r, t);
            r.layer->ops->observe_step(r.layer, &r.call, SLOT_HN, t, pre, post);
            for (int i = 0; i < N; i++) {
                early_gate(&r, i, 0, update), early_gate(&r, i, 1, reset);
                for (int k = 0; k < U; k++)
                    same("gru", norms[m], "(r h) U", (double)pre[i * U + k],
                         early_product(r.model, reset, h + i * U, k));
                for (int k = 0; k < U; k++) {
                    const int at = i * U + k, of_n = (i * 3 + 2) * U + k;
                    const double n = tanh((double)r.c_post[at]);
                    same("gru", norms[m], "sum", (double)r.c_pre[at],
                         (double)r.x_post[of_n] + (double)b[2 * U + k] + (double)post[at]);
                    h[at] = (1 - update[k]) * n + update[k] * h[at];
                    same("gru", norms[m], "h", (double)r.h[at], h[at]);
                }
            }
        }
        nl_model_close(r.model);
    }
}
END_TEST

/* Mean and mean square of channel k of slot x's output over the live rows of all steps. */
static void moments_of(rig *r, int64_t channels, int64_t k, double *mean, double *square)
{
    double sum = 0, squares = 0, count = 0;
    for (int64_t t = 0; t < STEPS; t++)
        for (int64_t i = look(r, t) - 1; i >= 0; i--, count++) {
            const double v = (double)r->x_post[i * channels + k];
            sum += v, squares += v * v;
        }
    *mean = sum / count, *square = squares / count;
}

/* Laurent et al. 2016: one mean and variance for all steps of the batch's input projection. */
START_TEST(pooled_over_time_the_projection_is_standardized_as_a_whole)
{
    static const char *const specs[] = {"lstm:units=5", "lstm:units=5:reverse=true"};
    for (int k = 0; k < 4; k++) {
        rig r;
        double mean, square;
        open_rig(&r, specs[k % 2], "batch:eps=0:gamma.init=1:time=pooled");
        nl_store *s = nl_model_store(r.model);
        const nl_item *gamma = nl_store_find(s, "l/x", "gamma");
        const nl_item *beta = nl_store_find(s, "l/x", "beta");
        for (int64_t i = 0; i < gamma->count; i++)
            ((nl_real *)gamma->val)[i] = 1, ((nl_real *)beta->val)[i] = 0;
        for (int i = 0; i < N * STEPS; i++)
            r.live[i] = k < 2 || i % STEPS < STEPS - i / STEPS % 3;
        r.call.live = r.live;
        r.call.y = nl_model_forward(r.model, &r.call);
        for (int64_t c = 0; c < 4 * U; c++) {
            moments_of(&r, 4 * U, c, &mean, &square);
            same(specs[k % 2], "batch", "the mean", mean, 0);
            same(specs[k % 2], "batch", "the mean square", square, 1);
        }
        ck_assert_int_eq(nl_store_find(s, "l/x", "run_mean")->steps, 1);
        ck_assert_int_eq(nl_store_find(s, "l/h", "run_mean")->steps, 1);
        nl_model_close(r.model);
    }
}
END_TEST

/* With the same weights in all steps, those of the last step would be all that is left. */
START_TEST(a_pooled_population_weighs_the_steps_of_a_batch_alike)
{
    rig r;
    open_rig(&r, "rnn:units=5", "batch:time=pooled:momentum=0.5:unbiased=false");
    const nl_item *run = nl_store_find(nl_model_store(r.model), "l/c", "run_mean");
    double mean[U] = {0};
    const double weight = 1 - pow(0.5, 1.0 / STEPS);
    for (int64_t t = 0; t < STEPS; t++) {
        look(&r, t);
        for (int k = 0; k < U; k++) {
            double sum = 0;
            for (int i = 0; i < N; i++)
                sum += (double)r.c_pre[i * U + k] / N;
            mean[k] += weight * (sum - mean[k]);
        }
    }
    for (int k = 0; k < U; k++)
        same("rnn", "batch", "the running mean", (double)((nl_real *)run->val)[k], mean[k]);
    nl_model_close(r.model);
}
END_TEST

/* Sequences of 4, 3, 2, 1, 4, 3 steps. */
START_TEST(rows_of_padding_are_left_out)
{
    rig r, whole;
    open_rig(&r, "gru:units=5", "layer");
    open_rig(&whole, "gru:units=5", "layer");
    for (int i = 0; i < N; i++)
        for (int t = 0; t < STEPS; t++)
            r.live[i * STEPS + t] = t < STEPS - i % 4;
    r.call.live = r.live;
    r.call.y = nl_model_forward(r.model, &r.call);
    for (int64_t t = 0; t < STEPS; t++) {
        int64_t rows = 0;
        look(&whole, t);
        const int64_t live = look(&r, t);
        for (int i = 0; i < N; i++) {
            if (!r.live[i * STEPS + t])
                continue;
            ck_assert_mem_eq(r.x_pre + rows * 3 * U, whole.x_pre + i * 3 * U, 3 * U * sizeof *r.x);
            ck_assert_mem_eq(r.h_post + rows * 3 * U, whole.h_post + i * 3 * U,
                             3 * U * sizeof *r.x);
            ck_assert_mem_eq(r.c_post + rows * U, whole.c_post + i * U, U * sizeof *r.x);
            ck_assert_mem_eq(r.h + rows * U, whole.h + i * U, U * sizeof *r.x);
            rows++;
        }
        ck_assert_int_eq(live, rows);
    }
    nl_model_close(r.model);
    nl_model_close(whole.model);
}
END_TEST

/* h_t = h_{t-1} + x_t, so gradients go back unchanged: (3, 4) asked for of h at position 1 and
 * (3, 0) at position 2 meet in the step that is read first. */
START_TEST(lengths_of_gradients_are_by_position)
{
    static const char *const specs[] = {"rnn:units=5:act=linear:sequences=true",
                                        "rnn:units=5:act=linear:sequences=true:reverse=true"};
    const double both = sqrt(36 + 16);
    const double wanted[2][STEPS] = {{both, both, 3, 0}, {0, 5, both, both}};
    for (int k = 0; k < 2; k++) {
        rig r;
        nl_real dy[N * STEPS * U] = {0};
        open_rig(&r, specs[k], "none");
        nl_real *u = nl_store_find(nl_model_store(r.model), "l", "wh")->val;
        for (int i = 0; i < U * U; i++)
            u[i] = (nl_real)(i % (U + 1) == 0);
        r.call.y = nl_model_forward(r.model, &r.call);
        for (int i = 0; i < N; i++) {
            nl_real *of = dy + i * STEPS * U;
            of[U] = 3, of[U + 1] = 4, of[2 * U] = 3;
        }
        r.call.logged = true;
        r.call.dy = dy;
        r.layer->ops->backward(r.layer, &r.call);
        for (int t = 0; t < STEPS; t++)
            same(specs[k], "none", "a length", r.layer->ops->step_gradients(r.layer)[t],
                 wanted[k][t]);
        nl_model_close(r.model);
    }
}
END_TEST

/* ---- gradients inside of cells */

enum { SLOTS = 5 };

typedef struct told {
    nl_step_watch is;
    const uint8_t *live; /* (n, position) */
    nl_real g[SLOTS][NL_SIDES][STEPS][N * WIDEST];
    int times[SLOTS][NL_SIDES][STEPS];
} told;

static void tell(nl_step_watch *w, const nl_layer *l, int slot, nl_side side, int64_t position,
                 int64_t n, const uint8_t *live, const nl_real *g)
{
    told *t = (told *)w;
    const int64_t width = l->ops->slot_geom(l, slot).c;
    ck_assert_int_eq(n, N);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(live ? live[i] : 1, t->live ? t->live[i * STEPS + position] : 1);
    memcpy(t->g[slot][side][position], g, (size_t)(n * width) * sizeof *g);
    t->times[slot][side][position]++;
}

/* Backward of a random dL/dh, whose numbers are dy. */
static void go_back(rig *r, told *t, nl_real dy[N * STEPS * U])
{
    nl_real given[N * STEPS * U];
    memset(t, 0, sizeof *t);
    t->is.gradient = tell;
    t->live = r->call.live;
    fill(dy, N * STEPS * U, 2);
    memcpy(given, dy, sizeof given);
    r->call.dy = given;
    r->call.steps = &t->is;
    r->layer->ops->backward(r->layer, &r->call);
}

static const char *const sequences[] = {"rnn:units=5:sequences=true",
                                        "rnn:units=5:sequences=true:reverse=true",
                                        "lstm:units=5:sequences=true", "gru:units=5:sequences=true",
                                        "gru_before:units=5:sequences=true"};

/* dL/dWx = sum over positions and rows of x dL/d(x Wx)', dL/dU likewise. */
START_TEST(gradients_before_the_norms_are_those_of_both_products)
{
    for (size_t s = 0; s < sizeof sequences / sizeof *sequences; s++)
        for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
            rig r;
            told t;
            nl_real dy[N * STEPS * U], h[STEPS + 1][N * U] = {{0}};
            open_rig(&r, sequences[s], norms[m]);
            go_back(&r, &t, dy);
            const bool reverse = strstr(sequences[s], "reverse");
            const nl_item *wx = nl_store_find(nl_model_store(r.model), "l", "wx");
            const nl_item *wh = nl_store_find(nl_model_store(r.model), "l", "wh");
            for (int64_t p = 0; p < STEPS; p++)
                r.layer->ops->observe_step(r.layer, &r.call, SLOT_OUT, p, h[p + !reverse], NULL);
            for (int64_t k = 0; k < wx->count; k++) {
                double sum = 0;
                for (int64_t i = 0; i < N * STEPS; i++)
                    sum +=
                        (double)r.x[i * IN + k / wx->cols] *
                        (double)t.g[SLOT_X][NL_PRE][i % STEPS][i / STEPS * wx->cols + k % wx->cols];
                same(sequences[s], norms[m], "dL/dWx", (double)wx->grad[k], sum);
            }
            for (int64_t k = 0; k < wh->count; k++) {
                double sum = 0;
                for (int64_t i = 0; i < N * STEPS; i++)
                    sum +=
                        (double)h[i % STEPS + reverse][i / STEPS * U + k / wh->cols] *
                        (double)t.g[SLOT_H][NL_PRE][i % STEPS][i / STEPS * wh->cols + k % wh->cols];
                same(sequences[s], norms[m], "dL/dU", (double)wh->grad[k], sum);
            }
            nl_model_close(r.model);
        }
}
END_TEST

/* i, f, g and o of the LSTM see dL/ds g, dL/ds c_{t-1}, dL/ds i and dL/dh tanh(z), each times the
 * slope of its activation; dL/dz = dL/dh o tanh'(z), and dL/dc_t if c_t is z. */
START_TEST(an_lstms_gates_and_its_inner_state_have_the_gradients_of_its_formula)
{
    static const char *const specs[] = {"lstm:units=5:sequences=true",
                                        "lstm:units=5:sequences=true:carry=normalized"};
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
            rig r;
            told d;
            nl_real dy[N * STEPS * U];
            double carried[N * U] = {0};
            open_rig(&r, specs[s], norms[m]);
            go_back(&r, &d, dy);
            const bool z_goes_on = s == 1 || m == 0;
            for (int64_t t = 0; t < STEPS; t++) {
                look(&r, t);
                for (int i = 0; i < N; i++)
                    for (int k = 0; k < U; k++) {
                        const int at = i * U + k;
                        const nl_real *post = d.g[SLOT_X][NL_POST][t] + i * 4 * U + k;
                        const double ds = (double)d.g[SLOT_C][NL_PRE][t][at];
                        const double dz = (double)d.g[SLOT_C][NL_POST][t][at];
                        const double in = sigmoid(sum_of(&r, 4, i, 0, k)),
                                     f = sigmoid(sum_of(&r, 4, i, 1, k)),
                                     g = tanh(sum_of(&r, 4, i, 2, k)),
                                     o = sigmoid(sum_of(&r, 4, i, 3, k)),
                                     v = tanh((double)r.c_post[at]);
                        same(specs[s], norms[m], "of i", (double)post[0], ds * g * in * (1 - in));
                        same(specs[s], norms[m], "of f", (double)post[U],
                             ds * carried[at] * f * (1 - f));
                        same(specs[s], norms[m], "of g", (double)post[2 * U],
                             ds * in * (1 - g * g));
                        if (t == STEPS - 1) { /* nothing later: dL/dh is dy */
                            const double dh = (double)dy[(i * STEPS + t) * U + k];
                            same(specs[s], norms[m], "of o", (double)post[3 * U],
                                 dh * v * o * (1 - o));
                            same(specs[s], norms[m], "of z", dz, dh * o * (1 - v * v));
                        }
                        if (!z_goes_on) /* dL/dh from o */
                            same(specs[s], norms[m], "of z", dz * v * (1 - o),
                                 (double)post[3 * U] * (1 - v * v));
                        carried[at] = (double)(z_goes_on ? r.c_post : r.c_pre)[at];
                    }
            }
            nl_model_close(r.model);
        }
}
END_TEST

START_TEST(every_side_of_every_slot_is_told_once_a_position_with_its_padding)
{
    for (size_t s = 0; s < sizeof sequences / sizeof *sequences; s++)
        for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
            rig r;
            told t;
            nl_real dy[N * STEPS * U];
            open_rig(&r, sequences[s], norms[m]);
            for (int i = 0; i < N * STEPS; i++)
                r.live[i] = i % STEPS < STEPS - i / STEPS % 3;
            r.call.live = r.live;
            r.call.y = nl_model_forward(r.model, &r.call);
            go_back(&r, &t, dy);
            for (int slot = 0; slot < SLOTS; slot++)
                for (int k = 0; k < NL_SIDES * STEPS; k++)
                    ck_assert_msg(t.times[slot][k % NL_SIDES][k / NL_SIDES] ==
                                      (slot != SLOT_OUT &&
                                       (slot != SLOT_HN || strstr(sequences[s], "before"))),
                                  "%s with %s: slot %d", sequences[s], norms[m], slot);
            nl_model_close(r.model);
        }
}
END_TEST

static uint64_t kept_bytes(const rig *r)
{
    nl_store *s = nl_model_store(r->model);
    uint64_t hash = NL_HASH_START;
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->decl->role == NL_STATE || it->decl->role == NL_SAVED)
            hash =
                nl_hash_bytes(hash, it->val, (uint64_t)it->count * nl_type_bytes(it->decl->type));
    }
    return hash;
}

START_TEST(looking_changes_no_state_and_nothing_that_backward_reads)
{
    for (size_t m = 0; m < sizeof norms / sizeof *norms; m++) {
        rig r;
        open_rig(&r, "lstm:units=5", norms[m]);
        const uint64_t before = kept_bytes(&r);
        for (int64_t t = 0; t < STEPS; t++)
            look(&r, t);
        ck_assert_msg(kept_bytes(&r) == before, "%s", norms[m]);
        nl_model_close(r.model);
    }
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("rnn_observe");
    TCase *t = tcase_create("all");
    tcase_add_test(t, an_rnn_adds_what_its_slots_give);
    tcase_add_test(t, an_lstm_gates_what_its_slots_give);
    tcase_add_test(t, a_gru_that_resets_before_projects_the_reset_state);
    tcase_add_test(t, pooled_over_time_the_projection_is_standardized_as_a_whole);
    tcase_add_test(t, a_pooled_population_weighs_the_steps_of_a_batch_alike);
    tcase_add_test(t, rows_of_padding_are_left_out);
    tcase_add_test(t, lengths_of_gradients_are_by_position);
    tcase_add_test(t, gradients_before_the_norms_are_those_of_both_products);
    tcase_add_test(t, an_lstms_gates_and_its_inner_state_have_the_gradients_of_its_formula);
    tcase_add_test(t, every_side_of_every_slot_is_told_once_a_position_with_its_padding);
    tcase_add_test(t, looking_changes_no_state_and_nothing_that_backward_reads);
    suite_add_tcase(s, t);
    return run_suite(s);
}
