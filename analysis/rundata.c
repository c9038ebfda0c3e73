#include "analysis/rundata.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/text.h"
#include "io/runread.h"

typedef struct attribute {
    char *name, *text;
} attribute;

/* A list that grows: items are copied in, in order. */
typedef struct list {
    void *at;
    int64_t count, room;
} list;

struct nl_rundata {
    char *path;
    list attributes; /* of attribute */
    list tracks;     /* of nl_track */
    int64_t *slot;   /* number of a track by the hash of its name, from 1; 0: free */
    int64_t slots;   /* a power of two, more than twice the tracks */
    list places;     /* of char *: LAYER/SLOT */
    list recurrent;  /* of char *: LAYER */
};

enum { NAME_CHARS = 512 };

static void *list_append(list *l, size_t size)
{
    void *at = nl_alloc_more(l->at, l->count, &l->room, size);
    if (!at)
        return NULL;
    l->at = at;
    return (char *)l->at + (size_t)l->count++ * size;
}

nl_status nl_rundata_new(nl_rundata **out, const char *path)
{
    *out = NULL;
    nl_rundata *run = nl_alloc(1, sizeof *run);
    if (!run || !(run->path = nl_strdup(path))) {
        nl_rundata_close(run);
        return nl_fail(NL_ENOMEM, "run %s", path);
    }
    *out = run;
    return NL_OK;
}

static void free_names(list *l)
{
    for (int64_t i = 0; i < l->count; i++)
        nl_free(((char **)l->at)[i]);
    nl_free(l->at);
}

void nl_rundata_close(nl_rundata *run)
{
    if (!run)
        return;
    attribute *a = run->attributes.at;
    for (int64_t i = 0; i < run->attributes.count; i++) {
        nl_free(a[i].name);
        nl_free(a[i].text);
    }
    nl_track *c = run->tracks.at;
    for (int64_t i = 0; i < run->tracks.count; i++) {
        nl_free(c[i].name);
        nl_free(c[i].at);
    }
    free_names(&run->places);
    free_names(&run->recurrent);
    nl_free(run->attributes.at);
    nl_free(run->tracks.at);
    nl_free(run->slot);
    nl_free(run->path);
    nl_free(run);
}

const char *nl_rundata_path(const nl_rundata *run) { return run->path; }

static attribute *find_attribute(const nl_rundata *run, const char *name)
{
    attribute *a = run->attributes.at;
    for (int64_t i = 0; i < run->attributes.count; i++)
        if (strcmp(a[i].name, name) == 0)
            return &a[i];
    return NULL;
}

nl_status nl_rundata_set_text(nl_rundata *run, const char *name, const char *text)
{
    attribute *a = find_attribute(run, name);
    if (!a) {
        if (!(a = list_append(&run->attributes, sizeof *a)))
            return nl_fail(NL_ENOMEM, "attribute %s", name);
        if (!(a->name = nl_strdup(name))) {
            run->attributes.count--;
            return nl_fail(NL_ENOMEM, "attribute %s", name);
        }
    }
    nl_free(a->text);
    a->text = nl_strdup(text);
    return a->text ? NL_OK : nl_fail(NL_ENOMEM, "attribute %s", name);
}

nl_status nl_rundata_set_number(nl_rundata *run, const char *name, double value)
{
    char buf[NL_REAL_CHARS];
    return nl_rundata_set_text(run, name, nl_print_real(buf, value));
}

const char *nl_rundata_text(const nl_rundata *run, const char *name, const char *fallback)
{
    const attribute *a = find_attribute(run, name);
    return a && a->text ? a->text : fallback;
}

double nl_rundata_number(const nl_rundata *run, const char *name, double fallback)
{
    double value;
    return nl_read_real(nl_rundata_text(run, name, ""), &value) ? value : fallback;
}

int64_t nl_rundata_attributes(const nl_rundata *run) { return run->attributes.count; }

const char *nl_rundata_attribute_name(const nl_rundata *run, int64_t i)
{
    return ((const attribute *)run->attributes.at)[i].name;
}

/* Names as people count: h2 before h10, the layer `out` after all others. */
static int compare_places(const void *left, const void *right)
{
    const char *a = *(const char *const *)left, *b = *(const char *const *)right;
    const bool a_out = strncmp(a, "out/", 4) == 0, b_out = strncmp(b, "out/", 4) == 0;
    if (a_out != b_out)
        return a_out - b_out;
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            char *a_end, *b_end;
            const unsigned long long x = strtoull(a, &a_end, 10), y = strtoull(b, &b_end, 10);
            if (x != y)
                return x < y ? -1 : 1;
            a = a_end;
            b = b_end;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return (*a != 0) - (*b != 0);
}

