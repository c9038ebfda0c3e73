/* runlog_counters.c: how many rows of each timeline are whole. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "io/h5.h"
#include "io/runlog_inner.h"

nl_status nl_log_create_counters(nl_log *log)
{
    const char **names = nl_alloc((size_t)log->lines, sizeof *names);
    if (!names)
        return nl_log_no_memory(log);
    for (int t = 0; t < log->lines; t++)
        names[t] = nl_log_index_path(log, t);
    nl_status st = nl_log_text_labels(log, "/timeline", names, log->lines);
    nl_free(names);
    NL_TRY(st);
    const hsize_t dim = (hsize_t)log->lines;
    log->committed = nl_log_create_fixed(log, "/committed", H5T_STD_I64LE, 1, &dim);
    if (log->committed < 0 ||
        nl_log_describe(log->committed, "rows", "rows of each timeline that are whole") < 0)
        return nl_log_lost(log, "the counters cannot be created");
    const int lines = nl_log_find_scale(log, "/timeline");
    return nl_log_attach(log, log->committed, &lines, 1);
}

/* A resumed run declares what the file has: then its counters are in the same order of names. */
static nl_status find_slots(nl_log *log, char *const *names, int64_t count)
{
    int found = 0;
    for (int t = 0; t < log->lines; t++)
        for (int k = 0; k < count; k++)
            if (!strcmp(nl_log_index_path(log, t), names[k])) {
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
        st = nl_log_no_memory(log);
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

nl_status nl_log_take_up_counters(nl_log *log)
{
    struct missing m = {.log = log};
    if (H5Ovisit2(log->file, H5_INDEX_NAME, H5_ITER_NATIVE, find_undeclared, &m, H5O_INFO_BASIC) >
        0)
        return nl_fail(NL_ESTATE,
                       "%s: has the channel %s, which this run has not; a run goes on with all it "
                       "began with",
                       log->part, m.path);
    NL_TRY(read_slots(log));
    log->committed = H5Dopen2(log->file, "/committed", H5P_DEFAULT);
    return log->committed < 0 ? nl_log_lost(log, "the counters cannot be opened") : NL_OK;
}

herr_t nl_log_write_counters(nl_log *log)
{
    for (int t = 0; t < log->lines; t++)
        log->counts[log->line[t].slot] = log->line[t].on_file;
    if (H5Dwrite(log->committed, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, log->counts) < 0)
        return -1;
    return H5Dflush(log->committed);
}
