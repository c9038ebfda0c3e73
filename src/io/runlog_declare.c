/* runlog_declare.c: what a run file will hold: timelines, labels, channels, initial parameters. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "io/h5.h"
#include "io/runlog_inner.h"

enum { DEFLATE = 1 }; /* level; 4 takes twice the time for a few per cent */

/* ---- data sets */

static herr_t set_fill(hid_t creation, nl_vartype type)
{
    const double absent = NAN;
    const int64_t none = -1;
    if (type == NL_TYPE_INT64)
        return H5Pset_fill_value(creation, H5T_NATIVE_INT64, &none);
    return H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &absent);
}

/* Measured numbers are noise but for their first bits: packing takes longer than it saves. */
static herr_t set_filters(hid_t creation, nl_vartype type)
{
    if (type != NL_TYPE_INT64)
        return 0;
    return H5Pset_shuffle(creation) < 0 ? -1 : H5Pset_deflate(creation, DEFLATE);
}

void nl_log_close_folder(nl_log *log)
{
    if (log->folder >= 0)
        H5Gclose(log->folder);
    log->folder = -1;
}

/* Stays open: the next data set is mostly created there, too. */
static hid_t open_folder(nl_log *log, const char *path)
{
    const size_t n = (size_t)(strrchr(path, '/') - path);
    if (log->folder >= 0 && !strncmp(log->folder_path, path, n) && !log->folder_path[n])
        return log->folder;
    nl_log_close_folder(log);
    if (nl_h5_make_groups(log->file, path) < 0)
        return -1;
    snprintf(log->folder_path, sizeof log->folder_path, "%.*s", (int)n, path);
    log->folder = H5Gopen2(log->file, n ? log->folder_path : "/", H5P_DEFAULT);
    return log->folder;
}

static hid_t create(nl_log *log, const char *path, hid_t type, hid_t space, hid_t creation)
{
    const hid_t folder = open_folder(log, path);
    if (folder < 0)
        return -1;
    return H5Dcreate2(folder, strrchr(path, '/') + 1, type, space, H5P_DEFAULT, creation,
                      H5P_DEFAULT);
}

static hid_t create_extensible(nl_log *log, const channel *c, int64_t rows)
{
    hsize_t most[1 + NL_LOG_DIMS_MAX], chunk[1 + NL_LOG_DIMS_MAX];
    memcpy(most, c->dim, sizeof most);
    memcpy(chunk, c->dim, sizeof chunk);
    most[0] = H5S_UNLIMITED;
    chunk[0] = (hsize_t)rows;
    const hid_t space = H5Screate_simple(c->rank, c->dim, most);
    const hid_t creation = nl_h5_creation(H5P_DATASET_CREATE);
    if (c->is_index) /* keeps a list of all it indexes: outside of the header, which rows rewrite */
        H5Pset_attr_phase_change(creation, 0, 0);
    hid_t set = -1;
    if (H5Pset_chunk(creation, c->rank, chunk) >= 0 && set_filters(creation, c->type) >= 0 &&
        set_fill(creation, c->type) >= 0)
        set = create(log, c->path, nl_h5_file_type(c->type), space, creation);
    H5Pclose(creation);
    H5Sclose(space);
    return set;
}

hid_t nl_log_create_fixed(nl_log *log, const char *path, hid_t file_type, int rank,
                          const hsize_t *dim)
{
    const hid_t space = H5Screate_simple(rank, dim, NULL);
    const hid_t creation = nl_h5_creation(H5P_DATASET_CREATE);
    const hid_t set = create(log, path, file_type, space, creation);
    H5Pclose(creation);
    H5Sclose(space);
    return set;
}

herr_t nl_log_describe(hid_t set, const char *unit, const char *doc)
{
    if (unit && nl_h5_set_text(set, "units", unit) < 0)
        return -1;
    return doc && nl_h5_set_text(set, "long_name", doc) < 0 ? -1 : 0;
}