/* Takes the middle of "/layers/MIDDLE/tail" into a list, in order. */
static nl_status note(nl_rundata *run, list *to, const char *name, const char *tail)
{
    static const char head[] = "/layers/";
    const size_t whole = strlen(name), ends = strlen(head) + strlen(tail);
    if (whole <= ends || strncmp(name, head, strlen(head)) != 0 ||
        strcmp(name + whole - strlen(tail), tail) != 0)
        return NL_OK;
    char *middle = nl_strdup(name + strlen(head));
    char **slot = middle ? list_append(to, sizeof *slot) : NULL;
    if (!slot) {
        nl_free(middle);
        return nl_fail(NL_ENOMEM, "run %s: %s", run->path, name);
    }
    middle[whole - ends] = 0;
    *slot = middle;
    qsort(to->at, (size_t)to->count, sizeof *slot, compare_places);
    return NL_OK;
}

static const char *noted(const list *l, int64_t i)
{
    return i >= 0 && i < l->count ? ((char **)l->at)[i] : NULL;
}

const char *nl_rundata_place(const nl_rundata *run, int64_t i) { return noted(&run->places, i); }

const char *nl_rundata_recurrent(const nl_rundata *run, int64_t i)
{
    return noted(&run->recurrent, i);
}

/* Where the track of this name is noted, or would be. */
static int64_t *slot_of(const nl_rundata *run, const char *name)
{
    const nl_track *c = run->tracks.at;
    int64_t i = (int64_t)(nl_hash_text(name) & (uint64_t)(run->slots - 1));
    while (run->slot[i] && strcmp(c[run->slot[i] - 1].name, name) != 0)
        i = (i + 1) & (run->slots - 1);
    return &run->slot[i];
}

static nl_status make_slots(nl_rundata *run)
{
    enum { LEAST = 64 };
    const nl_track *c = run->tracks.at;
    const int64_t slots = run->slots ? 2 * run->slots : LEAST;
    int64_t *slot = nl_alloc((size_t)slots, sizeof *slot);
    if (!slot)
        return nl_fail(NL_ENOMEM, "run %s: %lld tracks", run->path, (long long)run->tracks.count);
    nl_free(run->slot);
    run->slot = slot;
    run->slots = slots;
    for (int64_t i = 0; i < run->tracks.count; i++)
        *slot_of(run, c[i].name) = i + 1;
    return NL_OK;
}

nl_status nl_rundata_add(nl_rundata *run, const char *name, int64_t rows, int64_t width,
                         nl_track **out)
{
    *out = NULL;
    if (2 * (run->tracks.count + 1) > run->slots)
        NL_TRY(make_slots(run));
    nl_track c = {.name = nl_strdup(name), .rows = rows, .width = width};
    c.at = nl_alloc((size_t)(rows * width), sizeof *c.at);
    nl_track *kept = c.name && c.at ? list_append(&run->tracks, sizeof *kept) : NULL;
    if (!kept) {
        nl_free(c.name);
        nl_free(c.at);
        return nl_fail(NL_ENOMEM, "run %s: %s", run->path, name);
    }
    *kept = c;
    *slot_of(run, name) = run->tracks.count;
    NL_TRY(note(run, &run->places, name, "/post/mean"));
    NL_TRY(note(run, &run->recurrent, name, "/gradient_norm"));
    *out = kept;
    return NL_OK;
}

const nl_track *nl_rundata_track(const nl_rundata *run, const char *fmt, ...)
{
    char name[NAME_CHARS];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const int64_t at = run->slots ? *slot_of(run, name) : 0;
    const nl_track *c = at ? (const nl_track *)run->tracks.at + at - 1 : NULL;
    return c && c->rows > 0 && c->width > 0 ? c : NULL;
}

int64_t nl_rundata_tracks(const nl_rundata *run) { return run->tracks.count; }

const nl_track *nl_rundata_track_at(const nl_rundata *run, int64_t i)
{
    return &((const nl_track *)run->tracks.at)[i];
}

double nl_track_last(const nl_track *c, int64_t *row)
{
    for (int64_t i = c ? c->rows - 1 : -1; i >= 0; i--)
        if (isfinite(c->at[i])) {
            *row = i;
            return c->at[i];
        }
    *row = -1;
    return NAN;
}

/* ---- From a file */

/* Root attributes that are asked for or shown as provenance; a run has those that it has. */
static const char *const attribute_names[] = {"spec",
                                              "norm",
                                              "model",
                                              "data",
                                              "optimizer",
                                              "seed",
                                              "outcome",
                                              "target",
                                              "synthetic",
                                              "steps",
                                              "total_steps",
                                              "hash",
                                              "cite",
                                              "data_checksum",
                                              "train_examples",
                                              "val_examples",
                                              "test_examples",
                                              "schema_version",
                                              "normlab_version",
                                              "numerics_version",
                                              "precision",
                                              "threads",
                                              "cpu",
                                              "cpu_variant",
                                              "compiler",
                                              "system",
                                              "wall_seconds",
                                              "cpu_seconds"};

