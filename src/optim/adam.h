/* adam.h: what adamw.c shares with adam.c. */
#ifndef NL_ADAM_H
#define NL_ADAM_H

#include "core/optim.h"

typedef struct nl_adam {
    double beta1, beta2, eps;
    nl_choice eps_mode;
} nl_adam;

extern const nl_option nl_adam_options[];
void nl_adam_pace(const void *self, nl_optim_call *c);
void nl_adam_step(const void *self, const nl_optim_call *c);

#define NL_ADAM_BODY                                                               \
    .self_size = sizeof(nl_adam), .options = nl_adam_options, .slots = {"m", "v"}, \
    .pace = nl_adam_pace, .step = nl_adam_step

#endif
