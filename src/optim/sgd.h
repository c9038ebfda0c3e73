/* sgd.h: what momentum.c and nesterov.c share with sgd.c. */
#ifndef NL_SGD_H
#define NL_SGD_H

#include "core/optim.h"

typedef struct nl_sgd {
    double momentum, dampening;
    bool nesterov;
} nl_sgd;

extern const nl_option nl_sgd_options[];
nl_status nl_sgd_check(const void *self) NL_CHECKED;
bool nl_sgd_uses_slot(const void *self, int k);
void nl_sgd_step(const void *self, const nl_optim_call *c);

#define NL_SGD_BODY                                                                \
    .self_size = sizeof(nl_sgd), .options = nl_sgd_options, .slots = {"momentum"}, \
    .check = nl_sgd_check, .uses_slot = nl_sgd_uses_slot, .step = nl_sgd_step

#endif
