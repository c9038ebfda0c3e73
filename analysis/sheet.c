#include "analysis/sheet.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "analysis/escape.h"
#include "base/alloc.h"

void nl_sheet_free(nl_sheet *s)
{
    nl_text_free(&s->bytes);
    nl_free(s->cell);
    *s = (nl_sheet){0};
}

static bool make_room(nl_sheet *s)
{
    int64_t *cell = nl_alloc_more(s->cell, s->cells, &s->room, sizeof *cell);
    if (cell)
        s->cell = cell;
    return cell;
}

static void add(nl_sheet *s, const char *text, bool number)
{
    const int64_t at = (int64_t)s->bytes.used;
    nl_text_add_bytes(&s->bytes, text, strlen(text) + 1);
    s->failed = s->failed || s->bytes.failed || !make_room(s);
    if (!s->failed)
        s->cell[s->cells++] = number ? ~at : at;
}

void nl_sheet_text(nl_sheet *s, const char *text) { add(s, text, false); }
void nl_sheet_number(nl_sheet *s, const char *text) { add(s, text, true); }

void nl_sheet_real(nl_sheet *s, double value)
{
    char buf[NL_REAL_CHARS];
    add(s, isnan(value) ? "" : nl_print_real(buf, value), true);
}

void nl_sheet_end(nl_sheet *s)
{
    if (!s->columns)
        s->columns = s->cells;
}

static bool is_number(const nl_sheet *s, int64_t i) { return s->cell[i] < 0; }

static const char *text_at(const nl_sheet *s, int64_t i)
{
    return s->bytes.at + (is_number(s, i) ? ~s->cell[i] : s->cell[i]);
}

static int64_t rows(const nl_sheet *s) { return s->columns ? s->cells / s->columns : 0; }

static int64_t column_width(const nl_sheet *s, int64_t column)
{
    int64_t width = 0;
    for (int64_t i = column; i < s->cells; i += s->columns) {
        const int64_t w = nl_text_width(text_at(s, i));
        width = w > width ? w : width;
    }
    return width;
}

static void print_cell(const nl_sheet *s, int64_t i, int64_t column, nl_text *out)
{
    const char *text = text_at(s, i);
    const int gap = (int)(column_width(s, column) - nl_text_width(text));
    const int64_t below = column + s->columns; /* a title stands as its column does */
    const bool right = is_number(s, i < s->columns && below < s->cells ? below : i);
    nl_text_add(out, "%s%*s%s", column ? "   " : "", right ? gap : 0, "", text);
    if (!right && column + 1 < s->columns)
        nl_text_add(out, "%*s", gap, "");
}

static void take_failure(const nl_sheet *s, nl_text *out)
{
    out->failed = out->failed || s->failed;
}

void nl_sheet_print(const nl_sheet *s, nl_text *out)
{
    for (int64_t row = 0; row < rows(s); row++) {
        for (int64_t column = 0; column < s->columns; column++)
            print_cell(s, row * s->columns + column, column, out);
        nl_text_add(out, "\n");
    }
    take_failure(s, out);
}

static void html_cell(const nl_sheet *s, int64_t i, const char *dot, nl_text *out)
{
    const char *text = text_at(s, i);
    const int64_t below = i + s->columns;
    const bool title = i < s->columns;
    const bool right = is_number(s, title && below < s->cells ? below : i);
    const bool verdict = strcmp(text, "better") == 0 || strcmp(text, "worse") == 0;
    nl_text_add(out, title ? "<th scope=\"col\"" : "<td");
    if (verdict || right)
        nl_text_add(out, " class=\"%s\"", verdict ? text : "number");
    nl_text_add(out, ">");
    if (dot)
        nl_text_add(out, "<span class=\"dot\" style=\"background:%s\"></span>", dot);
    nl_escape_html(out, text);
    nl_text_add(out, title ? "</th>" : "</td>");
}

void nl_sheet_html(const nl_sheet *s, const char *(*dot)(int64_t row), nl_text *out)
{
    nl_text_add(out, "<div class=\"wide\"><table>\n");
    for (int64_t i = 0; s->columns && i < s->cells; i++) {
        const bool first = i % s->columns == 0;
        nl_text_add(out, first ? "<tr>" : "");
        html_cell(s, i, first && dot && i ? dot(i / s->columns - 1) : NULL, out);
        nl_text_add(out, (i + 1) % s->columns ? "" : "</tr>\n");
    }
    nl_text_add(out, "</table></div>\n");
    take_failure(s, out);
}

static void csv_cell(const char *text, nl_text *out)
{
    if (!strpbrk(text, ",\"\r\n")) {
        nl_text_add(out, "%s", text);
        return;
    }
    nl_text_add(out, "\"");
    for (; *text; text++)
        nl_text_add(out, *text == '"' ? "\"\"" : "%c", *text);
    nl_text_add(out, "\"");
}

void nl_sheet_csv(const nl_sheet *s, nl_text *out)
{
    for (int64_t i = 0; s->columns && i < s->cells; i++) {
        csv_cell(text_at(s, i), out);
        nl_text_add(out, (i + 1) % s->columns ? "," : "\n");
    }
    take_failure(s, out);
}

static void json_cell(const nl_sheet *s, int64_t i, nl_text *out)
{
    double value;
    if (!is_number(s, i))
        nl_escape_json(out, text_at(s, i));
    else if (nl_read_real(text_at(s, i), &value))
        nl_text_add(out, "%s", text_at(s, i));
    else
        nl_text_add(out, "null");
}

void nl_sheet_json(const nl_sheet *s, nl_text *out)
{
    nl_text_add(out, "[");
    for (int64_t row = 1; row < rows(s); row++) {
        nl_text_add(out, "%s\n {", row > 1 ? "," : "");
        for (int64_t column = 0; column < s->columns; column++) {
            nl_text_add(out, "%s", column ? ", " : "");
            nl_escape_json(out, text_at(s, column));
            nl_text_add(out, ": ");
            json_cell(s, row * s->columns + column, out);
        }
        nl_text_add(out, "}");
    }
    nl_text_add(out, "]\n");
    take_failure(s, out);
}
