/* Any bytes as a text are read or refused; what is read are code points; and any bytes can be cut
 * into words. Nothing stays allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/characters.h"
#include "core/lexicon.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void read_characters(const uint8_t *bytes, size_t count)
{
    char path[64];
    nl_characters c;
    const int file = memfd_create("text", 0);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (nl_characters_read(&c, path) == NL_OK) {
        for (int64_t i = 0; i < c.count; i++)
            if (c.at[i] < 0 || c.at[i] >= NL_CHARACTERS_MOST)
                abort();
        nl_characters_free(&c);
    }
    close(file);
}

static void cut_words(const uint8_t *bytes, size_t count)
{
    nl_lexicon *l;
    const char *word;
    int64_t at = 0, length;
    int32_t number;
    char *text = nl_alloc(count + 1, 1);
    if (!text || nl_lexicon_open(&l) != NL_OK)
        abort();
    memcpy(text, bytes, count);
    nl_lower_case(text, (int64_t)count);
    while ((word = nl_next_word(text, (int64_t)count, &at, &length)))
        if (nl_lexicon_add(l, word, length, 1, &number) != NL_OK)
            abort();
    nl_lexicon_close(l);
    nl_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const long live = nl_alloc_live();
    read_characters(bytes, count);
    cut_words(bytes, count);
    if (nl_alloc_live() != live)
        abort();
    return 0;
}
