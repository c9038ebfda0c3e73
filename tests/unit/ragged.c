/* Sequences of unequal length through a data set, its batches and the trainer: padding, filled with
 * NaN here, reaches nothing. */
#include <math.h>

#include "par/par.h"
#include "suite.h"
#include "train/batches.h"
#include "train_run.h"

/* ---- a data set: is the sum of a sequence of random length positive? */

enum { STEPS = 9, CHANNELS = 2 };

typedef struct sums {
    nl_dataset_common common;
    bool before, broken;
} sums;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(sums, "200", "100", 1, "none"),
    NL_OPT_FLAG(sums, before, "false", "padding before the values"),
    NL_OPT_FLAG(sums, broken, "false", "one example has too many steps"), NL_OPT_END};

static void draw(const sums *o, nl_split *s, uint64_t stream)
{
    const nl_key key = {4, NL_STREAM_DATA, stream};
    for (int64_t i = 0; i < s->count; i++) {
        const int64_t length = 1 + nl_random_below(key, (uint64_t)(1000000 + i), STEPS);
        const int64_t first = o->before ? STEPS - length : 0;
        double sum = 0;
        for (int64_t k = 0; k < STEPS * CHANNELS; k++) {
            const int64_t t = k / CHANNELS;
            const bool live = t >= first && t < first + length;
            const double v = nl_random_normal(key, (uint64_t)(i * STEPS * CHANNELS + k));
            s->x[i * STEPS * CHANNELS + k] = live ? (nl_real)v : (nl_real)NAN;
            sum += live ? v : 0;
        }
        s->label[i] = sum > 0;
        s->length[i] = (int32_t)length;
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const sums *o = self;
    nl_cut cut;
    (void)dir;
    out->shape = (nl_shape){.s = STEPS, .c = CHANNELS};
    out->classes = 2;
    out->hi = 1;
    out->ragged = true;
    out->pads_before = o->before;
    NL_TRY(nl_dataset_cut(&o->common, "sums", NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    NL_TRY(nl_dataset_room(out, &cut));
    draw(o, &out->train, 1);
    draw(o, &out->val, 2);
    draw(o, &out->test, 3);
    if (o->broken)
        out->test.length[7] = STEPS + 1;
    return NL_OK;
}

static const nl_dataset_ops nl_dataset_sums = {
    NL_DATASET_HEADER,         .name = "sums",     .title = "Sums of sequences",
    .self_size = sizeof(sums), .options = options, .load = load};
static const nl_dataset_ops *const datasets[] = {&nl_dataset_sums};

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    if (nl_dataset_open(&d, spec, NULL) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    return d;
}

START_TEST(live_steps_are_where_values_are)
{
    static const char *const specs[] = {"sums", "sums:before=true", "sums:sort=true:before=true"};
    for (int k = 0; k < 3; k++) {
        nl_dataset *d = opened(specs[k]);
        uint8_t live[STEPS];
        for (int64_t i = 0; i < d->train.count; i++) {
            nl_dataset_live(d, &d->train, i, live);
            for (int t = 0; t < STEPS; t++)
                ck_assert_int_eq(live[t], isfinite(d->train.x[(i * STEPS + t) * CHANNELS]) ? 1 : 0);
        }
        nl_dataset_close(d);
    }
}
END_TEST

START_TEST(batches_bring_the_steps_of_their_examples)
{
    nl_dataset *d = opened("sums");
    nl_batches b;
    const nl_batches_options o = {.batch = 30};
    static int64_t order[200];
    static nl_real x[30 * STEPS * CHANNELS];
    static uint8_t live[30 * STEPS];
    int32_t label[30];
    ck_assert_int_eq(nl_batches_open(&b, d, &d->train, &o, 1), NL_OK);
    nl_batches_order(&b, 0, order);
    for (int64_t k = 0; k < b.steps; k++) {
        const int64_t rows = nl_batches_gather(&b, order, 0, k, x, label, NULL, false);
        nl_batches_live(&b, order, k, live);
        for (int64_t i = 0; i < rows * STEPS; i++)
            ck_assert_int_eq(live[i], isfinite(x[i * CHANNELS]) ? 1 : 0);
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(lengths_are_part_of_the_checksum)
{
    nl_dataset *d = opened("sums:standardize=unit"), *e = opened("sums:before=true");
    ck_assert(d->checksum != e->checksum);
    nl_dataset_close(e);
    e = opened("sums:standardize=unit");
    ck_assert(d->checksum == e->checksum);
    nl_dataset_close(d);
    nl_dataset_close(e);
}
END_TEST

START_TEST(sequences_of_unequal_length_are_learned)
{
    static const char *const specs[] = {
        "data=sums model=lstm:hidden=16 norm=layer", "data=sums:before=true model=gru:hidden=16 ",
        "data=sums:before=true model=rnn:hidden=16:layers=2 norm=rms norm.act=layer",
        "data=sums model=lstm:hidden=16:reverse=true norm=batch batch=50"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char folder[64], words[256];
        nl_train_result r;
        snprintf(words, sizeof words, "%s epochs=40 optimizer=adam:lr=1e-2", specs[i]);
        make_test_folder(folder);
        if (train_in(folder, words, 1, false, &r) != NL_OK)
            ck_abort_msg("%s: %s", specs[i], nl_last_error());
        ck_assert_str_eq(r.outcome, "done");
        /* norms take from sums what they measure; guessing gives a half */
        ck_assert_msg(r.test_accuracy > 0.75, "%s: accuracy %g", specs[i], r.test_accuracy);
        remove_test_folder(folder);
    }
}
END_TEST

/* ---- the run file of recurrent layers */

START_TEST(logging_steps_never_changes_training)
{
    static const char *const norms[] = {"none", "batch", "layer", "batch_renorm:r_max=2:d_max=1"};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        char words[2][256];
        for (int k = 0; k < 2; k++)
            snprintf(words[k], sizeof words[k],
                     "data=sums model=lstm:hidden=8/5 norm=%s batch=40 steps=12 log=%s", norms[i],
                     k ? "none" : "all,1,cosine:every=off");
        ck_assert_msg(checkpoint_bytes(words[0]) == checkpoint_bytes(words[1]), "%s", norms[i]);
    }
}
END_TEST

START_TEST(channels_over_steps_hold_numbers_for_every_logged_step)
{
    static const struct {
        const char *folder, *name;
    } paths[] = {{"layers", "x/pre/step_mean"},    {"layers", "h/post/step_std"},
                 {"layers", "c/pre/step_min"},     {"layers", "c/post/step_max"},
                 {"layers", "act/pre/step_std"},   {"layers", "gradient_norm"},
                 {"gradients", "x/pre/step_std"},  {"gradients", "h/pre/step_mean"},
                 {"gradients", "h/post/step_min"}, {"gradients", "c/post/step_max"}};
    char folder[64], path[96];
    nl_train_result result;
    nl_run *run;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder,
                              "data=sums model=gru:hidden=8:bidirectional=true norm=layer batch=40 "
                              "steps=12 log=gradients,4",
                              1, false, &result),
                     NL_OK);
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    for (size_t i = 0; i < 2 * sizeof paths / sizeof *paths; i++) {
        nl_array a;
        snprintf(path, sizeof path, "/%s/%s/%s", paths[i / 2].folder, i % 2 ? "r1_back" : "r1",
                 paths[i / 2].name);
        if (nl_run_read(run, path, &a) != NL_OK)
            ck_abort_msg("%s", nl_last_error());
        ck_assert(a.rank == 2 && a.dim[0] == 4 && a.dim[1] == STEPS); /* steps 1, 4, 8, 12 */
        for (int64_t k = 0; k < a.count; k++)
            ck_assert_msg(isfinite(a.at[k]), "%s", path);
        nl_array_free(&a);
    }
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

START_TEST(refusals_name_what_was_wanted)
{
    nl_dataset *d;
    ck_assert_int_eq(nl_dataset_open(&d, "sums:broken=true", NULL), NL_EFORMAT);
    ck_assert_str_eq(nl_last_error(), "sums: example 7 has 10 steps, wanted 1 .. 9");
    ck_assert_int_eq(nl_dataset_open(&d, "sums:standardize=feature", NULL), NL_EOPTION);
    ck_assert_str_eq(nl_last_error(),
                     "sums: standardize=feature would count padding, wanted none or unit");
}
END_TEST

int main(void)
{
    use_registries();
    nl_dataset_use(datasets, 1);
    Suite *s = suite_create("ragged");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, live_steps_are_where_values_are);
    tcase_add_test(t, batches_bring_the_steps_of_their_examples);
    tcase_add_test(t, lengths_are_part_of_the_checksum);
    tcase_add_test(t, sequences_of_unequal_length_are_learned);
    tcase_add_test(t, logging_steps_never_changes_training);
    tcase_add_test(t, channels_over_steps_hold_numbers_for_every_logged_step);
    tcase_add_test(t, refusals_name_what_was_wanted);
    suite_add_tcase(s, t);
    return run_suite(s);
}
