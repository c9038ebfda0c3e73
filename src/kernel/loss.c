/* The largest logit's term of the softmax is exactly 1 and is left out of the sum of the others:
 * log1p(rest) and rest / (1 + rest) keep their digits where the row is almost certain. */
#include "kernel/loss.h"

#include <math.h>
#include <stddef.h>

#include "kernel/act_inline.h"

enum { TILE = 256, SUMS = 8 };

static nl_real largest_of(const nl_real *x, int64_t n)
{
    nl_vec most = nl_vec_of(-(nl_real)INFINITY);
    int64_t k = 0;
    for (; k + NL_LANES <= n; k += NL_LANES) {
        const nl_vec v = nl_vec_load(x + k);
        most = nl_vec_choose(v > most, v, most);
    }
    nl_real best = -(nl_real)INFINITY;
    for (int i = 0; i < NL_LANES; i++)
        best = most[i] > best ? most[i] : best;
    for (; k < n; k++)
        best = x[k] > best ? x[k] : best;
    return best;
}

static int64_t first_equal(const nl_real *x, int64_t n, nl_real value)
{
    int64_t k = 0;
    while (k < n && x[k] != value)
        k++;
    return k; /* n: all NaN */
}

static nl_vec exp_below_zero(nl_vec y)
{
    const nl_vec least = nl_vec_of(-NL_EXP_LIMIT);
    const nl_exp_parts e = nl_vec_exp_parts(nl_vec_choose(y < least, least, y));
    return nl_vec_choose(y < least, nl_vec_of(0), nl_vec_fma(e.scale, e.p, e.scale));
}

/* to = e^(x - shift) */
static void exp_tile(const nl_real *x, nl_real shift, nl_real *to, int64_t n)
{
    int64_t k = 0;
    for (; k + NL_LANES <= n; k += NL_LANES)
        nl_vec_store(to + k, exp_below_zero(nl_vec_load(x + k) - shift));
    if (k < n) {
        const nl_part part = nl_part_of((int)(n - k));
        nl_vec_store_part(to + k, exp_below_zero(nl_vec_load_part(x + k, part) - shift), part);
    }
}

static double sum_of(const nl_real *x, int64_t n)
{
    double sum[SUMS] = {0}, total = 0;
    int64_t k = 0;
    for (; k + SUMS <= n; k += SUMS)
        for (int i = 0; i < SUMS; i++)
            sum[i] += x[k + i];
    for (int i = 0; k + i < n; i++)
        sum[i] += x[k + i];
    for (int i = 0; i < SUMS; i++)
        total += sum[i];
    return total;
}

/* Sum of e^(x - x_best) over all but best; keeps the terms in `keep` unless that is NULL. */
static double rest_of(const nl_real *x, int64_t n, int64_t best, nl_real shift, nl_real *keep)
{
    nl_real own[TILE];
    double rest = 0;
    for (int64_t from = 0; from < n; from += TILE) {
        const int64_t width = n - from < TILE ? n - from : TILE;
        nl_real *to = keep ? keep + from : own;
        exp_tile(x + from, shift, to, width);
        if (best >= from && best < from + width)
            to[best - from] = 0;
        rest += sum_of(to, width);
    }
    return rest;
}

/* dx holds e^(x - x_best), 0 at best. */
static void finish_gradient(nl_real *dx, int64_t n, int64_t best, int64_t label, double rest,
                            double scale)
{
    const double factor = scale / (1 + rest);
    for (int64_t k = 0; k < n; k++)
        dx[k] *= (nl_real)factor;
    if (best < n)
        dx[best] = (nl_real)(label == best ? -rest * factor : factor);
    if (label != best)
        dx[label] = (nl_real)((double)dx[label] - scale);
}

static void clear(nl_real *dx, int64_t n)
{
    for (int64_t k = 0; dx && k < n; k++)
        dx[k] = 0;
}

static void softmax_row(const nl_real *x, int64_t n, int64_t label, double scale, nl_real *dx,
                        nl_loss_sum *sum)
{
    const nl_real most = largest_of(x, n), own = x[label];
    const int64_t best = first_equal(x, n, most);
    const double rest = rest_of(x, n, best, most, dx);
    const double loss = log1p(rest) + ((double)most - (double)own);
    if (dx)
        finish_gradient(dx, n, best, label, rest, scale);
    sum->loss += loss;
    sum->correct += label == best && !isnan(loss);
    sum->rows++;
}

static void softmax(const nl_real *logits, int64_t rows, int64_t classes, const int32_t *labels,
                    double scale, nl_real *dlogits, nl_loss_sum *sum)
{
    for (int64_t r = 0; r < rows; r++) {
        nl_real *dx = dlogits ? dlogits + r * classes : NULL;
        if (labels[r] < 0)
            clear(dx, classes);
        else
            softmax_row(logits + r * classes, classes, labels[r], scale, dx, sum);
    }
}

/* With s = -x for label 1 and x for label 0 both cases are loss = log(1 + e^s), |dx| = p(s). */
static void sigmoid_row(nl_real x, int32_t label, double scale, nl_real *dx, nl_loss_sum *sum)
{
    const double s = label ? -(double)x : (double)x, t = exp(-fabs(s));
    sum->loss += (s > 0 ? s : 0) + log1p(t);
    sum->correct += (x > 0) == (label != 0) && !isnan(x);
    sum->rows++;
    if (dx)
        *dx = (nl_real)((label ? -scale : scale) * ((s > 0 ? 1 : t) / (1 + t)));
}

static void sigmoid(const nl_real *logits, int64_t rows, const int32_t *labels, double scale,
                    nl_real *dlogits, nl_loss_sum *sum)
{
    for (int64_t r = 0; r < rows; r++) {
        nl_real *dx = dlogits ? dlogits + r : NULL;
        if (labels[r] < 0)
            clear(dx, 1);
        else
            sigmoid_row(logits[r], labels[r], scale, dx, sum);
    }
}

static void squared(const nl_real *x, int64_t rows, const nl_real *values, double tolerance,
                    double scale, nl_real *dx, nl_loss_sum *sum)
{
    for (int64_t r = 0; r < rows; r++) {
        const double error = (double)x[r] - (double)values[r];
        sum->loss += error * error;
        sum->correct += fabs(error) < tolerance;
        if (dx)
            dx[r] = (nl_real)(2 * error * scale);
    }
    sum->rows += rows;
}

const nl_loss_kernels NL_VARIANT(nl_loss) = {softmax, sigmoid, squared};
