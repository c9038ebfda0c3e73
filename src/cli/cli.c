#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

/* ---- messages */

int cli_failure(nl_status st)
{
    const char *trace = getenv("NORMLAB_TRACE");
    fprintf(stderr, "normlab: %s\n", nl_last_error());
    if (trace && strcmp(trace, "1") == 0)
        fprintf(stderr, "normlab: at %s\n", nl_last_trace());
    return st == NL_EOPTION || st == NL_ENAME ? CLI_WRONG : CLI_FAILED;
}

int cli_misuse(nl_status st)
{
    cli_failure(st);
    return CLI_WRONG;
}

int cli_wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("normlab: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return CLI_WRONG;
}

nl_status cli_say(nl_text *text)
{
    const nl_status st = nl_text_status(text);
    fputs(nl_text_of(text), stdout);
    nl_text_free(text);
    return st;
}

/* ---- options */

static const struct argp_option *find_option(const struct argp *argp, const char *name, size_t n,
                                             nl_nearest *near)
{
    const struct argp_option *found = NULL;
    for (const struct argp_option *o = argp->options; o && (o->name || o->doc); o++) {
        if (!o->name)
            continue;
        if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            found = o;
        if (!(o->flags & OPTION_HIDDEN))
            nl_nearest_offer(near, o->name);
    }
    return found;
}

static const struct argp_option *find_letter(const struct argp *argp, char letter)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->doc); o++)
        if (o->key == letter)
            return o;
    return NULL;
}

/* Whether word i is an option argp will take; *takes: the next word is its value. */
static bool check_option(const struct argp *argp, int argc, char **argv, int i, bool *takes)
{
    const char *name = argv[i] + 2;
    const bool letter = argv[i][1] != '-'; /* -o FILE or -oFILE */
    const size_t n = letter ? 0 : strcspn(name, "=");
    char wanted[64], help[96];
    snprintf(wanted, sizeof wanted, "%.*s", n < 63 ? (int)n : 63, name);
    snprintf(help, sizeof help, "%s --help", argv[0]);
    nl_nearest near = {.wanted = wanted, .see = help};
    *takes = false;
    if (argv[i][1] == '-' && (strcmp(name, "help") == 0 || strcmp(name, "usage") == 0))
        return true;
    if (strcmp(argv[i], "-?") == 0)
        return true;
    const struct argp_option *o =
        letter ? find_letter(argp, argv[i][1]) : find_option(argp, name, n, &near);
    if (!o) {
        cli_wrong("%s has no option '%s'%s", argv[0], argv[i], nl_nearest_hint(&near));
        return false;
    }
    if (o->arg && !name[n] && i + 1 == argc)
        return cli_wrong("%s: --%s wants a value", argv[0], o->name), false;
    if (!o->arg && name[n])
        return cli_wrong("%s: --%s takes no value", argv[0], o->name), false;
    *takes = o->arg && !name[n];
    return true;
}

bool cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        bool takes = false;
        if (argv[i][0] == '-' && argv[i][1] && !check_option(argp, argc, argv, i, &takes))
            return false;
        i += takes;
    }
    argp_err_exit_status = CLI_WRONG;
    return argp_parse(argp, argc, argv, 0, NULL, input) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static nl_status take_word(nl_words *words, const char *word)
{
    if (!strchr(word, '=') && (ends_with(word, ".yaml") || ends_with(word, ".yml")))
        NL_TRY(nl_words_read(words, word));
    else if (!strchr(word, '='))
        return nl_fail(NL_EOPTION, "'%s' is neither key=value nor the name of a .yaml file", word);
    else
        NL_TRY(nl_words_take(words, NL_WORD_LINE, word));
    return NL_OK;
}

error_t cli_word(nl_words *words, const char *word)
{
    const nl_status st = take_word(words, word);
    if (st != NL_OK)
        cli_misuse(st);
    return st == NL_OK ? 0 : EINVAL;
}

error_t cli_record(nl_words *words, const char *list)
{
    char word[64];
    snprintf(word, sizeof word, "record=%s", list);
    const nl_status st = nl_words_take(words, NL_WORD_LINE, word);
    if (st != NL_OK)
        cli_misuse(st);
    return st == NL_OK ? 0 : EINVAL;
}

error_t cli_path(cli_paths *paths, const char *command, const char *path)
{
    if (paths->count == CLI_PATHS_MAX) {
        cli_wrong("%s takes at most %d folders", command, CLI_PATHS_MAX);
        return EINVAL;
    }
    paths->at[paths->count++] = path;
    return 0;
}

/* ---- the other executable */

static char **words_of_user;

void cli_keep_words(int argc, char **argv)
{
    words_of_user = nl_alloc((size_t)argc + 1, sizeof *words_of_user);
    for (int i = 0; words_of_user && i < argc; i++)
        words_of_user[i] = argv[i];
}

const char *cli_program(bool f64)
{
    static char path[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
    path[n > 0 ? n : 0] = 0;
    char *name = strrchr(path, '/');
    snprintf(name ? name + 1 : path, 16, "%s", f64 ? "normlab-f64" : "normlab");
    return path;
}

nl_status cli_be_precision(bool f64)
{
    if (f64 == (sizeof(nl_real) == sizeof(double)) || !words_of_user)
        return NL_OK;
    const char *program = cli_program(f64);
    fflush(stdout);
    execv(program, words_of_user);
    return nl_fail(NL_EIO, "%s cannot be started: %s", program, strerror(errno));
}

/* ---- tables */

void cli_print_options(const nl_option *options)
{
    nl_text text = {0};
    nl_options_describe(options, &text);
    printf("%s", text.used ? nl_text_of(&text) : "  none\n");
    nl_text_free(&text);
}

void cli_json_text(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 32)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

void cli_json_options(const nl_option *options)
{
    const char *part = "";
    putchar('[');
    for (const nl_option *o = options; o && o->key; o++, part = ", ") {
        printf("%s{\"key\": ", part);
        cli_json_text(o->key);
        printf(", \"type\": ");
        cli_json_text(nl_option_type_name(o->type));
        printf(", \"default\": ");
        cli_json_text(o->preset);
        printf(", \"doc\": ");
        cli_json_text(o->doc);
        putchar('}');
    }
    putchar(']');
}
