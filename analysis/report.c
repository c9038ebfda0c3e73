#include "analysis/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/assets.h"
#include "analysis/charts.h"
#include "analysis/escape.h"
#include "analysis/figure.h"
#include "analysis/heatmap.h"
#include "base/alloc.h"
#include "base/bibtex.h"

enum { CURVE_POINTS = 300, PANEL_POINTS = 120, PERCENTILES = 7, FIGURES_MAX = 512 };

/* ---- Curves: binned over steps, averaged over seeds */

typedef struct bins {
    int64_t count;
    double width, step[CURVE_POINTS], mean[CURVE_POINTS], low[CURVE_POINTS], high[CURVE_POINTS];
    int64_t seeds[CURVE_POINTS];
} bins;

static void add_run_to_bins(bins *b, const nl_track *step, const nl_track *value)
{
    double sum[CURVE_POINTS] = {0};
    int64_t n[CURVE_POINTS] = {0};
    for (int64_t i = 0; i < value->rows && i < step->rows; i++) {
        const int64_t at = (int64_t)((step->at[i] - 1e-9) / b->width);
        if (at < 0 || at >= b->count || !isfinite(value->at[i]))
            continue;
        sum[at] += value->at[i];
        n[at]++;
    }
    for (int64_t k = 0; k < b->count; k++) {
        if (!n[k])
            continue;
        const double v = sum[k] / (double)n[k];
        b->low[k] = b->seeds[k] ? fmin(b->low[k], v) : v;
        b->high[k] = b->seeds[k] ? fmax(b->high[k], v) : v;
        b->mean[k] += (v - b->mean[k]) / (double)++b->seeds[k];
    }
}

static void bin_method(const nl_method *m, const char *folder, const char *key, bins *b)
{
    double last = 0;
    int64_t most = 1;
    *b = (bins){0};
    for (int64_t i = 0; i < m->count; i++) {
        const nl_track *step = nl_rundata_track(m->runs[i], "/%s/step", folder);
        if (!step)
            continue;
        last = fmax(last, step->at[step->rows - 1]);
        most = step->rows > most ? step->rows : most;
    }
    b->count = most < CURVE_POINTS ? most : CURVE_POINTS;
    b->width = (last > 0 ? last : 1) / (double)b->count;
    for (int64_t k = 0; k < b->count; k++)
        b->step[k] = ((double)k + (most > CURVE_POINTS ? 0.5 : 1)) * b->width;
    for (int64_t i = 0; i < m->count; i++) {
        const nl_track *step = nl_rundata_track(m->runs[i], "/%s/step", folder);
        const nl_track *value = nl_rundata_track(m->runs[i], "/%s/%s", folder, key);
        if (step && value)
            add_run_to_bins(b, step, value);
    }
}

static void plot_method(const nl_compare *c, int64_t i, nl_text *data, nl_text *bands,
                        nl_text *lines)
{
    const char *gap = lines->used ? ", " : "";
    nl_text_add(data, "EOD\n");
    nl_text_add(bands, "%s$d%" PRId64 " u 1:3:4 w filledcurves lc rgb '%s' notitle",
                bands->used ? ", " : "", i, nl_figure_colour(i));
    nl_text_add(lines, "%s$d%" PRId64 " u 1:2 w l lw %s dt %d lc rgb '%s' title ", gap, i,
                i == c->baseline ? "2.4" : "1.8", 1 + (int)(i / 7), nl_figure_colour(i));
    nl_escape_gnuplot(lines, c->methods[i].label);
}

