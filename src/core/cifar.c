#include "core/cifar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

enum { PATH_ROOM = 512, PLANE = NL_CIFAR_SIDE * NL_CIFAR_SIDE };

const char *const nl_cifar_fits[] = {"train", "all", NULL};

static int64_t record_bytes(const nl_cifar_layout *l) { return l->labels + NL_CIFAR_PIXELS; }

/* ---- files */

static nl_status check_labels(const uint8_t *bytes, int64_t count, const char *path,
                              const nl_cifar_layout *l)
{
    for (int64_t i = 0; i < count; i++) {
        const int label = bytes[i * record_bytes(l) + l->label];
        if (label >= l->classes)
            return nl_fail(NL_EFORMAT, "%s: label %d of example %lld, wanted 0 .. %d", path, label,
                           (long long)i, l->classes - 1);
    }
    return NL_OK;
}

static nl_status append(nl_cifar_records *to, FILE *in, int64_t size, const char *path,
                        const nl_cifar_layout *l)
{
    const int64_t record = record_bytes(l), old = to->count * record, count = size / record;
    if (size == 0 || size % record)
        return nl_fail(NL_EFORMAT, "%s: %lld bytes, wanted records of %lld (truncated?)", path,
                       (long long)size, (long long)record);
    uint8_t *all = nl_alloc((size_t)(old + size), 1);
    if (!all)
        return nl_fail(NL_ENOMEM, "%s: no memory for %lld bytes", path, (long long)(old + size));
    if (old)
        memcpy(all, to->bytes, (size_t)old);
    nl_free(to->bytes);
    to->bytes = all;
    if (fread(all + old, 1, (size_t)size, in) != (size_t)size)
        return nl_fail(NL_EIO, "%s: cannot be read to its end", path);
    NL_TRY(check_labels(all + old, count, path, l));
    to->count += count;
    return NL_OK;
}

nl_status nl_cifar_read(nl_cifar_records *to, const char *path, const nl_cifar_layout *layout)
{
    struct stat about;
    FILE *in = fopen(path, "rb");
    if (!in || fstat(fileno(in), &about) != 0 || S_ISDIR(about.st_mode)) {
        const int why = in ? EISDIR : errno;
        if (in)
            fclose(in);
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", path, strerror(why));
    }
    const nl_status st = append(to, in, (int64_t)about.st_size, path, layout);
    fclose(in);
    return st;
}

/* folder becomes the one that holds the data set's files: DIR/NAME/FOLDER or DIR/FOLDER. */
static nl_status locate(char folder[PATH_ROOM], const char *dir, const char *name,
                        const nl_cifar_layout *l)
{
    struct stat about;
    const int n = snprintf(folder, PATH_ROOM, "%s/%s/%s", dir, name, l->folder);
    if (n < 0 || n >= PATH_ROOM - 64)
        return nl_fail(NL_EIO, "%s: the data folder's path is longer than %d characters", name,
                       PATH_ROOM - 64);
    if (stat(folder, &about) == 0)
        return NL_OK;
    snprintf(folder, PATH_ROOM, "%s/%s", dir, l->folder);
    if (stat(folder, &about) == 0)
        return NL_OK;
    return nl_fail(NL_EIO, "%s: neither %s/%s nor %s is in %s (NORMLAB_DATA names the data folder)",
                   name, name, l->folder, l->folder, dir);
}

static nl_status read_from(nl_cifar_records *to, const char *folder, const char *file,
                           const nl_cifar_layout *l)
{
    char path[PATH_ROOM + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return nl_cifar_read(to, path, l);
}

/* ---- values */

/* Red, green and blue of a pixel come to stand side by side. */
static void fill(nl_split *to, const nl_cifar_records *from, int64_t first,
                 const nl_cifar_layout *l)
{
    for (int64_t i = 0; i < to->count; i++) {
        const uint8_t *record = from->bytes + (first + i) * record_bytes(l);
        const uint8_t *plane = record + l->labels;
        nl_real *x = to->x + i * NL_CIFAR_PIXELS;
        to->label[i] = record[l->label];
        for (int64_t p = 0; p < PLANE; p++)
            for (int64_t k = 0; k < NL_CIFAR_COLOURS; k++)
                x[p * NL_CIFAR_COLOURS + k] = plane[k * PLANE + p];
    }
}

/* Mean and variance of each value of an image over all images: sums of bytes are exact. */
static nl_status fit_all(const nl_cifar_records *from, const nl_cifar_layout *l, nl_dataset *out)
{
    double *mean = out->fitted = nl_alloc(2 * NL_CIFAR_PIXELS, sizeof *mean);
    if (!mean)
        return nl_fail(NL_ENOMEM, "%s: moments of %d values", out->ops->name, NL_CIFAR_PIXELS);
    double *var = mean + NL_CIFAR_PIXELS;
    for (int64_t i = 0; i < from->count; i++)
        for (int64_t k = 0; k < NL_CIFAR_COLOURS; k++)
            for (int64_t p = 0; p < PLANE; p++) {
                const double v = from->bytes[i * record_bytes(l) + l->labels + k * PLANE + p];
                mean[p * NL_CIFAR_COLOURS + k] += v;
                var[p * NL_CIFAR_COLOURS + k] += v * v;
            }
    for (int64_t j = 0; j < NL_CIFAR_PIXELS; j++) {
        mean[j] /= (double)from->count;
        var[j] = var[j] / (double)from->count - mean[j] * mean[j];
    }
    return NL_OK;
}

nl_status nl_cifar_load(const nl_cifar_options *o, const nl_cifar_layout *layout, const char *dir,
                        nl_dataset *out)
{
    nl_status st = NL_OK;
    nl_cifar_records train = {0}, test = {0};
    char folder[PATH_ROOM];
    nl_cut cut;
    NL_GO(locate(folder, dir, out->ops->name, layout));
    const char *const *file = layout->train; /* one or more */
    do
        NL_GO(read_from(&train, folder, *file, layout));
    while (*++file);
    NL_GO(read_from(&test, folder, layout->test, layout));
    NL_GO(nl_dataset_cut(&o->common, out->ops->name, train.count, test.count, &cut));
    out->shape = out->ops->shape;
    out->classes = layout->classes;
    out->hi = 255;
    out->augment = o->augment;
    NL_GO(nl_dataset_room(out, &cut));
    if (o->fit.is == NL_FIT_ALL)
        NL_GO(fit_all(&train, layout, out));
    fill(&out->train, &train, 0, layout);
    fill(&out->val, &train, cut.val_at, layout);
    fill(&out->test, &test, 0, layout);
done:
    nl_free(train.bytes);
    nl_free(test.bytes);
    return st;
}
