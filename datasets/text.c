/* Characters of any text; without a file's name Tiny Shakespeare (Karpathy 2015, char-rnn): 1.1
 * million characters of his plays. The last part of the text is the test set; validation examples
 * are the last ones of what is before it. */
#include <math.h>
#include <stdio.h>

#include "core/characters.h"

typedef struct text {
    nl_dataset_common common; /* begins as nl_characters_options */
    int64_t len;
    bool stateful;
    double test_fraction;
    nl_string file;
} text;

static const nl_option options[] = {
    NL_CHARACTERS_OPTIONS(text),
    NL_OPT_TEXT(text, file, "tinyshakespeare.txt", "file in the folder text of the data folder"),
    NL_OPT(text, test_fraction, "0.1", 0, 0.9, "last part of the text, for the test"), NL_OPT_END};

static nl_status cut_text(const text *o, const nl_characters *all, const char *path,
                          nl_dataset *out)
{
    nl_cut cut;
    const int64_t tested = (int64_t)floor((double)all->count * o->test_fraction);
    const nl_characters before = {all->at, all->count - tested};
    const nl_characters after = {all->at + before.count, tested};
    const nl_characters_options options_of = {o->common, o->len, o->stateful};
    const int64_t train = nl_characters_windows(before.count, o->len);
    const int64_t test = nl_characters_windows(after.count, o->len);
    if (train < 1 || (tested > 0 && test < 1))
        return nl_fail(NL_EOPTION,
                       "%s: %lld characters (%lld of them for the test), too few for examples of "
                       "len=%lld",
                       path, (long long)all->count, (long long)tested, (long long)o->len);
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, train, test, &cut));
    NL_TRY(nl_characters_fill(&options_of, &before, &before, &after, &cut, out));
    return NL_OK;
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const text *o = self;
    nl_characters all;
    nl_text path = {0};
    nl_status st = NL_OK;
    nl_text_add(&path, "%s/text/%s", dir, o->file.is);
    NL_GO(nl_text_status(&path));
    NL_GO(nl_characters_read(&all, nl_text_of(&path)));
    st = cut_text(o, &all, nl_text_of(&path), out);
    nl_characters_free(&all);
done:
    nl_text_free(&path);
    return st;
}

const nl_dataset_ops nl_dataset_text = {
    NL_DATASET_HEADER,
    .name = "text",
    .title = "characters of a text: Tiny Shakespeare, or a file of one's own",
    .cite = "karpathy2015unreasonable",
    .files = "text/tinyshakespeare.txt, or text/FILE",
    .self_size = sizeof(text),
    .options = options,
    .load = load,
};
