/* Dropout. Srivastava et al. 2014 (JMLR 15), scaled while training (inverted) as PyTorch and Keras
 * do.
 *
 *     train: y = x k / (1 - rate), k = 1 with probability 1 - rate;  eval: y = x
 * The mask is a function of (seed, layer, step, place): the same for every method with one seed. */
#include <string.h>

#include "base/random.h"
#include "core/layer.h"
#include "core/norm_plan.h"
#include "par/par.h"

struct dropout {
    double rate;
};

static const nl_option options[] = {
    NL_OPT(struct dropout, rate, "0.5", 0, 0.999, "share of values set to 0"), NL_OPT_END};

static const nl_variable variables[] = {NL_ENDS_VARIABLES};

static nl_status shape(nl_layer *l)
{
    l->out = l->in;
    return NL_OK;
}

typedef struct job {
    nl_key key;
    double rate;
    const nl_real *from;
    nl_real *to;
    int64_t n, c;
    bool add;
} job;

static void drop_block(int64_t b, void *arg)
{
    const job *j = arg;
    const int64_t blocks = nl_row_blocks(j->n, j->c);
    const nl_real keep = (nl_real)(1 / (1 - j->rate));
    for (int64_t i = nl_edge(j->n, blocks, b) * j->c; i < nl_edge(j->n, blocks, b + 1) * j->c;
         i++) {
        const nl_real kept =
            nl_random_uniform(j->key, (uint64_t)i) < j->rate ? 0 : j->from[i] * keep;
        j->to[i] = j->add ? j->to[i] + kept : kept;
    }
}

static void drop(const nl_layer *l, const nl_layer_call *c, const nl_real *from, nl_real *to,
                 bool add)
{
    const struct dropout *o = l->self;
    const int64_t width = l->out.s * l->out.c;
    const double rate = c->phase == NL_EVAL ? 0 : o->rate;
    if (rate == 0 && !add) {
        memcpy(to, from, (size_t)(c->n * width) * sizeof *to);
        return;
    }
    const uint64_t step = (uint64_t)c->step;
    job j = {{c->seed, NL_STREAM_DROPOUT, nl_hash_bytes(nl_hash_text(l->name), &step, sizeof step)},
             rate,
             from,
             to,
             c->n,
             width,
             add};
    nl_for(nl_row_blocks(c->n, width), 16 * c->n * width, drop_block, &j);
}

static void forward(nl_layer *l, const nl_layer_call *c) { drop(l, c, c->x, c->y, false); }

static void backward(nl_layer *l, const nl_layer_call *c)
{
    if (c->dx)
        drop(l, c, c->dy, c->dx, c->add_dx);
}

const nl_layer_ops nl_layer_dropout = {
    NL_LAYER_HEADER,      .name = "dropout",
    .title = "Dropout",   .self_size = sizeof(struct dropout),
    .options = options,   .variables = variables,
    .shape = shape,       .forward = forward,
    .backward = backward,
};
