/* What a run is: words, sources, nested specs, the grid, the hash. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "registry.h"
#include "suite.h"
#include "train/batches.h"
#include "train/grid.h"
#include "train/spec.h"

static char path[] = "test_spec.XXXXXX";

static void take_all(nl_words *w, const char *line)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        ck_assert_msg(nl_words_take(w, NL_WORD_LINE, word) == NL_OK, "%s", nl_last_error());
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static nl_run_spec parsed(const char *line)
{
    nl_words w = {0};
    nl_run_spec spec;
    take_all(&w, line);
    ck_assert_msg(nl_spec_parse(&w, &spec) == NL_OK, "%s", nl_last_error());
    nl_words_free(&w);
    return spec;
}

/* the message that one run of these words gives, or of the file when it is not NULL */
static const char *refusal(const char *file, const char *line)
{
    nl_words w = {0};
    nl_run_spec spec;
    char copy[512];
    nl_status st = NL_OK;
    if (file) {
        write_file(file);
        st = nl_words_read(&w, path);
    }
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word && st == NL_OK; word = strtok(NULL, " "))
        st = nl_words_take(&w, NL_WORD_LINE, word);
    if (st == NL_OK)
        st = nl_spec_parse(&w, &spec);
    ck_assert_int_ne(st, NL_OK);
    nl_words_free(&w);
    const bool placed = strncmp(nl_last_error(), path, strlen(path)) == 0;
    ck_assert_int_eq(placed, file != NULL);
    return nl_last_error() + (placed ? strlen(path) : 0);
}

static nl_status grid_of(const char *line, nl_grid *g)
{
    nl_words w = {0};
    take_all(&w, line);
    take_all(&w, "data=circles");
    const nl_status st = nl_grid_make(&w, 2, g);
    nl_words_free(&w);
    return st;
}

static uint64_t hash_of(const char *line, uint64_t checksum)
{
    nl_run_spec spec = parsed(line);
    uint64_t hash;
    snprintf(spec.data.is, sizeof spec.data.is, "circles");
    ck_assert_int_eq(nl_spec_hash(&spec, checksum, &hash), NL_OK);
    return hash;
}

START_TEST(words_override_defaults)
{
    const nl_run_spec spec = parsed("norm=batch:eps=1e-3 batch=60 steps=5000 order=fixed");
    ck_assert_str_eq(spec.norm.is, "batch:eps=1e-3");
    ck_assert_int_eq(spec.batch, 60);
    ck_assert_int_eq(spec.steps, 5000);
    ck_assert_int_eq(spec.epochs, 0);
    ck_assert_int_eq(spec.order.is, NL_ORDER_FIXED);
    ck_assert_int_eq(spec.seed, 1);
}
END_TEST

START_TEST(a_model_brings_the_protocol_of_its_paper)
{
    nl_run_spec spec = parsed("model=lenet_bln norm=batch");
    ck_assert_int_eq(spec.batch, 25);
    ck_assert_int_eq(spec.epochs, 15);
    ck_assert_int_eq(spec.order.is, NL_ORDER_FIXED);
    ck_assert_int_eq(spec.last.is, NL_LAST_DROP);
    ck_assert_str_eq(spec.optimizer.is, "adam:lr=0.002:eps=1e-8:eps_mode=keras");
    ck_assert_str_eq(spec.norm.is, "batch:eps=1e-3:momentum=0.01");
    spec = parsed("model=lenet_bln norm=batch:momentum=0.3+weight batch=7 steps=3 optimizer=sgd");
    ck_assert_int_eq(spec.batch, 7);
    ck_assert_int_eq(spec.epochs, 0);
    ck_assert_int_eq(spec.steps, 3);
    ck_assert_int_eq(spec.order.is, NL_ORDER_FIXED);
    ck_assert_str_eq(spec.optimizer.is, "sgd");
    ck_assert_str_eq(spec.norm.is, "batch:eps=1e-3:momentum=0.3+weight");
}
END_TEST

