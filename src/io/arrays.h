/* arrays.h: a file of plain arrays, as h5py writes them: what `normlab apply` reads and writes. */
#ifndef NL_ARRAYS_H
#define NL_ARRAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/store.h"

enum { NL_ARRAY_RANK_MAX = 6 };

typedef struct nl_array_shape {
    int rank;
    int64_t dim[NL_ARRAY_RANK_MAX];
    int64_t count;
    enum { NL_ARRAY_FLOAT, NL_ARRAY_DOUBLE, NL_ARRAY_WHOLE, NL_ARRAY_OTHER } kind;
} nl_array_shape;
extern const char *const nl_array_kinds[]; /* "float32", ... */

/* "(4, 3, 2)" */
const char *nl_array_print(const nl_array_shape *s, char *buf, size_t room);

typedef struct nl_arrays nl_arrays;

/* Opens a file for reading, or makes a new one over whatever is there. */
nl_status nl_arrays_open(nl_arrays **out, const char *path) NL_CHECKED;
nl_status nl_arrays_create(nl_arrays **out, const char *path) NL_CHECKED;
/* Fails where something could not be written; NULL is fine. */
nl_status nl_arrays_close(nl_arrays *a) NL_CHECKED;

/* Name of array i at the top of the file, NULL past the end; lent until the next call. */
const char *nl_arrays_name(nl_arrays *a, int64_t i);
bool nl_arrays_has(nl_arrays *a, const char *name);

/* Fails when the array is missing or has more than NL_ARRAY_RANK_MAX dimensions. */
nl_status nl_arrays_shape(nl_arrays *a, const char *name, nl_array_shape *out) NL_CHECKED;
/* All of an array, converted; `to` has room for its count. */
nl_status nl_arrays_read(nl_arrays *a, const char *name, nl_vartype type, void *to) NL_CHECKED;
nl_status nl_arrays_write(nl_arrays *a, const char *name, nl_vartype type, int rank,
                          const int64_t *dim, const void *from) NL_CHECKED;

#endif
