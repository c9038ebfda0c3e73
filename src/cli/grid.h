/* grid.h: the runs of a grid, placed, tried and run by the engine; for compare and sweep. */
#ifndef NL_CLI_GRID_H
#define NL_CLI_GRID_H

#include <stdbool.h>

#include "train/engine.h"
#include "train/grid.h"

/* Fills jobs[seed * methods + method], seed by seed, so that an unfinished grid is still paired;
 * every method's set-up is tried once. */
nl_status cli_grid_place(const nl_grid *g, nl_job *jobs) NL_CHECKED;

/* Runs what is not finished, with progress on standard error. Ctrl-C and SIGTERM end it. */
nl_status cli_grid_run(const nl_grid *g, nl_job *jobs, nl_engine *e) NL_CHECKED;
bool cli_grid_stopped(void);

/* What ended the engine's work, as an exit status; failed runs are named once more, with the last
 * line they wrote. */
int cli_grid_troubles(const nl_engine *e, const nl_job *jobs, int count);

#endif
