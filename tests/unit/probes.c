/* Probes look from the side. What they say is held to its definitions by tests/golden/probes.py. */
#include <check.h>
#include <math.h>

#include "suite.h"
#include "train/evaluate.h"
#include "train/moments.h"
#include "train/probe.h"
#include "train_run.h"

#define EVERY                                                                    \
    "probe=gap:every=3,growth:every=7,hessian:every=5:iterations=3,ics:every=2," \
    "landscape:every=4:points=3,noise:every=3,rank:every=3,unit:every=3"

static nl_run *opened(const char *folder)
{
    char path[96];
    nl_run *run;
    snprintf(path, sizeof path, "%s/run.h5", folder);
    if (nl_run_open(&run, path) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    return run;
}

static nl_array channel(nl_run *run, const char *path)
{
    nl_array a;
    if (nl_run_read(run, path, &a) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    return a;
}

/* The loss curve, and every parameter and state of the checkpoint. */
static uint64_t training_of(const char *folder)
{
    nl_trained t;
    nl_run *run = opened(folder);
    nl_array loss = channel(run, "/steps/loss");
    uint64_t hash = nl_hash_bytes(NL_HASH_START, loss.at, (uint64_t)loss.count * sizeof *loss.at);
    nl_array_free(&loss);
    nl_run_close(run);
    ck_assert_int_eq(nl_trained_open(&t, folder, NULL, 1), NL_OK);
    for (int i = 0; i < nl_store_count(nl_model_store(t.model)); i++) {
        const nl_item *it = nl_store_at(nl_model_store(t.model), i);
        if (it->decl->role == NL_PARAM || it->decl->role == NL_STATE)
            hash =
                nl_hash_bytes(hash, it->val, (uint64_t)it->count * nl_type_bytes(it->decl->type));
    }
    nl_trained_close(&t);
    return hash;
}

static uint64_t trained(const char *words, int threads)
{
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    if (train_in(folder, words, threads, false, &result) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    ck_assert_str_eq(result.outcome, "done");
    const uint64_t hash = training_of(folder);
    remove_test_folder(folder);
    return hash;
}

START_TEST(probes_never_change_training)
{
    static const char *const runs[] = {
        "data=circles:train=100 model=mlp:hidden=8x2:dropout=.2 norm=batch optimizer=adam steps=30",
        "data=circles:train=100 model=mlp:hidden=8x2 norm=batch_renorm optimizer=momentum steps=30",
        "data=circles:train=100 model=mlp:hidden=8x2 norm=batch_layer batch=25 steps=30",
        "data=circles:train=100 model=mlp:hidden=8x2 norm=weight+layer batch=60 steps=30",
        "data=glyphs:train=60:test=10 model=lenet_bln norm=batch batch=25 steps=4",
        "data=glyphs:train=60:test=10 model=resnet:depth=8:width=4 norm=group batch=16 steps=4"};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char words[1024];
        snprintf(words, sizeof words, "%s " EVERY, runs[i]);
        const uint64_t without = trained(runs[i], 1);
        ck_assert_msg(trained(words, 1) == without, "%s", runs[i]);
        if (i % 4 == 0) /* dense layers and convolutions */
            ck_assert_msg(trained(words, 2) == without, "%s, two threads", runs[i]);
    }
}
END_TEST

START_TEST(probes_look_at_the_first_step_and_at_multiples)
{
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, "data=circles:train=100 model=mlp:hidden=8 steps=10 " EVERY,
                              1, false, &result),
                     NL_OK);
    nl_run *run = opened(folder);
    nl_array step = channel(run, "/probes/landscape/step"),
             loss = channel(run, "/probes/landscape/loss");
    static const double wanted[] = {1, 4, 8};
    ck_assert_int_eq(step.count, 3);
    ck_assert_int_eq(loss.count, 9);
    for (int i = 0; i < 3; i++)
        ck_assert(step.at[i] == wanted[i]);
    nl_array unit = channel(run, "/probes/unit/post");
    for (int64_t i = 0; i < unit.count; i++) /* percentiles grow within a row */
        ck_assert(i % NL_PERCENTILES == 0 ? isfinite(unit.at[i]) : unit.at[i] >= unit.at[i - 1]);
    nl_array_free(&unit);
    nl_array_free(&step);
    nl_array_free(&loss);
    nl_run_close(run);
    remove_test_folder(folder);
}
END_TEST

/* Theorem 8 of Yang et al. 2019: with batches of 32, batch normalization before relu, squared
 * gradients grow by 1.522 a layer at initialization. Finite width leaves some percent. */
START_TEST(gradients_grow_through_batch_normalization_as_predicted)
{
    char folder[64];
    nl_train_result result;
    double sum = 0;
    enum { SEEDS = 3 };
    for (int seed = 1; seed <= SEEDS; seed++) {
        char words[256];
        snprintf(words, sizeof words,
                 "data=glyphs:train=64:test=10 model=mlp:hidden=200x20:bias=off norm=batch "
                 "init=he_normal "
                 "batch=32 steps=1 probe=growth seed=%d",
                 seed);
        make_test_folder(folder);
        if (train_in(folder, words, 1, false, &result) != NL_OK)
            ck_abort_msg("%s", nl_last_error());
        nl_run *run = opened(folder);
        nl_array rate = channel(run, "/probes/growth/rate");
        ck_assert_int_eq(rate.count, 1);
        sum += rate.at[0];
        nl_array_free(&rate);
        nl_run_close(run);
        remove_test_folder(folder);
    }
    ck_assert_double_eq_tol(sum / SEEDS, 1.522, 0.06);
}
END_TEST

static const char *refusal(const char *list)
{
    nl_text text = {0};
    ck_assert_int_ne(nl_probes_canonical(list, &text), NL_OK);
    nl_text_free(&text);
    return nl_last_error();
}

START_TEST(bad_lists_are_refused)
{
    ck_assert_ptr_nonnull(strstr(refusal("icz"), "no probe 'icz'; did you mean 'ics'?"));
    ck_assert_ptr_nonnull(strstr(refusal("ics,ics:every=3"), "ics is named twice"));
    ck_assert_ptr_nonnull(strstr(refusal("landscape:points=1"), "points"));
    ck_assert_ptr_nonnull(strstr(refusal("rank:evry=2"), "evry"));
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(
        train_in(folder, "data=circles steps=3 probe=unit:layer=h9", 1, false, &result), NL_ENAME);
    ck_assert_int_eq(
        train_in(folder, "data=circles steps=3 probe=unit:unit=100", 1, false, &result),
        NL_EOPTION);
    ck_assert_int_eq(
        train_in(folder, "data=circles steps=3 probe=landscape:from=4:to=2", 1, false, &result),
        NL_EOPTION);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "from=4 is not below to=2"));
    remove_test_folder(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("probes");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 400);
    use_registries();
    tcase_add_test(t, probes_never_change_training);
    tcase_add_test(t, probes_look_at_the_first_step_and_at_multiples);
    tcase_add_test(t, gradients_grow_through_batch_normalization_as_predicted);
    tcase_add_test(t, bad_lists_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
