/* normlab show: one run in the terminal. */
#include "analysis/show.h"

#include <stdio.h>

#include "cli/cli.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **path = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (*path) {
        cli_wrong("show takes one run, got '%s' and '%s'", *path, arg);
        return EINVAL;
    }
    *path = arg;
    return 0;
}

int cli_show(int argc, char **argv)
{
    static const struct argp argp = {NULL,
                                     parse,
                                     "RUN",
                                     "Shows one run, finished or not: outcome, last numbers, "
                                     "learning curves, layers, parameters. RUN "
                                     "is a run file or the folder of one."
                                     "\vExample: normlab show runs/batch-seed1-0a1b2c3d",
                                     NULL,
                                     NULL,
                                     NULL};
    const char *path = NULL;
    nl_rundata *run;
    nl_text text = {0};
    if (!cli_parse(&argp, argc, argv, &path))
        return CLI_WRONG;
    if (!path)
        return cli_wrong("show wants a run file or the folder of one");
    nl_status st = nl_rundata_open(&run, path);
    if (st != NL_OK)
        return cli_failure(st);
    nl_show_run(run, &text);
    st = cli_say(&text);
    nl_rundata_close(run);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
