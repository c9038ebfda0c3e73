#include "analysis/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "analysis/assets.h"
#include "analysis/draw.h"
#include "analysis/escape.h"
#include "analysis/figure.h"
#include "analysis/pagedata.h"
#include "base/alloc.h"
#include "base/bibtex.h"
#include "io/file.h"

enum { FIGURES_MAX = 512 };

/* What a page is of: one comparison, or a study of several tasks. */
typedef struct page {
    const nl_compare *c; /* NULL for a study */
    const nl_study *s;
    const nl_published *published;
    nl_charts *charts; /* of c, or of s and then of each of its tasks; owned */
    int64_t count;
} page;

static const nl_compare *comparison(const page *p, int64_t i)
{
    return p->c ? p->c : p->s->task[i].compare;
}

static int64_t comparisons(const page *p) { return p->c ? 1 : p->s->tasks; }

/* Run i of all comparisons; NULL past the end. */
static const nl_rundata *run_at(const page *p, int64_t i)
{
    for (int64_t t = 0; t < comparisons(p); t++) {
        if (i < comparison(p, t)->runs_count)
            return comparison(p, t)->runs[i];
        i -= comparison(p, t)->runs_count;
    }
    return NULL;
}

static bool is_synthetic(const page *p)
{
    for (int64_t t = 0; t < comparisons(p); t++)
        if (comparison(p, t)->synthetic)
            return true;
    return false;
}

static void add_escaped(nl_text *out, const char *before, const char *text, const char *after)
{
    nl_text_add(out, "%s", before);
    nl_escape_html(out, text);
    nl_text_add(out, "%s", after);
}

/* Each line of a text as an element. */
static void add_lines(const char *before, const nl_text *lines, const char *after, nl_text *out)
{
    nl_text line = {0};
    for (const char *at = nl_text_of(lines); *at;) {
        const size_t n = strcspn(at, "\n");
        nl_text_clear(&line);
        nl_text_add_bytes(&line, at, n);
        add_escaped(out, before, nl_text_of(&line), after);
        at += n + (at[n] != 0);
    }
    nl_text_free(&line);
}

/* ---- What is said */

static void add_head(const page *p, nl_text *out)
{
    nl_text title = {0}, heading = {0};
    if (p->c) {
        nl_compare_title(p->c, &title);
        nl_compare_heading(p->c, &heading);
    } else {
        nl_study_title(p->s, &title);
        nl_study_heading(p->s, &heading);
    }
    nl_text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
                     "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    add_escaped(out, "<title>normlab: ", nl_text_of(&title), "</title>\n<style>");
    nl_text_add_bytes(out, nl_page_css, strlen(nl_page_css));
    nl_text_add(out, "</style>\n</head>\n<body>\n<main>\n");
    add_escaped(out, "<h1>", nl_text_of(&title), "</h1>\n");
    add_escaped(out, "<p class=\"sub\">", nl_text_of(&heading), "</p>\n");
    if (is_synthetic(p))
        nl_text_add(out, "<span class=\"tag\">SYNTHETIC DATA</span>\n");
    nl_text_free(&title);
    nl_text_free(&heading);
}

static void add_findings(const page *p, nl_text *out)
{
    nl_text findings = {0};
    if (p->c)
        nl_compare_findings(p->c, &findings);
    else
        nl_study_findings(p->s, &findings);
    nl_text_add(out, "<div class=\"findings\">\n");
    add_lines("<p>", &findings, "</p>\n", out);
    nl_text_add(out, "</div>\n");
    nl_text_free(&findings);
}

static void add_sheet(void *out, const nl_sheet *sheet) { nl_sheet_html(sheet, NULL, out); }

static void add_sheet_of_methods(void *out, const nl_sheet *sheet)
{
    nl_sheet_html(sheet, nl_figure_colour, out);
}

static void open_details(const char *summary, nl_text *out)
{
    add_escaped(out, "<details><summary>", summary, "</summary>\n");
}

static void close_details(nl_text *out) { nl_text_add(out, "</details>\n"); }

static void add_tables(const nl_compare *c, nl_text *out)
{
    for (int table = 0; table < NL_TABLE_COUNT; table++) {
        nl_sheet sheet = {0};
        nl_compare_sheet(c, table, &sheet);
        if (table == NL_TABLE_DETAIL)
            open_details("Other averages and tests", out);
        if (sheet.cells)
            add_sheet_of_methods(out, &sheet);
        if (table == NL_TABLE_DETAIL)
            close_details(out);
        nl_sheet_free(&sheet);
    }
}

/* What is said over all tasks first; the views are charts, too. */
static void add_study_tables(const nl_study *s, nl_text *out)
{
    nl_study_each(s, NL_TABLE_STANDINGS, add_sheet_of_methods, out);
    nl_study_each(s, NL_TABLE_PROFILES, add_sheet_of_methods, out);
    open_details("Scores task by task", out);
    nl_study_each(s, NL_TABLE_TASKS, add_sheet, out);
    close_details(out);
    if (!s->views)
        return;
    open_details("Sensitivity as tables", out);
    nl_study_each(s, NL_TABLE_VIEWS, add_sheet_of_methods, out);
    close_details(out);
}

