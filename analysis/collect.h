/* collect.h: many runs as one table, one row a run. */
#ifndef NL_COLLECT_H
#define NL_COLLECT_H

#include "analysis/rundata.h"
#include "analysis/sheet.h"

/* Columns: the run's place and outcome, its norm as it was asked for, every key of the specs
 * (nested ones taken apart; empty where a run has no such key), last values of loss and accuracy on
 * each split, seconds, and when the test accuracy reached the target. */
nl_status nl_collect(nl_sheet *out, const nl_rundata *const *runs, int64_t count) NL_CHECKED;

#endif
