/* catalogue.h: commands that list the entries of a registry, or describe one. */
#ifndef NL_CATALOGUE_H
#define NL_CATALOGUE_H

#include "cli/cli.h"

typedef struct cli_catalogue {
    const char *command, *entry, *doc; /* "datasets", "data set", what --help says */
    bool (*at)(int i, const char **name, const char **title); /* false past the end */
    nl_status (*describe)(const char *name);                  /* fails where there is none */
} cli_catalogue;

int cli_catalogue_run(const cli_catalogue *c, int argc, char **argv);

/* "NAME: TITLE" and where it is from. */
void cli_print_head(const char *name, const char *title, const char *cite);

#endif
