/* figure.h: gnuplot programs to SVG that can stand inside a page. */
#ifndef NL_FIGURE_H
#define NL_FIGURE_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct nl_figure {
    int width, height; /* of the drawing; it scales with the page */
    nl_text program;   /* gnuplot, after `set term` and `set output` */
    nl_text label;     /* what a reader who cannot see it is told */
    nl_text svg;       /* filled by nl_figures_draw */
} nl_figure;

/* Draws all of them with one run of gnuplot. NL_ENAME: gnuplot is not installed; NL_EIO: it failed,
 * with its first complaint. */
nl_status nl_figures_draw(nl_figure *figures, int64_t count) NL_CHECKED;
void nl_figure_free(nl_figure *f);

/* Okabe and Ito's colours, safe for the colour-blind: "#0072B2". The first is for the baseline. */
const char *nl_figure_colour(int64_t i);

#endif
