#include "train/setup.h"

nl_model_setup nl_spec_setup(const nl_run_spec *spec, const nl_dataset *data, int64_t batch,
                             int64_t n)
{
    return (nl_model_setup){.shape = data->shape,
                            .outputs = nl_dataset_outputs(data),
                            .each_step = data->each_step,
                            .stateful = data->consecutive,
                            .batch = batch,
                            .n = n,
                            .norm = spec->norm.is,
                            .norm_slot = {spec->norm_preact.is, spec->norm_act.is,
                                          spec->norm_weight.is, spec->norm_x.is, spec->norm_h.is,
                                          spec->norm_c.is},
                            .init = spec->init.is,
                            .seed = (uint64_t)spec->seed};
}
