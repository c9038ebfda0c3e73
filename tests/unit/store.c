/* The store: variables in slabs by lifetime, and the generic settings of any parameter. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/store.h"
#include "suite.h"

static const nl_variable table[] = {
    {.name = "gamma", .role = NL_PARAM, .dim = {NL_C, NL_1}, .init = 1, .doc = "gain"},
    {.name = "beta", .role = NL_PARAM, .dim = {NL_C, NL_1}, .doc = "shift"},
    {.name = "run_mean", .role = NL_STATE, .type = NL_TYPE_DOUBLE, .init = 0.5, .doc = "mean"},
    {.name = "seen", .role = NL_STATE, .type = NL_TYPE_INT64, .init = 3, .doc = "count"},
    {.name = "rstd", .role = NL_SAVED, .doc = "1 / deviation"},
    {.name = "work", .role = NL_SCRATCH, .doc = "room"},
    {0}};
enum { GAMMA, BETA, RUN_MEAN, SEEN, RSTD, WORK, ROWS };

/* Everything of the table under one owner. */
static nl_status fill(nl_store *s, const nl_setting *set)
{
    int index;
    for (int k = 0; k < ROWS; k++)
        NL_TRY(nl_store_add(s, "h1/preact", &table[k], set ? &set[k] : NULL, 5, k + 1, 1, &index));
    return NL_OK;
}

static nl_store *full_store(const nl_setting *set)
{
    nl_store *s;
    ck_assert_int_eq(nl_store_open(&s), NL_OK);
    ck_assert_int_eq(fill(s, set), NL_OK);
    ck_assert_int_eq(nl_store_commit(s), NL_OK);
    return s;
}

START_TEST(items_are_aligned_and_start_with_their_constant)
{
    nl_store *s = full_store(NULL);
    ck_assert_int_eq(nl_store_count(s), ROWS);
    for (int k = 0; k < ROWS; k++) {
        const nl_item *it = nl_store_at(s, k);
        ck_assert_int_eq(it->count, 5 * (k + 1));
        ck_assert_uint_eq((uintptr_t)it->val % NL_ALIGN, 0);
        ck_assert_uint_eq((uintptr_t)it->grad % NL_ALIGN, 0);
        ck_assert_int_eq(it->grad != NULL, it->decl->role == NL_PARAM);
        ck_assert_ptr_eq(nl_store_find(s, "h1/preact", table[k].name), it);
    }
    ck_assert_double_eq(((nl_real *)nl_store_at(s, GAMMA)->val)[4], 1);
    ck_assert_double_eq(((double *)nl_store_at(s, RUN_MEAN)->val)[14], 0.5);
    ck_assert_int_eq(((int64_t *)nl_store_at(s, SEEN)->val)[19], 3);
    ck_assert_ptr_null(nl_store_find(s, "h1", "gamma"));
    nl_store_close(s);
}
END_TEST

START_TEST(parameters_and_gradients_share_offsets_and_are_padded_with_zeros)
{
    nl_store *s = full_store(NULL);
    int64_t params, grads, used = 0;
    nl_real *p = nl_store_params(s, &params), *g = nl_store_grads(s, &grads);
    ck_assert_int_eq(params, grads);
    for (int k = GAMMA; k <= BETA; k++) {
        const nl_item *it = nl_store_at(s, k);
        ck_assert_ptr_eq(it->val, p + it->at);
        ck_assert_ptr_eq(it->grad, g + it->at);
        used += it->count;
    }
    double sum = 0;
    for (int64_t i = 0; i < params; i++)
        sum += p[i];
    ck_assert_int_eq(used, 15);
    ck_assert_double_eq(sum, 5); /* gamma is 1, beta 0, padding 0 */
    for (int64_t i = 0; i < grads; i++)
        g[i] = 7;
    nl_store_zero_grads(s);
    for (int64_t i = 0; i < grads; i++)
        ck_assert_double_eq(g[i], 0);
    nl_store_close(s);
}
END_TEST

START_TEST(empty_variables_have_no_memory)
{
    nl_store *s;
    int index;
    ck_assert_int_eq(nl_store_open(&s), NL_OK);
    ck_assert_int_eq(nl_store_add(s, "h1", &table[GAMMA], NULL, 0, 4, 1, &index), NL_OK);
    ck_assert_int_eq(nl_store_commit(s), NL_OK);
    ck_assert_ptr_null(nl_store_at(s, index)->val);
    ck_assert_ptr_null(nl_store_at(s, index)->grad);
    nl_store_close(s);
}
END_TEST

