/* Generated tasks of sequences: what an example is, that it depends on its index alone, and what is
 * refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "suite.h"
#include "train_run.h"

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    if (nl_dataset_open(&d, spec, NULL) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    return d;
}

static const char *refusal(const char *spec)
{
    nl_dataset *d;
    const long live = nl_alloc_live();
    ck_assert_msg(nl_dataset_open(&d, spec, NULL) != NL_OK, "%s was read", spec);
    ck_assert_ptr_null(d);
    ck_assert_int_eq(nl_alloc_live(), live);
    return nl_last_error();
}

START_TEST(an_example_depends_on_its_index_alone)
{
    static const char *const names[] = {"adding:length=20", "copy:pause=5", "reber",
                                        "reber:task=next", "reber:task=recall"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char spec[96];
        snprintf(spec, sizeof spec, "%s:train=50:test=20", names[k]);
        nl_dataset *few = opened(spec);
        snprintf(spec, sizeof spec, "%s:train=90:test=30:val=7", names[k]);
        nl_dataset *many = opened(spec);
        const int64_t width = few->shape.s * few->shape.c, answers = nl_dataset_answers(few);
        ck_assert_mem_eq(few->train.x, many->train.x, (size_t)(50 * width) * sizeof(nl_real));
        ck_assert_mem_eq(few->test.x, many->test.x, (size_t)(20 * width) * sizeof(nl_real));
        ck_assert_mem_ne(few->test.x, many->train.x, (size_t)(20 * width) * sizeof(nl_real));
        if (few->classes)
            ck_assert_mem_eq(few->train.label, many->train.label,
                             (size_t)(50 * answers) * sizeof(int32_t));
        ck_assert(few->synthetic && few->checksum != many->checksum);
        nl_dataset_close(few);
        nl_dataset_close(many);
        snprintf(spec, sizeof spec, "%s:train=50:test=20:seed=1", names[k]);
        few = opened(spec);
        many = opened(spec);
        ck_assert(few->checksum == many->checksum);
        nl_dataset_close(few);
        nl_dataset_close(many);
    }
}
END_TEST

START_TEST(adding_asks_for_the_sum_of_two_marked_numbers)
{
    nl_dataset *d = opened("adding:length=30:train=4000");
    double sum = 0, squares = 0;
    ck_assert_int_eq(d->classes, 0);
    ck_assert_ptr_null(d->train.label);
    for (int64_t i = 0; i < d->train.count; i++) {
        const nl_real *x = d->train.x + i * 60;
        double marked = 0;
        int64_t first = 0, second = 0;
        for (int t = 0; t < 30; t++) {
            ck_assert(x[2 * t] >= 0 && x[2 * t] < 1 && (x[2 * t + 1] == 0 || x[2 * t + 1] == 1));
            marked += (double)(x[2 * t] * x[2 * t + 1]);
            first += t < 15 && x[2 * t + 1] == 1;
            second += t >= 15 && x[2 * t + 1] == 1;
        }
        ck_assert(first == 1 && second == 1);
        ck_assert_double_eq_tol((double)d->train.value[i], marked, 1e-6);
        sum += marked;
        squares += (marked - 1) * (marked - 1);
    }
    ck_assert_double_eq_tol(sum / 4000, 1, 0.03);
    ck_assert_double_eq_tol(squares / 4000, 1.0 / 6, 0.01); /* of always saying 1 */
    nl_dataset_close(d);
}
END_TEST

START_TEST(copy_asks_for_its_first_ten_symbols_in_the_end)
{
    nl_dataset *d = opened("copy:pause=6:train=50"),
               *bare = opened("copy:pause=6:train=50:blanks=0");
    ck_assert_int_eq(d->shape.s, 26);
    ck_assert_int_eq(d->shape.vocabulary, 10);
    ck_assert_int_eq(d->classes, 9);
    for (int64_t i = 0; i < 50; i++) {
        const nl_real *x = d->train.x + i * 26;
        const int32_t *label = d->train.label + i * 26, *asked = bare->train.label + i * 26;
        for (int t = 0; t < 26; t++) {
            if (t < 10)
                ck_assert(x[t] >= 0 && x[t] < 8 && (int32_t)x[t] == label[t + 16]);
            else
                ck_assert(x[t] == (t == 15 ? 9 : 8));
            if (t < 16)
                ck_assert(label[t] == 8 && asked[t] == -1);
            else
                ck_assert_int_eq(label[t], asked[t]);
        }
    }
    nl_dataset_close(d);
    nl_dataset_close(bare);
}
END_TEST

/* The graph written once more, by hand: of each state pairs of a symbol and where it leads. */
static bool is_embedded(const char *s)
{
    static const char *const ways[] = {"B1", "T2P3", "S2X4", "T3V5", "X3S6", "P4V6", "E7"};
    const size_t n = strlen(s);
    int state = 0;
    if (n < 9 || s[0] != 'B' || s[n - 1] != 'E' || s[1] != s[n - 2] || !strchr("TP", s[1]))
        return false;
    for (size_t t = 2; t < n - 2; t++) {
        const char *way = state < 7 ? ways[state] : "";
        const char *taken = NULL;
        for (; *way; way += 2)
            if (*way == s[t])
                taken = way;
        if (!taken)
            return false;
        state = taken[1] - '0';
    }
    return state == 7;
}

static void spell(const nl_dataset *d, int64_t i, char *to)
{
    const int32_t length = d->train.length[i];
    for (int32_t t = 0; t < length; t++)
        to[t] = "BTPSXVE"[(int)d->train.x[i * d->shape.s + t]];
    to[length] = 0;
}

