/* characters.h: texts as data sets of characters: windows of `len` steps one after the other, the
 * answer at each step being the next character.
 *
 * Texts are UTF-8. A token is a character's place among all that occur, by code point. */
#ifndef NL_CHARACTERS_H
#define NL_CHARACTERS_H

#include "core/dataset.h"

enum { NL_CHARACTERS_MOST = 0x110000 }; /* code points there can be */

typedef struct nl_characters {
    int32_t *at; /* code points; owned: nl_characters_free */
    int64_t count;
} nl_characters;

/* Reads a whole file. One-line messages that name it: missing, not UTF-8 and where. */
nl_status nl_characters_read(nl_characters *out, const char *path) NL_CHECKED;
void nl_characters_free(nl_characters *c);

/* Options of a data set of characters: the first member of its struct. */
typedef struct nl_characters_options {
    nl_dataset_common common;
    int64_t len;
    bool stateful;
} nl_characters_options;

/* Rows of the option table of struct S, which begins with the members `common`, `len` and
 * `stateful` of nl_characters_options. */
#define NL_CHARACTERS_OPTIONS(S)                                                                 \
    NL_DATASET_OPTIONS(S, "0", "0", 0, "none"),                                                  \
        NL_OPT(S, len, "100", 1, 100000, "characters of an example"),                            \
        NL_OPT_FLAG(S, stateful, "true",                                                         \
                    "recurrent states go on from one example to the next, in parallel streams; " \
                    "false: examples on their own, shuffled")

/* Examples that `count` characters give: each needs the character after its last one, too. */
int64_t nl_characters_windows(int64_t count, int64_t len);

/* Fills out from three stretches of text, whose windows the cut counts; its val_at is where the
 * validation windows begin in val. Their characters together are the vocabulary. */
nl_status nl_characters_fill(const nl_characters_options *o, const nl_characters *train,
                             const nl_characters *val, const nl_characters *test, const nl_cut *cut,
                             nl_dataset *out) NL_CHECKED;

#endif
