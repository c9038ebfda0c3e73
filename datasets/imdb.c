/* imdb: film reviews, praising or not (Maas et al. 2011), from the original archive, as sequences
 * of words numbered as keras.datasets.imdb.load_data numbers them:
 *
 *     rank     of a word by frequency in the training reviews, 1 first; equals by their bytes
 *     number   rank + index_from, where that is in skip_top .. num_words - 1; otherwise oov
 *     review   start, then its words; the last maxlen of these; 0 before them as padding
 *
 * Words are cut as Keras's Tokenizer cuts them (lexicon.h). The reviews of a part, praising after
 * others and each by the number of its file, are shuffled once by `seed`. docs/datasets.md says how
 * this differs from the file that Keras downloads. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/random.h"
#include "core/dataset.h"
#include "core/lexicon.h"
#include "core/tar.h"

typedef struct imdb {
    nl_dataset_common common;
    int64_t num_words, start, oov, index_from, skip_top, maxlen, seed;
    nl_choice padding, truncating;
    bool mask;
} imdb;

enum { PRE, POST };
static const char *const sides[] = {"pre", "post", NULL};

static const nl_option options[] = {
    NL_DATASET_OPTIONS(imdb, "0", "0", 0, "none"),
    NL_OPT(imdb, num_words, "20000", 0, 1 << 24, "tokens below this number are kept (0: all)"),
    NL_OPT(imdb, start, "1", 0, 1 << 20, "token in front of each review"),
    NL_OPT(imdb, oov, "2", 0, 1 << 20, "token of the words that are not kept"),
    NL_OPT(imdb, index_from, "3", 0, 1 << 20, "added to a word's rank"),
    NL_OPT(imdb, skip_top, "0", 0, 1 << 20, "tokens below this number are not kept"),
    NL_OPT(imdb, maxlen, "80", 1, 100000, "tokens of a review"),
    NL_OPT_NAMES(imdb, padding, "pre", sides, "where short reviews are filled with 0"),
    NL_OPT_NAMES(imdb, truncating, "pre", sides, "where long reviews are cut"),
    NL_OPT_FLAG(imdb, mask, "false",
                "padding is no step; false: it is token 0, as Keras has it without a mask"),
    NL_OPT(imdb, seed, "113", 0, 1e15,
           "which order the reviews are shuffled into; no part of the "
           "run's seed"),
    NL_OPT_END};

enum { NEGATIVE, POSITIVE };
enum { TRAIN, TEST, PARTS };
static const char *const part_names[] = {"train", "test"};
static const char *const label_names[] = {"neg", "pos"};

/* ---- reviews as numbers of a lexicon */

typedef struct review {
    int part, label;
    int64_t id;           /* the number of its file */
    int64_t first, words; /* in the corpus's words */
} review;

typedef struct corpus {
    review *review;
    int64_t reviews, review_room;
    int32_t *word;
    int64_t words, word_room;
    nl_lexicon *lexicon;
} corpus;

/* Room for one more of `size` bytes behind `count`. */
static nl_status make_room(void **at, int64_t count, int64_t *room, size_t size)
{
    if (count < *room)
        return NL_OK;
    const int64_t more = *room ? 2 * *room : 4096;
    void *larger = nl_alloc((size_t)more, size);
    if (!larger)
        return nl_fail(NL_ENOMEM, "imdb: no memory for the reviews");
    if (count)
        memcpy(larger, *at, (size_t)count * size);
    nl_free(*at);
    *at = larger;
    *room = more;
    return NL_OK;
}

static nl_status add_words(corpus *c, const nl_text *text, int part)
{
    const char *word;
    int64_t at = 0, length;
    while ((word = nl_next_word(text->at, (int64_t)text->used, &at, &length))) {
        void *words = c->word;
        NL_TRY(make_room(&words, c->words, &c->word_room, sizeof *c->word));
        c->word = words;
        NL_TRY(nl_lexicon_add(c->lexicon, word, length, part == TRAIN, &c->word[c->words]));
        c->words++;
    }
    return NL_OK;
}

static nl_status add_review(corpus *c, review r, nl_text *text)
{
    void *reviews = c->review;
    NL_TRY(make_room(&reviews, c->reviews, &c->review_room, sizeof *c->review));
    c->review = reviews;
    nl_lower_case(text->at, (int64_t)text->used);
    r.first = c->words;
    NL_TRY(add_words(c, text, r.part));
    r.words = c->words - r.first;
    c->review[c->reviews++] = r;
    return NL_OK;
}

