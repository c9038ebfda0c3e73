/* normlab optimizers: what the tables of the optimizers say. */
#include <stdio.h>

#include "cli/catalogue.h"
#include "core/optim.h"

static bool at(int i, const char **name, const char **title)
{
    const nl_optim_ops *o = nl_optim_at(i);
    if (o)
        *name = o->name, *title = o->title;
    return o;
}

static nl_status describe(const char *name)
{
    const nl_optim_ops *o;
    nl_text options = {0};
    NL_TRY(nl_optim_find_or_say(name, &o));
    const nl_status st = nl_optim_describe(o, &options);
    if (st == NL_OK) {
        cli_print_head(o->name, o->title, o->cite);
        printf("\nOptions:\n%s", nl_text_of(&options));
    }
    nl_text_free(&options);
    return st;
}

int cli_optimizers(int argc, char **argv)
{
    static const cli_catalogue catalogue = {
        "optimizers", "optimizer",
        "Lists the optimizers, or describes one: its options, schedules of the learning rate, "
        "weight decay and clipping among them."
        "\vExample: normlab optimizers adam",
        at, describe};
    return cli_catalogue_run(&catalogue, argc, argv);
}
