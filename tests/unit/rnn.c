/* Recurrent layers: gradients of every cell with every method in every slot, through time and
 * padding; padding is nothing, to the byte; a batch is its examples; the same bytes on any number
 * of threads; options. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "one_layer.h"
#include "par/par.h"
#include "registry.h"
#include "suite.h"

typedef struct rig {
    nl_model *model;
    nl_layer *layer;
    nl_layer_call call;
    nl_shape shape;
    int64_t n, values, outputs; /* values of x and y */
    nl_real *x, *y, *weight, *dy, *dx;
    uint8_t *live;
} rig;

typedef struct what {
    const char *spec, *norm;
    const char *slot; /* where the norm is; NULL: in all three */
    int64_t n, steps, c;
} what;

static void fill(nl_real *v, int64_t count, uint64_t stream)
{
    const nl_key key = {5, NL_STREAM_TEST, stream};
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)nl_random_normal(key, (uint64_t)i);
}

/* Where parameters start several things are equal. */
static void leave_the_start(nl_model *m)
{
    int64_t count;
    nl_real *p = nl_store_params(nl_model_store(m), &count);
    for (int64_t i = 0; i < count; i++)
        p[i] += (nl_real)(0.2 * nl_random_normal((nl_key){5, NL_STREAM_TEST, 9}, (uint64_t)i));
}

static bool stateful; /* of the models to be opened */

static nl_status open_model(nl_model **m, what k)
{
    nl_model_setup setup = {.shape = {.s = k.steps, .c = k.c},
                            .outputs = 1,
                            .batch = k.n,
                            .n = k.n,
                            .stateful = stateful,
                            .norm = k.slot ? "none" : k.norm,
                            .seed = 1};
    for (int i = 0; k.slot && i < NL_MODEL_SLOTS; i++)
        if (strcmp(nl_model_slot_names[i], k.slot) == 0)
            setup.norm_slot[i] = k.norm;
    return open_one_layer(m, k.spec, &setup);
}

static nl_real *reals(int64_t count) { return nl_alloc((size_t)count, sizeof(nl_real)); }

static bool try_rig(rig *r, what k)
{
    *r = (rig){.n = k.n, .shape = {.s = k.steps, .c = k.c}, .values = k.n * k.steps * k.c};
    if (open_model(&r->model, k) != NL_OK)
        return false;
    r->layer = nl_model_layer(r->model, 0);
    r->outputs = k.n * r->layer->out.s * r->layer->out.c;
    r->x = reals(r->values), r->dx = reals(r->values);
    r->y = reals(r->outputs), r->weight = reals(r->outputs), r->dy = reals(r->outputs);
    r->live = nl_alloc((size_t)(k.n * k.steps), 1);
    fill(r->x, r->values, 1);
    fill(r->weight, r->outputs, 2);
    leave_the_start(r->model);
    r->call = (nl_layer_call){.n = k.n, .phase = NL_TRAIN, .seed = 1, .step = 30000, .x = r->x};
    return true;
}

static void open_rig(rig *r, what k)
{
    if (!try_rig(r, k))
        ck_abort_msg("%s with %s: %s", k.spec, k.norm, nl_last_error());
}

static void close_rig(rig *r)
{
    nl_model_close(r->model);
    nl_free(r->x), nl_free(r->dx), nl_free(r->y), nl_free(r->weight), nl_free(r->dy);
    nl_free(r->live);
}

/* Sequences of all, 2, all but one, 1, ... steps, every other one at the end of its row. */
static void pad(rig *r)
{
    const int64_t steps = r->shape.s, lengths[] = {steps, 2, steps - 1, 1};
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t t = 0; t < steps; t++) {
            const int64_t length = lengths[i % 4];
            r->live[i * steps + t] = i % 2 ? t >= steps - length : t < length;
        }
    r->call.live = r->live;
}

static double loss(rig *r)
{
    const nl_real *y = nl_model_forward(r->model, &r->call);
    double sum = 0;
    memcpy(r->y, y, (size_t)r->outputs * sizeof *y);
    for (int64_t i = 0; i < r->outputs; i++)
        sum += (double)y[i] * (double)r->weight[i];
    return sum;
}

static void backward(rig *r)
{
    nl_layer_call c = r->call;
    c.dy = r->dy, c.dx = r->dx;
    nl_store_zero_grads(nl_model_store(r->model));
    memcpy(r->dy, r->weight, (size_t)r->outputs * sizeof *r->dy);
    r->layer->ops->backward(r->layer, &c);
}

/* ---- gradients */

static double loss_at(rig *r, nl_real *place, double value)
{
    *place = (nl_real)value;
    return loss(r);
}

/* Difference quotient of fourth order: few live rows make for sharp bends. */
static double slope_at(rig *r, nl_real *place)
{
    const double h = sizeof(nl_real) == 8 ? 2e-5 : 4e-3;
    const nl_real keep = *place;
    const double v = (double)keep;
    const double near = loss_at(r, place, v + h) - loss_at(r, place, v - h);
    const double far = loss_at(r, place, v + 2 * h) - loss_at(r, place, v - 2 * h);
    *place = keep;
    return (8 * near - far) / (12 * h);
}

