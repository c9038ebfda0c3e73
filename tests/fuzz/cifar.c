/* Any bytes as a CIFAR file are read or refused, and nothing stays allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/cifar.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const nl_cifar_layout layouts[] = {{.labels = 1, .label = 0, .classes = 10},
                                              {.labels = 2, .label = 1, .classes = 100}};
    char path[64];
    const long live = nl_alloc_live();
    const int file = memfd_create("cifar", 0);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (int k = 0; k < 2; k++) {
        nl_cifar_records records = {0};
        const nl_status st = nl_cifar_read(&records, path, &layouts[k]);
        if (st == NL_OK && records.count * (layouts[k].labels + NL_CIFAR_PIXELS) != (int64_t)count)
            abort();
        nl_free(records.bytes);
    }
    close(file);
    if (nl_alloc_live() != live)
        abort();
    return 0;
}
