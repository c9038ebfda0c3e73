#include "train/observe_steps.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "train/moments.h"

/* What is looked at. */
typedef enum kind { ACTIVATION, GRADIENT, KINDS } kind;
static const nl_log_channel_id channel_of[KINDS] = {
    [ACTIVATION] = NL_LOG_ACTIVATIONS, [GRADIENT] = NL_LOG_GRADIENTS};
static const nl_log_channel_id histogram_of[KINDS] = {
    [ACTIVATION] = NL_LOG_HISTOGRAMS, [GRADIENT] = NL_LOG_GRADIENT_HISTOGRAMS};

enum { MOMENTS = 4 };

/* Channels of one side of one slot, in the order of nl_spread. */
typedef struct side {
    int channel[MOMENTS];
    double *at[MOMENTS]; /* (position) */
    nl_agenda_histogram histogram;
    int64_t count[NL_HISTOGRAM_BINS + 1]; /* over all positions */
} side;

typedef struct place {
    nl_layer *layer;
    int slot;
    bool in_cell; /* has a post and gradients at each step; the output is normed at another time */
    bool keeps[KINDS], counts[KINDS];
    side side[KINDS][NL_SIDES];
} place;

typedef struct length {
    const nl_layer *layer;
    int channel;
} length;

struct nl_step_observer {
    nl_step_watch watch;
    const nl_agenda *agenda;
    place *place;
    length *length;
    int places, lengths;
    double *row; /* of all sides */
    nl_real *pre, *post;
    nl_summarizer *summarizer;
};

/* ---- declaring */

static nl_status declare(const nl_step_observer *o, kind k, const nl_layer *l, const char *name,
                         const char *doc, int *id)
{
    const nl_channel c = {
        .type = NL_TYPE_REAL, .unit = "1", .doc = doc, .rank = 1, .dim = {l->in.s}};
    NL_TRY(nl_agenda_declare(o->agenda, channel_of[k], &c, id, "%s/%s", l->name, name));
    return NL_OK;
}

static bool has_side(const place *p, kind k, nl_side which)
{
    return p->keeps[k] && (p->in_cell || (k == ACTIVATION && which == NL_PRE));
}

static nl_status declare_side(const nl_step_observer *o, place *p, kind k, nl_side which)
{
    static const char *const names[MOMENTS] = {"mean", "std", "min", "max"};
    static const char *const docs[MOMENTS] = {"mean over the batch and all units at each step",
                                              "the same: standard deviation", "smallest value",
                                              "largest value"};
    char name[64];
    for (int i = 0; i < MOMENTS && has_side(p, k, which); i++) {
        snprintf(name, sizeof name, "%s/%s/step_%s", p->layer->ops->slots[p->slot].name,
                 nl_side_names[which], names[i]);
        NL_TRY(declare(o, k, p->layer, name, docs[i], &p->side[k][which].channel[i]));
    }
    return NL_OK;
}

static nl_status declare_place(const nl_step_observer *o, place *p)
{
    for (int k = 0; k < KINDS; k++) {
        p->keeps[k] = nl_agenda_keeps(o->agenda, channel_of[k], p->layer->name);
        for (int which = 0; which < NL_SIDES; which++)
            NL_TRY(declare_side(o, p, (kind)k, (nl_side)which));
    }
    return NL_OK;
}

/* That of the output is one of whole sequences (observe_slots.h). */
static nl_status declare_histograms(const nl_step_observer *o, place *p)
{
    for (int k = 0; k < KINDS; k++) {
        p->counts[k] = p->in_cell && nl_agenda_keeps(o->agenda, histogram_of[k], p->layer->name);
        for (int which = 0; which < NL_SIDES && p->counts[k]; which++)
            NL_TRY(nl_agenda_declare_histogram(o->agenda, histogram_of[k], p->layer->name,
                                               p->layer->ops->slots[p->slot].name, (nl_side)which,
                                               &p->side[k][which].histogram));
    }
    return NL_OK;
}

