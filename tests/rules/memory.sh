#!/bin/sh
# Memory comes from nl_alloc and goes by nl_free; only src/base speaks to libc about it.
# bad: src/io/a.c: char *p = malloc(3);
# bad: norms/a.c: int x;\nfree (p);
# bad: analysis/a.c: char *s = strdup(t);
# good: src/base/alloc.c: void *p = aligned_alloc(64, n);
# good: src/io/a.c: nl_free(p); t->free(p); H5free_memory(q);
. "$(dirname "$0")/lib.sh"
code | grep -v '^src/base/' |
    grep -E ':(.*[^A-Za-z0-9_.>])?(malloc|calloc|realloc|aligned_alloc|posix_memalign|strn?dup|v?asprintf|free) *\(' |
    offences "memory outside src/base"
