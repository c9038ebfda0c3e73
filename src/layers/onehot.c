/* One-hot vectors of tokens: x (n, s) in 0 .. V - 1 -> y (n, s, V), 1 in channel x and 0 elsewhere.
 * For small alphabets; an embedding serves large ones. */
#include <string.h>

#include "core/layer.h"
#include "core/norm_plan.h"
#include "par/par.h"

enum { MOST = 4096 };

static const nl_option options[] = {NL_OPT_END};
static const nl_variable variables[] = {NL_ENDS_VARIABLES};

static nl_status shape(nl_layer *l)
{
    if (l->in.vocabulary < 1 || l->in.vocabulary > MOST)
        return nl_fail(NL_ESHAPE, "%s: one-hot vectors of %lld tokens, wanted 1 .. %d", l->name,
                       (long long)l->in.vocabulary, MOST);
    l->out = (nl_shape){.s = l->in.s, .c = l->in.vocabulary};
    return NL_OK;
}

typedef struct job {
    const nl_layer_call *call;
    int64_t rows, c;
} job;

static void write_block(int64_t b, void *arg)
{
    const job *j = arg;
    const int64_t blocks = nl_row_blocks(j->rows, j->c);
    for (int64_t r = nl_edge(j->rows, blocks, b); r < nl_edge(j->rows, blocks, b + 1); r++) {
        nl_real *y = j->call->y + r * j->c;
        memset(y, 0, (size_t)j->c * sizeof *y);
        y[(int64_t)j->call->x[r]] = 1;
    }
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    job j = {c, c->n * l->out.s, l->out.c};
    nl_for(nl_row_blocks(j.rows, j.c), j.rows * j.c * (int64_t)sizeof *c->y, write_block, &j);
}

/* Tokens have no gradient. */
static void backward(nl_layer *l, const nl_layer_call *c)
{
    (void)l;
    (void)c;
}

extern const nl_layer_ops nl_layer_onehot;
const nl_layer_ops nl_layer_onehot = {
    NL_LAYER_HEADER,      .name = "onehot",   .title = "One-hot vectors of tokens",
    .self_size = 1,       .options = options, .variables = variables,
    .reads_tokens = true, .shape = shape,     .forward = forward,
    .backward = backward,
};
