/* One multiplier and one bias for all values: y = act(m x + b + residual), the scalar parameters of
 * Fixup (Zhang et al. 2019, arXiv:1901.09321, sec. 3). */
#include "core/layer.h"
#include "core/norm_plan.h"
#include "par/par.h"

struct scalar {
    bool scale, bias;
    nl_choice act;
};

static const char *const acts[] = {"linear", "relu", NULL};
static const nl_option options[] = {
    NL_OPT(struct scalar, scale, "true", 0, 1, "learn the multiplier"),
    NL_OPT(struct scalar, bias, "true", 0, 1, "learn the bias"),
    NL_OPT_NAMES(struct scalar, act, "linear", acts, "activation"), NL_OPT_END};

enum { M, B, SUMS, VARIABLES };
static const nl_variable variables[] = {
    [M] = {.name = "m",
           .role = NL_PARAM,
           .dim = {NL_1, NL_USER},
           .init = 1,
           .flags = NL_LOGGED,
           .doc = "multiplier"},
    [B] =
        {.name = "b", .role = NL_PARAM, .dim = {NL_1, NL_USER}, .flags = NL_LOGGED, .doc = "bias"},
    [SUMS] = {.name = "sums",
              .role = NL_SCRATCH,
              .type = NL_TYPE_DOUBLE,
              .dim = {NL_USER, NL_1},
              .doc = "gradients of m and b of each block of rows"},
    [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status shape(nl_layer *l)
{
    l->out = l->in;
    return NL_OK;
}

static int64_t blocks_of(const nl_layer *l, int64_t n)
{
    return nl_row_blocks(n * l->in.s, l->in.c);
}

static int64_t extent(const nl_layer *l, int id, int dim)
{
    const struct scalar *o = l->self;
    (void)dim;
    return id == M ? o->scale : id == B ? o->bias : 2 * blocks_of(l, l->n);
}

typedef struct job {
    const nl_layer *l;
    const nl_layer_call *c;
    nl_real m, b;
    bool relu;
    double *sums; /* (blocks, 2) */
} job;

static job job_of(const nl_layer *l, const nl_layer_call *c)
{
    const struct scalar *o = l->self;
    return (job){.l = l,
                 .c = c,
                 .m = o->scale ? nl_layer_value(l, M)[0] : 1,
                 .b = o->bias ? nl_layer_value(l, B)[0] : 0,
                 .relu = o->act.is == 1,
                 .sums = (double *)(void *)nl_layer_value(l, SUMS)};
}

static void edges(const job *j, int64_t block, int64_t *from, int64_t *to)
{
    const int64_t rows = j->c->n * j->l->in.s, blocks = blocks_of(j->l, j->c->n);
    *from = nl_edge(rows, blocks, block) * j->l->in.c;
    *to = nl_edge(rows, blocks, block + 1) * j->l->in.c;
}

static void forward_block(int64_t block, void *arg)
{
    const job *j = arg;
    int64_t from, to;
    edges(j, block, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const nl_real t = j->m * j->c->x[i] + j->b + (j->c->residual ? j->c->residual[i] : 0);
        j->c->y[i] = j->relu && !(t > 0) ? t != t ? t : 0 : t;
    }
}

/* dy becomes dL/d(what the activation saw), which is the residual's gradient too. */
static void backward_block(int64_t block, void *arg)
{
    const job *j = arg;
    const nl_layer_call *c = j->c;
    double *sum = j->sums + 2 * block;
    int64_t from, to;
    edges(j, block, &from, &to);
    sum[0] = sum[1] = 0;
    for (int64_t i = from; i < to; i++) {
        const nl_real g = j->relu && c->y[i] == 0 ? 0 : c->dy[i];
        c->dy[i] = g;
        sum[0] += (double)g * (double)c->x[i];
        sum[1] += (double)g;
        if (c->dx)
            c->dx[i] = (c->add_dx ? c->dx[i] : 0) + j->m * g;
    }
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    job j = job_of(l, c);
    nl_for(blocks_of(l, c->n), c->n * l->in.s * l->in.c * (int64_t)sizeof *c->y, forward_block, &j);
}

static void backward(nl_layer *l, const nl_layer_call *c)
{
    job j = job_of(l, c);
    const int64_t blocks = blocks_of(l, c->n);
    nl_for(blocks, c->n * l->in.s * l->in.c * (int64_t)sizeof *c->y, backward_block, &j);
    nl_fold(j.sums, blocks, 2);
    if (nl_layer_grad(l, M))
        nl_layer_grad(l, M)[0] += (nl_real)j.sums[0];
    if (nl_layer_grad(l, B))
        nl_layer_grad(l, B)[0] += (nl_real)j.sums[1];
}

const nl_layer_ops nl_layer_scalar = {
    NL_LAYER_HEADER,
    .name = "scalar",
    .title = "Scalar multiplier and bias",
    .self_size = sizeof(struct scalar),
    .options = options,
    .variables = variables,
    .adds_residual = true,
    .shape = shape,
    .extent = extent,
    .forward = forward,
    .backward = backward,
};
