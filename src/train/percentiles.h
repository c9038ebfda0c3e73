/* percentiles.h: percentiles of many values, exact: linear between order statistics, as NumPy does.
 * They are looked for in the few of many equal bins that hold the ranks. A value that is there many
 * times (relu's 0, a dark background) is counted and not sorted. */
#ifndef NL_PERCENTILES_H
#define NL_PERCENTILES_H

#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

enum { NL_PERCENTILES = 7 };
extern const double nl_percentiles[NL_PERCENTILES]; /* 1, 5, 15, 50, 85, 95, 99 */

/* Scratch for up to so many values. */
typedef struct nl_ranker nl_ranker;
nl_status nl_ranker_open(nl_ranker **out, int64_t values) NL_CHECKED;
void nl_ranker_close(nl_ranker *r); /* NULL is fine */

/* Of count > 0 finite values, most of which lie between from and to; how many do is a matter of
 * speed alone. Cannot fail. */
void nl_rank_percentiles(nl_ranker *r, const nl_real *v, int64_t count, double from, double to,
                         double out[NL_PERCENTILES]);

#endif
