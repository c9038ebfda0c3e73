#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"

enum { FOLDER_MAX = 2048 }; /* characters of a path */

enum { COPY_BYTES = 1 << 20 };

bool nl_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static nl_status write_all(int fd, const char *path, const char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return nl_fail(NL_EIO, "%s: cannot be written: %s", path, strerror(n ? errno : ENOSPC));
        bytes += n;
        count -= (size_t)n;
    }
    return NL_OK;
}

static nl_status sync_and_close(int fd, const char *path)
{
    const int failed = fsync(fd) != 0;
    const int reason = errno;
    if (close(fd) != 0 || failed)
        return nl_fail(NL_EIO, "%s: cannot be written: %s", path,
                       strerror(failed ? reason : errno));
    return NL_OK;
}

static int create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

static nl_status write_file(const char *path, const void *bytes, size_t count)
{
    const int fd = create(path);
    if (fd < 0)
        return nl_fail(NL_EIO, "%s: cannot be created: %s", path, strerror(errno));
    nl_status st = write_all(fd, path, bytes, count);
    if (st == NL_OK)
        return sync_and_close(fd, path);
    close(fd);
    return st;
}

/* Some file systems cannot sync a folder (EINVAL): the rename is done all the same. */
static void sync_folder_of(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    else
        snprintf(folder, sizeof folder, ".");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

nl_status nl_file_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0)
        return nl_fail(NL_EIO, "%s: cannot be renamed to %s: %s", from, to, strerror(errno));
    sync_folder_of(to);
    return NL_OK;
}

nl_status nl_file_replace(const char *path, const void *bytes, size_t count)
{
    nl_text temporary = {0};
    nl_text_add(&temporary, "%s.tmp", path);
    nl_status st = nl_text_status(&temporary);
    if (st == NL_OK)
        st = write_file(nl_text_of(&temporary), bytes, count);
    if (st == NL_OK)
        st = nl_file_rename(nl_text_of(&temporary), path);
    if (st != NL_OK && temporary.used)
        unlink(nl_text_of(&temporary));
    nl_text_free(&temporary);
    return st;
}

static nl_status copy_bytes(int in, const char *from, int out, const char *to)
{
    char *buffer = nl_alloc(COPY_BYTES, 1);
    if (!buffer)
        return nl_fail(NL_ENOMEM, "%s: no memory to copy it", from);
    nl_status st = NL_OK;
    ssize_t n;
    while (st == NL_OK && (n = read(in, buffer, COPY_BYTES)) != 0) {
        if (n < 0)
            st = nl_fail(NL_EIO, "%s: cannot be read: %s", from, strerror(errno));
        else
            st = write_all(out, to, buffer, (size_t)n);
    }
    nl_free(buffer);
    return st;
}

nl_status nl_file_sync(const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    return sync_and_close(fd, path);
}

nl_status nl_file_copy(const char *from, const char *to)
{
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", from, strerror(errno));
    const int out = create(to);
    if (out < 0) {
        nl_status st = nl_fail(NL_EIO, "%s: cannot be created: %s", to, strerror(errno));
        close(in);
        return st;
    }
    nl_status st = copy_bytes(in, from, out, to);
    close(in);
    if (st == NL_OK)
        st = sync_and_close(out, to);
    else
        close(out);
    if (st != NL_OK)
        unlink(to);
    return st;
}

nl_status nl_file_lock(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return nl_fail(NL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return NL_OK; /* file systems without locks pass */
    close(*fd);
    return nl_fail(NL_EIO, "%s: another process has it open", path);
}

nl_status nl_file_make_folder(const char *path)
{
    char part[FOLDER_MAX];
    if (strlen(path) >= sizeof part)
        return nl_fail(NL_EIO, "out: a path of more than %zu characters", sizeof part - 1);
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return nl_fail(NL_EIO, "%s: the folder cannot be made: %s", part, strerror(errno));
    }
    return NL_OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

nl_status nl_file_each(const char *folder, nl_status (*f)(void *arg, const char *name), void *arg)
{
    char path[PATH_MAX];
    char *const paths[] = {path, NULL};
    nl_status st = NL_OK;
    if (strlen(folder) >= sizeof path)
        return nl_fail(NL_EIO, "%s: the path is too long", folder);
    snprintf(path, sizeof path, "%s", folder);
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        return nl_fail(NL_EIO, "%s: %s", folder, strerror(errno));
    const FTSENT *root = fts_read(tree);
    if (!root || root->fts_info != FTS_D)
        st = nl_fail(NL_EIO, "%s: %s", folder,
                     strerror(root && root->fts_errno ? root->fts_errno : ENOTDIR));
    for (const FTSENT *e = st == NL_OK ? fts_children(tree, 0) : NULL; e && st == NL_OK;
         e = e->fts_link)
        st = f(arg, e->fts_name);
    fts_close(tree);
    return st;
}
