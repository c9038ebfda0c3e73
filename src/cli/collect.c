/* normlab collect: one row a run. */
#include "analysis/collect.h"

#include <errno.h>
#include <stdio.h>

#include "analysis/rundirs.h"
#include "cli/cli.h"

struct input {
    cli_paths paths;
    bool json;
};

enum { KEY_JSON = 256, KEY_CSV }; /* no short options */

static const struct argp_option options[] = {
    {"csv", KEY_CSV, NULL, 0, "comma-separated values (what is printed anyway)", 0},
    {"json", KEY_JSON, NULL, 0, "an array of objects", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_CSV: return 0;
    case KEY_JSON: in->json = true; return 0;
    case ARGP_KEY_ARG: return cli_path(&in->paths, "collect", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static nl_status collect(const struct input *in)
{
    nl_status st = NL_OK;
    nl_rundirs runs = {0};
    nl_sheet sheet = {0};
    nl_text text = {0};
    NL_GO(nl_rundirs_read(&runs, in->paths.at, in->paths.count));
    NL_GO(nl_collect(&sheet, (const nl_rundata *const *)runs.run, runs.count));
    (in->json ? nl_sheet_json : nl_sheet_csv)(&sheet, &text);
    NL_GO(cli_say(&text));
done:
    nl_sheet_free(&sheet);
    nl_rundirs_close(&runs);
    return st;
}

int cli_collect(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "DIR...",
        "All runs below the folders as one table, one row a run: every key of the specs, the "
        "outcome, the last losses and accuracies, steps and seconds."
        "\vExample: normlab collect runs > runs.csv",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.paths.count)
        return cli_wrong("collect wants a folder with runs");
    const nl_status st = collect(&in);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
