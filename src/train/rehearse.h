/* rehearse.h: what of a run can fail in set-up, found without starting it. */
#ifndef NL_REHEARSE_H
#define NL_REHEARSE_H

#include "train/spec.h"

/* Opens the run's network and optimizer on the shape of its data and closes them again: NL_OK, or
 * what nl_train would say. One thread; nothing is written. */
nl_status nl_run_rehearse(const nl_run_spec *spec, const nl_dataset *data) NL_CHECKED;

#endif