/* One curve a method with the band of its seeds. */
static nl_status draw_curves(const nl_compare *c, const char *folder, const char *key, double scale,
                             const char *settings, nl_text *out, bool *any)
{
    nl_text bands = {0}, lines = {0};
    bins *b = nl_alloc(1, sizeof *b);
    if (!b)
        return nl_fail(NL_ENOMEM, "report: curves");
    for (int64_t i = 0; i < c->count; i++) {
        bool some = false;
        bin_method(&c->methods[i], folder, key, b);
        for (int64_t k = 0; k < b->count; k++) {
            if (!b->seeds[k])
                continue;
            if (!some)
                nl_text_add(out, "$d%" PRId64 " << EOD\n", i);
            some = true;
            nl_text_add(out, "%.6g %.5g %.5g %.5g\n", b->step[k], scale * b->mean[k],
                        scale * b->low[k], scale * b->high[k]);
        }
        if (some)
            plot_method(c, i, out, &bands, &lines);
    }
    *any = lines.used > 0;
    nl_text_add(out, "%s\nset xlabel 'step'\nplot %s, %s\n", settings, nl_text_of(&bands),
                nl_text_of(&lines));
    nl_text_free(&bands);
    nl_text_free(&lines);
    nl_free(b);
    return nl_text_status(out);
}

/* ---- Activation percentiles of one place of one run: 5-95 and 15-85 as bands, 50 as a line */

static const nl_track *percentiles_of(const nl_rundata *run, const char *place)
{
    const nl_track *p = nl_rundata_track(run, "/layers/%s/post/percentiles", place);
    return p && p->width == PERCENTILES ? p : NULL;
}

/* All methods share the ordinate, or their panels could not be compared. */
static void range_of_place(const nl_compare *c, const char *place, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < c->count; i++) {
        const nl_track *p = percentiles_of(c->methods[i].runs[0], place);
        for (int64_t k = 0; p && k < p->rows; k++) {
            *low = fmin(*low, p->at[PERCENTILES * k + 1]);
            *high = fmax(*high, p->at[PERCENTILES * k + 5]);
        }
    }
}

/* 1, 2 or 5 times a power of ten, so that a small panel has three to five tics. */
static double tic_step(double span)
{
    const double unit = pow(10, floor(log10(span / 3)));
    const double share = span / 3 / unit;
    return unit * (share >= 5 ? 5 : share >= 2 ? 2 : 1);
}

static bool draw_percentiles(const nl_compare *c, int64_t method, const char *place, int points,
                             nl_text *out)
{
    const nl_rundata *run = c->methods[method].runs[0];
    const nl_track *p = percentiles_of(run, place), *step = nl_rundata_track(run, "/layers/step");
    const char *colour = nl_figure_colour(method);
    double low, high;
    if (!p || !step || step->rows < p->rows)
        return false;
    nl_text_add(out, "$p << EOD\n");
    const int64_t stride = (p->rows + points - 1) / points;
    for (int64_t k = 0; k < p->rows; k += stride) {
        const double *at = p->at + PERCENTILES * k;
        if (isfinite(at[3]))
            nl_text_add(out, "%.6g %.4g %.4g %.4g %.4g %.4g\n", step->at[k], at[1], at[2], at[3],
                        at[4], at[5]);
    }
    range_of_place(c, place, &low, &high);
    nl_text_add(out, "EOD\n");
    if (low < high)
        nl_text_add(out, "set yrange [%.5g:%.5g]\n", low, high);
    nl_text_add(out,
                "unset key\nset xtics %g\nset ytics %g\n"
                "plot $p u 1:2:6 w filledcurves fs transparent solid 0.16 lc rgb '%s', "
                "$p u 1:3:5 w filledcurves fs transparent solid 0.28 lc rgb '%s', "
                "$p u 1:4 w l lw 2 lc rgb '%s'\n",
                tic_step(step->at[p->rows - 1]), tic_step(low < high ? high - low : 1), colour,
                colour, colour);
    return true;
}

static const char *last_hidden_place(const nl_rundata *run)
{
    const char *place, *best = NULL;
    for (int64_t i = 0; (place = nl_rundata_place(run, i)) != NULL; i++)
        if (!best || strncmp(place, "out/", 4) != 0)
            best = place;
    return best;
}

/* ---- The page */

typedef struct page {
    const nl_compare *c;
    nl_figure *figures;
    int64_t count;
    int64_t loss, score, hidden, layers, heat; /* first figure of each part; -1: none */
} page;

static nl_figure *new_figure(page *p, int width, int height)
{
    nl_figure *f = &p->figures[p->count];
    f->width = width;
    f->height = height;
    return f;
}

