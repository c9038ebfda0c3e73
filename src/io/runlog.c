#include "io/runlog.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/file.h"
#include "io/h5.h"
#include "io/recover.h"

enum {
    MANY_CHANNELS = 1000, /* the networks of deeper studies */
    INDICES_MAX = 8,      /* folders with channels of one timeline */
    DEFLATE = 1,          /* level; 4 takes twice the time for a few per cent */
    KERNEL_PAGE = 4096,   /* the least that any kernel copies at once */
    ATTRIBUTES_KEPT = 512 /* root attributes stay in the object header, where HDF5 finds them after
                             a kill without walking a heap */
};

/* One extensible data set. */
typedef struct channel {
    char *path;
    int timeline;
    bool is_index;
    nl_vartype type;
    int rank;                         /* of the data set: 1 + that of a row */
    hsize_t dim[1 + NL_LOG_DIMS_MAX]; /* dim[0]: rows on file */
    int64_t values;                   /* in a row */
    size_t row_bytes;
    char *rows; /* of the timeline's room, filled with NaN or -1 where nothing was put */
    hid_t set;
} channel;

typedef struct timeline {
    char index_name[32];
    int index[INDICES_MAX]; /* channels; the first is the timeline's own */
    int indices;
    int slot;        /* in /committed */
    int64_t room;    /* rows of a chunk */
    int64_t on_file; /* rows written */
    int64_t ended;   /* rows waiting in memory; the open row is the next one */
} timeline;

typedef struct note {
    char *name, *text;
    enum { TEXT, REAL, INT } kind;
    double real;
    int64_t whole;
} note;

struct nl_log {
    char *path, *part;
    hid_t file, committed;
    int lock; /* shared lock on the file: keeps others from writing to or recovering it */
    bool resumed, begun, dead;
    char why[512];
    channel *channel;
    int channels, channel_room;
    timeline *line;
    int lines, line_room;
    note *note; /* attributes given after begin */
    int notes, note_room;
    int64_t *counts; /* by slot, as in /committed */
};

/* ---- failures */

static nl_status lost(nl_log *log, const char *doing)
{
    nl_status st = nl_h5_fail(log->part, doing);
    snprintf(log->why, sizeof log->why, "%s", nl_last_error());
    log->dead = true;
    return st;
}

static nl_status check_alive(const nl_log *log)
{
    return log->dead ? nl_fail(NL_EIO, "%s", log->why) : NL_OK;
}

static nl_status check_declaring(const nl_log *log, const char *what)
{
    NL_TRY(check_alive(log));
    if (what[0] != '/' || strstr(what, "//") || what[strlen(what) - 1] == '/')
        return nl_fail(NL_ENAME, "%s: '%s' is not a path such as /steps/loss", log->part, what);
    if (log->begun)
        return nl_fail(NL_ESTATE, "%s: %s declared after begin", log->part, what);
    return NL_OK;
}

static nl_status no_memory(const nl_log *log)
{
    return nl_fail(NL_ENOMEM, "%s: no memory for its buffers", log->part);
}

/* Doubles an array of count elements when it is full. */
static nl_status make_room(const nl_log *log, void **array, int count, int *room, size_t size)
{
    if (count < *room)
        return NL_OK;
    const int more = *room ? 2 * *room : 16;
    void *wider = nl_alloc((size_t)more, size);
    if (!wider)
        return no_memory(log);
    if (count)
        memcpy(wider, *array, (size_t)count * size);
    nl_free(*array);
    *array = wider;
    *room = more;
    return NL_OK;
}

/* ---- opening and freeing */

static void free_log(nl_log *log)
{
    for (int i = 0; i < log->channels; i++) {
        nl_free(log->channel[i].path);
        nl_free(log->channel[i].rows);
    }
    for (int i = 0; i < log->notes; i++) {
        nl_free(log->note[i].name);
        nl_free(log->note[i].text);
    }
    if (log->lock >= 0)
        close(log->lock);
    nl_free(log->channel);
    nl_free(log->line);
    nl_free(log->note);
    nl_free(log->counts);
    nl_free(log->path);
    nl_free(log->part);
    nl_free(log);
}

