/* How gradients grow or vanish through the layers (Yang et al. 2019, section 4), at w0:
 *     LAYER    ||dL/dy|| of the layer's output y, over the batch
 *     rate     (||dL/dy_1||^2 / ||dL/dy_k||^2)^(1 / (k - 1)): what the squared norm is multiplied
 *              by from a layer to the one before it, on average over the layers 1 to k that have
 *              weights, the last of the network (its logits) left out
 * Without `every` it looks at the first step alone, that is at initialization. */
#include <math.h>

#include "base/alloc.h"
#include "train/probe.h"

typedef struct output {
    const nl_layer *layer;
    bool has_weights;
    int channel;
    double norm;
} output;

struct growth {
    nl_probe_common common;
    output *output;
    int count, rate;
};

static const nl_option options[] = {
    NL_OPT_AS(struct growth, common.every, "every", "1e12", 1, 1e12,
              "steps between looks; by default only the first step"),
    NL_OPT_END};

static void notice(void *arg, int64_t at, int64_t count)
{
    (void)at;
    *(bool *)arg = *(bool *)arg || count > 0;
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct growth *o = self;
    o->output = nl_alloc((size_t)nl_model_layers(s->model), sizeof *o->output);
    if (!o->output)
        return nl_fail(NL_ENOMEM, "growth: layers");
    for (int i = 0; i < nl_model_layers(s->model); i++) {
        output *y = &o->output[o->count++];
        y->layer = nl_model_layer(s->model, i);
        nl_probe_each_of_layer(s->model, y->layer, false, notice, &y->has_weights);
        NL_TRY(nl_probe_channel(s, &y->channel, "1", "norm of the gradient of the layer's output",
                                1, NULL, "%s", y->layer->name));
    }
    NL_TRY(nl_probe_channel(s, &o->rate, "1", "growth of the squared norm per layer, backwards", 1,
                            NULL, "rate"));
    return NL_OK;
}

typedef struct watch {
    nl_watch is;
    const struct growth *o;
    int64_t n;
} watch;

static void see(nl_watch *w, const nl_layer *l, const nl_real *dy)
{
    const watch *self = (const watch *)w;
    for (int i = 0; i < self->o->count; i++)
        if (self->o->output[i].layer == l)
            self->o->output[i].norm = sqrt(nl_probe_dot(dy, dy, self->n * l->out.s * l->out.c));
}

static double rate_of(const struct growth *o)
{
    const output *first = NULL, *last = NULL;
    int layers = 0;
    for (int i = 0; i < o->count - 1; i++) {
        if (!o->output[i].has_weights)
            continue;
        first = first ? first : &o->output[i];
        last = &o->output[i];
        layers++;
    }
    return layers < 2 ? NAN : pow(first->norm / last->norm, 2 / (double)(layers - 1));
}

static void look(void *self, nl_probe_look *s)
{
    const struct growth *o = self;
    watch w = {.is = {.output = see}, .o = o, .n = s->n};
    s->watch = &w.is;
    nl_probe_gradient(s);
    s->watch = NULL;
    const double rate = rate_of(o);
    for (int i = 0; i < o->count; i++)
        nl_log_put(s->log, o->output[i].channel, &o->output[i].norm);
    nl_log_put(s->log, o->rate, &rate);
}

static void close(void *self) { nl_free(((struct growth *)self)->output); }

const nl_probe_ops nl_probe_growth = {
    .name = "growth",
    .title = "Growth of gradients through the layers",
    .cite = "yang2019mean, sec. 4",
    .self_size = sizeof(struct growth),
    .options = options,
    .open = open,
    .look = look,
    .close = close,
};
