/* series.h: the numbers of a chart, thinned to what can be seen. */
#ifndef NL_SERIES_H
#define NL_SERIES_H

#include "analysis/charts.h"

/* Run r of the comparison, thinned: point i is at step x[i] and has width values in y. Runs of one
 * method have their points at the same steps, of which a run that ended early has fewer. */
typedef struct nl_series {
    int64_t points, width;
    double *x, *y; /* owned: one allocation, at x */
} nl_series;

nl_status nl_series_take(nl_series *out, const nl_charts *s, const nl_chart *chart,
                         int64_t run) NL_CHECKED; /* points 0: not logged */
void nl_series_free(nl_series *p);

/* Rows of a heat map that are shown, and the one of the channel that row k stands for. */
int64_t nl_heat_width(const nl_chart *chart);
int64_t nl_heat_row(const nl_chart *chart, int64_t k);

/* The values that the cells of ridges span; cell k of n is from low + k (high - low) / n on. */
typedef struct nl_span {
    double low, high;
} nl_span;
enum { NL_RIDGE_CELLS = 36 };
nl_span nl_ridge_span(const nl_charts *s, const nl_chart *chart);

/* What a forest shows of a method: its interval, in the chart's unit, and the values behind. */
typedef struct nl_forest_row {
    nl_interval is; /* n 0: nothing */
    double *at;     /* owned */
    int64_t count;
} nl_forest_row;
nl_status nl_forest_take(nl_forest_row *out, const nl_charts *s, const nl_chart *chart,
                         int64_t method) NL_CHECKED;
void nl_forest_free(nl_forest_row *row);

/* Several runs make one curve: their mean with its Student t interval, on logarithms where the
 * ordinate is one. Of fewer than NL_BAND_SEEDS runs the interval says little, and their range
 * stands in its place. */
enum { NL_BAND_SEEDS = 4 };

typedef struct nl_band {
    double mean, low, high;
} nl_band;
nl_band nl_band_of(double *y, int64_t n, bool logarithmic, double level); /* y is changed */

/* A method's scores at value k of a view, in the chart's unit; NaN where there is none. */
nl_status nl_view_take(nl_band *out, const nl_charts *s, const nl_chart *chart, int64_t k,
                       int64_t method) NL_CHECKED;

#endif
