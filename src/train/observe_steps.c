#include "train/observe_steps.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "train/moments.h"

enum { MOMENTS = 4 };

/* Channels of one side of one slot, in the order of nl_spread. */
typedef struct side {
    int channel[MOMENTS];
    double *at[MOMENTS]; /* (position) */
} side;

typedef struct place {
    nl_layer *layer;
    int slot;
    side pre, post;
    bool in_cell; /* has a post at each step; the output is normed at another time */
} place;

typedef struct gradient {
    const nl_layer *layer;
    int channel;
} gradient;

struct nl_step_observer {
    const nl_agenda *agenda;
    place *place;
    gradient *gradient;
    int places, gradients;
    double *row; /* MOMENTS sides of the longest sequence */
    nl_real *pre, *post;
    nl_summarizer *summarizer;
};

/* ---- declaring */

static nl_status declare(nl_step_observer *o, const nl_layer *l, const char *name, const char *doc,
                         int *id)
{
    const nl_channel c = {
        .type = NL_TYPE_REAL, .unit = "1", .doc = doc, .rank = 1, .dim = {l->in.s}};
    NL_TRY(nl_agenda_declare(o->agenda, NL_LOG_ACTIVATIONS, &c, id, "%s/%s", l->name, name));
    return NL_OK;
}

static nl_status declare_side(nl_step_observer *o, const place *p, const char *which, side *s)
{
    static const char *const names[MOMENTS] = {"mean", "std", "min", "max"};
    static const char *const docs[MOMENTS] = {"mean over the batch and all units at each step",
                                              "the same: standard deviation", "smallest value",
                                              "largest value"};
    char name[64];
    for (int k = 0; k < MOMENTS; k++) {
        snprintf(name, sizeof name, "%s/%s/step_%s", p->layer->ops->slots[p->slot].name, which,
                 names[k]);
        NL_TRY(declare(o, p->layer, name, docs[k], &s->channel[k]));
    }
    return NL_OK;
}

static nl_status declare_layer(nl_step_observer *o, nl_layer *l)
{
    for (int k = 0; l->ops->slots[k].name; k++) {
        place *p = &o->place[o->places++];
        *p = (place){.layer = l, .slot = k, .in_cell = l->ops->slots[k].site == NL_AT_RNN};
        NL_TRY(declare_side(o, p, "pre", &p->pre));
        if (p->in_cell)
            NL_TRY(declare_side(o, p, "post", &p->post));
    }
    gradient *g = &o->gradient[o->gradients++];
    g->layer = l;
    NL_TRY(declare(o, l, "gradient_norm", "mean over the batch of the Euclidean norm of dL/dh_t",
                   &g->channel));
    return NL_OK;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static nl_status take_buffers(nl_step_observer *o, int64_t n)
{
    int64_t steps = 1, channels = 1;
    for (int i = 0; i < o->places; i++) {
        const nl_layer *l = o->place[i].layer;
        steps = larger(steps, l->in.s);
        channels = larger(channels, l->ops->slot_geom(l, o->place[i].slot).c);
    }
    o->row = nl_alloc((size_t)(2 * MOMENTS * steps), sizeof *o->row);
    o->pre = nl_alloc((size_t)(n * channels), sizeof *o->pre);
    o->post = nl_alloc((size_t)(n * channels), sizeof *o->post);
    if (!o->row || !o->pre || !o->post)
        return nl_fail(NL_ENOMEM, "a step of %lld activations", (long long)(n * channels));
    for (int i = 0; i < o->places; i++)
        for (int k = 0; k < MOMENTS; k++) {
            o->place[i].pre.at[k] = o->row + k * steps;
            o->place[i].post.at[k] = o->row + (MOMENTS + k) * steps;
        }
    return nl_summarizer_open(&o->summarizer, n, channels, 1, channels);
}

static bool is_kept(const nl_agenda *a, const nl_layer *l)
{
    return l->ops->observe_step && nl_agenda_keeps(a, NL_LOG_ACTIVATIONS, l->name);
}

nl_status nl_step_observer_open(nl_step_observer **out, const nl_agenda *a)
{
    nl_status st = NL_OK;
    nl_model *m = a->set.model;
    const size_t layers = (size_t)nl_model_layers(m);
    *out = NULL;
    nl_step_observer *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "the observer of steps");
    o->agenda = a;
    o->place = nl_alloc(layers * NL_SLOTS_MAX, sizeof *o->place);
    o->gradient = nl_alloc(layers, sizeof *o->gradient);
    if (!o->place || !o->gradient)
        NL_BAIL(NL_ENOMEM, "observed steps");
    for (int i = 0; i < nl_model_layers(m); i++)
        if (is_kept(a, nl_model_layer(m, i)))
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
    nl_free(o->gradient);
    nl_free(o->row);
    nl_free(o->pre);
    nl_free(o->post);
    nl_summarizer_close(o->summarizer);
    nl_free(o);
}

/* ---- writing */

static void set_step(const side *s, int64_t t, nl_spread v)
{
    s->at[0][t] = v.mean;
    s->at[1][t] = v.std;
    s->at[2][t] = v.min;
    s->at[3][t] = v.max;
}

static void put_side(const nl_step_observer *o, const side *s)
{
    for (int k = 0; k < MOMENTS; k++)
        nl_log_put(o->agenda->set.log, s->channel[k], s->at[k]);
}

static void observe_place(nl_step_observer *o, const place *p, const nl_layer_call *c)
{
    nl_layer *l = p->layer;
    const bool normed = p->in_cell && l->norm[p->slot];
    const int64_t channels = l->ops->slot_geom(l, p->slot).c;
    for (int64_t t = 0; t < l->in.s; t++) {
        const int64_t live =
            l->ops->observe_step(l, c, p->slot, t, o->pre, normed ? o->post : NULL);
        const nl_spread pre = nl_spread_of(o->summarizer, o->pre, live, channels);
        set_step(&p->pre, t, pre);
        set_step(&p->post, t, normed ? nl_spread_of(o->summarizer, o->post, live, channels) : pre);
    }
    put_side(o, &p->pre);
    if (p->in_cell)
        put_side(o, &p->post);
}

void nl_observe_steps(nl_step_observer *o, const nl_layer_call *call)
{
    nl_layer_call c;
    for (int i = 0; i < o->places && o->agenda->due[NL_LOG_ACTIVATIONS]; i++) {
        nl_model_layer_input(o->agenda->set.model, o->place[i].layer, call, &c);
        c.update = false;
        observe_place(o, &o->place[i], &c);
    }
}

void nl_observe_step_gradients(nl_step_observer *o)
{
    for (int i = 0; i < o->gradients && o->agenda->due[NL_LOG_ACTIVATIONS]; i++) {
        const gradient *g = &o->gradient[i];
        nl_log_put(o->agenda->set.log, g->channel, g->layer->ops->step_gradients(g->layer));
    }
}
