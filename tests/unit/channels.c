/* Channels of a run file: what log= says, what they hold, and that they change nothing. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "one_layer.h"
#include "suite.h"
#include "train/channels.h"
#include "train_run.h"

/* ---- log= */

/* "NAME every layers" of the channels that are on in a run of 1000 steps. */
static const char *plan_of(const char *log)
{
    static char out[1024];
    nl_log_plan p;
    ck_assert_msg(nl_log_plan_parse(log, &p) == NL_OK, "%s", nl_last_error());
    out[0] = 0;
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        const int64_t every = nl_log_plan_every(&p, (nl_log_channel_id)k, 1000);
        const size_t used = strlen(out);
        if (every)
            snprintf(out + used, sizeof out - used, "%s%s %lld%s%s", used ? ", " : "",
                     nl_log_channels[k].name, (long long)every, p.of[k].layers.is[0] ? " " : "",
                     p.of[k].layers.is);
    }
    return out;
}

START_TEST(items_count_from_left_to_right)
{
    static const char *const usual = "activations 10, norms 10, params 10";
    ck_assert_str_eq(plan_of(""), usual);
    ck_assert_str_eq(plan_of("0"), usual);
    ck_assert_str_eq(plan_of("7"), "activations 7, norms 7, params 7");
    ck_assert_str_eq(plan_of("7,histograms"), "activations 7, histograms 50, norms 7, params 7");
    ck_assert_str_eq(plan_of("histograms,7"), "activations 7, histograms 7, norms 7, params 7");
    ck_assert_str_eq(plan_of("none"), "");
    ck_assert_str_eq(plan_of("none,gradients:every=3:layers=h1/h3"), "gradients 3 h1/h3");
    ck_assert_str_eq(plan_of("params:every=off,norms:every=off"), "activations 10");
    ck_assert_str_eq(plan_of("all,none,cosine:layers=out,5"), "cosine 5 out");
}
END_TEST

START_TEST(the_canonical_plan_is_the_same_plan)
{
    static const char *const logs[] = {"0", "none", "all,3",
                                       "none,gradients:every=3:layers=h1/h3,params"};
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        nl_text canonical = {0};
        char wanted[1024];
        snprintf(wanted, sizeof wanted, "%s", plan_of(logs[i]));
        ck_assert_int_eq(nl_log_plan_canonical(logs[i], &canonical), NL_OK);
        ck_assert_str_eq(plan_of(nl_text_of(&canonical)), wanted);
        nl_text_free(&canonical);
    }
}
END_TEST

static const char *refusal(const char *log)
{
    nl_log_plan p;
    ck_assert_int_ne(nl_log_plan_parse(log, &p), NL_OK);
    return nl_last_error();
}

START_TEST(refusals_say_what_was_wanted)
{
    ck_assert_ptr_nonnull(strstr(refusal("activation"), "did you mean 'activations'? (known: "));
    ck_assert_str_eq(refusal("norms:every=often"),
                     "log: norms: every wants a number of steps, 0 or off, got 'often'");
    ck_assert_str_eq(refusal("norms:every=-2"),
                     "log: norms: every wants a number of steps, 0 or off, got '-2'");
    ck_assert_ptr_nonnull(strstr(refusal("params:layer=h1"), "did you mean 'layers'?"));
    ck_assert_str_eq(refusal("none,,norms"), "log: an item between commas is empty");
    ck_assert_str_eq(refusal("none,"), "log: an item between commas is empty");
}
END_TEST

START_TEST(layers_are_taken_whole_with_what_belongs_to_them)
{
    nl_log_plan p;
    ck_assert_int_eq(nl_log_plan_parse("none,norms:layers=h1/h30", &p), NL_OK);
    ck_assert(nl_log_plan_takes(&p, NL_LOG_NORMS, "h1"));
    ck_assert(nl_log_plan_takes(&p, NL_LOG_NORMS, "h1/preact"));
    ck_assert(nl_log_plan_takes(&p, NL_LOG_NORMS, "h30/act"));
    ck_assert(!nl_log_plan_takes(&p, NL_LOG_NORMS, "h3/preact"));
    ck_assert(!nl_log_plan_takes(&p, NL_LOG_NORMS, "h10"));
    ck_assert(!nl_log_plan_takes(&p, NL_LOG_PARAMS, "h1"));
}
END_TEST