/* ".../train/pos/123_9.txt"; false: the file is something else. */
static bool is_review(const char *path, review *out)
{
    for (int part = 0; part < PARTS; part++)
        for (int label = 0; label < 2; label++) {
            char folder[32];
            snprintf(folder, sizeof folder, "/%s/%s/", part_names[part], label_names[label]);
            const char *name = strstr(path, folder);
            if (!name)
                continue;
            name += strlen(folder);
            char *end;
            const int64_t id = strtoll(name, &end, 10);
            if (end == name || *end != '_' || strchr(name, '/'))
                return false;
            *out = (review){.part = part, .label = label, .id = id};
            return true;
        }
    return false;
}

/* ---- from the archive, or from the folder it unpacks to */

static nl_status read_archive(corpus *c, const char *path)
{
    nl_tar *tar;
    nl_tar_file file;
    nl_text text = {0};
    nl_status st = NL_OK;
    bool more;
    NL_TRY(nl_tar_open(&tar, path));
    for (;;) {
        review r;
        NL_GO(nl_tar_next(tar, &file, &more));
        if (!more)
            break;
        if (!is_review(file.name, &r))
            continue;
        nl_text_clear(&text);
        NL_GO(nl_tar_read(tar, &text));
        NL_GO(add_review(c, r, &text));
    }
done:
    nl_text_free(&text);
    nl_tar_close(tar);
    return st;
}

static nl_status read_file(const char *path, nl_text *to)
{
    char piece[1 << 14];
    size_t got;
    FILE *f = fopen(path, "rb");
    if (!f)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    nl_text_clear(to);
    while ((got = fread(piece, 1, sizeof piece, f)) > 0)
        nl_text_add_bytes(to, piece, got);
    fclose(f);
    return nl_text_status(to);
}

static nl_status read_folder(corpus *c, const char *folder)
{
    nl_text path = {0}, text = {0};
    nl_status st = NL_OK;
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir)
        return nl_fail(NL_EIO, "%s: folder cannot be opened: %s", folder, strerror(errno));
    while ((entry = readdir(dir))) {
        review r;
        nl_text_clear(&path);
        nl_text_add(&path, "%s/%s", folder, entry->d_name);
        NL_GO(nl_text_status(&path));
        if (!is_review(nl_text_of(&path), &r))
            continue;
        NL_GO(read_file(nl_text_of(&path), &text));
        NL_GO(add_review(c, r, &text));
    }
done:
    closedir(dir);
    nl_text_free(&path);
    nl_text_free(&text);
    return st;
}

static nl_status read_folders(corpus *c, const char *root)
{
    for (int part = 0; part < PARTS; part++)
        for (int label = 0; label < 2; label++) {
            nl_text folder = {0};
            nl_status st;
            nl_text_add(&folder, "%s/%s/%s", root, part_names[part], label_names[label]);
            NL_GO(nl_text_status(&folder));
            NL_GO(read_folder(c, nl_text_of(&folder)));
        done:
            nl_text_free(&folder);
            NL_TRY(st);
        }
    return NL_OK;
}

static nl_status read_corpus(corpus *c, const char *dir)
{
    nl_text folder = {0}, archive = {0};
    struct stat is;
    nl_status st = NL_OK;
    NL_GO(nl_lexicon_open(&c->lexicon));
    nl_text_add(&folder, "%s/imdb/aclImdb", dir);
    nl_text_add(&archive, "%s/imdb/aclImdb_v1.tar.gz", dir);
    NL_GO(nl_text_status(&folder));
    NL_GO(nl_text_status(&archive));
    if (stat(nl_text_of(&folder), &is) == 0)
        NL_GO(read_folders(c, nl_text_of(&folder)));
    else if (stat(nl_text_of(&archive), &is) == 0)
        NL_GO(read_archive(c, nl_text_of(&archive)));
    else
        NL_BAIL(NL_EIO,
                "imdb: neither aclImdb/ nor aclImdb_v1.tar.gz is in %s/imdb (NORMLAB_DATA names "
                "the data folder)",
                dir);
done:
    nl_text_free(&folder);
    nl_text_free(&archive);
    return st;
}

static void free_corpus(corpus *c)
{
    nl_free(c->review);
    nl_free(c->word);
    nl_lexicon_close(c->lexicon);
}

/* ---- order: archives and folders may give files in any */

