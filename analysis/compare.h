/* compare.h: methods x seeds from finished run files, as a table that says no more than the runs
 * show.
 *
 * A method is what the attribute `norm` of its runs says. Runs of two methods with the same seed
 * saw the same initial weights, batches and masks, so differences are taken seed by seed.
 *
 *   - means carry a Student t interval over seeds; one seed gives none;
 *   - a diverged run counts, with the last value measured before it diverged;
 *   - a run that has not ended is counted as such and takes part in nothing else;
 *   - a run that never reached the target is censored at its last step and stays in: n is then a
 *     median where more than half reached it, otherwise "> steps", and a ratio is a bound;
 *   - "better" and "worse" are said when the paired t test against the baseline, Holm-corrected
 * over the methods, is below 1 - level; otherwise "no difference shown". Ratios are tested on
 * logarithms. */
#ifndef NL_COMPARE_H
#define NL_COMPARE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "analysis/intervals.h"
#include "analysis/rundata.h"
#include "analysis/sheet.h"
#include "base/text.h"

typedef struct nl_compare_options {
    const char *baseline; /* a method's spec or label; NULL: the first run's */
    double target; /* accuracy to be reached, 0 .. 1; NaN: the runs' attribute `target`, if any */
    double level;  /* of intervals and tests: 0.95 */
} nl_compare_options;
#define NL_COMPARE_DEFAULTS ((nl_compare_options){.target = NAN, .level = 0.95})

#define NL_POWER 0.8 /* with which chance a smallest effect is found */

typedef enum nl_verdict {
    NL_VERDICT_NONE, /* too few pairs to say anything */
    NL_VERDICT_BASELINE,
    NL_VERDICT_BETTER,
    NL_VERDICT_WORSE,
    NL_VERDICT_NOT_SHOWN
} nl_verdict;

/* What methods are ranked by: bits per character of the test or validation part where there are
 * any, else test accuracy, else validation accuracy, else test loss. */
typedef struct nl_score {
    const char *key;   /* "test_accuracy": /epochs/KEY and /evals/KEY */
    const char *title; /* "test accuracy, %" */
    double scale;      /* from the file's unit to the table's */
    bool less_is_better;
} nl_score;

typedef enum nl_bound { NL_BOUND_NONE, NL_BOUND_EXACT, NL_BOUND_BELOW, NL_BOUND_ABOVE } nl_bound;

/* Steps of the baseline times `mean` are the steps of the method (geometric mean over pairs).
 * BELOW: the true ratio is less, because baseline runs are censored; ABOVE: this method's runs are.
 */
typedef struct nl_ratio {
    nl_bound bound;
    nl_interval is; /* low and high too are factors; p is of the ratio being 1 */
} nl_ratio;

typedef struct nl_method {
    const char *spec;  /* in full: the attribute norm */
    const char *label; /* what it is called: the name, where no other method has it, or spec */
    char name[64];
    const nl_rundata *const *runs; /* by growing seed */
    int64_t count, diverged, unfinished;

    nl_interval score, test_loss, train_loss, seconds; /* seconds: wall time a step */
    nl_interval difference;                            /* of scores, to the baseline, by seed */
    double difference_p;                               /* after Holm */
    nl_verdict verdict;
    nl_interval median, middle; /* of scores; middle: interquartile mean */
    nl_interval height;         /* of the learning curve, its area over its width */
    double flips_p, ranks_p;    /* of the differences, by sign flips and by signed ranks */
    double above;               /* chance that a run beats one of the baseline */
    double smallest_effect;     /* that the t test finds with NL_POWER at this spread */

    int64_t tried, reached; /* ended runs with evaluations; those that reached the target */
    nl_interval steps;      /* over the runs that reached it; only where all did */
    double median_steps;    /* infinite where half or more did not */
    double median_seconds;  /* the same by the clock */
    double budget;          /* most steps a run tried */
    nl_ratio ratio;
    double ratio_p; /* after Holm */
    nl_verdict ratio_verdict;
} nl_method;

typedef struct nl_compare {
    nl_method *methods; /* in order of their first run */
    int64_t count, baseline;
    const nl_score *score;
    double target, level; /* target NaN: none */
    double budget;        /* most steps of any run */
    bool synthetic;       /* the data of some run were made up */

    const nl_rundata **runs; /* of all methods, grouped; methods point into it */
    nl_rundata **owned;      /* those read here; NULL for nl_compare_runs */
    int64_t runs_count;
} nl_compare;

/* Reads `count` run files. Runs of different data, and two runs of one method and
 * seed, are an error that names both. */
nl_status nl_compare_open(nl_compare **out, const char *const *paths, int64_t count,
                          const nl_compare_options *options) NL_CHECKED;
/* The same from runs in memory, which must outlive the comparison. */
nl_status nl_compare_runs(nl_compare **out, const nl_rundata *const *runs, int64_t count,
                          const nl_compare_options *options) NL_CHECKED;
void nl_compare_close(nl_compare *c); /* NULL is fine */

/* The scores of a method's ended runs by growing seed, and those of the seeds that the baseline has
 * too, beside the baseline's; room for m->count each. How many there are is returned. */
int64_t nl_compare_scores(const nl_compare *c, const nl_method *m, double *at);
int64_t nl_compare_pairs(const nl_compare *c, const nl_method *m, double *at, double *baseline);

/* "glyphs [SYNTHETIC DATA] · mlp:hidden=100x3 · 6 methods x 3 seeds · 2000 steps" */
void nl_compare_heading(const nl_compare *c, nl_text *out);

/* What every run has in common of its canonical spec, seed and norm left out: "key=value ...". */
void nl_compare_common(const nl_compare *c, nl_text *out);

/* "none, batch and layer on mnist" */
void nl_compare_title(const nl_compare *c, nl_text *out);

/* Which methods are better and which are worse, by the table's verdicts: a line each. Empty where
 * there is nothing to compare. */
void nl_compare_findings(const nl_compare *c, nl_text *out);

/* The tables (quality; steps to the target, if there is one; other averages and tests), one row a
 * method. No such table: no cell. */
typedef enum nl_table {
    NL_TABLE_QUALITY,
    NL_TABLE_SPEED,
    NL_TABLE_DETAIL,
    NL_TABLE_COUNT
} nl_table;
void nl_compare_sheet(const nl_compare *c, nl_table table, nl_sheet *out);

/* Footnotes that apply, one sentence each; false past the last. */
bool nl_compare_note(const nl_compare *c, int64_t i, nl_text *out);

/* Heading, tables and notes, aligned, UTF-8, with a newline at the end. */
void nl_compare_print(const nl_compare *c, bool with_detail, nl_text *out);

/* "better", as tables say it. */
const char *nl_verdict_word(nl_verdict verdict);

/* Lines of findings: "Better than none (test accuracy, %): batch +2.06 [+1.77, +2.34], ..." */
typedef struct nl_judged {
    const char *label;
    nl_verdict verdict;
    nl_interval difference;
} nl_judged;
void nl_findings_add(const nl_judged *judged, int64_t count, const nl_score *score,
                     const char *baseline, nl_text *out);
/* "none, batch and layer"; of many, how many there are. */
void nl_labels_add(const char *(*label)(const void *of, int64_t i), const void *of, int64_t count,
                   nl_text *out);

/* The same as one JSON object. Numbers that are not defined are null. */
void nl_compare_json(const nl_compare *c, nl_text *out);

#endif
