/* normlab models: what the tables of the networks say. */
#include <stdio.h>

#include "cli/cli.h"
#include "core/model.h"

static void print_words(const char *title, const char *const *words)
{
    printf("%-12s", title);
    for (; words && *words; words++)
        printf(" %s", *words);
    printf("\n");
}

static void print_one(const nl_model_ops *o)
{
    printf("%s: %s\n\n", o->name, o->title);
    if (o->cite && *o->cite)
        printf("%-12s %s\n", "Source", o->cite);
    print_words("Protocol", o->protocol);
    print_words("Norm slots", o->slots);
    if (o->norms)
        print_words("Methods", o->norms);
    printf("\nOptions:\n");
    cli_print_options(o->options);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **name = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (*name) {
        cli_wrong("models describes one network, got '%s' and '%s'", *name, arg);
        return EINVAL;
    }
    *name = arg;
    return 0;
}

int cli_models(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse,
        "[NAME]",
        "Lists the networks, or describes one: options, the protocol of its paper, slots."
        "\vExample: normlab models mlp",
        NULL,
        NULL,
        NULL};
    const char *name = NULL;
    const nl_model_ops *o;
    if (!cli_parse(&argp, argc, argv, &name))
        return CLI_WRONG;
    for (int i = 0; !name && (o = nl_model_at(i)); i++)
        printf("%-16s %s\n", o->name, o->title);
    if (!name)
        return CLI_DONE;
    const nl_status st = nl_model_find_or_say(name, &o);
    if (st != NL_OK)
        return cli_failure(st);
    print_one(o);
    return CLI_DONE;
}
