/* observe.h: what the run file shows of a model on logged steps: activations before and after each
 * slot, the norms' variables, norms of parameters and gradients. Declares its channels before the
 * run begins and never changes training. */
#ifndef NL_OBSERVE_H
#define NL_OBSERVE_H

#include "core/model.h"
#include "io/runlog.h"

typedef struct nl_observer nl_observer;

/* n: rows of a training batch. The model must be open, the log not begun. */
nl_status nl_observer_open(nl_observer **out, nl_log *log, nl_model *m, int64_t n) NL_CHECKED;
void nl_observer_close(nl_observer *o); /* NULL is fine */

/* After the forward of a training step, whose call is `logged`: activations of its batch. */
void nl_observe_layers(nl_observer *o, const nl_layer_call *c);
/* After its backward, before the update: parameters, gradients, variables of norms; the row of
 * `step` is whole then. The values of tables (lookup.h) are read with `tables` alone: all their
 * rows have to be brought up to date. */
nl_status nl_observe_parameters(nl_observer *o, int64_t step, bool tables) NL_CHECKED;

#endif