static void compare(rig *r, const what *k, const char *name, nl_real *v, const nl_real *g,
                    int64_t count, double size)
{
    /* float: differences of losses of some 10 lose half their digits */
    const double bound = sizeof(nl_real) == 8 ? 1e-6 : 8e-2;
    for (int64_t i = 0; i < count; i++) {
        const double slope = slope_at(r, &v[i]);
        ck_assert_msg(fabs(slope - (double)g[i]) <= bound * size,
                      "%s, %s in %s, n %d%s: %s at %d: %g, difference quotient %g", k->spec,
                      k->norm, k->slot ? k->slot : "all slots", (int)r->n,
                      r->call.live ? ", padded" : "", name, (int)i, (double)g[i], slope);
    }
}

static double largest(const nl_real *g, int64_t count)
{
    double most = 1;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs((double)g[i]));
    return most;
}

/* False when the method refuses the shape. */
static bool gradients_agree(what k, bool padded)
{
    rig r;
    int64_t count;
    if (!try_rig(&r, k)) {
        close_rig(&r);
        return false;
    }
    if (padded)
        pad(&r);
    loss(&r);
    backward(&r);
    r.call.hold = true; /* of methods whose gradient stops somewhere */
    const nl_real *g = nl_store_grads(nl_model_store(r.model), &count);
    const double size = fmax(largest(g, count), largest(r.dx, r.values));
    compare(&r, &k, "x", r.x, r.dx, r.values, size);
    for (int i = 0; i < nl_store_count(nl_model_store(r.model)); i++) {
        const nl_item *it = nl_store_at(nl_model_store(r.model), i);
        if (it->decl->role == NL_PARAM)
            compare(&r, &k, it->decl->name, it->val, it->grad, it->count, size);
    }
    close_rig(&r);
    return true;
}

enum { CELLS = 4 };
static const char *const cells[CELLS] = {"rnn:units=4", "lstm:units=4", "gru:units=4",
                                         "gru_before:units=4"};

/* A method's spec as gradient checks want it: group sizes that fit, in float smooth functions. */
static void spec_of(const nl_norm_ops *ops, bool pooled, char *spec)
{
    snprintf(spec, 64, "%s%s%s%s", ops->name, strcmp(ops->name, "group") == 0 ? ":groups=2" : "",
             sizeof(nl_real) == 8 ? "" : ":eps=0.5", pooled ? ":time=pooled" : "");
}

static bool sits_in_cells(const nl_norm_ops *ops)
{
    return ops->sites & NL_AT_RNN && strcmp(ops->name, "identity") != 0;
}

static int check_method(const char *spec)
{
    static const char *const where[] = {"x", "h", "c", "act", NULL};
    int checked = 0;
    for (int k = 0; k < CELLS; k++)
        for (int s = 0; s < 5; s++) {
            char cell[64];
            snprintf(cell, sizeof cell, "%s:sequences=%d", cells[k], (k + s) % 2);
            checked += gradients_agree((what){cell, spec, where[s], 5, 4, 3}, s % 2);
            checked += gradients_agree((what){cell, spec, where[s], 5, 4, 3}, !(s % 2));
            checked += gradients_agree((what){cell, spec, where[s], 1, 3, 3}, s % 2);
        }
    return checked;
}

START_TEST(gradients_of_every_cell_with_every_method_in_every_slot)
{
    const nl_norm_ops *ops;
    int checked = 0;
    for (int i = 0; (ops = nl_norm_at(i)); i++) {
        char spec[64];
        if (!sits_in_cells(ops))
            continue;
        spec_of(ops, false, spec);
        checked += check_method(spec);
    }
    ck_assert_int_ge(checked, 6 * CELLS * 5 * 2);
}
END_TEST

START_TEST(gradients_of_every_method_that_can_pool_time)
{
    const nl_norm_ops *ops;
    int methods = 0;
    for (int i = 0; (ops = nl_norm_at(i)); i++) {
        char spec[64];
        if (!sits_in_cells(ops) || !nl_option_find(ops->options, "time"))
            continue;
        methods++;
        spec_of(ops, true, spec);
        ck_assert_msg(check_method(spec) > 0, "%s", spec);
        for (int k = 0; k < CELLS; k++) { /* a sequence from its end, and rows over all its steps */
            char cell[64];
            snprintf(cell, sizeof cell, "%s:reverse=true:recurrent_dropout=0.3", cells[k]);
            ck_assert_msg(gradients_agree((what){cell, spec, "x", 4, 3, 3}, true), "%s", spec);
        }
    }
    ck_assert_int_ge(methods, 6);
}
END_TEST

START_TEST(gradients_under_every_option)
{
    static const char *const more[] = {
        "",
        "sequences=true",
        "reverse=true:sequences=true",
        "reverse=true",
        "bias=false",
        "learn_initial=true:sequences=true",
        "dropout=0.3:recurrent_dropout=0.4:sequences=true",
        "recurrent_dropout=0.4:learn_initial=true",
        "initial_noise=0.3:learn_initial=true",
    };
    for (int k = 0; k < CELLS; k++)
        for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
            char spec[128];
            snprintf(spec, sizeof spec, "%s:%s", cells[k], more[i]);
            for (int padded = 0; padded < 2; padded++) {
                ck_assert(gradients_agree((what){spec, "none", NULL, 4, 4, 3}, padded));
                ck_assert(gradients_agree((what){spec, "layer:eps=0.1", NULL, 4, 4, 3}, padded));
            }
        }
}
END_TEST

