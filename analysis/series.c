#include "analysis/series.h"

#include <math.h>
#include <string.h>

#include "analysis/sample.h"
#include "base/alloc.h"

enum {
    LINE_POINTS = 200,
    BAND_POINTS = 100,
    HEAT_POINTS = 60,
    RIDGES = 8,
    HEAT_ROWS = 100,
    BANDS = 5
};

/* Rows [from, to) that point i stands for. */
typedef struct bin {
    int64_t from, to;
} bin;

static bin bin_of(int64_t rows, int64_t points, int64_t i)
{
    return (bin){rows * i / points, rows * (i + 1) / points};
}

static double mean_of(const nl_track *v, bin b)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t r = b.from; r < b.to; r++)
        if (isfinite(v->at[r * v->width]))
            sum += v->at[r * v->width], n++;
    return n ? sum / (double)n : NAN;
}

/* The percentiles 5, 15, 50, 85, 95 of a row: logged ones, or those of its values. */
static void five_of(const nl_track *v, int64_t row, bool logged, double *scratch, double q[BANDS])
{
    static const double share[] = {0.05, 0.15, 0.5, 0.85, 0.95};
    const double *at = v->at + row * v->width;
    if (logged && v->width == BANDS + 2) {
        memcpy(q, at + 1, BANDS * sizeof *q);
        return;
    }
    memcpy(scratch, at, (size_t)v->width * sizeof *scratch);
    nl_sort(scratch, v->width);
    for (int k = 0; k < BANDS; k++)
        q[k] = nl_quantile_sorted(scratch, v->width, share[k]);
}

static const nl_track *first_value(const nl_chart *chart)
{
    int64_t r = 0;
    while (!chart->value[r])
        r++;
    return chart->value[r];
}

int64_t nl_heat_width(const nl_chart *chart)
{
    const int64_t width = first_value(chart)->width;
    return width < HEAT_ROWS ? width : HEAT_ROWS;
}

int64_t nl_heat_row(const nl_chart *chart, int64_t k)
{
    return bin_of(first_value(chart)->width, nl_heat_width(chart), k).from;
}

/* ---- Ridges: histograms as densities on cells of the same width */

/* One row of a histogram: bin k counts values from edge[k] to edge[k + 1]; the outermost ones have
 * no other end. */
typedef struct histogram {
    const double *count, *edge;
    int64_t bins;
    double total;
} histogram;

static bool read_histogram(const nl_rundata *run, const nl_track *v, int64_t row, histogram *h)
{
    const nl_track *edges =
        nl_rundata_track(run, "/%.*s/bin", (int)strcspn(v->name + 1, "/"), v->name + 1);
    if (!edges || edges->rows != v->width)
        return false;
    *h = (histogram){v->at + row * v->width, edges->at, v->width, 0};
    for (int64_t k = 0; k < h->bins; k++)
        h->total += h->count[k];
    return h->total > 0;
}

/* What lies beyond the edges is put at them. */
static double lower(const histogram *h, int64_t k) { return h->edge[k > 0 ? k : 1]; }
static double upper(const histogram *h, int64_t k)
{
    return h->edge[k + 1 < h->bins ? k + 1 : h->bins - 1];
}

/* The share of values below x; in a bin they lie evenly. */
static double share_below(const histogram *h, double x)
{
    double below = 0;
    for (int64_t k = 0; k < h->bins && lower(h, k) < x; k++) {
        const double width = upper(h, k) - lower(h, k);
        below += h->count[k] * (upper(h, k) <= x ? 1 : (x - lower(h, k)) / width);
    }
    return below / h->total;
}

/* The edge of the bin in which this share lies. */
static double edge_at(const histogram *h, double share)
{
    double below = 0;
    for (int64_t k = 0; k < h->bins; k++) {
        below += h->count[k];
        if (below > share * h->total)
            return share < 0.5 ? lower(h, k) : upper(h, k);
    }
    return h->edge[h->bins - 1];
}

nl_span nl_ridge_span(const nl_charts *s, const nl_chart *chart)
{
    static const double cut = 0.002;
    nl_span span = {INFINITY, -INFINITY};
    histogram h;
    for (int64_t r = 0; r < s->c->runs_count; r++)
        for (int64_t i = 0; chart->value[r] && i < chart->value[r]->rows; i++)
            if (read_histogram(s->c->runs[r], chart->value[r], i, &h)) {
                span.low = fmin(span.low, edge_at(&h, cut));
                span.high = fmax(span.high, edge_at(&h, 1 - cut));
            }
    return span;
}

static void take_densities(const nl_charts *s, const nl_chart *chart, int64_t run, int64_t row,
                           nl_span span, double *y)
{
    histogram h = {0};
    const double width = (span.high - span.low) / NL_RIDGE_CELLS;
    const bool some = read_histogram(s->c->runs[run], chart->value[run], row, &h);
    for (int64_t k = 0; k < NL_RIDGE_CELLS; k++) {
        const double from = span.low + (double)k * width;
        y[k] = some ? (share_below(&h, from + width) - share_below(&h, from)) / width : NAN;
    }
}

