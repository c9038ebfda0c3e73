/* normlab: a table of commands, the global option --plugin, and the two ways out. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/plugin.h"
#include "par/par.h"
#include "version.h"

static int help(int argc, char **argv);
static int version(int argc, char **argv);

const cli_command cli_commands[] = {
    {"train", "one run", cli_train},
    {"compare", "methods x seeds: runs, table and report (alone: a demonstration)", cli_compare},
    {"evaluate", "a checkpoint under other inference policies", cli_evaluate},
    {"sweep", "any grid of runs, and the sensitivity to what varies", cli_sweep},
    {"stats", "statistics of finished runs, over any number of tasks", cli_stats},
    {"report", "the page of any finished runs", cli_report},
    {"figure", "one chart of finished runs, for a paper", cli_figure},
    {"collect", "many runs as one table, one row a run", cli_collect},
    {"export", "runs as CSV, JSON or TensorBoard event files", cli_export},
    {"reproduce", "a paper: its study, and a verdict for each of its claims", cli_reproduce},
    {"norms", "list the normalization methods, or describe one", cli_norms},
    {"models", "list the networks, or describe one", cli_models},
    {"datasets", "list the data sets, or describe one", cli_datasets},
    {"optimizers", "list the optimizers, or describe one", cli_optimizers},
    {"initializers", "list the initial values of weights, or describe one", cli_initializers},
    {"probes", "list the probes of training, or describe one", cli_probes},
    {"channels", "list what a run file may hold, or describe one channel", cli_channels},
    {"check", "the contract on a method or plugin", cli_check},
    {"show", "one run in the terminal", cli_show},
    {"watch", "how far runs are, while they go on", cli_watch},
    {"recover", "make the file of a killed run an ordinary one", cli_recover},
    {"apply", "one method on arrays of an HDF5 file", cli_apply},
    {"bench", "time norm kernels and training steps", cli_bench},
    {"help", "this page, or the page of a command", help},
    {"version", "the version", version},
    {0}};

static void print_help(void)
{
    printf("Usage: normlab COMMAND [key=value ...] [--option ...]\n"
           "A laboratory for normalization layers.\n\n");
    for (const cli_command *c = cli_commands; c->name; c++)
        printf("  %-13s %s\n", c->name, c->doc);
    printf("\n  --plugin=FILE  load a method from a shared object; before or after the command\n"
           "  --help, --version\n\n"
           "'normlab COMMAND --help' says more and has an example. Exit status: 0 done, 1 failed,\n"
           "2 used wrongly. With NORMLAB_TRACE=1 messages say where they come from.\n\n"
           "Example: normlab compare data=mnist norm=none,batch,layer steps=2000 seeds=3\n");
}

static int version(int argc, char **argv)
{
    if (argc > 1)
        return cli_wrong("version takes no '%s'", argv[1]);
    printf("normlab %s\n", NL_VERSION);
    return CLI_DONE;
}

static int run_command(const char *name, int argc, char **argv)
{
    char title[64];
    nl_nearest near = {.wanted = name, .see = "normlab help"};
    for (const cli_command *c = cli_commands; c->name; c++)
        if (nl_nearest_offer(&near, c->name)) {
            snprintf(title, sizeof title, "normlab %s", name);
            argv[0] = title;
            return c->run(argc, argv);
        }
    return cli_wrong("there is no command '%s'%s", name, nl_nearest_hint(&near));
}

static int help(int argc, char **argv)
{
    static char page[] = "--help";
    if (argc < 2 || strcmp(argv[1], page) == 0) {
        print_help();
        return CLI_DONE;
    }
    char *words[] = {argv[0], page, NULL};
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "version") == 0)
        return cli_wrong("%s has no page of its own", argv[1]);
    return run_command(argv[1], 2, words);
}

/* Takes --plugin FILE and --plugin=FILE out of the words, wherever they stand. */
enum { PLUGINS_MAX = 32 };
static const char *plugin_words[2 * PLUGINS_MAX + 1];
static int plugins;

const char *const *cli_plugin_arguments(void) { return plugin_words; }

static nl_status take_plugin(const char *path)
{
    if (plugins == PLUGINS_MAX)
        return nl_fail(NL_EOPTION, "more than %d plugins", PLUGINS_MAX);
    plugin_words[2 * plugins] = "--plugin";
    plugin_words[2 * plugins++ + 1] = path;
    return NL_OK;
}

static nl_status take_plugins(int *argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], "--plugin=", 9) == 0) {
            NL_TRY(take_plugin(argv[i] + 9));
        } else if (strcmp(argv[i], "--plugin") == 0) {
            if (i + 1 == *argc)
                return nl_fail(NL_EOPTION, "--plugin wants the path of a shared object");
            NL_TRY(take_plugin(argv[++i]));
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return NL_OK;
}

static nl_status load_plugins(void)
{
    for (int i = 0; i < plugins; i++)
        NL_TRY(nl_norm_plugin(plugin_words[2 * i + 1], NULL));
    return NL_OK;
}

/* Numbers are read and written the same everywhere; a full disk gives a message, not a signal. */
static void settle_process(void)
{
    setlocale(LC_ALL, "C");
    signal(SIGXFSZ, SIG_IGN);
}

static int dispatch(int argc, char **argv)
{
    nl_status st = take_plugins(&argc, argv);
    if (st == NL_OK) {
        cli_use_registries();
        st = load_plugins();
    }
    if (st != NL_OK)
        return cli_failure(st);
    if (argc < 2)
        return cli_wrong("a command is wanted ('normlab help' lists them)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return version(1, argv);
    return run_command(argv[1], argc - 1, argv + 1);
}

/* _exit: a run file whose write failed must not be closed, which HDF5 would try at exit. */
int main(int argc, char **argv)
{
    settle_process();
    cli_keep_words(argc, argv);
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "normlab: standard output could not be written\n");
        status = status ? status : CLI_FAILED;
    }
    _exit(status);
}
