/* observe_params.h: parameters, their gradients, and the variables of norms.
 *
 * Effective learning rate of weights w whose scale does not matter, because a norm follows:
 * w / ||w|| moves as with the rate
 *     effective_lr = lr / ||w||^2                          (van Laarhoven 2017, section 3.1)
 * where lr is the step's times the parameter's own setting. Cosine of the gradients g of all
 * parameters, or of those of a layer and its norms, in the steps t - 1 and t:
 *     cosine = <g_(t-1), g_t> / (||g_(t-1)|| ||g_t||) */
#ifndef NL_OBSERVE_PARAMS_H
#define NL_OBSERVE_PARAMS_H

#include "train/agenda.h"

typedef struct nl_param_observer nl_param_observer;

nl_status nl_param_observer_open(nl_param_observer **out, const nl_agenda *a) NL_CHECKED;
void nl_param_observer_close(nl_param_observer *o); /* NULL is fine */

/* After every backward pass, before the update with the rate lr. */
void nl_observe_params(nl_param_observer *o, double lr);

#endif
