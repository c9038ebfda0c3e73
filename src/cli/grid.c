#include "cli/grid.h"

#include <signal.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "par/par.h"
#include "train/rehearse.h"

static volatile sig_atomic_t stop;
static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

bool cli_grid_stopped(void) { return stop; }

/* The set-up of one method is tried before the first run starts; data are of its own. */
static nl_status place_method(const nl_grid *g, nl_job *jobs, int m)
{
    nl_dataset *data;
    nl_status st;
    NL_TRY(nl_dataset_open(&data, g->run[m * g->seeds].data.is, NULL));
    for (int s = 0; s < g->seeds; s++) {
        nl_job *job = &jobs[s * g->methods + m];
        *job = (nl_job){.spec = &g->run[m * g->seeds + s], .label = g->label[m].is, .progress = -1};
        NL_GO(nl_job_place(job, data->checksum));
    }
    st = nl_run_rehearse(&g->run[m * g->seeds], data);
    if (st != NL_OK)
        nl_error_prefix("%s: ", g->label[m].is);
done:
    nl_dataset_close(data);
    return st;
}

nl_status cli_grid_place(const nl_grid *g, nl_job *jobs)
{
    for (int m = 0; m < g->methods; m++)
        NL_TRY(place_method(g, jobs, m));
    return NL_OK;
}

/* Cores are shared out among runs unless jobs= says how many go at once. */
static int at_once(const nl_run_spec *spec)
{
    const int threads = spec->threads ? (int)spec->threads : 1;
    if (spec->jobs)
        return (int)spec->jobs;
    return nl_cores() > threads ? nl_cores() / threads : 1;
}

nl_status cli_grid_run(const nl_grid *g, nl_job *jobs, nl_engine *e)
{
    cli_progress progress;
    *e = (nl_engine){.program = cli_program(sizeof(nl_real) == sizeof(double)),
                     .before = cli_plugin_arguments(),
                     .at_once = at_once(g->run),
                     .stop = &stop,
                     .report = cli_progress_report,
                     .arg = &progress};
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    cli_progress_begin(&progress);
    const nl_status st = nl_engine_run(e, jobs, g->methods * g->seeds);
    cli_progress_end(&progress);
    return st;
}

int cli_grid_troubles(const nl_engine *e, const nl_job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        if (jobs[i].state == NL_JOB_FAILED)
            fprintf(stderr, "normlab: %s: %s\n", jobs[i].folder, jobs[i].says);
    if (stop)
        fprintf(stderr, "normlab: stopped; the same command goes on from here\n");
    else if (e->failed || e->stopped)
        fprintf(stderr, "normlab: %d of %d runs failed\n", e->failed + e->stopped, count);
    return stop ? CLI_STOPPED : e->failed || e->stopped ? CLI_FAILED : CLI_DONE;
}
