/* normlab figure: one chart of finished runs in the size and letters of a paper. */
#include <stdio.h>
#include <string.h>

#include "analysis/charts.h"
#include "analysis/draw.h"
#include "analysis/figure.h"
#include "cli/runs.h"

struct input {
    cli_runs runs;
    const char *kind, *of, *out;
    nl_look look;
    nl_print print;
};

enum { KEY_OF = 256, KEY_WIDTH, KEY_HEIGHT, KEY_FONT, KEY_LETTERS, KEY_DPI, KEY_BASELINE };

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "to be written: .pdf, .svg or .png", 0},
    {"of", KEY_OF, "WHAT", 0, "layer, slot, variable, probe or key (the last hidden layer)", 0},
    {"width", KEY_WIDTH, "LENGTH", 0, "single (3.3in), double (6.8in), or as 84mm (single)", 0},
    {"height", KEY_HEIGHT, "LENGTH", 0, "as width (what the chart needs)", 0},
    {"font", KEY_FONT, "FAMILY", 0, "of the letters (sans)", 0},
    {"letters", KEY_LETTERS, "POINTS", 0, "their size (8)", 0},
    {"dpi", KEY_DPI, "N", 0, "pixels an inch of PNG (300)", 0},
    {"baseline", KEY_BASELINE, "METHOD", 0, "what the others are compared with (none)", 0},
    {0}};

static error_t wrong(const char *option, const char *wants, const char *got)
{
    cli_wrong("figure: --%s wants %s, got '%s'", option, wants, got);
    return EINVAL;
}

/* A number within bounds. */
static bool read_number(const char *text, double low, double high, double *out)
{
    return nl_read_real(text, out) && *out >= low && *out <= high;
}

static error_t take_length(const char *option, const char *arg, double *points)
{
    static const struct {
        const char *name;
        double points;
    } units[] = {{"in", 72}, {"mm", 72 / 25.4}, {"cm", 72 / 2.54}, {"pt", 1}},
      columns[] = {{"single", 3.3 * 72}, {"double", 6.8 * 72}};
    enum { LEAST = 36, MOST = 72 * 40 };
    char number[32];
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (strcmp(arg, columns[i].name) == 0) {
            *points = columns[i].points;
            return 0;
        }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t n = strlen(arg), tail = strlen(units[i].name);
        if (n <= tail || n - tail >= sizeof number || strcmp(arg + n - tail, units[i].name) != 0)
            continue;
        snprintf(number, sizeof number, "%.*s", (int)(n - tail), arg);
        if (read_number(number, LEAST / units[i].points, MOST / units[i].points, points)) {
            *points *= units[i].points;
            return 0;
        }
    }
    return wrong(option, "single, double or a length from 0.5in to 40in in in, mm, cm or pt", arg);
}

static error_t take_dpi(struct input *in, const char *arg)
{
    if (nl_read_int(arg, &in->print.dpi) && in->print.dpi >= 30 && in->print.dpi <= 2400)
        return 0;
    return wrong("dpi", "a whole number from 30 to 2400", arg);
}

static error_t take_letters(struct input *in, const char *arg)
{
    if (read_number(arg, 3, 72, &in->print.letters))
        return 0;
    return wrong("letters", "points from 3 to 72", arg);
}

