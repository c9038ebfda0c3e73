/* normlab reproduce: the study of a paper, its claims with verdicts, its curves beside ours. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/published.h"
#include "cli/cli.h"
#include "cli/grid.h"
#include "cli/page.h"
#include "io/file.h"

enum { PATH_ROOM = PATH_MAX + 64 };

struct input {
    const char *key;
    char folder[PATH_ROOM];
    nl_words words; /* further keys of the runs */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (strchr(arg, '='))
        return cli_word(&in->words, arg);
    if (in->key) {
        cli_wrong("reproduce takes one paper, got '%s' and '%s'", in->key, arg);
        return EINVAL;
    }
    in->key = arg;
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

static nl_status offer(void *near, const char *name)
{
    if (!strchr(name, '.')) /* files beside the folders */
        nl_nearest_offer(near, name);
    return NL_OK;
}

static nl_status unknown_paper(const char *papers, const char *key)
{
    nl_nearest near = {.wanted = key};
    NL_TRY(nl_file_each(papers, offer, &near));
    return nl_fail(NL_ENAME, "no paper '%s'%s", key, nl_nearest_hint(&near));
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

/* ---- the runs, and what came of them */

static nl_status take_study(struct input *in)
{
    char study[PATH_ROOM + 16], out[PATH_ROOM];
    snprintf(study, sizeof study, "%s/study.yaml", in->folder);
    snprintf(out, sizeof out, "out=runs/%s", in->key);
    NL_TRY(nl_words_read(&in->words, study));
    return nl_words_take(&in->words, NL_WORD_COMMAND, out);
}

static nl_status say_claims(const struct input *in, const nl_published *p)
{
    nl_text text = {0};
    printf("\nClaims of %s\n", in->key);
    nl_published_print(p, &text);
    return cli_say(&text);
}

static nl_status tell(const nl_grid *g, nl_rundata **runs, int64_t count, void *arg)
{
    const struct input *in = arg;
    nl_published p = {0};
    nl_compare *c = NULL;
    nl_text text = {0};
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    nl_status st;
    NL_GO(nl_published_read(&p, in->folder));
    how.baseline = p.baseline;
    if (g->run[0].target > 0)
        how.target = g->run[0].target;
    NL_GO(nl_compare_runs(&c, (const nl_rundata *const *)runs, count, &how));
    nl_compare_print(c, false, &text);
    NL_GO(cli_say(&text));
    NL_GO(nl_published_measure(&p, c));
    NL_GO(say_claims(in, &p));
    NL_GO(cli_report_write(c, &p, g->run[0].out.is, stdout));
done:
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
    const cli_grid study = {.varied_max = 2, .layers = true, .tell = tell, .arg = &in};
    int status = CLI_WRONG;
    if (cli_parse(&argp, argc, argv, &in)) {
        nl_status st = in.key ? find_paper(in.key, in.folder)
                              : nl_fail(NL_EOPTION, "reproduce wants the key of a paper");
        if (st == NL_OK)
            st = take_study(&in);
        status = st == NL_OK ? cli_grid_command(&in.words, &study) : cli_failure(st);
    }
    nl_words_free(&in.words);
    return status;
}
