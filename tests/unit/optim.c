/* Optimizers: PyTorch's and Keras's paths, the host's settings, and the same bytes on any threads.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/optim.h"
#include "golden/optim.inc"
#include "par/par.h"
#include "suite.h"

static const nl_variable weight = {.name = "w", .role = NL_PARAM, .flags = NL_DECAYS, .init = 1};
static const nl_variable gain = {.name = "gamma", .role = NL_PARAM, .init = 1};
static const nl_variable shift = {.name = "beta", .role = NL_PARAM};

static nl_setting plain(void)
{
    nl_setting set;
    ck_assert_int_eq(nl_options_preset(nl_setting_options, &set, "test"), NL_OK);
    return set;
}

static nl_item *add(nl_store *s, const char *owner, const nl_variable *v, const nl_setting *set,
                    int64_t count)
{
    int index;
    ck_assert_int_eq(nl_store_add(s, owner, v, set, count, 1, 1, &index), NL_OK);
    return nl_store_at(s, index);
}

static nl_store *open_store(void)
{
    nl_store *s;
    ck_assert_int_eq(nl_store_open(&s), NL_OK);
    return s;
}

static nl_optim *commit(nl_store *s, const char *spec, int64_t total)
{
    nl_optim *o;
    if (!nl_store_params(s, NULL))
        ck_assert_int_eq(nl_store_commit(s), NL_OK);
    ck_assert_msg(nl_optim_open(&o, spec, s, total) == NL_OK, "%s", nl_last_error());
    return o;
}

static nl_real *value(const nl_item *it) { return it->val; }

/* ---- paths */

/* Two values in one variable and one in another: the gradient's norm is over both. */
static void follow(const char *spec, const double after[GOLDEN_STEPS][GOLDEN_SIZE])
{
    const double bound = sizeof(nl_real) == sizeof(float) ? 1e-5 : 1e-12;
    nl_store *s = open_store();
    const nl_item *a = add(s, "h1", &weight, NULL, 2), *b = add(s, "h2", &weight, NULL, 1);
    nl_optim *o = commit(s, spec, GOLDEN_STEPS);
    nl_real *p[GOLDEN_SIZE] = {value(a), value(a) + 1, value(b)};
    nl_real *g[GOLDEN_SIZE] = {a->grad, a->grad + 1, b->grad};
    for (int k = 0; k < GOLDEN_SIZE; k++)
        *p[k] = (nl_real)golden_start[k];
    for (int t = 0; t < GOLDEN_STEPS; t++) {
        for (int k = 0; k < GOLDEN_SIZE; k++)
            *g[k] = (nl_real)golden_gradient[t][k];
        nl_optim_step(o, t % 2);
        for (int k = 0; k < GOLDEN_SIZE; k++) {
            const double miss = fabs(*p[k] / after[t][k] - 1);
            ck_assert_msg(miss <= bound, "%s: parameter %d after step %d is %.17g, expected %.17g",
                          spec, k, t + 1, (double)*p[k], after[t][k]);
        }
    }
    nl_optim_close(o);
    nl_store_close(s);
}

START_TEST(paths_are_those_of_pytorch_and_keras)
{
    for (size_t k = 0; k < sizeof golden / sizeof *golden; k++)
        follow(golden[k].spec, golden[k].after);
}
END_TEST

/* ---- one step on many values, through blocks and vector tails */

static double noise(int64_t i) { return sin(12.9898 * (double)i) * cos(0.7 * (double)i); }

/* Of many magnitudes: a sum of squares in another order is another double. */
static double gradient(int64_t i) { return noise(i) * exp2(20 * noise(3 * i + 1)); }

static void fill(nl_store *s, int step)
{
    int64_t count;
    nl_real *g = nl_store_grads(s, &count);
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        for (int64_t k = 0; k < it->count; k++)
            g[it->at + k] = (nl_real)gradient(it->at + k + 1000 * step);
    }
}

static const char *const every[] = {"sgd:lr=0.1",
                                    "momentum",
                                    "nesterov:decay=1e-3",
                                    "rmsprop:centered=true:momentum=0.5",
                                    "rmsprop:eps_inside=true",
                                    "rmsprop:momentum=0.5",
                                    "rmsprop:centered=true",
                                    "adam:clip=0.5",
                                    "adam:clip_value=0.1",
                                    "adam:eps_mode=keras",
                                    "adamw:schedule=cosine:warmup=2",
                                    NULL};