static nl_status write_labels(nl_log *log, const char *path, hid_t file_type, hid_t memory_type,
                              const void *values, int64_t count)
{
    NL_TRY(nl_log_check_declaring(log, path));
    if (nl_h5_exists(log->file, path))
        return log->resumed ? NL_OK : nl_fail(NL_ENAME, "%s: %s declared twice", log->part, path);
    const hsize_t dim = (hsize_t)count;
    const hid_t set = nl_log_create_fixed(log, path, file_type, 1, &dim);
    if (set < 0 || H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        return nl_log_lost(log, "labels cannot be written");
    NL_TRY(nl_log_make_scale(log, set, path));
    return H5Dclose(set) < 0 ? nl_log_lost(log, "labels cannot be written") : NL_OK;
}

nl_status nl_log_labels(nl_log *log, const char *path, const double *values, int64_t count)
{
    return write_labels(log, path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values, count);
}

nl_status nl_log_text_labels(nl_log *log, const char *path, const char *const *values,
                             int64_t count)
{
    const hid_t type = nl_h5_text_type();
    nl_status st = write_labels(log, path, type, type, values, count);
    H5Tclose(type);
    return st;
}

/* Labels 0, 1, 2, ... shared by every dimension of this size. */
static nl_status number_labels(nl_log *log, int64_t count, int *is)
{
    char path[64];
    snprintf(path, sizeof path, "/index_%lld", (long long)count);
    *is = nl_log_find_scale(log, path);
    if (*is >= 0)
        return NL_OK;
    *is = log->scales;
    int64_t *values = nl_alloc((size_t)count, sizeof *values);
    if (!values)
        return nl_log_no_memory(log);
    for (int64_t i = 0; i < count; i++)
        values[i] = i;
    nl_status st = write_labels(log, path, H5T_STD_I64LE, H5T_NATIVE_INT64, values, count);
    nl_free(values);
    return st;
}

/* ---- channels */

const char *nl_log_index_path(const nl_log *log, int line)
{
    return log->channel[log->line[line].index[0]].path;
}

static nl_status find_labels(nl_log *log, const nl_channel *decl, int d, int *is)
{
    if (!decl->scale[d])
        return number_labels(log, decl->dim[d], is);
    *is = nl_log_find_scale(log, decl->scale[d]);
    if (*is < 0)
        return nl_fail(NL_ENAME, "%s: %s wants the labels %s, which are not declared", log->part,
                       decl->path, decl->scale[d]);
    return NL_OK;
}

/* index: the one that names the rows. */
static nl_status attach_scales(nl_log *log, hid_t set, const nl_channel *decl, const char *index)
{
    int scales[1 + NL_LOG_DIMS_MAX] = {nl_log_find_scale(log, index)};
    for (int d = 0; d < decl->rank; d++)
        NL_TRY(find_labels(log, decl, d, &scales[1 + d]));
    return nl_log_attach(log, set, scales, 1 + decl->rank);
}

/* index: NULL for an index itself. */
static nl_status create_channel(nl_log *log, channel *c, const nl_channel *decl, const char *index)
{
    c->set = create_extensible(log, c, log->line[c->timeline].room);
    if (c->set < 0 || nl_log_describe(c->set, decl->unit, decl->doc) < 0 ||
        nl_h5_set_text(c->set, "timeline", nl_log_index_path(log, c->timeline)) < 0 ||
        (decl->is_volatile && nl_h5_set_int(c->set, "volatile", 1) < 0))
        return nl_log_lost(log, "a channel cannot be created");
    return c->is_index ? nl_log_make_scale(log, c->set, c->path)
                       : attach_scales(log, c->set, decl, index);
}

static bool has_type(hid_t set, hid_t wanted)
{
    const hid_t type = H5Dget_type(set);
    const bool same = H5Tequal(type, wanted) > 0;
    H5Tclose(type);
    return same;
}

static nl_status take_up_channel(nl_log *log, channel *c)
{
    if (!nl_h5_exists(log->file, c->path))
        return nl_fail(NL_ESTATE, "%s: has no channel %s; a run goes on with those it began with",
                       log->part, c->path);
    c->set = H5Dopen2(log->file, c->path, H5P_DEFAULT);
    if (c->set < 0)
        return nl_log_lost(log, "a channel cannot be opened");
    hsize_t dim[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(c->set);
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    H5Sclose(space);
    c->dim[0] = rank > 0 ? dim[0] : 0;
    if (rank == c->rank && !memcmp(dim, c->dim, (size_t)rank * sizeof *dim) &&
        has_type(c->set, nl_h5_file_type(c->type)))
        return NL_OK;
    char has[100], wants[100];
    return nl_fail(NL_ESTATE, "%s: %s is %s or of another type, this run wants %s", log->part,
                   c->path, nl_h5_shape(dim, rank, has, sizeof has),
                   nl_h5_shape(c->dim, c->rank, wants, sizeof wants));
}

static int find_channel(const nl_log *log, const char *path)
{
    for (int i = 0; i < log->channels; i++)
        if (!strcmp(log->channel[i].path, path))
            return i;
    return -1;
}

static nl_status check_new(const nl_log *log, const nl_channel *decl)
{
    if (find_channel(log, decl->path) >= 0)
        return nl_fail(NL_ENAME, "%s: %s declared twice", log->part, decl->path);
    if (decl->rank > NL_LOG_DIMS_MAX)
        return nl_fail(NL_ESHAPE, "%s: %s has rank %d, at most %d", log->part, decl->path,
                       decl->rank, NL_LOG_DIMS_MAX);
    for (int d = 0; d < decl->rank; d++)
        if (decl->dim[d] < 1)
            return nl_fail(NL_ESHAPE, "%s: %s has an extent of %lld", log->part, decl->path,
                           (long long)decl->dim[d]);
    return NL_OK;
}

static void size_channel(channel *c, const nl_channel *decl)
{
    c->timeline = decl->timeline;
    c->type = decl->type;
    c->rank = 1 + decl->rank;
    c->values = 1;
    for (int d = 0; d < decl->rank; d++) {
        c->dim[1 + d] = (hsize_t)decl->dim[d];
        c->values *= decl->dim[d];
    }
    c->row_bytes = (size_t)c->values * nl_type_bytes(c->type);
}

static nl_status add_channel(nl_log *log, const nl_channel *decl, const char *index, int *id)
{
    NL_TRY(check_new(log, decl));
    NL_TRY(nl_log_make_room(log, (void **)&log->channel, log->channels, &log->channel_room,
                            sizeof *log->channel));
    channel *c = &log->channel[log->channels];
    memset(c, 0, sizeof *c);
    size_channel(c, decl);
    c->is_index = !index;
    c->path = nl_strdup(decl->path);
    if (!c->path)
        return nl_log_no_memory(log);
    *id = log->channels++; /* counted in any case: the log owns its path */
    return log->resumed ? take_up_channel(log, c) : create_channel(log, c, decl, index);
}

static nl_status add_index(nl_log *log, int line, const char *path, const char *unit)
{
    timeline *t = &log->line[line];
    if (t->indices == NL_LOG_INDICES_MAX)
        return nl_fail(NL_ESTATE, "%s: timeline %s has channels in more than %d folders", log->part,
                       nl_log_index_path(log, line), NL_LOG_INDICES_MAX);
    const nl_channel decl = {.path = path, .timeline = line, .type = NL_TYPE_INT64, .unit = unit};
    t->index[t->indices++] = log->channels;
    int id;
    return add_channel(log, &decl, NULL, &id);
}

/* Readers of netCDF look for the scale of a dimension in the groups above the data set only. So a
 * channel outside of its timeline's folder gets a copy of the index in its own: /norms/step. */
static nl_status choose_index(nl_log *log, const nl_channel *decl, char *path, size_t room)
{
    const char *own = nl_log_index_path(log, decl->timeline);
    const size_t folder = (size_t)(strrchr(own, '/') - own) + 1;
    snprintf(path, room, "%s", own);
    if (!strncmp(decl->path, own, folder))
        return NL_OK;
    const int top = (int)strcspn(decl->path + 1, "/") + 1;
    snprintf(path, room, "%.*s/%s", top, decl->path, log->line[decl->timeline].index_name);
    const int is = find_channel(log, path);
    if (is < 0)
        return add_index(log, decl->timeline, path, NULL);
    if (log->channel[is].is_index && log->channel[is].timeline == decl->timeline)
        return NL_OK;
    return nl_fail(NL_ENAME, "%s: %s cannot index %s", log->part, path, decl->path);
}

nl_status nl_log_channel(nl_log *log, const nl_channel *decl, int *id)
{
    char index[256];
    NL_TRY(nl_log_check_declaring(log, decl->path));
    NL_TRY(choose_index(log, decl, index, sizeof index));
    return add_channel(log, decl, index, id);
}

nl_status nl_log_timeline(nl_log *log, const char *path, const char *index, const char *unit,
                          int64_t rows, int *line)
{
    char name[256];
    NL_TRY(nl_log_check_declaring(log, path));
    NL_TRY(
        nl_log_make_room(log, (void **)&log->line, log->lines, &log->line_room, sizeof *log->line));
    timeline *t = &log->line[log->lines];
    *t = (timeline){.slot = log->lines, .room = rows};
    snprintf(t->index_name, sizeof t->index_name, "%s", index);
    snprintf(name, sizeof name, "%s/%s", path, index);
    *line = log->lines++;
    NL_TRY(add_index(log, *line, name, unit));
    t->on_file = (int64_t)log->channel[t->index[0]].dim[0];
    return NL_OK;
}

/* ---- what makes a run repeatable elsewhere */

nl_status nl_log_record_init(nl_log *log, nl_store *store)
{
    NL_TRY(nl_log_check_declaring(log, "/record/init"));
    for (int i = 0; i < nl_store_count(store); i++) {
        const nl_item *it = nl_store_at(store, i);
        char path[256];
        snprintf(path, sizeof path, "/record/init/%s/%s", it->owner, it->decl->name);
        if (it->decl->role != NL_PARAM || !it->count || nl_h5_exists(log->file, path))
            continue;
        hsize_t dim[NL_H5_RANK_MAX];
        const int rank = nl_h5_item_shape(it, dim);
        const hid_t set =
            nl_log_create_fixed(log, path, nl_h5_file_type(it->decl->type), rank, dim);
        if (set < 0 ||
            H5Dwrite(set, nl_h5_memory_type(it->decl->type), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                     it->val) < 0 ||
            H5Dclose(set) < 0)
            return nl_log_lost(log, "initial parameters cannot be written");
    }
    return NL_OK;
}

nl_status nl_log_record_order(nl_log *log, int line, int64_t batch, int *id)
{
    return nl_log_channel(log,
                          &(nl_channel){.path = "/record/order",
                                        .timeline = line,
                                        .type = NL_TYPE_INT64,
                                        .unit = "example",
                                        .doc = "examples of the step, -1: none",
                                        .rank = 1,
                                        .dim = {batch}},
                          id);
}
