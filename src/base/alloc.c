#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21 };

static atomic_long calls, live, fail_at = -1;

static size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

/* A step walks through more memory than a core's table of 4 KiB pages reaches; where the system
 * gives huge pages only on request, this is the request. */
static void *aligned(size_t bytes)
{
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE) {
        void *p = aligned_alloc(HUGE_PAGE, round_up(bytes, HUGE_PAGE));
        if (p)
            madvise(p, bytes, MADV_HUGEPAGE); /* advice: may fail */
        return p;
    }
#endif
    return aligned_alloc(NL_ALIGN, bytes);
}

void *nl_alloc(size_t count, size_t size)
{
    if (atomic_fetch_add(&calls, 1) == atomic_load(&fail_at))
        return NULL;
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE)
        return NULL;
    bytes = round_up(bytes ? bytes : 1, NL_ALIGN);
    void *p = aligned(bytes);
    if (!p)
        return NULL;
    memset(p, 0, bytes);
    atomic_fetch_add(&live, 1);
    return p;
}

void nl_free(void *p)
{
    if (p)
        atomic_fetch_sub(&live, 1);
    free(p);
}

void *nl_alloc_more(void *old, int64_t count, int64_t *room, size_t size)
{
    if (count < *room)
        return old;
    const int64_t wider = *room ? 2 * *room : 16;
    void *at = nl_alloc((size_t)wider, size);
    if (!at)
        return NULL;
    if (count)
        memcpy(at, old, (size_t)count * size);
    nl_free(old);
    *room = wider;
    return at;
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
