/* escape.h: text of unknown origin inside other languages. */
#ifndef NL_ESCAPE_H
#define NL_ESCAPE_H

#include <stdint.h>

#include "base/text.h"

void nl_escape_html(nl_text *out, const char *text);  /* also for attribute values in quotes */
void nl_escape_json(nl_text *out, const char *text);  /* with the quotes; can stand in a page */
void nl_escape_json_real(nl_text *out, double value); /* null where not finite */

/* In single quotes for gnuplot, on one line: no commands, no line ends. */
void nl_escape_gnuplot(nl_text *out, const char *text);

/* Columns that UTF-8 text takes on a terminal, one a character. */
int64_t nl_text_width(const char *text);

/* 12500 as "12,500" */
void nl_text_add_grouped(nl_text *out, int64_t value);

#endif
