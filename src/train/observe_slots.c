#include "train/observe_slots.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "train/moments.h"
#include "train/population.h"

/* What is looked at: its summary and its histogram are channels. */
typedef enum kind { ACTIVATION, GRADIENT, KINDS } kind;
static const struct {
    nl_log_channel_id summary, histogram;
} channels_of[KINDS] = {[ACTIVATION] = {NL_LOG_ACTIVATIONS, NL_LOG_HISTOGRAMS},
                        [GRADIENT] = {NL_LOG_GRADIENTS, NL_LOG_GRADIENT_HISTOGRAMS}};

/* ---- what a summary writes */

typedef enum shape { NUMBER, PERCENTILES, BY_CHANNEL, BY_POSITION } shape;

static const struct row {
    const char *name, *doc;
    shape shape;
    size_t at; /* in nl_summary */
    bool of_activations_only;
} rows[] = {
#define ROW(name, shape, doc)                                \
    {                                                        \
#name, doc, shape, offsetof(nl_summary, name), false \
    }
    ROW(mean, NUMBER, "mean over the batch and all units"),
    ROW(std, NUMBER, "standard deviation over the batch and all units"),
    ROW(skewness, NUMBER, "third standardized moment over the batch and all units"),
    ROW(kurtosis, NUMBER, "fourth standardized moment over the batch and all units"),
    ROW(min, NUMBER, "smallest value"),
    ROW(max, NUMBER, "largest value"),
    ROW(percentiles, PERCENTILES, "percentiles over the batch and all units"),
    ROW(channel_mean, BY_CHANNEL, "mean over the batch and all positions"),
    ROW(channel_std, BY_CHANNEL, "standard deviation over the batch and all positions"),
    ROW(position_mean, BY_POSITION, "mean over the batch and all channels"),
    ROW(position_std, BY_POSITION, "standard deviation over the batch and all channels"),
#undef ROW
    {"dead", "share of units whose activation is flat for the whole batch", NUMBER,
     offsetof(nl_summary, dead), true},
    {"saturated", "share of values where the activation is flat", NUMBER,
     offsetof(nl_summary, saturated), true}};

enum { ROWS = sizeof rows / sizeof *rows };

static bool has_row(const nl_layer *l, kind k, const struct row *row)
{
    const bool positional = row->shape == BY_CHANNEL || row->shape == BY_POSITION;
    return (l->out.s > 1 || !positional) && (k == ACTIVATION || !row->of_activations_only);
}

static const double *value_of(const struct row *row, const nl_summary *s)
{
    const char *at = (const char *)s + row->at;
    const bool points = row->shape == BY_CHANNEL || row->shape == BY_POSITION;
    return points ? *(const double *const *)(const void *)at : (const double *)(const void *)at;
}

/* ---- places */

/* Data sets of one side of a slot. */
typedef struct side {
    int row[ROWS];
    nl_agenda_histogram histogram;
} side;

typedef struct place {
    nl_layer *layer;
    int slot;
    bool keeps[NL_LOG_CHANNELS];
    int64_t told; /* at this step, by its layer */
    side side[KINDS][NL_SIDES];
    nl_running running;
    int kl;
} place;

/* What was found of some values. */
typedef struct finding {
    nl_summary summary;
    int64_t count[NL_HISTOGRAM_BINS + 1];
} finding;

struct nl_slot_observer {
    nl_watch watch;
    const nl_agenda *agenda;
    place *place;
    int places;
    nl_real *pre, *post;
    double *kl;
    nl_summarizer *summarizer;
    finding found;
};

/* ---- declaring */

#define PERCENTILE_LABELS "percentile"

static nl_status declare_labels(const nl_agenda *a, nl_log_channel_id id, const char *name,
                                const double *values, int64_t count)
{
    char path[64];
    if (!a->every[id])
        return NL_OK;
    nl_agenda_labels(id, name, path, sizeof path);
    return nl_log_labels(a->set.log, path, values, count);
}

