/* Joins the channels of two outputs of one shape: y = [x, residual], as the two directions of a
 * bidirectional recurrent layer are (Schuster and Paliwal 1997). */
#include <string.h>

#include "core/layer.h"
#include "core/norm_plan.h"
#include "par/par.h"

static const nl_option options[] = {NL_OPT_END};
static const nl_variable variables[] = {NL_ENDS_VARIABLES};

static nl_status shape(nl_layer *l)
{
    if (l->residual == NL_NO_RESIDUAL)
        return nl_fail(NL_ESTATE, "%s: a join layer reads two outputs, got one", l->name);
    l->out = l->in;
    l->out.c = 2 * l->in.c;
    return NL_OK;
}

typedef struct job {
    const nl_layer_call *call;
    int64_t rows, c;
} job;

static void join_block(int64_t b, void *arg)
{
    const job *j = arg;
    const int64_t blocks = nl_row_blocks(j->rows, j->c), c = j->c;
    for (int64_t r = nl_edge(j->rows, blocks, b); r < nl_edge(j->rows, blocks, b + 1); r++) {
        memcpy(j->call->y + 2 * r * c, j->call->x + r * c, (size_t)c * sizeof *j->call->y);
        memcpy(j->call->y + (2 * r + 1) * c, j->call->residual + r * c,
               (size_t)c * sizeof *j->call->y);
    }
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    job j = {c, c->n * l->in.s, l->in.c};
    nl_for(nl_row_blocks(j.rows, j.c), 4 * j.rows * j.c * (int64_t)sizeof *c->y, join_block, &j);
}

/* dx takes the front of each row of dy; then dL/dresidual moves together at the front of dy. */
static void backward(nl_layer *l, const nl_layer_call *c)
{
    const int64_t rows = c->n * l->in.s, width = l->in.c;
    for (int64_t r = 0; r < rows; r++) {
        const nl_real *dy = c->dy + 2 * r * width;
        for (int64_t k = 0; c->dx && k < width; k++)
            c->dx[r * width + k] = c->add_dx ? c->dx[r * width + k] + dy[k] : dy[k];
        memmove(c->dy + r * width, dy + width, (size_t)width * sizeof *dy);
    }
}

extern const nl_layer_ops nl_layer_join;
const nl_layer_ops nl_layer_join = {
    NL_LAYER_HEADER,        .name = "join",     .title = "Channels of two outputs side by side",
    .self_size = 1,         .options = options, .variables = variables,
    .joins_residual = true, .shape = shape,     .forward = forward,
    .backward = backward,
};