START_TEST(gradients_of_activations_and_carried_states)
{
    static const char *const specs[] = {
        "rnn:units=4:act=relu", "rnn:units=4:act=sigmoid:sequences=true", "rnn:units=4:act=linear",
        "lstm:units=4:carry=normalized:sequences=true",
        "lstm:units=4:carry=normalized:learn_initial=true"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (int padded = 0; padded < 2; padded++) {
            ck_assert(gradients_agree((what){specs[i], "none", NULL, 4, 4, 3}, padded));
            ck_assert(gradients_agree((what){specs[i], "layer:eps=0.1", NULL, 4, 4, 3}, padded));
            ck_assert(gradients_agree((what){specs[i], "batch:eps=0.1", "c", 4, 4, 3}, padded));
        }
}
END_TEST

/* ---- padding */

static void same_bytes(const char *spec, const char *norm, const char *name, const nl_real *a,
                       const nl_real *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(memcmp(&a[i], &b[i], sizeof *a) == 0, "%s with %s: %s at %d: %.9g and %.9g",
                      spec, norm, name, (int)i, (double)a[i], (double)b[i]);
}

static const double unit = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;
enum { N = 6, SHORT = 3, LONG = 7, IN = 4, UNITS = 5 };

/* x of `from` in the first steps of `to`, or in the last ones; the rest is padding full of NaN. */
static void lengthen(const rig *from, rig *to, bool at_the_end)
{
    const int64_t here = at_the_end ? LONG - SHORT : 0;
    for (int64_t i = 0; i < to->values; i++)
        to->x[i] = (nl_real)NAN;
    for (int64_t i = 0; i < N; i++) {
        memcpy(to->x + (i * LONG + here) * IN, from->x + i * SHORT * IN,
               SHORT * IN * sizeof(nl_real));
        for (int64_t t = 0; t < SHORT; t++)
            to->live[i * LONG + here + t] = !from->call.live || from->live[i * SHORT + t];
    }
    memcpy(to->weight, from->weight, (size_t)from->outputs * sizeof(nl_real));
    to->call.live = to->live;
}

static void masked_is_shorter(const char *spec, const char *norm, bool ragged, bool at_the_end)
{
    rig a, b;
    int64_t count;
    open_rig(&a, (what){spec, norm, NULL, N, SHORT, IN});
    open_rig(&b, (what){spec, norm, NULL, N, LONG, IN});
    if (ragged)
        pad(&a);
    loss(&b), backward(&b); /* another batch, without padding: nothing of it stays */
    lengthen(&a, &b, at_the_end);
    loss(&a), loss(&b);
    backward(&a), backward(&b);
    same_bytes(spec, norm, "y", a.y, b.y, a.outputs);
    const nl_real *ga = nl_store_grads(nl_model_store(a.model), &count);
    const nl_real *gb = nl_store_grads(nl_model_store(b.model), NULL);
    for (int64_t i = 0; i < count; i++) /* a product may sum more rows in another order */
        ck_assert_msg(fabs((double)(ga[i] - gb[i])) <= 100 * unit * (1 + fabs((double)ga[i])),
                      "%s with %s: gradient at %d: %.9g and %.9g", spec, norm, (int)i,
                      (double)ga[i], (double)gb[i]);
    const int64_t here = at_the_end ? LONG - SHORT : 0;
    for (int64_t i = 0; i < N; i++)
        same_bytes(spec, norm, "dx", a.dx + i * SHORT * IN, b.dx + (i * LONG + here) * IN,
                   SHORT * IN);
    close_rig(&a);
    close_rig(&b);
}

START_TEST(padding_is_as_if_the_sequence_were_shorter)
{
    static const char *const specs[] = {"rnn:units=5", "lstm:units=5:learn_initial=true",
                                        "gru:units=5:dropout=0.3:recurrent_dropout=0.2",
                                        "gru_before:units=5:recurrent_dropout=0.2",
                                        "lstm:units=5:carry=normalized"};
    static const char *const norms[] = {"none", "layer", "batch", "rms", "batch_layer:m=live"};
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++)
        for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
            for (int ragged = 0; ragged < 2; ragged++)
                for (int end = 0; end < 2; end++)
                    masked_is_shorter(specs[k], norms[i], ragged, end);
}
END_TEST

static void set_all(rig *r, const char *owner, const char *name, double value)
{
    const nl_item *it = nl_store_find(nl_model_store(r->model), owner, name);
    for (int64_t i = 0; i < it->count; i++)
        ((nl_real *)it->val)[i] = (nl_real)value;
}

START_TEST(the_norm_of_the_output_counts_no_padding)
{
    rig r;
    open_rig(&r, (what){"lstm:units=4:sequences=true", "batch", "act", 8, 5, 3});
    pad(&r);
    set_all(&r, "l/act", "gamma", 1);
    set_all(&r, "l/act", "beta", 0);
    loss(&r);
    for (int64_t j = 0; j < 4; j++) {
        double sum = 0, squares = 0, count = 0;
        for (int64_t i = 0; i < 40; i++) {
            const double y = (double)r.y[i * 4 + j];
            sum += y, squares += y * y, count += r.live[i];
            ck_assert(r.live[i] || y == 0);
        }
        ck_assert_double_eq_tol(sum / count, 0, 1e-5);
        ck_assert_double_eq_tol(squares / count, 1, 1e-2); /* eps beside a small variance */
    }
    close_rig(&r);
}
END_TEST

