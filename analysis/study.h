/* study.h: methods over several tasks, from any number of finished runs.
 *
 * A task is all that a run is but for norm and seed: data, model, optimizer, batch, ... Every task
 * is a comparison of its own (compare.h); over the tasks that have every method
 *
 *   - scores, paired differences and the probability of improvement have intervals by bootstrap,
 *     stratified over tasks (bootstrap.h);
 *   - "better" and "worse" are said when the sign-flip permutation test of the paired differences,
 *     each task of the same weight, is below 1 - level after Holm's correction over methods;
 *   - mean ranks have Friedman's test and Nemenyi's critical difference (ranks.h), and steps to the
 *     target a performance profile.
 *
 * Where tasks differ in one key alone, as in a grid of learning rates, they are also a view of the
 * methods' sensitivity to it. */
#ifndef NL_STUDY_H
#define NL_STUDY_H

#include "analysis/bootstrap.h"
#include "analysis/compare.h"
#include "analysis/facts.h"
#include "analysis/ranks.h"

/* Bounds of cost relative to the cheapest method of a task, at which profiles are read. */
enum { NL_PROFILE_POINTS = 6 };
extern const double nl_profile_bounds[NL_PROFILE_POINTS];

/* One method over the common tasks. */
typedef struct nl_standing {
    const char *spec; /* as the runs' attribute norm */
    const char *label;
    char name[64];
    int64_t tasks, runs, diverged, unfinished; /* over all tasks */

    nl_bootstrap mean, middle; /* of scores; middle: interquartile mean */
    double median;             /* over tasks of the means of tasks */
    nl_bootstrap difference,
        above;                    /* to the baseline, by seed; above: probability of improvement */
    double flips_p, flips_p_holm; /* of the differences */
    nl_verdict verdict;
    double ranks_p; /* signed ranks of the tasks' mean differences */
    double mean_rank;
    double profile[NL_PROFILE_POINTS]; /* share of tasks whose median steps are within the bound */
} nl_standing;

/* Tasks that differ in `key` alone, by growing value. */
typedef struct nl_view {
    const char *key;
    int64_t count, *task; /* owned */
    nl_text rest;         /* what else sets these tasks apart from others; may be empty */
} nl_view;

typedef struct nl_task {
    nl_compare *compare; /* owned */
    nl_facts facts;      /* of its first run */
    nl_text label;       /* what sets it apart: "mnist, optimizer.lr=0.1" */
    bool is_common;      /* has a score of every method, and pairs with the baseline */
} nl_task;

typedef struct nl_study {
    nl_task *task; /* by growing values of what sets them apart */
    int64_t tasks, common;
    nl_standing *method; /* the baseline, then in order of their first run */
    int64_t methods, baseline;
    const nl_score *score; /* of all tasks; NULL where they differ: nothing is averaged then */
    nl_friedman friedman;
    int64_t profiled; /* common tasks with a target that some method reached */
    nl_view *view;
    int64_t views, runs;
    double level;
} nl_study;

/* Runs must outlive the study. Their attribute norm is completed by norm.SLOT= where a run has
 * that, which is why they are not const. The baseline, "none" unless said, must be in every task.
 */
nl_status nl_study_make(nl_study **out, nl_rundata *const *runs, int64_t count,
                        const nl_compare_options *options) NL_CHECKED;
void nl_study_close(nl_study *s); /* NULL is fine */

/* The method of a task, or NULL. */
const nl_method *nl_study_method(const nl_study *s, int64_t task, int64_t method);

/* Aligned tables for a terminal; one object with everything; one row a task and method. */
void nl_study_print(const nl_study *s, nl_text *out);
void nl_study_json(const nl_study *s, nl_text *out);
void nl_study_csv(const nl_study *s, nl_text *out);

/* What these say, piece by piece: a title, "none and batch over 4 tasks"; one line; a line for each
 * finding, as of nl_compare_findings; the tables that there are, one after the other; and notes,
 * one a line. */
void nl_study_title(const nl_study *s, nl_text *out);
void nl_study_heading(const nl_study *s, nl_text *out);
void nl_study_findings(const nl_study *s, nl_text *out);
typedef enum nl_study_table {
    NL_TABLE_TASKS, /* a row for each task; of the others, one for each method */
    NL_TABLE_STANDINGS,
    NL_TABLE_PROFILES,
    NL_TABLE_VIEWS, /* one for each view */
    NL_STUDY_TABLES
} nl_study_table;
typedef void nl_take_sheet(void *arg, const nl_sheet *sheet);
void nl_study_each(const nl_study *s, nl_study_table table, nl_take_sheet *take, void *arg);
void nl_study_notes(const nl_study *s, nl_text *out);

#endif
