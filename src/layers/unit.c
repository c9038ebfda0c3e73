#include "layers/unit.h"

#include <string.h>

#include "core/init.h"
#include "core/norm_plan.h"
#include "layers/bias_gradient.h"
#include "par/par.h"

const char *const nl_unit_acts[] = {"linear", "relu", "sigmoid", "tanh", NULL};
const char *const nl_unit_biases[] = {"before", "after", "off", NULL};
enum { BEFORE, AFTER, OFF };

enum { PREACT, ACT, WEIGHT };
const nl_slot_decl nl_unit_slots[] = {
    {.name = "preact", .site = NL_AT_PREACT, .doc = "before the activation"},
    {.name = "act", .site = NL_AT_ACT, .doc = "after the activation"},
    {.name = "weight", .site = NL_AT_WEIGHT, .doc = "on the weights"},
    {0}};

enum { W, B, FB, T, A, WEFF, DT, DWEFF, SUMS, VARIABLES };
const nl_variable nl_unit_variables[] = {
    [W] = {.name = "w",
           .role = NL_PARAM,
           .dim = {NL_USER, NL_C},
           .flags = NL_DECAYS | NL_OVERWRITES,
           .doc = "weights (fan-in, out)"},
    [B] = {.name = "b", .role = NL_PARAM, .dim = {NL_1, NL_USER}, .doc = "bias (out)"},
    [FB] = {.name = "folded_b",
            .role = NL_SAVED,
            .dim = {NL_1, NL_USER},
            .doc = "bias after folding (out)"},
    [T] = {.name = "t",
           .role = NL_SAVED,
           .dim = {NL_N, NL_USER},
           .doc = "input of the norm before the activation"},
    [A] = {.name = "a",
           .role = NL_SAVED,
           .dim = {NL_N, NL_USER},
           .doc = "input of the norm after the activation"},
    [WEFF] = {.name = "weff", .role = NL_SAVED, .dim = {NL_USER, NL_C}, .doc = "weights in use"},
    [DT] = {.name = "dt", .role = NL_SCRATCH, .dim = {NL_N, NL_USER}, .doc = "dL/dt"},
    [DWEFF] = {.name = "dweff",
               .role = NL_SCRATCH,
               .dim = {NL_USER, NL_C},
               .doc = "gradient of the weights in use"},
    [SUMS] = {.name = "sums",
              .role = NL_SCRATCH,
              .type = NL_TYPE_DOUBLE,
              .dim = {NL_USER, NL_C},
              .doc = "bias gradient of each block of rows"},
    [VARIABLES] = NL_ENDS_VARIABLES};

static const nl_unit *unit_of(const nl_layer *l) { return l->self; }
nl_act nl_unit_activation(const nl_layer *l) { return (nl_act)unit_of(l)->act.is; }

static int64_t rows_of(const nl_layer *l, int64_t n) { return n * l->out.s; }
static int64_t values_of(const nl_layer *l, int64_t n) { return n * l->out.s * l->out.c; }

nl_geom nl_unit_slot_geom(const nl_layer *l, int slot)
{
    const int64_t rows = unit_of(l)->rows;
    if (slot == WEIGHT)
        return (nl_geom){.n = rows, .s = 1, .c = l->out.c, .steps = 1, .batch = rows};
    return (nl_geom){.n = l->n, .s = l->out.s, .c = l->out.c, .steps = 1, .batch = l->batch};
}

int64_t nl_unit_extent(const nl_layer *l, int id, int dim)
{
    const nl_unit *u = unit_of(l);
    (void)dim;
    switch (id) {
    case W: return u->rows;
    case B: return u->bias.is == OFF ? 0 : l->out.c;
    case FB: return l->norm[PREACT] ? l->out.c : 0;
    case T: return l->norm[PREACT] ? values_of(l, 1) : 0;
    case A: return l->norm[ACT] ? values_of(l, 1) : 0;
    case DT: return l->norm[PREACT] && l->residual != NL_NO_RESIDUAL ? values_of(l, 1) : 0;
    case WEFF:
    case DWEFF: return l->norm[WEIGHT] ? u->rows : 0;
    default: return nl_row_blocks(rows_of(l, l->n), l->out.c);
    }
}

