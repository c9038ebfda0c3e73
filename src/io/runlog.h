/* runlog.h: writes one run to one HDF5 file that outlives a kill.
 *
 * The file is written as PATH.part and renamed to PATH at a clean end (PATH is usually run.h5).
 * Everything is declared first: timelines, labels, channels, root attributes. nl_log_begin then
 * switches HDF5 to single-writer-multiple-reader mode, in which only rows are appended; that is the
 * mode whose files keep every flushed row after SIGKILL. The contract of the file is
 * docs/format.md.
 *
 * A timeline is a folder of the file and an index: /steps has one row a step and the index
 * /steps/step. A channel belongs to a timeline and gets one value (scalar or array) a row:
 *     nl_log_put(log, loss, &v); ... nl_log_row(log, steps, step);
 * Rows wait in memory, taken at begin, until a chunk is full or nl_log_flush is called; between
 * begin and finish nothing is allocated here for a row (HDF5 allocates when it writes).
 *
 * The first write that fails (full disk) gives NL_EIO with the path and the reason and makes the
 * log dead: later calls return the same message, nothing more is written, and the file is never
 * closed, because closing such a file spoils it and crashes HDF5. What was flushed stays readable
 * after nl_recover. A full disk met at RLIMIT_FSIZE raises SIGXFSZ: ignore it to get the message.
 *
 * One log belongs to one thread at a time. HDF5 must not be shared with other threads meanwhile. */
#ifndef NL_RUNLOG_H
#define NL_RUNLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "core/store.h"

typedef struct nl_log nl_log;

enum { NL_LOG_DIMS_MAX = 3 };

/* Creates PATH.part, over an older one. NL_EIO: cannot be created, or a running process has it. */
nl_status nl_log_open(nl_log **out, const char *path) NL_CHECKED;

/* Takes up PATH.part of a killed run, or PATH of an ended one, which stays until this log ends
 * well: recovers it, drops rows that are later than the checkpoint, and waits for the
 * same declarations in any order, which it compares with the file. Timelines whose index is called
 * "epoch" keep rows with an index <= epoch, all others rows with an index <= step.
 * Afterwards the data sets become those of an uninterrupted run. */
nl_status nl_log_resume(nl_log **out, const char *path, int64_t step, int64_t epoch) NL_CHECKED;

/* ---- before begin */

/* A timeline "/steps" with the index data set /steps/INDEX (int64, a dimension scale). rows is the
 * number of rows buffered and the chunk of its channels: 512 for steps, 64 for rare wide rows. */
nl_status nl_log_timeline(nl_log *log, const char *path, const char *index, const char *unit,
                          int64_t rows, int *timeline) NL_CHECKED;

/* The coordinates of a dimension, "/layers/percentile", for nl_log_channel's scale. */
nl_status nl_log_labels(nl_log *log, const char *path, const double *values,
                        int64_t count) NL_CHECKED;
nl_status nl_log_text_labels(nl_log *log, const char *path, const char *const *values,
                             int64_t count) NL_CHECKED;

typedef struct nl_channel {
    const char *path; /* "/layers/h1/preact/pre/percentiles": missing groups are made */
    int timeline;
    nl_vartype type;
    const char *unit, *doc; /* attributes units and long_name; NULL: none */
    int rank;               /* of one row: 0 for a number */
    int64_t dim[NL_LOG_DIMS_MAX];
    const char *scale[NL_LOG_DIMS_MAX]; /* path of labels; NULL: 0, 1, 2, ... */
    bool is_volatile;                   /* clock times: not compared between runs */
} nl_channel;

/* The strings are copied. A channel outside of its timeline's folder, /norms/... of the timeline
 * /layers, gets a copy of the index in its own, /norms/step. */
nl_status nl_log_channel(nl_log *log, const nl_channel *decl, int *id) NL_CHECKED;

/* Initial parameters, one data set /record/init/OWNER/NAME each. */
nl_status nl_log_record_init(nl_log *log, nl_store *store) NL_CHECKED;

/* The channel /record/order: `batch` example numbers for each row of the timeline of steps, int64,
 * padded with -1 where nl_log_put_int gives fewer. */
nl_status nl_log_record_order(nl_log *log, int timeline, int64_t batch, int *id) NL_CHECKED;

/* Root attributes: spec, versions, checksums. The value is replaced if the name is there. Given
 * after begin (seconds taken), they are kept in memory and written by nl_log_finish. */
nl_status nl_log_set_text(nl_log *log, const char *name, const char *value) NL_CHECKED;
nl_status nl_log_set_real(nl_log *log, const char *name, double value) NL_CHECKED;
nl_status nl_log_set_int(nl_log *log, const char *name, int64_t value) NL_CHECKED;

nl_status nl_log_begin(nl_log *log) NL_CHECKED;

/* ---- from begin to finish */

/* The channel's value in the row now open, all of it; converted to the channel's type. */
void nl_log_put(nl_log *log, int id, const double *values);
void nl_log_put_real(nl_log *log, int id, const nl_real *values);

/* The first `count` whole numbers of the channel's value; the rest stay absent. */
void nl_log_put_int(nl_log *log, int id, const int64_t *values, int64_t count);

/* Ends the open row of a timeline. Values not put are NaN, or -1 in channels of whole numbers.
 * Writes when the chunk is full. index: the step or epoch, growing. */
nl_status nl_log_row(nl_log *log, int timeline, int64_t index) NL_CHECKED;
/* The same of several timelines. */
nl_status nl_log_row_of_each(nl_log *log, const int *timelines, int count,
                             int64_t index) NL_CHECKED;

/* Every ended row of every timeline to the file, then the counters of committed rows: survives a
 * kill of the process. nl_log_sync also waits for the disk: survives a power cut; before a
 * checkpoint. */
nl_status nl_log_flush(nl_log *log) NL_CHECKED;
nl_status nl_log_sync(nl_log *log) NL_CHECKED;

int64_t nl_log_rows(const nl_log *log, int timeline); /* ended so far, resumed ones included */
bool nl_log_dead(const nl_log *log);

/* Writes what waits and the outcome ("done", "diverged", "stopped", "failed"), closes the file and
 * renames it to PATH. The log is gone afterwards in any case; on NL_EIO the file stays PATH.part.
 */
nl_status nl_log_finish(nl_log *log, const char *outcome) NL_CHECKED;

/* Leaves the file as a killed run would, PATH.part; before begin it is removed. NULL is fine. */
void nl_log_abandon(nl_log *log);

#endif
