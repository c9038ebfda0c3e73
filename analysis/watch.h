/* watch.h: how far runs are, while they go on or after. */
#ifndef NL_WATCH_H
#define NL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* A run that has not ended and that no process of this machine holds open is dead once its file has
 * not grown for NL_DEAD_SECONDS; another machine's process is seen by what it writes alone. */
enum { NL_DEAD_SECONDS = 30 };

typedef enum nl_run_state {
    NL_RUN_STARTING, /* its file cannot be read yet */
    NL_RUN_RUNNING,
    NL_RUN_DONE,
    NL_RUN_DIVERGED,
    NL_RUN_STOPPED, /* by a signal or a failure it could still tell of */
    NL_RUN_DEAD
} nl_run_state;

typedef struct nl_sighting {
    char name[128]; /* of the run's folder */
    nl_run_state state;
    int64_t step, total; /* total 0: not known */
    double loss,
        accuracy; /* loss: mean of the latest steps; accuracy: last evaluation; NaN: none */
    double speed; /* steps a second since it began, evaluations included; NaN: not known */
} nl_sighting;

/* Looks at every run below the paths (rundirs.h); *out is owned. What has ended is not read again
 * when `out` holds the sightings of the last look at these paths. NL_ENAME: there is none. */
typedef struct nl_sightings {
    nl_sighting *at;
    int64_t count;
} nl_sightings;
nl_status nl_watch_look(nl_sightings *io, const char *const *paths, int64_t count) NL_CHECKED;
void nl_watch_free(nl_sightings *s);

bool nl_watch_is_over(const nl_sightings *s); /* every run has ended or is dead */

/* A table, one line a run, then a line that counts them. most_lines > 0: of more, those that still
 * run are shown first and the rest is counted. */
void nl_watch_print(const nl_sightings *s, int64_t most_lines, nl_text *out);

#endif
