/* registry.h: hands the build's tables to the library, as the command does. */
#ifndef NL_TEST_REGISTRY_H
#define NL_TEST_REGISTRY_H

#include "core/dataset.h"
#include "core/model.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const test_norms[] = {
#include "norms_table.inc"
};
#undef NL_ENTRY
#define NL_ENTRY(name) extern const nl_model_ops nl_model_##name;
#include "models_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_model_##name,
static const nl_model_ops *const test_models[] = {
#include "models_table.inc"
};
#undef NL_ENTRY
#define NL_ENTRY(name) extern const nl_dataset_ops nl_dataset_##name;
#include "datasets_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_dataset_##name,
static const nl_dataset_ops *const test_datasets[] = {
#include "datasets_table.inc"
};
#undef NL_ENTRY

static inline void use_registries(void)
{
    nl_norm_use(test_norms, sizeof test_norms / sizeof *test_norms);
    nl_model_use(test_models, sizeof test_models / sizeof *test_models);
    nl_dataset_use(test_datasets, sizeof test_datasets / sizeof *test_datasets);
}

#endif
