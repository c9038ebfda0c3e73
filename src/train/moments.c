#include "train/moments.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/area.h"
#include "kernel/summary.h"

/* Most values are so many standard deviations from the mean. */
enum { REACH = 4 };

struct nl_summarizer {
    nl_real *finite, *strip; /* values; 2 rows */
    nl_ranker *ranker;
    double *cell[2], *row[2]; /* mean and m2 */
    double *channel[2];       /* mean and m2, then std */
    double *position[2];
    int64_t *live, *flat; /* rows of each position; of each channel */
};

nl_status nl_summarizer_open(nl_summarizer **out, int64_t n, int64_t cells, int64_t positions,
                             int64_t channels)
{
    const size_t values = (size_t)(n * cells), widest = (size_t)cells, c = (size_t)channels;
    const size_t s = (size_t)positions, rows = (size_t)(n * positions);
    nl_summarizer *w = *out = nl_alloc(1, sizeof *w);
    bool whole = w != NULL;
    if (whole) {
        w->finite = nl_alloc(values, sizeof *w->finite);
        w->strip = nl_alloc(2 * widest, sizeof *w->strip);
        w->live = nl_alloc(s, sizeof *w->live);
        w->flat = nl_alloc(c, sizeof *w->flat);
        whole = w->finite && w->strip && w->live && w->flat &&
                nl_ranker_open(&w->ranker, n * cells) == NL_OK;
        for (int k = 0; k < 2; k++) {
            w->cell[k] = nl_alloc(widest, sizeof *w->cell[k]);
            w->row[k] = nl_alloc(rows, sizeof *w->row[k]);
            w->channel[k] = nl_alloc(c, sizeof *w->channel[k]);
            w->position[k] = nl_alloc(s, sizeof *w->position[k]);
            whole = whole && w->cell[k] && w->row[k] && w->channel[k] && w->position[k];
        }
    }
    if (whole)
        return NL_OK;
    nl_summarizer_close(w);
    *out = NULL;
    return nl_fail(NL_ENOMEM, "room to summarize %lld values", (long long)(n * cells));
}

void nl_summarizer_close(nl_summarizer *w)
{
    if (!w)
        return;
    for (int k = 0; k < 2; k++) {
        nl_free(w->cell[k]);
        nl_free(w->row[k]);
        nl_free(w->channel[k]);
        nl_free(w->position[k]);
    }
    nl_ranker_close(w->ranker);
    nl_free(w->finite);
    nl_free(w->strip);
    nl_free(w->live);
    nl_free(w->flat);
    nl_free(w);
}

/* ---- order statistics */

static int64_t keep_finite(const nl_real *v, int64_t count, nl_real *kept)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        kept[n] = v[i];
        n += isfinite(v[i]) != 0;
    }
    return n;
}

static void find_range(const nl_real *finite, int64_t count, nl_summary *out)
{
    nl_real least = finite[0], most = finite[0];
    for (int64_t i = 0; i < count; i++) {
        least = finite[i] < least ? finite[i] : least;
        most = finite[i] > most ? finite[i] : most;
    }
    out->min = (double)least;
    out->max = (double)most;
}

/* all_finite: mean, std, min and max are known, and are numbers. */
static void find_order(nl_summarizer *w, const nl_real *v, int64_t count, bool all_finite,
                       nl_summary *out)
{
    double from = fmax(out->min, out->mean - REACH * out->std);
    double to = fmin(out->max, out->mean + REACH * out->std);
    for (int k = 0; k < NL_PERCENTILES; k++)
        out->percentiles[k] = NAN;
    if (!all_finite) {
        count = keep_finite(v, count, w->finite);
        v = w->finite;
        if (count > 0)
            find_range(v, count, out);
        from = out->min;
        to = out->max;
    }
    if (count > 0)
        nl_rank_percentiles(w->ranker, v, count, from, to, out->percentiles);
}

/* ---- moments */

/* A cell is a channel at a position. */
static void add_to_cells(nl_summarizer *w, const nl_values *v, const nl_real *row, int64_t s)
{
    double *mean = w->cell[0] + s * v->c, *m2 = w->cell[1] + s * v->c;
    const double count = (double)++w->live[s];
    for (int64_t k = 0; k < v->c; k++) {
        const double d = (double)row[k] - mean[k];
        mean[k] += d / count;
        m2[k] += d * ((double)row[k] - mean[k]);
    }
}

