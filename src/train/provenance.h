/* provenance.h: where a run comes from, as root attributes of its file. */
#ifndef NL_PROVENANCE_H
#define NL_PROVENANCE_H

#include "core/dataset.h"
#include "core/model.h"
#include "io/runlog.h"
#include "train/spec.h"

nl_status nl_provenance_write(nl_log *log, const nl_run_spec *spec, const nl_dataset *data,
                              const nl_model *model, int threads) NL_CHECKED;

/* "Intel(R) Xeon(R) Processor": the CPU's own name, or "unknown". */
void nl_provenance_cpu(char *name, size_t room);

#endif
