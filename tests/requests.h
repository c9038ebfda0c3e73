/* requests.h: counts what a program asks of the system for memory: malloc and its kin, mmap, by
 * whatever library. For one source file of a test program. */
#ifndef NL_TEST_REQUESTS_H
#define NL_TEST_REQUESTS_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile int counting;
static volatile long asked;

static void note(void)
{
    if (counting)
        __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
}

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

/* Seen by the shared libraries too, which hidden functions would not be. */
#define SHOWN __attribute__((visibility("default")))

SHOWN void *malloc(size_t bytes)
{
    note();
    return __libc_malloc(bytes);
}

SHOWN void *calloc(size_t count, size_t size)
{
    note();
    return __libc_calloc(count, size);
}

SHOWN void *realloc(void *p, size_t bytes)
{
    note();
    return __libc_realloc(p, bytes);
}

SHOWN void *aligned_alloc(size_t align, size_t bytes)
{
    note();
    return __libc_memalign(align, bytes);
}

SHOWN int posix_memalign(void **p, size_t align, size_t bytes)
{
    enum { OUT_OF_MEMORY = 12 };
    note();
    *p = __libc_memalign(align, bytes);
    return *p ? 0 : OUT_OF_MEMORY;
}

SHOWN void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
    note();
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
}

static void start_counting(void)
{
    asked = 0;
    counting = 1;
}

static long stop_counting(void)
{
    counting = 0;
    return asked;
}

/* Requests of this program and of a library are seen, so that none seen means none made. */
static int counter_counts(void)
{
    start_counting();
    void *volatile mine = malloc(100);
    char *volatile theirs = strdup("of the C library");
    void *volatile mapped = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const long seen = stop_counting();
    munmap(mapped, 1);
    free(mine);
    free(theirs);
    return seen == 3;
}

#endif
