#include "analysis/charts.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "analysis/distributions.h"
#include "analysis/escape.h"
#include "analysis/figure.h"
#include "analysis/sample.h"
#include "base/alloc.h"

enum { LINE_POINTS = 200, BAND_POINTS = 100, HEAT_POINTS = 60, HEAT_ROWS = 100, BANDS = 5 };

typedef struct charts {
    const nl_compare *c;
    const nl_published *published; /* or NULL */
    nl_text *out;
    bool any; /* a chart has been written: a comma is due */
} charts;

/* One chart; path is of a channel, index of its timeline. */
typedef struct chart {
    const char *section, *layer, *title, *note, *kind, *unit;
    bool log, rare;   /* rare: not drawn where all is 0 */
    bool percentiles; /* bands: the channel holds the seven of run files, else values */
    double ref;       /* a horizontal line; NaN: none */
    char path[192], index[96];
} chart;

static const chart plain = {.layer = "", .note = "", .kind = "line", .unit = "", .ref = NAN};

static void number(nl_text *out, double v)
{
    if (isfinite(v))
        nl_text_add(out, "%.5g", v);
    else
        nl_text_add(out, "null");
}

static void named(nl_text *out, const char *name, const char *text)
{
    nl_text_add(out, "\"%s\":", name);
    nl_escape_json(out, text);
    nl_text_add(out, ",");
}

/* ---- series */

/* Rows [from, to) of a track that one point stands for. */
typedef struct bin {
    int64_t from, to;
} bin;

static bin bin_of(int64_t rows, int64_t points, int64_t i)
{
    return (bin){rows * i / points, rows * (i + 1) / points};
}

static void add_steps(nl_text *out, const nl_track *step, int64_t rows, int64_t points)
{
    nl_text_add(out, "\"x\":[");
    for (int64_t i = 0; i < points; i++) {
        nl_text_add(out, "%s", i ? "," : "");
        number(out, step->at[bin_of(rows, points, i).to - 1]);
    }
    nl_text_add(out, "]");
}

static double mean_of(const nl_track *v, bin b)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t r = b.from; r < b.to; r++)
        if (isfinite(v->at[r * v->width]))
            sum += v->at[r * v->width], n++;
    return n ? sum / (double)n : NAN;
}

static void add_line(nl_text *out, const nl_track *v, int64_t rows, int64_t points)
{
    nl_text_add(out, ",\"y\":[");
    for (int64_t i = 0; i < points; i++) {
        nl_text_add(out, "%s", i ? "," : "");
        number(out, mean_of(v, bin_of(rows, points, i)));
    }
    nl_text_add(out, "]");
}

/* The percentiles 5, 15, 50, 85, 95 of a row: logged ones, or those of its values. */
static void five_of(const nl_track *v, int64_t row, bool logged, double *scratch, double q[BANDS])
{
    static const double share[] = {0.05, 0.15, 0.5, 0.85, 0.95};
    const double *at = v->at + row * v->width;
    for (int k = 0; logged && k < BANDS; k++)
        q[k] = at[k + 1];
    if (logged)
        return;
    memcpy(scratch, at, (size_t)v->width * sizeof *scratch);
    nl_sort(scratch, v->width);
    for (int k = 0; k < BANDS; k++)
        q[k] = nl_quantile_sorted(scratch, v->width, share[k]);
}

static void add_bands(nl_text *out, const nl_track *v, int64_t rows, int64_t points, bool logged)
{
    double q[BANDS], *scratch = nl_alloc((size_t)v->width, sizeof *scratch);
    nl_text_add(out, ",\"q\":[");
    for (int64_t i = 0; scratch && i < points; i++) {
        five_of(v, bin_of(rows, points, i).to - 1, logged, scratch, q);
        nl_text_add(out, "%s[", i ? "," : "");
        for (int k = 0; k < BANDS; k++) {
            nl_text_add(out, "%s", k ? "," : "");
            number(out, q[k]);
        }
        nl_text_add(out, "]");
    }
    nl_text_add(out, "]");
    nl_free(scratch);
}

static int64_t heat_rows(int64_t width) { return width < HEAT_ROWS ? width : HEAT_ROWS; }

static void add_heat(nl_text *out, const nl_track *v, int64_t rows, int64_t points)
{
    const int64_t bands = heat_rows(v->width);
    nl_text_add(out, ",\"y\":[");
    for (int64_t i = 0; i < points; i++) {
        const double *at = v->at + (bin_of(rows, points, i).to - 1) * v->width;
        nl_text_add(out, "%s[", i ? "," : "");
        for (int64_t k = 0; k < bands; k++) {
            nl_text_add(out, "%s", k ? "," : "");
            number(out, at[bin_of(v->width, bands, k).from]);
        }
        nl_text_add(out, "]");
    }
    nl_text_add(out, "]");
}

