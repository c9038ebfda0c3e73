/* tar.h: reads the files of a tar archive (POSIX ustar and pax, GNU long names), gzipped or not,
 * one after the other, without unpacking it. */
#ifndef NL_TAR_H
#define NL_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct nl_tar nl_tar;

typedef struct nl_tar_file {
    const char *name; /* as in the archive; valid until the next call */
    int64_t bytes;
} nl_tar_file;

nl_status nl_tar_open(nl_tar **out, const char *path) NL_CHECKED;
void nl_tar_close(nl_tar *t); /* NULL is fine */

/* The next regular file; *more false behind the last one, when the whole archive has been read and
 * gzip's checksum has been right. One-line messages that name the archive: truncated, corrupt, no
 * tar archive. */
nl_status nl_tar_next(nl_tar *t, nl_tar_file *out, bool *more) NL_CHECKED;

/* Appends the content of the file that nl_tar_next gave; at most once each. */
nl_status nl_tar_read(nl_tar *t, nl_text *to) NL_CHECKED;

#endif
