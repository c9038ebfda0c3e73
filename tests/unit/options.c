/* The options table: one row per option gives parsing, limits, messages and the canonical spec. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/option.h"
#include "suite.h"

struct cook {
    double salt;
    int64_t eggs;
    bool lid;
    nl_choice pan;
    nl_list times;
    nl_string note;
    nl_schedule heat;
};
static const char *const pans[] = {"iron", "steel", NULL};
static const nl_option table[] = {NL_OPT(struct cook, salt, "1e-3", 0, 1, "grams"),
                                  NL_OPT(struct cook, eggs, "2", 1, 12, "number"),
                                  NL_OPT_FLAG(struct cook, lid, "true", "closed"),
                                  NL_OPT_NAMES(struct cook, pan, "iron", pans, "which"),
                                  NL_OPT(struct cook, times, "100x3", 0, 1000, "minutes"),
                                  NL_OPT_TEXT(struct cook, note, "", "free text"),
                                  NL_OPT(struct cook, heat, "1@5000..3@40000", 0, 10, "by step"),
                                  NL_OPT_END};

static const char *refusal(const char *list)
{
    struct cook c;
    ck_assert_int_eq(nl_options_preset(table, &c, "cook"), NL_OK);
    ck_assert_int_ne(nl_options_parse(table, &c, "cook", list), NL_OK);
    return nl_last_error();
}

START_TEST(defaults_print_and_read_back)
{
    struct cook c, again;
    ck_assert_int_eq(nl_options_preset(table, &c, "cook"), NL_OK);
    ck_assert_int_eq(c.times.count, 3);
    nl_text text = {0};
    nl_options_print(table, &c, &text);
    ck_assert_str_eq(nl_text_of(&text), ":salt=0.001:eggs=2:lid=true:pan=iron:times=100x3:note="
                                        ":heat=1@5000..3@40000");
    ck_assert_int_eq(nl_options_preset(table, &again, "cook"), NL_OK);
    ck_assert_int_eq(nl_options_parse(table, &again, "cook", nl_text_of(&text) + 1), NL_OK);
    ck_assert_int_eq(again.heat.count, 2);
    nl_text_free(&text);
}
END_TEST

START_TEST(values_are_read_as_they_are_meant)
{
    struct cook c;
    ck_assert_int_eq(nl_options_preset(table, &c, "cook"), NL_OK);
    ck_assert_int_eq(nl_options_parse(table, &c, "cook",
                                      "salt=0:eggs=1.2e1:lid=off:pan=steel:times=5/0x2/7:heat=4"),
                     NL_OK);
    ck_assert_double_eq(c.salt, 0);
    ck_assert_int_eq(c.eggs, 12);
    ck_assert(!c.lid);
    ck_assert_int_eq(c.pan.is, 1);
    ck_assert_int_eq(c.times.count, 4);
    ck_assert(c.times.at[0] == 5 && c.times.at[1] == 0 && c.times.at[2] == 0 && c.times.at[3] == 7);
    ck_assert_double_eq(nl_schedule_at(&c.heat, 123), 4);
}
END_TEST

START_TEST(schedule_is_flat_then_linear_then_flat)
{
    struct cook c;
    ck_assert_int_eq(nl_options_preset(table, &c, "cook"), NL_OK);
    ck_assert_double_eq(nl_schedule_at(&c.heat, 0), 1);
    ck_assert_double_eq(nl_schedule_at(&c.heat, 5000), 1);
    ck_assert_double_eq_tol(nl_schedule_at(&c.heat, 22500), 2, 1e-12);
    ck_assert_double_eq(nl_schedule_at(&c.heat, 90000), 3);
}
END_TEST

START_TEST(refusals_say_what_was_wanted_and_what_came)
{
    ck_assert_str_eq(refusal("salz=1"), "cook has no option 'salz'; did you mean 'salt'? "
                                        "(known: salt, eggs, lid, pan, times, note, heat)");
    ck_assert_str_eq(refusal("salt=1:eggs=3:salt=0"), "cook: salt is given twice");
    ck_assert_str_eq(refusal("salt=2"), "cook: salt=2 is outside [0, 1]");
    ck_assert_str_eq(refusal("salt=-1e-9"), "cook: salt=-1e-9 is outside [0, 1]");
    ck_assert_str_eq(refusal("eggs=0"), "cook: eggs=0 is outside [1, 12]");
    ck_assert_str_eq(refusal("times=5/-1"), "cook: times=5/-1 is outside [0, 1000]");
    ck_assert_str_eq(refusal("heat=1@5..11@9"), "cook: heat=1@5..11@9 is outside [0, 10]");
    ck_assert_str_eq(refusal("salt=nan"), "cook: salt wants a number, got 'nan'");
    ck_assert_str_eq(refusal("eggs=2.5"), "cook: eggs wants a whole number, got '2.5'");
    ck_assert_str_eq(refusal("lid=treu"), "cook: lid wants true or false, got 'treu'");
    ck_assert_str_eq(refusal("salt"), "cook: 'salt' is not key=value");
    ck_assert_ptr_nonnull(strstr(refusal("pan=irno"), "did you mean 'iron'?"));
    ck_assert_ptr_nonnull(strstr(refusal("heat=1@9..2@9"), "growing steps"));
    ck_assert_ptr_nonnull(strstr(refusal("times=1x200"), "numbers parted by '/'"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("options");
    TCase *t = tcase_create("all");
    tcase_add_test(t, defaults_print_and_read_back);
    tcase_add_test(t, values_are_read_as_they_are_meant);
    tcase_add_test(t, schedule_is_flat_then_linear_then_flat);
    tcase_add_test(t, refusals_say_what_was_wanted_and_what_came);
    suite_add_tcase(s, t);
    return run_suite(s);
}
