/* runs.h: finished runs as a command's arguments, read and compared. */
#ifndef NL_CLI_RUNS_H
#define NL_CLI_RUNS_H

#include "analysis/rundirs.h"
#include "analysis/study.h"
#include "cli/cli.h"

/* Folders and run files, and key=value, which keeps the runs whose spec says so. */
typedef struct cli_runs {
    cli_paths paths, wanted;
    const char *command, *baseline;
    nl_rundirs runs; /* runs and study: filled by cli_runs_study, freed by cli_runs_close */
    nl_study *study;
} cli_runs;

error_t cli_runs_word(cli_runs *r, const char *word); /* as cli_word */

/* Layers are read where all runs are of one task; of several, a study has the curves alone. */
nl_status cli_runs_study(cli_runs *r) NL_CHECKED;
void cli_runs_close(cli_runs *r);

#endif