static void find_cells(nl_summarizer *w, const nl_values *v)
{
    const int64_t cells = v->s * v->c;
    const nl_rows examples = {v->at, cells, v->n, NULL, 1};
    double count = 0;
    int64_t row = 0;
    memset(w->cell[0], 0, (size_t)cells * sizeof *w->cell[0]);
    memset(w->cell[1], 0, (size_t)cells * sizeof *w->cell[1]);
    for (int64_t s = 0; s < v->s; s++)
        w->live[s] = v->live ? 0 : v->n;
    if (!v->live)
        nl_column_kernel()->moments(examples, cells, &count, w->cell[0], w->cell[1], w->strip);
    for (int64_t i = 0; v->live && i < v->n * v->s; i++)
        if (v->live[i])
            add_to_cells(w, v, v->at + row++ * v->c, i % v->s);
}

/* Moments of parts of count values each (Chan, Golub & LeVeque 1983): the mean of all is known. */
static double merged_m2(double count, double part_mean, double part_m2, double mean)
{
    return part_m2 + count * (part_mean - mean) * (part_mean - mean);
}

static void find_channels(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    double *mean = w->channel[0], *m2 = w->channel[1], all = 0, among = 0;
    const double rows = (double)v->rows;
    memset(mean, 0, (size_t)v->c * sizeof *mean);
    memset(m2, 0, (size_t)v->c * sizeof *m2);
    for (int64_t s = 0; s < v->s; s++)
        for (int64_t k = 0; k < v->c; k++)
            mean[k] += (double)w->live[s] / rows * w->cell[0][s * v->c + k];
    for (int64_t s = 0; s < v->s; s++)
        for (int64_t k = 0; k < v->c; k++)
            m2[k] += merged_m2((double)w->live[s], w->cell[0][s * v->c + k],
                               w->cell[1][s * v->c + k], mean[k]);
    for (int64_t k = 0; k < v->c; k++)
        all += mean[k] / (double)v->c;
    for (int64_t k = 0; k < v->c; k++) {
        among += merged_m2(rows, mean[k], m2[k], all);
        m2[k] = sqrt(m2[k] / rows);
    }
    out->mean = v->rows > 0 ? all : NAN;
    out->std = sqrt(among / (rows * (double)v->c));
    out->channel_mean = mean;
    out->channel_std = m2;
}

static void find_positions(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    out->position_mean = v->s > 1 ? w->position[0] : NULL;
    out->position_std = v->s > 1 ? w->position[1] : NULL;
    for (int64_t s = 0; s < v->s && v->s > 1; s++) {
        const double *mean = w->cell[0] + s * v->c, *m2 = w->cell[1] + s * v->c;
        const double count = (double)w->live[s];
        double all = 0, among = 0;
        for (int64_t k = 0; k < v->c; k++)
            all += mean[k] / (double)v->c;
        for (int64_t k = 0; k < v->c; k++)
            among += merged_m2(count, mean[k], m2[k], all);
        w->position[0][s] = count > 0 ? all : NAN;
        w->position[1][s] = sqrt(among / (count * (double)v->c));
    }
}

/* From the powers about a number near the mean. */
static void find_shape(const nl_values *v, nl_summary *out)
{
    const int64_t count = v->rows * v->c;
    const nl_powers p = nl_summary_kernel()->powers(v->at, count, (nl_real)out->mean);
    const double n = (double)count, d = p.sum[0] / n, d2 = d * d, s2 = p.sum[1] / n,
                 s3 = p.sum[2] / n, s4 = p.sum[3] / n, var = s2 - d2;
    out->skewness = (s3 - 3 * d * s2 + 2 * d * d2) / (var * sqrt(var));
    out->kurtosis = (s4 - 4 * d * s3 + 6 * d2 * s2 - 3 * d2 * d2) / (var * var);
    out->min = (double)p.least;
    out->max = (double)p.most;
}

/* ---- flat parts of the activation */

