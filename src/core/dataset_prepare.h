/* dataset_prepare.h: what the host does to every data set after its file has filled it in. */
#ifndef NL_DATASET_PREPARE_H
#define NL_DATASET_PREPARE_H

#include "core/dataset.h"

/* All three splits become (x - centre) / spread, where both come from the training part alone. */
nl_status nl_dataset_standardize(nl_dataset *d, int scale) NL_CHECKED;

/* Stable: examples of one class keep their order. */
nl_status nl_split_sort(nl_split *split, int64_t width, int64_t classes) NL_CHECKED;

/* Shape, counts, labels and values (as float, so that both builds agree). */
uint64_t nl_dataset_checksum(const nl_dataset *d);

#endif