START_TEST(reber_strings_are_valid_where_they_say_so)
{
    char s[64];
    int valid = 0, far = 0;
    ck_assert(is_embedded("BTBTXSETE") && is_embedded("BPBPVVEPE"));
    ck_assert(is_embedded("BTBPTVPXVPSETE"));
    ck_assert(!is_embedded("BTBTXSEPE") && !is_embedded("BTBTXXETE"));
    nl_dataset *d = opened("reber:train=4000");
    for (int64_t i = 0; i < 4000; i++) {
        spell(d, i, s);
        ck_assert_msg(is_embedded(s) == (d->train.label[i] == 1), "%s: %d", s, d->train.label[i]);
        valid += d->train.label[i];
        const size_t n = strlen(s);
        s[n - 2] = s[1];
        far += d->train.label[i] == 0 && is_embedded(s);
    }
    ck_assert(valid > 1880 && valid < 2120); /* of 4000 fair draws: four deviations */
    ck_assert(far > 900); /* at least the half of the wrong ones that `far` asks */
    nl_dataset_close(d);
}
END_TEST

START_TEST(reber_asks_for_the_next_symbol_or_for_the_last_but_one)
{
    char s[64];
    nl_dataset *next = opened("reber:task=next:train=200");
    nl_dataset *recall = opened("reber:task=recall:train=200");
    for (int64_t i = 0; i < 200; i++) {
        const int64_t length = next->train.length[i], steps = next->shape.s;
        spell(next, i, s);
        ck_assert(is_embedded(s));
        for (int64_t t = 0; t < steps; t++) {
            const int32_t symbol =
                t + 1 < length ? (int32_t)(strchr("BTPSXVE", s[t + 1]) - "BTPSXVE") : -1;
            ck_assert_int_eq(next->train.label[i * steps + t], symbol);
            ck_assert_int_eq(recall->train.label[i * steps + t], t == length - 3 ? symbol : -1);
        }
    }
    nl_dataset_close(next);
    nl_dataset_close(recall);
}
END_TEST

START_TEST(refusals_name_what_was_wanted)
{
    ck_assert_str_eq(refusal("reber:length=8"), "reber: length=8 is outside [9, 1000]");
    ck_assert_str_eq(refusal("copy:standardize=unit"),
                     "copy: standardize=unit of tokens, wanted none");
    ck_assert_str_eq(refusal("adding:sort=true"),
                     "adding: sort=true, but its examples are not of classes");
    ck_assert_str_eq(refusal("copy:sort=true"),
                     "copy: sort=true, but its examples are not of classes");
}
END_TEST

START_TEST(models_that_answer_once_are_refused_where_each_step_asks)
{
    const nl_model_setup setup = {
        .shape = {.s = 5, .c = 2}, .outputs = 3, .each_step = true, .batch = 2, .n = 2};
    nl_model *m;
    ck_assert_int_eq(nl_model_open(&m, "mlp", &setup), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(),
                     "mlp: gives one answer an example, the data ask for one at each of 5 steps");
}
END_TEST

/* Always saying 1 has a squared error of 1/6; the uniform guess of a symbol a loss of log 7 = 1.95,
 * and no more than two symbols are ever possible: log 2 = 0.69. */
START_TEST(numbers_and_answers_at_each_step_are_learned)
{
    char folder[64];
    nl_train_result r;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder,
                              "data=adding:length=6:train=500:test=200 model=gru:hidden=16 "
                              "batch=25 epochs=40 optimizer=adam:lr=1e-2",
                              1, false, &r),
                     NL_OK);
    ck_assert_msg(r.test_loss < 0.02, "adding: squared error %g", r.test_loss);
    ck_assert(r.test_accuracy > 0.2);
    remove_test_folder(folder);
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder,
                              "data=reber:task=next:train=500:test=200 model=gru:hidden=16 "
                              "batch=25 epochs=10 optimizer=adam:lr=1e-2",
                              1, false, &r),
                     NL_OK);
    ck_assert_msg(r.test_loss < 0.7, "reber: loss %g", r.test_loss);
    remove_test_folder(folder);
}
END_TEST

START_TEST(every_failing_allocation_is_a_clean_refusal)
{
    static const char *const specs[] = {"reber:train=20:test=5", "copy:train=5:test=5",
                                        "adding:train=5:test=5"};
    for (int k = 0; k < 3; k++) {
        const long live = nl_alloc_live();
        nl_dataset *d = NULL;
        for (long call = 0; !d; call++) {
            nl_alloc_fail_at(call);
            if (nl_dataset_open(&d, specs[k], NULL) != NL_OK)
                ck_assert_int_eq(nl_alloc_live(), live);
            nl_alloc_fail_at(-1);
        }
        nl_dataset_close(d);
    }
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("tasks");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, an_example_depends_on_its_index_alone);
    tcase_add_test(t, adding_asks_for_the_sum_of_two_marked_numbers);
    tcase_add_test(t, copy_asks_for_its_first_ten_symbols_in_the_end);
    tcase_add_test(t, reber_strings_are_valid_where_they_say_so);
    tcase_add_test(t, reber_asks_for_the_next_symbol_or_for_the_last_but_one);
    tcase_add_test(t, refusals_name_what_was_wanted);
    tcase_add_test(t, models_that_answer_once_are_refused_where_each_step_asks);
    tcase_add_test(t, numbers_and_answers_at_each_step_are_learned);
    tcase_add_test(t, every_failing_allocation_is_a_clean_refusal);
    suite_add_tcase(s, t);
    return run_suite(s);
}
