#include "analysis/significance.h"

#include <math.h>
#include <stdbool.h>

#include "analysis/distributions.h"
#include "base/random.h"

/* ---- Sign flips */

/* Sums are compared with what rounding leaves of them. */
static double nearly(double sum) { return fabs(sum) * (1 - 1e-12); }

/* Patterns of the signs of d[i ..] that bring |sum| to at least the bound. */
static int64_t count_flips(const double *d, int64_t n, int64_t i, double sum, double bound)
{
    if (i == n)
        return fabs(sum) >= bound;
    return count_flips(d, n, i + 1, sum + d[i], bound) +
           count_flips(d, n, i + 1, sum - d[i], bound);
}

static double flipped_sum(const double *d, int64_t n, uint64_t draw)
{
    const nl_key key = {.stream = NL_STREAM_STATISTICS, .epoch = draw};
    double sum = 0;
    uint32_t signs = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i % 32 == 0)
            signs = nl_random_u32(key, (uint64_t)i);
        sum += signs & 1 ? d[i] : -d[i];
        signs >>= 1;
    }
    return sum;
}

double nl_permutation_p(const double *d, int64_t n)
{
    double sum = 0;
    if (n < 1)
        return NAN;
    for (int64_t i = 0; i < n; i++)
        sum += d[i];
    const double bound = nearly(sum);
    if (n <= NL_FLIPS_EXACT)
        return ldexp((double)count_flips(d, n, 0, 0, bound), -(int)n);
    int64_t extreme = 0;
    for (uint64_t k = 0; k < NL_FLIPS_DRAWN; k++)
        extreme += fabs(flipped_sum(d, n, k)) >= bound;
    return (double)(1 + extreme) / (1 + NL_FLIPS_DRAWN);
}

/* ---- Signed ranks */

/* Twice the middle rank of |d[i]| among the non-zero values: always a whole number. */
static int twice_rank(const double *d, int64_t n, int64_t i)
{
    int less = 0, equal = 0;
    for (int64_t j = 0; j < n; j++) {
        less += d[j] != 0 && fabs(d[j]) < fabs(d[i]);
        equal += d[j] != 0 && fabs(d[j]) == fabs(d[i]);
    }
    return 2 * less + equal + 1;
}

static double count_rank_sums(const double *d, int64_t n)
{
    enum { SUM_MAX = NL_WILCOXON_EXACT * (NL_WILCOXON_EXACT + 1) }; /* of twice the ranks */
    double share[SUM_MAX + 1] = {1}; /* of the sign patterns whose positive ranks sum to s */
    int seen = 0, whole = 0;
    for (int64_t i = 0; i < n; i++) {
        if (d[i] == 0)
            continue;
        const int rank = twice_rank(d, n, i);
        for (int s = whole; s >= 0; s--) {
            share[s] /= 2;
            share[s + rank] += share[s];
        }
        whole += rank;
        seen += d[i] > 0 ? rank : 0;
    }
    const int extreme = seen < whole - seen ? seen : whole - seen; /* the law is symmetric */
    double tail = 0;
    for (int s = 0; s <= extreme; s++)
        tail += share[s];
    return fmin(1, 2 * tail);
}

/* Signs are fair, so the variance of the sum of signed ranks is the sum of their squares. */
static double approximate_rank_sums(const double *d, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        const double rank = d[i] == 0 ? 0 : twice_rank(d, n, i) / 2.0;
        sum += d[i] > 0 ? rank : -rank;
        squares += rank * rank;
    }
    return 2 * nl_normal_cdf(-fabs(sum) / sqrt(squares));
}

double nl_wilcoxon_p(const double *d, int64_t n)
{
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(d[i]))
            return NAN;
        used += d[i] != 0;
    }
    if (used == 0)
        return NAN;
    return used <= NL_WILCOXON_EXACT ? count_rank_sums(d, n) : approximate_rank_sums(d, n);
}

/* ---- Many tests, pairs of methods, power */

void nl_holm(double *p, int64_t m)
{
    bool done[NL_HOLM_MAX] = {false};
    int64_t live = 0;
    double largest = 0; /* adjusted so far: step-down never falls */
    m = m < NL_HOLM_MAX ? m : NL_HOLM_MAX;
    for (int64_t i = 0; i < m; i++)
        live += !isnan(p[i]);
    for (int64_t rank = 0; rank < live; rank++) {
        int64_t least = -1;
        for (int64_t i = 0; i < m; i++)
            if (!isnan(p[i]) && !done[i] && (least < 0 || p[i] < p[least]))
                least = i;
        largest = fmax(largest, fmin(1, (double)(live - rank) * p[least]));
        p[least] = largest;
        done[least] = true;
    }
}

double nl_probability_above(const double *x, int64_t nx, const double *y, int64_t ny)
{
    int64_t twice = 0;
    for (int64_t i = 0; i < nx; i++)
        for (int64_t j = 0; j < ny; j++)
            twice += x[i] > y[j] ? 2 : x[i] == y[j];
    return nx > 0 && ny > 0 ? (double)twice / 2 / ((double)nx * (double)ny) : NAN;
}

double nl_power(double effect, int64_t n, double level)
{
    if (n < 2)
        return NAN;
    const double freedom = (double)(n - 1), shift = effect * sqrt((double)n);
    const double critical = nl_student_quantile(0.5 + level / 2, freedom);
    return nl_noncentral_t_tail(critical, freedom, shift) +
           nl_noncentral_t_tail(critical, freedom, -shift);
}

double nl_smallest_effect(int64_t n, double sd, double level, double power)
{
    double low = 0, high = 1;
    if (n < 2 || !(power > 1 - level && power < 1))
        return NAN;
    while (nl_power(high, n, level) < power)
        high *= 2;
    for (int i = 0; i < 60; i++) {
        const double middle = low + (high - low) / 2;
        if (nl_power(middle, n, level) < power)
            low = middle;
        else
            high = middle;
    }
    return high * sd;
}
