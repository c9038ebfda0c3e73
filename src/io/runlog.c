/* runlog.c: a log from opening to its end, and the attributes of its file. */
#include "io/runlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/file.h"
#include "io/h5.h"
#include "io/recover.h"
#include "io/runlog_inner.h"

enum {
    MANY_CHANNELS = 1000, /* the networks of deeper studies */
    KERNEL_PAGE = 4096,   /* the least that any kernel copies at once */
    ATTRIBUTES_KEPT = 512 /* root attributes stay in the object header, where HDF5 finds them after
                             a kill without walking a heap */
};

/* ---- failures */

nl_status nl_log_lost(nl_log *log, const char *doing)
{
    nl_status st = nl_h5_fail(log->part, doing);
    snprintf(log->why, sizeof log->why, "%s", nl_last_error());
    log->dead = true;
    return st;
}

nl_status nl_log_check_alive(const nl_log *log)
{
    return log->dead ? nl_fail(NL_EIO, "%s", log->why) : NL_OK;
}

nl_status nl_log_check_declaring(const nl_log *log, const char *what)
{
    NL_TRY(nl_log_check_alive(log));
    if (what[0] != '/' || strstr(what, "//") || what[strlen(what) - 1] == '/')
        return nl_fail(NL_ENAME, "%s: '%s' is not a path such as /steps/loss", log->part, what);
    if (log->begun)
        return nl_fail(NL_ESTATE, "%s: %s declared after begin", log->part, what);
    return NL_OK;
}

nl_status nl_log_no_memory(const nl_log *log)
{
    return nl_fail(NL_ENOMEM, "%s: no memory for its buffers", log->part);
}

nl_status nl_log_make_room(const nl_log *log, void **array, int count, int *room, size_t size)
{
    int64_t wanted = *room;
    void *wider = nl_alloc_more(*array, count, &wanted, size);
    if (!wider)
        return nl_log_no_memory(log);
    *array = wider;
    *room = (int)wanted;
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
    nl_log_free_scales(log);
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
        log->file = log->committed = log->folder = -1;
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
    NL_TRY(
        nl_log_make_room(log, (void **)&log->note, log->notes, &log->note_room, sizeof *log->note));
    note *kept = &log->note[log->notes++];
    *kept = *n;
    kept->name = nl_strdup(n->name);
    kept->text = nl_strdup(n->text ? n->text : "");
    return kept->name && kept->text ? NL_OK : nl_log_no_memory(log);
}

static nl_status set_note(nl_log *log, const note *n)
{
    NL_TRY(nl_log_check_alive(log));
    if (log->begun)
        return keep_note(log, n);
    return write_note(log->file, n) < 0 ? nl_log_lost(log, "an attribute cannot be written")
                                        : NL_OK;
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
    NL_TRY(nl_log_check_declaring(log, "/begin"));
    NL_TRY(nl_log_take_buffers(log));
    if (log->resumed)
        NL_TRY(nl_log_take_up_counters(log));
    else
        NL_TRY(nl_log_create_counters(log));
    NL_TRY(nl_log_write_scales(log));
    nl_log_close_folder(log);
    if (log->channels > MANY_CHANNELS)
        nl_h5_hold_metadata(log->file);
    if (nl_log_write_counters(log) < 0 || H5Fflush(log->file, H5F_SCOPE_LOCAL) < 0 ||
        H5Fstart_swmr_write(log->file) < 0)
        return nl_log_lost(log, "cannot be written");
    log->begun = true;
    return take_lock(log);
}

/* ---- the end */

static herr_t close_sets(nl_log *log)
{
    nl_log_close_folder(log);
    for (int i = 0; i < log->channels; i++)
        if (log->channel[i].set > 0 && H5Dclose(log->channel[i].set) < 0)
            return -1;
    return log->committed >= 0 ? H5Dclose(log->committed) : 0;
}

static nl_status close_file(nl_log *log)
{
    return close_sets(log) < 0 || H5Fclose(log->file) < 0 ? nl_log_lost(log, "cannot be closed")
                                                          : NL_OK;
}

/* Text of variable length is not for the append-only mode, the only one that bears a kill: a copy
 * of the closed file gets it. */
static nl_status write_notes(nl_log *log, const char *copy)
{
    NL_TRY(nl_file_copy(log->part, copy));
    log->file = open_file(copy);
    if (log->file < 0)
        return nl_log_lost(log, "cannot be opened again");
    for (int i = 0; i < log->notes; i++)
        if (write_note(log->file, &log->note[i]) < 0)
            return nl_log_lost(log, "an attribute cannot be written");
    return H5Fclose(log->file) < 0 ? nl_log_lost(log, "cannot be closed") : NL_OK;
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
