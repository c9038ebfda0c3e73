#include "analysis/facts.h"

#include <string.h>

#include "base/alloc.h"

/* The words are parted by blanks, the options of a nested spec by colons. */
static const char gaps[] = " \t\r\n";

static void add_bytes(nl_facts *f, const char *at, size_t n, const char *end)
{
    nl_text_add_bytes(&f->bytes, at, n);
    nl_text_add_bytes(&f->bytes, end, strlen(end) + (*end == 0));
}

/* "name:opt=value:..." of a key. */
static void add_word(nl_facts *f, const char *key, size_t key_length, const char *value, size_t n)
{
    const char *end = value + n, *part = value;
    size_t length = strcspn(value, ":");
    length = length < n ? length : n;
    add_bytes(f, key, key_length, "");
    add_bytes(f, value, length, "");
    f->count++;
    for (part += length; part < end; part += length) {
        part++; /* the colon */
        length = strcspn(part, ":");
        length = part + length < end ? length : (size_t)(end - part);
        size_t name = strcspn(part, "=");
        name = name < length ? name : length;
        add_bytes(f, key, key_length, ".");
        add_bytes(f, part, name, "");
        add_bytes(f, part + name + (name < length), length - name - (name < length), "");
        f->count++;
    }
}

nl_status nl_facts_read(nl_facts *out, const char *spec)
{
    *out = (nl_facts){0};
    for (spec += strspn(spec, gaps); *spec; spec += strspn(spec, gaps)) {
        const size_t n = strcspn(spec, gaps);
        size_t key = strcspn(spec, "=");
        key = key < n ? key : n;
        add_word(out, spec, key, spec + key + (key < n), n - key - (key < n));
        spec += n;
    }
    out->at = nl_alloc((size_t)out->count + 1, sizeof *out->at);
    if (!out->at || out->bytes.failed) {
        nl_facts_free(out);
        return nl_fail(NL_ENOMEM, "facts of '%s'", spec);
    }
    const char *at = nl_text_of(&out->bytes);
    for (int64_t i = 0; i < out->count; i++) {
        out->at[i].key = at;
        at += strlen(at) + 1;
        out->at[i].value = at;
        at += strlen(at) + 1;
    }
    return NL_OK;
}

void nl_facts_free(nl_facts *f)
{
    nl_text_free(&f->bytes);
    nl_free(f->at);
    *f = (nl_facts){0};
}

const char *nl_facts_find(const nl_facts *f, const char *key)
{
    for (int64_t i = 0; i < f->count; i++)
        if (strcmp(f->at[i].key, key) == 0)
            return f->at[i].value;
    return NULL;
}
