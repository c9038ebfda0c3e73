#include "analysis/charts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* ---- what there is */

static int64_t forest_scores(const nl_compare *c, const nl_method *m, nl_interval *is, double *at)
{
    *is = m->score;
    return nl_compare_scores(c, m, at);
}

static int64_t forest_differences(const nl_compare *c, const nl_method *m, nl_interval *is,
                                  double *at)
{
    double *baseline = nl_alloc((size_t)m->count, sizeof *baseline);
    *is = m->difference;
    const int64_t n = baseline ? nl_compare_pairs(c, m, at, baseline) : 0;
    for (int64_t i = 0; i < n; i++)
        at[i] -= baseline[i];
    nl_free(baseline);
    return m == &c->methods[c->baseline] ? 0 : n;
}

static int64_t forest_ratios(const nl_compare *c, const nl_method *m, nl_interval *is, double *at)
{
    (void)c;
    (void)at;
    *is = m->ratio.is;
    if (m->ratio.bound != NL_BOUND_EXACT)
        is->n = 0;
    return 0;
}

#define KIND(is, in, says) .name = is, .section = in, .title = says
#define SHARE .scale = 100, .unit = "%"
#define SEVEN .shape = NL_BANDS, .percentiles = true, .note = "percentiles 5, 15, 50, 85, 95"
#define CHANNELS .shape = NL_BANDS, .note = "percentiles 5 to 95 over channels"
#define RIDGES .shape = NL_RIDGES, .note = "densities along training, cut at 0.2 and 99.8 %"
#define FOREST(of) .shape = NL_FOREST, .forest = of

static const char at_end[] = "At the end", learning[] = "Learning curves",
                  activations[] = "Activations", gradients[] = "Gradients of activations",
                  gains[] = "Gamma and beta", population[] = "Running statistics",
                  weights[] = "Weights and gradients", over_time[] = "Over time steps";

