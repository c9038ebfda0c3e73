/* Any bytes as a tar archive are read or refused, and nothing stays allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void read_all(nl_tar *tar)
{
    nl_tar_file file;
    nl_text text = {0};
    bool more = true;
    for (int k = 0; more; k++) {
        if (nl_tar_next(tar, &file, &more) != NL_OK)
            break;
        nl_text_clear(&text);
        if (more && k % 2 == 0 && nl_tar_read(tar, &text) != NL_OK)
            break;
        if (more && k % 2 == 0 && (int64_t)text.used != file.bytes)
            abort();
    }
    nl_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char path[64];
    nl_tar *tar;
    const long live = nl_alloc_live();
    const int file = memfd_create("tar", 0);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (nl_tar_open(&tar, path) == NL_OK) {
        read_all(tar);
        nl_tar_close(tar);
    }
    close(file);
    if (nl_alloc_live() != live)
        abort();
    return 0;
}