static nl_status read_attributes(nl_rundata *run, nl_run *file)
{
    nl_status st = NL_OK;
    nl_text value = {0};
    for (size_t i = 0; i < sizeof attribute_names / sizeof *attribute_names; i++) {
        nl_text_clear(&value);
        if (nl_run_text(file, "/", attribute_names[i], &value))
            NL_GO(nl_rundata_set_text(run, attribute_names[i], nl_text_of(&value)));
    }
    NL_GO(nl_text_status(&value));
done:
    nl_text_free(&value);
    return st;
}

/* Of a data set, its last rows, at most `most`. */
static nl_status read_track(nl_rundata *run, nl_run *file, const char *name, int64_t most)
{
    nl_track *track;
    nl_array a = {0};
    NL_TRY(nl_run_read_last(file, name, most, &a));
    const int64_t rows = a.rank > 0 ? a.dim[0] : 1, width = rows > 0 ? a.count / rows : 1;
    nl_status st = nl_rundata_add(run, name, rows, width, &track);
    if (st == NL_OK && a.count)
        memcpy(track->at, a.at, (size_t)a.count * sizeof *a.at);
    nl_array_free(&a);
    return st;
}

/* Every data set below a group, `deep` levels of groups down. */
static nl_status read_below(nl_rundata *run, nl_run *file, const char *group, int deep,
                            int64_t most)
{
    nl_status st = NL_OK;
    nl_names data = {0}, groups = {0};
    char name[NAME_CHARS];
    if (nl_run_look(file, group) != NL_RUN_GROUP)
        return NL_OK;
    NL_GO(nl_run_list(file, group, NL_RUN_DATA, &data));
    for (int i = 0; i < data.count; i++) {
        snprintf(name, sizeof name, "%s/%s", group, data.at[i]);
        NL_GO(read_track(run, file, name, most));
    }
    if (deep > 0)
        NL_GO(nl_run_list(file, group, NL_RUN_GROUP, &groups));
    for (int i = 0; i < groups.count; i++) {
        snprintf(name, sizeof name, "%s/%s", group, groups.at[i]);
        NL_GO(read_below(run, file, name, deep - 1, most));
    }
done:
    nl_names_free(&data);
    nl_names_free(&groups);
    return st;
}

const char *nl_rundata_file(const char *path, char *buf, size_t room)
{
    static const char *const names[] = {"run.h5", "run.h5.part"};
    struct stat is;
    if (stat(path, &is) != 0 || !S_ISDIR(is.st_mode))
        return path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(buf, room, "%s/%s", path, names[i]);
        if (stat(buf, &is) == 0)
            return buf;
    }
    snprintf(buf, room, "%s/%s", path, names[0]);
    return buf;
}

static nl_status open_parts(nl_rundata **out, const char *path, bool with_layers, int64_t most)
{
    /* layers are LAYER/SLOT/pre/mean: three levels of groups */
    static const struct {
        const char *group;
        int deep;
    } parts[] = {{"/steps", 0},      {"/epochs", 0},    {"/evals", 0},
                 {"/layers", 3},     {"/gradients", 3}, {"/histograms", 3},
                 {"/params", 2},     {"/norms", 2},     {"/gradient_histograms", 3},
                 {"/population", 2}, {"/cosine", 1},    {"/probes", 4}};
    nl_status st = NL_OK;
    nl_rundata *run = NULL;
    nl_run *file = NULL;
    char buf[4096];

    *out = NULL;
    NL_GO(nl_run_open(&file, nl_rundata_file(path, buf, sizeof buf)));
    NL_GO(nl_rundata_new(&run, path));
    NL_GO(read_attributes(run, file));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (with_layers || parts[i].deep == 0)
            NL_GO(read_below(run, file, parts[i].group, parts[i].deep, most));
    *out = run;
    run = NULL;
done:
    nl_run_close(file);
    nl_rundata_close(run);
    return st;
}

nl_status nl_rundata_open(nl_rundata **out, const char *path)
{
    NL_TRY(open_parts(out, path, true, INT64_MAX));
    return NL_OK;
}

nl_status nl_rundata_open_curves(nl_rundata **out, const char *path)
{
    NL_TRY(open_parts(out, path, false, INT64_MAX));
    return NL_OK;
}

nl_status nl_rundata_open_ends(nl_rundata **out, const char *path, int64_t rows)
{
    NL_TRY(open_parts(out, path, false, rows));
    return NL_OK;
}
