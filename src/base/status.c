#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NL_TEXT(code, text) text,
static const char *const status_text[] = {NL_STATUS_LIST(NL_TEXT)};
#undef NL_TEXT

static _Thread_local char message[1024];
static _Thread_local char trace[512];

const char *nl_status_text(nl_status st)
{
    return (unsigned)st < NL_STATUS_COUNT ? status_text[st] : "unknown status";
}

const char *nl_last_error(void) { return message; }
const char *nl_last_trace(void) { return trace; }

static const char *file_in_tree(const char *path)
{
    static const char *const roots[] = {"/src/", "/norms/", "/models/", "/datasets/", "/analysis/"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        const char *at = strstr(path, roots[i]);
        if (at)
            return at + 1;
    }
    return path;
}

void nl_fail_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    snprintf(trace, sizeof trace, "%s:%d", file_in_tree(file), line);
}

nl_status nl_trace(const char *file, int line, nl_status st)
{
    const size_t used = strlen(trace);
    snprintf(trace + used, sizeof trace - used, " <- %s:%d", file_in_tree(file), line);
    return st;
}

void nl_error_prefix(const char *fmt, ...)
{
    char place[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(place, sizeof place, fmt, ap);
    va_end(ap);
    const size_t used = strlen(place), room = sizeof message - 1;
    const size_t keep = strlen(message) < room - used ? strlen(message) : room - used;
    memmove(message + used, message, keep);
    memcpy(message, place, used);
    message[used + keep] = 0;
}
