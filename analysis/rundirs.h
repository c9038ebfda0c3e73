/* rundirs.h: the run files below folders. */
#ifndef NL_RUNDIRS_H
#define NL_RUNDIRS_H

#include <stdint.h>

#include "analysis/rundata.h"

typedef struct nl_rundirs {
    nl_rundata **run; /* in the order of the paths; owned */
    int64_t count, room;
} nl_rundirs;

/* Calls f with the folder or file of every run below the paths, sorted by name, as the next
 * function finds them; a failure of f ends it and is the result. */
nl_status nl_rundirs_each(const char *const *paths, int64_t count,
                          nl_status (*f)(void *arg, const char *path), void *arg) NL_CHECKED;

/* Reads every run below the paths, sorted by name: folders that hold run.h5, or run.h5.part where
 * the run has not ended. A path may be such a folder or a run file itself. NL_ENAME: none is there.
 * What training logged inside of layers is left out. */
nl_status nl_rundirs_read(nl_rundirs *out, const char *const *paths, int64_t count) NL_CHECKED;

/* Keeps the runs whose spec has this key with this value: "optimizer.lr", "0.1". NL_ENAME: no run
 * has the key, or none the value; then nothing is left out. */
nl_status nl_rundirs_keep(nl_rundirs *d, const char *key, const char *value) NL_CHECKED;

/* Reads the same runs again, with what was logged inside of layers. */
nl_status nl_rundirs_read_layers(nl_rundirs *d) NL_CHECKED;

void nl_rundirs_close(nl_rundirs *d);

#endif
