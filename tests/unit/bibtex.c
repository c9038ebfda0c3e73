/* Keys become the entries of paper/refs.bib. */
#include <check.h>
#include <string.h>

#include "base/bibtex.h"
#include "suite.h"

START_TEST(keys_become_entries)
{
    nl_text out = {0};
    nl_bibtex_entries("ba2016layer nobody1900nothing ioffe2015batch", &out);
    const char *text = nl_text_of(&out), *second = strstr(text, "\n\n@");
    ck_assert(strncmp(text, "@misc{ba2016layer,\n", strlen("@misc{ba2016layer,\n")) == 0);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_nonnull(strstr(second, "{ioffe2015batch,"));
    ck_assert_ptr_null(strstr(second + 3, "@"));
    ck_assert_str_eq(text + strlen(text) - 3, "\n}\n");
    nl_text_free(&out);
}
END_TEST

START_TEST(a_part_of_a_key_is_no_key)
{
    nl_text out = {0};
    nl_bibtex_entries("ba2016laye ba2016layers", &out);
    ck_assert_str_eq(nl_text_of(&out), "");
    nl_text_free(&out);
}
END_TEST

START_TEST(every_key_counts_once)
{
    nl_text all = {0};
    nl_bibtex_unite("a bc", &all);
    nl_bibtex_unite("", &all);
    nl_bibtex_unite("b bc d", &all);
    ck_assert_str_eq(nl_text_of(&all), "a bc b d");
    nl_text_free(&all);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bibtex");
    TCase *t = tcase_create("all");
    tcase_add_test(t, keys_become_entries);
    tcase_add_test(t, a_part_of_a_key_is_no_key);
    tcase_add_test(t, every_key_counts_once);
    suite_add_tcase(s, t);
    return run_suite(s);
}
