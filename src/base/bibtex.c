#include "base/bibtex.h"

#include <stdbool.h>
#include <string.h>

static const char refs[] = {
#include "refs_bib.inc"
    0};

/* The entry of a key, from its '@' to the line "}" that ends it; NULL: none. */
static const char *find(const char *key, size_t n, size_t *length)
{
    for (const char *at = strstr(refs, "\n@"); at; at = strstr(at + 1, "\n@")) {
        const char *is = at + 1 + strcspn(at + 1, "{") + 1, *end = strstr(is, "\n}\n");
        if (strncmp(is, key, n) != 0 || is[n] != ',' || !end)
            continue;
        *length = (size_t)(end + strlen("\n}\n") - (at + 1));
        return at + 1;
    }
    return NULL;
}

static const char *next_key(const char *at, size_t *n)
{
    at += strspn(at, " ");
    *n = strcspn(at, " ");
    return *n ? at : NULL;
}

void nl_bibtex_entries(const char *keys, nl_text *out)
{
    size_t n, length;
    for (const char *key = next_key(keys, &n); key; key = next_key(key + n, &n)) {
        const char *entry = find(key, n, &length);
        if (entry)
            nl_text_add(out, "%s%.*s", out->used ? "\n" : "", (int)length, entry);
    }
}

static bool has_key(const char *all, const char *key, size_t n)
{
    size_t m;
    for (const char *at = next_key(all, &m); at; at = next_key(at + m, &m))
        if (m == n && strncmp(at, key, n) == 0)
            return true;
    return false;
}

void nl_bibtex_unite(const char *keys, nl_text *all)
{
    size_t n;
    for (const char *key = next_key(keys, &n); key; key = next_key(key + n, &n))
        if (!has_key(nl_text_of(all), key, n))
            nl_text_add(all, "%s%.*s", all->used ? " " : "", (int)n, key);
}
