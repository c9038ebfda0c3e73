#include "io/runread.h"

#include <errno.h>
#include <hdf5_hl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/h5.h"

struct nl_run {
    char *path;
    hid_t file;
    bool live;
    nl_names timelines; /* paths of the indices */
    nl_array committed; /* rows of each */
};

/* ---- what is freed */

void nl_array_free(nl_array *a)
{
    nl_free(a->at);
    *a = (nl_array){0};
}

void nl_names_free(nl_names *n)
{
    for (int i = 0; i < n->count; i++)
        nl_free(n->at[i]);
    nl_free(n->at);
    *n = (nl_names){0};
}

static nl_status add_name(nl_names *n, const char *name)
{
    if (n->count == n->room) {
        const int room = 2 * n->room + 8;
        char **wider = nl_alloc((size_t)room, sizeof *wider);
        if (!wider)
            return nl_fail(NL_ENOMEM, "a list of %d names", room);
        if (n->count)
            memcpy(wider, n->at, (size_t)n->count * sizeof *wider);
        nl_free(n->at);
        n->at = wider;
        n->room = room;
    }
    n->at[n->count] = nl_strdup(name);
    return n->at[n->count++] ? NL_OK : nl_fail(NL_ENOMEM, "the name %s", name);
}

/* ---- reading data sets */

