/* text.h: strings that grow, strict numbers, and what to say of an unknown name. */
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

/* Whether a name is one of "0.01, 0.1". */
bool nl_is_listed(const char *list, const char *name);

/* What is said of a name that is not there. Start with the name, and with where the known ones are
 * listed if they are too many for a message; offer every known one:
 *     nl_nearest near = {.wanted = "bacth", .see = "normlab norms"};
 *     for (...)
 *         if (nl_nearest_offer(&near, known[i]->name))
 *             return known[i];
 *     nl_fail(NL_ENAME, "no method '%s'%s", near.wanted, nl_nearest_hint(&near)); */
enum { NL_NEAREST_CHARS = 64, NL_KNOWN_CHARS = 704 };
typedef struct nl_nearest {
    const char *wanted, *see;
    char best[NL_NEAREST_CHARS];
    int distance; /* of best */
    char known[NL_KNOWN_CHARS], hint[NL_KNOWN_CHARS + 3 * NL_NEAREST_CHARS];
} nl_nearest;
bool nl_nearest_offer(nl_nearest *n, const char *name); /* whether it is the wanted one */
/* "; did you mean 'batch'?" where one is near, then " (known: batch, layer)" or " (see: normlab
 * norms)". Good as long as *n is. */
const char *nl_nearest_hint(nl_nearest *n);

#endif