static nl_args weight_args(const nl_layer *l, const nl_layer_call *c)
{
    nl_args a = nl_layer_norm_args(c);
    a.n = unit_of(l)->rows;
    a.policy = NULL;
    a.x = nl_layer_value(l, W);
    a.y = nl_layer_value(l, WEFF);
    return a;
}

nl_status nl_unit_init(nl_layer *l, const char *model_init, uint64_t seed)
{
    const nl_unit *u = unit_of(l);
    const nl_weight_shape w = {
        .rows = u->rows, .cols = l->out.c, .fan_in = u->fan_in, .fan_out = u->fan_out};
    const nl_weight_shape b = {.rows = 1, .cols = l->out.c, .fan_in = u->fan_in};
    NL_TRY(nl_init_weights(u->init.is[0] ? u->init.is : model_init, seed, l->name, "w", w,
                           nl_layer_value(l, W)));
    nl_item_given_init(nl_store_at(l->store, l->item[W])); /* a norm on it starts from there */
    if (nl_layer_value(l, B))
        NL_TRY(nl_init_weights(u->bias_init.is, seed, l->name, "b", b, nl_layer_value(l, B)));
    if (l->norm[WEIGHT]) {
        const nl_args a = weight_args(l, &(nl_layer_call){.phase = NL_TRAIN});
        nl_norm_start(l->norm[WEIGHT], &a);
    }
    return NL_OK;
}

/* ---- forward */

static const nl_real *bias_in_use(const nl_layer *l)
{
    return nl_layer_value(l, unit_of(l)->folded ? FB : B);
}

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
    const nl_unit *u = unit_of(l);
    u->product->forward(l, c->n, c->x, weights_in_use(l, c), t);
}

/* Data-dependent start of weight-space methods: the weights change, so t does. */
static void start_from_output(nl_layer *l, const nl_layer_call *c, nl_real *t)
{
    if (!c->start || !l->norm[WEIGHT] || !nl_norm_wants_output(l->norm[WEIGHT]))
        return;
    nl_norm_start_output(l->norm[WEIGHT], t, rows_of(l, c->n), l->out.c, nl_layer_value(l, B));
    multiply(l, c, t);
}

/* Rows of (rows, out) arrays, in blocks. */
typedef struct row_job {
    const nl_layer *l;
    nl_act act;
    const nl_real *bias, *residual;
    nl_real *y;
    int64_t rows;
} row_job;

/* Small ones, so that threads end together; an even number, so that two meet in the middle, as they
 * do in the passes before and after. */
static int64_t finish_blocks(int64_t rows, int64_t c)
{
    enum { PAIR = 8192 }; /* values of two blocks */
    return 2 * ((rows * c + PAIR - 1) / PAIR);
}

static void finish_block(int64_t b, void *arg)
{
    const row_job *j = arg;
    const int64_t c = j->l->out.c, blocks = finish_blocks(j->rows, c);
    const int64_t from = nl_row_edge(j->rows, blocks, b), to = nl_row_edge(j->rows, blocks, b + 1);
    nl_real *y = j->y + from * c;
    for (int64_t i = 0; j->residual && i < (to - from) * c; i++)
        y[i] += j->residual[from * c + i];
    nl_act_kernel()->bias_forward(j->act, y, j->bias, y, to - from, c);
}

/* In moves of the values: sigmoid and tanh take an exponential and a division. */
static int64_t act_cost(nl_act act) { return act == NL_SIGMOID || act == NL_TANH ? 4 : 1; }

/* y = act(y + bias + residual), in place. */
static void finish(const nl_layer *l, int64_t n, nl_act act, const nl_real *bias,
                   const nl_real *residual, nl_real *y)
{
    row_job j = {
        .l = l, .act = act, .bias = bias, .residual = residual, .y = y, .rows = rows_of(l, n)};
    const int64_t c = l->out.c, bytes = j.rows * c * (int64_t)sizeof *y;
    if (act != NL_LINEAR || bias || residual)
        nl_for(finish_blocks(j.rows, c), act_cost(act) * bytes, finish_block, &j);
}

