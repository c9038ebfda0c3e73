/* normlab probes: what the tables of the probes say. */
#include "train/probe.h"

#include <stdio.h>

#include "cli/catalogue.h"

static bool at(int i, const char **name, const char **title)
{
    const nl_probe_ops *o = nl_probe_at(i);
    if (o)
        *name = o->name, *title = o->title;
    return o;
}

static nl_status describe(const char *name)
{
    const nl_probe_ops *o;
    NL_TRY(nl_probe_find(name, &o));
    cli_print_head(o->name, o->title, o->cite);
    printf("%-12s /probes/%s of the run file\n\nOptions:\n", "Writes", o->name);
    cli_print_options(o->options);
    return NL_OK;
}

int cli_probes(int argc, char **argv)
{
    static const cli_catalogue catalogue = {
        "probes", "probe",
        "Lists the probes, or describes one. A run has those that probe= names; they look at "
        "training from the side and change nothing."
        "\vExample: normlab probes landscape",
        at, describe};
    return cli_catalogue_run(&catalogue, argc, argv);
}
