/* Internal covariate shift. Santurkar et al. 2018, definition 2.1: how much the gradient of a layer
 * changes because the layers before it were updated. For the weights W_i of layer i, on one batch,
 *     G_i  = dL/dW_i (W_1, .., W_k)                               before the update
 *     G'_i = dL/dW_i (W'_1, .., W'_(i-1), W_i, .., W_k)           the layers before i updated
 *     distance_i = ||G_i - G'_i||,    cosine_i = <G_i, G'_i> / (||G_i|| ||G'_i||)
 * The variables of a layer's norms move with their layer; W_i are the layer's own weights and bias.
 * For the first layer G' = G. One gradient for every other layer that has weights. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "train/probe.h"

typedef struct shift {
    const nl_layer *layer;
    int distance, cosine; /* channels */
} shift;

struct ics {
    nl_probe_common common;
    shift *shift;
    int count;
};

static const nl_option options[] = {NL_PROBE_EVERY(struct ics), NL_OPT_END};

static void add_count(void *arg, int64_t at, int64_t count)
{
    (void)at;
    *(int64_t *)arg += count;
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct ics *o = self;
    o->shift = nl_alloc((size_t)nl_model_layers(s->model), sizeof *o->shift);
    if (!o->shift)
        return nl_fail(NL_ENOMEM, "ics: layers");
    for (int i = 0; i < nl_model_layers(s->model); i++) {
        const nl_layer *l = nl_model_layer(s->model, i);
        int64_t weights = 0;
        nl_probe_each_of_layer(s->model, l, false, add_count, &weights);
        if (weights == 0)
            continue;
        shift *at = &o->shift[o->count++];
        at->layer = l;
        NL_TRY(nl_probe_channel(s, &at->distance, "1", "||G - G'|| of the layer's weights", 1, NULL,
                                "%s/distance", l->name));
        NL_TRY(nl_probe_channel(s, &at->cosine, "1", "cosine of G and G'", 1, NULL, "%s/cosine",
                                l->name));
    }
    return NL_OK;
}

/* Sums over a layer's variables: <G, G>, <G, G'>, <G', G'>, <G - G', G - G'>. */
typedef struct sums {
    const nl_real *before, *after;
    double gg, gh, hh, dd;
} sums;

static void add_products(void *arg, int64_t at, int64_t count)
{
    sums *s = arg;
    const double d = nl_probe_distance(s->before + at, s->after + at, count);
    s->gg += nl_probe_dot(s->before + at, s->before + at, count);
    s->gh += nl_probe_dot(s->before + at, s->after + at, count);
    s->hh += nl_probe_dot(s->after + at, s->after + at, count);
    s->dd += d * d;
}

static void take_update(void *arg, int64_t at, int64_t count)
{
    const nl_probe_look *s = arg;
    memcpy(s->w + at, s->w1 + at, (size_t)count * sizeof *s->w);
}

static void look(void *self, nl_probe_look *s)
{
    const struct ics *o = self;
    for (int i = 0; i < o->count; i++) {
        const shift *at = &o->shift[i];
        sums v = {.before = s->g0, .after = i ? s->g : s->g0};
        if (i)
            nl_probe_gradient(s);
        nl_probe_each_of_layer(s->model, at->layer, false, add_products, &v);
        const double distance = sqrt(v.dd), cosine = v.gh / sqrt(v.gg * v.hh);
        nl_log_put(s->log, at->distance, &distance);
        nl_log_put(s->log, at->cosine, &cosine);
        nl_probe_each_of_layer(s->model, at->layer, true, take_update, s);
    }
}

static void close(void *self) { nl_free(((struct ics *)self)->shift); }

const nl_probe_ops nl_probe_ics = {
    .name = "ics",
    .title = "Internal covariate shift of each layer's gradient",
    .cite = "santurkar2018how, def. 2.1",
    .self_size = sizeof(struct ics),
    .options = options,
    .open = open,
    .look = look,
    .close = close,
};