/* What the activation sees is overwritten by what it gives. */
static void tell_input(const nl_layer *l, const nl_layer_call *c, const nl_real *bias,
                       const nl_real *t)
{
    if (!c->watch || !c->watch->value)
        return;
    nl_act_kernel()->bias_forward(NL_LINEAR, t, bias, c->watch->room, rows_of(l, c->n), l->out.c);
    c->watch->value(c->watch, l, c, PREACT);
}

void nl_unit_forward(nl_layer *l, const nl_layer_call *c)
{
    const nl_unit *u = unit_of(l);
    const nl_act act = nl_unit_activation(l);
    const nl_real *bias = bias_in_use(l);
    nl_real *a = l->norm[ACT] ? nl_layer_value(l, A) : c->y;
    nl_real *t = l->norm[PREACT] ? nl_layer_value(l, T) : a;
    multiply(l, c, t);
    start_from_output(l, c, t);
    if (l->norm[PREACT]) {
        nl_args p = nl_layer_norm_args(c);
        p.x = t, p.y = a;
        if (u->bias.is == BEFORE)
            finish(l, c->n, NL_LINEAR, bias, NULL, t);
        if (u->bias.is != AFTER)
            p.act = act, p.residual = c->residual;
        nl_norm_forward(l->norm[PREACT], &p);
        if (u->bias.is == AFTER)
            finish(l, c->n, act, bias, c->residual, a);
    } else {
        tell_input(l, c, bias, a);
        finish(l, c->n, act, bias, c->residual, a);
    }
    if (l->norm[ACT]) {
        nl_args p = nl_layer_norm_args(c);
        p.x = a, p.y = c->y;
        nl_norm_forward(l->norm[ACT], &p);
    }
}

/* ---- backward */

/* g = dL/dy of y = act(t + bias) becomes dL/dt, with the gradient of the bias on the way. */
static void differentiate(const nl_layer *l, int64_t n, nl_act act, const nl_real *y, nl_real *g)
{
    const nl_gradient_rows r = {
        .g = g, .y = y, .act = act, .rows = rows_of(l, n), .width = l->out.c, .ld = l->out.c};
    nl_add_bias_gradient(r, nl_layer_grad(l, B), (double *)(void *)nl_layer_value(l, SUMS));
}

/* dL/d(output of the norm before the activation), which the norm takes from g = dL/da itself. */
static void tell_output(const nl_layer *l, const nl_layer_call *c, nl_act act, const nl_real *a,
                        const nl_real *g)
{
    if (!c->watch || !c->watch->slot)
        return;
    if (act != NL_LINEAR)
        nl_act_kernel()->backward(act, a, g, c->watch->room, values_of(l, c->n));
    nl_layer_tell(l, c, PREACT, NL_POST, act != NL_LINEAR ? c->watch->room : g);
}

/* dL/dt, and the gradients of norms and bias on the way. It is made in the memory of dy; with a
 * residual dy keeps dL/d(what the activation saw), which is the residual's. */
static nl_real *backward_to_product(nl_layer *l, const nl_layer_call *c)
{
    const nl_unit *u = unit_of(l);
    nl_real *g = c->dy, *a = l->norm[ACT] ? nl_layer_value(l, A) : c->y;
    nl_real *dt = l->norm[PREACT] && c->residual ? nl_layer_value(l, DT) : g;
    const bool fused = l->norm[PREACT] && u->bias.is != AFTER;
    const nl_act act = nl_unit_activation(l);
    nl_args p = nl_layer_norm_args(c);
    if (l->norm[ACT]) {
        nl_layer_tell(l, c, ACT, NL_POST, g);
        p.x = a, p.y = c->y, p.dy = p.dx = g;
        nl_norm_backward(l->norm[ACT], &p);
        nl_layer_tell(l, c, ACT, NL_PRE, g);
    }
    if (!fused)
        differentiate(l, c->n, act, a, g);
    tell_output(l, c, fused ? act : NL_LINEAR, a, g);
    if (!l->norm[PREACT]) {
        nl_layer_tell(l, c, PREACT, NL_PRE, g);
        return g;
    }
    p.x = nl_layer_value(l, T), p.y = a, p.dy = g, p.dx = dt;
    if (fused)
        p.act = act, p.d_residual = c->residual ? g : NULL;
    nl_norm_backward(l->norm[PREACT], &p);
    if (fused) /* a bias stands before the norm */
        differentiate(l, c->n, NL_LINEAR, NULL, dt);
    nl_layer_tell(l, c, PREACT, NL_PRE, dt);
    return dt;
}

