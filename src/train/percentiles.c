#include "train/percentiles.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/summary.h"

const double nl_percentiles[NL_PERCENTILES] = {1, 5, 15, 50, 85, 95, 99};

enum { BINS = 4096, VALUES_A_BIN = 4 };
_Static_assert((int)NL_WANTED_MOST == 2 * (int)NL_PERCENTILES, "a rank and the next one each");

/* A bin in which a percentile lies. */
typedef struct wanted {
    uint16_t bin;
    int64_t below, here;      /* values in the bins before it, in it */
    nl_real common;           /* may be there often; NaN: none */
    nl_real *candidate;       /* those in it that are not the common value */
    int64_t candidates, less; /* of them; smaller than the common value */
    int64_t placed;           /* the first ones, no larger than those behind */
} wanted;

struct nl_ranker {
    nl_real *kept, *sorted; /* candidates: as they come; by bins */
    uint16_t *at;           /* the bin of each value, then of each candidate */
    int32_t count[2][BINS]; /* values by bins, every other one */
    uint8_t number[BINS];   /* of those in want: their place there */
    wanted want[NL_WANTED_MOST];
    int wants, bins; /* bins are 1 / scale wide and begin at from */
    nl_real from, scale;
};

nl_status nl_ranker_open(nl_ranker **out, int64_t values)
{
    nl_ranker *r = *out = nl_alloc(1, sizeof *r);
    if (r) {
        r->kept = nl_alloc((size_t)values, sizeof *r->kept);
        r->sorted = nl_alloc((size_t)values, sizeof *r->sorted);
        r->at = nl_alloc((size_t)values, sizeof *r->at);
    }
    if (r && r->kept && r->sorted && r->at)
        return NL_OK;
    nl_ranker_close(r);
    *out = NULL;
    return nl_fail(NL_ENOMEM, "room to order %lld values", (long long)values);
}

void nl_ranker_close(nl_ranker *r)
{
    if (!r)
        return;
    nl_free(r->kept);
    nl_free(r->sorted);
    nl_free(r->at);
    nl_free(r);
}

/* ---- the bins */

static void set_bins(nl_ranker *r, int64_t count, double from, double to)
{
    const int64_t affordable = count / VALUES_A_BIN;
    r->bins = !(to > from) || affordable < 1 ? 1 : affordable < BINS ? (int)affordable : BINS;
    r->from = (nl_real)from;
    r->scale = (nl_real)(to > from ? r->bins / (to - from) : 0);
}

/* Writes the bin of each value to at. */
static void place(nl_ranker *r, const nl_real *v, int64_t count)
{
    nl_summary_kernel()->place(v, count, r->from, r->scale, r->bins - 1, r->at);
}

static void fill_bins(nl_ranker *r, const nl_real *v, int64_t count)
{
    place(r, v, count);
    for (int k = 0; k < 2; k++)
        memset(r->count[k], 0, (size_t)r->bins * sizeof *r->count[k]);
    for (int64_t i = 0; i + 1 < count; i += 2) {
        r->count[0][r->at[i]]++;
        r->count[1][r->at[i + 1]]++;
    }
    if (count % 2)
        r->count[0][r->at[count - 1]]++;
    for (int b = 0; b < r->bins; b++)
        r->count[0][b] += r->count[1][b];
}

static void want_bin(nl_ranker *r, int bin, int64_t below)
{
    r->number[bin] = (uint8_t)r->wants;
    r->want[r->wants++] = (wanted){
        .bin = (uint16_t)bin, .below = below, .here = r->count[0][bin], .common = (nl_real)NAN};
}

/* In bins [from, to). */
static int64_t values_in(const nl_ranker *r, int from, int to)
{
    int32_t sum = 0;
    for (int b = from; b < to; b++)
        sum += r->count[0][b];
    return sum;
}

/* From the least bin on, for the values at these ranks and behind them. */
typedef struct search {
    const int64_t *rank;
    int met;       /* percentiles whose two values have been found */
    int64_t below; /* values in the bins so far */
} search;

static void search_bins(nl_ranker *r, search *s, int from, int to)
{
    for (int b = from; b < to && s->met < NL_PERCENTILES; b++) {
        const int64_t end = s->below + r->count[0][b];
        if (s->rank[s->met] < end && end > s->below)
            want_bin(r, b, s->below);
        while (s->met < NL_PERCENTILES && s->rank[s->met] + 1 < end)
            s->met++;
        s->below = end;
    }
}

static void choose_bins(nl_ranker *r, const int64_t *rank)
{
    enum { STRETCH = 64 }; /* most have none of the values */
    search s = {.rank = rank};
    r->wants = 0;
    for (int b = 0; b < r->bins && s.met < NL_PERCENTILES; b += STRETCH) {
        const int end = b + STRETCH < r->bins ? b + STRETCH : r->bins;
        const int64_t here = values_in(r, b, end);
        if (s.below + here <= rank[s.met])
            s.below += here;
        else
            search_bins(r, &s, b, end);
    }
}

/* ---- candidates */

/* In a bin with many values the first one may be there often. A guess: nothing but speed hangs on
 * it. */
