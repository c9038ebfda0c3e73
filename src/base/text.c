#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static bool grow(nl_text *t, size_t more)
{
    if (t->failed)
        return false;
    if (t->used + more + 1 <= t->room)
        return true;
    const size_t room = 2 * (t->used + more + 64);
    char *at = nl_alloc(room, 1);
    if (!at) {
        t->failed = true;
        return false;
    }
    if (t->used)
        memcpy(at, t->at, t->used);
    nl_free(t->at);
    t->at = at;
    t->room = room;
    return true;
}

void nl_text_add_bytes(nl_text *t, const char *bytes, size_t count)
{
    if (!grow(t, count))
        return;
    memcpy(t->at + t->used, bytes, count);
    t->used += count;
    t->at[t->used] = 0;
}

void nl_text_add(nl_text *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && grow(t, (size_t)n)) {
        vsnprintf(t->at + t->used, (size_t)n + 1, fmt, again);
        t->used += (size_t)n;
    }
    va_end(again);
}

void nl_text_clear(nl_text *t)
{
    t->used = 0;
    if (t->at)
        t->at[0] = 0;
}

void nl_text_free(nl_text *t)
{
    nl_free(t->at);
    *t = (nl_text){0};
}

const char *nl_text_of(const nl_text *t) { return t->at ? t->at : ""; }

nl_status nl_text_status(const nl_text *t)
{
    return t->failed ? nl_fail(NL_ENOMEM, "a text of %zu characters", t->used) : NL_OK;
}

bool nl_read_real(const char *text, double *out)
{
    char *end = NULL;
    if (!text[0] || strspn(text, "0123456789+-.eExXpPaAbBcCdDfF") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*out);
}

bool nl_read_int(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    const long long whole = strtoll(text, &end, 10);
    if (text[0] && !strchr(" \t\n\v\f\r", text[0]) && end != text && *end == 0 && errno == 0) {
        *out = whole;
        return true;
    }
    double v; /* 5e3 is a whole number too */
    if (strspn(text, "0123456789+-.eE") != strlen(text) || !nl_read_real(text, &v) ||
        v != floor(v) || fabs(v) > 0x1p53)
        return false;
    *out = (int64_t)v;
    return true;
}

const char *nl_print_real(char *buf, double v)
{
    if (v == floor(v) && fabs(v) < 1e9) { /* 100 rather than 1e+02 */
        snprintf(buf, NL_REAL_CHARS, "%.0f", v);
        return buf;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, NL_REAL_CHARS, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    char *plus = strchr(buf, '+'); /* 1e9 rather than 1e+9: '+' joins methods in a spec */
    if (plus)
        memmove(plus, plus + 1, strlen(plus));
    return buf;
}

int nl_edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 63, FAR = 1000 };
    const size_t n = strlen(a), m = strlen(b);
    int row[LONGEST + 1];
    if (n > LONGEST || m > LONGEST)
        return FAR;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            const int swap = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int best = swap;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

bool nl_is_listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at++)
        if ((at == list || at[-1] == ' ') && (at[n] == ',' || !at[n]))
            return true;
    return false;
}

/* Each name once; a list that is full says so. */
static void list_name(char known[NL_KNOWN_CHARS], const char *name)
{
    if (nl_is_listed(known, name))
        return;
    static const char more[] = ", ...";
    const size_t used = strlen(known), need = strlen(name) + 2;
    if (used + need + sizeof more <= NL_KNOWN_CHARS)
        snprintf(known + used, NL_KNOWN_CHARS - used, "%s%s", used ? ", " : "", name);
    else if (!used || known[used - 1] != '.')
        snprintf(known + used, NL_KNOWN_CHARS - used, "%s", more);
}

bool nl_nearest_offer(nl_nearest *n, const char *name)
{
    const int d = nl_edit_distance(n->wanted, name);
    if (!n->best[0] || d < n->distance) {
        snprintf(n->best, sizeof n->best, "%s", name);
        n->distance = d;
    }
    if (!n->see)
        list_name(n->known, name);
    return strcmp(n->wanted, name) == 0;
}

const char *nl_nearest_hint(nl_nearest *n)
{
    char guess[2 * NL_NEAREST_CHARS] = "";
    if (n->best[0] && n->distance <= 2 && n->distance < (int)strlen(n->wanted))
        snprintf(guess, sizeof guess, "; did you mean '%s'?", n->best);
    const char *names = n->see ? n->see : n->known[0] ? n->known : "none";
    snprintf(n->hint, sizeof n->hint, "%s (%s: %s)", guess, n->see ? "see" : "known", names);
    return n->hint;
}
