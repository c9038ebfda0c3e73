#include "analysis/frames.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "analysis/escape.h"
#include "analysis/rundata.h"
#include "analysis/sheet.h"
#include "base/alloc.h"
#include "io/runread.h"

enum { DEPTH_MAX = 8 };

/* ---- Columns */

static void add_title(nl_frame *f, const char *title)
{
    nl_text_add_bytes(&f->titles, title, strlen(title) + 1);
}

static nl_status add_columns(nl_frame *f, int64_t more)
{
    double *at = nl_alloc((size_t)(f->rows * (f->columns + more)) + 1, sizeof *at);
    double *edge = nl_alloc((size_t)(f->columns + more), sizeof *edge);
    if (!at || !edge) {
        nl_free(at);
        nl_free(edge);
        return nl_fail(NL_ENOMEM, "export: %s", f->name);
    }
    for (int64_t k = 0; k < f->columns + more; k++)
        edge[k] = k < f->columns ? f->edge[k] : NAN;
    nl_free(f->edge);
    f->edge = edge;
    for (int64_t row = 0; f->columns && row < f->rows; row++)
        memcpy(at + row * (f->columns + more), f->at + row * f->columns,
               (size_t)f->columns * sizeof *at);
    nl_free(f->at);
    f->at = at;
    f->columns += more;
    return NL_OK;
}

/* Rows that a channel does not have yet, as in the file of a running run, are NaN. */
static void fill(nl_frame *f, int64_t first, const nl_array *a, int64_t width)
{
    for (int64_t row = 0; row < f->rows; row++)
        for (int64_t k = 0; k < width; k++)
            f->at[row * f->columns + first + k] =
                (row + 1) * width <= a->count ? a->at[row * width + k] : NAN;
}

/* The labels of dimension 1 of a channel of rank 2, where they are more than 0, 1, 2, ... */
static nl_status read_labels(nl_run *file, const char *channel, const nl_array *a, nl_array *labels,
                             bool *are_bins)
{
    nl_text scale = {0};
    nl_status st = NL_OK;
    *labels = (nl_array){0};
    *are_bins = false;
    if (a->rank == 2 && nl_run_scale_of(file, channel, 1, &scale) == NL_OK && scale.used &&
        strncmp(nl_text_of(&scale), "/index_", 7) != 0) {
        const char *name = strrchr(nl_text_of(&scale), '/');
        *are_bins = name && strcmp(name, "/bin") == 0;
        st = nl_run_read(file, nl_text_of(&scale), labels);
    }
    nl_text_free(&scale);
    return st;
}

/* "[50]" by label, "[3,0]" by number. */
static void title_column(nl_frame *f, const char *name, const nl_array *a, const nl_array *labels,
                         int64_t k)
{
    nl_text title = {0};
    char buf[NL_REAL_CHARS];
    nl_text_add(&title, "%s[", name);
    if (k < labels->count)
        nl_text_add(&title, "%s", nl_print_real(buf, labels->at[k]));
    for (int64_t d = 1, below = a->count / a->dim[0]; d < a->rank && !labels->count; d++) {
        below /= a->dim[d];
        nl_text_add(&title, "%s%lld", d > 1 ? "," : "", (long long)(k / below % a->dim[d]));
    }
    nl_text_add(&title, "]");
    add_title(f, nl_text_of(&title));
    nl_text_free(&title);
}

/* What is in the timeline's own folder goes by its name alone. */
static const char *name_of(const nl_frame *f, const char *channel)
{
    const size_t n = strlen(f->name);
    const char *name = channel + 1;
    return strncmp(name, f->name, n) == 0 && name[n] == '/' ? name + n + 1 : name;
}

static nl_status add_channel(nl_frames *all, nl_frame *f, nl_run *file, const char *channel)
{
    nl_array a = {0}, labels = {0};
    nl_status st = NL_OK;
    bool are_bins;
    const int64_t first = f->columns;
    NL_GO(nl_run_read(file, channel, &a));
    NL_GO(read_labels(file, channel, &a, &labels, &are_bins));
    const int64_t width = a.rank > 1 && a.dim[0] > 0 ? a.count / a.dim[0] : 1;
    if ((width > NL_FRAME_WIDTH_MAX && !labels.count) || width < 1) {
        all->left_out++;
        goto done;
    }
    NL_GO(add_columns(f, width));
    fill(f, first, &a, width);
    if (a.rank < 2)
        add_title(f, name_of(f, channel));
    for (int64_t k = 0; a.rank > 1 && k < width; k++)
        title_column(f, name_of(f, channel), &a, &labels, k);
    for (int64_t k = 0; are_bins && k < width; k++)
        f->edge[first + k] = labels.at[k];
done:
    nl_array_free(&a);
    nl_array_free(&labels);
    return st;
}

/* ---- Walking the file */

/* The frame "layers" of the timeline "/layers/step". */
static nl_frame *frame_of(nl_frames *all, const char *timeline)
{
    for (int64_t i = 0; i < all->count; i++) {
        const size_t n = strlen(all->at[i].name);
        if (strncmp(timeline + 1, all->at[i].name, n) == 0 && timeline[n + 1] == '/')
            return &all->at[i];
    }
    return NULL;
}

/* "/layers/step" makes the frame "layers" with its first column "step". */
static nl_status open_frame(nl_frames *all, nl_run *file, const char *index)
{
    nl_array a = {0};
    const char *leaf = strrchr(index, '/');
    nl_frame *f = &all->at[all->count++];
    snprintf(f->name, sizeof f->name, "%.*s", (int)(leaf - index - 1), index + 1);
    NL_TRY(nl_run_read(file, index, &a));
    f->rows = a.count;
    nl_status st = add_columns(f, 1);
    if (st == NL_OK) {
        fill(f, 0, &a, 1);
        add_title(f, leaf + 1);
    }
    nl_array_free(&a);
    return st;
}