START_TEST(every_output_of_padding_is_zero_and_the_last_one_is_the_last_live_one)
{
    for (int k = 0; k < CELLS; k++) {
        char spec[64];
        rig all, last;
        snprintf(spec, sizeof spec, "%s:sequences=true", cells[k]);
        open_rig(&all, (what){spec, "layer", NULL, 5, 4, 3});
        open_rig(&last, (what){cells[k], "layer", NULL, 5, 4, 3});
        pad(&all), pad(&last);
        loss(&all), loss(&last);
        for (int64_t i = 0; i < 5; i++) {
            int64_t end = 3;
            while (!all.live[i * 4 + end])
                end--;
            ck_assert_mem_eq(all.y + (i * 4 + end) * 4, last.y + i * 4, 4 * sizeof(nl_real));
            for (int64_t t = 0; t < 4; t++)
                for (int64_t j = 0; j < 4; j++)
                    ck_assert(all.live[i * 4 + t] || all.y[(i * 4 + t) * 4 + j] == 0);
        }
        close_rig(&all);
        close_rig(&last);
    }
}
END_TEST

/* ---- time */

/* What a linear rnn with U = 0 and batch norm in slot c gives at evaluation: the standardized
 * projection of x, by the population of that step. */
static double by_population(const rig *r, int64_t i, int64_t t, int64_t j, int64_t population)
{
    nl_store *s = nl_model_store(r->model);
    const nl_real *wx = nl_store_find(s, "l", "wx")->val, *b = nl_store_find(s, "l", "b")->val;
    const nl_real *mean = nl_store_find(s, "l/c", "run_mean")->val;
    const nl_real *var = nl_store_find(s, "l/c", "run_var")->val;
    const nl_real *gamma = nl_store_find(s, "l/c", "gamma")->val;
    const nl_real *beta = nl_store_find(s, "l/c", "beta")->val;
    const int64_t at = population * UNITS + j;
    double sum = (double)b[j];
    for (int64_t k = 0; k < IN; k++)
        sum += (double)r->x[(i * LONG + t) * IN + k] * (double)wx[k * UNITS + j];
    return (double)gamma[j] * (sum - (double)mean[at]) / sqrt((double)var[at] + 0.1) +
           (double)beta[j];
}

/* Cooijmans et al. 2017, section 3: trained on sequences of 3 steps, evaluated on 7. */
START_TEST(steps_beyond_the_longest_trained_one_take_the_population_of_the_last)
{
    rig r;
    open_rig(&r,
             (what){"rnn:units=5:act=linear:sequences=true", "batch:eps=0.1", "c", N, LONG, IN});
    set_all(&r, "l", "wh", 0);
    for (int64_t i = 0; i < N * LONG; i++)
        r.live[i] = i % LONG < SHORT;
    r.call.live = r.live, r.call.update = true;
    for (int k = 0; k < 5; k++) {
        fill(r.x, r.values, (uint64_t)k + 20);
        loss(&r);
    }
    r.call.live = NULL, r.call.update = false, r.call.phase = NL_EVAL;
    loss(&r);
    for (int64_t i = 0; i < r.outputs; i++) {
        const int64_t t = i / UNITS % LONG;
        ck_assert_double_eq_tol(
            (double)r.y[i],
            by_population(&r, i / UNITS / LONG, t, i % UNITS, t < SHORT ? t : SHORT - 1),
            sizeof(nl_real) == 4 ? 1e-5 : 1e-12);
    }
    close_rig(&r);
}
END_TEST

START_TEST(reading_backwards_is_reading_the_reversed_sequence)
{
    for (int k = 0; k < CELLS; k++) {
        char spec[64];
        rig forth, back;
        snprintf(spec, sizeof spec, "%s:sequences=true", cells[k]);
        open_rig(&forth, (what){spec, "layer", NULL, 5, 4, 3});
        snprintf(spec, sizeof spec, "%s:sequences=true:reverse=true", cells[k]);
        open_rig(&back, (what){spec, "layer", NULL, 5, 4, 3});
        for (int64_t i = 0; i < 5; i++)
            for (int64_t t = 0; t < 4; t++)
                memcpy(back.x + (i * 4 + t) * 3, forth.x + (i * 4 + 3 - t) * 3,
                       3 * sizeof(nl_real));
        loss(&forth), loss(&back);
        for (int64_t i = 0; i < 5; i++)
            for (int64_t t = 0; t < 4; t++)
                ck_assert_mem_eq(back.y + (i * 4 + t) * 4, forth.y + (i * 4 + 3 - t) * 4,
                                 4 * sizeof(nl_real));
        close_rig(&forth);
        close_rig(&back);
    }
}
END_TEST

/* The loss is that of the last output, the fifth; the cuts lie before the third and the fifth. */
START_TEST(truncated_gradients_do_not_reach_behind_the_cut)
{
    for (int k = 0; k < CELLS; k++) {
        char spec[64];
        rig whole, cut;
        open_rig(&whole, (what){cells[k], "layer", NULL, 3, 5, 3});
        snprintf(spec, sizeof spec, "%s:truncate=2", cells[k]);
        open_rig(&cut, (what){spec, "layer", NULL, 3, 5, 3});
        loss(&whole), loss(&cut);
        backward(&whole), backward(&cut);
        ck_assert_mem_eq(whole.y, cut.y, (size_t)whole.outputs * sizeof(nl_real));
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < 15; j++) {
                const int64_t at = i * 15 + j;
                ck_assert(j >= 12 ? whole.dx[at] == cut.dx[at] : cut.dx[at] == 0);
                ck_assert(whole.dx[at] != 0);
            }
        close_rig(&whole);
        close_rig(&cut);
    }
}
END_TEST

/* ---- states that go on from call to call */

