#include "core/idx.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/alloc.h"

enum { PATH_ROOM = 512, SHAPE_ROOM = 64, GZIP_BUFFER = 1 << 17, GZIP_BEST = 1032 };

const nl_option nl_idx_option_table[] = {
    NL_DATASET_OPTIONS(nl_idx_options, "0", "0", 0, "unit"),
    NL_OPT(nl_idx_options, binary, "0", 0, 1,
           "pixels above this part of full brightness become full, others 0 (0: off)"),
    NL_OPT_END};

/* ---- one file */

static const char *print_shape(const nl_idx *f, char *buf)
{
    size_t used = 0;
    for (int k = 0; k < f->dims; k++)
        used += (size_t)snprintf(buf + used, SHAPE_ROOM - used, "%s%lld", k ? " x " : "",
                                 (long long)f->size[k]);
    return buf;
}

static int64_t content_bytes(const nl_idx *f)
{
    int64_t bytes = 1;
    for (int k = 0; k < f->dims; k++)
        if (__builtin_mul_overflow(bytes, f->size[k], &bytes))
            return INT64_MAX;
    return bytes;
}

/* What zlib says, without the path it puts before. */
static const char *reason_of(gzFile in, const char *path, int *code)
{
    const char *reason = gzerror(in, code);
    const size_t n = strlen(path);
    const bool has_path = strncmp(reason, path, n) == 0 && strncmp(reason + n, ": ", 2) == 0;
    return has_path ? reason + n + 2 : reason;
}

/* Exactly `wanted` bytes. */
static nl_status read_exactly(gzFile in, const char *path, void *to, int64_t wanted,
                              const char *what)
{
    int64_t got = 0;
    while (got < wanted) {
        const int64_t left = wanted - got;
        const int n = gzread(in, (char *)to + got, left > (1 << 30) ? 1u << 30 : (unsigned)left);
        if (n <= 0)
            break;
        got += n;
    }
    int code;
    const char *reason = reason_of(in, path, &code);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return nl_fail(code == Z_ERRNO ? NL_EIO : NL_EFORMAT, "%s: %s", path, reason);
    if (got < wanted)
        return nl_fail(NL_EFORMAT, "%s: truncated: %lld bytes of %s, wanted %lld", path,
                       (long long)got, what, (long long)wanted);
    return NL_OK;
}

