/* observe_slots.h: what slots of layers see (pre) and give (post) in a training step, and the
 * gradients of the loss by both: summaries, histograms, and how far the batch is from the
 * population statistics of the slot's norm. */
#ifndef NL_OBSERVE_SLOTS_H
#define NL_OBSERVE_SLOTS_H

#include "train/agenda.h"

typedef struct nl_slot_observer nl_slot_observer;

nl_status nl_slot_observer_open(nl_slot_observer **out, const nl_agenda *a) NL_CHECKED;
void nl_slot_observer_close(nl_slot_observer *o); /* NULL is fine */

/* To be told what the passes make, or NULL where nothing of it is due. */
nl_watch *nl_slot_observer_watch(nl_slot_observer *o);

/* After the forward pass. */
void nl_observe_slots(nl_slot_observer *o, const nl_layer_call *call);

#endif