START_TEST(every_value_is_updated_alike_wherever_it_lies)
{
    enum { MANY = 40003, STEPS = 3 };
    for (int k = 0; every[k]; k++) {
        nl_store *s = open_store();
        const nl_item *many = add(s, "a", &weight, NULL, MANY),
                      *one = add(s, "b", &weight, NULL, 1);
        nl_optim *o = commit(s, every[k], STEPS + 1);
        for (int t = 0; t < STEPS; t++) {
            for (int64_t i = 0; i < MANY; i++)
                many->grad[i] = (nl_real)(0.3 - 0.2 * t);
            one->grad[0] = many->grad[0];
            nl_optim_step(o, false);
        }
        ck_assert_double_ne(value(one)[0], 1);
        for (int64_t i = 0; i < MANY; i++)
            ck_assert_msg(value(many)[i] == value(one)[0], "%s: value %lld is %.17g, not %.17g",
                          every[k], (long long)i, (double)value(many)[i], (double)value(one)[0]);
        nl_optim_close(o);
        nl_store_close(s);
    }
}
END_TEST

/* Parameters and slots after four steps of a store with several runs and blocks. */
static nl_real *train(const char *spec, int threads, int64_t *size, double *norm)
{
    nl_store *s = open_store();
    nl_setting slow = plain(), held = plain();
    slow.lr = 0.1;
    slow.constraint.is = NL_UNIT;
    held.l2 = 0.01;
    held.l2_to = 1;
    add(s, "h1", &weight, NULL, 70001);
    add(s, "h1", &gain, &slow, 333);
    add(s, "h1", &shift, &held, 20000);
    add(s, "h2", &weight, NULL, 5);
    nl_threads_set(threads);
    nl_optim *o = commit(s, spec, 10);
    for (int t = 0; t < 4; t++) {
        fill(s, t);
        nl_optim_step(o, true);
    }
    nl_threads_set(1);
    *norm = nl_optim_grad_norm(o);
    int64_t count;
    const nl_real *p = nl_store_params(s, &count);
    *size = (1 + nl_optim_slots(o)) * count;
    nl_real *all = nl_alloc((size_t)*size, sizeof *all);
    memcpy(all, p, (size_t)count * sizeof *all);
    for (int k = 0; k < nl_optim_slots(o); k++) {
        nl_real *slab;
        ck_assert_ptr_nonnull(nl_optim_slot(o, k, &slab, &count));
        memcpy(all + (k + 1) * count, slab, (size_t)count * sizeof *all);
    }
    nl_optim_close(o);
    nl_store_close(s);
    return all;
}

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    static const int threads[] = {2, 3, 5};
    int64_t size, again_size;
    double norm, again_norm;
    nl_par_ignore_work(true);
    for (int k = 0; every[k]; k++) {
        nl_real *one = train(every[k], 1, &size, &norm);
        for (int i = 0; i < 3; i++) {
            nl_par_workers_seen();
            nl_real *several = train(every[k], threads[i], &again_size, &again_norm);
            ck_assert_int_gt(nl_par_workers_seen(), 1);
            ck_assert_int_eq(size, again_size);
            ck_assert_double_eq(norm, again_norm);
            ck_assert_msg(memcmp(one, several, (size_t)size * sizeof *one) == 0, "%s on %d threads",
                          every[k], threads[i]);
            nl_free(several);
        }
        nl_free(one);
    }
    nl_par_ignore_work(false);
}
END_TEST

START_TEST(every_cpu_variant_gives_the_same_bytes)
{
    enum { COUNT = 1003 };
    static nl_real p[3][COUNT], m[3][COUNT], v[3][COUNT], g[COUNT];
    const nl_update_kernels *kernel[] = {&nl_update_kernel_base, &nl_update_kernel_avx2,
                                         &nl_update_kernel_avx512};
    const nl_real beta[] = {(nl_real)0.9, (nl_real)0.99}, fresh[] = {(nl_real)0.1, (nl_real)0.01};
    double lane[3][NL_SQUARE_LANES] = {{0}};
    for (int i = 0; i < COUNT; i++)
        g[i] = (nl_real)noise(i);
    for (int k = 0; k <= (int)nl_cpu_level(); k++) {
        nl_update u = {p[k],          g, COUNT,         (nl_real)0.7, (nl_real)0.5,
                       (nl_real)0.01, 1, (nl_real)0.999};
        for (int t = 0; t < 3; t++) {
            kernel[k]->adam(&u, m[k], v[k], (nl_real)0.01, beta, fresh, (nl_real)1.1,
                            (nl_real)1e-8);
            kernel[k]->rmsprop(&u, v[k], m[k], NULL, (nl_real)0.01, beta[0], fresh[0], 0, 0,
                               (nl_real)1e-8);
        }
        kernel[k]->squares(g, COUNT, 5, lane[k]);
        ck_assert_mem_eq(p[k], p[0], sizeof p[0]);
        ck_assert_mem_eq(lane[k], lane[0], sizeof lane[0]);
    }
}
END_TEST

