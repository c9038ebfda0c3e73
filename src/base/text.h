/* text.h: strings that grow, strict numbers, and the nearest known name. */
#ifndef NL_TEXT_H
#define NL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A string that grows. Zero-initialised is empty; a failed allocation sticks (nl_text_status). */
typedef struct nl_text {
    char *at; /* NUL-terminated once anything was added; owned */
    size_t used, room;
    bool failed;
} nl_text;

void nl_text_add(nl_text *t, const char *fmt, ...) NL_PRINTF(2, 3);
void nl_text_add_bytes(nl_text *t, const char *bytes, size_t count);
void nl_text_clear(nl_text *t); /* keeps the room */
void nl_text_free(nl_text *t);
const char *nl_text_of(const nl_text *t); /* never NULL */
nl_status nl_text_status(const nl_text *t) NL_CHECKED;

/* The whole of text as one finite number or whole number; false otherwise. */
bool nl_read_real(const char *text, double *out);
bool nl_read_int(const char *text, int64_t *out); /* accepts 5000 and 5e3 */

/* Shortest decimal that reads back as the same double. buf needs NL_REAL_CHARS. */
#define NL_REAL_CHARS 32
const char *nl_print_real(char *buf, double v);

/* Levenshtein distance; names longer than 63 characters are infinitely far. */
int nl_edit_distance(const char *a, const char *b);

/* Keeps the nearest of the offered names: start with {.wanted = "bacth"}. */
typedef struct nl_nearest {
    const char *wanted, *best;
    int distance;
} nl_nearest;
void nl_nearest_offer(nl_nearest *n, const char *name);
/* "; did you mean 'batch'?" or "" when nothing is near. */
const char *nl_nearest_hint(const nl_nearest *n, char *buf, size_t room);

#endif
