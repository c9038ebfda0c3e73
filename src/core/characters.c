#include "core/characters.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"

/* ---- UTF-8 (RFC 3629) */

/* Bytes of the character that begins with this one; 0: none does. */
static int length_of(uint8_t first)
{
    return first < 0x80   ? 1
           : first < 0xC2 ? 0
           : first < 0xE0 ? 2
           : first < 0xF0 ? 3
           : first < 0xF5 ? 4
                          : 0;
}

/* Reads one character of at most `left` bytes; gives how many it took, 0 where it is none. */
static int decode(const uint8_t *at, int64_t left, int32_t *out)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const int length = length_of(at[0]);
    if (length == 0 || length > left)
        return 0;
    int32_t c = length == 1 ? at[0] : at[0] & (0x7F >> length);
    for (int k = 1; k < length; k++) {
        if ((at[k] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (at[k] & 0x3F);
    }
    *out = c;
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    return c >= least[length] && c < NL_CHARACTERS_MOST && !surrogate ? length : 0;
}

static nl_status decode_all(const uint8_t *bytes, int64_t count, const char *path,
                            nl_characters *out)
{
    for (int64_t i = 0; i < count;) {
        const int took = decode(bytes + i, count - i, &out->at[out->count]);
        if (took == 0)
            return nl_fail(NL_EFORMAT, "%s: byte %lld (0x%02x) is not UTF-8", path, (long long)i,
                           bytes[i]);
        i += took;
        out->count++;
    }
    return NL_OK;
}

/* ---- files */

static nl_status read_bytes(FILE *f, const char *path, uint8_t **bytes, int64_t *count)
{
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        return nl_fail(NL_EIO, "%s: is no file", path);
    *count = st.st_size;
    *bytes = nl_alloc((size_t)*count, 1);
    if (!*bytes)
        return nl_fail(NL_ENOMEM, "%s: no memory for %lld bytes", path, (long long)*count);
    if (fread(*bytes, 1, (size_t)*count, f) != (size_t)*count)
        return nl_fail(NL_EIO, "%s: cannot be read", path);
    return NL_OK;
}

nl_status nl_characters_read(nl_characters *out, const char *path)
{
    nl_status st = NL_OK;
    uint8_t *bytes = NULL;
    int64_t count = 0;
    *out = (nl_characters){0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return nl_fail(NL_EIO, "%s: cannot be opened (NORMLAB_DATA names the data folder)", path);
    NL_GO(read_bytes(f, path, &bytes, &count));
    out->at = nl_alloc((size_t)count, sizeof *out->at);
    if (!out->at)
        NL_BAIL(NL_ENOMEM, "%s: no memory for its characters", path);
    NL_GO(decode_all(bytes, count, path, out));
done:
    fclose(f);
    nl_free(bytes);
    if (st != NL_OK)
        nl_characters_free(out);
    return st;
}

void nl_characters_free(nl_characters *c)
{
    nl_free(c->at);
    *c = (nl_characters){0};
}

/* ---- examples */

int64_t nl_characters_windows(int64_t count, int64_t len)
{
    return count > 0 ? (count - 1) / len : 0;
}

static void mark(const nl_characters *c, int32_t *token)
{
    for (int64_t i = 0; i < c->count; i++)
        token[c->at[i]] = 1;
}

/* token (NL_CHARACTERS_MOST): from "occurs" to the place among all that occur. */
static int64_t number_tokens(int32_t *token)
{
    int32_t count = 0;
    for (int32_t c = 0; c < NL_CHARACTERS_MOST; c++)
        if (token[c])
            token[c] = count++;
    return count;
}

static void fill(const nl_characters *from, const int32_t *token, int64_t first, int64_t len,
                 nl_split *to)
{
    const int32_t *at = from->at + first * len;
    for (int64_t k = 0; k < to->count * len; k++) {
        to->x[k] = (nl_real)token[at[k]];
        to->label[k] = token[at[k + 1]];
    }
}

nl_status nl_characters_fill(const nl_characters_options *o, const nl_characters *train,
                             const nl_characters *val, const nl_characters *test, const nl_cut *cut,
                             nl_dataset *out)
{
    nl_status st = NL_OK;
    int32_t *token = nl_alloc(NL_CHARACTERS_MOST, sizeof *token);
    if (!token)
        return nl_fail(NL_ENOMEM, "%s: its vocabulary", out->ops->name);
    mark(train, token);
    mark(val, token);
    mark(test, token);
    out->classes = number_tokens(token);
    if (out->classes < 2)
        NL_BAIL(NL_EFORMAT, "%s: %lld different characters, wanted at least 2", out->ops->name,
                (long long)out->classes);
    out->shape = (nl_shape){.s = o->len, .c = 1, .vocabulary = out->classes};
    out->each_step = true;
    out->consecutive = o->stateful;
    out->in_bits = true;
    NL_GO(nl_dataset_room(out, cut));
    fill(train, token, 0, o->len, &out->train);
    fill(val, token, cut->val_at, o->len, &out->val);
    fill(test, token, 0, o->len, &out->test);
done:
    nl_free(token);
    return st;
}