static nl_status plan_curves(page *p)
{
    const nl_compare *c = p->c;
    bool any;
    nl_figure *f = new_figure(p, 960, 400);
    nl_text_add(&f->label, "Training loss by step, one curve for each method");
    NL_TRY(draw_curves(c, "steps", "loss", 1,
                       "set logscale y\nset ylabel 'training loss'\nset key outside right top "
                       "samplen 2\nset format y '%g'",
                       &f->program, &any));
    p->loss = any ? p->count++ : -1;
    if (!any)
        nl_figure_free(f);
    f = new_figure(p, 960, 380);
    nl_text settings = {0};
    nl_text_add(&f->label, "%s by step, one curve for each method", c->score->title);
    nl_text_add(&settings, "set key outside right top samplen 2\nset ylabel '%s'\n",
                c->score->title);
    if (!isnan(c->target))
        nl_text_add(&settings,
                    "set arrow from graph 0, first %g to graph 1, first %g nohead dt 3 "
                    "lc rgb '#888888'\n",
                    100 * c->target, 100 * c->target);
    const nl_status st = draw_curves(c, "evals", c->score->key, c->score->scale,
                                     nl_text_of(&settings), &f->program, &any);
    nl_text_free(&settings);
    p->score = any ? p->count++ : -1;
    if (!any)
        nl_figure_free(f);
    return st;
}

static void plan_percentiles(page *p, const char *place, int width, int height, int points)
{
    for (int64_t i = 0; i < p->c->count && p->count < FIGURES_MAX; i++) {
        nl_figure *f = new_figure(p, width, height);
        nl_text_add(&f->label, "Percentiles 5, 15, 50, 85 and 95 of %s with %s over training",
                    place, p->c->methods[i].label);
        if (draw_percentiles(p->c, i, place, points, &f->program))
            p->count++;
        else
            nl_figure_free(f);
    }
}

static const nl_track *rows_of_layers(const nl_rundata *run)
{
    return nl_rundata_track(run, "/layers/step");
}

/* What a method has of a quantity of a recurrent layer, or NULL. */
static const nl_track *heat_of(const page *p, int64_t method, const nl_heat *h, const char *layer)
{
    const nl_rundata *run = p->c->methods[method].runs[0];
    const nl_track *values = nl_heat_track(h, run, layer), *step = rows_of_layers(run);
    return values && step && step->rows >= values->rows ? values : NULL;
}

/* Panels, one a method, in the same colours. */
static nl_status plan_heat(page *p, const nl_heat *h, const char *layer)
{
    double low, high;
    const nl_track **all = nl_alloc((size_t)p->c->count, sizeof *all);
    int64_t count = 0;
    if (!all)
        return nl_fail(NL_ENOMEM, "report: heat maps");
    for (int64_t i = 0; i < p->c->count; i++)
        if ((all[count] = heat_of(p, i, h, layer)))
            count++;
    const nl_status st = nl_heat_range(h, all, count, &low, &high);
    for (int64_t i = 0; st == NL_OK && i < p->c->count && p->count < FIGURES_MAX; i++) {
        const nl_track *values = heat_of(p, i, h, layer);
        if (!values)
            continue;
        nl_figure *f = new_figure(p, 360, 250);
        nl_text_add(&f->label, "%s of %s with %s, over training and the sequence", h->title, layer,
                    p->c->methods[i].label);
        nl_heat_draw(h, values, rows_of_layers(p->c->methods[i].runs[0]), low, high, &f->program);
        p->count++;
    }
    nl_free(all);
    return st;
}

/* Methods without data at a place have no panel, so each panel names its own; see add_panels. */
static nl_status plan(page *p)
{
    const nl_rundata *first = p->c->runs[0];
    const char *hidden = last_hidden_place(first), *place;
    NL_TRY(plan_curves(p));
    p->hidden = p->count;
    if (hidden)
        plan_percentiles(p, hidden, 340, 230, CURVE_POINTS);
    p->layers = p->count;
    for (int64_t i = 0; (place = nl_rundata_place(first, i)) != NULL; i++)
        plan_percentiles(p, place, 230, 160, PANEL_POINTS);
    p->heat = p->count;
    for (int64_t i = 0; (place = nl_rundata_recurrent(first, i)) != NULL; i++)
        for (int k = 0; nl_heat_at(k); k++)
            NL_TRY(plan_heat(p, nl_heat_at(k), place));
    return NL_OK;
}