static nl_status declare_all_labels(const nl_agenda *a)
{
    double edge[NL_HISTOGRAM_BINS];
    nl_histogram_edges(edge);
    for (int k = 0; k < KINDS; k++) {
        NL_TRY(declare_labels(a, channels_of[k].summary, PERCENTILE_LABELS, nl_percentiles,
                              NL_PERCENTILES));
        NL_TRY(declare_labels(a, channels_of[k].histogram, NL_BIN_LABELS, edge, NL_HISTOGRAM_BINS));
    }
    return NL_OK;
}

/* Positions of an image as (h, w), of a sequence as (s). */
static void set_positions(const nl_shape *out, nl_channel *c)
{
    const bool image = out->h * out->w == out->s;
    c->rank = image ? 2 : 1;
    c->dim[0] = image ? out->h : out->s;
    c->dim[1] = out->w;
}

static void set_shape(const nl_shape *out, shape is, const char *percentiles, nl_channel *c)
{
    switch (is) {
    case NUMBER: return;
    case PERCENTILES:
        c->rank = 1;
        c->dim[0] = NL_PERCENTILES;
        c->scale[0] = percentiles;
        return;
    case BY_CHANNEL:
        c->rank = 1;
        c->dim[0] = out->c;
        return;
    case BY_POSITION: set_positions(out, c);
    }
}

static nl_status declare_summary(const nl_agenda *a, place *p, kind k, nl_side which)
{
    const nl_log_channel_id id = channels_of[k].summary;
    char labels[64];
    nl_agenda_labels(id, PERCENTILE_LABELS, labels, sizeof labels);
    for (int i = 0; i < ROWS; i++) {
        nl_channel c = {.type = NL_TYPE_REAL, .unit = "1", .doc = rows[i].doc};
        if (!has_row(p->layer, k, &rows[i]))
            continue;
        set_shape(&p->layer->out, rows[i].shape, labels, &c);
        NL_TRY(nl_agenda_declare(a, id, &c, &p->side[k][which].row[i], "%s/%s/%s/%s",
                                 p->layer->name, p->layer->ops->slots[p->slot].name,
                                 nl_side_names[which], rows[i].name));
    }
    return NL_OK;
}

static nl_status declare_population(const nl_agenda *a, place *p)
{
    const nl_channel c = {.type = NL_TYPE_REAL,
                          .unit = "nats",
                          .doc = "divergence of the batch from what runs along",
                          .rank = 1,
                          .dim = {p->layer->out.c}};
    p->running = nl_running_of(p->layer, p->slot);
    p->keeps[NL_LOG_POPULATION] = p->keeps[NL_LOG_POPULATION] && p->running.mean;
    if (p->keeps[NL_LOG_POPULATION])
        NL_TRY(nl_agenda_declare(a, NL_LOG_POPULATION, &c, &p->kl, "%s/%s/kl", p->layer->name,
                                 p->layer->ops->slots[p->slot].name));
    return NL_OK;
}

static nl_status declare_place(const nl_agenda *a, place *p)
{
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        p->keeps[k] = nl_agenda_keeps(a, (nl_log_channel_id)k, p->layer->name);
    for (int k = 0; k < KINDS; k++)
        for (int which = 0; which < NL_SIDES; which++) {
            if (p->keeps[channels_of[k].summary])
                NL_TRY(declare_summary(a, p, (kind)k, (nl_side)which));
            if (p->keeps[channels_of[k].histogram])
                NL_TRY(nl_agenda_declare_histogram(a, channels_of[k].histogram, p->layer->name,
                                                   p->layer->ops->slots[p->slot].name,
                                                   (nl_side)which, &p->side[k][which].histogram));
        }
    NL_TRY(declare_population(a, p));
    return NL_OK;
}

