/* What evaluation sees differently from training, for each norm with population statistics, at w0
 * on the step's batch: kl of population.h, and
 *     gap = ||y_train - y_eval|| / ||y_train||
 * the relative distance of the slot's outputs on the same input in both phases. */
#include <math.h>

#include "base/alloc.h"
#include "train/population.h"
#include "train/probe.h"

typedef struct place {
    nl_layer *layer;
    int slot;
    nl_running running;
    int kl, gap; /* channels */
} place;

struct gap {
    nl_probe_common common;
    place *place;
    int places;
    nl_real *pre, *train, *eval;
    double *kl;
};

static const nl_option options[] = {NL_PROBE_EVERY(struct gap), NL_OPT_END};

static nl_status declare(place *p, const nl_probe_setup *s)
{
    const char *layer = p->layer->name, *slot = p->layer->ops->slots[p->slot].name;
    p->running = nl_running_of(p->layer, p->slot);
    NL_TRY(nl_probe_channel(s, &p->gap, "1", "relative distance of training and evaluation output",
                            1, NULL, "%s/%s/gap", layer, slot));
    if (p->running.mean)
        NL_TRY(nl_probe_channel(s, &p->kl, "nats", "divergence of the batch from what runs along",
                                p->layer->out.c, NULL, "%s/%s/kl", layer, slot));
    return NL_OK;
}

static nl_status add_places(struct gap *o, const nl_probe_setup *s, nl_layer *l, int64_t *widest)
{
    for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++) {
        if (!l->norm[k] || !nl_layer_is_observed(l, k))
            continue;
        place *p = &o->place[o->places++];
        *p = (place){.layer = l, .slot = k};
        NL_TRY(declare(p, s));
        if (l->out.s * l->out.c > *widest)
            *widest = l->out.s * l->out.c;
    }
    return NL_OK;
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct gap *o = self;
    const int layers = nl_model_layers(s->model);
    int64_t widest = 1;
    o->place = nl_alloc((size_t)layers * NL_SLOTS_MAX, sizeof *o->place);
    if (!o->place)
        return nl_fail(NL_ENOMEM, "gap: %d layers", layers);
    for (int i = 0; i < layers; i++)
        NL_TRY(add_places(o, s, nl_model_layer(s->model, i), &widest));
    nl_real **const room[] = {&o->pre, &o->train, &o->eval};
    for (int i = 0; i < 3; i++)
        if (!(*room[i] = nl_alloc((size_t)(s->n * widest), sizeof(nl_real))))
            return nl_fail(NL_ENOMEM, "gap: %lld values", (long long)(s->n * widest));
    o->kl = nl_alloc((size_t)(2 * widest), sizeof *o->kl);
    return o->kl ? NL_OK : nl_fail(NL_ENOMEM, "gap: %lld channels", (long long)widest);
}

static void look_at(const struct gap *o, const place *p, nl_probe_look *s)
{
    const nl_layer *l = p->layer;
    const int64_t rows = s->n * l->out.s, values = rows * l->out.c;
    nl_layer_call c;
    nl_model_layer_input(s->model, l, s->call, &c);
    l->ops->observe(p->layer, &c, p->slot, o->pre, o->train);
    nl_args a = nl_layer_norm_args(&c);
    a.phase = NL_EVAL;
    a.live = c.live;
    a.x = o->pre, a.y = o->eval;
    nl_norm_forward(l->norm[p->slot], &a);
    const double gap = nl_probe_distance(o->train, o->eval, values) /
                       sqrt(nl_probe_dot(o->train, o->train, values));
    nl_log_put(s->log, p->gap, &gap);
    if (!p->running.mean)
        return;
    nl_running_divergence(&p->running, o->pre, rows, o->kl);
    nl_log_put(s->log, p->kl, o->kl);
}

static void look(void *self, nl_probe_look *s)
{
    const struct gap *o = self;
    nl_probe_loss(s);
    for (int i = 0; i < o->places; i++)
        look_at(o, &o->place[i], s);
}

static void close(void *self)
{
    struct gap *o = self;
    nl_free(o->place);
    nl_free(o->pre);
    nl_free(o->train);
    nl_free(o->eval);
    nl_free(o->kl);
}

const nl_probe_ops nl_probe_gap = {
    .name = "gap",
    .title = "Training against evaluation at each norm",
    .cite = "",
    .self_size = sizeof(struct gap),
    .options = options,
    .open = open,
    .look = look,
    .close = close,
};
