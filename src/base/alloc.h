/* alloc.h: every byte the library takes comes through here; tests make call k fail. */
#ifndef NL_ALLOC_H
#define NL_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#define NL_ALIGN 64 /* bytes: a cache line and an AVX-512 register */

/* Zeroed and aligned to NL_ALIGN; NULL on failure or overflow. A count of 0 gives a valid
 * pointer that may not be read. The caller owns it and frees it with nl_free. From 2 MiB on, on
 * huge pages where Linux has them. */
void *nl_alloc(size_t count, size_t size);
void nl_free(void *p); /* NULL is fine */

/* An array with room for one more item: `old` while count < *room, else a wider copy of its count
 * items, and old is freed. NULL on failure; then old and *room are as they were. */
void *nl_alloc_more(void *old, int64_t count, int64_t *room, size_t size);

/* A copy of text on the heap, or NULL. */
char *nl_strdup(const char *text);

/* Calls so far, blocks not yet freed, and the index of the call that shall fail (-1: none). */
long nl_alloc_calls(void);
long nl_alloc_live(void);
void nl_alloc_fail_at(long call); /* counts from the next call: 0 is the next */

#endif