static nl_status read_header(nl_idx *f, gzFile in, const char *path, int dims)
{
    uint8_t word[4 + 4 * NL_IDX_DIMS];
    NL_TRY(read_exactly(in, path, word, 4, "header"));
    const unsigned magic = (unsigned)word[0] << 24 | word[1] << 16 | word[2] << 8 | word[3];
    if (magic != 0x800u + (unsigned)dims)
        return nl_fail(NL_EFORMAT,
                       "%s: magic number 0x%08x, wanted 0x%08x (unsigned bytes in %d dimension%s)",
                       path, magic, 0x800u + (unsigned)dims, dims, dims > 1 ? "s" : "");
    NL_TRY(read_exactly(in, path, word, 4 * dims, "sizes in the header"));
    f->dims = dims;
    for (int k = 0; k < dims; k++) {
        const uint8_t *at = word + (ptrdiff_t)4 * k;
        f->size[k] = (int64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        if (f->size[k] == 0)
            return nl_fail(NL_EFORMAT, "%s: size 0 in dimension %d, wanted at least 1", path,
                           k + 1);
    }
    return NL_OK;
}

/* A header cannot make us take more memory than the file can hold, whatever it claims. */
static nl_status check_claim(const nl_idx *f, const char *path)
{
    struct stat st;
    char shape[SHAPE_ROOM];
    if (stat(path, &st) != 0)
        return nl_fail(NL_EIO, "%s: cannot be read", path);
    if (content_bytes(f) / GZIP_BEST > st.st_size)
        return nl_fail(NL_EFORMAT, "%s: truncated: %lld bytes cannot hold the %s of its header",
                       path, (long long)st.st_size, print_shape(f, shape));
    return NL_OK;
}

/* Reading on past the content also makes zlib check the sum at the end of a gzip file. */
static nl_status check_end(const nl_idx *f, gzFile in, const char *path)
{
    char byte, shape[SHAPE_ROOM];
    int code;
    if (gzread(in, &byte, 1) == 1)
        return nl_fail(NL_EFORMAT, "%s: longer than the %lld bytes (%s) of its header", path,
                       (long long)content_bytes(f), print_shape(f, shape));
    const char *reason = reason_of(in, path, &code);
    if (code != Z_OK && code != Z_STREAM_END)
        return nl_fail(NL_EFORMAT, "%s: corrupt at its end: %s", path, reason);
    return NL_OK;
}

static nl_status read_content(nl_idx *f, gzFile in, const char *path)
{
    char shape[SHAPE_ROOM], what[SHAPE_ROOM + 16];
    NL_TRY(check_claim(f, path));
    const int64_t bytes = content_bytes(f);
    f->bytes = nl_alloc((size_t)bytes, 1);
    if (!f->bytes)
        return nl_fail(NL_ENOMEM, "%s: no memory for %lld bytes", path, (long long)bytes);
    snprintf(what, sizeof what, "content (%s)", print_shape(f, shape));
    NL_TRY(read_exactly(in, path, f->bytes, bytes, what));
    NL_TRY(check_end(f, in, path));
    return NL_OK;
}

nl_status nl_idx_read(nl_idx *out, const char *path, int dims)
{
    nl_status st = NL_OK;
    *out = (nl_idx){0};
    gzFile in = gzopen(path, "rb");
    if (!in)
        return nl_fail(NL_EIO, "%s: cannot be opened", path);
    gzbuffer(in, GZIP_BUFFER);
    NL_GO(read_header(out, in, path, dims));
    NL_GO(read_content(out, in, path));
done:
    gzclose_r(in);
    if (st != NL_OK)
        nl_idx_free(out);
    return st;
}

void nl_idx_free(nl_idx *f)
{
    nl_free(f->bytes);
    *f = (nl_idx){0};
}

/* ---- the four files */

typedef struct pair {
    nl_idx images, labels;
    char images_at[PATH_ROOM], labels_at[PATH_ROOM];
} pair;

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* path becomes DIR/NAME/file or the same with .gz, the plain one first. */
static nl_status locate(char path[PATH_ROOM], const char *dir, const char *name, const char *file)
{
    static const char *const ends[] = {"", ".gz"};
    for (int k = 0; k < 2; k++) {
        const int n = snprintf(path, PATH_ROOM, "%s/%s/%s%s", dir, name, file, ends[k]);
        if (n < 0 || n >= PATH_ROOM)
            return nl_fail(NL_EIO, "%s: the data folder's path is longer than %d characters", name,
                           PATH_ROOM - 64);
        if (exists(path))
            return NL_OK;
    }
    return nl_fail(NL_EIO,
                   "%s: neither %s nor %s.gz is in %s/%s (NORMLAB_DATA names the data folder)",
                   name, file, file, dir, name);
}

static nl_status check_pair(const pair *p)
{
    const int64_t *size = p->images.size;
    if (size[1] != NL_IDX_SIDE || size[2] != NL_IDX_SIDE)
        return nl_fail(NL_EFORMAT, "%s: images of %lld x %lld, wanted %d x %d", p->images_at,
                       (long long)size[1], (long long)size[2], NL_IDX_SIDE, NL_IDX_SIDE);
    if (p->labels.size[0] != size[0])
        return nl_fail(NL_EFORMAT, "%s: %lld labels, wanted %lld as there are images in %s",
                       p->labels_at, (long long)p->labels.size[0], (long long)size[0],
                       p->images_at);
    for (int64_t i = 0; i < p->labels.size[0]; i++)
        if (p->labels.bytes[i] >= NL_IDX_CLASSES)
            return nl_fail(NL_EFORMAT, "%s: label %d of example %lld, wanted 0 .. %d", p->labels_at,
                           p->labels.bytes[i], (long long)i, NL_IDX_CLASSES - 1);
    return NL_OK;
}

static void free_pair(pair *p)
{
    nl_idx_free(&p->images);
    nl_idx_free(&p->labels);
}

static nl_status read_pair(pair *p, const char *dir, const char *name, const char *images,
                           const char *labels)
{
    NL_TRY(locate(p->images_at, dir, name, images));
    NL_TRY(locate(p->labels_at, dir, name, labels));
    NL_TRY(nl_idx_read(&p->labels, p->labels_at, 1));
    NL_TRY(nl_idx_read(&p->images, p->images_at, 3));
    NL_TRY(check_pair(p));
    return NL_OK;
}

static void fill(nl_split *to, const pair *from, int64_t first, double binary)
{
    const int64_t width = (int64_t)NL_IDX_SIDE * NL_IDX_SIDE;
    const uint8_t *bytes = from->images.bytes + first * width;
    nl_real value[256];
    for (int v = 0; v < 256; v++)
        value[v] = (nl_real)(binary == 0 ? v : v > binary * 255 ? 255 : 0);
    for (int64_t i = 0; i < to->count * width; i++)
        to->x[i] = value[bytes[i]];
    for (int64_t i = 0; i < to->count; i++)
        to->label[i] = from->labels.bytes[first + i];
}

/* In the shape that out->ops states. */
static nl_status load_from(const void *self, const char *dir, const char *folder, nl_dataset *out)
{
    const nl_idx_options *o = self;
    nl_status st = NL_OK;
    pair train = {0}, test = {0};
    nl_cut cut;
    NL_GO(read_pair(&train, dir, folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte"));
    NL_GO(read_pair(&test, dir, folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"));
    NL_GO(nl_dataset_cut(&o->common, out->ops->name, train.images.size[0], test.images.size[0],
                         &cut));
    out->shape = out->ops->shape;
    out->classes = NL_IDX_CLASSES;
    out->hi = 255;
    NL_GO(nl_dataset_room(out, &cut));
    fill(&out->train, &train, 0, o->binary);
    fill(&out->val, &train, cut.val_at, o->binary);
    fill(&out->test, &test, 0, o->binary);
done:
    free_pair(&train);
    free_pair(&test);
    return st;
}

nl_status nl_idx_load(const void *self, const char *dir, nl_dataset *out)
{
    return load_from(self, dir, out->ops->name, out);
}

nl_status nl_idx_load_mnist(const void *self, const char *dir, nl_dataset *out)
{
    return load_from(self, dir, "mnist", out);
}
