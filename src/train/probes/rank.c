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

typedef struct channels {
    int rank[2], gap[2]; /* before and after the slot */
} channels;

struct rank {
    nl_probe_common common;
    int64_t examples;
    nl_probe_places places;
    channels *channels; /* of each place */
    nl_real *value[2];
    double *gram;
};

static const nl_option options[] = {
    NL_PROBE_EVERY(struct rank),
    NL_OPT(struct rank, examples, "128", 2, 4096, "of the batch that are looked at, at most"),
    NL_OPT_END};

static nl_status declare(const nl_probe_setup *s, const nl_probe_place *p, channels *c)
{
    static const char *const sides[] = {"pre", "post"};
    const char *layer = p->layer->name, *slot = p->layer->ops->slots[p->slot].name;
    for (int i = 0; i < 2; i++) {
        NL_TRY(nl_probe_channel(s, &c->rank[i], "1", "effective rank of the examples", 1, NULL,
                                "%s/%s/%s/rank", layer, slot, sides[i]));
        NL_TRY(nl_probe_channel(s, &c->gap[i], "1", "distance from orthogonality", 1, NULL,
                                "%s/%s/%s/gap", layer, slot, sides[i]));
    }
    return NL_OK;
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct rank *o = self;
    NL_TRY(nl_probe_find_places(s->model, false, &o->places));
    const int64_t values = s->n * o->places.widest;
    o->channels = nl_alloc((size_t)o->places.count + 1, sizeof *o->channels);
    o->value[0] = nl_alloc((size_t)values, sizeof(nl_real));
    o->value[1] = nl_alloc((size_t)values, sizeof(nl_real));
    o->gram = nl_alloc((size_t)(o->examples * o->examples), sizeof *o->gram);
    if (!o->channels || !o->value[0] || !o->value[1] || !o->gram)
        return nl_fail(NL_ENOMEM, "rank: %lld values, %lld examples", (long long)values,
                       (long long)o->examples);
    for (int i = 0; i < o->places.count; i++)
        NL_TRY(declare(s, &o->places.at[i], &o->channels[i]));
    return NL_OK;
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
    for (int i = 0; i < o->places.count; i++) {
        const channels *c = &o->channels[i];
        const int64_t values = nl_probe_see(s, &o->places.at[i], o->value[0], o->value[1]);
        for (int side = 0; side < 2; side++) {
            double rank, gap;
            multiply(o->value[side], n, values / s->n, o->gram);
            measure(o->gram, n, &rank, &gap);
            nl_log_put(s->log, c->rank[side], &rank);
            nl_log_put(s->log, c->gap[side], &gap);
        }
    }
}

static void close(void *self)
{
    struct rank *o = self;
    nl_free(o->places.at);
    nl_free(o->channels);
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
