#include "analysis/draw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/escape.h"
#include "analysis/figure.h"
#include "analysis/series.h"
#include "base/alloc.h"

enum { TICS = 4, LEAST = -999 /* the logarithm of 0 */ };

/* In letters' sizes. */
static const double panel_least = 13, panel_height = 11, margin_left = 4.4, margin_right = 2.4,
                    margin_bottom = 3.2, margin_top = 2, panel_gap = 3, tics_height = 2.8,
                    colours_width = 7;

/* ---- Methods */

static int64_t methods_of(const nl_charts *s) { return s->c ? s->c->count : s->study->methods; }

static const char *label_of(const nl_charts *s, int64_t m)
{
    return s->c ? s->c->methods[m].label : s->study->method[m].label;
}

static bool is_baseline(const nl_charts *s, int64_t m)
{
    return m == (s->c ? s->c->baseline : s->study->baseline);
}

static int64_t first_run(const nl_compare *c, int64_t m)
{
    int64_t r = 0;
    for (int64_t i = 0; i < m; i++)
        r += c->methods[i].count;
    return r;
}

/* The run of a panel: the smallest seed that logged the channel; -1: none did. */
static int64_t run_of_panel(const nl_charts *s, const nl_chart *chart, int64_t m)
{
    const int64_t first = first_run(s->c, m);
    for (int64_t r = first; r < first + s->c->methods[m].count; r++)
        if (chart->value[r])
            return r;
    return -1;
}

static int64_t panels_of(const nl_charts *s, const nl_chart *chart)
{
    int64_t panels = 0;
    for (int64_t m = 0; m < s->c->count; m++)
        panels += run_of_panel(s, chart, m) >= 0;
    return panels;
}

/* ---- Sizes */

static bool has_panels(const nl_chart *chart)
{
    return chart->shape == NL_BANDS || chart->shape == NL_HEAT || chart->shape == NL_RIDGES;
}

static int64_t columns_of(const nl_charts *s, const nl_chart *chart, const nl_look *look)
{
    const int64_t panels = panels_of(s, chart);
    const int64_t fit = (int64_t)(look->width / (panel_least * look->font));
    if (panels < 2)
        return 1;
    const int64_t most = fit < 1 ? 1 : fit < panels ? fit : panels;
    const int64_t rows = (panels + most - 1) / most;
    return (panels + rows - 1) / rows; /* no row of one panel below a full one */
}

static int64_t rows_of(const nl_charts *s, const nl_chart *chart, const nl_look *look)
{
    const int64_t columns = columns_of(s, chart, look);
    return (panels_of(s, chart) + columns - 1) / columns;
}

void nl_draw_fit(const nl_charts *s, const nl_chart *chart, nl_look *look)
{
    const double rows = (double)methods_of(s);
    if (look->height > 0)
        return;
    if (chart->shape == NL_FOREST)
        look->height = look->font * (1.7 * rows + 4);
    else if (has_panels(chart))
        look->height =
            look->font * ((panel_height + margin_top) * (double)rows_of(s, chart, look) +
                          tics_height * (double)(rows_of(s, chart, look) - 1) + margin_bottom);
    else
        look->height = 0.62 * look->width;
}

/* ---- Parts of programs */

