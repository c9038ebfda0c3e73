#include "analysis/bootstrap.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "analysis/distributions.h"
#include "analysis/sample.h"
#include "analysis/significance.h"
#include "base/alloc.h"
#include "base/random.h"

/* ---- Statistics */

static int64_t total(const nl_strata *s)
{
    int64_t n = 0;
    for (int64_t g = 0; g < s->groups; g++)
        n += s->count[g];
    return n;
}

/* The value that (k + share)-th of the strata's means has; strata are few. */
static double mean_of_rank(const nl_strata *s, int64_t rank)
{
    const double *x = s->at;
    for (int64_t g = 0; g < s->groups; x += s->count[g++]) {
        const double mean = nl_mean(x, s->count[g]), *y = s->at;
        int64_t less = 0, equal = 0;
        for (int64_t h = 0; h < s->groups; y += s->count[h++]) {
            const double other = nl_mean(y, s->count[h]);
            less += other < mean;
            equal += other == mean;
        }
        if (less <= rank && rank < less + equal)
            return mean;
    }
    return NAN;
}

double nl_strata_mean(const nl_strata *s)
{
    const double *x = s->at;
    double sum = 0;
    if (s->groups == 1)
        return nl_mean(x, s->count[0]);
    for (int64_t g = 0; g < s->groups; x += s->count[g++])
        sum += nl_mean(x, s->count[g]);
    return sum / (double)s->groups;
}

double nl_strata_median(const nl_strata *s)
{
    if (s->groups == 1)
        return nl_median(s->at, s->count[0]);
    return (mean_of_rank(s, (s->groups - 1) / 2) + mean_of_rank(s, s->groups / 2)) / 2;
}

double nl_strata_interquartile_mean(const nl_strata *s)
{
    nl_sort(s->at, total(s));
    return nl_interquartile_mean_sorted(s->at, total(s));
}

static double pair_share(const double *pairs, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            sum += pairs[2 * i] > pairs[2 * j + 1] ? 1 : pairs[2 * i] == pairs[2 * j + 1] ? 0.5 : 0;
    return sum / ((double)n * (double)n);
}

double nl_strata_probability_above(const nl_strata *s)
{
    const double *x = s->at;
    double sum = 0;
    for (int64_t g = 0; g < s->groups; x += 2 * s->count[g++])
        sum += pair_share(x, s->count[g]);
    return sum / (double)s->groups;
}

/* ---- Resampling */

static void resample(const nl_strata *from, nl_strata *to, uint64_t draw)
{
    const nl_key key = {.stream = NL_STREAM_STATISTICS, .epoch = draw};
    const size_t row = (size_t)from->width * sizeof *from->at;
    int64_t first = 0, i = 0;
    for (int64_t g = 0; g < from->groups; first += from->count[g++])
        for (; i < first + from->count[g]; i++) {
            const int64_t j = first + nl_random_below(key, (uint64_t)i, from->count[g]);
            memcpy(to->at + i * to->width, from->at + j * from->width, row);
        }
}

/* Acceleration over strata g of n values (as in SciPy, after Davison and Hinkley 1997): with l =
 * (n-1)/n (mean leave-one-out value - each), sum_g sum l^3 / (6 (sum_g sum l^2)^1.5). */
static double acceleration(nl_statistic *of, const nl_strata *from, nl_strata *to, int64_t *count,
                           double *left_out)
{
    double cubes = 0, squares = 0;
    int64_t first = 0;
    const nl_strata less = {to->at, to->width, to->groups, count};
    memcpy(count, from->count, (size_t)from->groups * sizeof *count);
    for (int64_t g = 0; g < from->groups; first += from->count[g++]) {
        const int64_t n = from->count[g], behind = total(from) - first;
        count[g]--;
        for (int64_t i = 0; i < n; i++) {
            const int64_t before = (first + i) * from->width;
            memcpy(to->at, from->at, (size_t)before * sizeof *to->at);
            memcpy(to->at + before, from->at + before + from->width,
                   (size_t)((behind - i - 1) * from->width) * sizeof *to->at);
            left_out[i] = of(&less);
        }
        count[g]++;
        const double mean = nl_mean(left_out, n), weight = (double)(n - 1) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            cubes += pow(weight * (mean - left_out[i]), 3);
            squares += pow(weight * (mean - left_out[i]), 2);
        }
    }
    return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

