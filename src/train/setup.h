/* setup.h: the model that a run's spec and data ask for. */
#ifndef NL_SETUP_H
#define NL_SETUP_H

#include "core/dataset.h"
#include "core/model.h"
#include "train/spec.h"

/* `batch` examples a training step, `n` the most of any call. The texts are spec's. */
nl_model_setup nl_spec_setup(const nl_run_spec *spec, const nl_dataset *data, int64_t batch,
                             int64_t n);

#endif