/* A channel names its timeline; indices and labels do not. */
static nl_status take(nl_frames *all, nl_run *file, const char *path)
{
    nl_text timeline = {0};
    nl_status st = NL_OK;
    if (nl_run_text(file, path, "timeline", &timeline)) {
        nl_frame *f = frame_of(all, nl_text_of(&timeline));
        if (f)
            st = add_channel(all, f, file, path);
    }
    nl_text_free(&timeline);
    return st;
}

static void join(nl_text *path, const char *group, const char *name)
{
    nl_text_clear(path);
    nl_text_add(path, "%s/%s", strcmp(group, "/") ? group : "", name);
}

static nl_status walk(nl_frames *all, nl_run *file, const char *group, int deep)
{
    nl_names data = {0}, groups = {0};
    nl_text path = {0};
    nl_status st = NL_OK;
    NL_GO(nl_run_list(file, group, NL_RUN_DATA, &data));
    for (int i = 0; i < data.count; i++) {
        join(&path, group, data.at[i]);
        NL_GO(take(all, file, nl_text_of(&path)));
    }
    if (deep > 0)
        NL_GO(nl_run_list(file, group, NL_RUN_GROUP, &groups));
    for (int i = 0; i < groups.count; i++) {
        join(&path, group, groups.at[i]);
        NL_GO(walk(all, file, nl_text_of(&path), deep - 1));
    }
    NL_GO(nl_text_status(&path));
done:
    nl_text_free(&path);
    nl_names_free(&data);
    nl_names_free(&groups);
    return st;
}

static nl_status read_attributes(nl_frames *out, const char *path)
{
    nl_rundata *run;
    NL_TRY(nl_rundata_open_curves(&run, path));
    for (int64_t i = 0; i < nl_rundata_attributes(run); i++) {
        const char *name = nl_rundata_attribute_name(run, i);
        const char *value = nl_rundata_text(run, name, "");
        nl_text_add_bytes(&out->attributes, name, strlen(name) + 1);
        nl_text_add_bytes(&out->attributes, value, strlen(value) + 1);
    }
    out->wall_seconds = nl_rundata_number(run, "wall_seconds", NAN);
    nl_rundata_close(run);
    return nl_text_status(&out->attributes);
}

nl_status nl_frames_read(nl_frames *out, const char *path)
{
    nl_status st = NL_OK;
    nl_run *file = NULL;
    nl_names timelines = {0};
    char buf[4096];
    *out = (nl_frames){0};
    NL_GO(nl_run_open(&file, nl_rundata_file(path, buf, sizeof buf)));
    NL_GO(nl_run_read_labels(file, "/timeline", &timelines));
    out->at = nl_alloc((size_t)timelines.count + 1, sizeof *out->at);
    if (!out->at)
        NL_BAIL(NL_ENOMEM, "export: %s", path);
    for (int i = 0; i < timelines.count; i++)
        NL_GO(open_frame(out, file, timelines.at[i]));
    NL_GO(walk(out, file, "/", DEPTH_MAX));
    NL_GO(read_attributes(out, path));
    for (int64_t i = 0; i < out->count; i++)
        NL_GO(nl_text_status(&out->at[i].titles));
done:
    nl_names_free(&timelines);
    nl_run_close(file);
    if (st != NL_OK)
        nl_frames_free(out);
    return st;
}

void nl_frames_free(nl_frames *f)
{
    for (int64_t i = 0; i < f->count; i++) {
        nl_text_free(&f->at[i].titles);
        nl_free(f->at[i].at);
        nl_free(f->at[i].edge);
    }
    nl_free(f->at);
    nl_text_free(&f->attributes);
    *f = (nl_frames){0};
}

/* ---- CSV and JSON */

static void fill_sheet(const nl_frame *f, nl_sheet *s)
{
    const char *title = nl_text_of(&f->titles);
    for (int64_t k = 0; k < f->columns; k++, title += strlen(title) + 1)
        nl_sheet_text(s, title);
    nl_sheet_end(s);
    for (int64_t i = 0; i < f->rows * f->columns; i++)
        nl_sheet_real(s, f->at[i]);
}

void nl_frame_csv(const nl_frame *f, nl_text *out)
{
    nl_sheet s = {0};
    fill_sheet(f, &s);
    nl_sheet_csv(&s, out);
    nl_sheet_free(&s);
}

void nl_frames_json(const nl_frames *f, nl_text *out)
{
    const char *at = nl_text_of(&f->attributes), *end = at + f->attributes.used;
    nl_text_add(out, "{\"attributes\": {");
    for (const char *gap = ""; at < end; gap = ", ") {
        nl_text_add(out, "%s", gap);
        nl_escape_json(out, at);
        nl_text_add(out, ": ");
        at += strlen(at) + 1;
        nl_escape_json(out, at);
        at += strlen(at) + 1;
    }
    nl_text_add(out, "}");
    for (int64_t i = 0; i < f->count; i++) {
        nl_sheet s = {0};
        nl_text_add(out, ",\n");
        nl_escape_json(out, f->at[i].name);
        nl_text_add(out, ": ");
        fill_sheet(&f->at[i], &s);
        nl_sheet_json(&s, out);
        nl_sheet_free(&s);
    }
    nl_text_add(out, "}\n");
}
