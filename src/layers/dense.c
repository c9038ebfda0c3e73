/* Dense layer: t = x W, then bias, norm and activation.
 *
 *     bias=before   y = act2(act(preact(x W + b)))      x (n, in), W (in, out), y (n, out)
 *     bias=after    y = act2(act(preact(x W) + b))
 *     bias=off      y = act2(act(preact(x W)))
 * preact, act2: the norms in slots `preact` and `act`, or nothing; W is what the norm in slot
 * `weight`
 * makes of the stored weight. A norm with a beta of its own makes a bias before it redundant. */
#include <string.h>

#include "core/gemm.h"
#include "core/init.h"
#include "core/layer.h"
#include "core/norm_plan.h"
#include "kernel/area.h"
#include "par/par.h"

struct dense {
    int64_t out;
    nl_choice act, bias;
    nl_string init, bias_init;
};

static const char *const acts[] = {"linear", "relu", "sigmoid", "tanh", NULL};
static const char *const biases[] = {"before", "after", "off", NULL};
enum { BEFORE, AFTER, OFF };

static const nl_option options[] = {
    NL_OPT(struct dense, out, "100", 1, 1 << 24, "units"),
    NL_OPT_NAMES(struct dense, act, "linear", acts, "activation"),
    NL_OPT_NAMES(struct dense, bias, "before", biases, "before the norm, after it, or none"),
    NL_OPT_TEXT(struct dense, init, "", "initializer of the weights; '' for the model's"),
    NL_OPT_TEXT(struct dense, bias_init, "zeros", "initializer of the bias"),
    NL_OPT_END};

enum { PREACT, ACT, WEIGHT };
static const nl_slot_decl slots[] = {{"preact", NL_AT_PREACT, "before the activation"},
                                     {"act", NL_AT_ACT, "after the activation"},
                                     {"weight", NL_AT_WEIGHT, "on the weights"},
                                     {0}};

enum { W, B, T, A, WEFF, DT, DWEFF, SUMS, STRIPS, VARIABLES };
static const nl_variable variables[] = {
    [W] = {"w",
           NL_PARAM,
           NL_TYPE_REAL,
           {NL_IN, NL_C},
           0,
           NL_DECAYS | NL_OVERWRITES,
           NULL,
           NL_OWN,
           0,
           "weights (in, out)"},
    [B] = {"b", NL_PARAM, NL_TYPE_REAL, {NL_1, NL_USER}, 0, 0, NULL, NL_OWN, 0, "bias (out)"},
    [T] = {"t",
           NL_SAVED,
           NL_TYPE_REAL,
           {NL_N, NL_USER},
           0,
           0,
           NULL,
           NL_OWN,
           0,
           "input of the norm before the activation"},
    [A] = {"a",
           NL_SAVED,
           NL_TYPE_REAL,
           {NL_N, NL_USER},
           0,
           0,
           NULL,
           NL_OWN,
           0,
           "input of the norm after the activation"},
    [WEFF] =
        {"weff", NL_SAVED, NL_TYPE_REAL, {NL_IN, NL_USER}, 0, 0, NULL, NL_OWN, 0, "weights in use"},
    [DT] = {"dt", NL_SCRATCH, NL_TYPE_REAL, {NL_N, NL_C}, 0, 0, NULL, NL_OWN, 0, "dL/d(x W)"},
    [DWEFF] = {"dweff",
               NL_SCRATCH,
               NL_TYPE_REAL,
               {NL_IN, NL_USER},
               0,
               0,
               NULL,
               NL_OWN,
               0,
               "gradient of the weights in use"},
    [SUMS] = {"sums",
              NL_SCRATCH,
              NL_TYPE_DOUBLE,
              {NL_USER, NL_C},
              0,
              0,
              NULL,
              NL_OWN,
              0,
              "bias gradient of each block of rows"},
    [STRIPS] = {"strips",
                NL_SCRATCH,
                NL_TYPE_REAL,
                {NL_USER, NL_C},
                0,
                0,
                NULL,
                NL_OWN,
                0,
                "row sums in flight"},
    [VARIABLES] = NL_ENDS_VARIABLES};

