#include "train/moments.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/area.h"
#include "kernel/summary.h"

const double nl_percentiles[NL_PERCENTILES] = {1, 5, 15, 50, 85, 95, 99};

/* Values are counted by the top bits of their float: sign, exponent and 5 bits of the mantissa. So
 * a bin of normal values holds at most some 2 in 100, and going through all bins costs little. */
enum { BIN_BITS = 14, BINS = 1 << BIN_BITS, LEAST_BINNED = 4096 };

struct nl_summarizer {
    nl_real *candidate, *strip;  /* values; 3 rows */
    double *channel[2], *row[2]; /* mean and m2, then std */
    double *position[3];         /* rows, mean and m2, then std */
    int64_t *flat;               /* of each channel */
    int32_t *bin;
};

nl_status nl_summarizer_open(nl_summarizer **out, int64_t values, int64_t rows, int64_t positions,
                             int64_t channels)
{
    const size_t c = (size_t)channels;
    nl_summarizer *w = *out = nl_alloc(1, sizeof *w);
    bool whole = w != NULL;
    if (whole) {
        w->candidate = nl_alloc((size_t)values, sizeof *w->candidate);
        w->strip = nl_alloc(3 * c, sizeof *w->strip);
        w->flat = nl_alloc(c, sizeof *w->flat);
        w->bin = nl_alloc(BINS, sizeof *w->bin);
        whole = w->candidate && w->strip && w->flat && w->bin;
        for (int k = 0; k < 2; k++) {
            w->channel[k] = nl_alloc(c, sizeof *w->channel[k]);
            w->row[k] = nl_alloc((size_t)rows, sizeof *w->row[k]);
            whole = whole && w->channel[k] && w->row[k];
        }
        for (int k = 0; k < 3; k++) {
            w->position[k] = nl_alloc((size_t)positions, sizeof *w->position[k]);
            whole = whole && w->position[k];
        }
    }
    if (whole)
        return NL_OK;
    nl_summarizer_close(w);
    *out = NULL;
    return nl_fail(NL_ENOMEM, "room to summarize %lld values", (long long)values);
}

void nl_summarizer_close(nl_summarizer *w)
{
    if (!w)
        return;
    for (int k = 0; k < 2; k++) {
        nl_free(w->channel[k]);
        nl_free(w->row[k]);
    }
    for (int k = 0; k < 3; k++)
        nl_free(w->position[k]);
    nl_free(w->candidate);
    nl_free(w->strip);
    nl_free(w->flat);
    nl_free(w->bin);
    nl_free(w);
}

/* ---- order statistics */

/* Moves the rank-th smallest of v[from .. to) to its place, smaller ones before it (Hoare 1961). */
static void select_rank(nl_real *v, int64_t from, int64_t to, int64_t rank)
{
    while (to - from > 1) {
        const nl_real a = v[from], b = v[from + (to - from) / 2], c = v[to - 1];
        const nl_real pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        int64_t i = from, j = to - 1;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                const nl_real keep = v[i];
                v[i++] = v[j];
                v[j--] = keep;
            }
        }
        if (rank <= j)
            to = j + 1;
        else if (rank >= i)
            from = i;
        else
            return;
    }
}

static nl_real smallest(const nl_real *v, int64_t from, int64_t to)
{
    nl_real least = v[from];
    for (int64_t i = from + 1; i < to; i++)
        least = v[i] < least ? v[i] : least;
    return least;
}

static int64_t keep_finite(const nl_real *v, int64_t count, nl_real *kept)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        kept[n] = v[i];
        n += isfinite(v[i]) != 0;
    }
    return n;
}

/* Number of a finite value's bin; bins follow the order of the values. */
static uint32_t bin_of(nl_real v)
{
    const float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    const uint32_t negative = 0 - (bits >> 31); /* all ones: those grow downwards */
    return (bits ^ (negative | 0x80000000u)) >> (32 - BIN_BITS);
}

enum { CANDIDATE = -1 };

/* Marks the bins that hold value number rank[k], or the one after it, of all values in order, and
 * turns rank[k] into its number among the values of marked bins. */
