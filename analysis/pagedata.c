#include "analysis/pagedata.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "analysis/distributions.h"
#include "analysis/escape.h"
#include "analysis/figure.h"
#include "analysis/measures.h"
#include "analysis/series.h"

typedef struct data {
    const nl_charts *charts;
    int64_t count;
    const nl_published *published; /* or NULL */
    nl_text *out;
} data;

/* ---- JSON, value by value */

/* A comma, unless a list or an object has just begun. */
static void separate(nl_text *out)
{
    const int last = out->used ? out->at[out->used - 1] : '[';
    if (last != '[' && last != '{' && last != ':')
        nl_text_add(out, ",");
}

static void key(nl_text *out, const char *name)
{
    separate(out);
    nl_text_add(out, "\"%s\":", name);
}

static void number(nl_text *out, double v)
{
    separate(out);
    if (isfinite(v))
        nl_text_add(out, "%.5g", v);
    else
        nl_text_add(out, "null");
}

static void text(nl_text *out, const char *v)
{
    separate(out);
    nl_escape_json(out, v);
}

static void open_with(nl_text *out, const char *bracket)
{
    separate(out);
    nl_text_add(out, "%s", bracket);
}

static void close_with(nl_text *out, const char *bracket) { nl_text_add(out, "%s", bracket); }

static void number_of(nl_text *out, const char *name, double v)
{
    key(out, name);
    number(out, v);
}

static void text_of(nl_text *out, const char *name, const char *v)
{
    key(out, name);
    text(out, v);
}

static void numbers_of(nl_text *out, const char *name, const double *v, int64_t count)
{
    key(out, name);
    open_with(out, "[");
    for (int64_t i = 0; i < count; i++)
        number(out, v[i]);
    close_with(out, "]");
}

/* ---- methods and runs, counted over all tasks */

/* A study counts the methods of all its tasks, a comparison its own. */
static int64_t method_of(const data *d, const nl_compare *c, int64_t m)
{
    const nl_study *s = d->charts->study;
    for (int64_t i = 0; s && i < s->methods; i++)
        if (strcmp(s->method[i].spec, c->methods[m].spec) == 0)
            return i;
    return m;
}

static void add_method(nl_text *out, int64_t i, const char *label, const char *spec)
{
    open_with(out, "{");
    text_of(out, "label", label);
    text_of(out, "spec", spec);
    text_of(out, "colour", nl_figure_colour(i));
    close_with(out, "}");
}

static void add_methods(const data *d)
{
    const nl_study *s = d->charts->study;
    const nl_compare *c = d->charts->c;
    key(d->out, "methods");
    open_with(d->out, "[");
    for (int64_t i = 0; i < (s ? s->methods : c->count); i++)
        if (s)
            add_method(d->out, i, s->method[i].label, s->method[i].spec);
        else
            add_method(d->out, i, c->methods[i].label, c->methods[i].spec);
    close_with(d->out, "]");
}

static void add_tasks(const data *d)
{
    const nl_study *s = d->charts->study;
    key(d->out, "tasks");
    open_with(d->out, "[");
    for (int64_t t = 0; s && t < s->tasks; t++)
        text(d->out, nl_text_of(&s->task[t].label));
    close_with(d->out, "]");
}

static void add_runs(const data *d)
{
    key(d->out, "runs");
    open_with(d->out, "[");
    for (int64_t k = 0; k < d->count; k++) {
        const nl_compare *c = d->charts[k].c;
        for (int64_t m = 0; c && m < c->count; m++)
            for (int64_t r = 0; r < c->methods[m].count; r++) {
                open_with(d->out, "{");
                number_of(d->out, "m", (double)method_of(d, c, m));
                number_of(d->out, "seed", nl_run_seed(c->methods[m].runs[r]));
                close_with(d->out, "}");
            }
    }
    close_with(d->out, "]");
}

static int64_t most_seeds(const data *d)
{
    int64_t most = 1;
    for (int64_t k = 0; k < d->count; k++)
        for (int64_t m = 0; d->charts[k].c && m < d->charts[k].c->count; m++)
            if (d->charts[k].c->methods[m].count > most)
                most = d->charts[k].c->methods[m].count;
    return most;
}

static void add_factors(const data *d)
{
    const double level = d->charts->c ? d->charts->c->level : d->charts->study->level;
    number_of(d->out, "level", level);
    number_of(d->out, "least_seeds", NL_BAND_SEEDS);
    key(d->out, "t");
    open_with(d->out, "[");
    for (int64_t n = 0; n <= most_seeds(d); n++)
        number(d->out, n < 2 ? NAN : nl_student_quantile(0.5 + level / 2, (double)(n - 1)));
    close_with(d->out, "]");
}

