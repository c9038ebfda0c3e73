/* lexicon.h: the words of a corpus by number, how often each occurs, and their order by frequency.
 *
 * Words are cut as the Tokenizer of Keras cuts them: everything in lower case, the characters
 * !"#$%&()*+,-./:;<=>?@[\]^_`{|}~ and white space part words, an apostrophe does not. */
#ifndef NL_LEXICON_H
#define NL_LEXICON_H

#include <stdint.h>

#include "base/status.h"

typedef struct nl_lexicon nl_lexicon;

nl_status nl_lexicon_open(nl_lexicon **out) NL_CHECKED;
void nl_lexicon_close(nl_lexicon *l); /* NULL is fine */

/* Lower-cases `bytes` of UTF-8 in place: A-Z and the letters of Latin-1. */
void nl_lower_case(char *text, int64_t bytes);

/* The next word of text[*at .. bytes) and its length; NULL behind the last. Moves *at on. */
const char *nl_next_word(const char *text, int64_t bytes, int64_t *at, int64_t *length);

/* Gives the number of a word, a new one where it is new, and adds `times` to its count. */
nl_status nl_lexicon_add(nl_lexicon *l, const char *text, int64_t length, int64_t times,
                         int32_t *number) NL_CHECKED;

int64_t nl_lexicon_words(const nl_lexicon *l);

/* rank (words) becomes each word's place by count, 1 for the most frequent; equals in the order of
 * their bytes. 0 for a word of count 0. */
nl_status nl_lexicon_rank(const nl_lexicon *l, int32_t *rank) NL_CHECKED;

#endif