static void find_flat(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    /* sigmoid' = .02 / 4 at |v| = 5.2883, tanh' = .02 at 2.6442 */
    const nl_real limit = (nl_real)(v->act == NL_SIGMOID ? 5.2883 : 2.6442);
    const nl_biased values = {v->at, v->bias, v->rows, v->c};
    int64_t dead = 0, flat = 0;
    out->dead = out->saturated = NAN;
    if (v->act == NL_LINEAR)
        return;
    memset(w->flat, 0, (size_t)v->c * sizeof *w->flat);
    nl_summary_kernel()->flat(values, v->act, limit, w->flat);
    for (int64_t k = 0; k < v->c; k++) {
        flat += w->flat[k];
        dead += w->flat[k] == v->rows;
    }
    out->dead = (double)dead / (double)v->c;
    out->saturated = (double)flat / (double)(v->rows * v->c);
}

void nl_summarize(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    out->skewness = out->kurtosis = out->min = out->max = NAN;
    find_cells(w, v);
    find_channels(w, v, out);
    find_positions(w, v, out);
    const bool all_finite = isfinite(out->std);
    if (all_finite)
        find_shape(v, out);
    find_order(w, v->at, v->rows * v->c, all_finite, out);
    find_flat(w, v, out);
}

/* ---- histograms */

static double magnitude(int level)
{
    const int octave = level / NL_HISTOGRAM_PARTS, part = level % NL_HISTOGRAM_PARTS;
    return ldexp(1 + (double)part / NL_HISTOGRAM_PARTS, NL_HISTOGRAM_LEAST + octave);
}

void nl_histogram_edges(double edge[NL_HISTOGRAM_BINS])
{
    edge[0] = -INFINITY;
    for (int level = 0; level < NL_HISTOGRAM_SIDE; level++) {
        edge[NL_HISTOGRAM_SIDE - level] = -magnitude(level);
        edge[NL_HISTOGRAM_SIDE + 1 + level] = magnitude(level);
    }
}

void nl_histogram(const nl_real *v, int64_t count, int64_t bin[NL_HISTOGRAM_BINS + 1])
{
    memset(bin, 0, (NL_HISTOGRAM_BINS + 1) * sizeof *bin);
    nl_histogram_add(v, count, bin);
}

void nl_histogram_add(const nl_real *v, int64_t count, int64_t bin[NL_HISTOGRAM_BINS + 1])
{
    nl_summary_kernel()->count(v, count, NL_HISTOGRAM_LEAST, NL_HISTOGRAM_SIDE, bin);
}

/* ---- four numbers */

/* Moments of rows of c values, merged row by row (Chan, Golub & LeVeque 1983). */
static void merge_row(double *rows, double *mean, double *m2, double row_mean, double row_m2,
                      int64_t c)
{
    const double step = row_mean - *mean;
    *m2 += row_m2 + step * step * (*rows * (double)c) / (*rows + 1);
    *mean += step / (*rows + 1);
    *rows += 1;
}

static void find_ends(nl_real *strip, const nl_real *v, int64_t rows, int64_t c, nl_spread *out)
{
    nl_real *least = strip, *most = strip + c;
    memcpy(least, v, (size_t)c * sizeof *v);
    memcpy(most, v, (size_t)c * sizeof *v);
    for (int64_t r = 1; r < rows; r++)
        for (int64_t k = 0; k < c; k++) {
            const nl_real u = v[r * c + k];
            least[k] = u < least[k] ? u : least[k];
            most[k] = u > most[k] ? u : most[k];
        }
    out->min = out->max = (double)v[0];
    for (int64_t k = 0; k < c; k++) {
        out->min = fmin(out->min, (double)least[k]);
        out->max = fmax(out->max, (double)most[k]);
    }
}

nl_spread nl_spread_of(nl_summarizer *w, const nl_real *v, int64_t rows, int64_t c)
{
    nl_spread s = {NAN, NAN, NAN, NAN};
    double merged = 0, mean = 0, m2 = 0;
    if (rows == 0)
        return s;
    nl_row_kernel()->moments((nl_rows){v, c, rows, NULL, 1}, c, 1, 0, w->row[0], w->row[1]);
    for (int64_t r = 0; r < rows; r++)
        merge_row(&merged, &mean, &m2, w->row[0][r], w->row[1][r], c);
    s.mean = mean;
    s.std = sqrt(m2 / (double)(rows * c));
    find_ends(w->strip, v, rows, c, &s);
    return s;
}
