#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long calls, live, fail_at = -1;

void *nl_alloc(size_t count, size_t size)
{
    if (atomic_fetch_add(&calls, 1) == atomic_load(&fail_at))
        return NULL;
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - NL_ALIGN)
        return NULL;
    bytes = (bytes + NL_ALIGN - 1) / NL_ALIGN * NL_ALIGN;
    void *p = aligned_alloc(NL_ALIGN, bytes ? bytes : NL_ALIGN);
    if (!p)
        return NULL;
    memset(p, 0, bytes ? bytes : NL_ALIGN);
    atomic_fetch_add(&live, 1);
    return p;
}

void nl_free(void *p)
{
    if (p)
        atomic_fetch_sub(&live, 1);
    free(p);
}

char *nl_strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = nl_alloc(n, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

long nl_alloc_calls(void) { return atomic_load(&calls); }
long nl_alloc_live(void) { return atomic_load(&live); }

void nl_alloc_fail_at(long call)
{
    atomic_store(&fail_at, call < 0 ? -1 : atomic_load(&calls) + call);
}