/* ---- the host's settings */

START_TEST(frozen_parameters_and_their_slots_stay)
{
    nl_store *s = open_store();
    nl_setting frozen = plain();
    frozen.freeze = true;
    const nl_item *a = add(s, "h1", &weight, NULL, 40), *b = add(s, "h1", &gain, &frozen, 40);
    nl_optim *o = commit(s, "adam:lr=0.1", 0);
    for (int t = 0; t < 3; t++) {
        fill(s, t);
        nl_optim_step(o, true);
    }
    double squares = 0;
    nl_real *slab;
    int64_t count;
    for (int64_t i = 0; i < 40; i++) {
        squares += (double)a->grad[i] * a->grad[i];
        ck_assert_double_ne(value(a)[i], 1);
        ck_assert_double_eq(value(b)[i], 1);
        for (int k = 0; k < 2; k++) {
            ck_assert_str_eq(nl_optim_slot(o, k, &slab, &count), k ? "v" : "m");
            ck_assert_double_eq(slab[b->at + i], 0);
            ck_assert_double_ne(slab[a->at + i], 0);
        }
    }
    ck_assert_double_eq_tol(nl_optim_grad_norm(o), sqrt(squares), 1e-12 * squares);
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(settings_of_a_parameter_act_on_it_alone)
{
    nl_store *s = open_store();
    nl_setting fast = plain(), pulled = plain(), low = plain(), boxed = plain();
    fast.lr = 10;
    pulled.l2 = 0.5;
    pulled.l2_to = 3;
    low.constraint.is = NL_NONNEG;
    boxed.constraint.is = NL_UNIT;
    const nl_item *usual = add(s, "a", &gain, NULL, 3), *quick = add(s, "b", &gain, &fast, 3),
                  *drawn = add(s, "c", &gain, &pulled, 3), *up = add(s, "d", &shift, &low, 3),
                  *box = add(s, "e", &gain, &boxed, 3), *wide = add(s, "f", &weight, NULL, 3);
    nl_optim *o = commit(s, "sgd:lr=0.1:decay=0.2", 0);
    for (int i = 0; i < 3; i++) {
        usual->grad[i] = quick->grad[i] = drawn->grad[i] = wide->grad[i] = (nl_real)0.5;
        up->grad[i] = 1;
        box->grad[i] = -1;
    }
    nl_optim_step(o, false);
    const double bound = sizeof(nl_real) == sizeof(float) ? 1e-6 : 1e-14;
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(value(usual)[i], 1 - 0.1 * 0.5, bound);
        ck_assert_double_eq_tol(value(quick)[i], 1 - 0.5, bound);
        ck_assert_double_eq_tol(value(drawn)[i], 1 - 0.1 * (0.5 + 0.5 * (1 - 3)), bound);
        ck_assert_double_eq(value(up)[i], 0);
        ck_assert_double_eq(value(box)[i], 1);
        ck_assert_double_eq_tol(value(wide)[i], 1 - 0.1 * (0.5 + 0.2), bound);
    }
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(decoupled_decay_is_of_weights_alone)
{
    nl_store *s = open_store();
    const nl_item *w = add(s, "a", &weight, NULL, 3), *g = add(s, "a", &gain, NULL, 3);
    nl_optim *o = commit(s, "sgd:lr=0.5:decay=0.25:decay_mode=decoupled", 0);
    nl_optim_step(o, false);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq(value(w)[i], 0.875);
        ck_assert_double_eq(value(g)[i], 1);
    }
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

/* Their mean square less their squared mean is 0 up to rounding, on either side. */
START_TEST(centered_rmsprop_survives_gradients_that_do_not_change)
{
    nl_store *s = open_store();
    const nl_item *w = add(s, "a", &weight, NULL, 1000);
    nl_optim *o = commit(s, "rmsprop:centered=true:alpha=0.5:lr=1e-9", 0);
    fill(s, 1);
    for (int t = 0; t < 100; t++)
        nl_optim_step(o, false);
    for (int i = 0; i < 1000; i++)
        ck_assert(isfinite(value(w)[i]));
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(decay_and_a_pull_elsewhere_add_up)
{
    nl_store *s = open_store();
    nl_setting pulled = plain();
    pulled.l2 = 0.5;
    pulled.l2_to = 3;
    const nl_item *w = add(s, "a", &weight, &pulled, 1);
    nl_optim *o = commit(s, "sgd:lr=0.1:decay=0.25", 0);
    nl_optim_step(o, false);
    ck_assert_double_eq_tol(value(w)[0], 1 - 0.1 * (0.5 * (1 - 3) + 0.25), 1e-7);
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(padding_stays_zero)
{
    for (int k = 0; every[k]; k++) {
        nl_store *s = open_store();
        nl_setting pulled = plain();
        pulled.l2 = 0.5;
        pulled.l2_to = 3;
        int64_t count;
        add(s, "a", &weight, NULL, 3);
        add(s, "b", &weight, &pulled, 3);
        add(s, "c", &weight, &pulled, 5);
        add(s, "d", &weight, NULL, 3);
        add(s, "e", &weight, NULL, 3);
        nl_optim *o = commit(s, every[k], 10);
        for (int t = 0; t < 3; t++) {
            fill(s, t);
            nl_optim_step(o, false);
        }
        nl_real *p = nl_store_params(s, &count);
        for (int i = 0; i < nl_store_count(s); i++)
            memset(p + nl_store_at(s, i)->at, 0, (size_t)nl_store_at(s, i)->count * sizeof *p);
        for (int64_t i = 0; i < count; i++)
            ck_assert_double_eq(p[i], 0);
        nl_optim_close(o);
        nl_store_close(s);
    }
}
END_TEST

START_TEST(asking_for_the_norm_changes_nothing)
{
    nl_store *s = open_store();
    const nl_item *w = add(s, "a", &weight, NULL, 2);
    nl_optim *o = commit(s, "sgd:lr=0.1", 0);
    w->grad[0] = 3;
    w->grad[1] = 4;
    nl_optim_step(o, false);
    ck_assert(isnan(nl_optim_grad_norm(o)));
    const nl_real first = value(w)[0];
    nl_optim_step(o, true);
    ck_assert_double_eq(nl_optim_grad_norm(o), 5);
    ck_assert_double_eq_tol(value(w)[0] - first, first - 1, 1e-6);
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(norm_is_over_every_block)
{
    nl_store *s = open_store();
    nl_setting slow = plain();
    slow.lr = 0.5;
    const nl_item *w = add(s, "a", &weight, NULL, 40003), *b = add(s, "a", &shift, &slow, 17);
    nl_optim *o = commit(s, "sgd", 0);
    double squares = 0;
    fill(s, 1);
    for (int64_t i = 0; i < w->count; i++)
        squares += (double)w->grad[i] * w->grad[i];
    for (int64_t i = 0; i < b->count; i++)
        squares += (double)b->grad[i] * b->grad[i];
    nl_optim_step(o, true);
    ck_assert_double_eq_tol(nl_optim_grad_norm(o) / sqrt(squares), 1, 1e-12);
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_shows)
{
    static const char *const specs[] = {"sgd", "adam", "sgd:clip=1", "sgd:clip_value=1"};
    for (int k = 0; k < 4; k++) {
        nl_store *s = open_store();
        const nl_item *w = add(s, "a", &weight, NULL, 20);
        nl_optim *o = commit(s, specs[k], 0);
        w->grad[3] = NAN;
        nl_optim_step(o, true);
        ck_assert(isnan(value(w)[3]));
        ck_assert_int_eq(isnan(value(w)[4]) != 0, strstr(specs[k], "clip=") != NULL);
        ck_assert(isnan(nl_optim_grad_norm(o)));
        nl_optim_close(o);
        nl_store_close(s);
    }
}
END_TEST

/* ---- steps and checkpoints */

START_TEST(rate_follows_the_schedule)
{
    static const struct {
        const char *spec;
        double lr[6]; /* of updates 1, 2, ... */
    } rows[] = {
        {"sgd:lr=1", {1, 1, 1, 1, 1, 1}},
        {"sgd:lr=1:schedule=step:milestones=2/4", {1, 1, 0.1, 0.1, 0.01, 0.01}},
        {"sgd:lr=1:schedule=step:milestones=2/4:min_lr=0.05", {1, 1, 0.1, 0.1, 0.05, 0.05}},
        {"sgd:lr=1:schedule=linear:warmup=2", {0.5, 1, 1, 0.75, 0.5, 0.25}},
        {"sgd:lr=1:schedule=cosine:warmup=2:min_lr=0.2",
         {0.5, 1, 1, 0.6 + 0.4 * 0.70710678118654752, 0.6, 0.6 - 0.4 * 0.70710678118654752}}};
    for (int k = 0; k < 5; k++) {
        nl_store *s = open_store();
        add(s, "a", &weight, NULL, 2);
        nl_optim *o = commit(s, rows[k].spec, 6);
        for (int t = 0; t < 6; t++) {
            nl_optim_step(o, false);
            ck_assert_double_eq_tol(nl_optim_lr(o), rows[k].lr[t], 1e-14);
            ck_assert_int_eq(nl_optim_steps(o), t + 1);
        }
        nl_optim_close(o);
        nl_store_close(s);
    }
}
END_TEST

/* Copies slots and step number to a fresh optimizer, as a checkpoint does. */
static nl_optim *reopen(nl_optim *old, nl_store *s, const char *spec, int64_t total)
{
    nl_optim *o = commit(s, spec, total);
    ck_assert_int_eq(nl_optim_slots(o), nl_optim_slots(old));
    for (int k = 0; k < nl_optim_slots(o); k++) {
        nl_real *from, *to;
        int64_t count;
        ck_assert_str_eq(nl_optim_slot(old, k, &from, &count), nl_optim_slot(o, k, &to, &count));
        memcpy(to, from, (size_t)count * sizeof *to);
    }
    nl_optim_set_steps(o, nl_optim_steps(old));
    ck_assert_double_eq(nl_optim_lr(o), nl_optim_lr(old));
    nl_optim_close(old);
    return o;
}

START_TEST(resuming_from_slots_and_step_gives_the_same_bytes)
{
    for (int k = 0; every[k]; k++) {
        nl_store *straight = open_store(), *broken = open_store();
        const nl_item *a = add(straight, "a", &weight, NULL, 77);
        const nl_item *b = add(broken, "a", &weight, NULL, 77);
        nl_optim *o = commit(straight, every[k], 9), *q = commit(broken, every[k], 9);
        for (int t = 0; t < 6; t++) {
            fill(straight, t);
            fill(broken, t);
            if (t == 3)
                q = reopen(q, broken, every[k], 9);
            nl_optim_step(o, false);
            nl_optim_step(q, false);
        }
        ck_assert_mem_eq(a->val, b->val, 77 * sizeof(nl_real));
        nl_optim_close(o);
        nl_optim_close(q);
        nl_store_close(straight);
        nl_store_close(broken);
    }
}
END_TEST

START_TEST(a_step_takes_no_memory)
{
    nl_store *s = open_store();
    add(s, "a", &weight, NULL, 50000);
    nl_optim *o = commit(s, "adam:clip=1", 0);
    const long before = nl_alloc_calls();
    nl_optim_step(o, true);
    ck_assert_int_eq(nl_alloc_calls(), before);
    nl_optim_close(o);
    nl_store_close(s);
}
END_TEST

START_TEST(failing_allocations_leave_nothing_behind)
{
    nl_store *s = open_store();
    add(s, "a", &weight, NULL, 50);
    ck_assert_int_eq(nl_store_commit(s), NL_OK);
    const long before = nl_alloc_live();
    nl_status st = NL_ENOMEM;
    long k = 0;
    for (; st != NL_OK && k < 50; k++) {
        nl_optim *o;
        nl_alloc_fail_at(k);
        st = nl_optim_open(&o, "adam", s, 0);
        nl_alloc_fail_at(-1);
        ck_assert_int_eq(st == NL_OK, o != NULL);
        nl_optim_close(o);
        ck_assert_int_eq(nl_alloc_live(), before);
    }
    ck_assert_int_gt(k, 4);
    ck_assert_int_eq(st, NL_OK);
    nl_store_close(s);
}
END_TEST

/* ---- specs */

static const char *canonical(const char *spec)
{
    static char kept[1024];
    nl_text text = {0};
    ck_assert_msg(nl_optim_canonical(spec, &text) == NL_OK, "%s", nl_last_error());
    snprintf(kept, sizeof kept, "%s", nl_text_of(&text));
    nl_text_free(&text);
    return kept;
}

START_TEST(canonical_specs_expand_defaults_and_read_back)
{
    ck_assert_str_eq(canonical("adamw"),
                     "adamw:lr=0.001:schedule=constant:milestones=0:gamma=0.1:warmup=0:min_lr=0"
                     ":decay=0.01:decay_mode=decoupled:clip=0:clip_value=0:beta1=0.9:beta2=0.999"
                     ":eps=1e-08:eps_mode=torch");
    for (int i = 0; nl_optim_at(i); i++) {
        char once[1024];
        nl_text text = {0};
        snprintf(once, sizeof once, "%s", canonical(nl_optim_at(i)->name));
        ck_assert_str_eq(canonical(once), once);
        ck_assert_int_eq(nl_optim_describe(nl_optim_at(i), &text), NL_OK);
        ck_assert_ptr_nonnull(strstr(nl_text_of(&text), "clip_value"));
        nl_text_free(&text);
    }
    ck_assert_ptr_nonnull(strstr(canonical("nesterov"), "momentum=0.9:dampening=0:nesterov=true"));
}
END_TEST

static const char *refusal(const char *spec, int64_t total)
{
    nl_store *s = open_store();
    nl_optim *o;
    add(s, "a", &weight, NULL, 2);
    ck_assert_int_eq(nl_store_commit(s), NL_OK);
    const long before = nl_alloc_live();
    ck_assert_int_ne(nl_optim_open(&o, spec, s, total), NL_OK);
    ck_assert_ptr_null(o);
    ck_assert_int_eq(nl_alloc_live(), before);
    nl_store_close(s);
    return nl_last_error();
}

START_TEST(refusals_say_what_was_wanted)
{
    ck_assert_str_eq(refusal("adma", 0), "no optimizer 'adma'; did you mean 'adam'? "
                                         "(known: sgd, momentum, nesterov, rmsprop, adam, adamw)");
    ck_assert_ptr_nonnull(strstr(refusal("adam:bata1=1", 0), "did you mean 'beta1'?"));
    ck_assert_ptr_nonnull(strstr(refusal("adam:lrr=1", 0), "did you mean 'lr'?"));
    ck_assert_ptr_nonnull(strstr(refusal("adam:beta2=1", 0), "beta2=1 is outside [0, 0.999999]"));
    ck_assert_str_eq(refusal("sgd:schedule=cosine", 0),
                     "sgd: schedule=cosine wants more steps than warmup=0, got 0");
    ck_assert_str_eq(refusal("sgd:schedule=step", 9),
                     "sgd: schedule=step wants milestones=STEP/STEP/...");
    ck_assert_str_eq(refusal("sgd:clip=1:clip_value=1", 9),
                     "sgd: clip and clip_value exclude each other");
    ck_assert_str_eq(refusal("sgd:nesterov=true", 9),
                     "sgd: nesterov wants momentum above 0 and dampening 0");
}
END_TEST

START_TEST(a_store_that_is_not_committed_is_refused)
{
    nl_store *s = open_store();
    nl_optim *o;
    add(s, "a", &weight, NULL, 2);
    ck_assert_int_eq(nl_optim_open(&o, "sgd", s, 0), NL_ESTATE);
    nl_store_close(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("optim");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, paths_are_those_of_pytorch_and_keras);
    tcase_add_test(t, every_value_is_updated_alike_wherever_it_lies);
    tcase_add_test(t, any_number_of_threads_gives_the_same_bytes);
    tcase_add_test(t, every_cpu_variant_gives_the_same_bytes);
    tcase_add_test(t, frozen_parameters_and_their_slots_stay);
    tcase_add_test(t, settings_of_a_parameter_act_on_it_alone);
    tcase_add_test(t, decoupled_decay_is_of_weights_alone);
    tcase_add_test(t, centered_rmsprop_survives_gradients_that_do_not_change);
    tcase_add_test(t, decay_and_a_pull_elsewhere_add_up);
    tcase_add_test(t, padding_stays_zero);
    tcase_add_test(t, asking_for_the_norm_changes_nothing);
    tcase_add_test(t, norm_is_over_every_block);
    tcase_add_test(t, a_gradient_that_is_not_finite_shows);
    tcase_add_test(t, rate_follows_the_schedule);
    tcase_add_test(t, resuming_from_slots_and_step_gives_the_same_bytes);
    tcase_add_test(t, a_step_takes_no_memory);
    tcase_add_test(t, failing_allocations_leave_nothing_behind);
    tcase_add_test(t, canonical_specs_expand_defaults_and_read_back);
    tcase_add_test(t, refusals_say_what_was_wanted);
    tcase_add_test(t, a_store_that_is_not_committed_is_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
