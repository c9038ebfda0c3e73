/* Settings files: what is read, and messages that point at the place. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/config.h"
#include "suite.h"

static char path[] = "test_config.XXXXXX";

static nl_status read_bytes(nl_config *c, const char *bytes, size_t count)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, count, f), count);
    fclose(f);
    return nl_config_read(c, path);
}

static nl_status read_text(nl_config *c, const char *text)
{
    return read_bytes(c, text, strlen(text));
}

/* "key=value key=value" of everything read */
static const char *flat(const char *text)
{
    static char out[1024];
    nl_config c;
    ck_assert_msg(read_text(&c, text) == NL_OK, "%s", nl_last_error());
    out[0] = 0;
    for (int i = 0; i < c.count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s=%s", i ? " " : "", c.at[i].key,
                 c.at[i].value);
    nl_config_free(&c);
    return out;
}

/* the message without the file's name */
static const char *refusal(const char *text)
{
    nl_config c;
    const long live = nl_alloc_live();
    ck_assert_int_ne(read_text(&c, text), NL_OK);
    ck_assert_int_eq(nl_alloc_live(), live);
    ck_assert_int_eq(strncmp(nl_last_error(), path, strlen(path)), 0);
    return nl_last_error() + strlen(path);
}

START_TEST(scalars_lists_and_mappings_are_read)
{
    ck_assert_str_eq(flat("batch: 60 # examples\ndata: mnist:train=9000\n"),
                     "batch=60 data=mnist:train=9000");
    ck_assert_str_eq(flat("norm: [none, batch]\nseed: 3\n"), "norm=none norm=batch seed=3");
    ck_assert_str_eq(flat("norm: {eps: 1e-3, name: batch}\n"), "norm=batch:eps=1e-3");
    ck_assert_str_eq(flat("norm:\n  - none\n  - {name: batch, gamma.init: 0.1}\n"),
                     "norm=none norm=batch:gamma.init=0.1");
    ck_assert_str_eq(flat("model: {name: mlp, hidden: [500, 300]}\n"), "model=mlp:hidden=500/300");
    ck_assert_str_eq(flat("a: &x {name: rms}\nb: [*x, *x]\n"), "a=rms b=rms b=rms");
    ck_assert_str_eq(flat("init: ''\n"), "init=");
    ck_assert_str_eq(flat("log: {activations: {every: 50, layers: [h1, h3]}, gradients: {}}\n"),
                     "log=activations:every=50:layers=h1/h3 log=gradients");
}
END_TEST

START_TEST(places_count_from_one)
{
    nl_config c;
    ck_assert_int_eq(read_text(&c, "batch: 60\nnorm:\n  - none\n"), NL_OK);
    ck_assert_int_eq(c.at[1].line, 3);
    ck_assert_int_eq(c.at[1].column, 5);
    ck_assert_int_eq(c.at[1].key_line, 2);
    ck_assert_int_eq(c.at[1].key_column, 1);
    nl_config_free(&c);
}
END_TEST

START_TEST(refusals_point_at_the_place)
{
    ck_assert_str_eq(refusal(""), ":1:1: the file is empty");
    ck_assert_str_eq(refusal("- a\n"), ":1:1: a mapping of 'key: value' lines is wanted");
    ck_assert_str_eq(refusal("a: 1\nb: 2\na: 3\n"), ":3:1: 'a' is given twice, first in line 1");
    ck_assert_str_eq(refusal("a:\n"), ":1:3: the value is missing");
    ck_assert_str_eq(refusal("a: []\n"), ":1:4: the list is empty");
    ck_assert_str_eq(refusal("a: [[1]]\n"), ":1:5: a single value is wanted here");
    ck_assert_str_eq(refusal("n: {eps: 1}\n"), ":1:4: a mapping needs a 'name', such as {name: "
                                               "batch, eps: 1e-3}");
    ck_assert_str_eq(refusal("n: {name: b, e: {name: c}}\n"),
                     ":1:17: a single value is wanted here");
    ck_assert_str_eq(refusal("n: {b: {e: {f: 1}}}\n"), ":1:12: a single value is wanted here");
    ck_assert_str_eq(refusal("n: {b: {e: 1}, c: 2}\n"), ":1:8: a single value is wanted here");
    ck_assert_str_eq(refusal("n: {b: {name: c}}\n"), ":1:9: 'name' is given twice");
    ck_assert_str_eq(refusal("n: {name: b, e: 'c:d'}\n"),
                     ":1:17: a value inside a mapping holds no ':'");
    ck_assert_str_eq(refusal("a: \"x\\0y\"\n"), ":1:4: a value is one line of text");
    ck_assert_str_eq(refusal("a: 1\n---\nb: 2\n"), ":3:1: one document a file is wanted");
    ck_assert_int_eq(strncmp(refusal("a: [1\nb: 2\n"), ":2:2: ", 6), 0);
    ck_assert_int_eq(strncmp(refusal("\ta: 1\n"), ":1:1: ", 6), 0);
    ck_assert_int_eq(strncmp(refusal("a: \xff\xfe\n"), ":1:", 3), 0);
}
END_TEST

START_TEST(a_file_that_refers_to_itself_is_refused)
{
    ck_assert_ptr_nonnull(strstr(refusal("a: &x [*x]\n"), "a single value is wanted"));
    ck_assert_ptr_nonnull(strstr(refusal("a: &x {name: b, c: *x}\n"), "a single value is wanted"));
}
END_TEST

START_TEST(a_missing_file_and_a_folder_are_named)
{
    nl_config c;
    ck_assert_int_eq(nl_config_read(&c, "no-such.yaml"), NL_EIO);
    ck_assert_str_eq(nl_last_error(), "no-such.yaml: No such file or directory");
    ck_assert_int_ne(nl_config_read(&c, "."), NL_OK);
}
END_TEST

START_TEST(every_failing_allocation_is_survived)
{
    const char *text = "norm: [none, {name: batch, eps: 1e-3}, {rms: {eps: 1}}]\nbatch: 60\n";
    nl_config c;
    for (long k = 0;; k++) {
        const long live = nl_alloc_live();
        nl_alloc_fail_at(k);
        const nl_status st = read_text(&c, text);
        nl_alloc_fail_at(-1);
        if (st == NL_OK)
            break;
        ck_assert_int_eq(st, NL_ENOMEM);
        ck_assert_int_eq(nl_alloc_live(), live);
    }
    nl_config_free(&c);
}
END_TEST

START_TEST(a_file_cut_anywhere_leaks_nothing)
{
    const char *text = "norm: [none, {name: batch, eps: 1e-3}]\nmodel: &m {name: \"m\\x41\"}\n";
    for (size_t n = 0; n < strlen(text); n++) {
        nl_config c;
        const long live = nl_alloc_live();
        if (read_bytes(&c, text, n) == NL_OK)
            nl_config_free(&c);
        ck_assert_int_eq(nl_alloc_live(), live);
    }
}
END_TEST

int main(void)
{
    const int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    Suite *s = suite_create("config");
    TCase *t = tcase_create("all");
    tcase_add_test(t, scalars_lists_and_mappings_are_read);
    tcase_add_test(t, places_count_from_one);
    tcase_add_test(t, refusals_point_at_the_place);
    tcase_add_test(t, a_file_that_refers_to_itself_is_refused);
    tcase_add_test(t, a_missing_file_and_a_folder_are_named);
    tcase_add_test(t, every_failing_allocation_is_survived);
    tcase_add_test(t, a_file_cut_anywhere_leaks_nothing);
    suite_add_tcase(s, t);
    const int failed = run_suite(s);
    unlink(path);
    return failed;
}
