/* What evaluation sees differently from training, for each norm with population statistics, at w0
 * on the step's batch: kl of population.h, and
 *     gap = ||y_train - y_eval|| / ||y_train||
 * the relative distance of the slot's outputs on the same input in both phases. */
#include <math.h>

#include "base/alloc.h"
#include "train/population.h"
#include "train/probe.h"

typedef struct channels {
    nl_running running; /* what kl compares with */
    int kl, gap;
} channels;

struct gap {
    nl_probe_common common;
    nl_probe_places places;
    channels *channels; /* of each place */
    nl_real *pre, *train, *eval;
    double *kl;
};

static const nl_option options[] = {NL_PROBE_EVERY(struct gap), NL_OPT_END};

static nl_status declare(const nl_probe_setup *s, const nl_probe_place *p, channels *c)
{
    const char *layer = p->layer->name, *slot = p->layer->ops->slots[p->slot].name;
    c->running = nl_running_of(p->layer, p->slot);
    NL_TRY(nl_probe_channel(s, &c->gap, "1", "relative distance of training and evaluation output",
                            1, NULL, "%s/%s/gap", layer, slot));
    if (c->running.mean)
        NL_TRY(nl_probe_channel(s, &c->kl, "nats", "divergence of the batch from what runs along",
                                p->layer->out.c, NULL, "%s/%s/kl", layer, slot));
    return NL_OK;
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct gap *o = self;
    NL_TRY(nl_probe_find_places(s->model, true, &o->places));
    const int64_t values = s->n * o->places.widest;
    o->channels = nl_alloc((size_t)o->places.count + 1, sizeof *o->channels);
    o->pre = nl_alloc((size_t)values, sizeof *o->pre);
    o->train = nl_alloc((size_t)values, sizeof *o->train);
    o->eval = nl_alloc((size_t)values, sizeof *o->eval);
    o->kl = nl_alloc((size_t)(2 * o->places.widest), sizeof *o->kl);
    if (!o->channels || !o->pre || !o->train || !o->eval || !o->kl)
        return nl_fail(NL_ENOMEM, "gap: %lld values", (long long)values);
    for (int i = 0; i < o->places.count; i++)
        NL_TRY(declare(s, &o->places.at[i], &o->channels[i]));
    return NL_OK;
}

static void evaluate(nl_probe_look *s, const nl_probe_place *p, const nl_real *pre, nl_real *post)
{
    nl_layer_call c;
    nl_model_layer_input(s->model, p->layer, s->call, &c);
    nl_args a = nl_layer_norm_args(&c);
    a.phase = NL_EVAL;
    a.live = c.live;
    a.x = pre, a.y = post;
    nl_norm_forward(p->layer->norm[p->slot], &a);
}

static void look_at(const struct gap *o, nl_probe_look *s, const nl_probe_place *p,
                    const channels *c)
{
    const int64_t values = nl_probe_see(s, p, o->pre, o->train);
    evaluate(s, p, o->pre, o->eval);
    const double gap = nl_probe_distance(o->train, o->eval, values) /
                       sqrt(nl_probe_dot(o->train, o->train, values));
    nl_log_put(s->log, c->gap, &gap);
    if (!c->running.mean)
        return;
    nl_running_divergence(&c->running, o->pre, values / p->layer->out.c, o->kl);
    nl_log_put(s->log, c->kl, o->kl);
}

static void look(void *self, nl_probe_look *s)
{
    const struct gap *o = self;
    nl_probe_loss(s);
    for (int i = 0; i < o->places.count; i++)
        look_at(o, s, &o->places.at[i], &o->channels[i]);
}

static void close(void *self)
{
    struct gap *o = self;
    nl_free(o->places.at);
    nl_free(o->channels);
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