static void mark_candidates(int32_t *bin, int64_t *rank)
{
    int64_t below = 0, candidates = 0;
    int k = 0;
    for (int b = 0; b < BINS && k < NL_PERCENTILES; b++) {
        const int64_t here = bin[b];
        bool wanted = false;
        for (; k < NL_PERCENTILES && rank[k] + 1 < below + here; k++) {
            wanted = true;
            rank[k] += candidates - below;
        }
        if (k < NL_PERCENTILES && rank[k] < below + here && here > 0)
            wanted = true; /* its last value is rank[k]: the one after it comes in a later bin */
        if (wanted)
            bin[b] = CANDIDATE;
        below += here;
        candidates += wanted ? here : 0;
    }
}

/* Counts the values by bins; false when one of them is not finite. */
static bool fill_bins(int32_t *bin, const nl_real *v, int64_t count)
{
    int64_t finite = 0;
    memset(bin, 0, BINS * sizeof *bin);
    for (int64_t i = 0; i < count; i++)
        bin[bin_of(v[i])]++;
    for (uint32_t b = bin_of((nl_real)-FLT_MAX); b <= bin_of((nl_real)FLT_MAX); b++)
        finite += bin[b];
    return finite == count;
}

/* Of many values, copies those of a few bins, in which the percentiles lie. */
static int64_t keep_candidates(nl_summarizer *w, const nl_real *v, int64_t count, int64_t *rank)
{
    int64_t kept = 0;
    mark_candidates(w->bin, rank);
    for (int64_t i = 0; i < count; i++) {
        w->candidate[kept] = v[i];
        kept += w->bin[bin_of(v[i])] == CANDIDATE;
    }
    return kept;
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

static void find_order(nl_summarizer *w, const nl_real *v, int64_t count, nl_summary *out)
{
    int64_t rank[NL_PERCENTILES], from = 0;
    double part[NL_PERCENTILES];
    const bool binned = count >= LEAST_BINNED && fill_bins(w->bin, v, count);
    const nl_real *all = binned ? v : w->candidate;
    const int64_t finite = binned ? count : keep_finite(v, count, w->candidate);
    out->min = out->max = NAN;
    for (int k = 0; k < NL_PERCENTILES; k++)
        out->percentiles[k] = NAN;
    if (finite == 0)
        return;
    find_range(all, finite, out);
    for (int k = 0; k < NL_PERCENTILES; k++) {
        const double at = nl_percentiles[k] / 100 * (double)(finite - 1);
        rank[k] = (int64_t)at;
        part[k] = at - (double)rank[k];
    }
    const int64_t kept = binned ? keep_candidates(w, v, count, rank) : finite;
    for (int k = 0; k < NL_PERCENTILES; k++) { /* each starts behind the one before */
        select_rank(w->candidate, from, kept, rank[k]);
        const double here = (double)w->candidate[rank[k]];
        const double next =
            rank[k] + 1 < kept ? (double)smallest(w->candidate, rank[k] + 1, kept) : here;
        out->percentiles[k] = here + part[k] * (next - here);
        from = rank[k];
    }
}

/* ---- moments */

static nl_rows rows_of(const nl_values *v) { return (nl_rows){v->at, v->c, v->rows, NULL, 1}; }

/* Mean and std of all values from those of the channels. */
static void find_channels(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    double *mean = w->channel[0], *m2 = w->channel[1], count = 0, all = 0, among = 0, within = 0;
    memset(mean, 0, (size_t)v->c * sizeof *mean);
    memset(m2, 0, (size_t)v->c * sizeof *m2);
    nl_column_kernel()->moments(rows_of(v), v->c, &count, mean, m2, w->strip);
    for (int64_t k = 0; k < v->c; k++) {
        all += mean[k] / (double)v->c;
        within += m2[k];
    }
    for (int64_t k = 0; k < v->c; k++) {
        among += count * (mean[k] - all) * (mean[k] - all);
        m2[k] = sqrt(m2[k] / count);
    }
    out->mean = count > 0 ? all : NAN;
    out->std = sqrt((within + among) / (count * (double)v->c));
    out->channel_mean = mean;
    out->channel_std = m2;
}

/* About the mean that is known by now. */
static void find_shape(const nl_values *v, nl_summary *out)
{
    const int64_t count = v->rows * v->c;
    double m3 = 0, m4 = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = (double)v->at[i] - out->mean, square = d * d;
        m3 += square * d;
        m4 += square * square;
    }
    const double var = out->std * out->std;
    out->skewness = m3 / (double)count / (var * out->std);
    out->kurtosis = m4 / (double)count / (var * var);
}

