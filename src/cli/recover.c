/* normlab recover: the file of a killed run becomes an ordinary one. */
#include "io/recover.h"

#include <stdio.h>

#include "cli/cli.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **path = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (*path) {
        cli_wrong("recover takes one file, got '%s' and '%s'", *path, arg);
        return EINVAL;
    }
    *path = arg;
    return 0;
}

int cli_recover(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse,
        "FILE",
        "Makes the file that a killed run left (run.h5.part) an ordinary HDF5 file, with every row "
        "that was committed."
        "\vExample: normlab recover runs/batch-seed1-0a1b2c3d/run.h5.part",
        NULL,
        NULL,
        NULL};
    const char *path = NULL;
    nl_text says = {0};
    if (!cli_parse(&argp, argc, argv, &path))
        return CLI_WRONG;
    if (!path)
        return cli_wrong("recover wants a run file");
    const nl_status st = nl_recover(path, &says);
    if (st == NL_OK)
        printf("%s\n", nl_text_of(&says));
    nl_text_free(&says);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