START_TEST(the_command_line_overrides_the_file)
{
    nl_words w = {0};
    nl_run_spec spec;
    write_file("batch: 60\nepochs: 3\nnorm: {name: batch, eps: 1e-2}\nrecord: [init, order]\n");
    ck_assert_int_eq(nl_words_read(&w, path), NL_OK);
    take_all(&w, "batch=30 steps=7");
    ck_assert_msg(nl_spec_parse(&w, &spec) == NL_OK, "%s", nl_last_error());
    ck_assert_int_eq(spec.batch, 30);
    ck_assert_int_eq(spec.steps, 7);
    ck_assert_int_eq(spec.epochs, 0);
    ck_assert_str_eq(spec.norm.is, "batch:eps=1e-2");
    ck_assert(spec.record_init && spec.record_order);
    nl_words_free(&w);
}
END_TEST

START_TEST(refusals_name_the_key_and_the_nearest_known_one)
{
    ck_assert_ptr_nonnull(strstr(refusal(NULL, "bacth=60"), "did you mean 'batch'?"));
    ck_assert_ptr_nonnull(strstr(refusal(NULL, "norm=bacth"), "did you mean 'batch'?"));
    ck_assert_ptr_nonnull(strstr(refusal(NULL, "order=fxied"), "did you mean 'fixed'?"));
    ck_assert_str_eq(refusal(NULL, "batch=-1"), "run: batch=-1 is outside [0, 9007199254740992]");
    ck_assert_str_eq(refusal(NULL, "batch"), "run: 'batch' is not key=value");
    ck_assert_str_eq(refusal(NULL, "batch=1 batch=2"), "run: batch is given twice");
    ck_assert_str_eq(refusal(NULL, "seed=1 seeds=2"), "run: seeds is given twice");
    ck_assert_str_eq(refusal(NULL, "seeds=0"),
                     "run: seeds wants a number from 1 to 10000 or a list such as 1,2,3, got '0'");
    ck_assert_str_eq(refusal(NULL, "norm=none,,batch"), "run: norm=none,,batch has an empty item");
    ck_assert_str_eq(refusal(NULL, "norm=none,batch"),
                     "run: norm has 2 values; one run takes one ('normlab compare' runs a grid)");
    ck_assert_str_eq(refusal(NULL, "epochs=1 steps=2"),
                     "run: epochs and steps are both given; a budget is one of them");
    ck_assert_str_eq(refusal(NULL, "epochs=0"),
                     "run: the budget is 0; epochs or steps of at least 1 is wanted");
    ck_assert_str_eq(refusal(NULL, "record=init,oder"),
                     "run: record wants init, order or init,order, got 'init,oder'");
}
END_TEST

START_TEST(refusals_of_a_file_say_where)
{
    ck_assert_int_eq(strncmp(refusal("seed: 1\nbacth: 60\n", ""), ":2:8: run has no option", 23),
                     0);
    ck_assert_int_eq(strncmp(refusal("norm: bacth\n", ""), ":1:7: ", 6), 0);
    ck_assert_int_eq(strncmp(refusal("norm: {name: batch, epss: 1}\n", ""), ":1:7: batch", 11), 0);
    ck_assert_str_eq(refusal("batch: many\n", ""),
                     ":1:8: run: batch wants a whole number, got 'many'");
    ck_assert_int_eq(strncmp(refusal("seeds: x\n", ""), ":1:8: run: seeds wants", 22), 0);
}
END_TEST

START_TEST(canonical_text_reads_back_to_itself)
{
    nl_run_spec spec = parsed("data=circles norm=batch steps=100 norm.act=layer");
    nl_words w = {0};
    nl_text text = {0}, again = {0};
    ck_assert_int_eq(nl_spec_canonical(&spec, &text), NL_OK);
    ck_assert_ptr_nonnull(strstr(nl_text_of(&text), "norm=batch:"));
    ck_assert_ptr_null(strstr(nl_text_of(&text), "epochs="));
    ck_assert_ptr_null(strstr(nl_text_of(&text), "threads="));
    char *copy = nl_strdup(nl_text_of(&text));
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(nl_words_take(&w, NL_WORD_LINE, line) == NL_OK, "%s", nl_last_error());
    ck_assert_msg(nl_spec_parse(&w, &spec) == NL_OK, "%s", nl_last_error());
    ck_assert_int_eq(nl_spec_canonical(&spec, &again), NL_OK);
    ck_assert_str_eq(nl_text_of(&text), nl_text_of(&again));
    nl_free(copy);
    nl_text_free(&text);
    nl_text_free(&again);
    nl_words_free(&w);
}
END_TEST

