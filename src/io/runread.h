/* runread.h: reads run files, finished, live or killed (docs/format.md).
 *
 * Numbers come as doubles, whatever they are stored as. A live or killed file shows the rows that
 * were committed when it was opened; open it again to see more. Messages name the file and the
 * path in it. */
#ifndef NL_RUNREAD_H
#define NL_RUNREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct nl_run nl_run;

/* NL_EIO: not there; NL_EFORMAT: not a run file, or of another schema. */
nl_status nl_run_open(nl_run **out, const char *path) NL_CHECKED;
void nl_run_close(nl_run *r); /* NULL is fine */

bool nl_run_is_live(const nl_run *r); /* not closed: a run is writing it, or was killed */

/* A data set, row-major. Freed with nl_array_free. */
enum { NL_ARRAY_RANK_MAX = 4 };
typedef struct nl_array {
    int rank;
    int64_t dim[NL_ARRAY_RANK_MAX]; /* of a channel: dim[0] is rows */
    int64_t count;
    double *at;
} nl_array;
void nl_array_free(nl_array *a);

/* Any numeric data set: a channel, an index, labels. NL_ENAME: not there. */
nl_status nl_run_read(nl_run *r, const char *path, nl_array *out) NL_CHECKED;
/* Its last rows, at most so many. */
nl_status nl_run_read_last(nl_run *r, const char *path, int64_t most, nl_array *out) NL_CHECKED;

/* The index of the channel's timeline (steps or epochs), one value a row. */
nl_status nl_run_read_index(nl_run *r, const char *channel, nl_array *out) NL_CHECKED;

/* Names in the order of creation; freed with nl_names_free. */
typedef struct nl_names {
    char **at;
    int count, room;
} nl_names;
void nl_names_free(nl_names *n);

typedef enum nl_run_kind { NL_RUN_GROUP, NL_RUN_DATA, NL_RUN_NOTHING } nl_run_kind;
nl_run_kind nl_run_look(nl_run *r, const char *path);

/* The groups or the data sets right below a group: layers are the groups of "/layers". */
nl_status nl_run_list(nl_run *r, const char *group, nl_run_kind kind, nl_names *out) NL_CHECKED;

/* The labels of text, "/timeline". */
nl_status nl_run_read_labels(nl_run *r, const char *path, nl_names *out) NL_CHECKED;

/* The path of the labels of a channel's dimension (1 is the first after the rows); "" if none. */
nl_status nl_run_scale_of(nl_run *r, const char *channel, int dim, nl_text *out) NL_CHECKED;

/* Attributes of a path ("/" has those of the run); numbers are printed by nl_run_text. False where
 * there is none. */
bool nl_run_text(nl_run *r, const char *path, const char *name, nl_text *out);
bool nl_run_real(nl_run *r, const char *path, const char *name, double *out);
bool nl_run_int(nl_run *r, const char *path, const char *name, int64_t *out);

#endif
