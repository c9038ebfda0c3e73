/* The film reviews: words and their numbers worked by hand, archives of our own in every state of
 * damage, the folder an archive unpacks to, and the real archive. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "core/lexicon.h"
#include "core/tar.h"
#include "registry.h"
#include "suite.h"

static char folder[64], archive[128];

/* ---- archives of our own */

enum { RECORD = 512, ROOM = 64 * RECORD };

typedef struct tape {
    unsigned char at[ROOM];
    size_t used;
} tape;

static void add_header(tape *t, const char *name, char type, size_t bytes)
{
    static const char magic[] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
    unsigned char *h = t->at + t->used;
    unsigned sum = 0;
    memset(h, 0, RECORD);
    snprintf((char *)h, 100, "%s", name);
    snprintf((char *)h + 100, 8, "%07o", 0644u);
    snprintf((char *)h + 124, 12, "%011o", (unsigned)bytes);
    memset(h + 148, ' ', 8);
    h[156] = (unsigned char)type;
    memcpy(h + 257, magic, sizeof magic);
    for (int i = 0; i < RECORD; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
    t->used += RECORD;
}

static void add_bytes(tape *t, const char *bytes, size_t count)
{
    memset(t->at + t->used, 0, (count + RECORD - 1) / RECORD * RECORD);
    memcpy(t->at + t->used, bytes, count);
    t->used += (count + RECORD - 1) / RECORD * RECORD;
}

static void add_file(tape *t, const char *name, const char *text)
{
    add_header(t, name, '0', strlen(text));
    add_bytes(t, text, strlen(text));
}

static void add_end(tape *t)
{
    memset(t->at + t->used, 0, (size_t)2 * RECORD);
    t->used += (size_t)2 * RECORD;
}

static const char *const reviews[][2] = {
    {"aclImdb/train/neg/7_1.txt", "Bad film.<br />BAD\xC3\x89mile, a film!"},
    {"aclImdb/train/pos/10_9.txt", "it's a bad film"},
    {"aclImdb/test/neg/1_2.txt", "Never so bad"},
    {"aclImdb/test/pos/0_10.txt", "A film."}};

static void make_tape(tape *t)
{
    t->used = 0;
    add_header(t, "aclImdb/train/", '5', 0);
    add_file(t, "aclImdb/README", "how it was made");
    add_file(t, "aclImdb/train/unsup/3_0.txt", "film film film film");
    for (int k = 0; k < 4; k++)
        add_file(t, reviews[k][0], reviews[k][1]);
    add_end(t);
}

static void put(const void *bytes, size_t count)
{
    FILE *f = fopen(archive, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, count, f), count);
    fclose(f);
}

static void put_gz(const tape *t)
{
    gzFile f = gzopen(archive, "wb");
    ck_assert_int_eq(gzwrite(f, t->at, (unsigned)t->used), (int)t->used);
    ck_assert_int_eq(gzclose(f), Z_OK);
}

static tape whole;

