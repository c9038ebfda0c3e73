#include "analysis/ranks.h"

#include <math.h>

#include "analysis/distributions.h"
#include "analysis/sample.h"
#include "base/alloc.h"

/* Sum of t^3 - t over the groups of equal ranks: each of t equal values sees t of them. */
static double tied(const double *rank, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++) {
        double equal = 0;
        for (int64_t j = 0; j < k; j++)
            equal += rank[i] == rank[j];
        sum += equal * equal - 1;
    }
    return sum;
}

static void test(nl_friedman *f, const double *mean_rank, double ties)
{
    const double N = (double)f->tasks, k = (double)f->methods;
    double squares = 0;
    for (int64_t i = 0; i < f->methods; i++)
        squares += pow(mean_rank[i] - (k + 1) / 2, 2);
    const double correction = 1 - ties / (N * k * (k * k - 1));
    f->chi_square = correction > 0 ? 12 * N / (k * (k + 1)) * squares / correction : 0;
    f->chi_square_p = nl_chi_square_tail(f->chi_square, k - 1);
    f->f = (N - 1) * f->chi_square / fmax(N * (k - 1) - f->chi_square, 0);
    f->f_p = nl_f_tail(f->f, k - 1, (k - 1) * (N - 1));
}

nl_status nl_friedman_ranks(nl_friedman *out, const double *score, int64_t tasks, int64_t methods,
                            double level, double *mean_rank)
{
    double ties = 0;
    *out = (nl_friedman){tasks, methods, NAN, NAN, NAN, NAN, NAN};
    double *room = nl_alloc((size_t)(2 * methods + 1), sizeof *room);
    if (!room)
        return nl_fail(NL_ENOMEM, "ranks of %lld methods", (long long)methods);
    double *cost = room, *rank = room + methods;
    for (int64_t i = 0; i < methods; i++)
        mean_rank[i] = tasks ? 0 : NAN;
    for (int64_t t = 0; t < tasks; t++) {
        for (int64_t i = 0; i < methods; i++)
            cost[i] = -score[t * methods + i];
        nl_ranks(cost, methods, rank);
        ties += tied(rank, methods);
        for (int64_t i = 0; i < methods; i++)
            mean_rank[i] += rank[i] / (double)tasks;
    }
    nl_free(room);
    if (tasks < 2 || methods < 2)
        return NL_OK;
    test(out, mean_rank, ties);
    const double k = (double)methods;
    out->critical_difference =
        nl_range_quantile(level, (int)methods) / M_SQRT2 * sqrt(k * (k + 1) / (6 * (double)tasks));
    return NL_OK;
}