/* 1, 2 or 5 times a power of ten, so that the span has at most so many. */
static double tic_step(double span, double most)
{
    const double least = span > 0 ? span / fmax(most, 1) : 1, unit = pow(10, floor(log10(least)));
    const double share = least / unit * (1 - 1e-9);
    return unit * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

/* Tics that a length has room for, labels of so many letters apart. */
static double tics_on(double points, const nl_look *look, double letters)
{
    return points / (letters * look->font);
}

static void add_label(nl_text *out, const char *command, const char *text)
{
    nl_text_add(out, "%s ", command);
    nl_escape_gnuplot(out, text);
    nl_text_add(out, "\n");
}

/* Curves of methods: the baseline stronger, dashes where colours come again. */
static void add_style(const nl_charts *s, int64_t m, nl_text *out)
{
    nl_text_add(out, " lw %s dt %d lc rgb '%s'", is_baseline(s, m) ? "2" : "1.5", 1 + (int)(m / 7),
                nl_figure_colour(m));
}

static void add_title(const nl_charts *s, int64_t m, nl_text *out)
{
    nl_text_add(out, " title ");
    nl_escape_gnuplot(out, label_of(s, m));
}

static double last_step(const nl_charts *s, const nl_chart *chart)
{
    double last = 0;
    for (int64_t r = 0; r < s->c->runs_count; r++)
        if (chart->value[r])
            last = fmax(last, chart->step[r]->at[chart->step[r]->rows - 1]);
    return last;
}

/* Shares end at 100 %, logarithmic ordinates where data do. A long title would not fit beside. */
static void add_axes(const nl_chart *chart, nl_text *out)
{
    enum { LONG = 20 };
    const char *title = strlen(chart->is->title) > LONG ? chart->is->name : chart->is->title;
    add_label(out, "set ylabel offset 1,0", chart->unit[0] ? chart->unit : title);
    nl_text_add(
        out,
        "set key above center Left reverse samplen 1 width -1 spacing 1.1 maxrows 3\nset format y "
        "'%%g'\n%s%s",
        chart->is->logarithmic ? "set logscale y\nset autoscale yfix\n" : "",
        strchr(chart->unit, '%') ? "set yrange [*:*<100]\n" : "");
}

/* As many as half the height has room for; the rest is the key and the abscissa's. */
static void add_ordinate_tics(double low, double high, const nl_look *look, nl_text *out)
{
    nl_text_add(out, "set ytics %g\n", tic_step(high - low, tics_on(look->height / 2, look, 2)));
}

/* 1, 2 and 5 times powers of ten; over more than three decades, the powers alone. */
static void add_logarithmic_tics(double low, double high, nl_text *out)
{
    static const double parts[] = {1, 2, 5};
    const int many = high / low > 1e3 ? 1 : 3;
    const char *gap = "set ytics (";
    for (double power = pow(10, floor(log10(low))); power <= high; power *= 10)
        for (int k = 0; k < many; k++)
            if (parts[k] * power >= low && parts[k] * power <= high) {
                nl_text_add(out, "%s%.6g", gap, parts[k] * power);
                gap = ", ";
            }
    nl_text_add(out, gap[0] == ',' ? ")\n" : "");
}

static void add_line_across(double ref, bool upright, nl_text *out)
{
    if (!isfinite(ref))
        return;
    if (upright)
        nl_text_add(out, "set arrow from first %g, graph 0 to first %g, graph 1", ref, ref);
    else
        nl_text_add(out, "set arrow from graph 0, first %g to graph 1, first %g", ref, ref);
    nl_text_add(out, " nohead dt 3 lc rgb '#888888'\n");
}

/* ---- Curves */

typedef struct range {
    double low, high;
} range;

static nl_status add_curve_data(const nl_charts *s, const nl_chart *chart, int64_t m, nl_text *out,
                                bool *some, range *seen)
{
    nl_status st = NL_OK;
    const int64_t first = first_run(s->c, m), runs = s->c->methods[m].count;
    nl_series *series = nl_alloc((size_t)runs, sizeof *series);
    double *y = nl_alloc((size_t)runs, sizeof *y);
    int64_t longest = 0;
    *some = false;
    if (!series || !y)
        NL_BAIL(NL_ENOMEM, "figure of %lld runs", (long long)runs);
    for (int64_t r = 0; r < runs; r++) {
        NL_GO(nl_series_take(&series[r], s, chart, first + r));
        if (series[r].points > series[longest].points)
            longest = r;
    }
    for (int64_t i = 0; i < series[longest].points; i++) {
        int64_t n = 0;
        for (int64_t r = 0; r < runs; r++)
            if (i < series[r].points)
                y[n++] = series[r].y[i];
        const nl_band b = nl_band_of(y, n, chart->is->logarithmic, s->c->level);
        if (isnan(b.mean))
            continue;
        if (!*some)
            nl_text_add(out, "$d%" PRId64 " << EOD\n", m);
        *some = true;
        seen->low = fmin(seen->low, b.low);
        seen->high = fmax(seen->high, b.high);
        nl_text_add(out, "%.6g %.5g %.5g %.5g\n", series[longest].x[i], b.mean, b.low, b.high);
    }
    if (*some)
        nl_text_add(out, "EOD\n");
done:
    for (int64_t r = 0; series && r < runs; r++)
        nl_series_free(&series[r]);
    nl_free(series);
    nl_free(y);
    return st;
}

static nl_status draw_curves(const nl_charts *s, const nl_chart *chart, const nl_look *look,
                             nl_text *out)
{
    nl_status st = NL_OK;
    nl_text bands = {0}, lines = {0};
    range seen = {INFINITY, -INFINITY};
    for (int64_t m = 0; m < s->c->count; m++) {
        bool some;
        NL_GO(add_curve_data(s, chart, m, out, &some, &seen));
        if (!some)
            continue;
        nl_text_add(&bands, "%s$d%" PRId64 " u 1:3:4 w filledcurves lc rgb '%s' notitle",
                    bands.used ? ", " : "", m, nl_figure_colour(m));
        nl_text_add(&lines, ", $d%" PRId64 " u 1:2 w l", m);
        add_style(s, m, &lines);
        add_title(s, m, &lines);
    }
    add_axes(chart, out);
    if (chart->is->logarithmic)
        add_logarithmic_tics(seen.low, seen.high, out);
    else
        add_ordinate_tics(seen.low, seen.high, look, out);
    nl_text_add(out, "set xlabel 'step' offset 0,0.5\nset xtics %g\n",
                tic_step(last_step(s, chart), tics_on(look->width, look, 6)));
    add_line_across(chart->ref, false, out);
    nl_text_add(out, "plot %s%s\n", nl_text_of(&bands), nl_text_of(&lines));
done:
    nl_text_free(&bands);
    nl_text_free(&lines);
    return st;
}

/* ---- Panels, one a method */

static double seen(const nl_chart *chart, double v)
{
    return chart->shape == NL_HEAT && chart->is->logarithmic ? log10(v) : v;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of all panels, or they could not be compared. Colours span percentiles 1 to 99, since a few
 * values may lie far off. */
static nl_status range_of_panels(const nl_charts *s, const nl_chart *chart, double *low,
                                 double *high)
{
    nl_status st = NL_OK;
    nl_series p = {0};
    double *all = NULL;
    int64_t n = 0;
    *low = *high = 0;
    for (int64_t m = 0; m < s->c->count; m++) {
        const int64_t run = run_of_panel(s, chart, m);
        if (run < 0)
            continue;
        NL_GO(nl_series_take(&p, s, chart, run));
        double *more = nl_alloc((size_t)(n + p.points * p.width + 1), sizeof *more);
        if (!more)
            NL_BAIL(NL_ENOMEM, "figure: %lld values", (long long)(p.points * p.width));
        for (int64_t i = 0; i < n; i++)
            more[i] = all[i];
        nl_free(all);
        all = more;
        for (int64_t i = 0; i < p.points * p.width; i++)
            if (isfinite(seen(chart, p.y[i])))
                all[n++] = seen(chart, p.y[i]);
        nl_series_free(&p);
    }
    if (n) {
        const int64_t cut = chart->shape == NL_HEAT ? n / 100 : 0;
        qsort(all, (size_t)n, sizeof *all, by_size);
        *low = all[cut];
        *high = all[n - 1 - cut];
    }
done:
    nl_series_free(&p);
    nl_free(all);
    return st;
}

static void add_bands(const nl_series *p, int64_t m, nl_text *out)
{
    const char *colour = nl_figure_colour(m);
    nl_text_add(out, "$p << EOD\n");
    for (int64_t i = 0; i < p->points; i++) {
        const double *at = p->y + i * p->width;
        if (isfinite(at[2]))
            nl_text_add(out, "%.6g %.4g %.4g %.4g %.4g %.4g\n", p->x[i], at[0], at[1], at[2], at[3],
                        at[4]);
    }
    nl_text_add(out,
                "EOD\nplot $p u 1:2:6 w filledcurves fs transparent solid 0.18 lc rgb '%s', "
                "$p u 1:3:5 w filledcurves fs transparent solid 0.3 lc rgb '%s', "
                "$p u 1:4 w l lw 1.5 lc rgb '%s'\n",
                colour, colour, colour);
}

/* Cells have the same size, logged steps are not evenly spaced: tics name them, or are bare. */
static void add_tics(const char *axis, int64_t cells, const double *names, nl_text *out)
{
    const int64_t tics = cells < TICS ? cells : TICS;
    nl_text_add(out, "set %s (", axis);
    for (int64_t k = 0; k < tics; k++) {
        const int64_t cell = tics > 1 ? k * (cells - 1) / (tics - 1) : 0;
        nl_text_add(out, k ? ", '" : "'");
        if (names)
            nl_text_add(out, "%.0f", names[cell]);
        nl_text_add(out, "' %" PRId64, cell);
    }
    nl_text_add(out, ")\n");
}

static nl_status add_cells(const nl_chart *chart, const nl_series *p, bool with_rows, nl_text *out)
{
    double *rows = nl_alloc((size_t)p->width, sizeof *rows);
    if (!rows)
        return nl_fail(NL_ENOMEM, "figure: %lld rows", (long long)p->width);
    for (int64_t k = 0; k < p->width; k++)
        rows[k] = (double)(nl_heat_row(chart, k) + 1);
    nl_text_add(out, "$m << EOD\n");
    for (int64_t i = 0; i < p->points; i++)
        for (int64_t k = 0; k < p->width; k++) {
            const double v = seen(chart, p->y[i * p->width + k]);
            nl_text_add(out, "%" PRId64 " %" PRId64 " ", i, k);
            nl_text_add(out, isnan(v) ? "NaN\n" : "%.4g\n", fmax(v, LEAST));
        }
    nl_text_add(out, "EOD\n");
    add_tics("xtics", p->points, p->x, out);
    add_tics("ytics", p->width, with_rows ? rows : NULL, out);
    nl_text_add(out, "set xrange [-0.5:%g]\nset yrange [-0.5:%g]\nplot $m u 1:2:3 w image\n",
                (double)p->points - 0.5, (double)p->width - 0.5);
    nl_free(rows);
    return NL_OK;
}

/* The first step at the top; the highest density of all panels reaches over two steps. */
static void add_ridges(const nl_charts *s, const nl_chart *chart, const nl_series *p, double high,
                       bool with_steps, int64_t m, nl_text *out)
{
    const nl_span span = nl_ridge_span(s, chart);
    const double width = (span.high - span.low) / NL_RIDGE_CELLS;
    nl_text plots = {0}, tics = {0};
    for (int64_t i = 0; i < p->points; i++) {
        const double base = (double)(p->points - 1 - i);
        nl_text_add(out, "$p%" PRId64 " << EOD\n", i);
        for (int64_t k = 0; k < p->width; k++)
            nl_text_add(out, "%.5g %.5g\n", span.low + ((double)k + 0.5) * width,
                        base + 2 * p->y[i * p->width + k] / high);
        nl_text_add(out, "EOD\n");
        nl_text_add(&plots,
                    "%s$p%" PRId64
                    " u 1:(%g):2 w filledcurves fs transparent solid 0.3 lc rgb '%s', "
                    "$p%" PRId64 " w l lw 1 lc rgb '%s'",
                    i ? ", " : "", i, base, nl_figure_colour(m), i, nl_figure_colour(m));
        nl_text_add(&tics, "%s'", i ? ", " : "");
        if (with_steps)
            nl_text_add(&tics, "%.0f", p->x[i]);
        nl_text_add(&tics, "' %g", base);
    }
    nl_text_add(out,
                "set format x '%%g'\nset xtics %g\nset ytics (%s)\nset xrange [%g:%g]\nset yrange "
                "[-0.1:%g]\nplot %s\n",
                tic_step(span.high - span.low, TICS + 1), nl_text_of(&tics), span.low, span.high,
                (double)p->points + 1.2, nl_text_of(&plots));
    nl_text_free(&plots);
    nl_text_free(&tics);
}

/* Margins and gaps as shares of the drawing. */
static void add_layout(const nl_charts *s, const nl_chart *chart, const nl_look *look, nl_text *out)
{
    const double x = look->font / look->width, y = look->font / look->height;
    const double right = chart->shape == NL_HEAT ? colours_width : margin_right;
    nl_text_add(out,
                "set multiplot layout %" PRId64 ",%" PRId64 " margins %.4f,%.4f,%.4f,%.4f "
                "spacing %.4f,%.4f\nunset key\n",
                rows_of(s, chart, look), columns_of(s, chart, look), margin_left * x, 1 - right * x,
                margin_bottom * y, 1 - margin_top * y, panel_gap * x,
                (margin_top + tics_height) * y);
}

/* The scale of colours stands once, beside the last panel. */
static void add_colours(double low, double high, nl_text *out)
{
    if (low < high)
        nl_text_add(out, "set cbrange [%.6g:%.6g]\n", low, high);
    nl_text_add(out, "unset grid\nset style fill solid noborder\nset palette defined (0 '#440154', "
                     "1 '#3b528b', 2 '#21918c', 3 '#5ec962', 4 '#fde725')\nunset colorbox\n");
}

static nl_status add_panel(const nl_charts *s, const nl_chart *chart, const nl_look *look,
                           int64_t panel, int64_t m, double high, nl_text *out)
{
    const int64_t columns = columns_of(s, chart, look), panels = panels_of(s, chart);
    nl_series p;
    NL_TRY(nl_series_take(&p, s, chart, run_of_panel(s, chart, m)));
    add_label(out, "set title offset 0,-0.6", label_of(s, m));
    add_label(out, "set xlabel offset 0,0.5",
              panel + columns < panels    ? ""
              : chart->shape == NL_RIDGES ? "value"
                                          : "step");
    nl_text_add(out, "set format y '%s'\n", panel % columns ? "" : "%g");
    nl_status st = NL_OK;
    if (chart->shape == NL_BANDS) {
        add_bands(&p, m, out);
    } else if (chart->shape == NL_RIDGES) {
        add_ridges(s, chart, &p, high, panel % columns == 0, m, out);
    } else {
        if (panel == panels - 1)
            nl_text_add(out,
                        "set colorbox user origin screen %.4f, screen 0.25 size screen 0.02, "
                        "screen 0.55\nset format cb '%s'\n%s",
                        1 - (colours_width - 1) * look->font / look->width,
                        chart->is->logarithmic ? "1e%g" : "%g",
                        chart->is->logarithmic ? "set cbtics 1\n" : "");
        st = add_cells(chart, &p, panel % columns == 0, out);
    }
    nl_series_free(&p);
    return st;
}

static nl_status draw_panels(const nl_charts *s, const nl_chart *chart, const nl_look *look,
                             nl_text *out)
{
    double low, high;
    int64_t panel = 0;
    NL_TRY(range_of_panels(s, chart, &low, &high));
    if (chart->shape == NL_HEAT) {
        add_colours(low, high, out);
    } else if (chart->shape == NL_BANDS) {
        const double across = look->width / (double)columns_of(s, chart, look);
        nl_text_add(out, "set xtics %g\nset ytics %g\n",
                    tic_step(last_step(s, chart), tics_on(across, look, 6)),
                    tic_step(low < high ? high - low : 1, panel_height / 2));
        nl_text_add(out, "set xrange [0:%.0f]\n", last_step(s, chart));
        if (low < high)
            nl_text_add(out, "set yrange [%.5g:%.5g]\n", low, high);
    }
    add_layout(s, chart, look, out);
    for (int64_t m = 0; m < s->c->count; m++)
        if (run_of_panel(s, chart, m) >= 0)
            NL_TRY(add_panel(s, chart, look, panel++, m, high, out));
    nl_text_add(out, "unset multiplot\n");
    return NL_OK;
}

/* ---- Intervals, one a method, the first at the top */

static nl_status draw_forest(const nl_charts *s, const nl_chart *chart, const nl_look *look,
                             nl_text *out)
{
    nl_text tics = {0}, plots = {0};
    nl_forest_row row = {0};
    nl_status st = NL_OK;
    int64_t rows = 0;
    double low = INFINITY, high = -INFINITY;
    for (int64_t m = s->c->count - 1; m >= 0; m--) {
        NL_GO(nl_forest_take(&row, s, chart, m));
        if (row.is.n) {
            low = fmin(low, fmin(row.is.mean, row.is.low));
            high = fmax(high, fmax(row.is.mean, row.is.high));
            nl_text_add(out, "$r%" PRId64 " << EOD\n%.6g %.6g %.6g %" PRId64 "\nEOD\n", m,
                        row.is.mean, isnan(row.is.low) ? row.is.mean : row.is.low,
                        isnan(row.is.high) ? row.is.mean : row.is.high, rows);
            nl_text_add(out, "$v%" PRId64 " << EOD\n", m);
            for (int64_t i = 0; i < row.count; i++)
                nl_text_add(out, "%.6g %" PRId64 "\n", row.at[i], rows);
            if (!row.count)
                nl_text_add(out, "NaN NaN\n");
            nl_text_add(out, "EOD\n");
            nl_text_add(&tics, "%s", rows ? ", " : "");
            nl_escape_gnuplot(&tics, label_of(s, m));
            nl_text_add(&tics, " %" PRId64, rows++);
            nl_text_add(&plots,
                        "%s$v%" PRId64 " u 1:2 w p pt 7 ps 0.35 lc rgb '%s', $r%" PRId64
                        " u 1:4:2:3 w xerrorbars pt 7 ps 0.7 lw 1.5 lc rgb '%s'",
                        plots.used ? ", " : "", m, nl_figure_colour(m), m, nl_figure_colour(m));
        }
        nl_forest_free(&row);
    }
    add_label(out, "set xlabel offset 0,0.5", chart->unit);
    if (!chart->is->logarithmic)
        nl_text_add(out, "set xtics %g\n", tic_step(high - low, tics_on(look->width, look, 6)));
    nl_text_add(out,
                "unset key\nset errorbars 0\nset format x '%%g'\nset yrange [-0.6:%g]\nset ytics "
                "(%s)\n%s",
                (double)rows - 0.4, nl_text_of(&tics),
                chart->is->logarithmic ? "set logscale x\n" : "");
    add_line_across(chart->ref, true, out);
    nl_text_add(out, "plot %s\n", nl_text_of(&plots));
done:
    nl_forest_free(&row);
    nl_text_free(&tics);
    nl_text_free(&plots);
    return st;
}

/* ---- The score over a key */

/* Numbers stand at their values, on logarithms where they span much; other values side by side. */
static bool values_of(const nl_study *s, const nl_view *v, double *at, bool *wide)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t k = 0; k < v->count; k++) {
        if (!nl_read_real(nl_facts_find(&s->task[v->task[k]].facts, v->key), &at[k])) {
            for (int64_t i = 0; i < v->count; i++)
                at[i] = (double)i;
            *wide = false;
            return false;
        }
        low = fmin(low, at[k]);
        high = fmax(high, at[k]);
    }
    *wide = low > 0 && high / low >= 5;
    return true;
}

