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
#include "io/file.h"

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
        const bool told = read_text(complaint, &said) == NL_OK;
        const char *line = strstr(nl_text_of(&said), " line "); /* after the name of our program */
        const nl_status st =
            nl_fail(NL_EIO, "gnuplot failed:%.300s", told && line ? line : " no reason given");
        nl_text_free(&said);
        return st;
    }
    return NL_OK;
}

/* The look that all figures share; axes are thin and grey, data in front. */
static void add_body(const nl_figure *f, nl_text *out)
{
    nl_text_add(out,
                "set encoding utf8\nset border 3 lc rgb '#666666' lw 0.8\nset tics nomirror out "
                "scale 0.5 tc rgb '#333333'\nset grid y lc rgb '#e4e4e4' lw 0.6 dt 1\n"
                "set style fill transparent solid 0.18 noborder\nset format x '%%.0f'\n%s\n"
                "unset output\n",
                nl_text_of(&f->program));
}

static void add_output(const char *path, nl_text *out)
{
    nl_text_add(out, "set output ");
    nl_escape_gnuplot(out, path);
    nl_text_add(out, "\n");
}

static void add_program(const char *folder, const nl_figure *f, int64_t i, nl_text *out)
{
    char name[32], path[PATH_CHARS];
    snprintf(name, sizeof name, "%lld.svg", (long long)i);
    name_in(folder, name, path);
    nl_text_add(out,
                "reset\nset term svg noenhanced standalone size %.0f,%.0f dynamic font "
                "'sans-serif,%d' background '#ffffff' name 'f%lld'\n",
                f->width, f->height, NL_PAGE_LETTERS, (long long)i);
    add_output(path, out);
    add_body(f, out);
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
        nl_text_add(&f->svg, "<svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"", f->width,
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

/* A folder of ours and what lies in it. */
static nl_status make_folder(char folder[PATH_CHARS / 2])
{
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, PATH_CHARS / 2, "%s/normlab-XXXXXX", temporary ? temporary : "/tmp");
    return mkdtemp(folder) ? NL_OK : nl_fail(NL_EIO, "%s: %s", folder, strerror(errno));
}

static void remove_in(const char *folder, const char *name)
{
    char path[PATH_CHARS];
    name_in(folder, name, path);
    unlink(path);
}

static void remove_folder(const char *folder)
{
    remove_in(folder, "program");
    remove_in(folder, "complaint");
    rmdir(folder);
}

static nl_status run_program(const char *folder, const nl_text *program)
{
    char path[PATH_CHARS];
    NL_TRY(nl_text_status(program));
    name_in(folder, "program", path);
    NL_TRY(write_text(path, program));
    NL_TRY(run_gnuplot(folder));
    return NL_OK;
}

nl_status nl_figures_draw(nl_figure *figures, int64_t count)
{
    nl_status st = NL_OK;
    nl_text program = {0};
    char folder[PATH_CHARS / 2], path[PATH_CHARS], name[32];
    NL_TRY(make_folder(folder));
    for (int64_t i = 0; i < count; i++)
        add_program(folder, &figures[i], i, &program);
    NL_GO(run_program(folder, &program));
    for (int64_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%lld.svg", (long long)i);
        name_in(folder, name, path);
        NL_GO(take_drawing(path, &figures[i], i));
    }
done:
    nl_text_free(&program);
    for (int64_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%lld.svg", (long long)i);
        remove_in(folder, name);
    }
    remove_folder(folder);
    return st;
}

/* ---- Files: all terminals draw in points, PNG in as many pixels a point as its resolution has */

static void add_font(const nl_print *p, nl_text *out)
{
    char font[160];
    snprintf(font, sizeof font, "%s,%g", p->font, p->letters);
    nl_text_add(out, " font ");
    nl_escape_gnuplot(out, font);
}

static void term_pdf(const nl_figure *f, const nl_print *p, nl_text *out)
{
    nl_text_add(out, "set term pdfcairo noenhanced size %.4fin,%.4fin", f->width / 72,
                f->height / 72);
    add_font(p, out);
}

static void term_svg(const nl_figure *f, const nl_print *p, nl_text *out)
{
    nl_text_add(out,
                "set term svg noenhanced standalone size %.0f,%.0f fixed linewidth 0.5 background "
                "'#ffffff'",
                f->width, f->height);
    add_font(p, out);
}

static void term_png(const nl_figure *f, const nl_print *p, nl_text *out)
{
    const double scale = (double)p->dpi / 72;
    nl_text_add(out,
                "set term pngcairo noenhanced size %.0f,%.0f fontscale %.4f linewidth %.4f "
                "pointscale %.4f",
                f->width * scale, f->height * scale, scale, scale / 2, scale);
    add_font(p, out);
}

static const struct {
    const char *ending;
    void (*add_terminal)(const nl_figure *f, const nl_print *p, nl_text *out);
} formats[] = {{"pdf", term_pdf}, {"svg", term_svg}, {"png", term_png}};

enum { FORMATS = sizeof formats / sizeof *formats };

/* FORMATS: none of ours. */
static int format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    int i = 0;
    while (i < FORMATS && !(dot && strcmp(dot + 1, formats[i].ending) == 0))
        i++;
    return i;
}

nl_status nl_figure_check_ending(const char *path)
{
    return format_of(path) < FORMATS
               ? NL_OK
               : nl_fail(NL_EOPTION, "%s: a figure ends with .pdf, .svg or .png", path);
}

/* gnuplot's lengths are bare numbers, which browsers and editors take for pixels: here they are
 * points. */
static nl_status print_in_points(nl_text *svg, const nl_figure *f)
{
    nl_text out = {0};
    const char *size = strstr(nl_text_of(svg), "width=\""),
               *box = strstr(nl_text_of(svg), "viewBox");
    if (!size || !box || box < size)
        return nl_fail(NL_EFORMAT, "gnuplot: its drawing is no SVG");
    nl_text_add_bytes(&out, nl_text_of(svg), (size_t)(size - nl_text_of(svg)));
    nl_text_add(&out, "width=\"%.0fpt\" height=\"%.0fpt\"\n %s", f->width, f->height, box);
    nl_text_free(svg);
    *svg = out;
    return nl_text_status(svg);
}

nl_status nl_figure_save(const nl_figure *f, const nl_print *print, const char *path)
{
    nl_status st = NL_OK;
    nl_text program = {0}, drawing = {0};
    char folder[PATH_CHARS / 2], drawn[PATH_CHARS];
    const int format = format_of(path);
    NL_TRY(nl_figure_check_ending(path));
    NL_TRY(make_folder(folder));
    name_in(folder, "drawing", drawn);
    formats[format].add_terminal(f, print, &program);
    nl_text_add(&program, "\n");
    add_output(drawn, &program);
    add_body(f, &program);
    NL_GO(run_program(folder, &program));
    NL_GO(read_text(drawn, &drawing));
    if (formats[format].add_terminal == term_svg)
        NL_GO(print_in_points(&drawing, f));
    NL_GO(nl_file_replace(path, nl_text_of(&drawing), drawing.used));
done:
    nl_text_free(&program);
    nl_text_free(&drawing);
    remove_in(folder, "drawing");
    remove_folder(folder);
    return st;
}
