/* How many directions the activations of a batch span, before and after each slot. With H (n, s c)
 * the values of n examples and M = H H^T (n, n):
 *     rank       (tr M)^2 / ||M||_F^2: n where all eigenvalues are equal, 1 where one is left; a
 *                lower bound of the rank (Daneshmand et al. 2020, section 3)
 *     gap        || M / tr M - I / n ||_F: 0 where examples are orthogonal and of one length
 *                (Daneshmand et al. 2021, definition 1)
 * The network is taken at w0. */
#include <math.h>

#include "base/alloc.h"
#include "train/probe.h"

typedef struct place {
    nl_layer *layer;
    int slot;
    int rank[2], gap[2]; /* channels before and after the slot */
} place;

struct rank {
    nl_probe_common common;
    int64_t examples;
    place *place;
    int places;
    nl_real *value[2];
    double *gram;
};

static const nl_option options[] = {
    NL_PROBE_EVERY(struct rank),
    NL_OPT(struct rank, examples, "128", 2, 4096, "of the batch that are looked at, at most"),
    NL_OPT_END};

static nl_status declare(place *p, const nl_probe_setup *s)
{
    static const char *const sides[] = {"pre", "post"};
    const char *layer = p->layer->name, *slot = p->layer->ops->slots[p->slot].name;
    for (int i = 0; i < 2; i++) {
        NL_TRY(nl_probe_channel(s, &p->rank[i], "1", "effective rank of the examples", 1, NULL,
                                "%s/%s/%s/rank", layer, slot, sides[i]));
        NL_TRY(nl_probe_channel(s, &p->gap[i], "1", "distance from orthogonality", 1, NULL,
                                "%s/%s/%s/gap", layer, slot, sides[i]));
    }
    return NL_OK;
}

static nl_status add_places(struct rank *o, const nl_probe_setup *s, nl_layer *l, int64_t *widest)
{
    for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++) {
        if (!nl_layer_is_observed(l, k))
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
    struct rank *o = self;
    const int layers = nl_model_layers(s->model);
    int64_t widest = 1;
    o->place = nl_alloc((size_t)layers * NL_SLOTS_MAX, sizeof *o->place);
    if (!o->place)
        return nl_fail(NL_ENOMEM, "rank: %d layers", layers);
    for (int i = 0; i < layers; i++)
        NL_TRY(add_places(o, s, nl_model_layer(s->model, i), &widest));
    for (int i = 0; i < 2; i++)
        if (!(o->value[i] = nl_alloc((size_t)(s->n * widest), sizeof(nl_real))))
            return nl_fail(NL_ENOMEM, "rank: %lld values", (long long)(s->n * widest));
    o->gram = nl_alloc((size_t)(o->examples * o->examples), sizeof *o->gram);
    return o->gram ? NL_OK : nl_fail(NL_ENOMEM, "rank: %lld examples", (long long)o->examples);
}

/* M of n examples of `width` values each. */
static void multiply(const nl_real *h, int64_t n, int64_t width, double *gram)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            gram[i * n + j] = gram[j * n + i] = nl_probe_dot(h + i * width, h + j * width, width);
}

static void measure(const double *gram, int64_t n, double *rank, double *gap)
{
    double trace = 0, squares = 0, off = 0;
    for (int64_t i = 0; i < n; i++)
        trace += gram[i * n + i];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double m = gram[i * n + j], d = m / trace - (i == j ? 1 / (double)n : 0);
            squares += m * m;
            off += d * d;
        }
    *rank = trace * trace / squares;
    *gap = sqrt(off);
}

static void look(void *self, nl_probe_look *s)
{
    const struct rank *o = self;
    const int64_t n = s->n < o->examples ? s->n : o->examples;
    nl_probe_loss(s);
    for (int i = 0; i < o->places; i++) {
        const place *p = &o->place[i];
        const nl_layer *l = p->layer;
        nl_layer_call c;
        nl_model_layer_input(s->model, l, s->call, &c);
        l->ops->observe(p->layer, &c, p->slot, o->value[0], o->value[1]);
        for (int side = 0; side < 2; side++) {
            double rank, gap;
            multiply(o->value[side], n, l->out.s * l->out.c, o->gram);
            measure(o->gram, n, &rank, &gap);
            nl_log_put(s->log, p->rank[side], &rank);
            nl_log_put(s->log, p->gap[side], &gap);
        }
    }
}

static void close(void *self)
{
    struct rank *o = self;
    nl_free(o->place);
    nl_free(o->value[0]);
    nl_free(o->value[1]);
    nl_free(o->gram);
}

const nl_probe_ops nl_probe_rank = {
    .name = "rank",
    .title = "Effective rank and orthogonality of activations",
    .cite = "daneshmand2021batch, def. 1",
    .self_size = sizeof(struct rank),
    .options = options,
    .open = open,
    .look = look,
    .close = close,
};