static const nl_chart_kind kinds[] = {
    {KIND("differences", at_end, "Difference to "), FOREST(forest_differences), .to_baseline = true,
     .note = "by seed; dots are pairs, bars intervals of the mean"},
    {KIND("ratios", at_end, "Steps to the target, as a factor of those of "), .to_baseline = true,
     FOREST(forest_ratios), .nothing = 1, .logarithmic = true, .unit = "factor",
     .note = "by seed; bars are intervals of the geometric mean"},
    {KIND("scores", at_end, "Score"), FOREST(forest_scores), .nothing = NAN,
     .note = "dots are runs, bars intervals of the mean"},

    {KIND("sensitivity", "Sensitivity", "Score over"), .shape = NL_VIEW,
     .note = "the last value of each run; bars are intervals of the mean over seeds, or the range "
             "of few"},

    {KIND("loss", learning, "Training loss"), .channel = "/steps/loss", .unit = "nats",
     .logarithmic = true, .note = "averaged over bins of steps"},
    {KIND("test-accuracy", learning, "Test accuracy"), .channel = "/evals/test_accuracy", SHARE},
    {KIND("validation-accuracy", learning, "Validation accuracy"), .channel = "/evals/val_accuracy",
     SHARE},
    {KIND("test-bits", learning, "Test bits per character"),
     .channel = "/evals/test_bits_per_character", .unit = "bits"},
    {KIND("validation-bits", learning, "Validation bits per character"),
     .channel = "/evals/val_bits_per_character", .unit = "bits"},
    {KIND("test-loss", learning, "Test loss"), .channel = "/evals/test_loss", .unit = "nats",
     .logarithmic = true},
    {KIND("validation-loss", learning, "Validation loss"), .channel = "/evals/val_loss",
     .unit = "nats", .logarithmic = true},

    {KIND("percentiles", activations, "after the norm"), .channel = "/layers/@/post/percentiles",
     SEVEN},
    {KIND("percentiles-before", activations, "before the norm"),
     .channel = "/layers/@/pre/percentiles", SEVEN},
    {KIND("ridgelines", activations, "distribution after the norm"),
     .channel = "/histograms/@/post/counts", RIDGES},
    {KIND("ridgelines-before", activations, "distribution before the norm"),
     .channel = "/histograms/@/pre/counts", RIDGES},
    {KIND("std", activations, "standard deviation after the norm"),
     .channel = "/layers/@/post/std"},
    {KIND("skewness", activations, "skewness after the norm"),
     .channel = "/layers/@/post/skewness"},
    {KIND("kurtosis", activations, "kurtosis after the norm"), .channel = "/layers/@/post/kurtosis",
     .logarithmic = true},
    {KIND("saturated", activations, "flat values after the norm"),
     .channel = "/layers/@/post/saturated", SHARE, .rare = true},
    {KIND("dead", activations, "dead units after the norm"), .channel = "/layers/@/post/dead",
     SHARE, .rare = true},

    {KIND("gradients", gradients, "at the norm's output"),
     .channel = "/gradients/@/post/percentiles", SEVEN},
    {KIND("gradients-before", gradients, "at the norm's input"),
     .channel = "/gradients/@/pre/percentiles", SEVEN},

    {KIND("gradient-ridgelines", gradients, "distribution at the norm's output"),
     .channel = "/gradient_histograms/@/post/counts", RIDGES},
    {KIND("gradient-ridgelines-before", gradients, "distribution at the norm's input"),
     .channel = "/gradient_histograms/@/pre/counts", RIDGES},

    {KIND("gamma", gains, "gamma"), .channel = "/norms/@/gamma", CHANNELS},
    {KIND("beta", gains, "beta"), .channel = "/norms/@/beta", CHANNELS},

    {KIND("running-kl", population, "divergence of batch from running statistics"),
     .channel = "/population/@/kl", .unit = "nats", CHANNELS},

    {KIND("gradient-cosine-of-all", weights, "Cosine of the gradients of successive steps"),
     .channel = "/cosine/cosine"},
    {KIND("gradient-cosine", weights, "cosine of the gradients of successive steps"),
     .channel = "/cosine/@/cosine"},
    {KIND("gradient-norm-of-all", weights, "Norm of all gradients"), .channel = "/params/grad_norm",
     .logarithmic = true},
    {KIND("gradient-norm", weights, "norm of the gradient"), .channel = "/params/@/grad_norm",
     .logarithmic = true},
    {KIND("weight-norm", weights, "norm of the weights"), .channel = "/params/@/weight_norm",
     .logarithmic = true},
    {KIND("effective-lr", weights, "effective learning rate, lr / |w|²"),
     .channel = "/params/@/effective_lr", .logarithmic = true},

    {KIND("gradient-steps", over_time, "norm of dL/dh"), .channel = "/layers/@/gradient_norm",
     .shape = NL_HEAT, .unit = "time step", .logarithmic = true},
    {KIND("std-steps", over_time, "standard deviation"), .channel = "/layers/@/step_std",
     .shape = NL_HEAT, .unit = "time step"},
    {KIND("gradient-std-steps", over_time, "standard deviation of dL/d(value)"),
     .channel = "/gradients/@/step_std", .shape = NL_HEAT, .unit = "time step",
     .logarithmic = true},

    {KIND("probe", "Probes", ""), .channel = "/probes/@", .is_probe = true},
};

const nl_chart_kind *nl_chart_kind_at(int i)
{
    return i < (int)(sizeof kinds / sizeof *kinds) ? &kinds[i] : NULL;
}

/* ---- which channel is of which kind */

/* Whether a name is of the pattern; *at and *n are then what stands for its @. */
static bool matches(const char *pattern, const char *name, const char **at, size_t *n)
{
    const size_t head = strcspn(pattern, "@"), whole = strlen(name);
    const size_t tail = pattern[head] ? strlen(pattern + head + 1) : 0;
    *at = name + head;
    *n = 0;
    if (!pattern[head])
        return strcmp(pattern, name) == 0;
    if (whole <= head + tail || strncmp(name, pattern, head) != 0 ||
        strcmp(name + whole - tail, pattern + head + 1) != 0)
        return false;
    *n = whole - head - tail;
    return true;
}

static const nl_chart_kind *kind_of(const char *name, const char **at, size_t *n)
{
    const nl_chart_kind *kind;
    for (int i = 0; (kind = nl_chart_kind_at(i)) != NULL; i++)
        if (kind->channel && matches(kind->channel, name, at, n))
            return kind;
    return NULL;
}

/* The steps of a channel's rows: the index of the nearest group above that has one. NULL: the
 * channel is no channel but labels or an index itself. */
static const nl_track *steps_of(const nl_rundata *run, const nl_track *v)
{
    int group = (int)strlen(v->name);
    const nl_track *step = NULL;
    while (group > 0 && !step) {
        do
            group--;
        while (group > 0 && v->name[group] != '/');
        step = nl_rundata_track(run, "%.*s/step", group, v->name);
    }
    return step && step != v && step->rows == v->rows && v->width > 0 ? step : NULL;
}