static void add_notes(const page *p, nl_text *out)
{
    nl_text notes = {0};
    for (int64_t i = 0; p->c && nl_compare_note(p->c, i, &notes); i++)
        nl_text_add(&notes, "\n");
    if (!p->c)
        nl_study_notes(p->s, &notes);
    nl_text_add(out, "<ul class=\"notes\">\n");
    add_lines("<li>", &notes, "</li>\n", out);
    nl_text_add(out, "</ul>\n");
    nl_text_free(&notes);
}

static void add_fact(nl_text *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    add_escaped(out, "<tr><td>", name, "</td>");
    add_escaped(out, "<td><code>", value, "</code></td></tr>\n");
}

static bool said_before(const page *p, int64_t run, const char *name, const char *value)
{
    for (int64_t i = 0; i < run; i++)
        if (strcmp(nl_rundata_text(run_at(p, i), name, ""), value) == 0)
            return true;
    return false;
}

/* Every value an attribute has among the runs, once. */
static void add_attribute(const page *p, const char *name, nl_text *out)
{
    nl_text values = {0};
    const nl_rundata *run;
    for (int64_t i = 0; (run = run_at(p, i)) != NULL; i++) {
        const char *value = nl_rundata_text(run, name, "");
        if (value[0] && !said_before(p, i, name, value))
            nl_text_add(&values, "%s%s", values.used ? ", " : "", value);
    }
    add_fact(out, name, nl_text_of(&values));
    nl_text_free(&values);
}

static void add_facts(const page *p, nl_text *out)
{
    static const char *const names[] = {"data",
                                        "model",
                                        "norm",
                                        "optimizer",
                                        "seed",
                                        "train_examples",
                                        "val_examples",
                                        "test_examples",
                                        "data_checksum",
                                        "normlab_version",
                                        "numerics_version",
                                        "precision",
                                        "threads",
                                        "cpu",
                                        "cpu_variant",
                                        "compiler",
                                        "system"};
    nl_text common = {0};
    if (p->c)
        nl_compare_common(p->c, &common);
    nl_text_add(out, "<h2>What was compared</h2>\n<div class=\"wide\"><table class=\"facts\">\n");
    add_fact(out, "spec in common", nl_text_of(&common));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_attribute(p, names[i], out);
    nl_text_add(out, "</table></div>\n");
    nl_text_free(&common);
}

/* The papers of all that ran. */
static void add_citations(const page *p, nl_text *out)
{
    nl_text keys = {0}, entries = {0};
    const nl_rundata *run;
    for (int64_t i = 0; (run = run_at(p, i)) != NULL; i++)
        nl_bibtex_unite(nl_rundata_text(run, "cite", ""), &keys);
    nl_bibtex_entries(nl_text_of(&keys), &entries);
    if (keys.failed || entries.failed)
        out->failed = true;
    else if (entries.used)
        add_escaped(out, "<h2>What to cite</h2>\n<div class=\"wide\"><pre>", nl_text_of(&entries),
                    "</pre></div>\n");
    nl_text_free(&keys);
    nl_text_free(&entries);
}

/* ---- Drawings by gnuplot, where the build had no library for charts */

/* A panel for each method takes the whole width. */
static bool is_wide(const nl_chart *chart)
{
    return chart->shape == NL_BANDS || chart->shape == NL_RIDGES || chart->shape == NL_HEAT;
}

static nl_status draw_charts(const nl_charts *s, int64_t room, nl_figure *f, int64_t *count)
{
    *count = 0;
    for (int64_t i = 0; i < s->count && *count < room; i++) {
        nl_look look = {.width = is_wide(&s->at[i]) ? 1180 : 390, .font = NL_PAGE_LETTERS};
        nl_draw_fit(s, &s->at[i], &look);
        f[i].width = look.width;
        f[i].height = look.height;
        nl_draw_label(s, &s->at[i], &f[i].label);
        NL_TRY(nl_draw(s, &s->at[i], &look, &f[i].program));
        (*count)++;
    }
    NL_TRY(nl_figures_draw(f, *count));
    return NL_OK;
}

static void add_caption(const nl_chart *chart, nl_text *out)
{
    nl_text caption = {0};
    nl_chart_add_title(chart, &caption);
    if (chart->is->note)
        nl_text_add(&caption, " (%s)", chart->is->note);
    add_escaped(out, "<figcaption>", nl_text_of(&caption), "</figcaption>");
    nl_text_free(&caption);
}

static void add_figures(const nl_charts *s, const nl_figure *f, int64_t count, nl_text *out)
{
    const char *section = "";
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(section, s->at[i].is->section) != 0)
            add_escaped(out,
                        section[0] ? "</section>\n<section class=\"charts\"><h2>"
                                   : "<section class=\"charts\"><h2>",
                        s->at[i].is->section, "</h2>\n");
        section = s->at[i].is->section;
        nl_text_add(out, is_wide(&s->at[i]) ? "<figure class=\"bands\">" : "<figure>");
        add_caption(&s->at[i], out);
        nl_text_add(out, "%s</figure>\n", nl_text_of(&f[i].svg));
    }
    nl_text_add(out, count ? "</section>\n" : "");
}

