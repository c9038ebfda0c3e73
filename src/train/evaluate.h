/* evaluate.h: one checkpoint under many inference policies. A policy says where each statistic of
 * the norms comes from at evaluation; training has kept what every policy needs (norm.h). */
#ifndef NL_EVALUATE_H
#define NL_EVALUATE_H

#include "train/score.h"
#include "train/spec.h"

enum { NL_POLICY_NAME_MAX = 32, NL_POLICIES_MAX = 64 };

typedef struct nl_policy_row {
    char name[NL_POLICY_NAME_MAX]; /* "running", "TTFF", "mixture/0.25" */
    bool own;                      /* the methods' own; policy is not used */
    bool reestimated;              /* cumulative statistics, taken anew under the final weights */
    nl_policy policy;
} nl_policy_row;

/* A trained model beside its data. */
typedef struct nl_trained {
    nl_run_spec spec;
    nl_dataset *data;
    nl_model *model;
    int64_t step, epoch; /* of the checkpoint */
    char path[NL_STRING_MAX + 32];
} nl_trained;

/* The spec of the checkpoint in `folder`. NL_EIO: there is none; NL_ESTATE: it is of another
 * numerics version. */
nl_status nl_trained_spec(const char *folder, nl_run_spec *out) NL_CHECKED;

/* Opens the checkpoint in `folder`, for calls of up to n examples. data_dir as in
 * nl_dataset_open; fails when the data are not those of the run. *out is zeroed on failure. */
nl_status nl_trained_open(nl_trained *out, const char *folder, const char *data_dir,
                          int64_t n) NL_CHECKED;
void nl_trained_close(nl_trained *t);

/* All policies of a model, its own first; gives their number. */
int nl_policies_of(nl_model *m, nl_policy_row rows[NL_POLICIES_MAX]);

/* Cumulative statistics anew: plain averages over the training batches (up to `examples` training
 * examples; 0: all) under the final weights (Wu & Johnson 2021, section 3.2). Running statistics
 * move too: call it after what needs those, or load the checkpoint again. */
nl_status nl_reestimate(nl_trained *t, int64_t examples) NL_CHECKED;

/* Scores under one policy with batches of n. NL_ESTATE: the model's norms do not have it. */
nl_status nl_evaluate(nl_trained *t, const nl_policy_row *row, int64_t n, nl_score *val,
                      nl_score *test) NL_CHECKED;

#endif
