#include "analysis/escape.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void nl_escape_html(nl_text *out, const char *text)
{
    static const struct {
        char is;
        const char *entity;
    } table[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (; *text; text++) {
        const char *entity = NULL;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            if (table[i].is == *text)
                entity = table[i].entity;
        if (entity)
            nl_text_add_bytes(out, entity, strlen(entity));
        else
            nl_text_add_bytes(out, text, 1);
    }
}

void nl_escape_json(nl_text *out, const char *text)
{
    nl_text_add_bytes(out, "\"", 1);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            nl_text_add(out, "\\%c", c);
        else if (c < 0x20 || c == '<')
            nl_text_add(out, "\\u%04x", c);
        else
            nl_text_add_bytes(out, text, 1);
    }
    nl_text_add_bytes(out, "\"", 1);
}

void nl_escape_json_real(nl_text *out, double value)
{
    char buf[NL_REAL_CHARS];
    nl_text_add(out, "%s", isfinite(value) ? nl_print_real(buf, value) : "null");
}

void nl_escape_gnuplot(nl_text *out, const char *text)
{
    nl_text_add_bytes(out, "'", 1);
    for (; *text; text++) {
        if (*text == '\'')
            nl_text_add_bytes(out, "''", 2);
        else
            nl_text_add_bytes(out, (unsigned char)*text < 0x20 ? " " : text, 1);
    }
    nl_text_add_bytes(out, "'", 1);
}

int64_t nl_text_width(const char *text)
{
    int64_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void nl_text_add_grouped(nl_text *out, int64_t value)
{
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%" PRId64, value);
    for (int i = 0; i < n; i++) {
        nl_text_add_bytes(out, &digits[i], 1);
        if ((n - 1 - i) % 3 == 0 && i + 1 < n && digits[i] != '-')
            nl_text_add_bytes(out, ",", 1);
    }
}
