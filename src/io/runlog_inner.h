/* runlog_inner.h: what the files of the run log share: the log itself, its failures, and what
 * begin does in several of them. */
#ifndef NL_RUNLOG_INNER_H
#define NL_RUNLOG_INNER_H

#include <hdf5.h>

#include "io/runlog.h"

enum {
    NL_LOG_INDICES_MAX = 8, /* folders with channels of one timeline */
    NL_LOG_FOLDER_MAX = 256 /* characters of a folder's path */
};

/* One extensible data set. */
typedef struct channel {
    char *path;
    int timeline;
    bool is_index;
    nl_vartype type;
    int rank;                         /* of the data set: 1 + that of a row */
    hsize_t dim[1 + NL_LOG_DIMS_MAX]; /* dim[0]: rows on file */
    int64_t values;                   /* in a row */
    size_t row_bytes;
    char *rows; /* of the timeline's room, filled with NaN or -1 where nothing was put */
    hid_t set;
} channel;

typedef struct timeline {
    char index_name[32];
    int index[NL_LOG_INDICES_MAX]; /* channels; the first is the timeline's own */
    int indices;
    int slot;        /* in /committed */
    int64_t room;    /* rows of a chunk */
    int64_t on_file; /* rows written */
    int64_t ended;   /* rows waiting in memory; the open row is the next one */
} timeline;

/* A dimension of a data set, as scales list it. */
typedef struct named_dimension {
    hobj_ref_t set;
    int dim;
} named_dimension;

/* A data set that names the places along dimensions: an index, labels. */
typedef struct scale {
    char *path;
    hobj_ref_t at;
    named_dimension *named;
    int count, room;
} scale;

typedef struct note {
    char *name, *text;
    enum { TEXT, REAL, INT } kind;
    double real;
    int64_t whole;
} note;

struct nl_log {
    char *path, *part;
    hid_t file, committed;
    hid_t folder; /* of the data set created last, until begin */
    char folder_path[NL_LOG_FOLDER_MAX];
    int lock; /* shared lock on the file: keeps others from writing to or recovering it */
    bool resumed, begun, dead;
    char why[512];
    channel *channel;
    int channels, channel_room;
    timeline *line;
    int lines, line_room;
    scale *scale; /* of a new file */
    int scales, scale_room;
    note *note; /* attributes given after begin */
    int notes, note_room;
    int64_t *counts; /* by slot, as in /committed */
};

/* NL_EIO with the latest HDF5 failure; the log is dead from here on. */
nl_status nl_log_lost(nl_log *log, const char *doing) NL_CHECKED;
nl_status nl_log_check_alive(const nl_log *log) NL_CHECKED;
/* Alive, not begun, and `what` is a path. */
nl_status nl_log_check_declaring(const nl_log *log, const char *what) NL_CHECKED;
nl_status nl_log_no_memory(const nl_log *log) NL_CHECKED;
/* Doubles an array of count elements when it is full. */
nl_status nl_log_make_room(const nl_log *log, void **array, int count, int *room,
                           size_t size) NL_CHECKED;

/* runlog_declare.c. "/steps/step" of a timeline */
const char *nl_log_index_path(const nl_log *log, int line);
/* A whole data set of fixed size, contiguous; the caller closes it. */
hid_t nl_log_create_fixed(nl_log *log, const char *path, hid_t file_type, int rank,
                          const hsize_t *dim);
herr_t nl_log_describe(hid_t set, const char *unit, const char *doc);
/* What is created afterwards opens its folder again. */
void nl_log_close_folder(nl_log *log);

/* runlog_scales.c. Makes a data set a scale. */
nl_status nl_log_make_scale(nl_log *log, hid_t set, const char *path) NL_CHECKED;
int nl_log_find_scale(const nl_log *log, const char *path); /* -1: is none */
/* One for each dimension. */
nl_status nl_log_attach(nl_log *log, hid_t set, const int *scales, int rank) NL_CHECKED;
/* After all are attached. */
nl_status nl_log_write_scales(nl_log *log) NL_CHECKED;
void nl_log_free_scales(nl_log *log);

/* runlog_counters.c. /committed(timeline): rows of each timeline that are on the file, written
 * after them. */
nl_status nl_log_create_counters(nl_log *log) NL_CHECKED;
nl_status nl_log_take_up_counters(nl_log *log) NL_CHECKED;
herr_t nl_log_write_counters(nl_log *log);

/* runlog_rows.c. Room for a chunk of every channel, filled with what stands for absent values. */
nl_status nl_log_take_buffers(nl_log *log) NL_CHECKED;

#endif
