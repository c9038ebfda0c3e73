/* cli.h: what the commands share. One file a command; main.c has the table. */
#ifndef NL_CLI_H
#define NL_CLI_H

#include <argp.h>
#include <stdbool.h>

#include "base/status.h"
#include "core/dataset.h"
#include "train/words.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG = 2, CLI_STOPPED = 130 };

typedef struct cli_command {
    const char *name, *doc;
    int (*run)(int argc, char **argv); /* argv[0] is "normlab NAME"; gives the exit status */
} cli_command;
extern const cli_command cli_commands[]; /* ends with {0} */

int cli_train(int argc, char **argv);
int cli_compare(int argc, char **argv);
int cli_evaluate(int argc, char **argv);
int cli_norms(int argc, char **argv);
int cli_models(int argc, char **argv);
int cli_datasets(int argc, char **argv);
int cli_optimizers(int argc, char **argv);
int cli_initializers(int argc, char **argv);
int cli_probes(int argc, char **argv);
int cli_channels(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_sweep(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_figure(int argc, char **argv);
int cli_collect(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_reproduce(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_watch(int argc, char **argv);
int cli_recover(int argc, char **argv);
int cli_apply(int argc, char **argv);
int cli_bench(int argc, char **argv);

/* Prints "normlab: MESSAGE" of the latest failure, with NORMLAB_TRACE=1 also where it was. 2 when
 * the user asked for something that is not there or out of range, 1 otherwise. */
int cli_failure(nl_status st);
/* The same for what a person typed or wrote into a settings file: 2 whatever went wrong. */
int cli_misuse(nl_status st);
/* Prints "normlab: MESSAGE" and gives 2. */
int cli_wrong(const char *fmt, ...) NL_PRINTF(1, 2);

/* Prints a text and frees it; NL_ENOMEM where a part of it found no room. */
nl_status cli_say(nl_text *text) NL_CHECKED;

/* argp with one-line messages: unknown options are refused first, with the nearest known one.
 * --help leaves the program. False: used wrongly, the message was printed. */
bool cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* A word of train or compare: key=value, or the name of a settings file. 0, or EINVAL with the
 * message printed. */
error_t cli_word(nl_words *words, const char *word);

/* --record=LIST, which is the word record=LIST; as cli_word. */
error_t cli_record(nl_words *words, const char *list);

/* Folders and run files as a command's arguments; cli_path is as cli_word. */
enum { CLI_PATHS_MAX = 1024 };
typedef struct cli_paths {
    const char *at[CLI_PATHS_MAX];
    int64_t count;
} cli_paths;
error_t cli_path(cli_paths *paths, const char *command, const char *path);

/* Path of normlab or normlab-f64 beside the running executable. */
const char *cli_program(bool f64);
/* Starts the executable of the wanted precision with the words of the user, if this is the other
 * one. Returns only when nothing had to be done or on failure. */
nl_status cli_be_precision(bool f64) NL_CHECKED;
/* "--plugin", FILE, ... NULL: what a child has to be started with. */
const char *const *cli_plugin_arguments(void);

void cli_keep_words(int argc, char **argv); /* once, by main, before they change */
void cli_use_registries(void);

/* Tables for people and as JSON. */
void cli_print_options(const nl_option *options);
void cli_json_text(const char *text);            /* with quotes */
void cli_json_options(const nl_option *options); /* an array */

#endif