START_TEST(data_and_methods_are_those_of_the_models_paper_unless_said_otherwise)
{
    static const struct {
        const char *words, *data;
    } row[] = {
        {"data=cifar10 model=lenet_bln", "cifar10:train=9000:val=1000:standardize=feature:fit=all"},
        {"data=cifar10:crop=4:val=0 model=lenet_bln:act=relu",
         "cifar10:train=9000:standardize=feature:fit=all:crop=4:val=0"},
        {"data=cifar10 model=resnet", "cifar10"},
        {"data=glyphs model=lenet_bln", "glyphs"},
        {"data=imdb model=lstm_bln", "imdb:train=4000:val=1000"}};
    for (size_t k = 0; k < sizeof row / sizeof *row; k++)
        ck_assert_str_eq(parsed(row[k].words).data.is, row[k].data);
    ck_assert_str_eq(parsed("model=lenet_bln norm=scaled_ws+layer:eps=0.1").norm.is,
                     "scaled_ws+layer:area=c:eps=0.1");
}
END_TEST

START_TEST(a_hash_follows_what_changes_the_numbers_and_nothing_else)
{
    const uint64_t plain = hash_of("norm=batch", 7);
    ck_assert_uint_eq(plain, hash_of("norm=batch threads=4 out=elsewhere log=3 checkpoint=5 "
                                     "record=init jobs=9",
                                     7));
    ck_assert_uint_ne(plain, hash_of("norm=batch", 8));
    ck_assert_uint_ne(plain, hash_of("norm=batch seed=2", 7));
    ck_assert_uint_ne(plain, hash_of("norm=batch:eps=1e-2", 7));
    ck_assert_uint_ne(plain, hash_of("norm=batch precision=double", 7));
}
END_TEST

/* Runs are found again by their hash, so its text may not change by accident. */
START_TEST(a_hash_is_of_the_spec_the_data_and_the_numerics_version)
{
    const nl_run_spec spec = parsed("norm=batch");
    nl_text text = {0};
    uint64_t hash;
    ck_assert_int_eq(nl_spec_canonical(&spec, &text), NL_OK);
    nl_text_add(&text, "data_checksum=0000000000000007\nnumerics=%d\n", NL_NUMERICS_VERSION);
    ck_assert_int_eq(nl_spec_hash(&spec, 7, &hash), NL_OK);
    ck_assert_uint_eq(hash, nl_hash_text(nl_text_of(&text)));
    nl_text_free(&text);
}
END_TEST

START_TEST(a_folder_can_be_read_by_people)
{
    const nl_run_spec spec = parsed("norm=batch:eps=1e-3 seed=3");
    char folder[NL_FOLDER_MAX];
    nl_spec_folder(&spec, 0x0123456789abcdefu, folder);
    ck_assert_str_eq(folder, "batch-seed3-01234567");
}
END_TEST

START_TEST(a_batch_larger_than_the_data_is_refused)
{
    const nl_run_spec spec = parsed("data=circles batch=60001");
    const nl_dataset data = {.train.count = 60000};
    ck_assert_int_eq(nl_spec_fits(&spec, &data), NL_EOPTION);
    ck_assert_str_eq(nl_last_error(), "run: batch=60001 is larger than the 60000 training examples "
                                      "of circles");
}
END_TEST