static nl_status declare_layer(nl_step_observer *o, nl_layer *l)
{
    for (int k = 0; l->ops->slots[k].name; k++) {
        place *p = &o->place[o->places++];
        *p = (place){.layer = l, .slot = k, .in_cell = l->ops->slots[k].site == NL_AT_RNN};
        NL_TRY(declare_place(o, p));
        NL_TRY(declare_histograms(o, p));
    }
    if (!nl_agenda_keeps(o->agenda, NL_LOG_ACTIVATIONS, l->name))
        return NL_OK;
    length *d = &o->length[o->lengths++];
    d->layer = l;
    return declare(o, ACTIVATION, l, "gradient_norm",
                   "mean over the batch of the Euclidean norm of dL/dh_t", &d->channel);
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static nl_status take_buffers(nl_step_observer *o, int64_t n)
{
    enum { SIDES = KINDS * NL_SIDES };
    int64_t steps = 1, channels = 1;
    for (int i = 0; i < o->places; i++) {
        const nl_layer *l = o->place[i].layer;
        steps = larger(steps, l->in.s);
        channels = larger(channels, l->ops->slot_geom(l, o->place[i].slot).c);
    }
    o->row = nl_alloc((size_t)(o->places * SIDES * MOMENTS * steps), sizeof *o->row);
    o->pre = nl_alloc((size_t)(n * channels), sizeof *o->pre);
    o->post = nl_alloc((size_t)(n * channels), sizeof *o->post);
    if (!o->row || !o->pre || !o->post)
        return nl_fail(NL_ENOMEM, "a step of %lld activations", (long long)(n * channels));
    for (int i = 0; i < o->places * SIDES; i++)
        for (int k = 0; k < MOMENTS; k++)
            o->place[i / SIDES].side[i % SIDES / NL_SIDES][i % NL_SIDES].at[k] =
                o->row + (i * MOMENTS + k) * steps;
    return nl_summarizer_open(&o->summarizer, n, channels, 1, channels);
}

static void see_gradient(nl_step_watch *w, const nl_layer *l, int slot, nl_side which,
                         int64_t position, int64_t n, const uint8_t *live, const nl_real *g);

static size_t recurrent_layers(nl_model *m)
{
    size_t count = 0;
    for (int i = 0; i < nl_model_layers(m); i++)
        count += nl_model_layer(m, i)->ops->observe_step != NULL;
    return count;
}

nl_status nl_step_observer_open(nl_step_observer **out, const nl_agenda *a)
{
    nl_status st = NL_OK;
    nl_model *m = a->set.model;
    const size_t layers = recurrent_layers(m);
    *out = NULL;
    nl_step_observer *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "the observer of steps");
    o->agenda = a;
    o->watch.gradient = see_gradient;
    o->place = nl_alloc(layers * NL_SLOTS_MAX, sizeof *o->place);
    o->length = nl_alloc(layers, sizeof *o->length);
    if (!o->place || !o->length)
        NL_BAIL(NL_ENOMEM, "observed steps");
    for (int i = 0; i < nl_model_layers(m); i++)
        if (nl_model_layer(m, i)->ops->observe_step)
            NL_GO(declare_layer(o, nl_model_layer(m, i)));
    NL_GO(take_buffers(o, a->set.n));
    *out = o;
    return NL_OK;
done:
    nl_step_observer_close(o);
    return st;
}

void nl_step_observer_close(nl_step_observer *o)
{
    if (!o)
        return;
    nl_free(o->place);
    nl_free(o->length);
    nl_free(o->row);
    nl_free(o->pre);
    nl_free(o->post);
    nl_summarizer_close(o->summarizer);
    nl_free(o);
}

/* ---- looking */

static bool moments_are_due(const nl_step_observer *o, const place *p, kind k)
{
    return p->keeps[k] && o->agenda->due[channel_of[k]];
}

static bool histogram_is_due(const nl_step_observer *o, const place *p, kind k)
{
    return p->counts[k] && o->agenda->due[histogram_of[k]];
}

static bool is_due(const nl_step_observer *o, const place *p, kind k)
{
    return moments_are_due(o, p, k) || histogram_is_due(o, p, k);
}