/* Both halves of sequences of 6 steps, one after the other; other calls come between them. */
static void halves_are_the_whole(const char *cell, const char *norm, nl_phase phase)
{
    enum { HALF = 3 };
    rig whole, r;
    char spec[128];
    snprintf(spec, sizeof spec, "%s:units=5:sequences=true", cell);
    open_rig(&whole, (what){spec, norm, NULL, N, 2 * HALF, IN});
    whole.call.phase = phase;
    loss(&whole);
    stateful = true;
    open_rig(&r, (what){spec, norm, NULL, N, HALF, IN});
    stateful = false;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < N; i++)
            memcpy(r.x + i * HALF * IN, whole.x + (i * 2 + k) * HALF * IN, HALF * IN * sizeof *r.x);
        r.call.phase = phase, r.call.carry = k > 0, r.call.update = true;
        loss(&r);
        for (int64_t i = 0; i < N; i++)
            same_bytes(spec, norm, "half", r.y + i * HALF * UNITS,
                       whole.y + (i * 2 + k) * HALF * UNITS, HALF * UNITS);
        for (int64_t i = 0; i < r.values; i++)
            r.x[i] = -r.x[i];
        r.call.phase = phase == NL_TRAIN ? NL_EVAL : NL_TRAIN, r.call.carry = false;
        loss(&r);
        r.call.phase = NL_TRAIN, r.call.update = false;
        loss(&r);
    }
    close_rig(&whole);
    close_rig(&r);
}

START_TEST(a_call_that_carries_goes_on_where_the_latest_of_its_phase_ended)
{
    static const char *const specs[] = {"rnn",
                                        "lstm",
                                        "gru",
                                        "gru_before",
                                        "lstm:carry=normalized",
                                        "lstm:learn_initial=true",
                                        "gru:learn_initial=true"};
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++)
        for (int phase = 0; phase < 2; phase++) {
            halves_are_the_whole(specs[k], "none", phase ? NL_EVAL : NL_TRAIN);
            halves_are_the_whole(specs[k], "layer", phase ? NL_EVAL : NL_TRAIN);
        }
}
END_TEST

START_TEST(learned_first_states_have_no_gradient_where_a_call_carries)
{
    rig r;
    stateful = true;
    open_rig(&r, (what){"lstm:units=4:learn_initial=true", "layer", NULL, 5, 3, 2});
    stateful = false;
    const nl_item *h0 = nl_store_find(nl_model_store(r.model), "l", "h0");
    const nl_item *c0 = nl_store_find(nl_model_store(r.model), "l", "c0");
    for (int carry = 0; carry < 2; carry++) {
        r.call.carry = carry, r.call.update = true;
        loss(&r), backward(&r);
        for (int j = 0; j < 4; j++)
            ck_assert((h0->grad[j] == 0) == carry && (c0->grad[j] == 0) == carry);
    }
    close_rig(&r);
}
END_TEST

/* ---- dropout */

START_TEST(one_dropout_mask_serves_every_step_and_evaluation_has_none)
{
    rig r, plain;
    const what k = {"rnn:units=4:act=linear:dropout=0.5:recurrent_init=zeros:sequences=true",
                    "none",
                    NULL,
                    40,
                    4,
                    3};
    what without = k;
    without.spec = "rnn:units=4:act=linear:recurrent_init=zeros:sequences=true";
    open_rig(&r, k);
    open_rig(&plain, without);
    for (int64_t i = 0; i < r.values; i++) /* the same at every step, so the outputs are, too */
        r.x[i] = plain.x[i] = r.x[i / 12 * 12 + i % 3];
    nl_real *u = nl_layer_value(r.layer, 1);
    memset(u, 0, 16 * sizeof *u);
    loss(&r), loss(&plain);
    ck_assert(memcmp(r.y, plain.y, (size_t)r.outputs * sizeof *r.y) != 0);
    for (int64_t i = 0; i < r.outputs; i++)
        ck_assert(r.y[i] == r.y[i / 16 * 16 + i % 4]);
    r.call.phase = NL_EVAL;
    memset(nl_layer_value(plain.layer, 1), 0, 16 * sizeof *u);
    loss(&r), loss(&plain);
    ck_assert_mem_eq(r.y, plain.y, (size_t)r.outputs * sizeof *r.y);
    close_rig(&r);
    close_rig(&plain);
}
END_TEST

START_TEST(noise_moves_the_first_state_of_each_sequence_in_training_alone)
{
    rig r, plain;
    const what k = {"gru:units=4:initial_noise=0.5", "none", NULL, 40, 3, 3};
    open_rig(&r, k);
    open_rig(&plain, (what){"gru:units=4", "none", NULL, 40, 3, 3});
    for (int64_t i = 9; i < r.values; i++) /* all sequences are the first one */
        r.x[i] = plain.x[i] = r.x[i % 9];
    loss(&r), loss(&plain);
    ck_assert(memcmp(r.y, r.y + 4, 4 * sizeof *r.y) != 0);
    ck_assert_mem_eq(plain.y, plain.y + 4, 4 * sizeof *r.y);
    r.call.phase = NL_EVAL;
    loss(&r), loss(&plain);
    ck_assert_mem_eq(r.y, plain.y, (size_t)r.outputs * sizeof *r.y);
    close_rig(&r);
    close_rig(&plain);
}
END_TEST

/* ---- pieces of a batch */

static const char *const by_rows[] = {"none", "layer", "rms", "group:groups=2"};
static const char *const in_pieces[CELLS] = {
    "rnn:units=6:sequences=true:learn_initial=true", "lstm:units=6:learn_initial=true",
    "gru:units=6:sequences=true:reverse=true", "gru_before:units=6:truncate=2"};
