/* normlab initializers: what the table of the initial values of weights says. */
#include <stdio.h>
#include <string.h>

#include "cli/catalogue.h"
#include "core/init.h"

static bool at(int i, const char **name, const char **title)
{
    const nl_initializer *o = nl_init_at(i);
    if (o)
        *name = o->name, *title = o->title;
    return o;
}

static void print_one(const nl_initializer *o)
{
    char number[NL_REAL_CHARS];
    cli_print_head(o->name, o->title, o->cite);
    printf("%-12s %s", "Written", o->name);
    if (o->args) {
        printf(" or %s(%s), by default", o->name, o->takes);
        for (int k = 0; k < o->args; k++)
            printf("%s%s", k ? "/" : " ", nl_print_real(number, o->preset[k]));
    }
    printf("\n");
}

static nl_status describe(const char *name)
{
    const size_t n = strcspn(name, "("); /* normal(0.1) is normal */
    NL_TRY(nl_init_check(name, "initializers"));
    for (int i = 0; nl_init_at(i); i++)
        if (strlen(nl_init_at(i)->name) == n && strncmp(nl_init_at(i)->name, name, n) == 0)
            print_one(nl_init_at(i));
    return NL_OK;
}

int cli_initializers(int argc, char **argv)
{
    static const cli_catalogue catalogue = {
        "initializers", "initializer",
        "Lists the initial values of weights, or describes one. init= of a run and of a layer take "
        "them."
        "\vExample: normlab initializers orthogonal",
        at, describe};
    return cli_catalogue_run(&catalogue, argc, argv);
}
