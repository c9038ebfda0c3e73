/* Characters of the Penn Treebank (Marcus et al. 1993) as Mikolov et al. 2012 prepared it: from the
 * files of words, a word's characters, '_' between words and a line's end after each sentence.
 * With ptb.train.txt these are the 5.0 million characters that Cooijmans et al. 2017 train on. */
#include <stdio.h>

#include "core/characters.h"

typedef struct ptb {
    nl_dataset_common common; /* begins as nl_characters_options */
    int64_t len;
    bool stateful;
    nl_choice from;
} ptb;

enum { FROM_TRAIN, FROM_VALID };
static const char *const sources[] = {"train", "valid", NULL};

static const nl_option options[] = {
    NL_CHARACTERS_OPTIONS(ptb),
    NL_OPT_NAMES(ptb, from, "train", sources,
                 "file that is trained on: ptb.train.txt, validated on ptb.valid.txt (val: its "
                 "first examples; 0: all), or ptb.valid.txt alone, cut as other data are"),
    NL_OPT_END};

/* The spaces around a line go, those within become '_'; in place. */
static void join_words(nl_characters *c)
{
    int64_t to = 0;
    bool space = false, begun = false;
    for (int64_t i = 0; i < c->count; i++) {
        const int32_t v = c->at[i];
        if (v == ' ') {
            space = begun;
            continue;
        }
        if (space && v != '\n')
            c->at[to++] = '_';
        c->at[to++] = v;
        space = false;
        begun = v != '\n';
    }
    c->count = to;
}

static nl_status read_part(nl_characters *out, const char *dir, const char *part, int64_t len)
{
    nl_text path = {0};
    nl_status st = NL_OK;
    nl_text_add(&path, "%s/text/ptb.%s.txt", dir, part);
    NL_GO(nl_text_status(&path));
    NL_GO(nl_characters_read(out, nl_text_of(&path)));
    join_words(out);
    if (nl_characters_windows(out->count, len) < 1)
        NL_BAIL(NL_EFORMAT, "%s: %lld characters, too few for an example of len=%lld",
                nl_text_of(&path), (long long)out->count, (long long)len);
done:
    nl_text_free(&path);
    return st;
}

/* Windows of ptb.valid.txt for validation: the first ones. */
static nl_status cut_validation(const ptb *o, int64_t there, nl_cut *cut)
{
    cut->val = o->common.val ? o->common.val : there;
    cut->val_at = 0;
    if (cut->val > there)
        return nl_fail(NL_EOPTION, "ptb: %lld validation examples wanted, there are %lld",
                       (long long)cut->val, (long long)there);
    return NL_OK;
}

static nl_status fill(const ptb *o, const nl_characters *train, const nl_characters *valid,
                      const nl_characters *test, nl_dataset *out)
{
    const nl_characters_options options_of = {o->common, o->len, o->stateful};
    const int64_t at_test = nl_characters_windows(test->count, o->len);
    const int64_t at_train = nl_characters_windows(train->count, o->len);
    nl_dataset_common common = o->common;
    nl_cut cut;
    if (train != valid)
        common.val = 0;
    NL_TRY(nl_dataset_cut(&common, "ptb", at_train, at_test, &cut));
    if (train != valid)
        NL_TRY(cut_validation(o, nl_characters_windows(valid->count, o->len), &cut));
    NL_TRY(nl_characters_fill(&options_of, train, valid, test, &cut, out));
    return NL_OK;
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const ptb *o = self;
    nl_characters train = {0}, valid = {0}, test = {0};
    nl_status st = NL_OK;
    if (o->common.val_fraction > 0 && o->from.is == FROM_TRAIN)
        return nl_fail(NL_EOPTION, "ptb: val_fraction is of no use where ptb.valid.txt validates");
    NL_GO(read_part(&valid, dir, "valid", o->len));
    NL_GO(read_part(&test, dir, "test", o->len));
    if (o->from.is == FROM_TRAIN)
        NL_GO(read_part(&train, dir, "train", o->len));
    NL_GO(fill(o, o->from.is == FROM_TRAIN ? &train : &valid, &valid, &test, out));
done:
    nl_characters_free(&train);
    nl_characters_free(&valid);
    nl_characters_free(&test);
    return st;
}

const nl_dataset_ops nl_dataset_ptb = {
    NL_DATASET_HEADER,
    .name = "ptb",
    .title = "characters of the Penn Treebank",
    .cite = "marcus1993building",
    .files = "text/ptb.train.txt, text/ptb.valid.txt, text/ptb.test.txt",
    .self_size = sizeof(ptb),
    .options = options,
    .load = load,
};
