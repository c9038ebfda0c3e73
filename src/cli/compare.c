/* normlab compare: methods x seeds. */
#include <stdio.h>
#include <string.h>

#include "analysis/compare.h"
#include "cli/cli.h"
#include "cli/grid.h"
#include "cli/page.h"

/* What is compared unless told otherwise. */
static const char *const usual[] = {"norm=none,batch,layer,batch_layer,batch_renorm,rms", "seeds=3",
                                    NULL};
/* What is compared when nothing is said about the runs. Batch renormalization opens over the
 * paper's schedule divided by 20, as 2,000 steps are a twentieth of 40,000. */
static const char *const demonstration[] = {
    "norm=none,batch,layer,batch_layer,batch_renorm:r_max=1@250..3@2000:d_max=0@250..5@1250,rms",
    "seeds=3",
    "model=mlp:hidden=100x3:act=sigmoid",
    "optimizer=sgd:lr=0.1",
    "batch=60",
    "steps=2000",
    NULL};

struct input {
    nl_words words;
    const char *baseline;
    bool json, no_report;
};

enum { KEY_BASELINE = 256, KEY_JSON, KEY_NO_REPORT, KEY_RECORD }; /* no short options */

static const struct argp_option options[] = {
    {"baseline", KEY_BASELINE, "METHOD", 0, "what the others are compared with (the first)", 0},
    {"json", KEY_JSON, NULL, 0, "print the comparison as JSON", 0},
    {"no-report", KEY_NO_REPORT, NULL, 0, "write no report.html", 0},
    {"record", KEY_RECORD, "LIST", 0, "init, order or init,order: the same as record=LIST", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_BASELINE: in->baseline = arg; return 0;
    case KEY_JSON: in->json = true; return 0;
    case KEY_NO_REPORT: in->no_report = true; return 0;
    case KEY_RECORD: return cli_record(&in->words, arg);
    case ARGP_KEY_ARG: return cli_word(&in->words, arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static nl_status take(nl_words *words, const char *const *list)
{
    for (; *list; list++)
        NL_TRY(nl_words_take(words, NL_WORD_COMMAND, *list));
    return NL_OK;
}

/* Threads, places and logs say nothing about what the runs are. */
static bool names_a_run(const nl_words *words)
{
    for (int k = 0; k < words->count; k++)
        if (!nl_option_find(nl_conduct_options, words->at[k].key))
            return true;
    return false;
}

static nl_status add_usual(nl_words *words)
{
    NL_TRY(take(words, names_a_run(words) ? usual : demonstration));
    return NL_OK;
}

/* The method whose label, or whose label up to its options, is *baseline, by its label. */
static nl_status find_baseline(const nl_grid *g, const char **baseline)
{
    nl_nearest near = {.wanted = *baseline ? *baseline : ""};
    const char *named = NULL;
    int count = 0;
    for (int m = 0; m < g->methods; m++) {
        const char *label = g->label[m].is;
        const size_t n = strcspn(label, ":");
        if (!*baseline || strcmp(label, *baseline) == 0)
            return NL_OK;
        if (strlen(*baseline) == n && strncmp(label, *baseline, n) == 0)
            named = label, count++;
        nl_nearest_offer(&near, label);
    }
    if (count != 1)
        return nl_fail(NL_ENAME, "no method of this comparison is called '%s'%s", *baseline,
                       nl_nearest_hint(&near));
    *baseline = named;
    return NL_OK;
}

/* Accuracies on different data are not comparable. */
static nl_status check_data(const nl_grid *g)
{
    const char *first = g->run[0].data.is;
    for (int m = 1; m < g->methods; m++) {
        const char *data = g->run[m * g->seeds].data.is;
        if (strcmp(data, first) != 0)
            return nl_fail(NL_EOPTION,
                           "compare: data is '%s' and '%s'; one data set is compared on", first,
                           data);
    }
    return NL_OK;
}

static nl_status say_comparison(const struct input *in, const nl_grid *g, const nl_compare *c)
{
    nl_text text = {0};
    if (in->json)
        nl_compare_json(c, &text);
    else
        nl_compare_print(c, false, &text);
    NL_TRY(cli_say(&text));
    if (!in->no_report)
        NL_TRY(cli_report_write(c, NULL, g->run[0].out.is, in->json ? stderr : stdout));
    return NL_OK;
}

static nl_status check(const nl_grid *g, void *arg)
{
    struct input *in = arg;
    NL_TRY(check_data(g));
    return find_baseline(g, &in->baseline);
}

static nl_status tell(const nl_grid *g, nl_rundata **runs, int64_t count, void *arg)
{
    const struct input *in = arg;
    nl_compare *c;
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    how.baseline = in->baseline;
    if (g->run[0].target > 0)
        how.target = g->run[0].target;
    NL_TRY(nl_compare_runs(&c, (const nl_rundata *const *)runs, count, &how));
    const nl_status st = say_comparison(in, g, c);
    nl_compare_close(c);
    return st;
}

int cli_compare(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[FILE.yaml] [key=value ...]",
        "Runs every method with every seed, as many runs at once as there are cores, and compares "
        "them seed by seed. Keys are those of train; commas make a list, one or two keys besides "
        "the seed may have one. Runs that are finished are not run again. Without norm= it is six "
        "methods, without seeds= three seeds, the rest is as in train. With no key of a run at all "
        "it is a demonstration on generated digits (docs/command-line.md)."
        "\vMore keys: seeds=5 or seeds=1,2,3; jobs=, the runs at the same time.\n\n"
        "Example: normlab compare data=mnist norm=none,batch:eps=1e-3,layer steps=5000 seeds=5",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    const cli_grid compare = {.varied_max = 2,
                              .by_label = true,
                              .layers = true,
                              .check = check,
                              .tell = tell,
                              .arg = &in};
    int status = CLI_WRONG;
    if (cli_parse(&argp, argc, argv, &in)) {
        const nl_status st = add_usual(&in.words);
        status = st == NL_OK ? cli_grid_command(&in.words, &compare) : cli_misuse(st);
    }
    nl_words_free(&in.words);
    return status;
}
