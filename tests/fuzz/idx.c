/* Any bytes as an IDX file are read or refused, and nothing stays allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char path[64];
    const long live = nl_alloc_live();
    const int file = memfd_create("idx", 0);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (int dims = 1; dims <= NL_IDX_DIMS; dims++) {
        nl_idx f;
        if (nl_idx_read(&f, path, dims) == NL_OK)
            nl_idx_free(&f);
    }
    close(file);
    if (nl_alloc_live() != live)
        abort();
    return 0;
}
