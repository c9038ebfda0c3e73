#include "cli/catalogue.h"

#include <stdio.h>

struct input {
    const cli_catalogue *of;
    const char *name;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (in->name) {
        cli_wrong("%s describes one %s, got '%s' and '%s'", in->of->command, in->of->entry,
                  in->name, arg);
        return EINVAL;
    }
    in->name = arg;
    return 0;
}

int cli_catalogue_run(const cli_catalogue *c, int argc, char **argv)
{
    const struct argp argp = {NULL, parse, "[NAME]", c->doc, NULL, NULL, NULL};
    struct input in = {.of = c};
    const char *name, *title;
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    for (int i = 0; !in.name && c->at(i, &name, &title); i++)
        printf("%-20s %s\n", name, title);
    if (!in.name)
        return CLI_DONE;
    const nl_status st = c->describe(in.name);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}

void cli_print_head(const char *name, const char *title, const char *cite)
{
    printf("%s: %s\n\n", name, title);
    if (cite && *cite)
        printf("%-12s %s\n", "Source", cite);
}
