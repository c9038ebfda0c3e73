/* setup.h: the model that a run's spec and data ask for. */
#ifndef NL_SETUP_H
#define NL_SETUP_H

#include "core/dataset.h"
#include "core/model.h"
#include "train/spec.h"

/* Logits the loss wants: two classes may be told by one. */
int64_t nl_outputs_of(const nl_dataset *d);

/* `batch` examples a training step, `n` the most of any call. The texts are spec's. */
nl_model_setup nl_spec_setup(const nl_run_spec *spec, const nl_dataset *data, int64_t batch,
                             int64_t n);

#endif
