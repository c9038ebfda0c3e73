#include "core/tar.h"

#include <stddef.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"

enum { RECORD = 512, GZIP_BUFFER = 1 << 17, PIECE = 1 << 14, NAME_MOST = 1 << 16 };

struct nl_tar {
    gzFile in;
    char *path;
    int64_t left; /* bytes of the current file that are not read yet ... */
    int64_t fill; /* ... and those that fill up its last record */
    int64_t files;
    nl_text name; /* of the current file */
    nl_text long_name;
};

/* Header of a file: POSIX.1-1988, section 10.1.1. */
typedef struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char unused[12];
} header;

nl_status nl_tar_open(nl_tar **out, const char *path)
{
    nl_tar *t = *out = nl_alloc(1, sizeof *t);
    if (!t || !(t->path = nl_strdup(path))) {
        nl_tar_close(t);
        *out = NULL;
        return nl_fail(NL_ENOMEM, "%s: no memory to read it", path);
    }
    t->in = gzopen(path, "rb");
    if (!t->in) {
        nl_tar_close(t);
        *out = NULL;
        return nl_fail(NL_EIO, "%s: cannot be opened", path);
    }
    gzbuffer(t->in, GZIP_BUFFER);
    return NL_OK;
}

void nl_tar_close(nl_tar *t)
{
    if (!t)
        return;
    if (t->in)
        gzclose_r(t->in);
    nl_text_free(&t->name);
    nl_text_free(&t->long_name);
    nl_free(t->path);
    nl_free(t);
}

/* ---- bytes */

/* What zlib has to say, if anything. */
static nl_status check_stream(const nl_tar *t)
{
    int code;
    const char *reason = gzerror(t->in, &code);
    if (code == Z_OK || code == Z_STREAM_END)
        return NL_OK;
    if (code == Z_BUF_ERROR)
        return nl_fail(NL_EFORMAT, "%s: truncated after %lld files", t->path, (long long)t->files);
    const size_t path = strlen(t->path); /* gzerror begins with it, too */
    return nl_fail(code == Z_ERRNO ? NL_EIO : NL_EFORMAT, "%s: corrupt after %lld files%s", t->path,
                   (long long)t->files, strncmp(reason, t->path, path) == 0 ? reason + path : "");
}

static nl_status read_exactly(nl_tar *t, void *to, int64_t bytes)
{
    const int got = gzread(t->in, to, (unsigned)bytes);
    if (got == bytes)
        return NL_OK;
    NL_TRY(check_stream(t));
    return nl_fail(NL_EFORMAT, "%s: truncated after %lld files", t->path, (long long)t->files);
}

/* Appends that many bytes, or drops them where `to` is NULL. */
static nl_status read_bytes(nl_tar *t, int64_t bytes, nl_text *to)
{
    char piece[PIECE];
    while (bytes > 0) {
        const int64_t now = bytes < PIECE ? bytes : PIECE;
        NL_TRY(read_exactly(t, piece, now));
        if (to)
            nl_text_add_bytes(to, piece, (size_t)now);
        bytes -= now;
    }
    return to ? nl_text_status(to) : NL_OK;
}

static nl_status skip_file(nl_tar *t)
{
    const int64_t bytes = t->left + t->fill;
    t->left = t->fill = 0;
    return read_bytes(t, bytes, NULL);
}

/* ---- headers */

