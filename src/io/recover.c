#include "io/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/file.h"
#include "io/h5.h"

/* What to keep of the timelines of one file, and what came of it. */
typedef struct trimming {
    const char *path;
    hid_t file;
    bool killed;         /* while it appended rows */
    int64_t step, epoch; /* keep rows up to these */
    char **names;        /* paths of the indices: "/steps/step" */
    int64_t *keep;       /* rows of each */
    int64_t timelines;
    int64_t channels, cut, rows; /* data sets, those that were longer, rows kept of all timelines */
} trimming;

/* ---- is it ours, and at rest? */

/* The superblock begins with a signature; byte 11 of its version 3 are the consistency flags (HDF5
 * File Format Specification, II.A). */
static nl_status read_superblock(trimming *t, int fd)
{
    static const unsigned char wanted[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    enum { FLAGS = 11, APPENDING = 4 };
    unsigned char is[12];
    const ssize_t n = pread(fd, is, sizeof is, 0);
    if (n < 0)
        return nl_fail(NL_EIO, "%s: cannot be read: %s", t->path, strerror(errno));
    if (n < (ssize_t)sizeof is || memcmp(is, wanted, sizeof wanted) != 0)
        return nl_fail(NL_EFORMAT, "%s: is not an HDF5 file", t->path);
    t->killed = is[FLAGS] & APPENDING;
    return NL_OK;
}

/* ---- which rows to keep */

static nl_status read_counters(trimming *t)
{
    const hid_t names = H5Dopen2(t->file, "/timeline", H5P_DEFAULT);
    const hid_t counts = H5Dopen2(t->file, "/committed", H5P_DEFAULT);
    const hid_t space = H5Dget_space(counts), names_space = H5Dget_space(names);
    const hid_t type = nl_h5_text_type();
    nl_status st = NL_OK;
    t->timelines = H5Sget_simple_extent_npoints(space);
    if (t->timelines < 0 || t->timelines != H5Sget_simple_extent_npoints(names_space)) {
        t->timelines = 0;
        NL_BAIL(NL_EFORMAT, "%s: its counters of rows are damaged", t->path);
    }
    t->names = nl_alloc((size_t)t->timelines, sizeof *t->names);
    t->keep = nl_alloc((size_t)t->timelines, sizeof *t->keep);
    if (!t->names || !t->keep)
        NL_BAIL(NL_ENOMEM, "%s: no memory to read it", t->path);
    if (H5Dread(counts, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->keep) < 0 ||
        H5Dread(names, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->names) < 0)
        NL_BAIL(NL_EFORMAT, "%s: its counters of rows cannot be read", t->path);
done:
    H5Tclose(type);
    H5Sclose(names_space);
    H5Sclose(space);
    H5Dclose(counts);
    H5Dclose(names);
    return st;
}

static void free_counters(trimming *t)
{
    for (int64_t k = 0; t->names && k < t->timelines; k++)
        H5free_memory(t->names[k]);
    nl_free(t->names);
    nl_free(t->keep);
}

static int64_t rows_of(hid_t set)
{
    hsize_t dim[H5S_MAX_RANK] = {0};
    const hid_t space = H5Dget_space(set);
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    H5Sclose(space);
    return rank > 0 ? (int64_t)dim[0] : -1;
}

/* Indices grow, so the rows to keep are the first ones. */
static int64_t rows_up_to(const int64_t *index, int64_t rows, int64_t last)
{
    int64_t kept = 0;
    while (kept < rows && index[kept] <= last)
        kept++;
    return kept;
}

static nl_status limit_rows(trimming *t, int64_t k)
{
    const hid_t set = H5Dopen2(t->file, t->names[k], H5P_DEFAULT);
    const int64_t rows = set >= 0 ? rows_of(set) : -1;
    nl_status st = NL_OK;
    int64_t *index = NULL;
    if (rows < t->keep[k])
        NL_BAIL(NL_EFORMAT, "%s: %s has %lld rows, %lld were committed", t->path, t->names[k],
                (long long)rows, (long long)t->keep[k]);
    index = nl_alloc((size_t)rows, sizeof *index);
    if (!index)
        NL_BAIL(NL_ENOMEM, "%s: no memory to read it", t->path);
    if (H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, index) < 0)
        NL_BAIL(NL_EFORMAT, "%s: %s cannot be read", t->path, t->names[k]);
    const bool by_epoch = !strcmp(strrchr(t->names[k], '/'), "/epoch");
    t->keep[k] = rows_up_to(index, t->keep[k], by_epoch ? t->epoch : t->step);
    t->rows += t->keep[k];
done:
    nl_free(index);
    if (set >= 0)
        H5Dclose(set);
    return st;
}

static herr_t write_counters(trimming *t)
{
    const hid_t set = H5Dopen2(t->file, "/committed", H5P_DEFAULT);
    const herr_t written = H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->keep);
    const herr_t closed = H5Dclose(set);
    return written < 0 || closed < 0 ? -1 : 0;
}

/* ---- cutting */

static herr_t cut_to(trimming *t, hid_t set, int64_t rows)
{
    hsize_t dim[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(set);
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    H5Sclose(space);
    t->channels++;
    if (rank < 1 || dim[0] < (hsize_t)rows)
        return -1;
    if (dim[0] == (hsize_t)rows)
        return 0;
    t->cut++;
    dim[0] = (hsize_t)rows;
    return H5Dset_extent(set, dim);
}

/* A truncated file shows only when its chunks are unpacked. */
static herr_t read_all(hid_t set)
{
    const hid_t space = H5Dget_space(set), stored = H5Dget_type(set);
    const hid_t type = H5Tget_native_type(stored, H5T_DIR_ASCEND);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    void *values = nl_alloc(count > 0 ? (size_t)count : 0, H5Tget_size(type));
    const herr_t failed = values ? H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) : -1;
    nl_free(values);
    H5Tclose(type);
    H5Tclose(stored);
    H5Sclose(space);
    return failed;
}

