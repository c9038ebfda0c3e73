/* sheet.h: a table cell by cell, as aligned text for people or as CSV and JSON for programs. */
#ifndef NL_SHEET_H
#define NL_SHEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* Zero-initialised is empty. Cells are added row by row; the first row is of the titles. A failed
 * allocation sticks in the text that the sheet is written to. */
typedef struct nl_sheet {
    nl_text bytes;                /* of all cells, each ended by NUL */
    int64_t *cell;                /* where each begins; negative (~at) for a number */
    int64_t cells, room, columns; /* columns: cells of the first row, set by its end */
    bool failed;
} nl_sheet;

void nl_sheet_free(nl_sheet *s);
void nl_sheet_text(nl_sheet *s, const char *text);
void nl_sheet_real(nl_sheet *s, double value);       /* NaN: empty, null in JSON */
void nl_sheet_number(nl_sheet *s, const char *text); /* a number as people shall read it */
void nl_sheet_end(nl_sheet *s);                      /* of the row of titles */

/* Columns aligned: numbers to the right, texts, and the titles above them, to the left. */
void nl_sheet_print(const nl_sheet *s, nl_text *out);
/* A table of a page. Verdicts are of the class "better" or "worse"; dot gives the colour that
 * stands before row 0, 1, ... below the titles, or is NULL. */
void nl_sheet_html(const nl_sheet *s, const char *(*dot)(int64_t row), nl_text *out);
void nl_sheet_csv(const nl_sheet *s, nl_text *out);  /* RFC 4180 with plain line ends */
void nl_sheet_json(const nl_sheet *s, nl_text *out); /* an array of objects keyed by titles */

#endif