static bool is_zero(const header *h)
{
    const char *bytes = (const char *)h;
    for (int i = 0; i < RECORD; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Octal digits, spaces around them; -1 for anything else. */
static int64_t octal(const char *digits, int room)
{
    int64_t value = 0;
    int i = 0, used = 0;
    while (i < room && digits[i] == ' ')
        i++;
    for (; i < room && digits[i] >= '0' && digits[i] <= '7'; i++, used++)
        value = value * 8 + (digits[i] - '0');
    for (; i < room; i++)
        if (digits[i] && digits[i] != ' ')
            return -1;
    return used ? value : -1;
}

/* The sum of all bytes with the checksum taken as spaces. */
static bool has_its_checksum(const header *h)
{
    const uint8_t *bytes = (const uint8_t *)h;
    const size_t from = offsetof(header, checksum), to = from + sizeof h->checksum;
    int64_t sum = 0;
    for (size_t i = 0; i < RECORD; i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return octal(h->checksum, sizeof h->checksum) == sum;
}

static void add_field(nl_text *to, const char *field, size_t room)
{
    nl_text_add_bytes(to, field, strnlen(field, room));
}

static void take_name(nl_tar *t, const header *h)
{
    nl_text_clear(&t->name);
    if (t->long_name.used) {
        nl_text_add(&t->name, "%s", nl_text_of(&t->long_name));
    } else {
        if (memcmp(h->magic, "ustar", sizeof "ustar") == 0 && h->prefix[0]) {
            add_field(&t->name, h->prefix, sizeof h->prefix);
            nl_text_add(&t->name, "/");
        }
        add_field(&t->name, h->name, sizeof h->name);
    }
    nl_text_clear(&t->long_name);
}

/* "LENGTH path=NAME\n" among the records of a pax header. */
static void take_pax_path(nl_tar *t, const nl_text *records)
{
    static const char key[] = " path=";
    const char *at = nl_text_of(records), *found = strstr(at, key);
    if (!found)
        return;
    found += sizeof key - 1;
    nl_text_clear(&t->long_name);
    nl_text_add_bytes(&t->long_name, found, strcspn(found, "\n"));
}

/* A name too long for its field, in a file of its own. */
static nl_status read_long_name(nl_tar *t, char type)
{
    nl_text content = {0};
    nl_status st = NL_OK;
    const int64_t bytes = t->left;
    if (bytes > NAME_MOST)
        NL_BAIL(NL_EFORMAT, "%s: a name of %lld bytes after %lld files", t->path, (long long)bytes,
                (long long)t->files);
    t->left = 0;
    NL_GO(read_bytes(t, bytes, &content));
    if (type == 'x')
        take_pax_path(t, &content);
    else
        nl_text_add(&t->long_name, "%s", nl_text_of(&content));
    NL_GO(skip_file(t));
done:
    nl_text_free(&content);
    return st;
}

static nl_status take_size(nl_tar *t, const header *h)
{
    if (!has_its_checksum(h))
        return nl_fail(NL_EFORMAT, "%s: %s", t->path,
                       t->files ? "corrupt: a header's checksum is wrong" : "is no tar archive");
    t->left = octal(h->size, sizeof h->size);
    if (t->left < 0)
        return nl_fail(NL_EFORMAT, "%s: corrupt: a file without a size after %lld files", t->path,
                       (long long)t->files);
    t->fill = (RECORD - t->left % RECORD) % RECORD;
    return NL_OK;
}

/* Reads on to the end of the stream, where zlib checks its sum. */
static nl_status finish(nl_tar *t)
{
    char piece[PIECE];
    while (gzread(t->in, piece, sizeof piece) > 0)
        ;
    return check_stream(t);
}

nl_status nl_tar_next(nl_tar *t, nl_tar_file *out, bool *more)
{
    header h;
    *more = false;
    for (;;) {
        NL_TRY(skip_file(t));
        NL_TRY(read_exactly(t, &h, RECORD));
        if (is_zero(&h))
            return finish(t);
        NL_TRY(take_size(t, &h));
        if (h.type == 'L' || h.type == 'x') {
            NL_TRY(read_long_name(t, h.type));
            continue;
        }
        take_name(t, &h);
        NL_TRY(nl_text_status(&t->name));
        t->files++;
        if (h.type == '0' || h.type == 0) {
            *out = (nl_tar_file){nl_text_of(&t->name), t->left};
            *more = true;
            return NL_OK;
        }
    }
}

nl_status nl_tar_read(nl_tar *t, nl_text *to)
{
    const int64_t bytes = t->left;
    t->left = 0;
    return read_bytes(t, bytes, to);
}
