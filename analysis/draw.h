/* draw.h: any chart as a gnuplot program, for figures of papers and for pages without scripts. */
#ifndef NL_DRAW_H
#define NL_DRAW_H

#include "analysis/charts.h"

/* Lengths are points of 1/72 inch. */
typedef struct nl_look {
    double width, height; /* height 0: what the chart needs at this width */
    double font;          /* size of letters */
} nl_look;

/* Fills in the height. */
void nl_draw_fit(const nl_charts *s, const nl_chart *chart, nl_look *look);

/* Appends the program, without terminal and output. */
nl_status nl_draw(const nl_charts *s, const nl_chart *chart, const nl_look *look,
                  nl_text *out) NL_CHECKED;

/* What a reader who cannot see it is told: "Activations, h3/preact after the norm: none, batch". */
void nl_draw_label(const nl_charts *s, const nl_chart *chart, nl_text *out);

#endif
