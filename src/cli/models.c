/* normlab models: what the tables of the networks say. */
#include <stdio.h>

#include "cli/catalogue.h"
#include "core/model.h"

static bool at(int i, const char **name, const char **title)
{
    const nl_model_ops *o = nl_model_at(i);
    if (o)
        *name = o->name, *title = o->title;
    return o;
}

static void print_words(const char *title, const char *const *words)
{
    printf("%-12s", title);
    for (; words && *words; words++)
        printf(" %s", *words);
    printf("\n");
}

static nl_status describe(const char *name)
{
    const nl_model_ops *o;
    NL_TRY(nl_model_find_or_say(name, &o));
    cli_print_head(o->name, o->title, o->cite);
    print_words("Protocol", o->protocol);
    print_words("Norm slots", o->slots);
    if (o->norms)
        print_words("Methods", o->norms);
    if (o->data)
        print_words("Data", o->data);
    printf("\nOptions:\n");
    cli_print_options(o->options);
    printf("\nOf each parameter, as [LAYER/]NAME.KEY=VALUE such as out/w.l2=1e-4:\n");
    cli_print_options(nl_setting_options);
    return NL_OK;
}

int cli_models(int argc, char **argv)
{
    static const cli_catalogue catalogue = {
        "models", "network",
        "Lists the networks, or describes one: options, the protocol of its paper, slots."
        "\vExample: normlab models mlp",
        at, describe};
    return cli_catalogue_run(&catalogue, argc, argv);
}