static void make_folder(void)
{
    char path[96];
    snprintf(folder, sizeof folder, "/tmp/normlab-imdb-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/imdb", folder);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    snprintf(archive, sizeof archive, "%s/aclImdb_v1.tar.gz", path);
    use_registries();
    make_tape(&whole);
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    if (nl_dataset_open(&d, spec, folder) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    return d;
}

/* The message without the folder in front. */
static const char *refusal(const char *spec)
{
    nl_dataset *d;
    const long live = nl_alloc_live();
    ck_assert_msg(nl_dataset_open(&d, spec, folder) != NL_OK, "%s was read", spec);
    ck_assert_int_eq(nl_alloc_live(), live);
    const char *said = nl_last_error();
    return strncmp(said, folder, strlen(folder)) == 0 ? said + strlen(folder) + 6 : said;
}

static void tokens_are(const nl_real *x, int64_t count, const char *wanted)
{
    char got[256] = "";
    for (int64_t t = 0; t < count; t++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%g", t ? " " : "", (double)x[t]);
    ck_assert_str_eq(got, wanted);
}

/* ---- words */

START_TEST(words_are_cut_as_keras_cuts_them)
{
    char text[] = "It's GOOD---good, \xC3\x89t\xC3\x97!\t(end)\n";
    const char *wanted[] = {"it's", "good", "good", "\xC3\xA9t\xC3\x97", "end"};
    int64_t at = 0, length;
    nl_lower_case(text, (int64_t)strlen(text));
    for (int k = 0; k < 5; k++) {
        const char *word = nl_next_word(text, (int64_t)strlen(text), &at, &length);
        ck_assert_ptr_nonnull(word);
        ck_assert_int_eq(length, (int64_t)strlen(wanted[k]));
        ck_assert_mem_eq(word, wanted[k], (size_t)length);
    }
    ck_assert_ptr_null(nl_next_word(text, (int64_t)strlen(text), &at, &length));
}
END_TEST

START_TEST(a_lexicon_ranks_words_by_count_then_by_bytes)
{
    nl_lexicon *l;
    int32_t number, rank[5], more[10000];
    const char *words[] = {"b", "a", "abc", "ab", "a", "zz", "zz"};
    ck_assert_int_eq(nl_lexicon_open(&l), NL_OK);
    for (int k = 0; k < 7; k++)
        ck_assert_int_eq(nl_lexicon_add(l, words[k], (int64_t)strlen(words[k]), k < 6, &number),
                         NL_OK);
    ck_assert_int_eq(nl_lexicon_words(l), 5);
    ck_assert_int_eq(nl_lexicon_rank(l, rank), NL_OK);
    ck_assert(rank[1] == 1 && rank[3] == 2 && rank[2] == 3 && rank[0] == 4 && rank[4] == 5);
    for (int k = 0; k < 20000; k++) { /* beyond the first room, each twice */
        char word[16];
        snprintf(word, sizeof word, "w%d", k % 10000);
        ck_assert_int_eq(nl_lexicon_add(l, word, (int64_t)strlen(word), 1, &number), NL_OK);
        ck_assert(k < 10000 || more[k - 10000] == number);
        more[k % 10000] = number;
    }
    ck_assert_int_eq(nl_lexicon_words(l), 10005);
    nl_lexicon_close(l);
}
END_TEST

/* film comes 3 times, a and bad twice, and once each: badémile, br, it's. So film 1, a 2, bad 3,
 * badémile 4, br 5, it's 6; never and so, words of the test, are not among them. */
START_TEST(reviews_are_numbered_padded_and_cut_in_front)
{
    put_gz(&whole);
    nl_dataset *d = opened("imdb:maxlen=6");
    ck_assert_int_eq(d->train.count, 2);
    ck_assert_int_eq(d->test.count, 2);
    ck_assert_int_eq(d->shape.vocabulary, 20000);
    ck_assert(!d->ragged && d->classes == 2);
    for (int i = 0; i < 2; i++) {
        tokens_are(d->train.x + i * 6, 6, d->train.label[i] ? "0 1 9 5 6 4" : "6 4 8 7 5 4");
        tokens_are(d->test.x + i * 6, 6, d->test.label[i] ? "0 0 0 1 5 4" : "0 0 1 2 2 6");
    }
    ck_assert(d->train.label[0] != d->train.label[1]);
    nl_dataset_close(d);
    d = opened("imdb:maxlen=8:num_words=7:oov=2:index_from=2:start=1:padding=post:mask=true");
    ck_assert_int_eq(d->shape.vocabulary, 7);
    for (int i = 0; i < 2; i++) {
        tokens_are(d->train.x + i * 8, 8,
                   d->train.label[i] ? "1 2 4 5 3 0 0 0" : "1 5 3 2 6 4 3 0");
        ck_assert_int_eq(d->train.length[i], d->train.label[i] ? 5 : 7);
    }
    nl_dataset_close(d);
    d = opened("imdb:maxlen=3:truncating=post:skip_top=5");
    for (int i = 0; i < 2; i++)
        tokens_are(d->train.x + i * 3, 3, d->train.label[i] ? "2 9 5" : "2 6 2");
    nl_dataset_close(d);
    d = opened("imdb:num_words=0");
    ck_assert_int_eq(d->shape.vocabulary, 3 + 8 + 1);
    nl_dataset_close(d);
    unlink(archive);
}
END_TEST

START_TEST(the_folder_is_read_as_the_archive)
{
    static const char *const folders[] = {
        "aclImdb",           "aclImdb/train",    "aclImdb/test",    "aclImdb/train/neg",
        "aclImdb/train/pos", "aclImdb/test/neg", "aclImdb/test/pos"};
    char path[160];
    put_gz(&whole);
    nl_dataset *d = opened("imdb:maxlen=6");
    const uint64_t checksum = d->checksum;
    nl_dataset_close(d);
    for (int k = 0; k < 7; k++) {
        snprintf(path, sizeof path, "%s/imdb/%s", folder, folders[k]);
        ck_assert_int_eq(mkdir(path, 0777), 0);
        if (k == 4)
            ck_assert_str_eq(refusal("imdb"), "aclImdb/test/neg: folder cannot be opened: No such "
                                              "file or directory");
    }
    ck_assert_str_eq(refusal("imdb"), "imdb: no reviews aclImdb/train/neg/ID_RATING.txt");
    for (int k = 3; k >= 0; k--) {
        snprintf(path, sizeof path, "%s/imdb/%s", folder, reviews[k][0]);
        FILE *f = fopen(path, "wb");
        fputs(reviews[k][1], f);
        fclose(f);
    }
    d = opened("imdb:maxlen=6");
    ck_assert(d->checksum == checksum);
    nl_dataset_close(d);
    snprintf(path, sizeof path, "rm -r '%s/imdb/aclImdb'", folder);
    ck_assert_int_eq(system(path), 0);
    unlink(archive);
}
END_TEST

/* ---- damage */

START_TEST(archives_cut_at_any_record_are_refused)
{
    char says[128];
    for (size_t used = 0; used + RECORD < whole.used; used += RECORD / 2) {
        tape cut = whole;
        cut.used = used;
        put_gz(&cut);
        const char *said = refusal("imdb");
        ck_assert_msg(strstr(said, "truncated after"), "%zu bytes: %s", used, said);
    }
    tape half = whole;
    half.used = 11 * (size_t)RECORD;
    put_gz(&half);
    snprintf(says, sizeof says, "aclImdb_v1.tar.gz: truncated after 6 files");
    ck_assert_str_eq(refusal("imdb"), says);
    unlink(archive);
}
END_TEST

START_TEST(gzip_cut_or_changed_anywhere_is_refused)
{
    static unsigned char bytes[ROOM];
    put_gz(&whole);
    FILE *f = fopen(archive, "rb");
    const size_t count = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t n = 20; n < count; n += 7) {
        put(bytes, n);
        ck_assert_ptr_nonnull(strstr(refusal("imdb"), "aclImdb_v1.tar.gz: "));
    }
    for (size_t k = 0; k < 8; k++) { /* the sum and the length at its end */
        bytes[count - 1 - k] ^= 1;
        put(bytes, count);
        const char *said = refusal("imdb");
        ck_assert_msg(strstr(said, "corrupt after "), "byte %zu from the end: %s", k, said);
        bytes[count - 1 - k] ^= 1;
    }
    unlink(archive);
}
END_TEST

START_TEST(what_is_no_archive_or_lacks_something_is_named)
{
    static tape other;
    put("this is a text, not an archive, and long enough for a record of 512 bytes", 512 / 8);
    ck_assert_str_eq(refusal("imdb"), "aclImdb_v1.tar.gz: truncated after 0 files");
    memset(other.at, 'x', RECORD);
    put(other.at, RECORD);
    ck_assert_str_eq(refusal("imdb"), "aclImdb_v1.tar.gz: is no tar archive");
    other = whole;
    other.at[RECORD] ^= 1; /* a letter of the second file's name */
    put_gz(&other);
    ck_assert_str_eq(refusal("imdb"), "aclImdb_v1.tar.gz: corrupt: a header's checksum is wrong");
    other.used = 0;
    for (int k = 0; k < 3; k++)
        add_file(&other, reviews[k][0], reviews[k][1]);
    add_end(&other);
    put_gz(&other);
    ck_assert_str_eq(refusal("imdb"), "imdb: no reviews aclImdb/test/pos/ID_RATING.txt");
    other.used -= (size_t)2 * RECORD;
    add_file(&other, reviews[3][0], reviews[3][1]);
    add_file(&other, reviews[1][0], reviews[1][1]);
    add_end(&other);
    put_gz(&other);
    ck_assert_str_eq(refusal("imdb"), "imdb: review 10 of train/pos is there twice");
    unlink(archive);
    ck_assert_ptr_nonnull(
        strstr(refusal("imdb"), "imdb: neither aclImdb/ nor aclImdb_v1.tar.gz is in "));
    put_gz(&whole);
    ck_assert_str_eq(refusal("imdb:train=3"),
                     "imdb: 3 training and 0 validation examples wanted, there are 2");
    unlink(archive);
}
END_TEST

START_TEST(long_names_and_empty_files_are_read)
{
    static tape t;
    static const char pax[] = "30 mtime=1306103345.123456789\n31 path=aclImdb/a/long/name.txt\n";
    nl_tar *tar;
    nl_tar_file f;
    bool more;
    nl_text text = {0};
    t.used = 0;
    add_header(&t, "././@LongLink", 'L', 21);
    add_bytes(&t, "some/very/long/name/x", 21);
    add_file(&t, "some/very/lo", "content");
    add_header(&t, "PaxHeaders/x", 'x', sizeof pax - 1);
    add_bytes(&t, pax, sizeof pax - 1);
    add_file(&t, "name.txt", "");
    add_end(&t);
    put_gz(&t);
    ck_assert_int_eq(nl_tar_open(&tar, archive), NL_OK);
    ck_assert(nl_tar_next(tar, &f, &more) == NL_OK && more);
    ck_assert_str_eq(f.name, "some/very/long/name/x");
    ck_assert_int_eq(f.bytes, 7);
    ck_assert_int_eq(nl_tar_read(tar, &text), NL_OK);
    ck_assert_str_eq(nl_text_of(&text), "content");
    ck_assert(nl_tar_next(tar, &f, &more) == NL_OK && more);
    ck_assert_str_eq(f.name, "aclImdb/a/long/name.txt");
    ck_assert_int_eq(f.bytes, 0);
    ck_assert(nl_tar_next(tar, &f, &more) == NL_OK && !more);
    nl_tar_close(tar);
    nl_text_free(&text);
    unlink(archive);
}
END_TEST

START_TEST(every_failing_allocation_is_a_clean_refusal)
{
    put_gz(&whole);
    const long live = nl_alloc_live();
    nl_dataset *d = NULL;
    for (long call = 0; !d && call < 1000; call++) {
        nl_alloc_fail_at(call);
        if (nl_dataset_open(&d, "imdb:maxlen=6", folder) != NL_OK)
            ck_assert_int_eq(nl_alloc_live(), live);
        nl_alloc_fail_at(-1);
    }
    ck_assert_ptr_nonnull(d);
    nl_dataset_close(d);
    unlink(archive);
}
END_TEST

/* ---- the real one; the figures are those of a program in Python that does the same */

START_TEST(the_real_reviews_are_what_they_should_be)
{
    nl_dataset *d;
    if (!getenv("NORMLAB_DATA")) {
        puts("skipped: the real reviews, NORMLAB_DATA is not set");
        return;
    }
    if (nl_dataset_open(&d, "imdb", NULL) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    double sum = 0;
    int64_t positive = 0;
    ck_assert_int_eq(d->train.count, 25000);
    ck_assert_int_eq(d->test.count, 25000);
    for (int64_t k = 0; k < d->train.count * 80; k++)
        sum += (double)d->train.x[k];
    for (int64_t i = 0; i < d->train.count; i++)
        positive += d->train.label[i];
    ck_assert_double_eq(sum, 2035971508);
    ck_assert_int_eq(positive, 12500);
    nl_dataset_close(d);
    /* words of both parts; 88,582 of them are in the training reviews */
    if (nl_dataset_open(&d, "imdb:num_words=0:maxlen=1", NULL) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    ck_assert_int_eq(d->shape.vocabulary, 124252 + 3 + 1);
    nl_dataset_close(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("imdb");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, words_are_cut_as_keras_cuts_them);
    tcase_add_test(t, a_lexicon_ranks_words_by_count_then_by_bytes);
    tcase_add_test(t, reviews_are_numbered_padded_and_cut_in_front);
    tcase_add_test(t, the_folder_is_read_as_the_archive);
    tcase_add_test(t, archives_cut_at_any_record_are_refused);
    tcase_add_test(t, gzip_cut_or_changed_anywhere_is_refused);
    tcase_add_test(t, what_is_no_archive_or_lacks_something_is_named);
    tcase_add_test(t, long_names_and_empty_files_are_read);
    tcase_add_test(t, every_failing_allocation_is_a_clean_refusal);
    tcase_add_test(t, the_real_reviews_are_what_they_should_be);
    suite_add_tcase(s, t);
    return run_suite(s);
}
