/* Texts of characters: examples worked by hand, streams whose states go on, bits per character,
 * what is said about texts that cannot be used. */
#include <math.h>
#include <sys/stat.h>

#include "core/characters.h"
#include "par/par.h"
#include "suite.h"
#include "train_run.h"

static char folder[64];

static void put(const char *name, const char *bytes, size_t count)
{
    char path[128];
    snprintf(path, sizeof path, "%s/text/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static void make_folder(void)
{
    char path[96];
    make_test_folder(folder);
    snprintf(path, sizeof path, "%s/text", folder);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    setenv("NORMLAB_DATA", folder, 1);
    use_registries();
}

static void remove_folder(void) { remove_test_folder(folder); }

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    if (nl_dataset_open(&d, spec, NULL) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    return d;
}

/* The message without the folder in front. */
static const char *refusal(const char *spec)
{
    nl_dataset *d;
    const long live = nl_alloc_live();
    ck_assert_msg(nl_dataset_open(&d, spec, NULL) != NL_OK, "%s was read", spec);
    ck_assert_int_eq(nl_alloc_live(), live);
    const char *said = nl_last_error();
    return strncmp(said, folder, strlen(folder)) == 0 ? said + strlen(folder) + 1 : said;
}

static void tokens_are(const char *what, const nl_real *x, const char *wanted)
{
    for (size_t k = 0; wanted[k]; k++)
        ck_assert_msg(x[k] == wanted[k] - '0', "%s: token %zu is %g, wanted %c", what, k,
                      (double)x[k], wanted[k]);
}

static void labels_are(const int32_t *label, const char *wanted)
{
    for (size_t k = 0; wanted[k]; k++)
        ck_assert_int_eq(label[k], wanted[k] - '0');
}

/* " " 0, a 1, b 2, c 3, é 4: 20 characters, of which the last 8 are the test. */
START_TEST(examples_are_windows_and_answers_the_next_characters)
{
    put_text("t.txt", "abc abc \xC3\xA9"
                      "bc cab cab\xC3\xA9");
    nl_dataset *d = opened("text:file=t.txt:len=3:test_fraction=0.4");
    ck_assert_int_eq(d->shape.vocabulary, 5);
    ck_assert_int_eq(d->classes, 5);
    ck_assert(d->each_step && d->consecutive && d->in_bits && !d->synthetic);
    ck_assert_int_eq(d->train.count, 3); /* 12 characters: 3 windows and their next ones */
    ck_assert_int_eq(d->test.count, 2);
    tokens_are("train", d->train.x, "123012304");
    labels_are(d->train.label, "230123042");
    tokens_are("test", d->test.x, "312031");
    labels_are(d->test.label, "120312");
    nl_dataset_close(d);
    d = opened("text:file=t.txt:len=3:test_fraction=0.4:val=1:stateful=false");
    ck_assert(!d->consecutive);
    ck_assert_int_eq(d->train.count, 2);
    tokens_are("val", d->val.x, "304");
    nl_dataset_close(d);
}
END_TEST

START_TEST(words_of_the_treebank_are_joined_as_mikolov_did)
{
    put_text("ptb.train.txt", " no it was n't <unk> \n a b \n");
    put_text("ptb.valid.txt", " a b \n");
    put_text("ptb.test.txt", " b  a \n N \n");
    nl_dataset *d = opened("ptb:len=3");
    /* no_it_was_n't_<unk>\n a_b\n: 24 characters; a_b\n: 4; b_a\n N\n: 6 */
    ck_assert_int_eq(d->train.count, 7);
    ck_assert_int_eq(d->val.count, 1);
    ck_assert_int_eq(d->test.count, 1);
    const char *known = "\n'<>N_abiknostuw"; /* in the order of their code points */
    ck_assert_int_eq(d->shape.vocabulary, (int64_t)strlen(known));
    const char *train = "no_it_was_n't_<unk>\na_b\n";
    for (int k = 0; k < 21; k++) {
        ck_assert_int_eq((int)known[(int)d->train.x[k]], (int)train[k]);
        ck_assert_int_eq((int)known[d->train.label[k]], (int)train[k + 1]);
    }
    ck_assert_int_eq((int)known[d->val.label[2]], '\n');
    nl_dataset_close(d);
    d = opened("ptb:len=1:from=valid:val=1");
    ck_assert_int_eq(d->train.count, 2);
    ck_assert_int_eq(d->val.count, 1);
    nl_dataset_close(d);
}
END_TEST

START_TEST(refusals_name_the_file_and_what_was_wanted)
{
    put_text("empty.txt", "");
    ck_assert_str_eq(refusal("text:file=empty.txt"),
                     "text/empty.txt: 0 characters (0 of them for the test), too few for examples "
                     "of len=100");
    put_text("short.txt", "abcabcabca");
    ck_assert_str_eq(refusal("text:file=short.txt:len=9"),
                     "text/short.txt: 10 characters (1 of them for the test), too few for examples "
                     "of len=9");
    put_text("same.txt", "aaaaaaaaaaaaaaaaaaaa");
    ck_assert_str_eq(refusal("text:file=same.txt:len=1"),
                     "text: 1 different characters, wanted at least 2");
    put("latin.txt", "caf\xE9 au lait", 12);
    ck_assert_str_eq(refusal("text:file=latin.txt:len=2"),
                     "text/latin.txt: byte 3 (0xe9) is not UTF-8");
    put("cut.txt", "abcd\xE2\x82", 6);
    ck_assert_str_eq(refusal("text:file=cut.txt:len=2"),
                     "text/cut.txt: byte 4 (0xe2) is not UTF-8");
    put("long.txt", "ab\xC0\x80", 4);
    ck_assert_str_eq(refusal("text:file=long.txt:len=2"),
                     "text/long.txt: byte 2 (0xc0) is not UTF-8");
    put("half.txt", "ab\xED\xA0\x80", 5);
    ck_assert_str_eq(refusal("text:file=half.txt:len=2"),
                     "text/half.txt: byte 2 (0xed) is not UTF-8");
    ck_assert_str_eq(refusal("text:file=missing.txt"),
                     "text/missing.txt: cannot be opened (NORMLAB_DATA names the data folder)");
    put_text("ptb.valid.txt", " a b \n");
    put_text("ptb.test.txt", " b a \n");
    put_text("ptb.train.txt", " a \n");
    ck_assert_str_eq(refusal("ptb:len=3"),
                     "text/ptb.train.txt: 2 characters, too few for an example of len=3");
    ck_assert_str_eq(refusal("ptb:len=1:val=4"), "ptb: 4 validation examples wanted, there are 3");
    ck_assert_str_eq(refusal("ptb:len=1:val_fraction=0.5"),
                     "ptb: val_fraction is of no use where ptb.valid.txt validates");
    put_text("long.txt", "abcabcabcabcabcabcabcabc");
    ck_assert_str_eq(refusal("text:file=long.txt:len=1:standardize=unit"),
                     "text: standardize=unit of tokens, wanted none");
}
END_TEST

START_TEST(every_failing_allocation_is_a_clean_refusal)
{
    put_text("t.txt", "abc abc abc bc cab cab ");
    const long live = nl_alloc_live();
    nl_dataset *d = NULL;
    for (long call = 0; !d; call++) {
        nl_alloc_fail_at(call);
        if (nl_dataset_open(&d, "text:file=t.txt:len=3:test_fraction=0.4", NULL) != NL_OK)
            ck_assert_int_eq(nl_alloc_live(), live);
        nl_alloc_fail_at(-1);
    }
    nl_dataset_close(d);
}
END_TEST

/* ---- training */

/* Three a, three b: where in them an example begins only a state that goes on tells. */
static void put_period(void)
{
    enum { LENGTH = 6, ALL = 400 * LENGTH };
    static char text[ALL + 1];
    for (int k = 0; k < ALL; k++)
        text[k] = k % LENGTH < LENGTH / 2 ? 'a' : 'b';
    put_text("period.txt", text);
}

#define PERIOD "data=text:file=period.txt:len=4:test_fraction=0.2"

START_TEST(states_that_go_on_tell_what_an_example_does_not)
{
    static const char *const cells[] = {"rnn", "lstm", "gru"};
    put_period();
    for (int k = 0; k < 3; k++)
        for (int stateful = 0; stateful < 2; stateful++) {
            char words[256], out[64];
            nl_train_result r;
            snprintf(words, sizeof words,
                     PERIOD ":stateful=%d model=%s:hidden=16 norm=layer batch=8 epochs=40 "
                            "optimizer=adam:lr=1e-2:clip=1",
                     stateful, cells[k]);
            make_test_folder(out);
            if (train_in(out, words, 1, false, &r) != NL_OK)
                ck_abort_msg("%s", nl_last_error());
            remove_test_folder(out);
            ck_assert_msg((r.test_accuracy > 0.95) == stateful, "%s: accuracy %g, stateful=%d",
                          cells[k], r.test_accuracy, stateful);
        }
}
END_TEST

static uint64_t bytes_of(const char *out)
{
    static const char *const channels[] = {"/steps/loss", "/evals/test_loss",
                                           "/epochs/train_bits_per_character"};
    char path[96];
    nl_run *run;
    uint64_t bytes = bytes_of_file(out, "checkpoint.nlc", NL_HASH_START);
    snprintf(path, sizeof path, "%s/run.h5", out);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    for (int k = 0; k < 3; k++) {
        nl_array a;
        ck_assert_int_eq(nl_run_read(run, channels[k], &a), NL_OK);
        ck_assert_int_gt(a.count, 0);
        bytes = nl_hash_bytes(bytes, a.at, (uint64_t)a.count * sizeof *a.at);
        nl_array_free(&a);
    }
    nl_run_close(run);
    return bytes;
}

/* Evaluations and checkpoints fall inside of epochs, which have 60 steps. */
#define STREAMS                                                                            \
    PERIOD " model=lstm:hidden=12x2 norm=batch batch=8 steps=1200 eval=50 checkpoint=131 " \
           "optimizer=adam:lr=1e-3"

START_TEST(streams_are_the_same_bytes_on_any_number_of_threads_and_after_an_interruption)
{
    char out[64];
    nl_train_result r;
    uint64_t bytes[3];
    put_period();
    for (int k = 0; k < 3; k++) {
        make_test_folder(out);
        nl_par_ignore_work(k == 1);
        if (k == 2)
            run_until_stopped(out, STREAMS);
        ck_assert_int_eq(train_in(out, STREAMS, k == 1 ? 3 : 1, k == 2, &r), NL_OK);
        ck_assert_str_eq(r.outcome, "done");
        bytes[k] = bytes_of(out);
        remove_test_folder(out);
    }
    nl_par_ignore_work(false);
    ck_assert(bytes[0] == bytes[1]);
    ck_assert(bytes[0] == bytes[2]);
}
END_TEST

START_TEST(bits_per_character_are_the_loss_by_log_two)
{
    char out[64], path[96];
    nl_train_result r;
    nl_run *run;
    nl_array loss, bits;
    put_period();
    make_test_folder(out);
    ck_assert_int_eq(train_in(out, PERIOD " model=rnn:hidden=4 batch=8 epochs=2", 1, false, &r),
                     NL_OK);
    snprintf(path, sizeof path, "%s/run.h5", out);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    ck_assert_int_eq(nl_run_read(run, "/epochs/test_loss", &loss), NL_OK);
    ck_assert_int_eq(nl_run_read(run, "/epochs/test_bits_per_character", &bits), NL_OK);
    ck_assert_int_eq(bits.count, 2);
    for (int k = 0; k < 2; k++)
        ck_assert_double_eq_tol(bits.at[k], loss.at[k] / 0.6931471805599453, 1e-12);
    nl_array_free(&loss);
    nl_array_free(&bits);
    nl_run_close(run);
    remove_test_folder(out);
}
END_TEST

/* ---- the real ones */

START_TEST(real_texts_have_the_characters_they_are_known_for)
{
    const char *real = getenv("NORMLAB_TEST_DATA");
    if (!real) {
        puts("skipped: the real texts, NORMLAB_DATA is not set");
        return;
    }
    nl_dataset *d;
    if (nl_dataset_open(&d, "text", real) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    ck_assert_int_eq(d->shape.vocabulary, 65);
    ck_assert_int_eq(d->train.count, (1003855 - 1) / 100);
    ck_assert_int_eq(d->test.count, (111539 - 1) / 100);
    nl_dataset_close(d);
    /* Mikolov et al. 2012: 50 symbols, 393 thousand of them to validate, 442 to test */
    if (nl_dataset_open(&d, "ptb:from=valid:len=1", real) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    ck_assert_int_eq(d->shape.vocabulary, 50);
    ck_assert_int_eq(d->train.count, 393042 - 1);
    ck_assert_int_eq(d->test.count, 442423 - 1);
    nl_dataset_close(d);
}
END_TEST

int main(void)
{
    if (getenv("NORMLAB_DATA")) /* the tests use folders of their own */
        setenv("NORMLAB_TEST_DATA", getenv("NORMLAB_DATA"), 1);
    Suite *s = suite_create("characters");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, examples_are_windows_and_answers_the_next_characters);
    tcase_add_test(t, words_of_the_treebank_are_joined_as_mikolov_did);
    tcase_add_test(t, refusals_name_the_file_and_what_was_wanted);
    tcase_add_test(t, every_failing_allocation_is_a_clean_refusal);
    tcase_add_test(t, states_that_go_on_tell_what_an_example_does_not);
    tcase_add_test(t,
                   streams_are_the_same_bytes_on_any_number_of_threads_and_after_an_interruption);
    tcase_add_test(t, bits_per_character_are_the_loss_by_log_two);
    tcase_add_test(t, real_texts_have_the_characters_they_are_known_for);
    suite_add_tcase(s, t);
    return run_suite(s);
}
