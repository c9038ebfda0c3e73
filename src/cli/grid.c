#include "cli/grid.h"

#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "par/par.h"
#include "train/engine.h"
#include "train/rehearse.h"

static volatile sig_atomic_t stop;
static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

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

/* Fills jobs[seed * methods + method], seed by seed, so that an unfinished grid is still paired. */
static nl_status place(const nl_grid *g, nl_job *jobs)
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

static nl_status run(const nl_grid *g, nl_job *jobs, nl_engine *e)
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

static bool ended(const nl_job *job)
{
    return job->state == NL_JOB_DONE || job->state == NL_JOB_SKIPPED;
}

static nl_status read_run(const cli_grid *command, const nl_job *job, nl_rundata **run)
{
    if (command->layers)
        NL_TRY(nl_rundata_open(run, job->folder));
    else
        NL_TRY(nl_rundata_open_curves(run, job->folder));
    if (command->by_label)
        NL_TRY(nl_rundata_set_text(*run, "norm", job->label));
    return NL_OK;
}

static nl_status tell(const cli_grid *command, const nl_grid *g, const nl_job *jobs)
{
    const int count = g->methods * g->seeds;
    int64_t read = 0;
    nl_status st = NL_OK;
    nl_rundata **runs = nl_alloc((size_t)count, sizeof *runs);
    if (!runs)
        return nl_fail(NL_ENOMEM, "%d runs", count);
    for (int i = 0; i < count; i++)
        if (ended(&jobs[i]))
            NL_GO(read_run(command, &jobs[i], &runs[read++]));
    if (read > 0)
        NL_GO(command->tell(g, runs, read, command->arg));
done:
    for (int64_t i = 0; i < read; i++)
        nl_rundata_close(runs[i]);
    nl_free(runs);
    return st;
}

static int say_troubles(const nl_engine *e, const nl_job *jobs, int count)
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

static nl_status run_and_tell(const cli_grid *command, const nl_grid *g, int *status)
{
    const int count = g->methods * g->seeds;
    nl_status st;
    nl_engine e;
    NL_TRY(cli_be_precision(g->run[0].precision.is == NL_PRECISION_DOUBLE));
    nl_job *jobs = nl_alloc((size_t)count, sizeof *jobs);
    if (!jobs)
        return nl_fail(NL_ENOMEM, "%d runs", count);
    if (command->check)
        NL_GO(command->check(g, command->arg));
    NL_GO(place(g, jobs));
    NL_GO(run(g, jobs, &e));
    if (!stop)
        NL_GO(tell(command, g, jobs));
    *status = say_troubles(&e, jobs, count);
done:
    nl_free(jobs);
    return st;
}

int cli_grid_command(const nl_words *words, const cli_grid *command)
{
    nl_grid grid = {0};
    int status = CLI_DONE;
    nl_status st = nl_grid_make(words, command->varied_max, &grid);
    if (st != NL_OK)
        return cli_misuse(st);
    st = run_and_tell(command, &grid, &status);
    nl_grid_free(&grid);
    return st == NL_OK ? status : cli_failure(st);
}