nl_run_kind nl_run_look(nl_run *r, const char *path)
{
    if (!nl_h5_exists(r->file, path))
        return NL_RUN_NOTHING;
    H5O_info_t info;
    if (H5Oget_info_by_name2(r->file, path, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
        return NL_RUN_NOTHING;
    return info.type == H5O_TYPE_GROUP     ? NL_RUN_GROUP
           : info.type == H5O_TYPE_DATASET ? NL_RUN_DATA
                                           : NL_RUN_NOTHING;
}

static nl_status open_set(nl_run *r, const char *path, hid_t *set)
{
    if (nl_run_look(r, path) != NL_RUN_DATA)
        return nl_fail(NL_ENAME, "%s: has no data set %s", r->path, path);
    *set = H5Dopen2(r->file, path, H5P_DEFAULT);
    return *set < 0 ? nl_h5_fail(r->path, path) : NL_OK;
}

/* Data sets of a live file end at different rows: those of a channel that count are committed. */
static hsize_t whole_rows(const nl_run *r, hid_t set, hsize_t rows)
{
    nl_text timeline = {0};
    hsize_t whole = rows;
    if (nl_h5_get_text(set, "timeline", &timeline))
        for (int k = 0; k < r->timelines.count; k++)
            if (!strcmp(nl_text_of(&timeline), r->timelines.at[k]) &&
                r->committed.at[k] < (double)rows)
                whole = (hsize_t)r->committed.at[k];
    nl_text_free(&timeline);
    return whole;
}

/* The last rows, at most `most` of them. */
static nl_status read_rows(nl_run *r, const char *path, hid_t set, hid_t space, int64_t most,
                           nl_array *out)
{
    hsize_t dim[H5S_MAX_RANK] = {0}, first[H5S_MAX_RANK] = {0};
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    if (rank < 0 || rank > NL_ARRAY_RANK_MAX)
        return nl_fail(NL_EFORMAT, "%s: %s has rank %d, at most %d", r->path, path, rank,
                       NL_ARRAY_RANK_MAX);
    if (rank) {
        const hsize_t rows = whole_rows(r, set, dim[0]);
        dim[0] = rows < (hsize_t)most ? rows : (hsize_t)most;
        first[0] = rows - dim[0];
    }
    *out = (nl_array){.rank = rank, .count = 1};
    for (int d = 0; d < rank; d++) {
        out->dim[d] = (int64_t)dim[d];
        out->count *= out->dim[d];
    }
    out->at = nl_alloc((size_t)out->count, sizeof *out->at);
    if (!out->at)
        return nl_fail(NL_ENOMEM, "%s: no memory to read %s", r->path, path);
    if (!out->count)
        return NL_OK;
    if (rank)
        H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, dim, NULL);
    const hid_t memory = H5Screate_simple(rank, dim, NULL);
    const herr_t failed = H5Dread(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, out->at);
    nl_status st = failed < 0 ? nl_h5_fail(r->path, path) : NL_OK;
    H5Sclose(memory);
    return st;
}

nl_status nl_run_read(nl_run *r, const char *path, nl_array *out)
{
    return nl_run_read_last(r, path, INT64_MAX, out);
}

nl_status nl_run_read_last(nl_run *r, const char *path, int64_t most, nl_array *out)
{
    hid_t set = -1;
    *out = (nl_array){0};
    NL_TRY(open_set(r, path, &set));
    const hid_t space = H5Dget_space(set);
    nl_status st = read_rows(r, path, set, space, most, out);
    if (st != NL_OK)
        nl_array_free(out);
    H5Sclose(space);
    H5Dclose(set);
    return st;
}

nl_status nl_run_read_index(nl_run *r, const char *channel, nl_array *out)
{
    nl_text timeline = {0};
    nl_status st;
    *out = (nl_array){0};
    if (nl_run_text(r, channel, "timeline", &timeline))
        st = nl_run_read(r, nl_text_of(&timeline), out);
    else
        st = nl_fail(NL_ENAME, "%s: has no channel %s", r->path, channel);
    nl_text_free(&timeline);
    return st;
}

static nl_status read_text(nl_run *r, const char *path, hid_t set, nl_names *out)
{
    const hid_t type = nl_h5_text_type(), space = H5Dget_space(set);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    char **text = nl_alloc(count > 0 ? (size_t)count : 1, sizeof *text);
    nl_status st = NL_OK;
    if (!text)
        st = nl_fail(NL_ENOMEM, "%s: no memory to read %s", r->path, path);
    else if (count > 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        st = nl_h5_fail(r->path, path);
    else {
        for (hssize_t i = 0; i < count && st == NL_OK; i++)
            st = add_name(out, text[i] ? text[i] : "");
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, text);
    }
    nl_free(text);
    H5Sclose(space);
    H5Tclose(type);
    return st;
}

nl_status nl_run_read_labels(nl_run *r, const char *path, nl_names *out)
{
    hid_t set = -1;
    *out = (nl_names){0};
    NL_TRY(open_set(r, path, &set));
    nl_status st = read_text(r, path, set, out);
    if (st != NL_OK)
        nl_names_free(out);
    H5Dclose(set);
    return st;
}

/* ---- lists and attributes */

struct listing {
    nl_run *r;
    const char *group;
    nl_run_kind kind;
    nl_names *out;
    nl_status st;
};

static herr_t list_one(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    (void)group;
    (void)info;
    struct listing *l = arg;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", l->group[1] ? l->group : "", name);
    if (nl_run_look(l->r, path) == l->kind)
        l->st = add_name(l->out, name);
    return l->st == NL_OK ? 0 : -1;
}

nl_status nl_run_list(nl_run *r, const char *group, nl_run_kind kind, nl_names *out)
{
    *out = (nl_names){0};
    if (nl_run_look(r, group) != NL_RUN_GROUP)
        return nl_fail(NL_ENAME, "%s: has no group %s", r->path, group);
    struct listing l = {r, group, kind, out, NL_OK};
    hsize_t at = 0;
    const hid_t g = H5Gopen2(r->file, group, H5P_DEFAULT);
    if (H5Literate(g, H5_INDEX_CRT_ORDER, H5_ITER_INC, &at, list_one, &l) < 0 && l.st == NL_OK)
        l.st = nl_h5_fail(r->path, group);
    H5Gclose(g);
    if (l.st != NL_OK)
        nl_names_free(out);
    return l.st;
}

static herr_t take_scale(hid_t set, unsigned dim, hid_t scale, void *arg)
{
    (void)set;
    (void)dim;
    char path[1024] = "";
    H5Iget_name(scale, path, sizeof path);
    nl_text_add(arg, "%s", path);
    return 1;
}

nl_status nl_run_scale_of(nl_run *r, const char *channel, int dim, nl_text *out)
{
    hid_t set = -1;
    NL_TRY(open_set(r, channel, &set));
    const herr_t failed = H5DSiterate_scales(set, (unsigned)dim, NULL, take_scale, out);
    nl_status st = failed < 0 ? nl_h5_fail(r->path, channel) : nl_text_status(out);
    H5Dclose(set);
    return st;
}

static bool read_attribute(nl_run *r, const char *path, const char *name,
                           bool (*read)(hid_t, const char *, void *), void *out)
{
    if (!nl_h5_exists(r->file, path))
        return false;
    const hid_t object = H5Oopen(r->file, path, H5P_DEFAULT);
    if (object < 0)
        return false;
    const bool found = read(object, name, out);
    H5Oclose(object);
    return found;
}

static bool read_as_text(hid_t object, const char *name, void *out)
{
    char digits[NL_REAL_CHARS];
    int64_t whole;
    double real;
    if (nl_h5_get_text(object, name, out))
        return true;
    if (nl_h5_get_int(object, name, &whole))
        nl_text_add(out, "%lld", (long long)whole);
    else if (nl_h5_get_real(object, name, &real))
        nl_text_add(out, "%s", nl_print_real(digits, real));
    else
        return false;
    return true;
}

static bool read_as_real(hid_t o, const char *name, void *out)
{
    return nl_h5_get_real(o, name, out);
}
static bool read_as_int(hid_t o, const char *name, void *out)
{
    return nl_h5_get_int(o, name, out);
}

bool nl_run_text(nl_run *r, const char *path, const char *name, nl_text *out)
{
    return read_attribute(r, path, name, read_as_text, out);
}

bool nl_run_real(nl_run *r, const char *path, const char *name, double *out)
{
    return read_attribute(r, path, name, read_as_real, out);
}

bool nl_run_int(nl_run *r, const char *path, const char *name, int64_t *out)
{
    return read_attribute(r, path, name, read_as_int, out);
}

/* ---- opening */

static hid_t open_for_reading(const char *path, unsigned flags)
{
    const hid_t access = nl_h5_access();
    const hid_t file = H5Fopen(path, flags, access);
    H5Pclose(access);
    return file;
}

/* Only a closed file opens plainly. */
static nl_status open_file(nl_run *r)
{
    if (access(r->path, R_OK) != 0)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", r->path, strerror(errno));
    r->file = open_for_reading(r->path, H5F_ACC_RDONLY);
    if (r->file >= 0)
        return NL_OK;
    r->live = true;
    r->file = open_for_reading(r->path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ);
    if (r->file >= 0)
        return NL_OK;
    return nl_fail(NL_EFORMAT, "%s: is not an HDF5 file, or truncated or damaged", r->path);
}

static nl_status read_counters(nl_run *r)
{
    NL_TRY(nl_run_read_labels(r, "/timeline", &r->timelines));
    nl_names names = r->timelines;
    r->timelines = (nl_names){0}; /* nothing is cut while the counters are read */
    nl_status st = nl_run_read(r, "/committed", &r->committed);
    r->timelines = names;
    if (st == NL_OK && r->committed.count != names.count)
        st = nl_fail(NL_EFORMAT, "%s: its counters of rows are damaged", r->path);
    return st;
}

nl_status nl_run_open(nl_run **out, const char *path)
{
    nl_h5_start();
    nl_run *r = nl_alloc(1, sizeof *r);
    if (r)
        r->path = nl_strdup(path);
    if (!r || !r->path) {
        nl_free(r);
        return nl_fail(NL_ENOMEM, "%s: no memory to read it", path);
    }
    r->file = -1;
    nl_status st;
    NL_GO(open_file(r));
    NL_GO(nl_h5_check_run(r->file, r->path));
    NL_GO(read_counters(r));
    *out = r;
    return NL_OK;
done:
    nl_run_close(r);
    return st;
}

void nl_run_close(nl_run *r)
{
    if (!r)
        return;
    if (r->file >= 0)
        H5Fclose(r->file);
    nl_names_free(&r->timelines);
    nl_array_free(&r->committed);
    nl_free(r->path);
    nl_free(r);
}

bool nl_run_is_live(const nl_run *r) { return r->live; }
