/* rundata.h: one run in memory, as its file has it: attributes and channels by name. Tables,
 * figures and tests ask for what they need; what a run did not log is NULL or the fallback, never
 * an error. */
#ifndef NL_RUNDATA_H
#define NL_RUNDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A channel of the file, read whole. */
typedef struct nl_track {
    char *name;          /* as in the file: "/steps/loss" */
    int64_t rows, width; /* width: values in a row, over percentiles, channels, time steps, ... */
    double *at;          /* (rows, width), owned by the run */
} nl_track;

typedef struct nl_rundata nl_rundata;

/* Reads the run file at path, or path/run.h5 where path is a folder. Also one of a run that was
 * killed or still goes on. */
nl_status nl_rundata_open(nl_rundata **out, const char *path) NL_CHECKED;
/* The same without what was logged inside of layers, which is most of the file. */
nl_status nl_rundata_open_curves(nl_rundata **out, const char *path) NL_CHECKED;
/* The same of the last rows alone, at most so many of each track. */
nl_status nl_rundata_open_ends(nl_rundata **out, const char *path, int64_t rows) NL_CHECKED;
void nl_rundata_close(nl_rundata *run); /* NULL is fine */

/* The run file that a path means: itself, or the one in the folder, ended, or else as far as it
 * came; in buf, or path. */
const char *nl_rundata_file(const char *path, char *buf, size_t room);

/* An empty run to be filled by hand; path is what tables call it. */
nl_status nl_rundata_new(nl_rundata **out, const char *path) NL_CHECKED;
nl_status nl_rundata_set_text(nl_rundata *run, const char *name, const char *text) NL_CHECKED;
nl_status nl_rundata_set_number(nl_rundata *run, const char *name, double value) NL_CHECKED;
/* A track of zeros; *out stays the run's. Of the name there must be none yet. */
nl_status nl_rundata_add(nl_rundata *run, const char *name, int64_t rows, int64_t width,
                         nl_track **out) NL_CHECKED;

const char *nl_rundata_path(const nl_rundata *run);

/* Root attributes. Numbers are also readable as text. */
const char *nl_rundata_text(const nl_rundata *run, const char *name, const char *fallback);
double nl_rundata_number(const nl_rundata *run, const char *name, double fallback);
int64_t nl_rundata_attributes(const nl_rundata *run);
const char *nl_rundata_attribute_name(const nl_rundata *run, int64_t i);

/* The track of this name, or NULL where the run has none or it is empty. */
const nl_track *nl_rundata_track(const nl_rundata *run, const char *fmt, ...) NL_PRINTF(2, 3);

/* All tracks, in the order of the file. */
int64_t nl_rundata_tracks(const nl_rundata *run);
const nl_track *nl_rundata_track_at(const nl_rundata *run, int64_t i);

/* The last finite value of a track of width 1 and its row; NaN and -1 where there is none. */
double nl_track_last(const nl_track *c, int64_t *row);

/* "LAYER/SLOT" of every place whose output was logged, in the network's order: by name, numbers as
 * numbers, the output layer `out` last. i from 0; NULL past the end. */
const char *nl_rundata_place(const nl_rundata *run, int64_t i);

/* The same of the recurrent layers whose steps were logged: "LAYER". */
const char *nl_rundata_recurrent(const nl_rundata *run, int64_t i);

#endif
