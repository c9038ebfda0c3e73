/* runlog_rows.c: rows wait in memory and go to the file chunk by chunk. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/h5.h"
#include "io/runlog_inner.h"

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

nl_status nl_log_take_buffers(nl_log *log)
{
    log->counts = nl_alloc((size_t)log->lines, sizeof *log->counts);
    if (!log->counts)
        return nl_log_no_memory(log);
    for (int i = 0; i < log->channels; i++) {
        channel *c = &log->channel[i];
        const int64_t room = log->line[c->timeline].room;
        c->rows = nl_alloc((size_t)room, c->row_bytes);
        if (!c->rows)
            return nl_log_no_memory(log);
        fill_absent(c, room);
    }
    return NL_OK;
}

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
            return nl_log_lost(log, "cannot be written");
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
    return H5Fflush(log->file, H5F_SCOPE_LOCAL) < 0 || nl_log_write_counters(log) < 0
               ? nl_log_lost(log, "cannot be written")
               : NL_OK;
}

/* Gives whether the chunk is full. */
static bool end_row(nl_log *log, timeline *t, int64_t index)
{
    for (int i = 0; i < t->indices; i++)
        nl_log_put_int(log, t->index[i], &index, 1);
    t->ended++;
    return t->ended == t->room - t->on_file % t->room;
}

nl_status nl_log_row_of_each(nl_log *log, const int *lines, int count, int64_t index)
{
    bool written = false;
    NL_TRY(nl_log_check_alive(log));
    for (int k = 0; k < count; k++) {
        if (!end_row(log, &log->line[lines[k]], index))
            continue;
        nl_h5_start(); /* this thread may be new to HDF5 */
        NL_TRY(write_timeline(log, lines[k]));
        written = true;
    }
    return written ? commit(log) : NL_OK;
}

nl_status nl_log_row(nl_log *log, int line, int64_t index)
{
    return nl_log_row_of_each(log, &line, 1, index);
}

nl_status nl_log_flush(nl_log *log)
{
    NL_TRY(nl_log_check_alive(log));
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
    return nl_log_check_alive(log);
}

int64_t nl_log_rows(const nl_log *log, int line)
{
    return log->line[line].on_file + log->line[line].ended;
}

bool nl_log_dead(const nl_log *log) { return log->dead; }