static nl_status add_drawings(const page *p, nl_text *out)
{
    nl_status st = NL_OK;
    for (int64_t k = 0; st == NL_OK && k < p->count; k++) {
        int64_t count = 0;
        nl_figure *f = nl_alloc(FIGURES_MAX, sizeof *f);
        if (!f)
            return nl_fail(NL_ENOMEM, "report");
        if (draw_charts(&p->charts[k], FIGURES_MAX, f, &count) != NL_OK)
            add_escaped(out, "<p><strong>No figures: ", nl_last_error(), ".</strong></p>\n");
        else {
            if (!p->c && k > 0)
                add_escaped(out, "<h2>", nl_text_of(&p->s->task[k - 1].label), "</h2>\n");
            add_figures(&p->charts[k], f, count, out);
        }
        for (int64_t i = 0; i < FIGURES_MAX; i++)
            nl_figure_free(&f[i]);
        nl_free(f);
    }
    return st;
}

/* ---- Charts that page.js draws */

static void add_script(nl_text *out, const char *kind, const char *text)
{
    nl_text_add(out, "<script%s>", kind);
    nl_text_add_bytes(out, text, strlen(text));
    nl_text_add(out, "</script>\n");
}

static nl_status add_charts(const page *p, nl_text *out)
{
    nl_text data = {0};
    const nl_status st = nl_pagedata_add(p->charts, p->count, p->published, &data);
    nl_text_add(out, "<form id=\"filters\" aria-label=\"What is shown\"></form>\n"
                     "<div id=\"charts\"></div>\n"
                     "<noscript><p><strong>Charts need JavaScript.</strong></p></noscript>\n");
    add_script(out, " id=\"data\" type=\"application/json\"", nl_text_of(&data));
    add_script(out, "", nl_page_libraries);
    nl_text_free(&data);
    return st;
}

/* ---- The page */

static nl_status find_charts(page *p)
{
    p->charts = nl_alloc((size_t)comparisons(p) + 1, sizeof *p->charts);
    if (!p->charts)
        return nl_fail(NL_ENOMEM, "report");
    if (!p->c)
        NL_TRY(nl_charts_find_views(&p->charts[p->count++], p->s));
    for (int64_t t = 0; t < comparisons(p); t++)
        NL_TRY(nl_charts_find(&p->charts[p->count++], comparison(p, t)));
    return NL_OK;
}

nl_pictures nl_report_pictures(void) { return nl_page_libraries[0] ? NL_CHARTS : NL_DRAWINGS; }

static nl_status write_page(page *p, nl_pictures pictures, nl_text *out)
{
    nl_status st = NL_OK;
    NL_GO(find_charts(p));
    add_head(p, out);
    add_findings(p, out);
    if (p->c)
        add_tables(p->c, out);
    else
        add_study_tables(p->s, out);
    add_notes(p, out);
    if (p->published)
        nl_published_html(p->published, out);
    NL_GO((pictures == NL_CHARTS ? add_charts : add_drawings)(p, out));
    add_facts(p, out);
    add_citations(p, out);
    nl_text_add(out, "</main>\n");
    if (pictures == NL_CHARTS)
        add_script(out, "", nl_page_js);
    nl_text_add(out, "</body>\n</html>\n");
    NL_GO(nl_text_status(out));
done:
    for (int64_t k = 0; k < p->count; k++)
        nl_charts_free(&p->charts[k]);
    nl_free(p->charts);
    return st;
}

nl_status nl_report_page(const nl_compare *c, const nl_published *published, nl_pictures pictures,
                         nl_text *out)
{
    page p = {.c = c, .published = published};
    NL_TRY(write_page(&p, pictures, out));
    return NL_OK;
}

nl_status nl_report_study_page(const nl_study *s, nl_pictures pictures, nl_text *out)
{
    page p = {.c = s->tasks == 1 ? s->task[0].compare : NULL, .s = s};
    NL_TRY(write_page(&p, pictures, out));
    return NL_OK;
}

static nl_status write_file(nl_status made, nl_text *text, const char *path)
{
    const nl_status st = made == NL_OK ? nl_file_replace(path, nl_text_of(text), text->used) : made;
    nl_text_free(text);
    return st;
}

nl_status nl_report_write(const nl_compare *c, const nl_published *published, const char *path)
{
    nl_text out = {0};
    const nl_status made = nl_report_page(c, published, nl_report_pictures(), &out);
    NL_TRY(write_file(made, &out, path));
    return NL_OK;
}

nl_status nl_report_study_write(const nl_study *s, const char *path)
{
    nl_text out = {0};
    const nl_status made = nl_report_study_page(s, nl_report_pictures(), &out);
    NL_TRY(write_file(made, &out, path));
    return NL_OK;
}
