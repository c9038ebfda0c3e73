/* libFuzzer: any bytes as an IDX file are read or refused, and nothing stays allocated.
 *     clang -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Isrc tests/fuzz/idx.c \
 *         src/core/{idx,dataset,dataset_prepare,option}.c src/base/{alloc,status,text,random}.c \
 *         src/par/par.c -DNL_PAR_PTHREAD -lz -lm -pthread -o fuzz_idx && ./fuzz_idx -max_total_time=120 */
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
