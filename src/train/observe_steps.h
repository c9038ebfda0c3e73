/* observe_steps.h: what the run file shows of recurrent layers step by step: moments of what each
 * slot sees and gives, of the outputs h_t, and ||dL/dh_t||. Rows of the timeline /layers; the
 * position in the sequence is a dimension. */
#ifndef NL_OBSERVE_STEPS_H
#define NL_OBSERVE_STEPS_H

#include "core/model.h"
#include "io/runlog.h"

typedef struct nl_step_observer nl_step_observer;

/* Declares the channels of every recurrent layer of the model; n: rows of a training batch. */
nl_status nl_step_observer_open(nl_step_observer **out, nl_log *log, int timeline, nl_model *m,
                                int64_t n) NL_CHECKED;
void nl_step_observer_close(nl_step_observer *o); /* NULL is fine */

/* After the forward of a logged call, and after its backward. */
void nl_observe_steps(nl_step_observer *o, const nl_layer_call *c);
void nl_observe_step_gradients(nl_step_observer *o);

#endif
