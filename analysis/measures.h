/* measures.h: one number of one run. What a run did not measure is NaN. Keys are those of a score,
 * "test_accuracy": /epochs/KEY and /evals/KEY. */
#ifndef NL_MEASURES_H
#define NL_MEASURES_H

#include <stdbool.h>

#include "analysis/rundata.h"

bool nl_run_ended(const nl_rundata *run); /* done or diverged */
bool nl_run_diverged(const nl_rundata *run);
double nl_run_seed(const nl_rundata *run);

/* The last value measured: at the end by the row of the last epoch, before a divergence by the last
 * evaluation, which comes more often. */
double nl_final_value(const nl_rundata *run, const char *key);

double nl_last_step(const nl_rundata *run);
double nl_seconds_a_step(const nl_rundata *run); /* wall time, evaluations included */

/* The step, and the wall time since the run began, of the first evaluation whose value of `key` is
 * at least target. */
double nl_steps_to_target(const nl_rundata *run, const char *key, double target);
double nl_seconds_to_target(const nl_rundata *run, const char *key, double target);

/* Area under the learning curve over its width, which is the curve's mean height: trapezoids from
 * the first evaluation to step `until`, where the last value is held. */
double nl_curve_height(const nl_rundata *run, const char *key, double until);

#endif