static herr_t cut_channel(hid_t file, const char *name, const H5O_info_t *info, void *arg)
{
    trimming *t = arg;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0)
        return -1;
    nl_text timeline = {0};
    herr_t failed = 0;
    if (nl_h5_get_text(set, "timeline", &timeline))
        for (int64_t k = 0; k < t->timelines; k++)
            if (!strcmp(nl_text_of(&timeline), t->names[k]))
                failed = cut_to(t, set, t->keep[k]);
    if (timeline.used && failed >= 0)
        failed = read_all(set);
    nl_text_free(&timeline);
    H5Dclose(set);
    return failed;
}

static nl_status trim(trimming *t)
{
    NL_TRY(read_counters(t));
    for (int64_t k = 0; k < t->timelines; k++)
        NL_TRY(limit_rows(t, k));
    if (H5Ovisit2(t->file, H5_INDEX_NAME, H5_ITER_NATIVE, cut_channel, t, H5O_INFO_BASIC) < 0 ||
        write_counters(t) < 0)
        return nl_h5_fail(t->path, "committed rows cannot be read");
    return NL_OK;
}

/* ---- the copy */

/* What `h5clear --status --increment=0` does, except that a file shorter than its superblock says
 * is refused, for it was truncated, unless the kill came between the writing of both. The
 * properties are HDF5's own, not documented. Clearing the status alone would leave an end of file
 * that hides the last rows. */
static nl_status clear_status(const char *path, const char *copy, bool killed)
{
    const hid_t access = nl_h5_access();
    hbool_t yes = 1, lenient = killed;
    hid_t file = -1;
    if (H5Pset(access, "clear_status_flags", &yes) >= 0 &&
        H5Pset(access, "skip_eof_check", &lenient) >= 0)
        file = H5Fopen(copy, H5F_ACC_RDWR, access);
    H5Pclose(access);
    if (file < 0)
        return nl_fail(NL_EFORMAT, "%s: is truncated or damaged, HDF5 cannot open it", path);
    const bool right = H5Fincrement_filesize(file, 0) >= 0;
    if (H5Fclose(file) < 0 || !right)
        return nl_h5_fail(path, "its end cannot be found");
    return NL_OK;
}

static nl_status mend(trimming *t, const char *copy, const char *outcome)
{
    const hid_t access = nl_h5_access();
    t->file = H5Fopen(copy, H5F_ACC_RDWR, access);
    H5Pclose(access);
    if (t->file < 0)
        return nl_fail(NL_EFORMAT, "%s: is truncated or damaged, HDF5 cannot open it", t->path);
    nl_status st = nl_h5_check_run(t->file, t->path);
    if (st == NL_OK)
        st = trim(t);
    nl_text was = {0};
    const bool running =
        !nl_h5_get_text(t->file, "outcome", &was) || !strcmp(nl_text_of(&was), "running");
    nl_text_free(&was);
    if (st == NL_OK && (running || strcmp(outcome, "killed") != 0) &&
        nl_h5_set_text(t->file, "outcome", outcome) < 0)
        st = nl_h5_fail(t->path, "its outcome cannot be written");
    if (H5Fclose(t->file) < 0 && st == NL_OK)
        st = nl_h5_fail(t->path, "the mended copy cannot be closed");
    return st;
}

static nl_status mend_copy(trimming *t, const char *copy, const char *to, const char *outcome)
{
    NL_TRY(nl_file_copy(t->path, copy));
    nl_status st;
    NL_GO(clear_status(t->path, copy, t->killed));
    NL_GO(mend(t, copy, outcome));
    NL_GO(nl_file_sync(copy));
    NL_GO(nl_file_rename(copy, to));
    return NL_OK;
done:
    unlink(copy);
    return st;
}

static nl_status recover(trimming *t, const char *to, const char *outcome)
{
    int lock;
    nl_h5_start();
    NL_TRY(nl_file_lock(t->path, &lock));
    nl_text copy = {0};
    nl_text_add(&copy, "%s.recover", to);
    nl_status st;
    NL_GO(nl_text_status(&copy));
    NL_GO(read_superblock(t, lock));
    NL_GO(mend_copy(t, nl_text_of(&copy), to, outcome));
done:
    nl_text_free(&copy);
    close(lock);
    return st;
}

nl_status nl_recover(const char *path, nl_text *says)
{
    trimming t = {.path = path, .step = INT64_MAX, .epoch = INT64_MAX};
    nl_status st = recover(&t, path, "killed");
    if (st == NL_OK && says)
        nl_text_add(says,
                    "%s: closed; %lld data sets keep the %lld committed rows of %lld timelines, "
                    "%lld were cut",
                    path, (long long)t.channels, (long long)t.rows, (long long)t.timelines,
                    (long long)t.cut);
    free_counters(&t);
    return st;
}

nl_status nl_recover_to(const char *from, const char *to, int64_t step, int64_t epoch)
{
    trimming t = {.path = from, .step = step, .epoch = epoch};
    nl_status st = recover(&t, to, "running");
    free_counters(&t);
    return st;
}