enum { EXAMPLES = 27, PIECE_STEPS = 5, PIECE_IN = 3 }; /* four pieces, of 6 and of 7 */

/* Adds the gradients of example i of `of` to those of `one`; y and dx have the same bytes. */
static void go_alone(rig *one, const rig *of, int64_t i, const char *name)
{
    const int64_t in = one->values, out = one->outputs;
    memcpy(one->x, of->x + i * in, (size_t)in * sizeof *one->x);
    memcpy(one->weight, of->weight + i * out, (size_t)out * sizeof *one->x);
    if (of->call.live)
        one->call.live = of->live + i * PIECE_STEPS;
    one->call.accumulate = i > 0;
    loss(one);
    one->call.dy = one->dy, one->call.dx = one->dx;
    memcpy(one->dy, one->weight, (size_t)out * sizeof *one->dy);
    one->layer->ops->backward(one->layer, &one->call);
    ck_assert_msg(memcmp(one->y, of->y + i * out, (size_t)out * sizeof *one->y) == 0,
                  "%s: y of example %d", name, (int)i);
    ck_assert_msg(memcmp(one->dx, of->dx + i * in, (size_t)in * sizeof *one->dx) == 0,
                  "%s: dx of example %d", name, (int)i);
}

static void pieces_are_their_examples(const char *spec, const char *norm, bool padded)
{
    rig all, one;
    int64_t count;
    char name[128];
    open_rig(&all, (what){spec, norm, NULL, EXAMPLES, PIECE_STEPS, PIECE_IN});
    open_rig(&one, (what){spec, norm, NULL, 1, PIECE_STEPS, PIECE_IN});
    snprintf(name, sizeof name, "%s, %s%s", spec, norm, padded ? ", padded" : "");
    if (padded)
        pad(&all);
    loss(&all);
    backward(&all);
    nl_store_zero_grads(nl_model_store(one.model));
    for (int64_t i = 0; i < EXAMPLES; i++)
        go_alone(&one, &all, i, name);
    const nl_real *g = nl_store_grads(nl_model_store(all.model), &count);
    const nl_real *sum = nl_store_grads(nl_model_store(one.model), &count);
    const double bound = 1000 * unit * largest(g, count);
    for (int64_t k = 0; k < count; k++)
        ck_assert_msg(fabs((double)(g[k] - sum[k])) <= bound, "%s: gradient %d: %g, one by one %g",
                      name, (int)k, (double)g[k], (double)sum[k]);
    close_rig(&all);
    close_rig(&one);
}

START_TEST(a_batch_in_pieces_is_its_examples_one_by_one)
{
    for (int k = 0; k < CELLS; k++)
        for (size_t m = 0; m < sizeof by_rows / sizeof *by_rows; m++) {
            pieces_are_their_examples(in_pieces[k], by_rows[m], false);
            pieces_are_their_examples(in_pieces[k], by_rows[m], true);
        }
}
END_TEST

enum { GATES_MOST = 4, SEEN = GATES_MOST * 6 }; /* channels of a slot, of cells of 6 units */

static void looks_the_same(const rig *all, int64_t i, const rig *one, int slot, int64_t t)
{
    static nl_real pre[EXAMPLES * SEEN], post[EXAMPLES * SEEN], pre_one[SEEN], post_one[SEEN];
    const nl_layer_ops *ops = all->layer->ops;
    const int64_t c = ops->slot_geom(all->layer, slot).c;
    memset(post, 0, sizeof post);
    ck_assert_int_eq(ops->observe_step(all->layer, &all->call, slot, t, pre, post), EXAMPLES);
    ck_assert_int_eq(ops->observe_step(one->layer, &one->call, slot, t, pre_one, post_one), 1);
    ck_assert_mem_eq(pre + i * c, pre_one, (size_t)c * sizeof *pre);
    ck_assert_msg(memcmp(post + i * c, post_one, (size_t)c * sizeof *post) == 0,
                  "%s: behind slot %s, step %d of example %d", ops->name, ops->slots[slot].name,
                  (int)t, (int)i);
}

static void looks_see_every_piece(const char *spec, const char *norm)
{
    rig all, one;
    open_rig(&all, (what){spec, norm, NULL, EXAMPLES, PIECE_STEPS, PIECE_IN});
    open_rig(&one, (what){spec, norm, NULL, 1, PIECE_STEPS, PIECE_IN});
    loss(&all);
    for (int64_t i = 0; i < EXAMPLES; i++) {
        memcpy(one.x, all.x + i * one.values, (size_t)one.values * sizeof *one.x);
        loss(&one);
        for (int k = 0; all.layer->ops->slots[k].name; k++)
            for (int64_t t = 0; t < PIECE_STEPS && all.layer->ops->slots[k].site == NL_AT_RNN; t++)
                looks_the_same(&all, i, &one, k, t);
    }
    close_rig(&all);
    close_rig(&one);
}

START_TEST(who_looks_at_a_step_sees_the_examples_of_every_piece)
{
    for (int k = 0; k < CELLS; k++)
        for (size_t m = 0; m < sizeof by_rows / sizeof *by_rows; m++)
            looks_see_every_piece(in_pieces[k], by_rows[m]);
}
END_TEST

static void look_away(nl_step_watch *w, const nl_layer *l, int slot, nl_side side, int64_t position,
                      int64_t n, const uint8_t *live, const nl_real *g)
{
    (void)w, (void)l, (void)slot, (void)side, (void)position, (void)live, (void)g;
    ck_assert_int_eq(n, EXAMPLES);
}