/* ---- runs */

typedef void see(nl_run *run, const char *path, void *arg);

static void each_channel(nl_run *run, const char *group, see *f, void *arg)
{
    nl_names data = {0}, groups = {0};
    char path[256];
    ck_assert_int_eq(nl_run_list(run, group, NL_RUN_DATA, &data), NL_OK);
    for (int i = 0; i < data.count; i++) {
        snprintf(path, sizeof path, "%s/%s", group[1] ? group : "", data.at[i]);
        f(run, path, arg);
    }
    ck_assert_int_eq(nl_run_list(run, group, NL_RUN_GROUP, &groups), NL_OK);
    for (int i = 0; i < groups.count; i++) {
        snprintf(path, sizeof path, "%s/%s", group[1] ? group : "", groups.at[i]);
        each_channel(run, path, f, arg);
    }
    nl_names_free(&data);
    nl_names_free(&groups);
}

static void add_bytes(nl_run *run, const char *path, void *arg)
{
    uint64_t *hash = arg;
    int64_t is_volatile;
    nl_text timeline = {0};
    nl_array a;
    const bool channel = nl_run_text(run, path, "timeline", &timeline) &&
                         !nl_run_int(run, path, "volatile", &is_volatile);
    nl_text_free(&timeline);
    if (!channel)
        return;
    ck_assert_int_eq(nl_run_read(run, path, &a), NL_OK);
    *hash = nl_hash_bytes(nl_hash_text(path) ^ *hash, a.at, (uint64_t)a.count * sizeof *a.at);
    nl_array_free(&a);
}

/* Of every channel below these groups ("/" is all), clock times left out. */
static uint64_t bytes_of_channels(const char *folder, const char *const *groups)
{
    char path[96];
    uint64_t hash = NL_HASH_START;
    nl_run *run;
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    for (; *groups; groups++)
        each_channel(run, *groups, add_bytes, &hash);
    nl_run_close(run);
    return hash;
}

static const char *const everything[] = {"/", NULL}, *const curves[] = {"/steps", "/epochs",
                                                                        "/evals", NULL};

static uint64_t bytes_of_training(const char *words, const char *log, int threads,
                                  const char *const *groups)
{
    char folder[64], all[512];
    nl_train_result result;
    snprintf(all, sizeof all, "%s log=%s", words, log);
    make_test_folder(folder);
    ck_assert_msg(train_in(folder, all, threads, false, &result) == NL_OK, "%s: %s", all,
                  nl_last_error());
    const uint64_t bytes = bytes_of_channels(folder, groups);
    remove_test_folder(folder);
    return bytes;
}

#define CIRCLES "data=circles:train=300:val=0:test=100 model=mlp:hidden=16x2:act=relu "
#define SUMS "data=adding:length=6:train=120:test=40 model=lstm:hidden=8 batch=40 "

static const char *const runs[] = {
    CIRCLES "batch=30 norm=batch steps=24", CIRCLES "batch=30 norm=none steps=24",
    CIRCLES "batch=30 norm=batch_renorm+weight optimizer=adam steps=24", SUMS "norm=layer steps=12",
    SUMS "norm=none norm.x=batch:time=pooled steps=12"};
enum { RUNS = sizeof runs / sizeof *runs };

START_TEST(channels_change_no_byte_of_training)
{
    for (size_t i = 0; i < RUNS; i++) {
        const uint64_t off = bytes_of_training(runs[i], "none", 1, curves);
        ck_assert_msg(bytes_of_training(runs[i], "0", 1, curves) == off, "%s", runs[i]);
        ck_assert_msg(bytes_of_training(runs[i], "all,1", 1, curves) == off, "%s", runs[i]);
    }
}
END_TEST

START_TEST(threads_change_no_byte_of_any_channel)
{
    for (size_t i = 0; i < RUNS; i++)
        ck_assert_msg(bytes_of_training(runs[i], "all,2", 1, everything) ==
                          bytes_of_training(runs[i], "all,2", 3, everything),
                      "%s", runs[i]);
}
END_TEST

