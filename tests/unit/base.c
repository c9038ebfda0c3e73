/* Messages, memory, strings and numbers as text. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/text.h"
#include "suite.h"

static nl_status innermost(void)
{
    return nl_fail(NL_EIO, "disk: %d bytes wanted, %d there", 7, 3);
}

static nl_status between(void)
{
    NL_TRY(innermost());
    return NL_OK;
}

static nl_status cleans_up(int *cleaned)
{
    nl_status st = NL_OK;
    NL_GO(between());
done:
    *cleaned = 1;
    return st;
}

START_TEST(failure_carries_its_message_and_its_way)
{
    int cleaned = 0;
    ck_assert_int_eq(cleans_up(&cleaned), NL_EIO);
    ck_assert_int_eq(cleaned, 1);
    ck_assert_str_eq(nl_last_error(), "disk: 7 bytes wanted, 3 there");
    int arrows = 0;
    for (const char *at = nl_last_trace(); (at = strstr(at, " <- ")); at++)
        arrows++;
    ck_assert_int_eq(arrows, 2);
    nl_error_prefix("%s:%d: ", "spec.yaml", 4);
    ck_assert_str_eq(nl_last_error(), "spec.yaml:4: disk: 7 bytes wanted, 3 there");
}
END_TEST

START_TEST(overlong_messages_are_cut_and_stay_strings)
{
    char longest[4000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    ck_assert_int_eq(nl_fail(NL_EIO, "%s", longest), NL_EIO);
    ck_assert_int_eq(strlen(nl_last_error()), 1023);
    nl_error_prefix("%s", longest);
    ck_assert_int_eq(strlen(nl_last_error()), 1023);
    for (int k = 0; k < 200; k++)
        ck_assert_int_eq(nl_trace("src/base/a_rather_long_name.c", k, NL_EIO), NL_EIO);
    ck_assert_int_lt(strlen(nl_last_trace()), 512);
}
END_TEST

START_TEST(every_status_has_a_text_of_its_own)
{
    for (int a = 0; a < NL_STATUS_COUNT; a++)
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(nl_status_text((nl_status)a), nl_status_text((nl_status)b));
    ck_assert_str_eq(nl_status_text((nl_status)999), "unknown status");
}
END_TEST

START_TEST(memory_is_zeroed_aligned_and_counted)
{
    const long live = nl_alloc_live();
    for (size_t count = 0; count < 200; count += 7) {
        unsigned char *p = nl_alloc(count, 3);
        ck_assert_ptr_nonnull(p);
        ck_assert_int_eq((uintptr_t)p % NL_ALIGN, 0);
        for (size_t i = 0; i < count * 3; i++)
            ck_assert_int_eq(p[i], 0);
        ck_assert_int_eq(nl_alloc_live(), live + 1);
        memset(p, 0xff, count * 3);
        nl_free(p);
    }
    nl_free(NULL);
    ck_assert_int_eq(nl_alloc_live(), live);
    ck_assert_ptr_null(nl_alloc(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(nl_alloc(SIZE_MAX, 1));
}
END_TEST

START_TEST(the_chosen_allocation_fails_once)
{
    nl_alloc_fail_at(1);
    void *a = nl_alloc(1, 1), *b = nl_alloc(1, 1), *c = nl_alloc(1, 1);
    ck_assert(a && !b && c);
    nl_alloc_fail_at(-1);
    nl_free(a);
    nl_free(c);
}
END_TEST

START_TEST(text_grows_and_keeps_a_failure)
{
    nl_text t = {0};
    ck_assert_str_eq(nl_text_of(&t), "");
    for (int k = 0; k < 1000; k++)
        nl_text_add(&t, "%03d", k);
    ck_assert_int_eq(nl_text_status(&t), NL_OK);
    ck_assert_int_eq(strlen(nl_text_of(&t)), 3000);
    ck_assert_int_eq(memcmp(nl_text_of(&t) + 2997, "999", 4), 0);
    nl_text_clear(&t);
    ck_assert_str_eq(nl_text_of(&t), "");
    nl_text_add_bytes(&t, "abcdef", 3);
    ck_assert_str_eq(nl_text_of(&t), "abc");
    nl_text_free(&t);

    nl_text fails = {0};
    nl_alloc_fail_at(0);
    nl_text_add(&fails, "something");
    nl_alloc_fail_at(-1);
    nl_text_add(&fails, "more");
    ck_assert_int_eq(nl_text_status(&fails), NL_ENOMEM);
    nl_text_free(&fails);
    ck_assert_int_eq(nl_alloc_live(), 0);
}
END_TEST

START_TEST(numbers_are_read_whole_or_not_at_all)
{
    static const char *const bad[] = {"",    " 1", "1 ",  "1x",    "x",   "nan",
                                      "inf", "1e", "--1", "1e999", "1,5", "1.5.2"};
    double v;
    int64_t n;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        ck_assert_msg(!nl_read_real(bad[k], &v), "'%s' was read as %g", bad[k], v);
    ck_assert(nl_read_real("-2.5e-3", &v) && v == -2.5e-3);
    ck_assert(nl_read_real("0x1.8p1", &v) && v == 3);
    ck_assert(nl_read_int("5e3", &n) && n == 5000);
    ck_assert(nl_read_int("-12", &n) && n == -12);
    ck_assert(!nl_read_int("2.5", &n));
    ck_assert(!nl_read_int("1e30", &n));
}
END_TEST

START_TEST(printed_numbers_read_back_as_the_same_bits)
{
    static const double some[] = {0,     0.1,    1e-3,  1.0 / 3,
                                  1e300, 5e-324, -1e22, 123456789012345678.0};
    char buf[NL_REAL_CHARS];
    double back;
    for (size_t k = 0; k < sizeof some / sizeof some[0]; k++)
        ck_assert(nl_read_real(nl_print_real(buf, some[k]), &back) && back == some[k]);
    const nl_key key = {.seed = 1, .stream = NL_STREAM_TEST};
    for (uint64_t i = 0; i < 2000; i++) {
        const double v = ldexp(nl_random_normal(key, i), (int)(i % 200) - 100);
        ck_assert(nl_read_real(nl_print_real(buf, v), &back) && back == v);
    }
    ck_assert_str_eq(nl_print_real(buf, 0.001), "0.001");
    ck_assert_str_eq(nl_print_real(buf, 5000), "5000");
}
END_TEST

START_TEST(nearest_name_is_offered_when_it_is_near)
{
    nl_nearest near = {.wanted = "bacth"};
    ck_assert(!nl_nearest_offer(&near, "layer"));
    ck_assert(!nl_nearest_offer(&near, "batch"));
    ck_assert(nl_nearest_offer(&near, "bacth"));
    nl_nearest typo = {.wanted = "bacth"};
    ck_assert_str_eq(nl_nearest_hint(&typo), " (known: none)");
    nl_nearest_offer(&typo, "layer");
    nl_nearest_offer(&typo, "batch");
    nl_nearest_offer(&typo, "layer");
    ck_assert_str_eq(nl_nearest_hint(&typo), "; did you mean 'batch'? (known: layer, batch)");
    nl_nearest far = {.wanted = "xyzzyqqq", .see = "normlab norms"};
    nl_nearest_offer(&far, "batch");
    ck_assert_str_eq(nl_nearest_hint(&far), " (see: normlab norms)");
    ck_assert_int_eq(nl_edit_distance("kitten", "sitting"), 3);
    ck_assert_int_eq(nl_edit_distance("", "abc"), 3);
    ck_assert_int_eq(nl_edit_distance("same", "same"), 0);
}
END_TEST

START_TEST(too_many_known_names_are_cut_between_names)
{
    char name[16];
    nl_nearest near = {.wanted = "bacth"};
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "name%d", i);
        nl_nearest_offer(&near, name);
    }
    const char *hint = nl_nearest_hint(&near), *end = strstr(hint, ", ...)");
    ck_assert_ptr_nonnull(end);
    ck_assert_str_eq(end, ", ...)");
    ck_assert_int_lt(strlen(hint), 1024 - 200); /* room for what a message says before it */
    ck_assert_ptr_nonnull(strstr(hint, " (known: name0, name1, name2, "));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base");
    TCase *t = tcase_create("all");
    tcase_add_test(t, failure_carries_its_message_and_its_way);
    tcase_add_test(t, overlong_messages_are_cut_and_stay_strings);
    tcase_add_test(t, every_status_has_a_text_of_its_own);
    tcase_add_test(t, memory_is_zeroed_aligned_and_counted);
    tcase_add_test(t, the_chosen_allocation_fails_once);
    tcase_add_test(t, text_grows_and_keeps_a_failure);
    tcase_add_test(t, numbers_are_read_whole_or_not_at_all);
    tcase_add_test(t, printed_numbers_read_back_as_the_same_bits);
    tcase_add_test(t, nearest_name_is_offered_when_it_is_near);
    tcase_add_test(t, too_many_known_names_are_cut_between_names);
    suite_add_tcase(s, t);
    return run_suite(s);
}
