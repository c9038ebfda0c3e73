/* observe.h: the channels of a run file (channels.h) while a run goes on. Declares their data sets
 * before the run begins and never changes training.
 *
 *     nl_observe_begin(o, step, &call);     chooses what is due
 *     forward; nl_observe_layers(o, &call);
 *     backward; nl_observe_end(o, &call, lr);
 *     update */
#ifndef NL_OBSERVE_H
#define NL_OBSERVE_H

#include "core/model.h"
#include "io/runlog.h"
#include "train/channels.h"

typedef struct nl_observer nl_observer;

typedef struct nl_observer_setup {
    nl_log *log;     /* not begun */
    nl_model *model; /* open */
    const nl_log_plan *plan;
    int64_t n;     /* rows of a training batch */
    int64_t steps; /* of the run */
    int64_t
        checkpoint; /* steps between checkpoints: the first row of /params at or behind one reads
                           tables whole (lookup.h), the others leave their values out */
    nl_real *last_gradient; /* lent where the plan has cosines: like the store's gradients, kept by
                               checkpoints */
} nl_observer_setup;

/* NL_ENAME: the plan names a layer that the model lacks. */
nl_status nl_observer_open(nl_observer **out, const nl_observer_setup *s) NL_CHECKED;
void nl_observer_close(nl_observer *o); /* NULL is fine */

/* Before the forward pass of `step` (1, 2, ...), whose call is told what to keep. */
void nl_observe_begin(nl_observer *o, int64_t step, nl_layer_call *call);
/* After its forward pass: what the layers see and give. */
void nl_observe_layers(nl_observer *o, const nl_layer_call *call);
/* After its backward pass, before its update with the rate lr: gradients, parameters, variables of
 * norms. The rows that are due are whole then. */
nl_status nl_observe_end(nl_observer *o, double lr) NL_CHECKED;

#endif