/* ---- charts of channels */

static bool same_steps(const nl_series *a, const nl_series *b)
{
    return a->points == b->points &&
           (!a->points || memcmp(a->x, b->x, (size_t)a->points * sizeof *a->x) == 0);
}

/* A run's steps come after those of other runs, unless they are those of the run before. */
static nl_status add_steps(const data *d, const nl_charts *s, const nl_chart *chart)
{
    nl_series last = {0}, p;
    key(d->out, "x");
    open_with(d->out, "[");
    for (int64_t r = 0; r < s->c->runs_count; r++) {
        NL_TRY(nl_series_take(&p, s, chart, r));
        if (p.points && !same_steps(&last, &p)) {
            open_with(d->out, "[");
            for (int64_t i = 0; i < p.points; i++)
                number(d->out, p.x[i]);
            close_with(d->out, "]");
        }
        if (p.points) {
            nl_series_free(&last);
            last = p;
        }
    }
    close_with(d->out, "]");
    nl_series_free(&last);
    return NL_OK;
}

static void add_values(nl_text *out, const nl_series *p)
{
    key(out, "y");
    open_with(out, "[");
    for (int64_t i = 0; i < p->points; i++) {
        if (p->width > 1)
            open_with(out, "[");
        for (int64_t k = 0; k < p->width; k++)
            number(out, p->y[i * p->width + k]);
        if (p->width > 1)
            close_with(out, "]");
    }
    close_with(out, "]");
}

static nl_status add_series(const data *d, const nl_charts *s, const nl_chart *chart,
                            int64_t first_run)
{
    nl_series last = {0}, p;
    int64_t steps = -1;
    key(d->out, "series");
    open_with(d->out, "[");
    for (int64_t r = 0; r < s->c->runs_count; r++) {
        NL_TRY(nl_series_take(&p, s, chart, r));
        if (!p.points)
            continue;
        steps += !same_steps(&last, &p);
        open_with(d->out, "{");
        number_of(d->out, "r", (double)(first_run + r));
        number_of(d->out, "x", (double)steps);
        add_values(d->out, &p);
        close_with(d->out, "}");
        nl_series_free(&last);
        last = p;
    }
    close_with(d->out, "]");
    nl_series_free(&last);
    return NL_OK;
}

static void add_rows(const data *d, const nl_chart *chart)
{
    const int64_t width = nl_heat_width(chart);
    key(d->out, "rows");
    open_with(d->out, "[");
    for (int64_t k = 0; k < width; k++)
        number(d->out, (double)nl_heat_row(chart, k));
    close_with(d->out, "]");
}

static void add_span(const data *d, const nl_charts *s, const nl_chart *chart)
{
    const nl_span span = nl_ridge_span(s, chart);
    numbers_of(d->out, "span", (const double[]){span.low, span.high}, 2);
}

/* Curves of a paper for this channel, by the number of their method. */
static void add_published(const data *d, const nl_charts *s, const nl_chart *chart)
{
    bool some = false;
    for (int i = 0; d->published && i < d->published->curves; i++) {
        const nl_curve *k = &d->published->curve[i];
        for (int64_t m = 0; m < s->c->count; m++) {
            if (strcmp(k->channel, chart->channel) != 0 ||
                strcmp(k->method, s->c->methods[m].name) != 0)
                continue;
            if (!some) {
                key(d->out, "published");
                open_with(d->out, "[");
            }
            some = true;
            open_with(d->out, "{");
            number_of(d->out, "m", (double)m);
            numbers_of(d->out, "x", k->x, k->count);
            key(d->out, "y");
            open_with(d->out, "[");
            for (int64_t n = 0; n < k->count; n++)
                number(d->out, chart->scale * k->y[n]);
            close_with(d->out, "]");
            close_with(d->out, "}");
        }
    }
    if (some)
        close_with(d->out, "]");
}

/* ---- forests and views */

static void add_band(nl_text *out, const nl_band *b)
{
    number_of(out, "mean", b->mean);
    number_of(out, "low", b->low);
    number_of(out, "high", b->high);
}