/* ---- Intervals */

/* Where in the sorted resamples the end at z lies: Phi(z_0 + (z_0 + z) / (1 - a (z_0 + z))). */
static double bca_end(const nl_bootstrap *b, const double *sorted, int64_t n, double z)
{
    const double shifted = b->bias + z;
    return nl_quantile_sorted(sorted, n,
                              nl_normal_cdf(b->bias + shifted / (1 - b->acceleration * shifted)));
}

static double bias_of(const double *sorted, int64_t n, double value)
{
    int64_t twice = 0;
    for (int64_t i = 0; i < n; i++)
        twice += (sorted[i] < value) + (sorted[i] <= value);
    return nl_normal_quantile((double)twice / (2 * (double)n));
}

static void take_intervals(nl_bootstrap *b, const nl_strata *sample, double level, double *sorted,
                           int64_t n)
{
    const int64_t values = total(sample), freedom = values - sample->groups;
    const double widening = sqrt((double)values / (double)freedom);
    const double z = nl_normal_quantile(0.5 + level / 2);
    const double t = nl_student_quantile(0.5 + level / 2, (double)freedom);
    int64_t fewest = values;
    for (int64_t g = 0; g < sample->groups; g++)
        fewest = sample->count[g] < fewest ? sample->count[g] : fewest;
    nl_sort(sorted, n);
    b->bias = bias_of(sorted, n, b->value);
    b->error = nl_sd(sorted, n) * widening;
    b->bca_low = bca_end(b, sorted, n, -z);
    b->bca_high = bca_end(b, sorted, n, z);
    b->expanded_low = bca_end(b, sorted, n, -t * widening);
    b->expanded_high = bca_end(b, sorted, n, t * widening);
    const bool expanded = fewest >= NL_EXPANDED_FROM;
    b->is.sd = b->error * sqrt((double)values);
    b->is.low = expanded ? b->expanded_low : b->value - t * b->error;
    b->is.high = expanded ? b->expanded_high : b->value + t * b->error;
}

static bool has_single(const nl_strata *s)
{
    for (int64_t g = 0; g < s->groups; g++)
        if (s->count[g] < 2)
            return true;
    return s->groups < 1;
}

nl_status nl_bootstrap_interval(nl_bootstrap *out, nl_statistic *of, const nl_strata *sample,
                                double level, int64_t resamples)
{
    const int64_t n = total(sample);
    nl_status st = NL_OK;
    *out = (nl_bootstrap){.value = NAN,
                          .bias = NAN,
                          .acceleration = NAN,
                          .bca_low = NAN,
                          .bca_high = NAN,
                          .expanded_low = NAN,
                          .expanded_high = NAN,
                          .error = NAN,
                          .is = {n, NAN, NAN, NAN, NAN, NAN}};
    if (n < 1)
        return NL_OK;
    double *values = nl_alloc((size_t)resamples, sizeof *values);
    double *left_out = nl_alloc((size_t)n, sizeof *left_out);
    int64_t *count = nl_alloc((size_t)sample->groups, sizeof *count);
    nl_strata draw = *sample;
    draw.at = nl_alloc((size_t)(n * sample->width), sizeof *draw.at);
    if (!values || !left_out || !count || !draw.at)
        NL_BAIL(NL_ENOMEM, "bootstrap: %lld values, %lld resamples", (long long)n,
                (long long)resamples);
    memcpy(draw.at, sample->at, (size_t)(n * sample->width) * sizeof *draw.at);
    out->value = out->is.mean = of(&draw);
    if (has_single(sample))
        goto done;
    for (int64_t b = 0; b < resamples; b++) {
        resample(sample, &draw, (uint64_t)b);
        values[b] = of(&draw);
    }
    out->acceleration = acceleration(of, sample, &draw, count, left_out);
    take_intervals(out, sample, level, values, resamples);
done:
    nl_free(draw.at);
    nl_free(count);
    nl_free(left_out);
    nl_free(values);
    return st;
}
