/* normlab reproduce: the study of a paper, its claims with verdicts, its curves beside ours. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/published.h"
#include "analysis/report.h"
#include "analysis/rundirs.h"
#include "base/alloc.h"
#include "cli/cli.h"
#include "io/file.h"

enum { PATH_ROOM = PATH_MAX + 64, WORDS_MAX = 64 };

struct input {
    const char *key;
    const char *out;
    char *word[WORDS_MAX]; /* further keys of the runs */
    int words;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (strncmp(arg, "out=", 4) == 0) {
        in->out = arg + 4;
    } else if (strchr(arg, '=')) {
        if (in->words == WORDS_MAX) {
            cli_wrong("reproduce: more than %d keys", WORDS_MAX);
            return EINVAL;
        }
        in->word[in->words++] = arg;
    } else if (!in->key) {
        in->key = arg;
    } else {
        cli_wrong("reproduce takes one paper, got '%s' and '%s'", in->key, arg);
        return EINVAL;
    }
    return 0;
}

/* ---- where papers are */

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* $NORMLAB_PAPERS, then beside the installed program, then in the source tree it was built in. */
static bool find_papers(char path[PATH_ROOM])
{
    static const char *const beside[] = {"../share/normlab/paper", "../../paper"};
    const char *named = getenv("NORMLAB_PAPERS");
    char program[PATH_MAX];
    if (named) {
        snprintf(path, PATH_ROOM, "%s", named);
        return is_folder(path);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(program, sizeof program, "%s", cli_program(false));
        snprintf(path, PATH_ROOM, "%s/%s", dirname(program), beside[i]);
        if (is_folder(path))
            return true;
    }
    return false;
}

typedef struct choice {
    nl_nearest near;
    char best[NAME_MAX + 1]; /* names go with the listing */
    nl_text known;
} choice;

static nl_status offer(void *arg, const char *name)
{
    choice *c = arg;
    if (name[0] == '.' || strchr(name, '.')) /* files beside the folders */
        return NL_OK;
    nl_nearest_offer(&c->near, name);
    if (c->near.best == name) {
        snprintf(c->best, sizeof c->best, "%s", name);
        c->near.best = c->best;
    }
    nl_text_add(&c->known, "%s%s", c->known.used ? ", " : "", name);
    return NL_OK;
}

static nl_status unknown_paper(const char *papers, const char *key)
{
    char hint[96];
    choice c = {.near = {.wanted = key}};
    nl_status st = nl_file_each(papers, offer, &c);
    if (st == NL_OK)
        st = nl_fail(NL_ENAME, "no paper '%s'%s (known: %s)", key,
                     nl_nearest_hint(&c.near, hint, sizeof hint), nl_text_of(&c.known));
    nl_text_free(&c.known);
    return st;
}

static nl_status find_paper(const char *key, char folder[PATH_ROOM])
{
    char papers[PATH_ROOM];
    if (!find_papers(papers))
        return nl_fail(NL_EIO, "reproduce: no folder of papers (NORMLAB_PAPERS names it)");
    if (snprintf(folder, PATH_ROOM, "%s/%s", papers, key) < PATH_ROOM && !strchr(key, '/') &&
        is_folder(folder))
        return NL_OK;
    return unknown_paper(papers, key);
}

/* ---- the runs: normlab compare STUDY out=DIR --no-report, as a person would call it */

extern char **environ;

static nl_status run_study(const struct input *in, const char *folder, const char *out, int *status)
{
    char study[PATH_ROOM + 16], place[PATH_ROOM + 8], compare[] = "compare";
    char quiet[] = "--no-report";
    char *argv[WORDS_MAX + 6] = {NULL};
    char program[PATH_MAX];
    int argc = 0;
    pid_t child;
    snprintf(program, sizeof program, "%s", cli_program(sizeof(nl_real) == sizeof(double)));
    snprintf(study, sizeof study, "%s/study.yaml", folder);
    snprintf(place, sizeof place, "out=%s", out);
    argv[argc++] = program, argv[argc++] = compare, argv[argc++] = study, argv[argc++] = place;
    argv[argc++] = quiet;
    for (int i = 0; i < in->words; i++)
        argv[argc++] = in->word[i];
    const int failed = posix_spawn(&child, program, NULL, NULL, argv, environ);
    if (failed)
        return nl_fail(NL_EIO, "%s: %s", program, strerror(failed));
    while (waitpid(child, status, 0) < 0)
        if (errno != EINTR)
            return nl_fail(NL_EIO, "%s: %s", program, strerror(errno));
    *status = WIFEXITED(*status) ? WEXITSTATUS(*status) : CLI_STOPPED;
    return NL_OK;
}

/* ---- what came of them */

static nl_status open_runs(const char *out, const char *baseline, nl_compare **c)
{
    nl_rundirs found;
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    how.baseline = baseline;
    NL_TRY(nl_rundirs_read(&found, &out, 1));
    const char **path = nl_alloc((size_t)found.count, sizeof *path);
    for (int64_t i = 0; path && i < found.count; i++)
        path[i] = nl_rundata_path(found.run[i]);
    const nl_status st = path ? nl_compare_open(c, path, found.count, &how)
                              : nl_fail(NL_ENOMEM, "%lld runs", (long long)found.count);
    nl_free(path);
    nl_rundirs_close(&found);
    return st;
}

static nl_status tell(const struct input *in, const char *folder, const char *out)
{
    nl_published p = {0};
    nl_compare *c = NULL;
    nl_text text = {0};
    char path[PATH_ROOM + 16];
    nl_status st;
    NL_GO(nl_published_read(&p, folder));
    NL_GO(open_runs(out, p.baseline, &c));
    NL_GO(nl_published_measure(&p, c));
    printf("\nClaims of %s\n", in->key);
    nl_published_print(&p, &text);
    NL_GO(nl_text_status(&text));
    fputs(nl_text_of(&text), stdout);
    snprintf(path, sizeof path, "%s/report.html", out);
    NL_GO(nl_report_write(c, &p, path));
    printf("report: %s\n", path);
done:
    nl_text_free(&text);
    nl_compare_close(c);
    nl_published_free(&p);
    return st;
}

int cli_reproduce(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse,
        "KEY [key=value ...]",
        "Runs the study of a paper (paper/KEY/study.yaml; finished runs are skipped), says of each "
        "of its claims whether it was reproduced, by the rule that the report states, and draws "
        "what was measured beside the published curves. Further keys change the study, as on the "
        "command line of compare: seeds=2 steps=1000."
        "\vExample: normlab reproduce ioffe2015 out=runs/ioffe2015",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    char folder[PATH_ROOM], out[PATH_ROOM];
    int status = CLI_DONE;
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.key)
        return cli_wrong("reproduce wants the key of a paper");
    snprintf(out, sizeof out, "%s%s", in.out ? in.out : "runs/", in.out ? "" : in.key);
    nl_status st = find_paper(in.key, folder);
    if (st == NL_OK)
        st = run_study(&in, folder, out, &status);
    if (st == NL_OK && status == CLI_DONE)
        st = tell(&in, folder, out);
    return st == NL_OK ? status : cli_failure(st);
}
