#include "core/lexicon.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/text.h"

typedef struct word {
    uint64_t hash;
    int64_t at, length, count; /* at: in the letters */
} word;

struct nl_lexicon {
    nl_text letters; /* of all words, one after the other */
    word *word;
    int64_t words, room;
    int32_t *slot; /* open addressing: number + 1, or 0; slots is a power of two */
    int64_t slots;
};

enum { FIRST_ROOM = 1 << 12 };

/* ---- words of a text */

void nl_lower_case(char *text, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        const unsigned char before = i > 0 ? (unsigned char)text[i - 1] : 0;
        const bool ascii = c >= 'A' && c <= 'Z';
        const bool latin = before == 0xC3 && c >= 0x80 && c <= 0x9E && c != 0x97; /* U+00C0 .. DE */
        if (ascii || latin)
            text[i] = (char)(c + 0x20);
    }
}

static bool parts_words(char c)
{
    static const char filters[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n ";
    return !c || strchr(filters, c);
}

const char *nl_next_word(const char *text, int64_t bytes, int64_t *at, int64_t *length)
{
    int64_t from = *at;
    while (from < bytes && parts_words(text[from]))
        from++;
    int64_t to = from;
    while (to < bytes && !parts_words(text[to]))
        to++;
    *at = to;
    *length = to - from;
    return to > from ? text + from : NULL;
}

/* ---- the table */

static nl_status out_of_memory(void) { return nl_fail(NL_ENOMEM, "a lexicon of words"); }

nl_status nl_lexicon_open(nl_lexicon **out)
{
    nl_lexicon *l = *out = nl_alloc(1, sizeof *l);
    if (!l)
        return out_of_memory();
    l->room = FIRST_ROOM;
    l->slots = 2 * FIRST_ROOM;
    l->word = nl_alloc((size_t)l->room, sizeof *l->word);
    l->slot = nl_alloc((size_t)l->slots, sizeof *l->slot);
    if (l->word && l->slot)
        return NL_OK;
    nl_lexicon_close(l);
    *out = NULL;
    return out_of_memory();
}

void nl_lexicon_close(nl_lexicon *l)
{
    if (!l)
        return;
    nl_text_free(&l->letters);
    nl_free(l->word);
    nl_free(l->slot);
    nl_free(l);
}

static bool is_word(const nl_lexicon *l, int32_t number, uint64_t hash, const char *text,
                    int64_t length)
{
    const word *w = &l->word[number];
    return w->hash == hash && w->length == length &&
           memcmp(l->letters.at + w->at, text, (size_t)length) == 0;
}

/* Where the word is, or the empty slot where it belongs. */
static int64_t find_slot(const nl_lexicon *l, uint64_t hash, const char *text, int64_t length)
{
    int64_t at = (int64_t)(hash & (uint64_t)(l->slots - 1));
    while (l->slot[at] && !is_word(l, l->slot[at] - 1, hash, text, length))
        at = (at + 1) & (l->slots - 1);
    return at;
}

/* Twice the room, and slots for at most half of them taken. */
static nl_status grow(nl_lexicon *l)
{
    word *words = nl_alloc((size_t)(2 * l->room), sizeof *words);
    int32_t *slot = nl_alloc((size_t)(2 * l->slots), sizeof *slot);
    if (!words || !slot) {
        nl_free(words);
        nl_free(slot);
        return out_of_memory();
    }
    memcpy(words, l->word, (size_t)l->words * sizeof *words);
    nl_free(l->word);
    nl_free(l->slot);
    l->word = words;
    l->slot = slot;
    l->room *= 2;
    l->slots *= 2;
    for (int32_t k = 0; k < l->words; k++) {
        int64_t at = (int64_t)(words[k].hash & (uint64_t)(l->slots - 1));
        while (slot[at])
            at = (at + 1) & (l->slots - 1);
        slot[at] = k + 1;
    }
    return NL_OK;
}

nl_status nl_lexicon_add(nl_lexicon *l, const char *text, int64_t length, int64_t times,
                         int32_t *number)
{
    const uint64_t hash = nl_hash_bytes(NL_HASH_START, text, (uint64_t)length);
    int64_t at = find_slot(l, hash, text, length);
    if (!l->slot[at]) {
        if (l->words == l->room) {
            NL_TRY(grow(l));
            at = find_slot(l, hash, text, length);
        }
        l->word[l->words] = (word){.hash = hash, .at = (int64_t)l->letters.used, .length = length};
        nl_text_add_bytes(&l->letters, text, (size_t)length);
        NL_TRY(nl_text_status(&l->letters));
        l->slot[at] = (int32_t)++l->words;
    }
    *number = l->slot[at] - 1;
    l->word[*number].count += times;
    return NL_OK;
}

int64_t nl_lexicon_words(const nl_lexicon *l) { return l->words; }

/* ---- order */

typedef struct ranked {
    const char *text;
    int64_t length, count;
    int32_t number;
} ranked;

static int by_count(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    const int64_t shorter = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->text, b->text, (size_t)shorter);
    return order ? order : a->length < b->length ? -1 : 1;
}

nl_status nl_lexicon_rank(const nl_lexicon *l, int32_t *rank)
{
    ranked *all = nl_alloc((size_t)l->words, sizeof *all);
    if (!all)
        return out_of_memory();
    for (int32_t k = 0; k < l->words; k++)
        all[k] = (ranked){l->letters.at + l->word[k].at, l->word[k].length, l->word[k].count, k};
    qsort(all, (size_t)l->words, sizeof *all, by_count);
    for (int64_t k = 0; k < l->words; k++)
        rank[all[k].number] = all[k].count > 0 ? (int32_t)(k + 1) : 0;
    nl_free(all);
    return NL_OK;
}
