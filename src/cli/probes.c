/* normlab probes: what the tables of the probes say. */
#include "train/probe.h"

#include <stdio.h>

#include "cli/cli.h"

static void print_one(const nl_probe_ops *o)
{
    printf("%s: %s\n\n", o->name, o->title);
    if (o->cite[0])
        printf("%-12s %s\n", "Source", o->cite);
    printf("%-12s /probes/%s of the run file\n\nOptions:\n", "Writes", o->name);
    cli_print_options(o->options);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **name = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (*name) {
        cli_wrong("probes describes one probe, got '%s' and '%s'", *name, arg);
        return EINVAL;
    }
    *name = arg;
    return 0;
}

int cli_probes(int argc, char **argv)
{
    static const struct argp argp = {NULL,
                                     parse,
                                     "[NAME]",
                                     "Lists the probes, or describes one. A run has those that "
                                     "probe= names; they look at training "
                                     "from the side and change nothing."
                                     "\vExample: normlab probes landscape",
                                     NULL,
                                     NULL,
                                     NULL};
    const char *name = NULL;
    const nl_probe_ops *o;
    if (!cli_parse(&argp, argc, argv, &name))
        return CLI_WRONG;
    for (int i = 0; !name && (o = nl_probe_at(i)); i++)
        printf("%-16s %s\n", o->name, o->title);
    if (!name)
        return CLI_DONE;
    const nl_status st = nl_probe_find(name, &o);
    if (st != NL_OK)
        return cli_failure(st);
    print_one(o);
    return CLI_DONE;
}
