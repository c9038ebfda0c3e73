/* normlab datasets: what the tables of the data sets say. */
#include <stdio.h>

#include "cli/cli.h"

static void print_one(const nl_dataset_ops *o)
{
    printf("%s: %s\n\n", o->name, o->title);
    if (o->cite && *o->cite)
        printf("%-12s %s\n", "Source", o->cite);
    if (o->files)
        printf("%-12s %s, in $NORMLAB_DATA or ./data\n", "Files", o->files);
    printf("\nOptions:\n");
    cli_print_options(o->options);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **name = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (*name) {
        cli_wrong("datasets describes one data set, got '%s' and '%s'", *name, arg);
        return EINVAL;
    }
    *name = arg;
    return 0;
}

/* Known, or a message with the nearest name. */
static nl_status find(const char *name, const nl_dataset_ops **out)
{
    nl_nearest near = {.wanted = name};
    char hint[96];
    const nl_dataset_ops *o;
    *out = nl_dataset_find(name);
    for (int i = 0; (o = nl_dataset_at(i)); i++)
        nl_nearest_offer(&near, o->name);
    if (!*out)
        return nl_fail(NL_ENAME, "no data set '%s'%s ('normlab datasets' lists them)", name,
                       nl_nearest_hint(&near, hint, sizeof hint));
    return NL_OK;
}

int cli_datasets(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse,
        "[NAME]",
        "Lists the data sets, or describes one: options, source, files."
        "\vExample: normlab datasets mnist",
        NULL,
        NULL,
        NULL};
    const char *name = NULL;
    const nl_dataset_ops *o;
    if (!cli_parse(&argp, argc, argv, &name))
        return CLI_WRONG;
    for (int i = 0; !name && (o = nl_dataset_at(i)); i++)
        printf("%-16s %s\n", o->name, o->title);
    if (!name)
        return CLI_DONE;
    const nl_status st = find(name, &o);
    if (st != NL_OK)
        return cli_failure(st);
    print_one(o);
    return CLI_DONE;
}
