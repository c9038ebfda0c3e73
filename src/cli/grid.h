/* grid.h: a command that runs a grid and says what came of it; for compare, sweep and reproduce. */
#ifndef NL_CLI_GRID_H
#define NL_CLI_GRID_H

#include <stdbool.h>

#include "analysis/rundata.h"
#include "train/grid.h"

typedef struct cli_grid {
    int varied_max; /* keys besides the seed that may have several values */
    bool by_label;  /* runs are called by what sets them apart, whatever key it is, not by norm */
    bool layers;    /* tell wants what was logged inside of layers */
    nl_status (*check)(const nl_grid *g, void *arg); /* before the first run; may be NULL */
    /* of the runs that ended, at least one */
    nl_status (*tell)(const nl_grid *g, nl_rundata **runs, int64_t count, void *arg);
    void *arg;
} cli_grid;

/* Makes the grid of the words, tries the set-up of every method once, then runs what is not
 * finished, with as many runs at once as there are cores and progress on standard error, until
 * Ctrl-C or SIGTERM, and tells. Gives the exit status; failures were printed, failed runs with the
 * last line they wrote. */
int cli_grid_command(const nl_words *words, const cli_grid *command);

#endif
