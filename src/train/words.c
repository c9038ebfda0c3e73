#include "train/words.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "io/config.h"
#include "train/spec.h"

enum { SEEDS_MAX = 10000 };

static nl_status make_room(nl_words *w)
{
    nl_word *at = nl_alloc_more(w->at, w->count, &w->room, sizeof *at);
    if (!at)
        return nl_fail(NL_ENOMEM, "%d words", w->count + 1);
    w->at = at;
    return NL_OK;
}

/* like has key, source and place */
static nl_status add(nl_words *w, const nl_word *like, const char *value, size_t length)
{
    NL_TRY(make_room(w));
    char *copy = nl_alloc(length + 1, 1);
    char *key = nl_strdup(like->key);
    if (!copy || !key) {
        nl_free(copy);
        nl_free(key);
        return nl_fail(NL_ENOMEM, "a word");
    }
    memcpy(copy, value, length);
    w->at[w->count++] = (nl_word){key, copy, like->source, like->line, like->column};
    return NL_OK;
}

static nl_status add_parted(nl_words *w, const nl_word *like, const char *value)
{
    for (;;) {
        const size_t n = strcspn(value, ",");
        if (n == 0 && strchr(like->value, ','))
            return nl_fail(NL_EOPTION, "run: %s=%s has an empty item", like->key, like->value);
        NL_TRY(add(w, like, value, n));
        if (!value[n])
            return NL_OK;
        value += n + 1;
    }
}

static nl_status add_seeds(nl_words *w, const nl_word *like)
{
    int64_t seeds;
    char number[24];
    if (!nl_read_int(like->value, &seeds) || seeds < 1 || seeds > SEEDS_MAX)
        return nl_fail(NL_EOPTION,
                       "run: seeds wants a number from 1 to %d or a list such as 1,2,3, got '%s'",
                       SEEDS_MAX, like->value);
    for (int64_t s = 1; s <= seeds; s++) {
        snprintf(number, sizeof number, "%lld", (long long)s);
        NL_TRY(add(w, like, number, strlen(number)));
    }
    return NL_OK;
}

static nl_status add_word(nl_words *w, nl_word like, bool alone)
{
    char seed[] = "seed";
    const bool seeds = strcmp(like.key, "seeds") == 0;
    if (seeds)
        like.key = seed;
    if (seeds && alone && !strchr(like.value, ','))
        NL_TRY(add_seeds(w, &like));
    else if (nl_run_key_varies(like.key))
        NL_TRY(add_parted(w, &like, like.value));
    else
        NL_TRY(add(w, &like, like.value, strlen(like.value)));
    return NL_OK;
}

static nl_status check_new(const nl_words *w, nl_word_source source, const char *key)
{
    const char *known = strcmp(key, "seeds") == 0 ? "seed" : key;
    for (int i = 0; i < w->count; i++)
        if (w->at[i].source == source && strcmp(w->at[i].key, known) == 0)
            return nl_fail(NL_EOPTION, "run: %s is given twice", key);
    return NL_OK;
}

nl_status nl_words_take(nl_words *w, nl_word_source source, const char *word)
{
    char key[64];
    const size_t n = strcspn(word, "=");
    if (!word[n] || n == 0 || n >= sizeof key)
        return nl_fail(NL_EOPTION, "run: '%s' is not key=value", word);
    memcpy(key, word, n);
    key[n] = 0;
    NL_TRY(check_new(w, source, key));
    char *value = nl_strdup(word + n + 1);
    if (!value)
        return nl_fail(NL_ENOMEM, "a word");
    const nl_status st = add_word(w, (nl_word){.key = key, .value = value, .source = source}, true);
    nl_free(value);
    return st;
}

/* A list under a key that forms no grid is one value: record: [init, order]. */
static nl_status join_items(nl_words *w, const nl_config_item *item, int count)
{
    nl_text joined = {0};
    for (int i = 0; i < count; i++)
        nl_text_add(&joined, "%s%s", i ? "," : "", item[i].value);
    nl_status st = nl_text_status(&joined);
    if (st == NL_OK) {
        const nl_word like = {item->key, NULL, NL_WORD_FILE, item->line, item->column};
        st = add(w, &like, nl_text_of(&joined), joined.used);
    }
    nl_text_free(&joined);
    return st;
}

static nl_status take_items(nl_words *w, const nl_config_item *item, int count)
{
    NL_TRY(check_new(w, NL_WORD_FILE, item->key));
    if (count > 1 && !nl_run_key_varies(item->key)) {
        NL_TRY(join_items(w, item, count));
        return NL_OK;
    }
    for (int i = 0; i < count; i++) {
        const nl_word like = {item[i].key, item[i].value, NL_WORD_FILE, item[i].line,
                              item[i].column};
        NL_TRY(add_word(w, like, count == 1));
    }
    return NL_OK;
}

nl_status nl_words_read(nl_words *w, const char *path)
{
    if (w->file)
        return nl_fail(NL_EOPTION, "%s: settings come from one file, here also from %s", path,
                       w->file);
    nl_config config;
    NL_TRY(nl_config_read(&config, path));
    nl_status st = NL_OK;
    w->file = nl_strdup(path);
    if (!w->file)
        NL_BAIL(NL_ENOMEM, "%s", path);
    for (int i = 0, count; i < config.count; i += count) {
        const nl_config_item *item = &config.at[i];
        for (count = 1; i + count < config.count && strcmp(item[count].key, item->key) == 0;)
            count++;
        st = take_items(w, item, count);
        if (st != NL_OK) {
            nl_error_prefix("%s:%d:%d: ", path, item->line, item->column);
            goto done;
        }
    }
done:
    nl_config_free(&config);
    return st;
}

void nl_words_free(nl_words *w)
{
    for (int i = 0; i < w->count; i++) {
        nl_free(w->at[i].key);
        nl_free(w->at[i].value);
    }
    nl_free(w->at);
    nl_free(w->file);
    *w = (nl_words){0};
}

int nl_words_find(const nl_words *w, const char *key, const nl_word **first)
{
    int count = 0;
    *first = NULL;
    for (int i = 0; i < w->count; i++) {
        const nl_word *word = &w->at[i];
        if (strcmp(word->key, key) != 0 || (*first && word->source < (*first)->source))
            continue;
        if (!*first || word->source > (*first)->source) {
            *first = word;
            count = 0;
        }
        count++;
    }
    return count;
}

void nl_words_place(const nl_words *w, const nl_word *word)
{
    if (word && word->source == NL_WORD_FILE)
        nl_error_prefix("%s:%d:%d: ", w->file, word->line, word->column);
}