static void add_escaped(nl_text *out, const char *before, const char *text, const char *after)
{
    nl_text_add(out, "%s", before);
    nl_escape_html(out, text);
    nl_text_add(out, "%s", after);
}

static void add_cell(const nl_compare *c, nl_table table, int64_t row, int64_t col, nl_text *out)
{
    const char *tag = row < 0 ? "th" : "td";
    nl_text cell = {0};
    nl_compare_cell(c, table, row, col, &cell);
    const char *is = nl_text_of(&cell);
    const bool marked = strcmp(is, "better") == 0 || strcmp(is, "worse") == 0;
    nl_text_add(out, "<%s%s%s%s>", tag, marked ? " class=\"" : "", marked ? is : "",
                marked    ? "\""
                : row < 0 ? " scope=\"col\""
                          : "");
    if (row >= 0 && col == 0)
        nl_text_add(out, "<span class=\"dot\" style=\"background:%s\"></span>",
                    nl_figure_colour(row));
    nl_escape_html(out, is);
    nl_text_add(out, "</%s>", tag);
    nl_text_free(&cell);
}

static void add_table(const nl_compare *c, nl_table table, nl_text *out)
{
    nl_text_add(out, "<div class=\"wide\"><table>\n");
    for (int64_t row = -1; row < c->count; row++) {
        nl_text_add(out, "<tr>");
        for (int64_t col = 0; col < nl_compare_columns(c, table); col++)
            add_cell(c, table, row, col, out);
        nl_text_add(out, "</tr>\n");
    }
    nl_text_add(out, "</table></div>\n");
}

static void add_notes(const nl_compare *c, nl_text *out)
{
    nl_text note = {0};
    nl_text_add(out, "<ul>\n");
    for (int64_t i = 0; nl_compare_note(c, i, &note); i++) {
        add_escaped(out, "<li>", nl_text_of(&note), "</li>\n");
        nl_text_clear(&note);
    }
    nl_text_add(out, "</ul>\n");
    nl_text_free(&note);
}

static void add_fact(nl_text *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    add_escaped(out, "<tr><td>", name, "</td>");
    add_escaped(out, "<td><code>", value, "</code></td></tr>\n");
}

static bool said_before(const nl_compare *c, int64_t run, const char *name, const char *value)
{
    for (int64_t i = 0; i < run; i++)
        if (strcmp(nl_rundata_text(c->runs[i], name, ""), value) == 0)
            return true;
    return false;
}

/* Every value an attribute has among the runs, once. */
static void add_attribute(const nl_compare *c, const char *name, nl_text *out)
{
    nl_text values = {0};
    for (int64_t i = 0; i < c->runs_count; i++) {
        const char *value = nl_rundata_text(c->runs[i], name, "");
        if (value[0] && !said_before(c, i, name, value))
            nl_text_add(&values, "%s%s", values.used ? ", " : "", value);
    }
    add_fact(out, name, nl_text_of(&values));
    nl_text_free(&values);
}

static void add_facts(const nl_compare *c, nl_text *out)
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
    nl_compare_common(c, &common);
    nl_text_add(out, "<h2>What was compared</h2>\n<div class=\"wide\"><table class=\"facts\">\n");
    add_fact(out, "spec in common", nl_text_of(&common));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_attribute(c, names[i], out);
    nl_text_add(out, "</table></div>\n");
    nl_text_free(&common);
}

