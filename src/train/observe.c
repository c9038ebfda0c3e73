#include "train/observe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/lookup.h"
#include "kernel/update.h"
#include "train/moments.h"
#include "train/observe_steps.h"

/* Channels of one side (pre or post) of one slot. */
typedef struct side {
    int mean, std, min, max, percentiles, dead, saturated;
    int channel_mean, channel_std, position_mean, position_std; /* where there are positions */
} side;

typedef struct place {
    nl_layer *layer;
    int slot;
    side pre, post;
} place;

typedef struct variable {
    int item, channel;
} variable;

typedef struct parameter {
    int item, weight_norm, grad_norm;
} parameter;

struct nl_observer {
    nl_log *log;
    nl_model *model;
    int layers, norms, params; /* timelines */
    place *place;
    int places;
    variable *variable;
    int variables;
    parameter *parameter;
    int parameters;
    int grad_norm;
    nl_real *pre, *post;
    nl_summarizer *summarizer;
    nl_step_observer *in_time;
    double *row; /* the largest variable, as doubles */
};

/* ---- declaring */

/* Shape of a channel's row; rank 0 is a number. */
typedef struct extent {
    int rank;
    int64_t dim[2];
    const char *scale;
} extent;

static const extent number = {0};
static extent vector(int64_t count) { return (extent){.rank = 1, .dim = {count}}; }

static nl_status declare(nl_observer *o, int timeline, int *id, const char *doc, extent e,
                         const char *fmt, ...) NL_PRINTF(6, 7);