/* Moments of rows of c values, merged row by row (Chan, Golub & LeVeque 1983). */
static void merge_row(double *rows, double *mean, double *m2, double row_mean, double row_m2,
                      int64_t c)
{
    const double step = row_mean - *mean;
    *m2 += row_m2 + step * step * (*rows * (double)c) / (*rows + 1);
    *mean += step / (*rows + 1);
    *rows += 1;
}

static void find_positions(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    double *rows = w->position[0], *mean = w->position[1], *m2 = w->position[2];
    int64_t row = 0;
    out->position_mean = v->s > 1 ? mean : NULL;
    out->position_std = v->s > 1 ? m2 : NULL;
    if (v->s == 1)
        return;
    for (int i = 0; i < 3; i++)
        memset(w->position[i], 0, (size_t)v->s * sizeof *rows);
    nl_row_kernel()->moments(rows_of(v), v->c, 1, 0, 0, w->row[0], w->row[1]);
    for (int64_t at = 0; at < v->n * v->s; at++)
        if (!v->live || v->live[at]) {
            const int64_t s = at % v->s;
            merge_row(&rows[s], &mean[s], &m2[s], w->row[0][row], w->row[1][row], v->c);
            row++;
        }
    for (int64_t s = 0; s < v->s; s++) {
        mean[s] = rows[s] > 0 ? mean[s] : NAN;
        m2[s] = sqrt(m2[s] / (rows[s] * (double)v->c));
    }
}

/* ---- flat parts of the activation */

static void find_flat(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    /* sigmoid' = .02 / 4 at |v| = 5.2883, tanh' = .02 at 2.6442 */
    const nl_real least = (nl_real)(v->act == NL_SIGMOID ? 5.2883 : 2.6442);
    const int64_t rows = v->rows;
    int64_t dead = 0, flat = 0;
    out->dead = out->saturated = NAN;
    if (v->act == NL_LINEAR)
        return;
    memset(w->flat, 0, (size_t)v->c * sizeof *w->flat);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < v->c; k++) {
            const nl_real u = v->at[r * v->c + k] + (v->bias ? v->bias[k] : 0);
            w->flat[k] += v->act == NL_RELU ? u <= 0 : (u > least) | (u < -least);
        }
    for (int64_t k = 0; k < v->c; k++) {
        flat += w->flat[k];
        dead += w->flat[k] == rows;
    }
    out->dead = (double)dead / (double)v->c;
    out->saturated = (double)flat / (double)(rows * v->c);
}

void nl_summarize(nl_summarizer *w, const nl_values *v, nl_summary *out)
{
    find_channels(w, v, out);
    find_shape(v, out);
    find_positions(w, v, out);
    find_order(w, v->at, v->rows * v->c, out);
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

void nl_histogram(const nl_real *v, int64_t count, int64_t bin[NL_HISTOGRAM_BINS], int64_t *nan)
{
    memset(bin, 0, NL_HISTOGRAM_BINS * sizeof *bin);
    *nan = 0;
    nl_summary_kernel()->count(v, count, NL_HISTOGRAM_LEAST, NL_HISTOGRAM_SIDE, bin, nan);
}

/* ---- four numbers */

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
    nl_row_kernel()->moments((nl_rows){v, c, rows, NULL, 1}, c, 1, 0, 0, w->row[0], w->row[1]);
    for (int64_t r = 0; r < rows; r++)
        merge_row(&merged, &mean, &m2, w->row[0][r], w->row[1][r], c);
    s.mean = mean;
    s.std = sqrt(m2 / (double)(rows * c));
    find_ends(w->strip, v, rows, c, &s);
    return s;
}