/* The papers of all models and methods that ran. */
static void add_citations(const nl_compare *c, nl_text *out)
{
    nl_text keys = {0}, entries = {0};
    for (int64_t i = 0; i < c->runs_count; i++)
        nl_bibtex_unite(nl_rundata_text(c->runs[i], "cite", ""), &keys);
    nl_bibtex_entries(nl_text_of(&keys), &entries);
    if (keys.failed || entries.failed)
        out->failed = true;
    else if (entries.used)
        add_escaped(out, "<h2>What to cite</h2>\n<div class=\"wide\"><pre>", nl_text_of(&entries),
                    "</pre></div>\n");
    nl_text_free(&keys);
    nl_text_free(&entries);
}

static void add_figure(const nl_figure *f, const char *caption, nl_text *out)
{
    nl_text_add(out, "<figure>%s", nl_text_of(&f->svg));
    add_escaped(out, "<figcaption>", caption, "</figcaption></figure>\n");
}

/* Panels are in the order of the methods that have data there. */
static int64_t add_panels(const page *p, int64_t figure, const char *place, const char *class,
                          nl_text *out)
{
    nl_text_add(out, "<div class=\"%s\">\n", class);
    for (int64_t i = 0; i < p->c->count && figure < p->count; i++) {
        const nl_rundata *run = p->c->methods[i].runs[0];
        const nl_track *step = nl_rundata_track(run, "/layers/step");
        const nl_track *at = percentiles_of(run, place);
        if (at && step && step->rows >= at->rows)
            add_figure(&p->figures[figure++], p->c->methods[i].label, out);
    }
    nl_text_add(out, "</div>\n");
    return figure;
}

static void add_activations(const page *p, nl_text *out)
{
    const nl_rundata *first = p->c->runs[0];
    const char *hidden = last_hidden_place(first), *place;
    if (!hidden || p->layers == p->hidden)
        return;
    add_escaped(out, "<h2>Activations of ", hidden, " over training</h2>\n");
    nl_text_add(out,
                "<p class=\"sub\">After the normalization: median, 15-85 %% (dark) and 5-95 %% "
                "(light), as in figure 1 of Ioffe and Szegedy 2015. The run with the smallest "
                "seed of each method; one ordinate for all.</p>\n");
    add_panels(p, p->hidden, hidden, "grid", out);
    nl_text_add(out, "<h2>Activations of every layer</h2>\n");
    int64_t figure = p->layers;
    for (int64_t i = 0; (place = nl_rundata_place(first, i)) != NULL; i++) {
        add_escaped(out, "<h3>", place, "</h3>\n");
        figure = add_panels(p, figure, place, "grid small", out);
    }
}

static int64_t add_heat(const page *p, int64_t figure, const nl_heat *h, const char *layer,
                        nl_text *out)
{
    add_escaped(out, "<h3>", layer, ": ");
    add_escaped(out, "", h->title, "</h3>\n<div class=\"grid\">\n");
    for (int64_t i = 0; i < p->c->count && figure < p->count; i++)
        if (heat_of(p, i, h, layer))
            add_figure(&p->figures[figure++], p->c->methods[i].label, out);
    nl_text_add(out, "</div>\n");
    return figure;
}

static void add_steps(const page *p, nl_text *out)
{
    const char *layer;
    int64_t figure = p->heat;
    if (p->heat == p->count)
        return;
    nl_text_add(out, "<h2>Recurrent layers step by step</h2>\n<p class=\"sub\">Training to the "
                     "right, the position in the sequence upwards. The run with the smallest seed "
                     "of each method; one scale of colours for all.</p>\n");
    for (int64_t i = 0; (layer = nl_rundata_recurrent(p->c->runs[0], i)) != NULL; i++)
        for (int k = 0; nl_heat_at(k); k++)
            figure = add_heat(p, figure, nl_heat_at(k), layer, out);
}

static void add_figures(const page *p, nl_text *out)
{
    if (p->loss >= 0) {
        nl_text_add(out, "<h2>Training loss</h2>\n");
        add_figure(
            &p->figures[p->loss],
            "Mean over seeds of the loss averaged over bins of steps; the band spans all seeds. "
            "Logarithmic ordinate.",
            out);
    }
    if (p->score >= 0) {
        add_escaped(out, "<h2>", p->c->score->title, " over steps</h2>\n");
        add_figure(&p->figures[p->score],
                   isnan(p->c->target)
                       ? "Mean over seeds; the band spans all seeds."
                       : "Mean over seeds; the band spans all seeds. Dotted: the target.",
                   out);
    }
    add_activations(p, out);
    add_steps(p, out);
}

