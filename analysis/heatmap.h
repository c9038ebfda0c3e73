/* heatmap.h: channels of recurrent layers over training (to the right) and the position in the
 * sequence (upwards), values as colours. */
#ifndef NL_HEATMAP_H
#define NL_HEATMAP_H

#include "analysis/rundata.h"
#include "base/text.h"

/* What is shown of each recurrent layer. */
typedef struct nl_heat {
    const char *channel; /* below /layers/LAYER/ */
    const char *title;
    bool logarithmic; /* colours stand for powers of ten */
} nl_heat;

const nl_heat *nl_heat_at(int i); /* NULL past the end */

/* The channel in a run, or NULL where it has none. */
const nl_track *nl_heat_track(const nl_heat *h, const nl_rundata *run, const char *layer);

/* The ends of the colours for several runs: percentiles 1 and 99 of all their values, since a few
 * may lie far off. No number at all gives 0 and 0. */
nl_status nl_heat_range(const nl_heat *h, const nl_track *const *values, int64_t count, double *low,
                        double *high) NL_CHECKED;

/* A gnuplot program; step has the step of each row. */
void nl_heat_draw(const nl_heat *h, const nl_track *values, const nl_track *step, double low,
                  double high, nl_text *out);

#endif