static nl_status declare_places(nl_slot_observer *o)
{
    nl_model *m = o->agenda->set.model;
    o->place = nl_alloc((size_t)nl_model_layers(m) * NL_SLOTS_MAX, sizeof *o->place);
    if (!o->place)
        return nl_fail(NL_ENOMEM, "observed slots");
    for (int i = 0; i < nl_model_layers(m); i++) {
        nl_layer *l = nl_model_layer(m, i);
        for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++) {
            if (!nl_layer_is_observed(l, k))
                continue;
            place *p = &o->place[o->places++];
            *p = (place){.layer = l, .slot = k};
            NL_TRY(declare_place(o->agenda, p));
        }
    }
    return NL_OK;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static nl_status take_buffers(nl_slot_observer *o)
{
    const int64_t n = o->agenda->set.n;
    int64_t widest = 1, channels = 1, positions = 1;
    for (int i = 0; i < o->places; i++) {
        const nl_shape *out = &o->place[i].layer->out;
        widest = larger(widest, out->s * out->c);
        channels = larger(channels, out->c);
        positions = larger(positions, out->s);
    }
    o->pre = nl_alloc((size_t)(n * widest), sizeof *o->pre);
    o->post = nl_alloc((size_t)(n * widest), sizeof *o->post);
    o->kl = nl_alloc((size_t)(2 * channels), sizeof *o->kl);
    if (!o->pre || !o->post || !o->kl)
        return nl_fail(NL_ENOMEM, "buffers of %lld activations", (long long)(n * widest));
    o->watch.room = o->post;
    return nl_summarizer_open(&o->summarizer, n, widest, positions, channels);
}

static void see_gradient(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot,
                         nl_side which, const nl_real *g);
static void see_value(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot);

nl_status nl_slot_observer_open(nl_slot_observer **out, const nl_agenda *a)
{
    nl_status st = NL_OK;
    *out = NULL;
    nl_slot_observer *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "the observer of slots");
    o->agenda = a;
    o->watch.slot = see_gradient;
    o->watch.value = see_value;
    NL_GO(declare_all_labels(a));
    NL_GO(declare_places(o));
    NL_GO(take_buffers(o));
    *out = o;
    return NL_OK;
done:
    nl_slot_observer_close(o);
    return st;
}

void nl_slot_observer_close(nl_slot_observer *o)
{
    if (!o)
        return;
    nl_free(o->place);
    nl_free(o->pre);
    nl_free(o->post);
    nl_free(o->kl);
    nl_summarizer_close(o->summarizer);
    nl_free(o);
}

/* ---- looking */

static bool is_due(const nl_slot_observer *o, const place *p, nl_log_channel_id id)
{
    return p->keeps[id] && o->agenda->due[id];
}

static bool summary_is_due(const nl_slot_observer *o, const place *p, kind k)
{
    return is_due(o, p, channels_of[k].summary);
}

static bool histogram_is_due(const nl_slot_observer *o, const place *p, kind k)
{
    return is_due(o, p, channels_of[k].histogram);
}

static bool kind_is_due(const nl_slot_observer *o, const place *p, kind k)
{
    return summary_is_due(o, p, k) || histogram_is_due(o, p, k);
}

static void look(nl_slot_observer *o, const place *p, kind k, const nl_values *v)
{
    if (summary_is_due(o, p, k))
        nl_summarize(o->summarizer, v, &o->found.summary);
    if (histogram_is_due(o, p, k))
        nl_histogram(v->at, v->rows * v->c, o->found.count);
}

static void put(nl_slot_observer *o, const place *p, kind k, nl_side which)
{
    nl_log *log = o->agenda->set.log;
    const side *s = &p->side[k][which];
    for (int i = 0; i < ROWS && summary_is_due(o, p, k); i++)
        if (has_row(p->layer, k, &rows[i]))
            nl_log_put(log, s->row[i], value_of(&rows[i], &o->found.summary));
    if (histogram_is_due(o, p, k))
        nl_agenda_put_histogram(o->agenda, &s->histogram, o->found.count);
}

/* Values of the slot that the call fills; padding is in no summary. */
static nl_values values_of(const nl_layer *l, const nl_layer_call *c)
{
    return (nl_values){.n = c->n,
                       .s = l->out.s,
                       .c = l->out.c,
                       .live = l->out.s == l->in.s ? c->live : NULL,
                       .act = NL_LINEAR};
}

