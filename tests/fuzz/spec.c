/* Spec strings: any text is read or refused with a message, what was read prints and reads back to
 * the same text, and no memory is lost. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/option.h"

struct every {
    double real;
    int64_t whole;
    bool flag;
    nl_choice choice;
    nl_list list;
    nl_string text;
    nl_schedule schedule;
};
static const char *const choices[] = {"left", "right", NULL};
static const nl_option table[] = {
    NL_OPT(struct every, real, "1e-3", 0, 1, "a number"),
    NL_OPT(struct every, whole, "2", 1, 12, "a whole number"),
    NL_OPT_FLAG(struct every, flag, "true", "yes or no"),
    NL_OPT_NAMES(struct every, choice, "left", choices, "a name"),
    NL_OPT(struct every, list, "100x3", 0, 1000, "numbers"),
    NL_OPT_TEXT(struct every, text, "", "any text"),
    NL_OPT(struct every, schedule, "1@5000..3@40000", 0, 10, "by step"),
    NL_OPT_END};

static void print(const struct every *e, nl_text *text) { nl_options_print(table, e, text); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *spec = calloc(size + 1, 1);
    assert(spec);
    memcpy(spec, data, size);
    struct every e, again;
    nl_text first = {0}, second = {0};
    char name[NL_STRING_MAX];
    const char *rest;
    assert(nl_options_preset(table, &e, "spec") == NL_OK);
    assert(nl_options_preset(table, &again, "spec") == NL_OK);
    if (nl_spec_split(spec, name, &rest) == NL_OK &&
        nl_options_parse(table, &e, name, rest) == NL_OK) {
        print(&e, &first);
        assert(nl_options_parse(table, &again, name, nl_text_of(&first) + 1) == NL_OK);
        print(&again, &second);
        assert(strcmp(nl_text_of(&first), nl_text_of(&second)) == 0);
    } else {
        assert(nl_last_error()[0]);
    }
    nl_text_free(&first);
    nl_text_free(&second);
    free(spec);
    return 0;
}