static const struct dense *dense_of(const nl_layer *l) { return l->self; }
static nl_act act_of(const nl_layer *l) { return (nl_act)dense_of(l)->act.is; }

static nl_status shape(nl_layer *l)
{
    l->out = (nl_shape){.s = 1, .c = dense_of(l)->out};
    l->in = (nl_shape){.s = 1, .c = l->in.s * l->in.c}; /* positions are flattened */
    return NL_OK;
}

static nl_geom slot_geom(const nl_layer *l, int slot)
{
    if (slot == WEIGHT)
        return (nl_geom){.n = l->in.c, .s = 1, .c = l->out.c, .steps = 1, .batch = l->in.c};
    return (nl_geom){.n = l->n, .s = 1, .c = l->out.c, .steps = 1, .batch = l->batch};
}

static int64_t extent(const nl_layer *l, int id, int dim)
{
    const int64_t there = l->out.c;
    (void)dim;
    switch (id) {
    case B: return dense_of(l)->bias.is == OFF ? 0 : there;
    case T: return l->norm[PREACT] ? there : 0;
    case A: return l->norm[ACT] ? there : 0;
    case WEFF:
    case DWEFF: return l->norm[WEIGHT] ? there : 0;
    default: return nl_row_blocks(l->n, l->out.c);
    }
}

static nl_status open(nl_layer *l)
{
    nl_gemm *g;
    NL_TRY(nl_gemm_open(&g, l->n, l->in.c, l->out.c, true));
    l->work = g;
    return NL_OK;
}

static void close(nl_layer *l) { nl_gemm_close(l->work); }

static nl_args weight_args(const nl_layer *l, const nl_layer_call *c)
{
    nl_args a = nl_layer_norm_args(c);
    a.n = l->in.c;
    a.policy = NULL;
    a.x = nl_layer_value(l, W);
    a.y = nl_layer_value(l, WEFF);
    return a;
}

static nl_status init(nl_layer *l, const char *model_init, uint64_t seed)
{
    const struct dense *o = l->self;
    const nl_weight_shape w = {.rows = l->in.c, .cols = l->out.c};
    const nl_weight_shape b = {.rows = 1, .cols = l->out.c, .fan_in = l->in.c};
    NL_TRY(nl_init_weights(o->init.is[0] ? o->init.is : model_init, seed, l->name, "w", w,
                           nl_layer_value(l, W)));
    if (nl_layer_value(l, B))
        NL_TRY(nl_init_weights(o->bias_init.is, seed, l->name, "b", b, nl_layer_value(l, B)));
    if (l->norm[WEIGHT]) {
        const nl_args a = weight_args(l, &(nl_layer_call){.phase = NL_TRAIN});
        nl_norm_start(l->norm[WEIGHT], &a);
    }
    return NL_OK;
}

/* ---- forward */

static const nl_real *weights_in_use(nl_layer *l, const nl_layer_call *c)
{
    if (!l->norm[WEIGHT])
        return nl_layer_value(l, W);
    const nl_args a = weight_args(l, c);
    nl_norm_forward(l->norm[WEIGHT], &a);
    return nl_layer_value(l, WEFF);
}

static void multiply(nl_layer *l, const nl_layer_call *c, nl_real *t)
{
    nl_gemm_nn(l->work, c->n, c->x, l->in.c, weights_in_use(l, c), t, l->out.c, false);
}

/* Data-dependent start of weight-space methods: the weights change, so t does. */
static void start_from_output(nl_layer *l, const nl_layer_call *c, nl_real *t)
{
    if (!c->start || !l->norm[WEIGHT] || !nl_norm_wants_output(l->norm[WEIGHT]))
        return;
    nl_norm_start_output(l->norm[WEIGHT], t, c->n, l->out.c, nl_layer_value(l, B));
    multiply(l, c, t);
}

typedef struct bias_job {
    const nl_layer *l;
    nl_act act;
    const nl_real *bias;
    nl_real *y;
    int64_t n;
    const nl_real *dy; /* gradients: y holds act's output */
    nl_real *dx;
} bias_job;