START_TEST(a_stopped_run_goes_on_with_its_channels)
{
    static const char *const words =
        CIRCLES "batch=30 norm=batch steps=1500 checkpoint=50 log=all,1";
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, &result), NL_OK);
    const uint64_t whole = bytes_of_channels(folder, everything);
    remove_test_folder(folder);
    make_test_folder(folder);
    run_until_stopped(folder, words);
    ck_assert_int_eq(train_in(folder, words, 1, true, &result), NL_OK);
    ck_assert(bytes_of_channels(folder, everything) == whole);
    remove_test_folder(folder);
}
END_TEST

static nl_array read_channel(nl_run *run, const char *path)
{
    nl_array a;
    ck_assert_msg(nl_run_read(run, path, &a) == NL_OK, "%s", nl_last_error());
    return a;
}

static void open_trained(const char *words, char folder[64], nl_run **run)
{
    char path[96];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_msg(train_in(folder, words, 1, false, &result) == NL_OK, "%s", nl_last_error());
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(run, path), NL_OK);
}

START_TEST(each_channel_has_the_rows_of_its_schedule)
{
    static const struct {
        const char *path;
        int64_t rows;
    } wanted[] = {{"/layers/step", 5},    {"/layers/h2/preact/pre/mean", 5},
                  {"/gradients/step", 3}, {"/gradients/h1/preact/post/std", 3},
                  {"/params/step", 20},   {"/params/h1/w/effective_lr", 20}};
    char folder[64];
    nl_run *run;
    open_trained(CIRCLES "batch=30 norm=batch steps=20 "
                         "log=none,activations:every=5:layers=h2,gradients:every=10,params:every=1",
                 folder, &run);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        nl_array a = read_channel(run, wanted[i].path);
        ck_assert_msg(a.dim[0] == wanted[i].rows, "%s has %lld rows", wanted[i].path,
                      (long long)a.dim[0]);
        nl_array_free(&a);
    }
    ck_assert_int_eq(nl_run_look(run, "/layers/h1"), NL_RUN_NOTHING);
    ck_assert_int_eq(nl_run_look(run, "/norms"), NL_RUN_NOTHING);
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

static double last_of(nl_run *run, const char *path)
{
    nl_array a = read_channel(run, path);
    const double last = a.at[a.count - 1];
    nl_array_free(&a);
    return last;
}