static void add_series(const chart *t, const nl_track *step, const nl_track *v, nl_text *out)
{
    const int64_t rows = v->rows < step->rows ? v->rows : step->rows;
    const bool heat = strcmp(t->kind, "heat") == 0, bands = strcmp(t->kind, "bands") == 0;
    const int64_t most = heat ? HEAT_POINTS : bands ? BAND_POINTS : LINE_POINTS;
    const int64_t points = rows < most ? rows : most;
    add_steps(out, step, rows, points);
    if (heat)
        add_heat(out, v, rows, points);
    else if (bands)
        add_bands(out, v, rows, points, t->percentiles);
    else
        add_line(out, v, rows, points);
}

/* ---- charts */

static void add_labels(const chart *t, const nl_track *v, nl_text *out)
{
    const int64_t bands = heat_rows(v->width);
    if (strcmp(t->kind, "heat") != 0)
        return;
    nl_text_add(out, "\"rows\":[");
    for (int64_t k = 0; k < bands; k++)
        nl_text_add(out, "%s%" PRId64, k ? "," : "", bin_of(v->width, bands, k).from);
    nl_text_add(out, "],");
}

static void add_head(charts *p, const chart *t, const nl_track *first)
{
    nl_text *out = p->out;
    nl_text_add(out, "%s\n{", p->any ? "," : "");
    p->any = true;
    named(out, "section", t->section);
    named(out, "layer", t->layer);
    named(out, "title", t->title);
    named(out, "note", t->note);
    named(out, "kind", t->kind);
    named(out, "unit", t->unit);
    nl_text_add(out, "\"log\":%s,\"ref\":", t->log ? "true" : "false");
    number(out, t->ref);
    nl_text_add(out, ",");
    add_labels(t, first, out);
    nl_text_add(out, "\"series\":[");
}

static void add_numbers(nl_text *out, const char *name, const double *v, int64_t count)
{
    nl_text_add(out, ",\"%s\":[", name);
    for (int64_t i = 0; i < count; i++) {
        nl_text_add(out, "%s", i ? "," : "");
        number(out, v[i]);
    }
    nl_text_add(out, "]");
}

/* Curves of a paper for this channel, by the number of their method. */
static void add_published(const charts *p, const chart *t)
{
    bool some = false;
    for (int i = 0; p->published && i < p->published->curves; i++) {
        const nl_curve *k = &p->published->curve[i];
        for (int64_t m = 0; m < p->c->count; m++) {
            if (strcmp(k->channel, t->path) != 0 || strcmp(k->method, p->c->methods[m].name) != 0)
                continue;
            nl_text_add(p->out, "%s{\"m\":%" PRId64, some ? "," : ",\"published\":[", m);
            add_numbers(p->out, "x", k->x, k->count);
            add_numbers(p->out, "y", k->y, k->count);
            nl_text_add(p->out, "}");
            some = true;
        }
    }
    if (some)
        nl_text_add(p->out, "]");
}

/* Something to see: a finite value, for shares one that is not 0. */
static bool shows(const chart *t, const nl_track *v)
{
    for (int64_t i = 0; i < v->rows * v->width; i++)
        if (isfinite(v->at[i]) && !(t->rare && v->at[i] == 0))
            return true;
    return false;
}

/* Writes nothing when no run shows something. */
static void add_chart(charts *p, const chart *t)
{
    bool begun = false, some = false;
    for (int64_t r = 0; r < p->c->runs_count; r++) {
        const nl_track *v = nl_rundata_track(p->c->runs[r], "%s", t->path);
        some = some || (v && shows(t, v));
    }
    for (int64_t r = 0; some && r < p->c->runs_count; r++) {
        const nl_track *step = nl_rundata_track(p->c->runs[r], "%s", t->index);
        const nl_track *v = nl_rundata_track(p->c->runs[r], "%s", t->path);
        if (!step || !v)
            continue;
        if (!begun)
            add_head(p, t, v);
        nl_text_add(p->out, "%s{\"r\":%" PRId64 ",", begun ? "," : "", r);
        add_series(t, step, v, p->out);
        nl_text_add(p->out, "}");
        begun = true;
    }
    if (!begun)
        return;
    nl_text_add(p->out, "]");
    add_published(p, t);
    nl_text_add(p->out, "}");
}

