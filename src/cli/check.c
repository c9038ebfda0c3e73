/* normlab check: the contract of methods, in double precision. */
#include "core/contract.h"

#include <stdio.h>

#include "cli/cli.h"
#include "core/norm.h"

struct input {
    const char *spec;
    bool verbose;
};

enum { KEY_VERBOSE = 256 }; /* no short option */

static const struct argp_option options[] = {
    {"verbose", KEY_VERBOSE, NULL, 0, "say also what is kept and what was not asked", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_VERBOSE: in->verbose = true; return 0;
    case ARGP_KEY_ARG:
        if (in->spec) {
            cli_wrong("check takes one method, got '%s' and '%s'", in->spec, arg);
            return EINVAL;
        }
        in->spec = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void report(void *to, const nl_finding *f)
{
    static const char *const verdicts[] = {"ok", "FAIL", "not asked"};
    const struct input *in = to;
    if (!in->verbose && !in->spec && f->verdict != NL_BROKEN)
        return;
    printf("%-9s %-24s %s\n", verdicts[f->verdict], f->property, f->says);
    if (f->detail && *f->detail)
        printf("%34s %s\n", "", f->detail);
}

/* Adds to *broken; says in one line how it went. */
static nl_status check_one(const char *spec, struct input *in, int *broken)
{
    int found = 0;
    NL_TRY(nl_contract_check(spec, report, in, &found));
    if (found)
        printf("%s: %d properties broken\n", spec, found);
    else
        printf("%s: keeps the contract\n", spec);
    fflush(stdout);
    *broken += found;
    return NL_OK;
}

int cli_check(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[METHOD]",
        "Checks that a method keeps what every method promises: gradients, masks, time, sources of "
        "statistics, invariances, threads, memory. Without METHOD all are checked, those of "
        "plugins too."
        "\vExample: normlab check batch:eps=1e-3\n         normlab check mine --plugin=./mine.so",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    const nl_norm_ops *o;
    int broken = 0;
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    nl_status st = NL_OK;
    if (cli_plugin_arguments()[0] == NULL) /* a plugin was built for this precision */
        st = cli_be_precision(true);
    if (st == NL_OK && in.spec)
        st = check_one(in.spec, &in, &broken);
    for (int i = 0; st == NL_OK && !in.spec && (o = nl_norm_at(i)); i++)
        st = check_one(o->name, &in, &broken);
    if (st != NL_OK)
        return cli_failure(st);
    return broken ? CLI_FAILED : CLI_DONE;
}
