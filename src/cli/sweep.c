/* normlab sweep: any grid of runs, and how sensitive methods are to what varies. */
#include <math.h>
#include <stdio.h>

#include "analysis/study.h"
#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/grid.h"

struct input {
    nl_words words;
    const char *baseline;
    bool json;
};

enum { KEY_BASELINE = 256, KEY_JSON }; /* no short options */

static const struct argp_option options[] = {
    {"baseline", KEY_BASELINE, "METHOD", 0, "what the others are compared with (none)", 0},
    {"json", KEY_JSON, NULL, 0, "print the statistics as JSON", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_BASELINE: in->baseline = arg; return 0;
    case KEY_JSON: in->json = true; return 0;
    case ARGP_KEY_ARG: return cli_word(&in->words, arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static nl_status say(const struct input *in, const nl_study *s)
{
    nl_text text = {0};
    (in->json ? nl_study_json : nl_study_print)(s, &text);
    const nl_status st = nl_text_status(&text);
    fputs(nl_text_of(&text), stdout);
    nl_text_free(&text);
    return st;
}

static nl_status analyse(const struct input *in, const nl_job *jobs, int count)
{
    nl_status st = NL_OK;
    int64_t ended = 0;
    nl_study *study = NULL;
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    nl_rundata **runs = nl_alloc((size_t)count, sizeof *runs);
    if (!runs)
        return nl_fail(NL_ENOMEM, "%d runs", count);
    how.baseline = in->baseline;
    for (int i = 0; i < count; i++)
        if (jobs[i].state == NL_JOB_DONE || jobs[i].state == NL_JOB_SKIPPED)
            NL_GO(nl_rundata_open_curves(&runs[ended++], jobs[i].folder));
    if (ended > 0) {
        NL_GO(nl_study_make(&study, runs, ended, &how));
        NL_GO(say(in, study));
    }
done:
    nl_study_close(study);
    for (int i = 0; i < count; i++)
        nl_rundata_close(runs[i]);
    nl_free(runs);
    return st;
}

static nl_status sweep(const struct input *in, const nl_grid *g, int *status)
{
    const int count = g->methods * g->seeds;
    nl_status st;
    nl_engine e;
    nl_job *jobs = nl_alloc((size_t)count, sizeof *jobs);
    if (!jobs)
        return nl_fail(NL_ENOMEM, "%d runs", count);
    NL_GO(cli_grid_place(g, jobs));
    NL_GO(cli_grid_run(g, jobs, &e));
    if (!cli_grid_stopped())
        NL_GO(analyse(in, jobs, count));
    *status = cli_grid_troubles(&e, jobs, count);
done:
    nl_free(jobs);
    return st;
}

int cli_sweep(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[FILE.yaml] [key=value ...]",
        "Runs every combination of the values given, any number of keys, as many runs at once as "
        "there are cores, and prints what stats says of them: among others the score over each key "
        "that varies. Runs that are finished are not run again."
        "\vExample: normlab sweep norm=none,batch optimizer=sgd:lr=0.03,sgd:lr=0.1,sgd:lr=0.3 "
        "batch=32,128 seeds=3",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    nl_grid grid = {0};
    int status = CLI_WRONG;
    if (cli_parse(&argp, argc, argv, &in)) {
        nl_status st = nl_grid_make(&in.words, NL_GRID_ANY, &grid);
        if (st != NL_OK) {
            status = cli_misuse(st);
        } else {
            st = cli_be_precision(grid.run[0].precision.is == NL_PRECISION_DOUBLE);
            if (st == NL_OK)
                st = sweep(&in, &grid, &status);
            if (st != NL_OK)
                status = cli_failure(st);
        }
    }
    nl_grid_free(&grid);
    nl_words_free(&in.words);
    return status;
}