static void add_at(charts *p, chart t, const char *index, const char *fmt, ...) NL_PRINTF(4, 5);
static void add_at(charts *p, chart t, const char *index, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t.path, sizeof t.path, fmt, ap);
    va_end(ap);
    snprintf(t.index, sizeof t.index, "%s", index);
    add_chart(p, &t);
}

/* ---- sections */

static void add_learning(charts *p)
{
    static const struct {
        const char *key, *title, *unit;
        bool log;
    } curves[] = {{"test_accuracy", "Test accuracy", "share", false},
                  {"val_accuracy", "Validation accuracy", "share", false},
                  {"test_bits_per_character", "Test bits per character", "bits", false},
                  {"val_bits_per_character", "Validation bits per character", "bits", false},
                  {"test_loss", "Test loss", "nats", true},
                  {"val_loss", "Validation loss", "nats", true}};
    chart t = plain;
    t.section = "Learning curves";
    t.title = "Training loss", t.unit = "nats", t.log = true;
    t.note = "averaged over bins of steps";
    add_at(p, t, "/steps/step", "/steps/loss");
    t.note = "";
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        t.title = curves[i].title, t.unit = curves[i].unit, t.log = curves[i].log;
        t.ref = strcmp(curves[i].key, "test_accuracy") == 0 ? p->c->target : NAN;
        add_at(p, t, "/evals/step", "/evals/%s", curves[i].key);
    }
}

static const char percentiles[] = "percentiles 5, 15, 50, 85, 95";

static void add_activations(charts *p, const char *place)
{
    static const struct {
        const char *name, *title;
    } lines[] = {{"std", "standard deviation"},
                 {"saturated", "share of flat values"},
                 {"dead", "share of dead units"}};
    chart t = plain;
    t.section = "Activations";
    t.layer = place;
    t.kind = "bands", t.note = percentiles, t.percentiles = true;
    t.title = "after the norm";
    add_at(p, t, "/layers/step", "/layers/%s/post/percentiles", place);
    t.title = "before the norm";
    add_at(p, t, "/layers/step", "/layers/%s/pre/percentiles", place);
    t.kind = "line", t.note = "after the norm";
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        t.title = lines[i].title;
        t.rare = i > 0;
        add_at(p, t, "/layers/step", "/layers/%s/post/%s", place, lines[i].name);
    }
}

static void add_gradients(charts *p, const char *place)
{
    chart t = plain;
    t.section = "Gradients of activations";
    t.layer = place;
    t.kind = "bands", t.note = percentiles, t.percentiles = true;
    t.title = "at the norm's output";
    add_at(p, t, "/layers/step", "/layers/%s/post/gradient_percentiles", place);
    t.title = "at the norm's input";
    add_at(p, t, "/layers/step", "/layers/%s/pre/gradient_percentiles", place);
}

static void add_gains(charts *p, const char *place)
{
    static const char *const names[] = {"gamma", "beta"};
    chart t = plain;
    t.section = "Gamma and beta";
    t.layer = place;
    t.kind = "bands", t.note = "percentiles 5 to 95 over channels";
    for (int i = 0; i < 2; i++) {
        t.title = names[i];
        add_at(p, t, "/norms/step", "/norms/%s/%s", place, names[i]);
    }
}

static void each_place(charts *p, void (*add)(charts *p, const char *place))
{
    const char *place;
    for (int64_t i = 0; (place = nl_rundata_place(p->c->runs[0], i)) != NULL; i++)
        add(p, place);
}

/* Whether run r is the first that has this channel: the chart of a channel is of all runs. */
static bool is_first(const nl_compare *c, int64_t r, const char *name)
{
    for (int64_t k = 0; k < r; k++)
        if (nl_rundata_track(c->runs[k], "%s", name))
            return false;
    return true;
}

/* Charts of every channel below `group` that ends with `tail`; the layer is what lies between. */
static void add_all(charts *p, chart t, const char *group, const char *tail)
{
    const nl_compare *c = p->c;
    const size_t head = strlen(group), end = strlen(tail);
    for (int64_t r = 0; r < c->runs_count; r++)
        for (int64_t i = 0; i < nl_rundata_tracks(c->runs[r]); i++) {
            const char *name = nl_rundata_track_at(c->runs[r], i)->name;
            const size_t n = strlen(name);
            char layer[128], index[96];
            if (n <= head + end || strncmp(name, group, head) != 0 ||
                strcmp(name + n - end, tail) != 0 || !is_first(c, r, name))
                continue;
            snprintf(layer, sizeof layer, "%.*s", (int)(n - head - end), name + head);
            snprintf(index, sizeof index, "/%.*s/step", (int)strcspn(name + 1, "/"), name + 1);
            t.layer = layer;
            add_at(p, t, index, "%s", name);
        }
}