static int by_place(const void *left, const void *right)
{
    const review *a = left, *b = right;
    if (a->part != b->part)
        return a->part - b->part;
    if (a->label != b->label)
        return a->label - b->label;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Both kinds of reviews in both parts, and no file twice. */
static nl_status check_reviews(const corpus *c, int64_t count[PARTS])
{
    int64_t there[PARTS][2] = {{0}};
    for (int64_t i = 0; i < c->reviews; i++) {
        const review *r = &c->review[i];
        there[r->part][r->label]++;
        if (i > 0 && by_place(&c->review[i - 1], r) == 0)
            return nl_fail(NL_EFORMAT, "imdb: review %lld of %s/%s is there twice",
                           (long long)r->id, part_names[r->part], label_names[r->label]);
    }
    for (int part = 0; part < PARTS; part++)
        for (int label = 0; label < 2; label++)
            if (there[part][label] == 0)
                return nl_fail(NL_EFORMAT, "imdb: no reviews aclImdb/%s/%s/ID_RATING.txt",
                               part_names[part], label_names[label]);
    count[TRAIN] = there[TRAIN][NEGATIVE] + there[TRAIN][POSITIVE];
    count[TEST] = there[TEST][NEGATIVE] + there[TEST][POSITIVE];
    return NL_OK;
}

/* ---- examples */

static nl_real token_of(const imdb *o, int64_t token)
{
    const bool kept = token >= o->skip_top && (o->num_words == 0 || token < o->num_words);
    return (nl_real)(kept ? token : o->oov);
}

static void write_review(const imdb *o, const corpus *c, const review *r, const int32_t *rank,
                         nl_real *x, int32_t *length)
{
    const int64_t all = r->words + 1, steps = all < o->maxlen ? all : o->maxlen;
    const int64_t first = o->truncating.is == PRE ? all - steps : 0;
    const int64_t at = o->padding.is == PRE ? o->maxlen - steps : 0;
    for (int64_t t = 0; t < steps; t++) {
        const int64_t k = first + t; /* place in the review, the start token's being 0 */
        const int32_t place = k > 0 ? rank[c->word[r->first + k - 1]] : 0;
        if (k == 0)
            x[at + t] = token_of(o, o->start);
        else
            x[at + t] = place > 0 ? token_of(o, place + o->index_from) : (nl_real)o->oov;
    }
    if (length)
        *length = (int32_t)steps;
}

/* Examples order[0], order[1], ... of the reviews from `from` on. */
static void fill(const imdb *o, const corpus *c, const int32_t *rank, const review *from,
                 const int64_t *order, nl_split *to)
{
    for (int64_t i = 0; i < to->count; i++) {
        const review *r = &from[order[i]];
        to->label[i] = r->label;
        write_review(o, c, r, rank, to->x + i * o->maxlen, to->length ? &to->length[i] : NULL);
    }
}

static int64_t vocabulary_of(const imdb *o, const corpus *c)
{
    const int64_t named = (o->start > o->oov ? o->start : o->oov) + 1;
    const int64_t words =
        o->num_words > 0 ? o->num_words : nl_lexicon_words(c->lexicon) + 1 + o->index_from;
    return words > named ? words : named;
}

static nl_status fill_all(const imdb *o, const corpus *c, const int64_t count[PARTS],
                          nl_dataset *out)
{
    nl_status st = NL_OK;
    nl_cut cut;
    int64_t *order = nl_alloc((size_t)(count[TRAIN] + count[TEST]), sizeof *order);
    int32_t *rank = nl_alloc((size_t)nl_lexicon_words(c->lexicon), sizeof *rank);
    if (!order || !rank)
        NL_BAIL(NL_ENOMEM, "imdb: no memory for the order of its reviews");
    NL_GO(nl_lexicon_rank(c->lexicon, rank));
    NL_GO(nl_dataset_cut(&o->common, "imdb", count[TRAIN], count[TEST], &cut));
    out->shape = (nl_shape){.s = o->maxlen, .c = 1, .vocabulary = vocabulary_of(o, c)};
    out->classes = 2;
    out->ragged = o->mask;
    out->pads_before = o->padding.is == PRE;
    out->target = 0.8;
    NL_GO(nl_dataset_room(out, &cut));
    int64_t *order_of_test = order + count[TRAIN];
    const nl_key key = {(uint64_t)o->seed, NL_STREAM_SPLIT, 0};
    nl_random_permutation(key, order, count[TRAIN]);
    nl_random_permutation((nl_key){key.seed, key.stream, 1}, order_of_test, count[TEST]);
    fill(o, c, rank, c->review, order, &out->train);
    fill(o, c, rank, c->review, order + cut.val_at, &out->val);
    fill(o, c, rank, c->review + count[TRAIN], order_of_test, &out->test);
done:
    nl_free(order);
    nl_free(rank);
    return st;
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    corpus c = {0};
    nl_status st = NL_OK;
    int64_t count[PARTS];
    NL_GO(read_corpus(&c, dir));
    if (c.reviews)
        qsort(c.review, (size_t)c.reviews, sizeof *c.review, by_place);
    NL_GO(check_reviews(&c, count));
    NL_GO(fill_all(self, &c, count, out));
done:
    free_corpus(&c);
    return st;
}

const nl_dataset_ops nl_dataset_imdb = {
    NL_DATASET_HEADER,
    .name = "imdb",
    .title = "IMDB film reviews as words: 25,000 and 25,000",
    .cite = "maas2011learning",
    .files = "imdb/aclImdb_v1.tar.gz, or the folder imdb/aclImdb it unpacks to",
    .self_size = sizeof(imdb),
    .options = options,
    .load = load,
};
