/* normlab sweep: any grid of runs, and how sensitive methods are to what varies. */
#include <stdio.h>

#include "analysis/study.h"
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
    return cli_say(&text);
}

static nl_status tell(const nl_grid *g, nl_rundata **runs, int64_t count, void *arg)
{
    const struct input *in = arg;
    nl_study *study;
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    (void)g;
    how.baseline = in->baseline;
    NL_TRY(nl_study_make(&study, runs, count, &how));
    const nl_status st = say(in, study);
    nl_study_close(study);
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
    const cli_grid sweep = {.varied_max = NL_GRID_ANY, .tell = tell, .arg = &in};
    int status = CLI_WRONG;
    if (cli_parse(&argp, argc, argv, &in))
        status = cli_grid_command(&in.words, &sweep);
    nl_words_free(&in.words);
    return status;
}
