/* normlab watch: how far runs are, once a second while they go on. */
#include "analysis/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

/* Between two runs of a comparison there may be a moment in which none goes on. */
enum { LOOKS_OVER = 3, KEY_ONCE = 256 };

struct input {
    cli_paths paths;
    bool once;
};

static const struct argp_option options[] = {
    {"once", KEY_ONCE, NULL, 0, "say it once, as where stdout is no terminal", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_ONCE: in->once = true; return 0;
    case ARGP_KEY_ARG: return cli_path(&in->paths, "watch", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static volatile sig_atomic_t stop;
static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* ---- The terminal: lines are written over those of the last look */

static int64_t lines_of(const char *text)
{
    int64_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static struct winsize size_of_terminal(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_row || !size.ws_col)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

/* Each line cut to the terminal, or it would take two; bytes after the first of a character are of
 * no width. */
static void put_lines(const char *text, int64_t columns)
{
    int64_t at = 0;
    for (; *text; text++) {
        const bool begins = ((unsigned char)*text & 0xc0) != 0x80;
        if (*text == '\n')
            fputs("\033[K\n", stdout);
        else if (at + begins <= columns)
            putchar(*text);
        at = *text == '\n' ? 0 : at + begins;
    }
}

static void redraw(const char *text, int64_t *lines)
{
    if (*lines)
        printf("\033[%lldA\r", (long long)*lines);
    put_lines(text, size_of_terminal().ws_col);
    printf("\033[J");
    fflush(stdout);
    *lines = lines_of(text);
}

/* ---- */

static nl_status look(const struct input *in, nl_sightings *s, int64_t most_lines, nl_text *out)
{
    nl_text_clear(out);
    NL_TRY(nl_watch_look(s, in->paths.at, in->paths.count));
    nl_watch_print(s, most_lines, out);
    NL_TRY(nl_text_status(out));
    return NL_OK;
}

static void wait_a_second(void) { nanosleep(&(struct timespec){.tv_sec = 1}, NULL); }

static nl_status watch(const struct input *in)
{
    const bool live = !in->once && isatty(STDOUT_FILENO);
    nl_sightings s = {0};
    nl_text text = {0};
    nl_status st = NL_OK;
    int64_t lines = 0;
    for (int over = 0; over < LOOKS_OVER && !stop;) {
        NL_GO(look(in, &s, live ? size_of_terminal().ws_row - 1 : 0, &text));
        if (!live) {
            fputs(nl_text_of(&text), stdout);
            break;
        }
        redraw(nl_text_of(&text), &lines);
        over = nl_watch_is_over(&s) ? over + 1 : 0;
        if (over < LOOKS_OVER)
            wait_a_second();
    }
done:
    nl_text_free(&text);
    nl_watch_free(&s);
    return st;
}

int cli_watch(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "DIR|RUN...",
        "Shows how far the runs below the folders are, a line each, anew every second until all "
        "have "
        "ended: state, step, loss of the latest steps, last accuracy, speed. A dead run has "
        "neither "
        "ended nor a process that goes on with it; the command that started it takes it up again."
        "\vExample: normlab watch runs",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.paths.count)
        return cli_wrong("watch wants a folder with runs");
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    const nl_status st = watch(&in);
    if (st != NL_OK)
        return cli_failure(st);
    return stop ? CLI_STOPPED : CLI_DONE;
}