static void add_head(const nl_compare *c, nl_text *out)
{
    nl_text heading = {0};
    nl_compare_heading(c, &heading);
    nl_text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
                     "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    add_escaped(out, "<title>normlab: ", nl_text_of(&heading), "</title>\n<style>");
    nl_text_add_bytes(out, nl_page_css, strlen(nl_page_css));
    nl_text_add(out, "</style>\n</head>\n<body>\n<main>\n"
                     "<h1>Normalization methods compared</h1>\n");
    add_escaped(out, "<p class=\"sub\">", nl_text_of(&heading), "</p>\n");
    if (c->synthetic)
        nl_text_add(out, "<span class=\"tag\">SYNTHETIC DATA</span>\n");
    nl_text_free(&heading);
}

/* ---- Drawings by gnuplot, where the build had no library for charts */

static nl_status add_drawings(const nl_compare *c, nl_text *out)
{
    page p = {.c = c};
    nl_status st = NL_OK;
    if (!(p.figures = nl_alloc(FIGURES_MAX + 1, sizeof *p.figures)))
        return nl_fail(NL_ENOMEM, "report");
    NL_GO(plan(&p));
    if (nl_figures_draw(p.figures, p.count) == NL_OK)
        add_figures(&p, out);
    else
        add_escaped(out, "<p><strong>No figures: ", nl_last_error(), ".</strong></p>\n");
done:
    for (int64_t i = 0; i < p.count; i++)
        nl_figure_free(&p.figures[i]);
    nl_free(p.figures);
    return st;
}

/* ---- Charts that page.js draws */

static void add_script(nl_text *out, const char *kind, const char *text)
{
    nl_text_add(out, "<script%s>", kind);
    nl_text_add_bytes(out, text, strlen(text));
    nl_text_add(out, "</script>\n");
}

static void add_charts(const nl_compare *c, const nl_published *published, nl_text *out)
{
    nl_text data = {0};
    nl_charts_json(c, published, &data);
    nl_text_add(out, "<form id=\"filters\" aria-label=\"What is shown\"></form>\n"
                     "<div id=\"charts\"></div>\n"
                     "<noscript><p><strong>Charts need JavaScript.</strong></p></noscript>\n");
    add_script(out, " id=\"data\" type=\"application/json\"", nl_text_of(&data));
    add_script(out, "", nl_page_libraries);
    nl_text_free(&data);
}

nl_pictures nl_report_pictures(void) { return nl_page_libraries[0] ? NL_CHARTS : NL_DRAWINGS; }

nl_status nl_report_page(const nl_compare *c, const nl_published *published, nl_pictures pictures,
                         nl_text *out)
{
    const bool charts = pictures == NL_CHARTS;
    add_head(c, out);
    for (int table = 0; table < NL_TABLE_COUNT; table++)
        if (nl_compare_columns(c, table))
            add_table(c, table, out);
    add_notes(c, out);
    if (published)
        nl_published_html(published, out);
    if (charts)
        add_charts(c, published, out);
    else
        NL_TRY(add_drawings(c, out));
    add_facts(c, out);
    add_citations(c, out);
    nl_text_add(out, "</main>\n");
    if (charts)
        add_script(out, "", nl_page_js);
    nl_text_add(out, "</body>\n</html>\n");
    return nl_text_status(out);
}

nl_status nl_report_write(const nl_compare *c, const nl_published *published, const char *path)
{
    nl_text out = {0};
    nl_status st = nl_report_page(c, published, nl_report_pictures(), &out);
    FILE *file = st == NL_OK ? fopen(path, "w") : NULL;
    if (st == NL_OK && !file)
        st = nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    if (file) {
        const bool whole = fwrite(nl_text_of(&out), 1, out.used, file) == out.used;
        if (fclose(file) != 0 || !whole)
            st = nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    }
    nl_text_free(&out);
    return st;
}