START_TEST(a_grid_is_methods_by_seeds)
{
    nl_grid g;
    ck_assert_msg(grid_of("norm=none,batch:eps=1e-3,layer seeds=2", &g) == NL_OK, "%s",
                  nl_last_error());
    ck_assert_int_eq(g.methods, 3);
    ck_assert_int_eq(g.seeds, 2);
    ck_assert_str_eq(g.run[3].norm.is, "batch:eps=1e-3");
    ck_assert_int_eq(g.run[3].seed, 2);
    ck_assert_str_eq(g.label[1].is, "batch:eps=1e-3");
    nl_grid_free(&g);
}
END_TEST

START_TEST(methods_are_labelled_by_what_differs)
{
    nl_grid g;
    ck_assert_int_eq(grid_of("norm=none,batch batch=8,16 seed=5,9", &g), NL_OK);
    ck_assert_int_eq(g.methods, 4);
    ck_assert_str_eq(g.label[3].is, "batch, batch=16");
    ck_assert_int_eq(g.run[7].batch, 16);
    ck_assert_int_eq(g.run[7].seed, 9);
    nl_grid_free(&g);
    ck_assert_int_eq(grid_of("norm=batch", &g), NL_OK);
    ck_assert_str_eq(g.label[0].is, "batch");
    nl_grid_free(&g);
}
END_TEST

START_TEST(a_grid_refuses_twins_and_three_varied_keys)
{
    nl_grid g;
    ck_assert_int_ne(grid_of("batch=64,64", &g), NL_OK);
    ck_assert_str_eq(nl_last_error(), "run: 'batch=64' and 'batch=64' are the same run");
    ck_assert_int_ne(grid_of("seed=1,1", &g), NL_OK);
    ck_assert_str_eq(nl_last_error(), "run: seed 1 is given twice");
    ck_assert_int_ne(grid_of("batch=1,2 epochs=1,2 norm=none,batch", &g), NL_OK);
    ck_assert_str_eq(nl_last_error(),
                     "run: at most two keys may vary, here norm, batch and epochs ("
                     "'normlab sweep' takes any number)");
    ck_assert_ptr_null(g.run);
}
END_TEST

START_TEST(every_failing_allocation_is_survived)
{
    write_file("norm: [none, {name: batch, eps: 1e-3}]\nseeds: 2\ndata: circles\n");
    for (long k = 0;; k++) {
        nl_words w = {0};
        nl_grid g = {0};
        const long live = nl_alloc_live();
        nl_alloc_fail_at(k);
        nl_status st = nl_words_read(&w, path);
        if (st == NL_OK)
            st = nl_grid_make(&w, 2, &g);
        nl_alloc_fail_at(-1);
        nl_words_free(&w);
        nl_grid_free(&g);
        ck_assert_int_eq(nl_alloc_live(), live);
        if (st == NL_OK)
            break;
        ck_assert_int_eq(st, NL_ENOMEM);
    }
}
END_TEST

int main(void)
{
    use_registries();
    const int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    Suite *s = suite_create("spec");
    TCase *t = tcase_create("all");
    tcase_add_test(t, words_override_defaults);
    tcase_add_test(t, a_model_brings_the_protocol_of_its_paper);
    tcase_add_test(t, the_command_line_overrides_the_file);
    tcase_add_test(t, refusals_name_the_key_and_the_nearest_known_one);
    tcase_add_test(t, refusals_of_a_file_say_where);
    tcase_add_test(t, canonical_text_reads_back_to_itself);
    tcase_add_test(t, data_and_methods_are_those_of_the_models_paper_unless_said_otherwise);
    tcase_add_test(t, a_hash_follows_what_changes_the_numbers_and_nothing_else);
    tcase_add_test(t, a_hash_is_of_the_spec_the_data_and_the_numerics_version);
    tcase_add_test(t, a_folder_can_be_read_by_people);
    tcase_add_test(t, a_batch_larger_than_the_data_is_refused);
    tcase_add_test(t, a_grid_is_methods_by_seeds);
    tcase_add_test(t, methods_are_labelled_by_what_differs);
    tcase_add_test(t, a_grid_refuses_twins_and_three_varied_keys);
    tcase_add_test(t, every_failing_allocation_is_survived);
    suite_add_tcase(s, t);
    const int failed = run_suite(s);
    unlink(path);
    return failed;
}