static void take_point(nl_series *p, const nl_chart *chart, const nl_track *v, int64_t i, bin b,
                       double *scratch)
{
    double *y = p->y + i * p->width;
    if (chart->shape == NL_LINE)
        *y = mean_of(v, b);
    else if (chart->shape == NL_BANDS)
        five_of(v, b.to - 1, chart->percentiles, scratch, y);
    else
        for (int64_t k = 0; k < p->width; k++)
            y[k] = v->at[(b.to - 1) * v->width + nl_heat_row(chart, k)];
    for (int64_t k = 0; k < p->width; k++)
        y[k] *= chart->scale;
}

/* The longest run of the method that run r is of. */
static int64_t longest(const nl_charts *s, const nl_chart *chart, int64_t run)
{
    int64_t first = 0, m = 0, rows = 0;
    while (run >= first + s->c->methods[m].count)
        first += s->c->methods[m++].count;
    for (int64_t r = first; r < first + s->c->methods[m].count; r++)
        if (chart->value[r] && chart->value[r]->rows > rows)
            rows = chart->value[r]->rows;
    return rows;
}

static int64_t width_of(const nl_chart *chart)
{
    switch (chart->shape) {
    case NL_BANDS: return BANDS;
    case NL_HEAT: return nl_heat_width(chart);
    case NL_RIDGES: return NL_RIDGE_CELLS;
    default: return 1;
    }
}

nl_status nl_series_take(nl_series *out, const nl_charts *s, const nl_chart *chart, int64_t run)
{
    static const int64_t most[] = {[NL_LINE] = LINE_POINTS,
                                   [NL_BANDS] = BAND_POINTS,
                                   [NL_HEAT] = HEAT_POINTS,
                                   [NL_RIDGES] = RIDGES};
    const nl_track *v = chart->value ? chart->value[run] : NULL;
    *out = (nl_series){0};
    if (!v || (chart->shape == NL_HEAT && v->width != first_value(chart)->width))
        return NL_OK; /* rows of a heat map are those of the first run */
    const int64_t rows = longest(s, chart, run);
    const int64_t points = rows < most[chart->shape] ? rows : most[chart->shape];
    out->width = width_of(chart);
    out->x = nl_alloc((size_t)(points * (1 + out->width) + v->width), sizeof *out->x);
    if (!out->x)
        return nl_fail(NL_ENOMEM, "chart of %s", chart->channel);
    out->y = out->x + points;
    const nl_span span = chart->shape == NL_RIDGES ? nl_ridge_span(s, chart) : (nl_span){0, 0};
    for (int64_t i = 0; i < points && bin_of(rows, points, i).from < v->rows; i++) {
        bin b = bin_of(rows, points, i);
        b.to = b.to < v->rows ? b.to : v->rows;
        out->x[i] = chart->step[run]->at[b.to - 1];
        if (chart->shape == NL_RIDGES)
            take_densities(s, chart, run, b.to - 1, span, out->y + i * out->width);
        else
            take_point(out, chart, v, i, b, out->y + points * out->width);
        out->points++;
    }
    return NL_OK;
}

void nl_series_free(nl_series *p)
{
    nl_free(p->x);
    *p = (nl_series){0};
}

nl_status nl_forest_take(nl_forest_row *out, const nl_charts *s, const nl_chart *chart,
                         int64_t method)
{
    const nl_method *m = &s->c->methods[method];
    *out = (nl_forest_row){.at = nl_alloc((size_t)m->count, sizeof *out->at)};
    if (!out->at)
        return nl_fail(NL_ENOMEM, "chart of %lld runs", (long long)m->count);
    out->count = chart->is->forest(s->c, m, &out->is, out->at);
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] *= chart->scale;
    out->is.mean *= chart->scale;
    out->is.low *= chart->scale;
    out->is.high *= chart->scale;
    return NL_OK;
}

void nl_forest_free(nl_forest_row *row)
{
    nl_free(row->at);
    *row = (nl_forest_row){0};
}

nl_band nl_band_of(double *y, int64_t n, bool logarithmic, double level)
{
    int64_t kept = 0;
    nl_band b = {NAN, NAN, NAN};
    for (int64_t i = 0; i < n; i++)
        if (isfinite(y[i]) && !(logarithmic && y[i] <= 0))
            y[kept++] = logarithmic ? log(y[i]) : y[i];
    if (!kept)
        return b;
    nl_sort(y, kept);
    const nl_interval is = nl_mean_interval(y, kept, level);
    b = kept < NL_BAND_SEEDS ? (nl_band){is.mean, y[0], y[kept - 1]}
                             : (nl_band){is.mean, is.low, is.high};
    return logarithmic ? (nl_band){exp(b.mean), exp(b.low), exp(b.high)} : b;
}

nl_status nl_view_take(nl_band *out, const nl_charts *s, const nl_chart *chart, int64_t k,
                       int64_t method)
{
    const int64_t task = chart->view->task[k];
    const nl_compare *c = s->study->task[task].compare;
    const nl_method *m = nl_study_method(s->study, task, method);
    *out = (nl_band){NAN, NAN, NAN};
    if (!m)
        return NL_OK;
    double *y = nl_alloc((size_t)m->count, sizeof *y);
    if (!y)
        return nl_fail(NL_ENOMEM, "chart of %lld runs", (long long)m->count);
    const int64_t n = nl_compare_scores(c, m, y);
    for (int64_t i = 0; i < n; i++)
        y[i] *= chart->scale;
    *out = nl_band_of(y, n, false, c->level);
    nl_free(y);
    return NL_OK;
}
