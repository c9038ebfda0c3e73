/* published.h: what a paper says, beside what was measured. A paper is a folder, paper/KEY:
 *     study.yaml    the runs, as for `normlab compare`
 *     claims.tsv    "baseline METHOD", then one row a condition: claim, measure, method, expected,
 *                   channel, text, all parted by tabs
 *     *.csv         curves of its figures: method,step,value, named by the first line "# CHANNEL"
 *     README.md     protocol, what the paper leaves open, how it was settled
 * Measures compare `method` with the baseline, seed by seed:
 *     score     difference of the final score, in its units             expected above or below 0
 *     steps     ratio of the steps to the target                        expected above or below 1
 *     drift     ratio of the drift of percentiles in `channel`          expected above or below 1
 * The drift of a run is the mean distance of its percentiles 15, 50 and 85 from their last values,
 * over all rows later than a twentieth of the run, in units of their last distance 15 to 85.
 *
 * The rule of a verdict: a condition is met where its whole interval lies on the expected side,
 * contradicted where all of it lies on the other, else not shown. A claim is reproduced when all of
 * its conditions are met, contradicted when one is, else not shown. */
#ifndef NL_PUBLISHED_H
#define NL_PUBLISHED_H

#include "analysis/compare.h"

typedef enum nl_finding { NL_REPRODUCED, NL_CONTRADICTED, NL_NOT_SHOWN } nl_finding;
const char *nl_finding_name(nl_finding f); /* "reproduced", "contradicted", "not shown" */

enum { NL_CLAIM_TEXT_MAX = 256 };

typedef struct nl_condition {
    char claim[16], measure[16], method[64], channel[96], text[NL_CLAIM_TEXT_MAX];
    bool above; /* the side of 0 or 1 that is expected */
    double than;
    nl_interval is; /* measured; n 0: could not be */
    nl_finding found;
} nl_condition;

typedef struct nl_curve {
    char channel[96], method[64];
    int64_t count;
    double *x, *y; /* owned */
} nl_curve;

typedef struct nl_published {
    char baseline[64];
    nl_condition *condition;
    int conditions;
    nl_curve *curve;
    int curves;
} nl_published;

/* Reads claims.tsv and the curves of a folder; messages name file and line. Zeroed on failure. */
nl_status nl_published_read(nl_published *out, const char *folder) NL_CHECKED;
void nl_published_free(nl_published *p);

/* Fills in what was measured and found. */
nl_status nl_published_measure(nl_published *p, const nl_compare *c) NL_CHECKED;

/* The finding about the claim of condition i, from all its conditions. */
nl_finding nl_published_finding(const nl_published *p, int i);

/* A table for the terminal, and for a page. */
void nl_published_print(const nl_published *p, nl_text *out);
void nl_published_html(const nl_published *p, nl_text *out);

#endif