static nl_status add_forest(const data *d, const nl_charts *s, const nl_chart *chart)
{
    nl_forest_row row;
    key(d->out, "rows");
    open_with(d->out, "[");
    for (int64_t m = 0; m < s->c->count; m++) {
        NL_TRY(nl_forest_take(&row, s, chart, m));
        if (row.is.n) {
            open_with(d->out, "{");
            number_of(d->out, "m", (double)method_of(d, s->c, m));
            add_band(d->out, &(nl_band){row.is.mean, row.is.low, row.is.high});
            numbers_of(d->out, "values", row.at, row.count);
            close_with(d->out, "}");
        }
        nl_forest_free(&row);
    }
    close_with(d->out, "]");
    return NL_OK;
}

static nl_status add_view(const data *d, const nl_charts *s, const nl_chart *chart)
{
    const nl_view *v = chart->view;
    const nl_study *study = s->study;
    nl_band b;
    if (!study) /* of one task there are no views */
        return NL_OK;
    key(d->out, "values");
    open_with(d->out, "[");
    for (int64_t k = 0; k < v->count; k++)
        text(d->out, nl_facts_find(&study->task[v->task[k]].facts, v->key));
    close_with(d->out, "]");
    key(d->out, "rows");
    open_with(d->out, "[");
    for (int64_t m = 0; m < study->methods; m++)
        for (int64_t k = 0; k < v->count; k++) {
            const nl_method *is = nl_study_method(study, v->task[k], m);
            if (!is)
                continue;
            open_with(d->out, "{");
            number_of(d->out, "m", (double)m);
            number_of(d->out, "k", (double)k);
            NL_TRY(nl_view_take(&b, s, chart, k, m));
            add_band(d->out, &b);
            number_of(d->out, "runs", (double)is->score.n);
            number_of(d->out, "diverged", (double)is->diverged);
            close_with(d->out, "}");
        }
    close_with(d->out, "]");
    return NL_OK;
}

/* ---- the whole */

static void add_head(const data *d, const nl_chart *chart, int64_t task)
{
    static const char *const shapes[] = {
        [NL_LINE] = "line",     [NL_BANDS] = "bands",   [NL_HEAT] = "heat",
        [NL_RIDGES] = "ridges", [NL_FOREST] = "forest", [NL_VIEW] = "view"};
    nl_text *out = d->out, title = {0};
    nl_chart_add_title(chart, &title);
    text_of(out, "name", chart->is->name);
    text_of(out, "section", chart->is->section);
    number_of(out, "task", task < 0 ? NAN : (double)task);
    text_of(out, "of", chart->of);
    text_of(out, "title", nl_text_of(&title));
    text_of(out, "note", chart->is->note ? chart->is->note : "");
    text_of(out, "kind", shapes[chart->shape]);
    text_of(out, "unit", chart->unit);
    key(out, "log");
    nl_text_add(out, "%s", chart->is->logarithmic ? "true" : "false");
    number_of(out, "ref", chart->ref);
    nl_text_free(&title);
}

static nl_status add_chart(const data *d, const nl_charts *s, const nl_chart *chart, int64_t task,
                           int64_t first_run)
{
    separate(d->out);
    nl_text_add(d->out, "\n{");
    add_head(d, chart, task);
    if (chart->shape == NL_FOREST) {
        NL_TRY(add_forest(d, s, chart));
    } else if (chart->shape == NL_VIEW) {
        NL_TRY(add_view(d, s, chart));
    } else {
        if (chart->shape == NL_HEAT)
            add_rows(d, chart);
        if (chart->shape == NL_RIDGES)
            add_span(d, s, chart);
        NL_TRY(add_steps(d, s, chart));
        NL_TRY(add_series(d, s, chart, first_run));
        add_published(d, s, chart);
    }
    close_with(d->out, "}");
    return NL_OK;
}

nl_status nl_pagedata_add(const nl_charts *charts, int64_t count, const nl_published *published,
                          nl_text *out)
{
    const data d = {charts, count, published, out};
    int64_t first_run = 0;
    nl_text_add(out, "{");
    add_methods(&d);
    add_tasks(&d);
    add_factors(&d);
    add_runs(&d);
    key(out, "charts");
    open_with(out, "[");
    for (int64_t k = 0; k < count; k++) {
        const int64_t task = charts->study ? k - 1 : -1;
        for (int64_t i = 0; i < charts[k].count; i++)
            NL_TRY(add_chart(&d, &charts[k], &charts[k].at[i], task, first_run));
        first_run += charts[k].c ? charts[k].c->runs_count : 0;
    }
    nl_text_add(out, "\n]}");
    return nl_text_status(out);
}