static void add_parameters(charts *p)
{
    static const struct {
        const char *tail, *title;
    } rows[] = {{"/grad_norm", "norm of the gradient"},
                {"/weight_norm", "norm of the weights"},
                {"/effective_lr", "effective learning rate, lr / |w|²"}};
    chart t = plain;
    t.section = "Weights and gradients";
    t.log = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        t.title = rows[i].title;
        add_all(p, t, "/params/", rows[i].tail);
    }
    t.title = "norm of all gradients";
    add_at(p, t, "/params/step", "/params/grad_norm");
}

static void add_time(charts *p)
{
    chart t = plain;
    t.section = "Over time steps";
    t.kind = "heat", t.unit = "time step";
    t.title = "norm of dL/dh", t.log = true;
    add_all(p, t, "/layers/", "/gradient_norm");
    t.title = "standard deviation", t.log = false;
    add_all(p, t, "/layers/", "/step_std");
}

/* A channel of a probe; its timeline is the probe's own. */
static void add_probe(charts *p, const nl_rundata *run, const nl_track *v)
{
    const char *probe = v->name + strlen("/probes/"), *rest = strchr(probe, '/');
    char index[96];
    chart t = plain;
    if (!rest || strcmp(rest, "/step") == 0)
        return;
    snprintf(index, sizeof index, "/probes/%.*s/step", (int)(rest - probe), probe);
    if (!nl_rundata_track(run, "%s", index) || v->rows != nl_rundata_track(run, "%s", index)->rows)
        return; /* labels */
    t.section = "Probes";
    t.title = probe;
    t.kind = v->width > 1 ? "bands" : "line";
    t.percentiles = strncmp(probe, "unit/", 5) == 0;
    t.note = t.percentiles ? percentiles : v->width > 1 ? "percentiles 5 to 95 of its values" : "";
    add_at(p, t, index, "%s", v->name);
}

static void add_probes(charts *p)
{
    const nl_compare *c = p->c;
    for (int64_t r = 0; r < c->runs_count; r++)
        for (int64_t i = 0; i < nl_rundata_tracks(c->runs[r]); i++) {
            const nl_track *v = nl_rundata_track_at(c->runs[r], i);
            if (strncmp(v->name, "/probes/", 8) == 0 && is_first(c, r, v->name))
                add_probe(p, c->runs[r], v);
        }
}

/* ---- the whole */

static void add_methods(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "\"methods\":[");
    for (int64_t i = 0; i < c->count; i++) {
        nl_text_add(out, "%s{\"label\":", i ? "," : "");
        nl_escape_json(out, c->methods[i].label);
        nl_text_add(out, ",\"spec\":");
        nl_escape_json(out, c->methods[i].spec);
        nl_text_add(out, ",\"colour\":\"%s\"}", nl_figure_colour(i));
    }
    nl_text_add(out, "],\"baseline\":%" PRId64 ",\"runs\":[", c->baseline);
    bool some = false;
    for (int64_t i = 0; i < c->count; i++)
        for (int64_t k = 0; k < c->methods[i].count; k++, some = true)
            nl_text_add(out, "%s{\"m\":%" PRId64 ",\"seed\":%.0f}", some ? "," : "", i,
                        nl_rundata_number(c->methods[i].runs[k], "seed", NAN));
    nl_text_add(out, "],");
}

static void add_factors(const nl_compare *c, nl_text *out)
{
    int64_t most = 1;
    for (int64_t i = 0; i < c->count; i++)
        most = c->methods[i].count > most ? c->methods[i].count : most;
    nl_text_add(out, "\"level\":%g,\"t\":[null,null", c->level);
    for (int64_t n = 2; n <= most; n++)
        nl_text_add(out, ",%.6g", nl_student_quantile(0.5 + c->level / 2, (double)(n - 1)));
    nl_text_add(out, "],");
}

void nl_charts_json(const nl_compare *c, const nl_published *published, nl_text *out)
{
    charts p = {.c = c, .published = published, .out = out};
    nl_text_add(out, "{");
    add_methods(c, out);
    add_factors(c, out);
    nl_text_add(out, "\"charts\":[");
    add_learning(&p);
    each_place(&p, add_activations);
    each_place(&p, add_gradients);
    each_place(&p, add_gains);
    add_parameters(&p);
    add_time(&p);
    add_probes(&p);
    nl_text_add(out, "\n]}");
}
