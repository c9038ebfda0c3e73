/* file.h: files that are there whole or not at all. */
#ifndef NL_FILE_H
#define NL_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

bool nl_file_exists(const char *path);

/* Writes bytes to PATH.tmp, syncs it, renames it to path and syncs the folder: a reader sees the
 * old file or the new one. NL_EIO with the path and the system's reason; then path is as before. */
nl_status nl_file_replace(const char *path, const void *bytes, size_t count) NL_CHECKED;

/* A synced copy of a file; an existing `to` is overwritten, a half-written one is removed. */
nl_status nl_file_copy(const char *from, const char *to) NL_CHECKED;

nl_status nl_file_sync(const char *path) NL_CHECKED;

/* Renames and syncs the folder of `to`. */
nl_status nl_file_rename(const char *from, const char *to) NL_CHECKED;

/* Opens a file that no other process holds; *fd, to be closed, holds it. NL_EIO: not there, or a
 * running process has it. File systems without locks always pass. */
nl_status nl_file_lock(const char *path, int *fd) NL_CHECKED;

/* Makes the folder and those above it; there already is fine. */
nl_status nl_file_make_folder(const char *path) NL_CHECKED;

/* Calls f with the name of each entry of a folder, in the order of the names; a failure of f ends
 * it and is the result. */
nl_status nl_file_each(const char *folder, nl_status (*f)(void *arg, const char *name),
                       void *arg) NL_CHECKED;

#endif
