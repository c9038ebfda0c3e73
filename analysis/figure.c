#include "analysis/figure.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/escape.h"

extern char **environ;

enum { PATH_CHARS = 1024, CHUNK = 65536 };

const char *nl_figure_colour(int64_t i)
{
    static const char *const colours[] = {"#444444", "#0072B2", "#D55E00", "#009E73",
                                          "#CC79A7", "#E69F00", "#56B4E9"};
    return colours[i % (int64_t)(sizeof colours / sizeof *colours)];
}

void nl_figure_free(nl_figure *f)
{
    nl_text_free(&f->program);
    nl_text_free(&f->label);
    nl_text_free(&f->svg);
}

static void name_in(const char *folder, const char *name, char path[PATH_CHARS])
{
    snprintf(path, PATH_CHARS, "%s/%s", folder, name);
}

static nl_status write_text(const char *path, const nl_text *text)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    const bool whole = fwrite(nl_text_of(text), 1, text->used, file) == text->used;
    if (fclose(file) != 0 || !whole)
        return nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    return NL_OK;
}

static nl_status read_text(const char *path, nl_text *out)
{
    char chunk[CHUNK];
    size_t got;
    FILE *file = fopen(path, "r");
    if (!file)
        return nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        nl_text_add_bytes(out, chunk, got);
    fclose(file);
    return nl_text_status(out);
}

/* The program goes by a file, not a pipe: a gnuplot that is missing or dies raises no SIGPIPE. */
static nl_status run_gnuplot(const char *folder)
{
    char program[PATH_CHARS], complaint[PATH_CHARS];
    name_in(folder, "program", program);
    name_in(folder, "complaint", complaint);
    char *const argv[] = {"gnuplot", program, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, complaint,
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int error = posix_spawnp(&child, "gnuplot", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        return nl_fail(NL_ENAME, "gnuplot: %s", strerror(error));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return nl_fail(NL_ENAME, "gnuplot: not installed");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        nl_text said = {0};
        nl_status st = read_text(complaint, &said);
        const char *line = strstr(nl_text_of(&said), " line "); /* after the name of our program */
        st = nl_fail(NL_EIO, "gnuplot failed:%.300s", line ? line : " no reason given");
        nl_text_free(&said);
        return st;
    }
    return NL_OK;
}

static void add_program(const char *folder, const nl_figure *f, int64_t i, nl_text *out)
{
    char name[32], path[PATH_CHARS];
    snprintf(name, sizeof name, "%lld.svg", (long long)i);
    name_in(folder, name, path);
    nl_text_add(out,
                "reset\nset term svg noenhanced standalone size %d,%d dynamic font 'sans-serif,12' "
                "background '#ffffff' name 'f%lld'\nset encoding utf8\nset output ",
                f->width, f->height, (long long)i);
    nl_escape_gnuplot(out, path);
    nl_text_add(out,
                "\nset border 3 lc rgb '#666666' lw 0.8\nset tics nomirror out scale 0.5 tc rgb "
                "'#333333'\nset grid y lc rgb '#e4e4e4' lw 0.6 dt 1\nset style fill transparent "
                "solid 0.18 noborder\nset format x '%%.0f'\n%s\nunset output\n",
                nl_text_of(&f->program));
}

/* All of the drawing but its XML head, ids made unique in the page, and with a label of ours. */
static nl_status take_drawing(const char *path, nl_figure *f, int64_t i)
{
    nl_text raw = {0};
    nl_status st = read_text(path, &raw);
    const char *at = strstr(nl_text_of(&raw), "<svg");
    const char *body = at ? strstr(at, "<desc>") : NULL;
    const char *box = at ? strstr(at, "viewBox=") : NULL;
    if (st == NL_OK && (!at || !body || !box))
        st = nl_fail(NL_EFORMAT, "gnuplot: its drawing is no SVG");
    if (st == NL_OK) {
        nl_text_add(&f->svg, "<svg role=\"img\" viewBox=\"0 0 %d %d\" aria-label=\"", f->width,
                    f->height);
        nl_escape_html(&f->svg, nl_text_of(&f->label));
        nl_text_add(&f->svg, "\" xmlns=\"http://www.w3.org/2000/svg\" "
                             "xmlns:xlink=\"http://www.w3.org/1999/xlink\">\n<title>");
        nl_escape_html(&f->svg, nl_text_of(&f->label));
        nl_text_add(&f->svg, "</title>\n");
        body = strstr(body, "</desc>");
        body = body ? body + strlen("</desc>") : "</svg>";
        for (const char *id; (id = strstr(body, "gp")) != NULL; body = id + 2) {
            const bool named = id[-1] == '\'' || id[-1] == '#';
            nl_text_add_bytes(&f->svg, body, (size_t)(id - body));
            nl_text_add(&f->svg, named ? "f%lldgp" : "gp", (long long)i);
        }
        nl_text_add(&f->svg, "%s", body);
        st = nl_text_status(&f->svg);
    }
    nl_text_free(&raw);
    return st;
}

static void remove_all(const char *folder, int64_t count)
{
    static const char *const names[] = {"program", "complaint"};
    char path[PATH_CHARS], name[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        name_in(folder, names[i], path);
        unlink(path);
    }
    for (int64_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%lld.svg", (long long)i);
        name_in(folder, name, path);
        unlink(path);
    }
    rmdir(folder);
}

nl_status nl_figures_draw(nl_figure *figures, int64_t count)
{
    nl_status st = NL_OK;
    nl_text program = {0};
    char folder[PATH_CHARS / 2], path[PATH_CHARS], name[32];
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/normlab-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        return nl_fail(NL_EIO, "%s: %s", folder, strerror(errno));
    for (int64_t i = 0; i < count; i++)
        add_program(folder, &figures[i], i, &program);
    NL_GO(nl_text_status(&program));
    name_in(folder, "program", path);
    NL_GO(write_text(path, &program));
    NL_GO(run_gnuplot(folder));
    for (int64_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%lld.svg", (long long)i);
        name_in(folder, name, path);
        NL_GO(take_drawing(path, &figures[i], i));
    }
done:
    nl_text_free(&program);
    remove_all(folder, count);
    return st;
}