static error_t take_word(struct input *in, const char *word)
{
    if (in->kind)
        return cli_runs_word(&in->runs, word);
    in->kind = word;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case 'o': in->out = arg; return 0;
    case KEY_OF: in->of = arg; return 0;
    case KEY_WIDTH: return take_length("width", arg, &in->look.width);
    case KEY_HEIGHT: return take_length("height", arg, &in->look.height);
    case KEY_FONT: in->print.font = arg; return 0;
    case KEY_LETTERS: return take_letters(in, arg);
    case KEY_DPI: return take_dpi(in, arg);
    case KEY_BASELINE: in->runs.baseline = arg; return 0;
    case ARGP_KEY_ARG: return take_word(in, arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- What is wanted, before any run is read */

static nl_status find_kind(const char *name, const nl_chart_kind **out)
{
    nl_nearest near = {.wanted = name};
    for (int i = 0; (*out = nl_chart_kind_at(i)) != NULL; i++)
        if (nl_nearest_offer(&near, (*out)->name))
            return NL_OK;
    return nl_fail(NL_ENAME, "there is no figure '%s'%s", name, nl_nearest_hint(&near));
}

/* ---- Which chart it is */

static nl_status find_charts(const nl_chart_kind *kind, const nl_study *s, nl_charts *out)
{
    *out = (nl_charts){0};
    if (kind->shape == NL_VIEW && s->tasks > 1)
        NL_TRY(nl_charts_find_views(out, s));
    else if (kind->shape == NL_VIEW)
        return nl_fail(NL_EOPTION,
                       "figure %s wants runs that differ in a key besides norm and seed",
                       kind->name);
    else if (s->tasks > 1)
        return nl_fail(NL_EOPTION,
                       "figure %s is of one task, these are %lld; key=value chooses, as in '%s'",
                       kind->name, (long long)s->tasks, nl_text_of(&s->task[0].label));
    else
        NL_TRY(nl_charts_find(out, s->task[0].compare));
    return NL_OK;
}

static nl_status not_there(const nl_chart_kind *kind, const char *of, const nl_charts *charts)
{
    nl_nearest near = {.wanted = of ? of : ""};
    for (int64_t i = 0; i < charts->count; i++)
        if (charts->at[i].is == kind)
            nl_nearest_offer(&near, charts->at[i].of);
    if (!near.best[0])
        return nl_fail(NL_ENAME, "figure %s: the runs have nothing to show of it (%s)", kind->name,
                       kind->channel ? kind->channel : "too few are finished");
    return nl_fail(NL_ENAME, "figure %s: there is no '%s'%s", kind->name, near.wanted,
                   nl_nearest_hint(&near));
}

static nl_status draw(struct input *in, const nl_chart_kind *kind)
{
    nl_status st = NL_OK;
    nl_figure f = {0};
    nl_charts charts = {0};
    NL_GO(cli_runs_study(&in->runs));
    NL_GO(find_charts(kind, in->runs.study, &charts));
    const nl_chart *chart = nl_charts_one(&charts, kind, in->of);
    if (!chart)
        NL_GO(not_there(kind, in->of, &charts));
    in->look.font = in->print.letters;
    nl_draw_fit(&charts, chart, &in->look);
    f.width = in->look.width;
    f.height = in->look.height;
    nl_draw_label(&charts, chart, &f.label);
    NL_GO(nl_draw(&charts, chart, &in->look, &f.program));
    NL_GO(nl_figure_save(&f, &in->print, in->out));
    printf("figure: %s (%s, %.2f x %.2f in)\n", in->out, nl_text_of(&f.label), f.width / 72,
           f.height / 72);
done:
    nl_charts_free(&charts);
    nl_figure_free(&f);
    return st;
}

int cli_figure(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "KIND DIR|RUN... [key=value ...] -o FILE",
        "Draws one chart of finished runs with gnuplot, in the size and letters of a paper. Kinds "
        "are "
        "those of the page, in docs/command-line.md and in the message when an unknown one is "
        "asked "
        "for. key=value keeps the runs whose spec says so."
        "\vExample: normlab figure percentiles runs --of=h3/preact --width=double -o fig1.pdf",
        NULL,
        NULL,
        NULL};
    struct input in = {.runs.command = "figure",
                       .look = {.width = 3.3 * 72},
                       .print = {.font = "sans", .letters = 8, .dpi = 300}};
    const nl_chart_kind *kind;
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.kind)
        return cli_wrong("figure wants a kind and a folder with runs");
    nl_status st = find_kind(in.kind, &kind);
    if (st == NL_OK && !in.out)
        return cli_wrong("figure wants -o FILE, which ends with .pdf, .svg or .png");
    if (st == NL_OK)
        st = nl_figure_check_ending(in.out);
    if (st == NL_OK)
        st = draw(&in, kind);
    cli_runs_close(&in.runs);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