static void set_step(const side *s, int64_t t, nl_spread v)
{
    s->at[0][t] = v.mean;
    s->at[1][t] = v.std;
    s->at[2][t] = v.min;
    s->at[3][t] = v.max;
}

static int64_t channels_of(const place *p) { return p->layer->ops->slot_geom(p->layer, p->slot).c; }

/* (rows, channels) values of a position. */
static void look(nl_step_observer *o, place *p, kind k, nl_side which, int64_t position,
                 const nl_real *v, int64_t rows)
{
    const int64_t channels = channels_of(p);
    side *s = &p->side[k][which];
    if (moments_are_due(o, p, k))
        set_step(s, position, nl_spread_of(o->summarizer, v, rows, channels));
    if (histogram_is_due(o, p, k))
        nl_histogram_add(v, rows * channels, s->count);
}

static void put_side(const nl_step_observer *o, place *p, kind k, nl_side which)
{
    side *s = &p->side[k][which];
    for (int i = 0; i < MOMENTS && moments_are_due(o, p, k) && has_side(p, k, which); i++)
        nl_log_put(o->agenda->set.log, s->channel[i], s->at[i]);
    if (histogram_is_due(o, p, k))
        nl_agenda_put_histogram(o->agenda, &s->histogram, s->count);
    memset(s->count, 0, sizeof s->count);
}

static void put_place(const nl_step_observer *o, place *p, kind k)
{
    for (int which = 0; which < NL_SIDES; which++)
        put_side(o, p, k, (nl_side)which);
}

static void observe_place(nl_step_observer *o, place *p, const nl_layer_call *c)
{
    nl_layer *l = p->layer;
    const bool normed = p->in_cell && l->norm[p->slot];
    for (int64_t t = 0; t < l->in.s; t++) {
        const int64_t live =
            l->ops->observe_step(l, c, p->slot, t, o->pre, normed ? o->post : NULL);
        look(o, p, ACTIVATION, NL_PRE, t, o->pre, live);
        look(o, p, ACTIVATION, NL_POST, t, normed ? o->post : o->pre, live);
    }
    put_place(o, p, ACTIVATION);
}

void nl_observe_steps(nl_step_observer *o, const nl_layer_call *call)
{
    nl_layer_call c;
    for (int i = 0; i < o->places; i++) {
        if (!is_due(o, &o->place[i], ACTIVATION))
            continue;
        nl_model_layer_input(o->agenda->set.model, o->place[i].layer, call, &c);
        c.update = false;
        observe_place(o, &o->place[i], &c);
    }
}

/* ---- gradients */

nl_step_watch *nl_step_observer_watch(nl_step_observer *o)
{
    for (int i = 0; i < o->places; i++)
        if (is_due(o, &o->place[i], GRADIENT))
            return &o->watch;
    return NULL;
}

static place *find_place(const nl_step_observer *o, const nl_layer *l, int slot)
{
    for (int i = 0; i < o->places; i++)
        if (o->place[i].layer == l && o->place[i].slot == slot)
            return &o->place[i];
    return NULL;
}

static void see_gradient(nl_step_watch *w, const nl_layer *l, int slot, nl_side which,
                         int64_t position, int64_t n, const uint8_t *live, const nl_real *g)
{
    nl_step_observer *o = (nl_step_observer *)w;
    place *p = find_place(o, l, slot);
    if (!p || !is_due(o, p, GRADIENT))
        return;
    if (live) {
        memcpy(o->pre, g, (size_t)(n * channels_of(p)) * sizeof *g);
        n = nl_layer_keep_live(live, o->pre, n, channels_of(p));
        g = o->pre;
    }
    look(o, p, GRADIENT, which, position, g, n);
}

void nl_observe_step_gradients(nl_step_observer *o)
{
    for (int i = 0; i < o->lengths && o->agenda->due[NL_LOG_ACTIVATIONS]; i++) {
        const length *d = &o->length[i];
        nl_log_put(o->agenda->set.log, d->channel, d->layer->ops->step_gradients(d->layer));
    }
    for (int i = 0; i < o->places; i++)
        if (is_due(o, &o->place[i], GRADIENT))
            put_place(o, &o->place[i], GRADIENT);
}