/* Something to see: a finite value, for shares one that is not 0. */
static bool shows(const nl_chart_kind *kind, const nl_track *v)
{
    for (int64_t i = 0; i < v->rows * v->width; i++)
        if (isfinite(v->at[i]) && !(kind->rare && v->at[i] == 0))
            return true;
    return false;
}

/* ---- the charts there are */

typedef struct finding {
    nl_charts *to;
    int64_t room;
    nl_text layers, places; /* names seen, each between two line ends, in order */
} finding;

static nl_chart *append(finding *f, const nl_chart_kind *kind)
{
    nl_charts *s = f->to;
    nl_chart *at = nl_alloc_more(s->at, s->count, &f->room, sizeof *at);
    if (!at)
        return NULL;
    s->at = at;
    nl_chart *chart = &s->at[s->count++];
    *chart = (nl_chart){.is = kind,
                        .shape = kind->shape,
                        .percentiles = kind->percentiles,
                        .scale = kind->scale != 0 ? kind->scale : 1,
                        .unit = kind->unit ? kind->unit : "",
                        .end = "",
                        .channel = "",
                        .layer = -1,
                        .place = -1,
                        .ref = NAN};
    return chart;
}

void nl_chart_add_title(const nl_chart *chart, nl_text *out)
{
    if (chart->shape == NL_VIEW)
        nl_text_add(out, "%s %s", chart->is->title, chart->of);
    else
        nl_text_add(out, "%s%s%s%s", chart->of, chart->of[0] && chart->is->title[0] ? ": " : "",
                    chart->is->title, chart->end);
}

size_t nl_chart_layer_length(const nl_chart *chart) { return strcspn(chart->of, "/"); }

/* The number of a name, by first appearance; it is added to those seen. */
static int64_t number_of(nl_text *seen, const char *name, size_t n)
{
    char line[160];
    int64_t ends = 0;
    snprintf(line, sizeof line, "\n%.*s\n", (int)n, name);
    if (!strstr(nl_text_of(seen), line))
        nl_text_add(seen, "%s", line);
    const char *all = nl_text_of(seen), *at = strstr(all, line);
    for (; at && all < at; all++)
        ends += *all == '\n';
    return ends / 2;
}

/* A probe's channel: percentiles of a unit, many values, or one. */
static void shape_probe(nl_chart *chart, const nl_track *v)
{
    chart->percentiles = strncmp(chart->of, "unit/", 5) == 0;
    chart->shape = v->width > 1 ? NL_BANDS : NL_LINE;
}

static nl_status add_chart(finding *f, const nl_chart_kind *kind, const nl_track *v, const char *of,
                           size_t n, nl_chart **out)
{
    const int64_t runs = f->to->c->runs_count;
    nl_chart *chart = *out = append(f, kind);
    const nl_track **tracks = chart ? nl_alloc((size_t)(2 * runs), sizeof *tracks) : NULL;
    if (!tracks)
        return nl_fail(NL_ENOMEM, "charts of %lld runs", (long long)runs);
    chart->value = tracks;
    chart->step = tracks + runs;
    chart->channel = v->name;
    snprintf(chart->of, sizeof chart->of, "%.*s", (int)n, of);
    if (n) {
        chart->layer = number_of(&f->layers, of, nl_chart_layer_length(chart));
        chart->place = number_of(&f->places, of, n);
    }
    if (kind->is_probe)
        shape_probe(chart, v);
    if (strcmp(v->name, "/evals/test_accuracy") == 0)
        chart->ref = chart->scale * f->to->c->target;
    return NL_OK;
}

static nl_status take_channel(finding *f, int64_t run, const nl_track *v)
{
    const char *of;
    size_t n;
    const nl_chart_kind *kind = kind_of(v->name, &of, &n);
    const nl_track *step = kind ? steps_of(f->to->c->runs[run], v) : NULL;
    nl_chart *chart = NULL;
    if (!step || !shows(kind, v))
        return NL_OK;
    for (int64_t i = 0; i < f->to->count && !chart; i++)
        if (strcmp(f->to->at[i].channel, v->name) == 0)
            chart = &f->to->at[i];
    if (!chart)
        NL_TRY(add_chart(f, kind, v, of, n, &chart));
    chart->value[run] = v;
    chart->step[run] = step;
    return NL_OK;
}

