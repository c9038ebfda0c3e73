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

static nl_status describe(const char *name)
{
    const nl_dataset_ops *o;
    NL_TRY(find(name, &o));
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
