/* observe_steps.h: what the run file shows of recurrent layers step by step, the position in the
 * sequence being a dimension. Part of the channel of activations: moments of what each slot sees
 * and gives, of the outputs h_t, and ||dL/dh_t||; of that of gradients: moments of the gradients of
 * the slots inside of cells; of those of histograms: both over all positions. */
#ifndef NL_OBSERVE_STEPS_H
#define NL_OBSERVE_STEPS_H

#include "train/agenda.h"

typedef struct nl_step_observer nl_step_observer;

nl_status nl_step_observer_open(nl_step_observer **out, const nl_agenda *a) NL_CHECKED;
void nl_step_observer_close(nl_step_observer *o); /* NULL is fine */

/* To be told what the backward pass makes, or NULL where nothing of it is due. */
nl_step_watch *nl_step_observer_watch(nl_step_observer *o);

/* After the forward pass, and after the backward pass. */
void nl_observe_steps(nl_step_observer *o, const nl_layer_call *c);
void nl_observe_step_gradients(nl_step_observer *o);

#endif