static nl_status new_log(nl_log **out, const char *path)
{
    nl_h5_start();
    nl_text part = {0};
    nl_text_add(&part, "%s.part", path);
    nl_log *log = nl_alloc(1, sizeof *log);
    if (log) {
        log->file = log->committed = -1;
        log->lock = -1;
        log->path = nl_strdup(path);
        log->part = nl_strdup(nl_text_of(&part));
    }
    const bool whole = log && log->path && log->part && !part.failed;
    nl_text_free(&part);
    if (!whole) {
        if (log)
            free_log(log);
        return nl_fail(NL_ENOMEM, "%s: no memory for the run file", path);
    }
    *out = log;
    return NL_OK;
}

/* HDF5 takes the lock itself; asked here first, the answer is a plainer one. */
static nl_status check_at_rest(const char *path)
{
    int fd;
    if (!nl_file_exists(path))
        return NL_OK;
    NL_TRY(nl_file_lock(path, &fd));
    close(fd);
    return NL_OK;
}

/* The kernel writes page by page and SIGKILL may stop it between two. Space is given out by pages,
 * so that nothing smaller than one lies across their border: it is written whole or not at all. */
static hid_t create_file(const char *path)
{
    const hid_t access = nl_h5_access(), creation = nl_h5_creation(H5P_FILE_CREATE);
    H5Pset_attr_phase_change(creation, ATTRIBUTES_KEPT, 0);
    H5Pset_file_space_strategy(creation, H5F_FSPACE_STRATEGY_PAGE, false, 1);
    H5Pset_file_space_page_size(creation, KERNEL_PAGE);
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return file;
}

static hid_t open_file(const char *path)
{
    const hid_t access = nl_h5_access();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, access);
    H5Pclose(access);
    return file;
}

nl_status nl_log_open(nl_log **out, const char *path)
{
    nl_log *log;
    NL_TRY(new_log(&log, path));
    nl_status st = check_at_rest(log->part);
    if (st == NL_OK) {
        log->file = create_file(log->part);
        if (log->file < 0)
            st = nl_h5_fail(log->part, "cannot be created");
    }
    if (st != NL_OK) {
        free_log(log);
        return st;
    }
    NL_GO(nl_log_set_text(log, "format", NL_RUN_FORMAT));
    NL_GO(nl_log_set_int(log, "schema_version", NL_RUN_SCHEMA));
    NL_GO(nl_log_set_text(log, "outcome", "running"));
    *out = log;
    return NL_OK;
done:
    nl_log_abandon(log);
    return st;
}

nl_status nl_log_resume(nl_log **out, const char *path, int64_t step, int64_t epoch)
{
    nl_log *log;
    NL_TRY(new_log(&log, path));
    nl_status st;
    log->resumed = true;
    const char *from = nl_file_exists(log->part) ? log->part : path;
    NL_GO(nl_recover_to(from, log->part, step, epoch));
    log->file = open_file(log->part);
    if (log->file < 0)
        st = nl_h5_fail(log->part, "cannot be opened for writing");
done:
    if (st != NL_OK) {
        free_log(log);
        return st;
    }
    *out = log;
    return NL_OK;
}

/* ---- data sets */

static herr_t set_fill(hid_t creation, nl_vartype type)
{
    const double absent = NAN;
    const int64_t none = -1;
    if (type == NL_TYPE_INT64)
        return H5Pset_fill_value(creation, H5T_NATIVE_INT64, &none);
    return H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &absent);
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
    if (H5Pset_chunk(creation, c->rank, chunk) >= 0 && H5Pset_shuffle(creation) >= 0 &&
        H5Pset_deflate(creation, DEFLATE) >= 0 && set_fill(creation, c->type) >= 0 &&
        nl_h5_make_groups(log->file, c->path) >= 0)
        set = H5Dcreate2(log->file, c->path, nl_h5_file_type(c->type), space, H5P_DEFAULT, creation,
                         H5P_DEFAULT);
    H5Pclose(creation);
    H5Sclose(space);
    return set;
}

