/* ranks.h: several methods over several tasks by their ranks (Demsar 2006, demsar2006statistical):
 * no unit, no assumption but that tasks are independent. */
#ifndef NL_RANKS_H
#define NL_RANKS_H

#include <stdint.h>

#include "base/status.h"

typedef struct nl_friedman {
    int64_t tasks, methods;
    double chi_square, chi_square_p; /* Friedman 1937 (friedman1937use), corrected for ties */
    double f, f_p; /* Iman and Davenport 1980 (iman1980approximations), less conservative */
    double critical_difference; /* Nemenyi 1963 (nemenyi1963distribution), of mean ranks */
} nl_friedman;

/* score[task * methods + method], more is better; mean_rank[method] is filled, 1 for the best.
 * chi^2 = 12 N / (k (k+1)) (sum R^2 - k (k+1)^2 / 4) over ties;
 * F = (N-1) chi^2 / (N (k-1) - chi^2);
 * CD = q sqrt(k (k+1) / (6 N)), q the studentized range at `level` over sqrt 2.
 * Fewer than two tasks or methods: NaN. */
nl_status nl_friedman_ranks(nl_friedman *out, const double *score, int64_t tasks, int64_t methods,
                            double level, double *mean_rank) NL_CHECKED;

#endif
