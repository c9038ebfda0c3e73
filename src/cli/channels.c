/* normlab channels: what a run file may hold of the network. */
#include "train/channels.h"

#include <stdio.h>

#include "cli/catalogue.h"

static bool at(int i, const char **name, const char **title)
{
    if (i >= NL_LOG_CHANNELS)
        return false;
    *name = nl_log_channels[i].name;
    *title = nl_log_channels[i].title;
    return true;
}

static nl_status describe(const char *name)
{
    nl_log_channel_id id;
    NL_TRY(nl_log_channel_find(name, &id));
    const nl_log_channel_row *c = &nl_log_channels[id];
    cli_print_head(c->name, c->title, "");
    printf("%-12s %s of the run file: %s\n", "Writes", c->folder, c->writes);
    printf("%-12s about %lld rows a run, %s\n\nOptions:\n", "Schedule", (long long)c->rows,
           c->by_default ? "without being asked" : "where log= names it");
    cli_print_options(nl_log_channel_options);
    return NL_OK;
}

int cli_channels(int argc, char **argv)
{
    static const cli_catalogue catalogue = {
        "channels", "channel",
        "Lists what a run file may hold of the network while it learns, or describes one such "
        "channel. log= chooses and schedules them; statistics never change training."
        "\vExample: normlab channels activations\n"
        "Example: normlab train log=none,activations:every=50:layers=h1/h3,histograms",
        at, describe};
    return cli_catalogue_run(&catalogue, argc, argv);
}