static void bias_block(int64_t b, void *arg)
{
    const bias_job *j = arg;
    const int64_t c = j->l->out.c, blocks = nl_row_blocks(j->n, c);
    const int64_t from = nl_edge(j->n, blocks, b), to = nl_edge(j->n, blocks, b + 1);
    nl_act_kernel()->bias_forward(j->act, j->y + from * c, j->bias, j->y + from * c, to - from, c);
}

/* y = act(y + bias), in place. */
static void add_bias(const nl_layer *l, int64_t n, nl_act act, const nl_real *bias, nl_real *y)
{
    bias_job j = {.l = l, .act = act, .bias = bias, .y = y, .n = n};
    if (act != NL_LINEAR || bias)
        nl_for(nl_row_blocks(n, l->out.c), n * l->out.c * (int64_t)sizeof *y, bias_block, &j);
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    const struct dense *o = l->self;
    const nl_real *bias = nl_layer_value(l, B);
    nl_real *a = l->norm[ACT] ? nl_layer_value(l, A) : c->y;
    nl_real *t = l->norm[PREACT] ? nl_layer_value(l, T) : a;
    multiply(l, c, t);
    start_from_output(l, c, t);
    if (l->norm[PREACT]) {
        nl_args p = nl_layer_norm_args(c);
        p.x = t, p.y = a;
        p.act = o->bias.is == AFTER ? NL_LINEAR : act_of(l);
        if (o->bias.is == BEFORE)
            add_bias(l, c->n, NL_LINEAR, bias, t);
        nl_norm_forward(l->norm[PREACT], &p);
        if (o->bias.is == AFTER)
            add_bias(l, c->n, act_of(l), bias, a);
    } else {
        add_bias(l, c->n, act_of(l), bias, a);
    }
    if (l->norm[ACT]) {
        nl_args p = nl_layer_norm_args(c);
        p.x = a, p.y = c->y;
        nl_norm_forward(l->norm[ACT], &p);
    }
}

/* ---- backward */

static void act_back_block(int64_t b, void *arg)
{
    const bias_job *j = arg;
    const int64_t c = j->l->out.c, blocks = nl_row_blocks(j->n, c);
    const int64_t from = nl_edge(j->n, blocks, b) * c, to = nl_edge(j->n, blocks, b + 1) * c;
    nl_act_kernel()->backward(j->act, j->y + from, j->dy + from, j->dx + from, to - from);
}

typedef struct sum_job {
    const nl_layer *l;
    const nl_real *x;
    int64_t n;
} sum_job;

static void sum_block(int64_t b, void *arg)
{
    const sum_job *j = arg;
    const int64_t c = j->l->out.c, blocks = nl_row_blocks(j->n, c);
    const int64_t from = nl_edge(j->n, blocks, b), to = nl_edge(j->n, blocks, b + 1);
    double *sum = (double *)(void *)nl_layer_value(j->l, SUMS) + b * c;
    memset(sum, 0, (size_t)c * sizeof *sum);
    nl_area_kernel()->column_sums((nl_rows){j->x + from * c, c, to - from, NULL, 1}, c, sum,
                                  nl_layer_value(j->l, STRIPS) + b * c);
}

static void add_bias_gradient(const nl_layer *l, int64_t n, const nl_real *dt)
{
    sum_job j = {l, dt, n};
    const int64_t blocks = nl_row_blocks(n, l->out.c);
    double *sum = (double *)(void *)nl_layer_value(l, SUMS);
    nl_real *db = nl_layer_grad(l, B);
    nl_for(blocks, n * l->out.c * (int64_t)sizeof *dt, sum_block, &j);
    nl_fold(sum, blocks, l->out.c);
    for (int64_t k = 0; k < l->out.c; k++)
        db[k] += (nl_real)sum[k];
}