static nl_status declare(nl_observer *o, int timeline, int *id, const char *doc, extent e,
                         const char *fmt, ...)
{
    char path[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    const nl_channel c = {.path = path,
                          .timeline = timeline,
                          .type = NL_TYPE_REAL,
                          .unit = "1",
                          .doc = doc,
                          .rank = e.rank,
                          .dim = {e.dim[0], e.dim[1]},
                          .scale = {e.scale}};
    NL_TRY(nl_log_channel(o->log, &c, id));
    return NL_OK;
}

#define PERCENTILE_LABELS "/layers/percentile"

/* Positions of an image as (h, w), of a sequence as (s). */
static extent positions_of(const nl_shape *out)
{
    if (out->h * out->w == out->s)
        return (extent){.rank = 2, .dim = {out->h, out->w}};
    return vector(out->s);
}

static nl_status declare_side(nl_observer *o, side *s, const place *p, const char *which)
{
    const char *layer = p->layer->name, *slot = p->layer->ops->slots[p->slot].name;
    const nl_shape *out = &p->layer->out;
    const extent channels = vector(out->c), positions = positions_of(out);
    const extent shares = {1, {NL_PERCENTILES}, PERCENTILE_LABELS};
    const struct {
        int *id;
        const char *name, *doc;
        extent shape;
        bool positional;
    } rows[] = {
        {&s->mean, "mean", "mean over the batch and all units", number, false},
        {&s->std, "std", "standard deviation over the batch and all units", number, false},
        {&s->min, "min", "smallest value", number, false},
        {&s->max, "max", "largest value", number, false},
        {&s->percentiles, "percentiles", "percentiles over the batch and all units", shares, false},
        {&s->dead, "dead", "share of units whose activation is flat for the whole batch", number,
         false},
        {&s->saturated, "saturated", "share of values where the activation is flat", number, false},
        {&s->channel_mean, "channel_mean", "mean over the batch and all positions", channels, true},
        {&s->channel_std, "channel_std", "standard deviation over the batch and all positions",
         channels, true},
        {&s->position_mean, "position_mean", "mean over the batch and all channels", positions,
         true},
        {&s->position_std, "position_std", "standard deviation over the batch and all channels",
         positions, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (out->s > 1 || !rows[i].positional)
            NL_TRY(declare(o, o->layers, rows[i].id, rows[i].doc, rows[i].shape,
                           "/layers/%s/%s/%s/%s", layer, slot, which, rows[i].name));
    return NL_OK;
}

static nl_status declare_places(nl_observer *o)
{
    o->place = nl_alloc((size_t)nl_model_layers(o->model) * NL_SLOTS_MAX, sizeof *o->place);
    if (!o->place)
        return nl_fail(NL_ENOMEM, "observed slots");
    for (int i = 0; i < nl_model_layers(o->model); i++) {
        nl_layer *l = nl_model_layer(o->model, i);
        for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++) {
            if (!nl_layer_is_observed(l, k))
                continue;
            place *p = &o->place[o->places++];
            *p = (place){.layer = l, .slot = k};
            NL_TRY(declare_side(o, &p->pre, p, "pre"));
            NL_TRY(declare_side(o, &p->post, p, "post"));
        }
    }
    return NL_OK;
}

static nl_status declare_items(nl_observer *o)
{
    nl_store *s = nl_model_store(o->model);
    const int items = nl_store_count(s);
    int64_t widest = 1;
    o->variable = nl_alloc((size_t)items, sizeof *o->variable);
    o->parameter = nl_alloc((size_t)items, sizeof *o->parameter);
    if (!o->variable || !o->parameter)
        return nl_fail(NL_ENOMEM, "observed variables");
    for (int i = 0; i < items; i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->decl->flags & NL_LOGGED && it->count > 0) {
            variable *v = &o->variable[o->variables++];
            v->item = i;
            widest = it->count > widest ? it->count : widest;
            NL_TRY(declare(o, o->norms, &v->channel, it->decl->doc, vector(it->count),
                           "/norms/%s/%s", it->owner, it->decl->name));
        }
        if (it->grad) {
            parameter *p = &o->parameter[o->parameters++];
            p->item = i;
            NL_TRY(declare(o, o->params, &p->weight_norm, "Euclidean norm of the values", number,
                           "/params/%s/%s/weight_norm", it->owner, it->decl->name));
            NL_TRY(declare(o, o->params, &p->grad_norm, "Euclidean norm of the gradient", number,
                           "/params/%s/%s/grad_norm", it->owner, it->decl->name));
        }
    }
    o->row = nl_alloc((size_t)widest, sizeof *o->row);
    return o->row ? NL_OK : nl_fail(NL_ENOMEM, "a row of %lld values", (long long)widest);
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static nl_status take_buffers(nl_observer *o, int64_t n)
{
    int64_t widest = 1, channels = 1, positions = 1;
    for (int i = 0; i < o->places; i++) {
        const nl_shape *out = &o->place[i].layer->out;
        widest = larger(widest, out->s * out->c);
        channels = larger(channels, out->c);
        positions = larger(positions, out->s);
    }
    o->pre = nl_alloc((size_t)(n * widest), sizeof *o->pre);
    o->post = nl_alloc((size_t)(n * widest), sizeof *o->post);
    if (!o->pre || !o->post)
        return nl_fail(NL_ENOMEM, "buffers of %lld activations", (long long)(n * widest));
    return nl_summarizer_open(&o->summarizer, n * widest, n * positions, positions, channels);
}

nl_status nl_observer_open(nl_observer **out, nl_log *log, nl_model *m, int64_t n)
{
    enum { ROWS = 32 };
    nl_status st = NL_OK;
    *out = NULL;
    nl_observer *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "the observer");
    o->log = log;
    o->model = m;
    NL_GO(nl_log_timeline(log, "/layers", "step", "optimizer steps", ROWS, &o->layers));
    NL_GO(nl_log_timeline(log, "/norms", "step", "optimizer steps", ROWS, &o->norms));
    NL_GO(nl_log_timeline(log, "/params", "step", "optimizer steps", ROWS, &o->params));
    NL_GO(nl_log_labels(log, PERCENTILE_LABELS, nl_percentiles, NL_PERCENTILES));
    NL_GO(declare_places(o));
    NL_GO(declare_items(o));
    NL_GO(declare(o, o->params, &o->grad_norm, "Euclidean norm of all gradients together", number,
                  "/params/grad_norm"));
    NL_GO(take_buffers(o, n));
    NL_GO(nl_step_observer_open(&o->in_time, log, o->layers, m, n));
    *out = o;
    return NL_OK;
done:
    nl_observer_close(o);
    return st;
}

void nl_observer_close(nl_observer *o)
{
    if (!o)
        return;
    nl_free(o->place);
    nl_free(o->variable);
    nl_free(o->parameter);
    nl_free(o->pre);
    nl_free(o->post);
    nl_summarizer_close(o->summarizer);
    nl_step_observer_close(o->in_time);
    nl_free(o->row);
    nl_free(o);
}

/* ---- writing */

static void put_side(nl_observer *o, const side *s, const nl_summary *v)
{
    nl_log_put(o->log, s->mean, &v->mean);
    nl_log_put(o->log, s->std, &v->std);
    nl_log_put(o->log, s->min, &v->min);
    nl_log_put(o->log, s->max, &v->max);
    nl_log_put(o->log, s->percentiles, v->percentiles);
    nl_log_put(o->log, s->dead, &v->dead);
    nl_log_put(o->log, s->saturated, &v->saturated);
    if (!v->position_mean)
        return;
    nl_log_put(o->log, s->channel_mean, v->channel_mean);
    nl_log_put(o->log, s->channel_std, v->channel_std);
    nl_log_put(o->log, s->position_mean, v->position_mean);
    nl_log_put(o->log, s->position_std, v->position_std);
}

static void observe_place(nl_observer *o, const place *p, const nl_layer_call *c)
{
    const nl_layer *l = p->layer;
    const int64_t rows = c->n * l->out.s;
    nl_values v = {.at = o->pre, .n = c->n, .s = l->out.s, .c = l->out.c, .act = NL_LINEAR};
    nl_summary summary;
    l->ops->observe(p->layer, c, p->slot, o->pre, o->post);
    /* padding is in no summary */
    v.live = l->out.s == l->in.s ? c->live : NULL;
    v.rows = nl_layer_keep_live(v.live, o->pre, rows, v.c);
    nl_layer_keep_live(v.live, o->post, rows, v.c);
    if (l->ops->slots[p->slot].site == NL_AT_PREACT) {
        v.act = l->ops->activation(l);
        v.bias = l->ops->late_bias(l);
    }
    nl_summarize(o->summarizer, &v, &summary);
    put_side(o, &p->pre, &summary);
    v.at = o->post;
    if (l->norm[p->slot])
        nl_summarize(o->summarizer, &v, &summary);
    put_side(o, &p->post, &summary);
}

void nl_observe_layers(nl_observer *o, const nl_layer_call *call)
{
    nl_layer_call c;
    for (int i = 0; i < o->places; i++) {
        nl_model_layer_input(o->model, o->place[i].layer, call, &c);
        c.update = false;
        observe_place(o, &o->place[i], &c);
    }
    nl_observe_steps(o->in_time, call);
}

static double squares(const nl_real *v, int64_t count)
{
    double lane[NL_SQUARE_LANES] = {0}, sum = 0;
    nl_update_kernel()->squares(v, count, 0, lane);
    for (int i = 0; i < NL_SQUARE_LANES; i++)
        sum += lane[i];
    return sum;
}

static double gradient_squares(const nl_item *it)
{
    double sum = 0;
    if (!it->lookup)
        return squares(it->grad, it->count);
    for (int64_t i = 0; i < it->lookup->count; i++)
        sum += squares(it->grad + it->lookup->touched[i] * it->cols, it->cols);
    return sum;
}

static void put_norms(nl_observer *o, const parameter *p, bool tables, double *all)
{
    const nl_item *it = nl_store_at(nl_model_store(o->model), p->item);
    const double sum = gradient_squares(it), norm = sqrt(sum);
    *all += sum;
    nl_log_put(o->log, p->grad_norm, &norm);
    if (it->lookup && !tables)
        return;
    if (it->lookup)
        nl_lookup_read(it, NULL, it->rows);
    const double weight = sqrt(squares(it->val, it->count));
    nl_log_put(o->log, p->weight_norm, &weight);
}

static void put_variable(nl_observer *o, const variable *v)
{
    const nl_item *it = nl_store_at(nl_model_store(o->model), v->item);
    for (int64_t i = 0; i < it->count; i++)
        switch (it->decl->type) {
        case NL_TYPE_REAL: o->row[i] = (double)((const nl_real *)it->val)[i]; break;
        case NL_TYPE_DOUBLE: o->row[i] = ((const double *)it->val)[i]; break;
        case NL_TYPE_INT64: o->row[i] = (double)((const int64_t *)it->val)[i]; break;
        }
    nl_log_put(o->log, v->channel, o->row);
}

nl_status nl_observe_parameters(nl_observer *o, int64_t step, bool tables)
{
    double sum = 0;
    for (int i = 0; i < o->variables; i++)
        put_variable(o, &o->variable[i]);
    for (int i = 0; i < o->parameters; i++)
        put_norms(o, &o->parameter[i], tables, &sum);
    const double all = sqrt(sum);
    nl_log_put(o->log, o->grad_norm, &all);
    nl_observe_step_gradients(o->in_time);
    NL_TRY(nl_log_row(o->log, o->layers, step));
    NL_TRY(nl_log_row(o->log, o->norms, step));
    NL_TRY(nl_log_row(o->log, o->params, step));
    return NL_OK;
}
