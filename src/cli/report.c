/* normlab report: the page of any finished runs. */
#include "analysis/report.h"

#include <stdio.h>

#include "cli/runs.h"

struct input {
    cli_runs runs;
    const char *out;
};

enum { KEY_BASELINE = 256 }; /* no short option */

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "the page to be written (report.html)", 0},
    {"baseline", KEY_BASELINE, "METHOD", 0, "what the others are compared with (none)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case 'o': in->out = arg; return 0;
    case KEY_BASELINE: in->runs.baseline = arg; return 0;
    case ARGP_KEY_ARG: return cli_runs_word(&in->runs, arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cli_report(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "DIR|RUN... [key=value ...]",
        "Writes the page of all runs below the folders, whatever command made them: findings, "
        "tables, charts, where the runs come from and what to cite. Runs of one task have the page "
        "of a comparison; several tasks, as of a sweep, have tables and charts over all of them "
        "and "
        "the learning curves of each. key=value keeps the runs whose spec says so."
        "\vExample: normlab report runs optimizer.lr=0.1 -o page.html",
        NULL,
        NULL,
        NULL};
    struct input in = {.runs.command = "report", .out = "report.html"};
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    nl_status st = cli_runs_study(&in.runs);
    if (st == NL_OK)
        st = nl_report_study_write(in.runs.study, in.out);
    if (st == NL_OK)
        printf("report: %s\n", in.out);
    cli_runs_close(&in.runs);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
