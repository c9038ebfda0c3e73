/* words.h: what the user said about a run or a grid of runs, before it is understood: key and value
 * with the place each came from. Stronger sources override weaker ones key by key. */
#ifndef NL_WORDS_H
#define NL_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef enum nl_word_source {
    NL_WORD_COMMAND, /* what the command does unless told otherwise */
    NL_WORD_FILE,
    NL_WORD_LINE /* the command line */
} nl_word_source;

typedef struct nl_word {
    char *key, *value; /* owned */
    nl_word_source source;
    int line, column; /* in the file */
} nl_word;

typedef struct nl_words {
    int count;
    int64_t room;
    nl_word *at; /* the values of a list follow each other */
    char *file;  /* owned; NULL without one */
} nl_words;

/* "key=value". Commas part the values of a list, where the key may have one. "seeds=3" stands for
 * "seed=1,2,3". A key given twice is refused. */
nl_status nl_words_take(nl_words *w, nl_word_source source, const char *word) NL_CHECKED;

/* The keys of a YAML file (io/config.h); at most one file. */
nl_status nl_words_read(nl_words *w, const char *path) NL_CHECKED;

void nl_words_free(nl_words *w);

/* The values of a key from its strongest source: *first is NULL and the result 0 when nobody
 * named it. */
int nl_words_find(const nl_words *w, const char *key, const nl_word **first);

/* Puts FILE:LINE:COLUMN in front of the latest message, for a word from a file. */
void nl_words_place(const nl_words *w, const nl_word *word);

#endif
