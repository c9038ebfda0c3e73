#include "train/moments.h"

#include <math.h>
#include <string.h>

const double nl_percentiles[NL_PERCENTILES] = {1, 5, 15, 50, 85, 95, 99};

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

/* Percentiles in growing order: each selection starts behind the one before. */
static void percentiles(nl_real *v, int64_t count, double *out)
{
    int64_t from = 0;
    for (int k = 0; k < NL_PERCENTILES; k++) {
        const double at = nl_percentiles[k] / 100 * (double)(count - 1);
        const int64_t rank = (int64_t)at;
        select_rank(v, from, count, rank);
        const double here = (double)v[rank];
        const double next = rank + 1 < count ? (double)smallest(v, rank + 1, count) : here;
        out[k] = here + (at - (double)rank) * (next - here);
        from = rank;
    }
}

static int is_flat(nl_act act, nl_real v)
{
    /* sigmoid' = 0.02 / 4 at |v| = 5.29, tanh' = 0.02 at |v| = 2.64 */
    switch (act) {
    case NL_RELU: return v <= 0;
    case NL_SIGMOID: return fabs((double)v) > 5.2883;
    case NL_TANH: return fabs((double)v) > 2.6442;
    case NL_LINEAR: break;
    }
    return 0;
}

static void flat_shares(const nl_real *v, int64_t rows, int64_t c, nl_act act, const nl_real *bias,
                        nl_summary *out)
{
    int64_t dead = 0, flat = 0;
    for (int64_t k = 0; k < c; k++) {
        int64_t here = 0;
        for (int64_t r = 0; r < rows; r++)
            here += is_flat(act, v[r * c + k] + (bias ? bias[k] : 0));
        flat += here;
        dead += here == rows;
    }
    out->dead = (double)dead / (double)c;
    out->saturated = (double)flat / (double)(rows * c);
}

static int64_t keep_finite(const nl_real *v, int64_t count, nl_real *work)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(v[i]))
            work[kept++] = v[i];
    return kept;
}

void nl_summarize(const nl_real *v, int64_t rows, int64_t c, nl_act act, const nl_real *bias,
                  nl_real *work, nl_summary *out)
{
    const int64_t count = rows * c;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)v[i];
    out->mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++)
        squares += ((double)v[i] - out->mean) * ((double)v[i] - out->mean);
    out->std = sqrt(squares / (double)count);
    const int64_t kept = keep_finite(v, count, work);
    if (kept == 0) {
        for (int k = 0; k < NL_PERCENTILES; k++)
            out->percentiles[k] = NAN;
        out->min = out->max = NAN;
    } else {
        percentiles(work, kept, out->percentiles);
        out->min = out->max = (double)work[0];
        for (int64_t i = 1; i < kept; i++) {
            out->min = fmin(out->min, (double)work[i]);
            out->max = fmax(out->max, (double)work[i]);
        }
    }
    if (act == NL_LINEAR)
        out->dead = out->saturated = NAN;
    else
        flat_shares(v, rows, c, act, bias, out);
}