static void leave_out_common(nl_ranker *r, const nl_real *v, int64_t count)
{
    enum { MANY = 64 }; /* one in so many: then the first is found soon */
    for (int k = 0; k < r->wants; k++) {
        wanted *w = &r->want[k];
        int64_t first = 0;
        if (w->here * MANY < count)
            continue;
        while (r->at[first] != w->bin)
            first++;
        w->common = v[first];
        nl_summary_kernel()->leave_out(v, count, w->common, r->at);
    }
}

static int64_t keep_candidates(nl_ranker *r, const nl_real *v, int64_t count)
{
    uint16_t bin[NL_WANTED_MOST];
    for (int k = 0; k < NL_WANTED_MOST; k++)
        bin[k] = r->want[k < r->wants ? k : r->wants - 1].bin;
    return nl_summary_kernel()->keep(v, count, bin, r->at, r->kept);
}

static void sort_by_bins(nl_ranker *r, int64_t kept)
{
    nl_real *to = r->sorted;
    place(r, r->kept, kept);
    for (int64_t i = 0; i < kept; i++)
        r->want[r->number[r->at[i]]].candidates++;
    for (int k = 0; k < r->wants; k++) {
        r->want[k].candidate = to;
        to += r->want[k].candidates;
        r->want[k].candidates = 0;
    }
    for (int64_t i = 0; i < kept; i++) {
        wanted *w = &r->want[r->number[r->at[i]]];
        w->candidate[w->candidates++] = r->kept[i];
        w->less += r->kept[i] < w->common;
    }
}

/* ---- order statistics */

static void swap(nl_real *a, nl_real *b)
{
    const nl_real keep = *a;
    *a = *b;
    *b = keep;
}

static nl_real median(nl_real a, nl_real b, nl_real c)
{
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

static void insertion_sort(nl_real *v, int64_t count)
{
    for (int64_t i = 1; i < count; i++) {
        const nl_real is = v[i];
        int64_t to = i;
        for (; to > 0 && v[to - 1] > is; to--)
            v[to] = v[to - 1];
        v[to] = is;
    }
}

/* Moves the rank-th smallest to its place (Hoare 1961, in three parts: many may be equal). */
static void quickselect(nl_real *v, int64_t count, int64_t rank)
{
    int64_t from = 0, to = count;
    while (to - from > 1) {
        const nl_real pivot = median(v[from], v[from + (to - from) / 2], v[to - 1]);
        int64_t equal = from, larger = to;
        for (int64_t i = from; i < larger;)
            if (v[i] < pivot)
                swap(&v[equal++], &v[i++]);
            else if (v[i] > pivot)
                swap(&v[i], &v[--larger]);
            else
                i++;
        if (rank >= equal && rank < larger)
            return;
        if (rank < equal)
            to = equal;
        else
            from = larger;
    }
}

static void bring_smallest(nl_real *v, int64_t count)
{
    int64_t least = 0;
    for (int64_t i = 1; i < count; i++)
        least = v[i] < v[least] ? i : least;
    swap(&v[0], &v[least]);
}

/* Ranks are asked for in order, each with the one behind it. */
static nl_real candidate_at(wanted *w, int64_t rank)
{
    enum { FEW = 64 }; /* sorted when first asked */
    nl_real *rest = w->candidate + w->placed;
    const int64_t count = w->candidates - w->placed;
    if (count <= FEW) {
        insertion_sort(rest, count);
        w->placed = w->candidates;
    } else if (rank == w->placed) {
        bring_smallest(rest, count);
        w->placed++;
    } else if (rank > w->placed) {
        quickselect(rest, count, rank - w->placed);
        w->placed = rank + 1;
    }
    return w->candidate[rank];
}

/* Value number `rank` of all in order: its bin is wanted. */
static nl_real value_at(nl_ranker *r, int64_t rank)
{
    wanted *w = r->want;
    for (int k = 1; k < r->wants && r->want[k].below <= rank; k++)
        w = &r->want[k];
    const int64_t commons = w->here - w->candidates, at = rank - w->below;
    if (at >= w->less && at < w->less + commons)
        return w->common;
    return candidate_at(w, at < w->less ? at : at - commons);
}

void nl_rank_percentiles(nl_ranker *r, const nl_real *v, int64_t count, double from, double to,
                         double out[NL_PERCENTILES])
{
    int64_t rank[NL_PERCENTILES];
    double part[NL_PERCENTILES];
    for (int k = 0; k < NL_PERCENTILES; k++) {
        const double at = nl_percentiles[k] / 100 * (double)(count - 1);
        rank[k] = (int64_t)at;
        part[k] = at - (double)rank[k];
    }
    set_bins(r, count, from, to);
    fill_bins(r, v, count);
    choose_bins(r, rank);
    leave_out_common(r, v, count);
    sort_by_bins(r, keep_candidates(r, v, count));
    for (int k = 0; k < NL_PERCENTILES; k++) {
        const double here = (double)value_at(r, rank[k]);
        const double next = rank[k] + 1 < count ? (double)value_at(r, rank[k] + 1) : here;
        out[k] = here + part[k] * (next - here);
    }
}
