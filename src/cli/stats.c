/* normlab stats: what finished runs show, over any number of tasks. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "analysis/rundirs.h"
#include "analysis/study.h"
#include "cli/cli.h"

struct input {
    cli_paths paths;
    const char *baseline;
    double target;
    bool json, csv;
};

enum { KEY_BASELINE = 256, KEY_TARGET, KEY_JSON, KEY_CSV }; /* no short options */

static const struct argp_option options[] = {
    {"baseline", KEY_BASELINE, "METHOD", 0, "what the others are compared with (none)", 0},
    {"target", KEY_TARGET, "ACCURACY", 0, "of steps to target, 0 to 1 (the runs' own)", 0},
    {"json", KEY_JSON, NULL, 0, "everything as one JSON object", 0},
    {"csv", KEY_CSV, NULL, 0, "one row a task and method", 0},
    {0}};

static error_t take_target(struct input *in, const char *arg)
{
    if (nl_read_real(arg, &in->target) && in->target > 0 && in->target <= 1)
        return 0;
    cli_wrong("stats: --target wants an accuracy above 0 and at most 1, got '%s'", arg);
    return EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_BASELINE: in->baseline = arg; return 0;
    case KEY_TARGET: return take_target(in, arg);
    case KEY_JSON: in->json = true; return 0;
    case KEY_CSV: in->csv = true; return 0;
    case ARGP_KEY_ARG: return cli_path(&in->paths, "stats", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static nl_status say(const struct input *in, const nl_study *s)
{
    nl_text text = {0};
    if (in->json)
        nl_study_json(s, &text);
    else if (in->csv)
        nl_study_csv(s, &text);
    else
        nl_study_print(s, &text);
    return cli_say(&text);
}

static nl_status stats(const struct input *in)
{
    nl_status st = NL_OK;
    nl_rundirs runs = {0};
    nl_study *study = NULL;
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    how.baseline = in->baseline;
    how.target = in->target;
    NL_GO(nl_rundirs_read(&runs, in->paths.at, in->paths.count));
    NL_GO(nl_study_make(&study, runs.run, runs.count, &how));
    NL_GO(say(in, study));
done:
    nl_study_close(study);
    nl_rundirs_close(&runs);
    return st;
}

int cli_stats(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "DIR...",
        "Statistics of all runs below the folders, paired by seed. A task is all that a run is but "
        "for norm and seed; each task is compared as by compare, and over several there are "
        "averages "
        "with bootstrap intervals, tests, ranks and performance profiles. Tasks that differ in one "
        "key show how sensitive methods are to it. docs/statistics.md says what each number means."
        "\vExample: normlab stats runs --baseline=batch --json",
        NULL,
        NULL,
        NULL};
    struct input in = {.target = NAN};
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.paths.count)
        return cli_wrong("stats wants a folder with runs");
    if (in.json && in.csv)
        return cli_wrong("stats: --json and --csv exclude each other");
    const nl_status st = stats(&in);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
