#include "train/setup.h"

int64_t nl_outputs_of(const nl_dataset *d) { return d->classes == 2 ? 1 : d->classes; }

nl_model_setup nl_spec_setup(const nl_run_spec *spec, const nl_dataset *data, int64_t batch,
                             int64_t n)
{
    return (nl_model_setup){.shape = data->shape,
                            .outputs = nl_outputs_of(data),
                            .batch = batch,
                            .n = n,
                            .norm = spec->norm.is,
                            .norm_slot = {spec->norm_preact.is, spec->norm_act.is,
                                          spec->norm_weight.is, spec->norm_x.is, spec->norm_h.is,
                                          spec->norm_c.is},
                            .init = spec->init.is,
                            .seed = (uint64_t)spec->seed};
}
