/* The tables the build makes of norms/, models/ and datasets/. */
#include "cli/cli.h"
#include "core/model.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) extern const nl_model_ops nl_model_##name;
#include "models_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) extern const nl_dataset_ops nl_dataset_##name;
#include "datasets_table.inc"
#undef NL_ENTRY

#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const norms[] = {
#include "norms_table.inc"
};
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_model_##name,
static const nl_model_ops *const models[] = {
#include "models_table.inc"
};
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_dataset_##name,
static const nl_dataset_ops *const datasets[] = {
#include "datasets_table.inc"
};
#undef NL_ENTRY

void cli_use_registries(void)
{
    nl_norm_use(norms, sizeof norms / sizeof *norms);
    nl_model_use(models, sizeof models / sizeof *models);
    nl_dataset_use(datasets, sizeof datasets / sizeof *datasets);
}