/* One kind in all layers, so that they can be compared, then the next kind. */
static int by_kind_and_place(const void *left, const void *right)
{
    const nl_chart *a = left, *b = right;
    if (a->is != b->is)
        return a->is < b->is ? -1 : 1;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

/* A forest of one method, or of nothing measured, shows nothing. */
static nl_status add_forests(finding *f)
{
    const nl_compare *c = f->to->c;
    const nl_chart_kind *kind;
    double *at = nl_alloc((size_t)c->runs_count, sizeof *at);
    if (!at)
        return nl_fail(NL_ENOMEM, "charts of %lld runs", (long long)c->runs_count);
    for (int i = 0; (kind = nl_chart_kind_at(i)) != NULL; i++) {
        int64_t methods = 0;
        nl_interval is;
        for (int64_t m = 0; kind->forest && m < c->count; m++) {
            kind->forest(c, &c->methods[m], &is, at);
            methods += is.n > 0;
        }
        nl_chart *chart = methods > 0 ? append(f, kind) : NULL;
        if (!chart)
            continue;
        chart->ref = kind->nothing;
        if (kind->to_baseline)
            chart->end = c->methods[c->baseline].label;
        if (!kind->unit) {
            chart->scale = c->score->scale;
            chart->unit = c->score->title;
        }
    }
    nl_free(at);
    return NL_OK;
}

nl_status nl_charts_find(nl_charts *out, const nl_compare *c)
{
    nl_status st = NL_OK;
    finding f = {.to = out};
    *out = (nl_charts){.c = c};
    for (int64_t r = 0; r < c->runs_count; r++)
        for (int64_t i = 0; i < nl_rundata_tracks(c->runs[r]); i++)
            NL_GO(take_channel(&f, r, nl_rundata_track_at(c->runs[r], i)));
    NL_GO(nl_text_status(&f.layers));
    NL_GO(nl_text_status(&f.places));
    NL_GO(add_forests(&f));
    if (out->count)
        qsort(out->at, (size_t)out->count, sizeof *out->at, by_kind_and_place);
done:
    nl_text_free(&f.layers);
    nl_text_free(&f.places);
    if (st != NL_OK)
        nl_charts_free(out);
    return st;
}

nl_status nl_charts_find_views(nl_charts *out, const nl_study *s)
{
    finding f = {.to = out};
    const nl_chart_kind *kind = kinds;
    *out = (nl_charts){.study = s};
    while (kind->shape != NL_VIEW)
        kind++;
    for (int64_t v = 0; s->score && v < s->views; v++) {
        nl_chart *chart = append(&f, kind);
        if (!chart) {
            nl_charts_free(out);
            return nl_fail(NL_ENOMEM, "charts of %lld views", (long long)s->views);
        }
        chart->view = &s->view[v];
        chart->scale = s->score->scale;
        chart->unit = s->score->title;
        snprintf(chart->of, sizeof chart->of, "%s%s%s", s->view[v].key,
                 s->view[v].rest.used ? " at " : "", nl_text_of(&s->view[v].rest));
    }
    return NL_OK;
}

void nl_charts_free(nl_charts *s)
{
    for (int64_t i = 0; i < s->count; i++)
        nl_free(s->at[i].value);
    nl_free(s->at);
    *s = (nl_charts){0};
}

static bool is_hidden(const nl_chart *chart)
{
    const size_t n = nl_chart_layer_length(chart);
    return n != 3 || strncmp(chart->of, "out", 3) != 0;
}

/* All of its name, or what comes before " at " or the first "/". */
static bool is_of(const nl_chart *chart, const char *of)
{
    const size_t n = strlen(of);
    const char *rest = chart->of + n;
    return strncmp(chart->of, of, n) == 0 &&
           (!*rest || *rest == '/' || strncmp(rest, " at ", 4) == 0);
}

const nl_chart *nl_charts_one(const nl_charts *s, const nl_chart_kind *kind, const char *of)
{
    const nl_chart *best = NULL;
    for (int64_t i = 0; i < s->count; i++) {
        const nl_chart *chart = &s->at[i];
        if (chart->is != kind || (of && !is_of(chart, of)))
            continue;
        if (!best || (!of && is_hidden(chart) && chart->layer > best->layer))
            best = chart;
    }
    return best;
}
