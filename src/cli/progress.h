/* progress.h: how far one or many runs are, on stderr: a bar on a terminal; elsewhere, of many, a
 * line a run. */
#ifndef NL_CLI_PROGRESS_H
#define NL_CLI_PROGRESS_H

#include "train/engine.h"

typedef struct cli_progress {
    bool bar;
    double began;
    int ended;
} cli_progress;

void cli_progress_begin(cli_progress *p);
/* The engine's report; arg is a cli_progress. */
void cli_progress_report(void *arg, const nl_job *jobs, int count, const nl_job *changed);
void cli_progress_end(cli_progress *p);

#endif