/* dL/d(x W) into DT, and the gradients of norms and bias on the way. */
static void backward_to_product(nl_layer *l, const nl_layer_call *c)
{
    const struct dense *o = l->self;
    nl_real *dt = nl_layer_value(l, DT);
    const nl_real *dy = c->dy, *a = l->norm[ACT] ? nl_layer_value(l, A) : c->y;
    nl_args p = nl_layer_norm_args(c);
    p.dx = dt;
    if (l->norm[ACT]) {
        p.x = a, p.y = c->y, p.dy = dy;
        nl_norm_backward(l->norm[ACT], &p);
        dy = dt;
    }
    p.x = nl_layer_value(l, T), p.y = (nl_real *)a, p.dy = dy;
    if (l->norm[PREACT] && o->bias.is != AFTER) {
        p.act = act_of(l);
        nl_norm_backward(l->norm[PREACT], &p);
    } else {
        bias_job j = {.l = l, .act = act_of(l), .y = (nl_real *)a, .n = c->n, .dy = dy, .dx = dt};
        nl_for(nl_row_blocks(c->n, l->out.c), c->n * l->out.c * (int64_t)sizeof *dt, act_back_block,
               &j);
        if (o->bias.is == AFTER)
            add_bias_gradient(l, c->n, dt);
        p.dy = dt;
        if (l->norm[PREACT])
            nl_norm_backward(l->norm[PREACT], &p);
    }
    if (o->bias.is == BEFORE)
        add_bias_gradient(l, c->n, dt);
}

static void weight_gradient(nl_layer *l, const nl_layer_call *c)
{
    nl_real *dw = nl_layer_grad(l, W), *dt = nl_layer_value(l, DT);
    if (!l->norm[WEIGHT]) {
        nl_gemm_tn(l->work, c->n, c->x, l->in.c, dt, l->out.c, dw, c->accumulate);
        return;
    }
    nl_real *dweff = nl_layer_value(l, DWEFF);
    nl_gemm_tn(l->work, c->n, c->x, l->in.c, dt, l->out.c, dweff, false);
    nl_args a = weight_args(l, c);
    a.dy = dweff;
    a.dx = dweff;
    nl_norm_backward(l->norm[WEIGHT], &a);
    for (int64_t i = 0; i < l->in.c * l->out.c; i++)
        dw[i] = c->accumulate ? dw[i] + dweff[i] : dweff[i];
}

static void backward(nl_layer *l, const nl_layer_call *c)
{
    backward_to_product(l, c);
    weight_gradient(l, c);
    if (c->dx)
        nl_gemm_nt(l->work, c->n, nl_layer_value(l, DT), l->out.c,
                   l->norm[WEIGHT] ? nl_layer_value(l, WEFF) : nl_layer_value(l, W), true, c->dx,
                   l->in.c, c->add_dx);
}

/* ---- what the log sees */

static const nl_real *late_bias(const nl_layer *l)
{
    return l->norm[PREACT] && dense_of(l)->bias.is == AFTER ? nl_layer_value(l, B) : NULL;
}

static void observe(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post)
{
    const size_t bytes = (size_t)(c->n * l->out.c) * sizeof *pre;
    nl_args p = nl_layer_norm_args(c);
    p.update = false;
    p.hold = true; /* the state has moved since: coefficients stay those of the step */
    p.x = pre, p.y = post;
    if (slot == ACT) {
        memcpy(pre, l->norm[ACT] ? nl_layer_value(l, A) : c->y, bytes);
    } else if (l->norm[PREACT]) {
        memcpy(pre, nl_layer_value(l, T), bytes);
    } else {
        multiply(l, c, pre);
        add_bias(l, c->n, NL_LINEAR, nl_layer_value(l, B), pre); /* no norm it could come after */
    }
    if (l->norm[slot])
        nl_norm_forward(l->norm[slot], &p);
    else
        memcpy(post, pre, bytes);
}

const nl_layer_ops nl_layer_dense = {
    NL_LAYER_HEADER,        .name = "dense",
    .title = "Dense layer", .self_size = sizeof(struct dense),
    .options = options,     .variables = variables,
    .slots = slots,         .shape = shape,
    .slot_geom = slot_geom, .extent = extent,
    .open = open,           .close = close,
    .init = init,           .forward = forward,
    .backward = backward,   .observe = observe,
    .activation = act_of,   .late_bias = late_bias,
};
