/* Methods from shared objects: they keep the contract, and what cannot be one is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/contract.h"
#include "core/norm.h"
#include "core/plugin.h"
#include "suite.h"

#ifdef NL_F64
#define MINE "f64"
#define OTHER "f32"
#else
#define MINE "f32"
#define OTHER "f64"
#endif
#define FILE_OF(name, precision) NL_PLUGINS "/plugin_" name "_" precision ".so"

static void say(void *to, const nl_finding *f)
{
    if (f->verdict == NL_BROKEN)
        printf("%s: %s: %s\n", (const char *)to, f->property, f->detail);
}

static void keeps_the_contract(const char *path, const char *called)
{
    const char *name;
    char copy[64];
    int broken = -1;
    if (nl_norm_plugin(path, &name) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    ck_assert_str_eq(name, called);
    ck_assert_ptr_eq(nl_norm_find(name), nl_norm_at(0));
    snprintf(copy, sizeof copy, "%s", name);
    ck_assert_int_eq(nl_contract_check(name, say, copy, &broken), NL_OK);
    ck_assert_int_eq(broken, 0);
}

START_TEST(a_method_of_coefficients_keeps_the_contract)
{
    keeps_the_contract(FILE_OF("scale_norm", MINE), "scale_norm");
}
END_TEST

START_TEST(a_method_of_whole_passes_keeps_the_contract)
{
    keeps_the_contract(FILE_OF("dyt", MINE), "dyt");
}
END_TEST

static const char *refusal(const char *path, nl_status expected)
{
    ck_assert_int_eq(nl_norm_plugin(path, NULL), expected);
    return nl_last_error();
}

static const struct {
    const char *path, *breaks;
} wrong[] = {
    {FILE_OF("wrong_gradient", MINE), "gradients"},
    {FILE_OF("wrong_promise", MINE), "promises"},
    {FILE_OF("missing_promise", MINE), "promises"},
};

static void note_break(void *to, const nl_finding *f)
{
    const char **awaited = to;
    if (f->verdict == NL_BROKEN && *awaited && strcmp(f->property, *awaited) == 0) {
        ck_assert_ptr_nonnull(strstr(f->detail, "seed"));
        *awaited = NULL;
    }
}

START_TEST(a_wrong_method_is_found_out)
{
    int broken = 0;
    const char *name, *awaited = wrong[_i].breaks;
    ck_assert_int_eq(nl_norm_plugin(wrong[_i].path, &name), NL_OK);
    ck_assert_int_eq(nl_contract_check(name, note_break, &awaited, &broken), NL_OK);
    ck_assert_int_gt(broken, 0);
    ck_assert_msg(!awaited, "%s keeps '%s'", wrong[_i].path, wrong[_i].breaks);
}
END_TEST

START_TEST(what_is_no_plugin_is_refused_with_a_reason)
{
    ck_assert_ptr_nonnull(strstr(refusal("nowhere.so", NL_EIO), "No such file"));
    ck_assert_ptr_nonnull(strstr(refusal("nowhere.so", NL_EIO), "./nowhere.so"));
    ck_assert_ptr_nonnull(strstr(refusal(NL_SOURCE_DIR "/LICENSE", NL_EIO), "LICENSE"));
    ck_assert_ptr_nonnull(strstr(refusal(FILE_OF("no_entry", MINE), NL_EABI), "nl_plugin_norm"));
    ck_assert_ptr_nonnull(
        strstr(refusal(FILE_OF("other_abi", MINE), NL_EABI), "built for interface 5"));
    ck_assert_ptr_nonnull(strstr(refusal(FILE_OF("dyt", OTHER), NL_EABI), "-byte numbers"));
    ck_assert_ptr_null(nl_norm_at(0));
}
END_TEST

START_TEST(a_name_is_given_once)
{
    ck_assert_int_eq(nl_norm_plugin(FILE_OF("dyt", MINE), NULL), NL_OK);
    ck_assert_ptr_nonnull(
        strstr(refusal(FILE_OF("dyt", MINE), NL_ENAME), "'dyt' is there already"));
    ck_assert_ptr_nonnull(nl_norm_find("dyt"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_method_of_coefficients_keeps_the_contract);
    tcase_add_test(t, a_method_of_whole_passes_keeps_the_contract);
    tcase_add_loop_test(t, a_wrong_method_is_found_out, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, what_is_no_plugin_is_refused_with_a_reason);
    tcase_add_test(t, a_name_is_given_once);
    suite_add_tcase(s, t);
    return run_suite(s);
}