static uint64_t bytes_of_gradients(const char *spec, const char *norm, nl_step_watch *watch)
{
    rig r;
    int64_t count;
    open_rig(&r, (what){spec, norm, NULL, EXAMPLES, PIECE_STEPS, PIECE_IN});
    r.call.steps = watch;
    r.call.logged = watch;
    loss(&r);
    backward(&r);
    const nl_real *g = nl_store_grads(nl_model_store(r.model), &count);
    const uint64_t hash = nl_hash_bytes(NL_HASH_START, g, (uint64_t)count * sizeof *g);
    close_rig(&r);
    return hash;
}

START_TEST(to_be_watched_changes_no_byte_of_the_gradients)
{
    nl_step_watch watch = {look_away};
    for (int k = 0; k < CELLS; k++)
        for (size_t m = 0; m < sizeof by_rows / sizeof *by_rows; m++)
            ck_assert_msg(bytes_of_gradients(in_pieces[k], by_rows[m], NULL) ==
                              bytes_of_gradients(in_pieces[k], by_rows[m], &watch),
                          "%s, %s", in_pieces[k], by_rows[m]);
}
END_TEST

/* ---- threads, memory */

static uint64_t bytes_of_a_step(const char *spec, const char *norm)
{
    rig r;
    int64_t count;
    open_rig(&r, (what){spec, norm, NULL, 150, 9, 20});
    pad(&r);
    r.call.update = true;
    loss(&r);
    backward(&r);
    const nl_real *g = nl_store_grads(nl_model_store(r.model), &count);
    uint64_t hash = nl_hash_bytes(NL_HASH_START, g, (uint64_t)count * sizeof *g);
    hash = nl_hash_bytes(hash, r.y, (uint64_t)r.outputs * sizeof *g);
    hash = nl_hash_bytes(hash, r.dx, (uint64_t)r.values * sizeof *g);
    for (int i = 0; i < nl_store_count(nl_model_store(r.model)); i++) {
        const nl_item *it = nl_store_at(nl_model_store(r.model), i);
        if (it->decl->role == NL_STATE)
            hash =
                nl_hash_bytes(hash, it->val, (uint64_t)it->count * nl_type_bytes(it->decl->type));
    }
    close_rig(&r);
    return hash;
}

static void same_bytes_on_any_threads(const char *spec, const char *norm)
{
    rig r;
    const bool fits = try_rig(&r, (what){spec, norm, NULL, 150, 9, 20});
    close_rig(&r);
    if (!fits)
        return; /* a method that refuses one position */
    nl_threads_set(1);
    const uint64_t alone = bytes_of_a_step(spec, norm);
    nl_par_workers_seen();
    for (int threads = 2; threads <= 3; threads++) {
        nl_threads_set(threads);
        ck_assert_msg(bytes_of_a_step(spec, norm) == alone, "%s, %s on %d threads", spec, norm,
                      threads);
    }
    ck_assert_int_gt(nl_par_workers_seen(), 1);
}

START_TEST(a_step_is_the_same_bytes_on_any_number_of_threads)
{
    static const char *const specs[] = {"rnn:units=70:sequences=true", "lstm:units=70",
                                        "gru:units=70:recurrent_dropout=0.1",
                                        "gru_before:units=70"};
    const nl_norm_ops *ops;
    nl_par_ignore_work(true);
    for (int k = 0; k < CELLS; k++) {
        same_bytes_on_any_threads(specs[k], "none");
        for (int i = 0; (ops = nl_norm_at(i)); i++)
            for (int pooled = 0; pooled < 2; pooled++) {
                char norm[64];
                spec_of(ops, pooled, norm);
                if (sits_in_cells(ops) && (!pooled || nl_option_find(ops->options, "time")))
                    same_bytes_on_any_threads(specs[k], norm);
            }
    }
    nl_threads_set(1);
    nl_par_ignore_work(false);
}
END_TEST

START_TEST(every_failing_allocation_is_a_clean_refusal)
{
    const long before = nl_alloc_live();
    nl_model *m = NULL;
    nl_status st = NL_ENOMEM;
    for (long k = 0; st != NL_OK; k++) {
        nl_alloc_fail_at(k);
        st = open_model(&m, (what){"lstm:units=4:recurrent_init=identity", "layer", NULL, 3, 4, 3});
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
    open_rig(&r, (what){"lstm:units=4:dropout=0.1", "batch", NULL, 5, 4, 3});
    const long before = nl_alloc_calls();
    loss(&r);
    backward(&r);
    ck_assert_int_eq(nl_alloc_calls(), before);
    close_rig(&r);
}
END_TEST

/* ---- initial values and refusals */

START_TEST(weights_start_as_in_keras)
{
    nl_model *m;
    ck_assert_int_eq(open_model(&m, (what){"lstm:units=4", "none", NULL, 2, 3, 3}), NL_OK);
    const nl_real *b = nl_store_find(nl_model_store(m), "l", "b")->val;
    const nl_real *u = nl_store_find(nl_model_store(m), "l", "wh")->val;
    for (int k = 0; k < 16; k++)
        ck_assert_double_eq((double)b[k], k >= 4 && k < 8 ? 1 : 0);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            double sum = 0;
            for (int k = 0; k < 16; k++)
                sum += (double)u[i * 16 + k] * (double)u[j * 16 + k];
            ck_assert_double_eq_tol(sum, i == j, 1e-6);
        }
    nl_model_close(m);
}
END_TEST