static void weight_gradient(nl_layer *l, const nl_layer_call *c, const nl_real *dt)
{
    const nl_unit *u = unit_of(l);
    nl_real *dw = nl_layer_grad(l, W);
    if (!l->norm[WEIGHT]) {
        u->product->weight_gradient(l, c->n, c->x, dt, dw, c->accumulate);
        return;
    }
    nl_real *dweff = nl_layer_value(l, DWEFF);
    u->product->weight_gradient(l, c->n, c->x, dt, dweff, false);
    nl_args a = weight_args(l, c);
    a.dy = dweff;
    a.dx = dweff;
    nl_norm_backward(l->norm[WEIGHT], &a);
    for (int64_t i = 0; i < u->rows * l->out.c; i++)
        dw[i] = c->accumulate ? dw[i] + dweff[i] : dweff[i];
}

void nl_unit_backward(nl_layer *l, const nl_layer_call *c)
{
    const nl_unit *u = unit_of(l);
    const nl_real *dt = backward_to_product(l, c);
    weight_gradient(l, c, dt);
    if (c->dx)
        u->product->data_gradient(l, c->n, dt,
                                  l->norm[WEIGHT] ? nl_layer_value(l, WEFF) : nl_layer_value(l, W),
                                  c->dx, c->add_dx);
}

/* ---- what the log sees */

const nl_real *nl_unit_late_bias(const nl_layer *l)
{
    return l->norm[PREACT] && unit_of(l)->bias.is == AFTER ? nl_layer_value(l, B) : NULL;
}

void nl_unit_observe(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post)
{
    const int64_t values = values_of(l, c->n);
    const size_t bytes = (size_t)values * sizeof *pre;
    if (slot == ACT) {
        memcpy(pre, l->norm[ACT] ? nl_layer_value(l, A) : c->y, bytes);
    } else if (l->norm[PREACT]) {
        memcpy(pre, nl_layer_value(l, T), bytes);
    } else {
        multiply(l, c, pre);
        finish(l, c->n, NL_LINEAR, bias_in_use(l), NULL, pre); /* no norm to come after */
    }
    nl_layer_look(l, slot, nl_layer_norm_args(c), values, pre, post);
}

/* ---- inference */

static void close_slot(nl_layer *l, int slot)
{
    nl_norm_close(l->norm[slot]);
    l->norm[slot] = NULL;
}

/* act(scale (x W + b) + shift) = act(x (W scale) + (scale b + shift)); a late bias is added as it
 * is. */
void nl_unit_fold(nl_layer *l, const double *scale, const double *shift)
{
    nl_unit *u = l->self;
    nl_real *w = nl_layer_value(l, W);
    const nl_real *b = nl_layer_value(l, B);
    const int64_t out = l->out.c;
    const nl_layer_call c = {.phase = NL_EVAL};
    const nl_real *in_use = weights_in_use(l, &c);
    for (int64_t i = 0; i < u->rows * out; i++)
        w[i] = (nl_real)((double)in_use[i] * (scale ? scale[i % out] : 1));
    if (l->norm[WEIGHT])
        close_slot(l, WEIGHT);
    if (!scale)
        return;
    for (int64_t k = 0; k < out; k++)
        nl_layer_value(l, FB)[k] =
            (nl_real)(shift[k] + (b ? (u->bias.is == BEFORE ? scale[k] : 1) * (double)b[k] : 0));
    u->folded = true;
    close_slot(l, PREACT);
}