/* A whole data set of fixed size, contiguous. */
static hid_t create_fixed(hid_t file, const char *path, hid_t file_type, int rank,
                          const hsize_t *dim)
{
    if (nl_h5_make_groups(file, path) < 0)
        return -1;
    const hid_t space = H5Screate_simple(rank, dim, NULL);
    const hid_t creation = nl_h5_creation(H5P_DATASET_CREATE);
    const hid_t set = H5Dcreate2(file, path, file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Pclose(creation);
    H5Sclose(space);
    return set;
}

/* netCDF and xarray call the dimension as the scale's own name. */
static herr_t make_scale(hid_t set, const char *path)
{
    return H5DSset_scale(set, strrchr(path, '/') + 1);
}

static herr_t describe(hid_t set, const char *unit, const char *doc)
{
    if (unit && nl_h5_set_text(set, "units", unit) < 0)
        return -1;
    return doc && nl_h5_set_text(set, "long_name", doc) < 0 ? -1 : 0;
}

static nl_status write_labels(nl_log *log, const char *path, hid_t file_type, hid_t memory_type,
                              const void *values, int64_t count)
{
    NL_TRY(check_declaring(log, path));
    if (nl_h5_exists(log->file, path))
        return log->resumed ? NL_OK : nl_fail(NL_ENAME, "%s: %s declared twice", log->part, path);
    const hsize_t dim = (hsize_t)count;
    const hid_t set = create_fixed(log->file, path, file_type, 1, &dim);
    if (set < 0 || H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0 ||
        make_scale(set, path) < 0 || H5Dclose(set) < 0)
        return lost(log, "labels cannot be written");
    return NL_OK;
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
static nl_status number_labels(nl_log *log, int64_t count, char *path, size_t room)
{
    snprintf(path, room, "/index_%lld", (long long)count);
    if (nl_h5_exists(log->file, path))
        return NL_OK;
    int64_t *values = nl_alloc((size_t)count, sizeof *values);
    if (!values)
        return no_memory(log);
    for (int64_t i = 0; i < count; i++)
        values[i] = i;
    nl_status st = write_labels(log, path, H5T_STD_I64LE, H5T_NATIVE_INT64, values, count);
    nl_free(values);
    return st;
}

static herr_t attach(hid_t file, hid_t set, const char *scale, int dim)
{
    const hid_t labels = H5Dopen2(file, scale, H5P_DEFAULT);
    if (labels < 0)
        return -1;
    const herr_t attached = H5DSattach_scale(set, labels, (unsigned)dim);
    const herr_t closed = H5Dclose(labels);
    return attached < 0 || closed < 0 ? -1 : 0;
}

/* ---- channels */

static const char *index_path(const nl_log *log, int line)
{
    return log->channel[log->line[line].index[0]].path;
}

static nl_status attach_labels(nl_log *log, const channel *c, const nl_channel *decl)
{
    for (int d = 0; d < decl->rank; d++) {
        char numbers[64];
        const char *scale = decl->scale[d];
        if (!scale) {
            NL_TRY(number_labels(log, decl->dim[d], numbers, sizeof numbers));
            scale = numbers;
        }
        if (!nl_h5_exists(log->file, scale))
            return nl_fail(NL_ENAME, "%s: %s wants the labels %s, which are not declared",
                           log->part, c->path, scale);
        if (attach(log->file, c->set, scale, d + 1) < 0)
            return lost(log, "labels cannot be attached");
    }
    return NL_OK;
}

/* scale: the index that names the rows; NULL for an index. */
static nl_status create_channel(nl_log *log, channel *c, const nl_channel *decl, const char *scale)
{
    c->set = create_extensible(log, c, log->line[c->timeline].room);
    if (c->set < 0 || describe(c->set, decl->unit, decl->doc) < 0 ||
        nl_h5_set_text(c->set, "timeline", index_path(log, c->timeline)) < 0 ||
        (decl->is_volatile && nl_h5_set_int(c->set, "volatile", 1) < 0))
        return lost(log, "a channel cannot be created");
    if (c->is_index)
        return make_scale(c->set, c->path) < 0 ? lost(log, "an index cannot be created") : NL_OK;
    if (attach(log->file, c->set, scale, 0) < 0)
        return lost(log, "an index cannot be attached");
    return attach_labels(log, c, decl);
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
        return nl_fail(NL_ESTATE, "%s: has no channel %s", log->part, c->path);
    c->set = H5Dopen2(log->file, c->path, H5P_DEFAULT);
    if (c->set < 0)
        return lost(log, "a channel cannot be opened");
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

static nl_status add_channel(nl_log *log, const nl_channel *decl, const char *scale, int *id)
{
    NL_TRY(check_new(log, decl));
    NL_TRY(make_room(log, (void **)&log->channel, log->channels, &log->channel_room,
                     sizeof *log->channel));
    channel *c = &log->channel[log->channels];
    memset(c, 0, sizeof *c);
    size_channel(c, decl);
    c->is_index = !scale;
    c->path = nl_strdup(decl->path);
    if (!c->path)
        return no_memory(log);
    *id = log->channels++; /* counted in any case: the log owns its path */
    return log->resumed ? take_up_channel(log, c) : create_channel(log, c, decl, scale);
}

static nl_status add_index(nl_log *log, int line, const char *path, const char *unit)
{
    timeline *t = &log->line[line];
    if (t->indices == INDICES_MAX)
        return nl_fail(NL_ESTATE, "%s: timeline %s has channels in more than %d folders", log->part,
                       index_path(log, line), INDICES_MAX);
    const nl_channel decl = {.path = path, .timeline = line, .type = NL_TYPE_INT64, .unit = unit};
    t->index[t->indices++] = log->channels;
    int id;
    return add_channel(log, &decl, NULL, &id);
}

/* Readers of netCDF look for the scale of a dimension in the groups above the data set only. So a
 * channel outside of its timeline's folder gets a copy of the index in its own: /norms/step. */
static nl_status choose_index(nl_log *log, const nl_channel *decl, char *path, size_t room)
{
    const char *own = index_path(log, decl->timeline);
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
    char scale[256];
    NL_TRY(check_declaring(log, decl->path));
    NL_TRY(choose_index(log, decl, scale, sizeof scale));
    return add_channel(log, decl, scale, id);
}

nl_status nl_log_timeline(nl_log *log, const char *path, const char *index, const char *unit,
                          int64_t rows, int *line)
{
    char name[256];
    NL_TRY(check_declaring(log, path));
    NL_TRY(make_room(log, (void **)&log->line, log->lines, &log->line_room, sizeof *log->line));
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
    NL_TRY(check_declaring(log, "/record/init"));
    for (int i = 0; i < nl_store_count(store); i++) {
        const nl_item *it = nl_store_at(store, i);
        char path[256];
        snprintf(path, sizeof path, "/record/init/%s/%s", it->owner, it->decl->name);
        if (it->decl->role != NL_PARAM || !it->count || nl_h5_exists(log->file, path))
            continue;
        hsize_t dim[NL_H5_RANK_MAX];
        const int rank = nl_h5_item_shape(it, dim);
        const hid_t set = create_fixed(log->file, path, nl_h5_file_type(it->decl->type), rank, dim);
        if (set < 0 ||
            H5Dwrite(set, nl_h5_memory_type(it->decl->type), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                     it->val) < 0 ||
            H5Dclose(set) < 0)
            return lost(log, "initial parameters cannot be written");
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

/* ---- root attributes */

static herr_t write_note(hid_t root, const note *n)
{
    switch (n->kind) {
    case TEXT: return nl_h5_set_text(root, n->name, n->text);
    case REAL: return nl_h5_set_real(root, n->name, n->real);
    default: return nl_h5_set_int(root, n->name, n->whole);
    }
}

static nl_status keep_note(nl_log *log, const note *n)
{
    NL_TRY(make_room(log, (void **)&log->note, log->notes, &log->note_room, sizeof *log->note));
    note *kept = &log->note[log->notes++];
    *kept = *n;
    kept->name = nl_strdup(n->name);
    kept->text = nl_strdup(n->text ? n->text : "");
    return kept->name && kept->text ? NL_OK : no_memory(log);
}

static nl_status set_note(nl_log *log, const note *n)
{
    NL_TRY(check_alive(log));
    if (log->begun)
        return keep_note(log, n);
    return write_note(log->file, n) < 0 ? lost(log, "an attribute cannot be written") : NL_OK;
}

nl_status nl_log_set_text(nl_log *log, const char *name, const char *value)
{
    return set_note(log, &(note){.name = (char *)name, .text = (char *)value, .kind = TEXT});
}

nl_status nl_log_set_real(nl_log *log, const char *name, double value)
{
    return set_note(log, &(note){.name = (char *)name, .kind = REAL, .real = value});
}

nl_status nl_log_set_int(nl_log *log, const char *name, int64_t value)
{
    return set_note(log, &(note){.name = (char *)name, .kind = INT, .whole = value});
}

/* ---- begin */

static void fill_absent(channel *c, int64_t rows)
{
    const int64_t n = rows * c->values;
    switch (c->type) {
    case NL_TYPE_INT64: memset(c->rows, 0xff, (size_t)n * sizeof(int64_t)); break; /* -1 */
    case NL_TYPE_DOUBLE:
        for (int64_t i = 0; i < n; i++)
            ((double *)(void *)c->rows)[i] = NAN;
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            ((nl_real *)(void *)c->rows)[i] = NAN;
    }
}

static nl_status take_buffers(nl_log *log)
{
    log->counts = nl_alloc((size_t)log->lines, sizeof *log->counts);
    if (!log->counts)
        return no_memory(log);
    for (int i = 0; i < log->channels; i++) {
        channel *c = &log->channel[i];
        const int64_t room = log->line[c->timeline].room;
        c->rows = nl_alloc((size_t)room, c->row_bytes);
        if (!c->rows)
            return no_memory(log);
        fill_absent(c, room);
    }
    return NL_OK;
}

/* /committed(timeline): rows of each timeline that are on the file, written after them. */
static nl_status create_counters(nl_log *log)
{
    const char **names = nl_alloc((size_t)log->lines, sizeof *names);
    if (!names)
        return no_memory(log);
    for (int t = 0; t < log->lines; t++)
        names[t] = index_path(log, t);
    nl_status st = nl_log_text_labels(log, "/timeline", names, log->lines);
    nl_free(names);
    NL_TRY(st);
    const hsize_t dim = (hsize_t)log->lines;
    log->committed = create_fixed(log->file, "/committed", H5T_STD_I64LE, 1, &dim);
    if (log->committed < 0 || attach(log->file, log->committed, "/timeline", 0) < 0 ||
        describe(log->committed, "rows", "rows of each timeline that are whole") < 0)
        return lost(log, "the counters cannot be created");
    return NL_OK;
}

/* A resumed run declares what the file has: then its counters are in the same order of names. */
static nl_status find_slots(nl_log *log, char *const *names, int64_t count)
{
    int found = 0;
    for (int t = 0; t < log->lines; t++)
        for (int k = 0; k < count; k++)
            if (!strcmp(index_path(log, t), names[k])) {
                log->line[t].slot = k;
                found++;
            }
    if (found == log->lines && log->lines == count)
        return NL_OK;
    return nl_fail(NL_ESTATE, "%s: has %lld timelines, this run wants %d", log->part,
                   (long long)count, log->lines);
}

static nl_status read_slots(nl_log *log)
{
    const hid_t set = H5Dopen2(log->file, "/timeline", H5P_DEFAULT);
    const hid_t space = H5Dget_space(set), type = nl_h5_text_type();
    const int64_t count = H5Sget_simple_extent_npoints(space);
    char **names = nl_alloc(count > 0 ? (size_t)count : 1, sizeof *names);
    nl_status st = NL_OK;
    if (!names)
        st = no_memory(log);
    else if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, names) < 0)
        st = nl_h5_fail(log->part, "timelines cannot be read");
    else {
        st = find_slots(log, names, count);
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, names);
    }
    nl_free(names);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return st;
}

struct missing {
    const nl_log *log;
    char path[256];
};

static herr_t find_undeclared(hid_t file, const char *name, const H5O_info_t *info, void *arg)
{
    struct missing *m = arg;
    if (info->type != H5O_TYPE_DATASET || H5Aexists_by_name(file, name, "timeline", 0) <= 0)
        return 0;
    for (int i = 0; i < m->log->channels; i++)
        if (!strcmp(m->log->channel[i].path + 1, name))
            return 0;
    snprintf(m->path, sizeof m->path, "/%s", name);
    return 1;
}

static nl_status take_up_counters(nl_log *log)
{
    struct missing m = {.log = log};
    if (H5Ovisit2(log->file, H5_INDEX_NAME, H5_ITER_NATIVE, find_undeclared, &m, H5O_INFO_BASIC) >
        0)
        return nl_fail(NL_ESTATE, "%s: has the channel %s, which this run has not", log->part,
                       m.path);
    NL_TRY(read_slots(log));
    log->committed = H5Dopen2(log->file, "/committed", H5P_DEFAULT);
    return log->committed < 0 ? lost(log, "the counters cannot be opened") : NL_OK;
}

static herr_t write_counters(nl_log *log)
{
    for (int t = 0; t < log->lines; t++)
        log->counts[log->line[t].slot] = log->line[t].on_file;
    if (H5Dwrite(log->committed, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, log->counts) < 0)
        return -1;
    return H5Dflush(log->committed);
}

/* Shared, so that HDF5's own short locks of readers pass and its lock of a writer does not. */
static nl_status take_lock(nl_log *log)
{
    log->lock = open(log->part, O_RDONLY | O_CLOEXEC);
    if (log->lock < 0)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", log->part, strerror(errno));
    if (flock(log->lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return nl_fail(NL_EIO, "%s: another process has it open", log->part);
    return NL_OK;
}

nl_status nl_log_begin(nl_log *log)
{
    NL_TRY(check_declaring(log, "/begin"));
    NL_TRY(take_buffers(log));
    if (log->resumed)
        NL_TRY(take_up_counters(log));
    else
        NL_TRY(create_counters(log));
    if (log->channels > MANY_CHANNELS)
        nl_h5_hold_metadata(log->file);
    if (write_counters(log) < 0 || H5Fflush(log->file, H5F_SCOPE_LOCAL) < 0 ||
        H5Fstart_swmr_write(log->file) < 0)
        return lost(log, "cannot be written");
    log->begun = true;
    return take_lock(log);
}

/* ---- rows */

static char *open_row(nl_log *log, const channel *c)
{
    return c->rows + (size_t)log->line[c->timeline].ended * c->row_bytes;
}

/* A dead log takes no rows, so its open row is always there. */
static void put_values(void *to, nl_vartype type, const double *values, int64_t n)
{
    switch (type) {
    case NL_TYPE_INT64:
        for (int64_t i = 0; i < n; i++)
            ((int64_t *)to)[i] = (int64_t)values[i];
        break;
    case NL_TYPE_DOUBLE: memcpy(to, values, (size_t)n * sizeof *values); break;
    default:
        for (int64_t i = 0; i < n; i++)
            ((nl_real *)to)[i] = (nl_real)values[i];
    }
}

void nl_log_put(nl_log *log, int id, const double *values)
{
    const channel *c = &log->channel[id];
    put_values(open_row(log, c), c->type, values, c->values);
}

void nl_log_put_real(nl_log *log, int id, const nl_real *values)
{
    const channel *c = &log->channel[id];
    char *to = open_row(log, c);
    if (c->type == NL_TYPE_REAL) {
        memcpy(to, values, c->row_bytes);
        return;
    }
    for (int64_t i = 0; i < c->values; i++) {
        const double v = values[i];
        put_values(to + (size_t)i * nl_type_bytes(c->type), c->type, &v, 1);
    }
}

void nl_log_put_int(nl_log *log, int id, const int64_t *values, int64_t count)
{
    const channel *c = &log->channel[id];
    char *to = open_row(log, c);
    if (c->type == NL_TYPE_INT64) {
        memcpy(to, values, (size_t)count * sizeof *values);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const double v = (double)values[i];
        put_values(to + (size_t)i * nl_type_bytes(c->type), c->type, &v, 1);
    }
}

static herr_t append(channel *c, int64_t rows)
{
    hsize_t first[1 + NL_LOG_DIMS_MAX] = {c->dim[0]}, count[1 + NL_LOG_DIMS_MAX];
    memcpy(count, c->dim, sizeof count);
    count[0] = (hsize_t)rows;
    c->dim[0] += (hsize_t)rows;
    if (H5Dset_extent(c->set, c->dim) < 0)
        return -1;
    const hid_t on_file = H5Dget_space(c->set), in_memory = H5Screate_simple(c->rank, count, NULL);
    herr_t failed = H5Sselect_hyperslab(on_file, H5S_SELECT_SET, first, NULL, count, NULL);
    if (failed >= 0)
        failed =
            H5Dwrite(c->set, nl_h5_memory_type(c->type), in_memory, on_file, H5P_DEFAULT, c->rows);
    H5Sclose(in_memory);
    H5Sclose(on_file);
    return failed;
}

static nl_status write_timeline(nl_log *log, int line)
{
    timeline *t = &log->line[line];
    if (!t->ended)
        return NL_OK;
    for (int i = 0; i < log->channels; i++) {
        channel *c = &log->channel[i];
        if (c->timeline != line)
            continue;
        if (append(c, t->ended) < 0)
            return lost(log, "cannot be written");
        fill_absent(c, t->ended);
    }
    t->on_file += t->ended;
    t->ended = 0;
    return NL_OK;
}

/* Rows first, then their number. One flush of the file: one of each data set would look through
 * the metadata of all, every time. */
static nl_status commit(nl_log *log)
{
    return H5Fflush(log->file, H5F_SCOPE_LOCAL) < 0 || write_counters(log) < 0
               ? lost(log, "cannot be written")
               : NL_OK;
}

nl_status nl_log_row(nl_log *log, int line, int64_t index)
{
    NL_TRY(check_alive(log));
    timeline *t = &log->line[line];
    for (int i = 0; i < t->indices; i++)
        nl_log_put_int(log, t->index[i], &index, 1);
    t->ended++;
    if (t->ended < t->room - t->on_file % t->room)
        return NL_OK;
    nl_h5_start(); /* this thread may be new to HDF5 */
    NL_TRY(write_timeline(log, line));
    return commit(log);
}

nl_status nl_log_flush(nl_log *log)
{
    NL_TRY(check_alive(log));
    nl_h5_start();
    int64_t waiting = 0;
    for (int t = 0; t < log->lines; t++) {
        waiting += log->line[t].ended;
        NL_TRY(write_timeline(log, t));
    }
    return waiting ? commit(log) : NL_OK;
}

nl_status nl_log_sync(nl_log *log)
{
    NL_TRY(nl_log_flush(log));
    if (fsync(log->lock) == 0)
        return NL_OK;
    log->dead = true;
    snprintf(log->why, sizeof log->why, "%s: cannot be written: %s", log->part, strerror(errno));
    return check_alive(log);
}

int64_t nl_log_rows(const nl_log *log, int line)
{
    return log->line[line].on_file + log->line[line].ended;
}

bool nl_log_dead(const nl_log *log) { return log->dead; }

/* ---- the end */

static herr_t close_sets(nl_log *log)
{
    for (int i = 0; i < log->channels; i++)
        if (log->channel[i].set > 0 && H5Dclose(log->channel[i].set) < 0)
            return -1;
    return log->committed >= 0 ? H5Dclose(log->committed) : 0;
}

static nl_status close_file(nl_log *log)
{
    return close_sets(log) < 0 || H5Fclose(log->file) < 0 ? lost(log, "cannot be closed") : NL_OK;
}

/* Text of variable length is not for the append-only mode, the only one that bears a kill: a copy
 * of the closed file gets it. */
static nl_status write_notes(nl_log *log, const char *copy)
{
    NL_TRY(nl_file_copy(log->part, copy));
    log->file = open_file(copy);
    if (log->file < 0)
        return lost(log, "cannot be opened again");
    for (int i = 0; i < log->notes; i++)
        if (write_note(log->file, &log->note[i]) < 0)
            return lost(log, "an attribute cannot be written");
    return H5Fclose(log->file) < 0 ? lost(log, "cannot be closed") : NL_OK;
}

static nl_status put_in_place(nl_log *log)
{
    nl_text copy = {0};
    nl_text_add(&copy, "%s.end", log->path);
    nl_status st;
    NL_GO(nl_text_status(&copy));
    NL_GO(write_notes(log, nl_text_of(&copy)));
    NL_GO(nl_file_sync(nl_text_of(&copy)));
    NL_GO(nl_file_rename(nl_text_of(&copy), log->path));
    unlink(log->part);
done:
    if (st != NL_OK && copy.used)
        unlink(nl_text_of(&copy));
    nl_text_free(&copy);
    return st;
}

nl_status nl_log_finish(nl_log *log, const char *outcome)
{
    nl_status st;
    if (!log->begun)
        NL_BAIL(NL_ESTATE, "%s: finished before it was begun", log->part);
    NL_GO(nl_log_set_text(log, "outcome", outcome));
    NL_GO(nl_log_sync(log));
    NL_GO(close_file(log));
    NL_GO(put_in_place(log));
done:
    free_log(log);
    return st;
}

void nl_log_abandon(nl_log *log)
{
    if (!log)
        return;
    if (!log->begun && !log->resumed)
        unlink(log->part);
    if (!log->dead)
        (void)!close_file(log);
    free_log(log);
}