START_TEST(each_gate_may_have_its_own_initializer)
{
    nl_model *m;
    const char *spec = "lstm:units=4:recurrent_init=zeros+ones+identity+constant(2)";
    ck_assert_int_eq(open_model(&m, (what){spec, "none", NULL, 2, 3, 3}), NL_OK);
    const nl_real *u = nl_store_find(nl_model_store(m), "l", "wh")->val;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++) {
            const double want[] = {0, 1, k - 8 == i, 2};
            ck_assert_double_eq((double)u[i * 16 + k], want[k / 4]);
        }
    nl_model_close(m);
    ck_assert_int_eq(
        open_model(&m, (what){"gru:units=2:recurrent_init=identity", "none", NULL, 2, 3, 3}),
        NL_OK);
    u = nl_store_find(nl_model_store(m), "l", "wh")->val;
    for (int k = 0; k < 12; k++)
        ck_assert_double_eq((double)u[k], k % 6 % 2 == k / 6);
    nl_model_close(m);
}
END_TEST

static const char *refusal(const char *spec, nl_shape shape)
{
    const nl_model_setup setup = {
        .shape = shape, .outputs = 1, .batch = 2, .n = 2, .norm = "none", .stateful = stateful};
    nl_model *m;
    ck_assert_int_ne(open_one_layer(&m, spec, &setup), NL_OK);
    ck_assert_ptr_null(m);
    return nl_last_error();
}

START_TEST(refusals_name_what_was_wanted)
{
    const nl_shape sequence = {.s = 4, .c = 3}, image = {.s = 1, .c = 784, .h = 28, .w = 28};
    ck_assert_str_eq(refusal("lstm:recurrent_init=zeros+ones", sequence),
                     "l: zeros+ones has 2 initializers, wanted 1 or 4");
    ck_assert_str_eq(refusal("lstm", image),
                     "l: a lstm layer reads sequences, got an image of 28 x 28");
    stateful = true;
    ck_assert_str_eq(refusal("gru:reverse=true", sequence),
                     "l: reads from the end, but states go on from batch to batch in order "
                     "(stateful=false starts each anew)");
    stateful = false;
    ck_assert_str_eq(refusal("join", sequence), "l: a join layer reads two outputs, got one");
    ck_assert_str_eq(
        refusal("gru:carry=raw", sequence),
        "l has no option 'carry' (known: units, sequences, bias, init, recurrent_init, "
        "dropout, recurrent_dropout, learn_initial, initial_noise, reverse, truncate)");
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("rnn");
    TCase *gradients = tcase_create("gradients");
    tcase_set_tags(gradients, "one_thread");
    tcase_set_timeout(gradients, 120);
    tcase_add_test(gradients, gradients_of_every_cell_with_every_method_in_every_slot);
    tcase_add_test(gradients, gradients_of_every_method_that_can_pool_time);
    suite_add_tcase(s, gradients);
    TCase *options = tcase_create("options");
    tcase_set_tags(options, "one_thread");
    tcase_set_timeout(options, 120);
    tcase_add_test(options, gradients_under_every_option);
    tcase_add_test(options, gradients_of_activations_and_carried_states);
    tcase_add_test(options, one_dropout_mask_serves_every_step_and_evaluation_has_none);
    tcase_add_test(options, noise_moves_the_first_state_of_each_sequence_in_training_alone);
    suite_add_tcase(s, options);
    TCase *times = tcase_create("times");
    tcase_set_timeout(times, 120);
    tcase_add_test(times, padding_is_as_if_the_sequence_were_shorter);
    tcase_add_test(times, the_norm_of_the_output_counts_no_padding);
    tcase_add_test(times, every_output_of_padding_is_zero_and_the_last_one_is_the_last_live_one);
    tcase_add_test(times, steps_beyond_the_longest_trained_one_take_the_population_of_the_last);
    tcase_add_test(times, reading_backwards_is_reading_the_reversed_sequence);
    tcase_add_test(times, truncated_gradients_do_not_reach_behind_the_cut);
    tcase_add_test(times, a_call_that_carries_goes_on_where_the_latest_of_its_phase_ended);
    tcase_add_test(times, learned_first_states_have_no_gradient_where_a_call_carries);
    suite_add_tcase(s, times);
    TCase *pieces = tcase_create("pieces");
    tcase_set_timeout(pieces, 120);
    tcase_add_test(pieces, a_batch_in_pieces_is_its_examples_one_by_one);
    tcase_add_test(pieces, who_looks_at_a_step_sees_the_examples_of_every_piece);
    tcase_add_test(pieces, to_be_watched_changes_no_byte_of_the_gradients);
    suite_add_tcase(s, pieces);
    TCase *threads = tcase_create("threads");
    tcase_set_timeout(threads, 120);
    tcase_add_test(threads, a_step_is_the_same_bytes_on_any_number_of_threads);
    suite_add_tcase(s, threads);
    TCase *memory = tcase_create("memory");
    tcase_set_tags(memory, "one_thread");
    tcase_set_timeout(memory, 120);
    tcase_add_test(memory, every_failing_allocation_is_a_clean_refusal);
    tcase_add_test(memory, a_step_allocates_nothing);
    suite_add_tcase(s, memory);
    TCase *starts = tcase_create("starts");
    tcase_set_tags(starts, "one_thread");
    tcase_set_timeout(starts, 120);
    tcase_add_test(starts, weights_start_as_in_keras);
    tcase_add_test(starts, each_gate_may_have_its_own_initializer);
    tcase_add_test(starts, refusals_name_what_was_wanted);
    suite_add_tcase(s, starts);
    return run_suite(s);
}
