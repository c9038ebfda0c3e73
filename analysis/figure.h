/* figure.h: gnuplot programs as SVG that can stand inside a page, or as files for papers. */
#ifndef NL_FIGURE_H
#define NL_FIGURE_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct nl_figure {
    double width, height; /* of the drawing, in points; it scales with the page */
    nl_text program;      /* gnuplot, after `set term` and `set output` */
    nl_text label;        /* what a reader who cannot see it is told */
    nl_text svg;          /* filled by nl_figures_draw */
} nl_figure;

/* Draws all of them with one run of gnuplot. NL_ENAME: gnuplot is not installed; NL_EIO: it failed,
 * with its first complaint. */
nl_status nl_figures_draw(nl_figure *figures, int64_t count) NL_CHECKED;
void nl_figure_free(nl_figure *f);

enum { NL_PAGE_LETTERS = 12 /* size of letters in a page's drawings */ };

/* What a figure is printed with. */
typedef struct nl_print {
    const char *font; /* a family that fontconfig finds; it is embedded in PDF */
    double letters;   /* their size in points */
    int64_t dpi;      /* of PNG */
} nl_print;

/* Whether a file of this name can be written: .pdf, .svg or .png. */
nl_status nl_figure_check_ending(const char *path) NL_CHECKED;

/* Writes one figure at its size to a file, whose name says the format. The same figure gives the
 * same bytes, but for the date in a PDF. Fails as nl_figures_draw; the file is written whole or not
 * at all. */
nl_status nl_figure_save(const nl_figure *f, const nl_print *print, const char *path) NL_CHECKED;

/* Okabe and Ito's colours, safe for the colour-blind: "#0072B2". The first is for the baseline. */
const char *nl_figure_colour(int64_t i);

#endif