static void put_population(nl_slot_observer *o, const place *p, const nl_values *v)
{
    if (!is_due(o, p, NL_LOG_POPULATION))
        return;
    nl_running_divergence(&p->running, v->at, v->rows, o->kl);
    nl_log_put(o->agenda->set.log, p->kl, o->kl);
}

static place *find_place(const nl_slot_observer *o, const nl_layer *l, int slot)
{
    for (int i = 0; i < o->places; i++)
        if (o->place[i].layer == l && o->place[i].slot == slot)
            return &o->place[i];
    return NULL;
}

/* v has the values of the slot before its norm, in the memory of pre. */
static void look_at_pre(nl_slot_observer *o, const place *p, nl_values *v, nl_real *pre)
{
    const nl_layer *l = p->layer;
    v->at = pre;
    v->rows = nl_layer_keep_live(v->live, pre, v->n * v->s, v->c);
    if (l->ops->slots[p->slot].site == NL_AT_PREACT) {
        v->act = l->ops->activation(l);
        v->bias = l->ops->late_bias(l);
    }
    look(o, p, ACTIVATION, v);
    put(o, p, ACTIVATION, NL_PRE);
}

static void look_at_activations(nl_slot_observer *o, const place *p, const nl_layer_call *c)
{
    const bool normed = p->layer->norm[p->slot];
    nl_values v = values_of(p->layer, c);
    p->layer->ops->observe(p->layer, c, p->slot, o->pre, normed ? o->post : NULL);
    look_at_pre(o, p, &v, o->pre);
    put_population(o, p, &v);
    if (normed) {
        v.at = o->post;
        nl_layer_keep_live(v.live, o->post, v.n * v.s, v.c);
        look(o, p, ACTIVATION, &v);
    }
    put(o, p, ACTIVATION, NL_POST);
}

void nl_observe_slots(nl_slot_observer *o, const nl_layer_call *call)
{
    nl_layer_call c;
    for (int i = 0; i < o->places; i++) {
        const place *p = &o->place[i];
        if (p->told == o->agenda->step ||
            (!kind_is_due(o, p, ACTIVATION) && !is_due(o, p, NL_LOG_POPULATION)))
            continue;
        nl_model_layer_input(o->agenda->set.model, p->layer, call, &c);
        c.update = false;
        look_at_activations(o, p, &c);
    }
}

/* ---- what layers tell */

nl_watch *nl_slot_observer_watch(nl_slot_observer *o)
{
    for (int i = 0; i < o->places; i++)
        if (kind_is_due(o, &o->place[i], ACTIVATION) || kind_is_due(o, &o->place[i], GRADIENT))
            return &o->watch;
    return NULL;
}

static void see_value(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot)
{
    nl_slot_observer *o = (nl_slot_observer *)w;
    place *p = find_place(o, l, slot);
    nl_values v = values_of(l, c);
    if (!p || !kind_is_due(o, p, ACTIVATION))
        return;
    p->told = o->agenda->step;
    look_at_pre(o, p, &v, w->room);
    put(o, p, ACTIVATION, NL_POST);
}

static void see_gradient(nl_watch *w, const nl_layer *l, const nl_layer_call *c, int slot,
                         nl_side which, const nl_real *g)
{
    nl_slot_observer *o = (nl_slot_observer *)w;
    const place *p = find_place(o, l, slot);
    nl_values v = values_of(l, c);
    if (!p || !kind_is_due(o, p, GRADIENT))
        return;
    v.at = g;
    if (v.live) {
        memcpy(o->pre, g, (size_t)(v.n * v.s * v.c) * sizeof *g);
        v.at = o->pre;
    }
    v.rows = nl_layer_keep_live(v.live, o->pre, v.n * v.s, v.c);
    look(o, p, GRADIENT, &v);
    put(o, p, GRADIENT, which);
}
