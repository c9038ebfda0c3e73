/* normlab datasets: what the tables of the data sets say. */
#include <stdio.h>

#include "cli/catalogue.h"

static bool at(int i, const char **name, const char **title)
{
    const nl_dataset_ops *o = nl_dataset_at(i);
    if (o)
        *name = o->name, *title = o->title;
    return o;
}

static nl_status describe(const char *name)
{
    const nl_dataset_ops *o;
    NL_TRY(nl_dataset_find_or_say(name, &o));
    cli_print_head(o->name, o->title, o->cite);
    if (o->files)
        printf("%-12s %s, in $NORMLAB_DATA or ./data\n", "Files", o->files);
    printf("\nOptions:\n");
    cli_print_options(o->options);
    return NL_OK;
}

int cli_datasets(int argc, char **argv)
{
    static const cli_catalogue catalogue = {
        "datasets", "data set",
        "Lists the data sets, or describes one: options, source, files."
        "\vExample: normlab datasets mnist",
        at, describe};
    return cli_catalogue_run(&catalogue, argc, argv);
}
