/* What a reader of data may not give: labels, tokens and answers out of range are refused, and
 * where they are is said. */
#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "core/dataset.h"
#include "suite.h"

enum { STEPS = 3, CLASSES = 4, VOCABULARY = 5, SPOILED = 6 };

/* Tokens 0 .. 4, answers 0 .. 3, but for one example of the test. */
typedef struct given {
    nl_dataset_common common;
    double token;
    int64_t label;
    bool each_step;
} given;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(given, "20", "10", 1, "none"),
    NL_OPT(given, token, "1", -100, 100, "of the spoiled example"),
    NL_OPT(given, label, "1", -100, 100, "of the spoiled example"),
    NL_OPT_FLAG(given, each_step, "false", "an answer for each step"), NL_OPT_END};

static void fill(const nl_dataset *d, nl_split *s)
{
    const int64_t answers = nl_dataset_answers(d);
    for (int64_t k = 0; k < s->count * STEPS; k++)
        s->x[k] = (nl_real)(k % VOCABULARY);
    for (int64_t k = 0; k < s->count * answers; k++)
        s->label[k] = (int32_t)(k % CLASSES);
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const given *o = self;
    nl_cut cut;
    (void)dir;
    out->shape = (nl_shape){.s = STEPS, .c = 1, .vocabulary = VOCABULARY};
    out->classes = CLASSES;
    out->each_step = o->each_step;
    NL_TRY(nl_dataset_cut(&o->common, "given", NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    NL_TRY(nl_dataset_room(out, &cut));
    fill(out, &out->train);
    fill(out, &out->test);
    const int64_t answers = nl_dataset_answers(out);
    out->test.x[SPOILED * STEPS + 1] = (nl_real)o->token;
    for (int64_t k = 0; k < answers; k++)
        out->test.label[SPOILED * answers + k] = (int32_t)o->label;
    return NL_OK;
}

static const nl_dataset_ops nl_dataset_given = {NL_DATASET_HEADER,  .name = "given",
                                                .title = "As told", .self_size = sizeof(given),
                                                .options = options, .load = load};
static nl_dataset_ops nl_dataset_older;
static const nl_dataset_ops *const datasets[] = {&nl_dataset_given, &nl_dataset_older};

static const struct {
    const char *spec, *says; /* NULL: read */
} rows[] = {
    {"given", NULL},
    {"given:label=3:token=4", NULL},
    {"given:label=4", "given: label 4 of example 6, wanted 0 .. 3"},
    {"given:label=-1", "given: label -1 of example 6, wanted 0 .. 3"},
    {"given:each_step=true:label=3", NULL},
    {"given:each_step=true:label=4", "given: label 4 of example 6, wanted 0 .. 3"},
    {"given:each_step=true:label=-1", "given: example 6 asks for nothing"},
    {"given:token=5", "given: token 5 of example 6, wanted a number 0 .. 4"},
    {"given:token=-1", "given: token -1 of example 6, wanted a number 0 .. 4"},
    {"given:token=1.5", "given: token 1.5 of example 6, wanted a number 0 .. 4"},
    {"given:standardize=unit", "given: standardize=unit of tokens, wanted none"},
    {"given:each_step=true:sort=true", "given: sort=true, but its examples are not of classes"},
    {"older", "older: built for data set interface 2 with 1-byte reals, wanted 1 with "},
};

START_TEST(what_was_read_is_looked_over)
{
    nl_dataset *d;
    const long live = nl_alloc_live();
    const nl_status st = nl_dataset_open(&d, rows[_i].spec, NULL);
    ck_assert_msg((st == NL_OK) == !rows[_i].says, "%s: %s", rows[_i].spec, nl_last_error());
    ck_assert_int_eq(st == NL_OK, d != NULL);
    if (rows[_i].says)
        ck_assert_int_eq(strncmp(nl_last_error(), rows[_i].says, strlen(rows[_i].says)), 0);
    nl_dataset_close(d);
    ck_assert_int_eq(nl_alloc_live(), live);
}
END_TEST

int main(void)
{
    nl_dataset_older = nl_dataset_given;
    nl_dataset_older.name = "older";
    nl_dataset_older.abi = NL_DATASET_ABI + 1;
    nl_dataset_older.real_bytes = 1;
    nl_dataset_use(datasets, sizeof datasets / sizeof *datasets);
    Suite *s = suite_create("dataset");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, what_was_read_is_looked_over, 0, sizeof rows / sizeof *rows);
    suite_add_tcase(s, t);
    return run_suite(s);
}
