/* Parameter-free shortcut, option A of He et al. 2016 (arXiv:1512.03385), sec. 3.3: every
 * stride-th pixel of x, with zeros for the channels that x has not; they come behind those of x. */
#include <string.h>

#include "core/layer.h"
#include "par/par.h"

struct shortcut {
    int64_t out, stride;
};

static const nl_option options[] = {
    NL_OPT(struct shortcut, out, "16", 1, 1 << 24, "channels of the result"),
    NL_OPT(struct shortcut, stride, "1", 1, 1024, "pixels from one that is taken to the next"),
    NL_OPT_END};

static int64_t taken(int64_t size, int64_t stride) { return (size + stride - 1) / stride; }

static nl_status shape(nl_layer *l)
{
    const struct shortcut *o = l->self;
    NL_TRY(nl_layer_image(l, &l->in));
    if (o->out < l->in.c)
        return nl_fail(NL_ESHAPE, "%s: a shortcut of %lld channels cannot have %lld", l->name,
                       (long long)l->in.c, (long long)o->out);
    const int64_t h = taken(l->in.h, o->stride), w = taken(l->in.w, o->stride);
    l->out = (nl_shape){.s = h * w, .c = o->out, .h = h, .w = w};
    return NL_OK;
}

typedef struct job {
    const nl_layer *l;
    const nl_real *from;
    nl_real *to;
    bool add;
} job;

static void take_image(int64_t n, void *arg)
{
    const job *j = arg;
    const struct shortcut *o = j->l->self;
    const nl_shape *in = &j->l->in, *out = &j->l->out;
    nl_real *y = j->to + n * out->s * out->c;
    memset(y, 0, (size_t)(out->s * out->c) * sizeof *y);
    for (int64_t i = 0; i < out->h; i++)
        for (int64_t k = 0; k < out->w; k++)
            memcpy(y + (i * out->w + k) * out->c,
                   j->from + (n * in->s + (i * in->w + k) * o->stride) * in->c,
                   (size_t)in->c * sizeof *y);
}

static void give_image(int64_t n, void *arg)
{
    const job *j = arg;
    const struct shortcut *o = j->l->self;
    const nl_shape *in = &j->l->in, *out = &j->l->out;
    nl_real *dx = j->to + n * in->s * in->c;
    if (!j->add)
        memset(dx, 0, (size_t)(in->s * in->c) * sizeof *dx);
    for (int64_t i = 0; i < out->h; i++)
        for (int64_t k = 0; k < out->w; k++) {
            const nl_real *dy = j->from + (n * out->s + i * out->w + k) * out->c;
            nl_real *cell = dx + (i * in->w + k) * o->stride * in->c;
            for (int64_t q = 0; q < in->c; q++)
                cell[q] += dy[q];
        }
}

static void run(const nl_layer *l, int64_t n, job j, void (*body)(int64_t, void *))
{
    const int64_t values = l->in.s * l->in.c + l->out.s * l->out.c;
    nl_for(n, n * values * (int64_t)sizeof *j.to, body, &j);
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    run(l, c->n, (job){.l = l, .from = c->x, .to = c->y}, take_image);
}

static void backward(nl_layer *l, const nl_layer_call *c)
{
    if (c->dx)
        run(l, c->n, (job){.l = l, .from = c->dy, .to = c->dx, .add = c->add_dx}, give_image);
}

const nl_layer_ops nl_layer_shortcut = {
    NL_LAYER_HEADER,
    .name = "shortcut",
    .title = "Shortcut without parameters",
    .self_size = sizeof(struct shortcut),
    .options = options,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