static nl_status draw_view(const nl_charts *s, const nl_chart *chart, const nl_look *look,
                           nl_text *out)
{
    const nl_view *v = chart->view;
    nl_text plots = {0}, tics = {0};
    nl_status st = NL_OK;
    double low = INFINITY, high = -INFINITY;
    bool wide;
    double *at = nl_alloc((size_t)v->count, sizeof *at);
    if (!at)
        return nl_fail(NL_ENOMEM, "figure of %lld values", (long long)v->count);
    values_of(s->study, v, at, &wide);
    for (int64_t m = 0; m < s->study->methods; m++) {
        nl_text_add(out, "$d%" PRId64 " << EOD\n", m);
        for (int64_t k = 0; k < v->count; k++) {
            nl_band b;
            NL_GO(nl_view_take(&b, s, chart, k, m));
            if (!isfinite(b.mean))
                continue;
            nl_text_add(out, "%.6g %.6g %.6g %.6g\n", at[k], b.mean, b.low, b.high);
            low = fmin(low, b.low);
            high = fmax(high, b.high);
        }
        nl_text_add(out, "NaN NaN NaN NaN\nEOD\n");
        nl_text_add(&plots,
                    "%s$d%" PRId64
                    " u 1:3:(0):($4-$3) w vectors nohead lw 1.2 lc rgb '%s' notitle, "
                    "$d%" PRId64 " w p pt 7 ps 0.5 lc rgb '%s' notitle, $d%" PRId64 " u 1:2 w l",
                    plots.used ? ", " : "", m, nl_figure_colour(m), m, nl_figure_colour(m), m);
        add_style(s, m, &plots);
        add_title(s, m, &plots);
    }
    for (int64_t k = 0; k < v->count; k++) {
        nl_text_add(&tics, "%s", k ? ", " : "");
        nl_escape_gnuplot(&tics, nl_facts_find(&s->study->task[v->task[k]].facts, v->key));
        nl_text_add(&tics, " %.6g", at[k]);
    }
    add_axes(chart, out);
    add_ordinate_tics(low, high, look, out);
    add_label(out, "set xlabel offset 0,0.5", v->key);
    add_label(out, "set title offset 0,-0.5", nl_text_of(&v->rest));
    nl_text_add(out, "set offsets graph 0.04, graph 0.04, 0, 0\nset xtics (%s)\n%s",
                nl_text_of(&tics), wide ? "set logscale x\n" : "");
    nl_text_add(out, "plot %s\n", nl_text_of(&plots));
done:
    nl_text_free(&plots);
    nl_text_free(&tics);
    nl_free(at);
    return st;
}

/* ---- The whole */

nl_status nl_draw(const nl_charts *s, const nl_chart *chart, const nl_look *look, nl_text *out)
{
    switch (chart->shape) {
    case NL_LINE: NL_TRY(draw_curves(s, chart, look, out)); break;
    case NL_BANDS:
    case NL_HEAT:
    case NL_RIDGES: NL_TRY(draw_panels(s, chart, look, out)); break;
    case NL_FOREST: NL_TRY(draw_forest(s, chart, look, out)); break;
    case NL_VIEW: NL_TRY(draw_view(s, chart, look, out)); break;
    }
    return nl_text_status(out);
}

void nl_draw_label(const nl_charts *s, const nl_chart *chart, nl_text *out)
{
    nl_text_add(out, "%s, ", chart->is->section);
    nl_chart_add_title(chart, out);
    for (int64_t m = 0; m < methods_of(s); m++)
        nl_text_add(out, "%s%s", m ? ", " : "; methods: ", label_of(s, m));
}
