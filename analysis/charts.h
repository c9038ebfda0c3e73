/* charts.h: everything that can be seen in a comparison, one chart a thing. A table of kinds
 * (charts.c) says what there is; each kind has a chart wherever some run logged its channel. A page
 * shows all of them (pagedata.h), `normlab figure` any one (draw.h), and both see the same numbers
 * (series.h). */
#ifndef NL_CHARTS_H
#define NL_CHARTS_H

#include "analysis/study.h"

typedef enum nl_chart_shape {
    NL_LINE,   /* one value a step, a curve for each method */
    NL_BANDS,  /* percentiles 5, 15, 50, 85, 95 a step, a panel for each method */
    NL_RIDGES, /* densities at some steps, one above the other, a panel for each method */
    NL_HEAT,   /* many values a step, as colours, a panel for each method */
    NL_FOREST, /* one interval for each method, with the values of its runs */
    NL_VIEW    /* the score over a key that differs between tasks, a curve for each method */
} nl_chart_shape;

/* What a forest shows of a method: the interval, and its runs' values in at[m->count]; how many
 * values there are is returned. */
typedef int64_t nl_forest(const nl_compare *c, const nl_method *m, nl_interval *is, double *at);

typedef struct nl_chart_kind {
    const char *name; /* "percentiles", as `normlab figure` calls it */
    const char *section, *title, *unit;
    const char *note;    /* or NULL */
    const char *channel; /* "/layers/@/post/percentiles"; @ is any layer, slot or variable */
    nl_forest *forest;   /* of NL_FOREST */
    double nothing;      /* where a forest's methods do not differ; NaN: nowhere */
    double scale;        /* from the file's unit to the chart's; 0 means 1 */
    nl_chart_shape shape;
    bool logarithmic; /* ordinate, or colours */
    bool rare;        /* not drawn where all is 0 */
    bool percentiles; /* NL_BANDS: the channel holds the seven of run files, else values to sort */
    bool is_probe;    /* the shape follows what was measured */
    bool to_baseline; /* the baseline's name ends the title */
} nl_chart_kind;

/* Kinds in the order of a page; NULL past the end. */
const nl_chart_kind *nl_chart_kind_at(int i);

typedef struct nl_chart {
    const nl_chart_kind *is;
    nl_chart_shape shape;
    bool percentiles;
    double scale;                   /* never 0 */
    const char *unit;               /* never NULL */
    const char *end;                /* what ends the title: a baseline; never NULL */
    const char *channel;            /* in full; "" of forests and views */
    const nl_view *view;            /* of NL_VIEW */
    char of[128];                   /* what @ stands for: "h3/preact"; "" without */
    const nl_track **value, **step; /* one a run of the comparison; NULL where it was not logged */
    double ref;                     /* a line across; NaN: none */
    int64_t layer, place;           /* of layer and of `of` among all, in the network's order */
} nl_chart;

typedef struct nl_charts {
    const nl_compare *c;   /* of one task */
    const nl_study *study; /* or of several; the other is NULL */
    nl_chart *at;          /* by kind, then in the network's order; owned */
    int64_t count;
} nl_charts;

nl_status nl_charts_find(nl_charts *out, const nl_compare *c) NL_CHECKED;
/* The views of a study: all other charts are of one of its tasks. */
nl_status nl_charts_find_views(nl_charts *out, const nl_study *s) NL_CHECKED;
void nl_charts_free(nl_charts *s);

/* "h3/preact: after the norm", "Difference to none", "Score over optimizer.lr" */
void nl_chart_add_title(const nl_chart *chart, nl_text *out);

/* "h3" of "h3/preact": what a page filters by. */
size_t nl_chart_layer_length(const nl_chart *chart);

/* The chart of a kind: of what is said ("h3/preact", or "h3" for the first there; "optimizer.lr" of
 * a view), else of the last hidden layer. NULL: there is none. */
const nl_chart *nl_charts_one(const nl_charts *s, const nl_chart_kind *kind, const char *of);

#endif