START_TEST(effective_rates_are_of_the_step_they_stand_at)
{
    char folder[64];
    nl_run *run;
    open_trained(CIRCLES "batch=30 norm=batch steps=8 optimizer=sgd:lr=0.4:schedule=linear log=1",
                 folder, &run);
    const double w = last_of(run, "/params/h2/w/weight_norm");
    ck_assert_int_eq(nl_run_look(run, "/params/h2/b/weight_norm"), NL_RUN_DATA);
    ck_assert_int_eq(nl_run_look(run, "/params/h2/b/effective_lr"), NL_RUN_NOTHING);
    ck_assert_double_eq_tol(last_of(run, "/params/h2/w/effective_lr"),
                            last_of(run, "/steps/lr") / (w * w), 1e-6);
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

/* On one full batch without momentum, w moves against g: both cosines of a tiny step are 1. */
START_TEST(cosines_compare_with_the_step_before)
{
    char folder[64];
    nl_run *run;
    open_trained(CIRCLES "batch=0 steps=6 optimizer=sgd:lr=1e-6 log=none,cosine:every=3", folder,
                 &run);
    nl_array a = read_channel(run, "/cosine/cosine");
    ck_assert_int_eq(a.count, 3);
    ck_assert(isnan(a.at[0]));
    ck_assert_double_eq_tol(a.at[1], 1, 1e-4);
    ck_assert_double_eq_tol(a.at[2], 1, 1e-4);
    nl_array_free(&a);
    ck_assert_double_eq_tol(last_of(run, "/cosine/h2/cosine"), 1, 1e-4);
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

/* Every row of both histograms of a slot, before and after its norm, counts so many. */
static void check_counts(nl_run *run, const char *folder, const char *slot, double wanted)
{
    for (int k = 0; k < 2; k++) {
        char of[96];
        snprintf(of, sizeof of, "/%s/%s/%s/counts", folder, slot, k ? "post" : "pre");
        nl_array a = read_channel(run, of);
        const int64_t bins = a.dim[1];
        for (int64_t row = 0; row < a.dim[0]; row++) {
            double sum = 0;
            for (int64_t i = 0; i < bins; i++)
                sum += a.at[row * bins + i];
            ck_assert_msg(sum == wanted, "%s: row %lld counts %g, not %g", of, (long long)row, sum,
                          wanted);
        }
        nl_array_free(&a);
    }
}

START_TEST(histograms_hold_every_value)
{
    static const struct {
        const char *words, *slot;
        double wanted;
    } cases[] = {{CIRCLES "batch=30 norm=batch", "h1/preact", 30 * 16},
                 {SUMS "norm=layer", "r1/x", 40 * 6 * 4 * 8},
                 {SUMS "norm=none", "r1/h", 40 * 6 * 4 * 8},
                 {SUMS "norm=layer", "r1/c", 40 * 6 * 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[64], words[256];
        nl_run *run;
        snprintf(words, sizeof words, "%s %s", cases[i].words,
                 "steps=4 log=none,histograms:every=2,gradient_histograms:every=2");
        open_trained(words, folder, &run);
        check_counts(run, "histograms", cases[i].slot, cases[i].wanted);
        check_counts(run, "gradient_histograms", cases[i].slot, cases[i].wanted);
        nl_run_close(run);
        remove_test_folder(folder);
    }
}
END_TEST

/* ---- gradients of slots */

enum { N = 7, IN = 9, OUT = 5 }; /* fewer examples than inputs: x^T dt gives dt */

typedef struct witness {
    nl_watch watch;
    nl_real room[N * OUT], seen[N * OUT], g[2][NL_SIDES][N * OUT];
    int values, told[2][NL_SIDES];
} witness;

static void take(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot, nl_side side,
                 const nl_real *g)
{
    witness *self = (witness *)w;
    memcpy(self->g[slot][side], g, (size_t)(c->n * l->out.s * l->out.c) * sizeof *g);
    self->told[slot][side]++;
}

static void take_value(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot)
{
    witness *self = (witness *)w;
    memcpy(self->seen, w->room, (size_t)(c->n * l->out.s * l->out.c) * sizeof *self->seen);
    self->values += slot == 0;
}

static void fill(nl_real *v, int64_t count, uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)nl_random_normal((nl_key){3, NL_STREAM_TEST, stream}, (uint64_t)i);
}

static void pass(nl_model *m, const nl_real *x, witness *w)
{
    nl_real dy[N * OUT];
    nl_layer_call call = {
        .n = N, .phase = NL_TRAIN, .seed = 1, .step = 3, .x = x, .watch = &w->watch};
    fill(dy, N * OUT, 2);
    nl_model_forward(m, &call);
    nl_model_backward(m, &call, dy);
}

static void near(const char *spec, const char *norm, double got, double wanted)
{
    const double bound = sizeof(nl_real) == 8 ? 1e-11 : 2e-5;
    ck_assert_msg(fabs(got - wanted) <= bound * (1 + fabs(wanted)), "%s with %s: %.9g, not %.9g",
                  spec, norm, got, wanted);
}

/* dL/dw = x^T dL/dt, t being what slot preact sees. */
static void check_pre(const char *spec, const char *norm, nl_model *m, const nl_real *x,
                      const nl_real *dt)
{
    const nl_item *w = nl_store_find(nl_model_store(m), "l", "w");
    for (int i = 0; i < IN; i++)
        for (int k = 0; k < OUT; k++) {
            double sum = 0;
            for (int n = 0; n < N; n++)
                sum += (double)x[n * IN + i] * (double)dt[n * OUT + k];
            near(spec, norm, (double)w->grad[i * OUT + k], sum);
        }
}

/* dL/dbeta and dL/dgamma of z = gamma xhat + beta are sums over dL/dz; gamma is 1, beta 0. */
static void check_post(const char *spec, const char *norm, nl_model *m, const nl_real *x,
                       const nl_real *dz)
{
    nl_real pre[N * OUT], xhat[N * OUT];
    nl_layer *l = nl_model_layer(m, 0);
    const nl_layer_call call = {.n = N, .phase = NL_TRAIN, .seed = 1, .step = 3, .x = x};
    const nl_item *gamma = nl_store_find(nl_model_store(m), "l/preact", "gamma");
    const nl_item *beta = nl_store_find(nl_model_store(m), "l/preact", "beta");
    l->ops->observe(l, &call, 0, pre, xhat);
    for (int k = 0; k < OUT; k++) {
        double d_beta = 0, d_gamma = 0;
        for (int n = 0; n < N; n++) {
            d_beta += (double)dz[n * OUT + k];
            d_gamma += (double)dz[n * OUT + k] * (double)xhat[n * OUT + k];
        }
        near(spec, norm, (double)beta->grad[k], d_beta);
        near(spec, norm, (double)gamma->grad[k], d_gamma);
    }
}

/* What a layer tells on the way is what it shows afterwards. */
static void check_value(nl_model *m, const nl_real *x, const witness *w)
{
    nl_real pre[N * OUT];
    nl_layer *l = nl_model_layer(m, 0);
    nl_layer_call call = {.n = N, .phase = NL_TRAIN, .seed = 1, .step = 3, .x = x};
    ck_assert_int_eq(w->values, 1);
    nl_model_layer_input(m, l, &call, &call);
    l->ops->observe(l, &call, 0, pre, NULL);
    ck_assert_mem_eq(pre, w->seen, sizeof pre);
}

START_TEST(gradients_of_slots_are_those_behind_the_parameters_gradients)
{
    static const char *const specs[] = {"dense:out=5",
                                        "dense:out=5:act=relu",
                                        "dense:out=5:act=sigmoid",
                                        "dense:out=5:act=tanh",
                                        "dense:out=5:act=tanh:bias=after",
                                        "dense:out=5:act=relu:bias=off"};
    static const char *const norms[] = {"none", "batch", "layer"};
    nl_real x[N * IN];
    fill(x, N * IN, 1);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (size_t k = 0; k < sizeof norms / sizeof *norms; k++) {
            const nl_model_setup setup = {.shape = {.s = 1, .c = IN},
                                          .outputs = OUT,
                                          .batch = N,
                                          .n = N,
                                          .norm = norms[k],
                                          .seed = 1};
            nl_model *m;
            witness w = {.watch = {.slot = take, .value = take_value, .room = w.room}};
            ck_assert_msg(open_one_layer(&m, specs[s], &setup) == NL_OK, "%s", nl_last_error());
            pass(m, x, &w);
            ck_assert_int_eq(w.told[0][NL_PRE], 1);
            ck_assert_int_eq(w.told[0][NL_POST], 1);
            check_pre(specs[s], norms[k], m, x, w.g[0][NL_PRE]);
            if (k > 0)
                check_post(specs[s], norms[k], m, x, w.g[0][NL_POST]);
            else
                ck_assert_mem_eq(w.g[0][NL_PRE], w.g[0][NL_POST], sizeof w.g[0][NL_PRE]);
            if (k == 0)
                check_value(m, x, &w);
            nl_model_close(m);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("channels");
    TCase *t = tcase_create("log");
    tcase_add_test(t, items_count_from_left_to_right);
    tcase_add_test(t, the_canonical_plan_is_the_same_plan);
    tcase_add_test(t, refusals_say_what_was_wanted);
    tcase_add_test(t, layers_are_taken_whole_with_what_belongs_to_them);
    suite_add_tcase(s, t);
    TCase *r = tcase_create("runs");
    tcase_set_timeout(r, 120);
    tcase_add_checked_fixture(r, use_registries, NULL);
    tcase_add_test(r, channels_change_no_byte_of_training);
    tcase_add_test(r, threads_change_no_byte_of_any_channel);
    tcase_add_test(r, a_stopped_run_goes_on_with_its_channels);
    tcase_add_test(r, each_channel_has_the_rows_of_its_schedule);
    tcase_add_test(r, effective_rates_are_of_the_step_they_stand_at);
    tcase_add_test(r, cosines_compare_with_the_step_before);
    tcase_add_test(r, histograms_hold_every_value);
    tcase_add_test(r, gradients_of_slots_are_those_behind_the_parameters_gradients);
    suite_add_tcase(s, r);
    return run_suite(s);
}