START_TEST(settings_are_parsed_once_for_all_owners)
{
    nl_setting set[ROWS];
    ck_assert_int_eq(nl_settings_preset(table, set, "batch"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", "gamma.init", "0.1"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", "gamma.constraint", "nonneg"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", "beta.freeze", "1"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", "beta.lr", "10"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", "run_mean.init", "2"), NL_OK);
    nl_text text = {0};
    nl_settings_print(table, set, &text);
    ck_assert_str_eq(nl_text_of(&text), ":gamma.init=0.1:gamma.constraint=nonneg:beta.lr=10"
                                        ":beta.freeze=true:run_mean.init=2");
    nl_text_free(&text);
    nl_store *s = full_store(set);
    ck_assert_double_eq(((nl_real *)nl_store_at(s, GAMMA)->val)[0], (nl_real)0.1);
    ck_assert_double_eq(((double *)nl_store_at(s, RUN_MEAN)->val)[0], 2);
    ck_assert_int_eq(nl_store_at(s, GAMMA)->set.constraint.is, NL_NONNEG);
    nl_store_close(s);
}
END_TEST

static const char *refusal(const char *key, const char *value)
{
    nl_setting set[ROWS];
    ck_assert_int_eq(nl_settings_preset(table, set, "batch"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", key, value), NL_EOPTION);
    return nl_last_error();
}

START_TEST(settings_refused_say_what_was_wanted)
{
    ck_assert_str_eq(refusal("gama.init", "1"),
                     "batch has no variable 'gama'; did you mean 'gamma'?"
                     " (known: gamma, beta, run_mean, seen)");
    ck_assert_str_eq(refusal("gamma.lrr", "1"),
                     "batch: gamma has no option 'lrr'; did you mean 'lr'? "
                     "(known: init, lr, l2, l2_to, constraint, freeze)");
    ck_assert_str_eq(refusal("gamma.lr", "-1"), "batch: gamma: lr=-1 is outside [0, 1000000]");
    ck_assert_str_eq(refusal("run_mean.lr", "1"), "batch: run_mean is not learned and takes only "
                                                  "run_mean.init, got run_mean.lr");
    ck_assert_str_eq(refusal("gamma", "1"), "batch: 'gamma' is not NAME.KEY");
    ck_assert_ptr_nonnull(strstr(refusal("work.init", "1"), "no variable 'work'"));
}
END_TEST

START_TEST(variables_refused_leave_the_store_usable)
{
    nl_store *s;
    nl_setting set[ROWS];
    int index = -1;
    ck_assert_int_eq(nl_settings_preset(table, set, "batch"), NL_OK);
    ck_assert_int_eq(nl_setting_set(table, set, "batch", "gamma.init", "he_uniform"), NL_OK);
    ck_assert_int_eq(nl_store_open(&s), NL_OK);
    ck_assert_int_eq(nl_store_add(s, "h1", &table[GAMMA], &set[GAMMA], 1, 1, 1, &index),
                     NL_EOPTION);
    ck_assert_str_eq(nl_last_error(), "h1: gamma.init wants a number, got 'he_uniform'");
    ck_assert_int_eq(nl_store_add(s, "h1", &table[BETA], NULL, INT64_MAX, 2, 1, &index), NL_ESHAPE);
    ck_assert_int_eq(nl_store_add(s, "h1", &table[BETA], NULL, -1, 2, 1, &index), NL_ESHAPE);
    ck_assert_int_eq(nl_store_add(s, "h1", &table[BETA], NULL, 3, 2, 1, &index), NL_OK);
    ck_assert_int_eq(nl_store_add(s, "h1", &table[BETA], NULL, 3, 2, 1, &index), NL_ENAME);
    ck_assert_str_eq(nl_last_error(), "h1 has two variables 'beta'");
    ck_assert_int_eq(index, 0);
    char endless[200] = {0};
    memset(endless, 'h', sizeof endless - 1);
    ck_assert_int_eq(nl_store_add(s, endless, &table[BETA], NULL, 3, 2, 1, &index), NL_ENAME);
    ck_assert_int_eq(nl_store_commit(s), NL_OK);
    ck_assert_int_eq(nl_store_add(s, "h2", &table[BETA], NULL, 3, 2, 1, &index), NL_ESTATE);
    ck_assert_int_eq(nl_store_commit(s), NL_ESTATE);
    nl_store_close(s);
}
END_TEST

START_TEST(failing_allocations_leave_nothing_behind)
{
    const long before = nl_alloc_live();
    nl_status st = NL_ENOMEM;
    long k = 0;
    for (; st != NL_OK && k < 100; k++) {
        nl_store *s = NULL;
        nl_alloc_fail_at(k);
        st = nl_store_open(&s);
        if (st == NL_OK)
            st = fill(s, NULL);
        if (st == NL_OK)
            st = nl_store_commit(s);
        nl_alloc_fail_at(-1);
        nl_store_close(s);
        ck_assert_int_eq(nl_alloc_live(), before);
    }
    ck_assert_int_gt(k, ROWS);
    ck_assert_int_eq(st, NL_OK);
}
END_TEST

START_TEST(a_failed_commit_can_be_tried_again)
{
    nl_store *s;
    ck_assert_int_eq(nl_store_open(&s), NL_OK);
    ck_assert_int_eq(fill(s, NULL), NL_OK);
    const long before = nl_alloc_live();
    nl_alloc_fail_at(3);
    ck_assert_int_eq(nl_store_commit(s), NL_ENOMEM);
    nl_alloc_fail_at(-1);
    ck_assert_int_eq(nl_alloc_live(), before);
    ck_assert_int_eq(nl_store_commit(s), NL_OK);
    nl_store_close(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("all");
    tcase_add_test(t, items_are_aligned_and_start_with_their_constant);
    tcase_add_test(t, parameters_and_gradients_share_offsets_and_are_padded_with_zeros);
    tcase_add_test(t, empty_variables_have_no_memory);
    tcase_add_test(t, settings_are_parsed_once_for_all_owners);
    tcase_add_test(t, settings_refused_say_what_was_wanted);
    tcase_add_test(t, variables_refused_leave_the_store_usable);
    tcase_add_test(t, failing_allocations_leave_nothing_behind);
    tcase_add_test(t, a_failed_commit_can_be_tried_again);
    suite_add_tcase(s, t);
    return run_suite(s);
}
