/* Recurrent layers: rnn, lstm, gru, gru_before. x (n, t, c) -> every h_t (n, t, units) or the last.
 *
 *     a_t = N_x(x_t Wx) + N_h(h_{t-1} U) + b         N_x, N_h, N_c: the norms in slots x, h, c
 *     rnn    h_t = act(N_c(a_t))
 *     lstm   i, f, o = sigmoid(a_t), g = tanh(a_t);  c_t = f c_{t-1} + i g,  h_t = o tanh(N_c(c_t))
 *     gru    z, r = sigmoid(a_t);  n = tanh(N_c(x part + r (h part)));  h_t = (1 - z) n + z h_{t-1}
 *     gru_before   n = tanh(N_c(x part + N_h((r h_{t-1}) U_n)))
 *
 * The norm in slot act, if any, then sees the output (n, t, units), as one between stacked layers.
 *
 * Layer normalization in x, h and c is Ba et al. 2016 (arXiv:1607.06450), eq. 20-22; batch
 * normalization there with statistics per time step is Cooijmans et al. 2017 (arXiv:1603.09025),
 * eq. 6-8. In both c_t is carried as it is; carry=normalized carries N_c(c_t).
 *
 * gru_before is Cho et al. 2014 (arXiv:1406.1078), eq. 5-8, Keras's reset_after=False: h is reset
 * before the candidate's product, so that this product comes after the gates and the norm in slot h
 * is two: one of the gates' part (2 units), one of the candidate's (slot h_n). gru resets what the
 * product gave, as PyTorch and Keras do unless told otherwise.
 *
 * Gates stand in Wx, U and b as in Keras: lstm i f g o (PyTorch's too), gru z r n (PyTorch: r z n).
 * One bias b is the sum of PyTorch's two, but for the gru's candidate, whose recurrent bias is bh.
 * Weights, bias and dropout start and act as in Keras: U orthogonal, b of f 1, one mask a sequence
 * shared by gates and steps. PyTorch's start is init=uniform(-k/k):recurrent_init=uniform(-k/k):
 * forget_bias=0 with k = 1 / sqrt(units). */
#include "layers/rnn.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/init.h"
#include "core/norm_plan.h"

/* ---- options */

static const char *const acts[] = {"linear", "relu", "sigmoid", "tanh", NULL};
static const char *const carries[] = {"raw", "normalized", NULL};

#define COMMON                                                                                     \
    NL_OPT(nl_rnn, units, "100", 1, 1 << 20, "units"),                                             \
        NL_OPT_FLAG(nl_rnn, sequences, "false", "gives every h_t instead of the last one"),        \
        NL_OPT_FLAG(nl_rnn, bias, "true", "adds b to the sum of both projections"),                \
        NL_OPT_TEXT(nl_rnn, init, "",                                                              \
                    "initializer of Wx, or one a gate parted by '+'; '' for "                      \
                    "the model's"),                                                                \
        NL_OPT_TEXT(nl_rnn, recurrent_init, "orthogonal", "the same of U"),                        \
        NL_OPT(nl_rnn, dropout, "0", 0, 0.999, "share of inputs set to 0, the same at each step"), \
        NL_OPT(nl_rnn, recurrent_dropout, "0", 0, 0.999, "the same for h before U"),               \
        NL_OPT_FLAG(nl_rnn, learn_initial, "false", "learns the initial state"),                   \
        NL_OPT(nl_rnn, initial_noise, "0", 0, 1e3,                                                 \
               "deviation of noise on each sequence's h_0 in training"),                           \
        NL_OPT_FLAG(nl_rnn, reverse, "false", "reads the sequence from its end"),                  \
        NL_OPT(nl_rnn, truncate, "0", 0, 1e9,                                                      \
               "steps after which gradients through time are cut; 0: never")

static const nl_option rnn_options[] = {
    COMMON, NL_OPT_NAMES(nl_rnn, act, "tanh", acts, "activation"), NL_OPT_END};
static const nl_option lstm_options[] = {
    COMMON, NL_OPT(nl_rnn, forget_bias, "1", -1e6, 1e6, "initial bias of the forget gate"),
    NL_OPT_NAMES(nl_rnn, carry, "raw", carries, "which cell state goes on: before or after N_c"),
    NL_OPT_END};
static const nl_option gru_options[] = {COMMON, NL_OPT_END};

#define SLOTS                                                                      \
    {.name = "x", .site = NL_AT_RNN, .doc = "on the input projection"},            \
        {.name = "h", .site = NL_AT_RNN, .doc = "on the recurrent projection"},    \
        {.name = "c", .site = NL_AT_RNN, .doc = "on the inner state, before act"}, \
    {                                                                              \
        .name = "act", .site = NL_AT_ACT, .doc = "on the layer's output"           \
    }

static const nl_slot_decl slots[] = {SLOTS, {0}};
static const nl_slot_decl early_slots[] = {
    SLOTS,
    {.name = "h_n", .site = NL_AT_RNN, .doc = "on the candidate's projection", .follows = "h"},
    {0}};

/* ---- variables */

#define ROW(id, name, role, type, flags, doc) \
    [id] = {name, role, type, {NL_USER, NL_USER}, 0, flags, NULL, NL_OWN, 0, doc}
#define PARAM(id, name, flags, doc) ROW(id, name, NL_PARAM, NL_TYPE_REAL, flags, doc)
#define SAVED(id, name, doc) ROW(id, name, NL_SAVED, NL_TYPE_REAL, 0, doc)
#define STATE(id, name, doc) ROW(id, name, NL_STATE, NL_TYPE_REAL, 0, doc)
#define SCRATCH(id, name, doc) ROW(id, name, NL_SCRATCH, NL_TYPE_REAL, 0, doc)

static const nl_variable variables[] = {
    PARAM(NL_RNN_WX, "wx", NL_DECAYS | NL_OVERWRITES, "weights of the input (in, gates units)"),
    PARAM(NL_RNN_WH, "wh", NL_DECAYS | NL_OVERWRITES, "recurrent weights (units, gates units)"),
    PARAM(NL_RNN_WHN, "wh_n", NL_DECAYS | NL_OVERWRITES, "those of the candidate (units, units)"),
    PARAM(NL_RNN_B, "b", 0, "bias (gates units)"),
    PARAM(NL_RNN_BH, "bh", 0, "recurrent bias of the candidate (units)"),
    PARAM(NL_RNN_H0, "h0", 0, "initial output (units)"),
    PARAM(NL_RNN_K0, "c0", 0, "initial cell state (units)"),
    STATE(NL_RNN_LAST_H, "last_h", "outputs that the latest training batch ended with"),
    STATE(NL_RNN_LAST_K, "last_c", "cell states that it ended with"),
    SAVED(NL_RNN_EVAL_H, "eval_h", "the same of evaluation"),
    SAVED(NL_RNN_EVAL_K, "eval_c", "the same of evaluation"),
    SAVED(NL_RNN_IN, "in", "input by time"),
    ROW(NL_RNN_LIVE, "live", NL_SAVED, NL_TYPE_INT64, 0, "bytes: which rows are live"),
    SAVED(NL_RNN_PX, "px", "projected input"),
    SAVED(NL_RNN_PH, "ph", "projected state"),
    SAVED(NL_RNN_PHN, "ph_n", "projected state, reset before"),
    SAVED(NL_RNN_GATE, "gate", "activated gates"),
    SAVED(NL_RNN_V, "v", "what the cell keeps"),
    SAVED(NL_RNN_HS, "h", "outputs"),
    SAVED(NL_RNN_S, "s", "inner states"),
    SAVED(NL_RNN_Z, "z", "inner states, normalized"),
    SAVED(NL_RNN_DROPPED, "dropped", "outputs, dropped out"),
    SAVED(NL_RNN_KEEP_X, "keep_x", "factors of the input's dropout"),
    SAVED(NL_RNN_KEEP_H, "keep_h", "factors of the state's dropout"),
    SAVED(NL_RNN_POOLED, "px_by_example", "projected input of whole sequences"),
    SAVED(NL_RNN_NORMED, "normed", "the same, normalized, by time"),
    SAVED(NL_RNN_Y, "out", "output before its norm"),
    ROW(NL_RNN_SEEN, "seen", NL_SAVED, NL_TYPE_DOUBLE, 0, "lengths of the gradients of outputs"),
    SCRATCH(NL_RNN_NX, "nx", "normalized px of a step"),
    SCRATCH(NL_RNN_NH, "nh", "normalized ph of a step"),
    SCRATCH(NL_RNN_NHN, "nh_n", "normalized ph_n of a step"),
    SCRATCH(NL_RNN_SWAP, "by_example", "px or its gradient by example"),
    SCRATCH(NL_RNN_DGATE, "dgate", "gradient of the gates"),
    SCRATCH(NL_RNN_DGATE_H, "dgate_h", "the same for the state's part"),
    SCRATCH(NL_RNN_DPX, "dpx", "gradient of px"),
    SCRATCH(NL_RNN_DPH, "dph", "gradient of ph"),
    SCRATCH(NL_RNN_DPHN, "dph_n", "gradient of ph_n"),
    SCRATCH(NL_RNN_DIN, "din", "gradient of in"),
    SCRATCH(NL_RNN_DH, "dh", "gradient of an output"),
    SCRATCH(NL_RNN_DK, "dk", "gradient of what is carried"),
    SCRATCH(NL_RNN_DZ, "dz", "gradient of an inner state, normalized"),
    SCRATCH(NL_RNN_DS, "ds", "gradient of an inner state"),
    SCRATCH(NL_RNN_DS_ALL, "ds_all", "the same with what later steps ask, for the log"),
    SCRATCH(NL_RNN_DQ, "dq", "gradient of ph_n, normalized"),
    SCRATCH(NL_RNN_DU, "du", "gradient of an output through U"),
    SCRATCH(NL_RNN_DV, "dv", "gradient of what the cell keeps"),
    SCRATCH(NL_RNN_DY, "dout", "gradient of the output before its norm"),
    ROW(NL_RNN_SUMS, "sums", NL_SCRATCH, NL_TYPE_DOUBLE, 0, "column sums of blocks"),
    SCRATCH(NL_RNN_SUM_WX, "sum_wx", "gradients of wx from pieces of the batch"),
    SCRATCH(NL_RNN_SUM_WH, "sum_wh", "gradients of wh"),
    SCRATCH(NL_RNN_SUM_WHN, "sum_wh_n", "gradients of wh_n"),
    ROW(NL_RNN_SUM_B, "sum_b", NL_SCRATCH, NL_TYPE_DOUBLE, 0, "gradients of b"),
    ROW(NL_RNN_SUM_BH, "sum_bh", NL_SCRATCH, NL_TYPE_DOUBLE, 0, "gradients of bh"),
    [NL_RNN_VARIABLES] = NL_ENDS_VARIABLES};

static const nl_rnn *rnn_of(const nl_layer *l) { return l->self; }
static int64_t gate_values(const nl_layer *l)
{
    return nl_rnn_cell_of(l)->gates * rnn_of(l)->units;
}

/* Of the product with wh. */
static int64_t recurrent_values(const nl_layer *l)
{
    const nl_rnn_cell *cell = nl_rnn_cell_of(l);
    return (cell->gates - cell->early) * rnn_of(l)->units;
}

static int64_t blocks_of(const nl_layer *l)
{
    const int64_t all = nl_row_blocks(l->in.s * l->n, gate_values(l));
    const int64_t first = nl_row_blocks(l->n, rnn_of(l)->units);
    return all > first ? all : first;
}

static bool goes_by_rows(const nl_norm *norm)
{
    return !norm || (nl_norm_goes_by_rows(norm) && !nl_norm_takes_sequence(norm));
}

bool nl_rnn_goes_by_rows(const nl_layer *l)
{
    enum { NEAR_VALUES = 1 << 16 }; /* of weights: a quarter of a mebibyte of floats */
    for (int k = 0; l->ops->slots[k].name; k++)
        if (l->ops->slots[k].site == NL_AT_RNN && !goes_by_rows(l->norm[k]))
            return false;
    return (l->in.c + rnn_of(l)->units) * gate_values(l) <= NEAR_VALUES;
}

/* An even number, as cores are. Products want some 20 examples; few examples are cut smaller. */
int64_t nl_rnn_pieces(int64_t n)
{
    enum { ROWS = 20, LEAST_ROWS = 6, FEW = 4 };
    const int64_t pairs = n / (2 * ROWS), least = n / (2 * LEAST_ROWS);
    const int64_t few = least < FEW / 2 ? least : FEW / 2;
    return pairs > few ? 2 * pairs : few > 0 ? 2 * few : 1;
}

static nl_geom size_of_state(const nl_layer *l, int id)
{
    const nl_rnn *o = l->self;
    const nl_rnn_cell *cell = nl_rnn_cell_of(l);
    const int64_t u = o->units, n = l->n;
    switch (id) {
    case NL_RNN_WX: return (nl_geom){.n = l->in.c, .c = gate_values(l)};
    case NL_RNN_WH: return (nl_geom){.n = u, .c = recurrent_values(l)};
    case NL_RNN_WHN: return (nl_geom){.n = cell->early ? u : 0, .c = u};
    case NL_RNN_B: return (nl_geom){.n = o->bias, .c = gate_values(l)};
    case NL_RNN_BH: return (nl_geom){.n = o->bias && cell->apart && !cell->early, .c = u};
    case NL_RNN_H0: return (nl_geom){.n = o->learn_initial, .c = u};
    case NL_RNN_K0: return (nl_geom){.n = o->learn_initial && cell->carries, .c = u};
    case NL_RNN_LAST_H: return (nl_geom){.n = l->stateful ? l->batch : 0, .c = u};
    case NL_RNN_LAST_K: return (nl_geom){.n = l->stateful && cell->carries ? l->batch : 0, .c = u};
    case NL_RNN_EVAL_H: return (nl_geom){.n = l->stateful ? n : 0, .c = u};
    default: return (nl_geom){.n = l->stateful && cell->carries ? n : 0, .c = u};
    }
}

static nl_geom size_of_pass(const nl_layer *l, int id)
{
    const nl_rnn *o = l->self;
    const nl_rnn_cell *cell = nl_rnn_cell_of(l);
    const int64_t u = o->units, g = gate_values(l), gh = recurrent_values(l);
    const int64_t in = l->in.c, n = l->n, all = l->in.s * n;
    const bool x = l->norm[NL_RNN_SLOT_X], h = l->norm[NL_RNN_SLOT_H], c = l->norm[NL_RNN_SLOT_C];
    const bool pools = nl_norm_takes_sequence(l->norm[NL_RNN_SLOT_X]);
    switch (id) {
    case NL_RNN_IN: return (nl_geom){.n = all, .c = in};
    case NL_RNN_LIVE: return (nl_geom){.n = 1, .c = (all + 7) / 8};
    case NL_RNN_PX: return (nl_geom){.n = all, .c = g};
    case NL_RNN_PH: return (nl_geom){.n = h || pools || cell->apart ? all : 0, .c = gh};
    case NL_RNN_PHN: return (nl_geom){.n = cell->early ? all : 0, .c = u};
    case NL_RNN_GATE: return (nl_geom){.n = x ? all : 0, .c = g};
    case NL_RNN_V: return (nl_geom){.n = cell->saves_v ? all : 0, .c = u};
    case NL_RNN_HS:
    case NL_RNN_S: return (nl_geom){.n = all + n, .c = u};
    case NL_RNN_Z: return (nl_geom){.n = c ? all + n : 0, .c = u};
    case NL_RNN_DROPPED: return (nl_geom){.n = o->recurrent_dropout > 0 ? all : 0, .c = u};
    case NL_RNN_KEEP_X: return (nl_geom){.n = o->dropout > 0 ? n : 0, .c = in};
    case NL_RNN_KEEP_H: return (nl_geom){.n = o->recurrent_dropout > 0 ? n : 0, .c = u};
    case NL_RNN_Y: return (nl_geom){.n = l->norm[NL_RNN_SLOT_ACT] ? n * l->out.s : 0, .c = u};
    case NL_RNN_SEEN: return (nl_geom){.n = 1, .c = l->in.s};
    case NL_RNN_NX: return (nl_geom){.n = x && !pools ? n : 0, .c = g};
    case NL_RNN_NH: return (nl_geom){.n = h ? n : 0, .c = gh};
    case NL_RNN_NHN: return (nl_geom){.n = h && cell->early ? n : 0, .c = u};
    default: return (nl_geom){.n = pools ? all : 0, .c = g}; /* pooled, normed, swap */
    }
}

static nl_geom size_of_gradient(const nl_layer *l, int id)
{
    const nl_rnn *o = l->self;
    const nl_rnn_cell *cell = nl_rnn_cell_of(l);
    const int64_t u = o->units, g = gate_values(l), gh = recurrent_values(l);
    const int64_t in = l->in.c, n = l->n, all = l->in.s * n;
    const bool x = l->norm[NL_RNN_SLOT_X], h = l->norm[NL_RNN_SLOT_H], c = l->norm[NL_RNN_SLOT_C];
    const bool by_rows = nl_rnn_goes_by_rows(l);
    const int64_t pieces = by_rows ? nl_rnn_pieces(n) : 0, kept = by_rows ? n : all;
    switch (id) {
    case NL_RNN_DGATE: return (nl_geom){.n = kept, .c = g};
    case NL_RNN_DGATE_H: return (nl_geom){.n = cell->apart ? kept : 0, .c = gh};
    case NL_RNN_DPX: return (nl_geom){.n = x ? kept : 0, .c = g};
    case NL_RNN_DPH: return (nl_geom){.n = h ? kept : 0, .c = gh};
    case NL_RNN_DPHN: return (nl_geom){.n = cell->early ? kept : 0, .c = u};
    case NL_RNN_DIN: return (nl_geom){.n = kept, .c = in};
    case NL_RNN_DH:
    case NL_RNN_DZ: return (nl_geom){.n = n, .c = u};
    case NL_RNN_DK: return (nl_geom){.n = cell->carries ? n : 0, .c = u};
    case NL_RNN_DS: return (nl_geom){.n = c ? n : 0, .c = u};
    case NL_RNN_DS_ALL: return (nl_geom){.n = c && cell->carries ? n : 0, .c = u};
    case NL_RNN_DQ: return (nl_geom){.n = h && cell->early ? n : 0, .c = u};
    case NL_RNN_DU: return (nl_geom){.n = o->recurrent_dropout > 0 ? n : 0, .c = u};
    case NL_RNN_DV: return (nl_geom){.n = cell->early ? n : 0, .c = u};
    case NL_RNN_DY: return (nl_geom){.n = l->norm[NL_RNN_SLOT_ACT] ? n * l->out.s : 0, .c = u};
    case NL_RNN_SUM_WX: return (nl_geom){.n = pieces, .c = in * g};
    case NL_RNN_SUM_WH: return (nl_geom){.n = pieces, .c = u * gh};
    case NL_RNN_SUM_WHN: return (nl_geom){.n = cell->early ? pieces : 0, .c = u * u};
    case NL_RNN_SUM_B: return (nl_geom){.n = o->bias ? pieces : 0, .c = g};
    case NL_RNN_SUM_BH:
        return (nl_geom){.n = o->bias && cell->apart && !cell->early ? pieces : 0, .c = u};
    default: return (nl_geom){.n = blocks_of(l), .c = g}; /* sums */
    }
}

/* Rows and columns of a variable; no rows where the layer does without it. */
static nl_geom size_of(const nl_layer *l, int id)
{
    if (id < NL_RNN_IN)
        return size_of_state(l, id);
    return id < NL_RNN_DGATE ? size_of_pass(l, id) : size_of_gradient(l, id);
}

static int64_t extent(const nl_layer *l, int id, int dim)
{
    const nl_geom size = size_of(l, id);
    return dim ? size.c : size.n;
}

/* ---- set-up */

static nl_status shape(nl_layer *l)
{
    const nl_rnn *o = l->self;
    if (l->in.h && l->in.s == 1)
        return nl_fail(NL_ESHAPE, "%s: a %s layer reads sequences, got an image of %lld x %lld",
                       l->name, l->ops->name, (long long)l->in.h, (long long)l->in.w);
    if (l->stateful && o->reverse)
        return nl_fail(NL_ESTATE,
                       "%s: reads from the end, but states go on from batch to batch in order "
                       "(stateful=false starts each anew)",
                       l->name);
    l->out = (nl_shape){.s = o->sequences ? l->in.s : 1, .c = o->units};
    return NL_OK;
}

int64_t nl_rnn_slot_width(const nl_layer *l, int slot)
{
    return slot == NL_RNN_SLOT_X   ? gate_values(l)
           : slot == NL_RNN_SLOT_H ? recurrent_values(l)
                                   : rnn_of(l)->units;
}

static nl_geom slot_geom(const nl_layer *l, int slot)
{
    const int64_t c = nl_rnn_slot_width(l, slot);
    if (slot == NL_RNN_SLOT_ACT)
        return (nl_geom){.n = l->n, .s = l->out.s, .c = c, .steps = 1, .batch = l->batch};
    return (nl_geom){.n = l->n,
                     .s = 1,
                     .c = c,
                     .steps = l->in.s,
                     .sequence = slot == NL_RNN_SLOT_X,
                     .batch = l->batch,
                     .pieces = nl_rnn_pieces(l->n)};
}

static nl_status open(nl_layer *l)
{
    const int64_t u = rnn_of(l)->units, all = l->in.s * l->n;
    nl_rnn_plans *p = nl_alloc(1, sizeof *p);
    if (!p)
        return nl_fail(NL_ENOMEM, "%s: its plans", l->name);
    l->work = p;
    NL_TRY(nl_gemm_open(&p->x, all, l->in.c, gate_values(l), true));
    NL_TRY(nl_gemm_open(&p->h, l->n, u, recurrent_values(l), true));
    NL_TRY(nl_gemm_open(&p->dh, all, u, recurrent_values(l), false));
    if (!nl_rnn_cell_of(l)->early)
        return NL_OK;
    NL_TRY(nl_gemm_open(&p->hn, l->n, u, u, true));
    NL_TRY(nl_gemm_open(&p->dhn, all, u, u, false));
    return NL_OK;
}

static void close(nl_layer *l)
{
    nl_rnn_plans *p = l->work;
    if (!p)
        return;
    nl_gemm_close(p->x);
    nl_gemm_close(p->h);
    nl_gemm_close(p->dh);
    nl_gemm_close(p->hn);
    nl_gemm_close(p->dhn);
    nl_free(p);
}

/* ---- initial values */

/* "a+b+c": the part of gate k; a single one is that of every gate. */
static void part_of(const char *spec, int k, char *part)
{
    while (k-- > 0 && strchr(spec, '+'))
        spec = strchr(spec, '+') + 1;
    snprintf(part, NL_STRING_MAX, "%.*s", (int)strcspn(spec, "+"), spec);
}

/* A matrix (rows, gates units) on its way into the parameter or parameters called `name`. */
typedef struct drawing {
    const nl_layer *l;
    const char *spec, *name;
    uint64_t seed;
    int64_t rows;
    nl_real *to;
} drawing;

static nl_status draw_gate(const drawing *d, int gate)
{
    const int64_t u = rnn_of(d->l)->units, g = gate_values(d->l);
    char part[NL_STRING_MAX], name[32];
    nl_real *own = nl_alloc((size_t)(d->rows * u), sizeof *own);
    if (!own)
        return nl_fail(NL_ENOMEM, "%s: its weights", d->l->name);
    part_of(d->spec, gate, part);
    snprintf(name, sizeof name, "%s.%d", d->name, gate);
    const nl_status st = nl_init_weights(part, d->seed, d->l->name, name,
                                         (nl_weight_shape){.rows = d->rows, .cols = u}, own);
    for (int64_t r = 0; st == NL_OK && r < d->rows; r++)
        /* There always are Wx and U: NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
        memcpy(d->to + r * g + gate * u, own + r * u, (size_t)u * sizeof *own);
    nl_free(own);
    return st;
}

/* As one, as Keras draws it; gate by gate where each has its own, and for `identity`. */
static nl_status draw(const drawing *d)
{
    const int gates = nl_rnn_cell_of(d->l)->gates;
    int parts = 1;
    for (const char *at = d->spec; (at = strchr(at, '+')); at++)
        parts++;
    if (parts > 1 && parts != gates)
        return nl_fail(NL_EOPTION, "%s: %s has %d initializers, wanted 1 or %d", d->l->name,
                       d->spec, parts, gates);
    if (parts == 1 && strncmp(d->spec, "identity", strlen("identity")) != 0) {
        NL_TRY(nl_init_weights(d->spec, d->seed, d->l->name, d->name,
                               (nl_weight_shape){.rows = d->rows, .cols = gate_values(d->l)},
                               d->to));
        return NL_OK;
    }
    for (int k = 0; k < gates; k++)
        NL_TRY(draw_gate(d, k));
    return NL_OK;
}

/* The candidate's columns of U are a parameter of their own where it is reset before. */
static void deal_out(const nl_layer *l, const nl_real *all)
{
    const int64_t u = rnn_of(l)->units, g = gate_values(l), gh = recurrent_values(l);
    nl_real *wh = nl_layer_value(l, NL_RNN_WH), *whn = nl_layer_value(l, NL_RNN_WHN);
    for (int64_t r = 0; r < u; r++) {
        memcpy(wh + r * gh, all + r * g, (size_t)gh * sizeof *wh);
        if (whn)
            memcpy(whn + r * u, all + r * g + gh, (size_t)u * sizeof *whn);
    }
}

static nl_status init_recurrent(nl_layer *l, uint64_t seed)
{
    const int64_t u = rnn_of(l)->units;
    nl_real *all = nl_alloc((size_t)(u * gate_values(l)), sizeof *all);
    if (!all)
        return nl_fail(NL_ENOMEM, "%s: its weights", l->name);
    const drawing d = {l, rnn_of(l)->recurrent_init.is, variables[NL_RNN_WH].name, seed, u, all};
    const nl_status st = draw(&d);
    if (st == NL_OK)
        deal_out(l, all);
    nl_free(all);
    return st;
}

static nl_status init(nl_layer *l, const char *model_init, uint64_t seed)
{
    const nl_rnn *o = l->self;
    nl_real *b = nl_layer_value(l, NL_RNN_B);
    const drawing input = {l,
                           o->init.is[0] ? o->init.is : model_init,
                           variables[NL_RNN_WX].name,
                           seed,
                           l->in.c,
                           nl_layer_value(l, NL_RNN_WX)};
    NL_TRY(draw(&input));
    NL_TRY(init_recurrent(l, seed));
    for (int64_t k = o->units; b && nl_rnn_cell_of(l)->carries && k < 2 * o->units; k++)
        b[k] = (nl_real)o->forget_bias;
    return NL_OK;
}

/* ---- the layers */

#define LAYER(id, heading, table, where)                                     \
    const nl_layer_ops nl_layer_##id = {NL_LAYER_HEADER,                     \
                                        .name = #id,                         \
                                        .title = heading,                    \
                                        .self_size = sizeof(nl_rnn),         \
                                        .options = table,                    \
                                        .variables = variables,              \
                                        .slots = where,                      \
                                        .shape = shape,                      \
                                        .slot_geom = slot_geom,              \
                                        .extent = extent,                    \
                                        .open = open,                        \
                                        .close = close,                      \
                                        .init = init,                        \
                                        .forward = nl_rnn_forward,           \
                                        .backward = nl_rnn_backward,         \
                                        .observe = nl_rnn_observe,           \
                                        .observe_step = nl_rnn_observe_step, \
                                        .step_gradients = nl_rnn_step_gradients}
extern const nl_layer_ops nl_layer_rnn, nl_layer_lstm, nl_layer_gru, nl_layer_gru_before;
LAYER(rnn, "Recurrent layer", rnn_options, slots);
LAYER(lstm, "Long short-term memory", lstm_options, slots);
LAYER(gru, "Gated recurrent unit", gru_options, slots);
LAYER(gru_before, "Gated recurrent unit, reset before the product", gru_options, early_slots);

const nl_rnn_cell *nl_rnn_cell_of(const nl_layer *l)
{
    static const struct {
        const nl_layer_ops *ops;
        nl_rnn_cell cell;
    } table[] = {
        {&nl_layer_rnn, {.gates = 1}},
        {&nl_layer_lstm, {.gates = 4, .carries = true, .saves_v = true}},
        {&nl_layer_gru, {.gates = 3, .apart = true, .saves_v = true}},
        {&nl_layer_gru_before, {.gates = 3, .apart = true, .early = true, .saves_v = true}}};
    int k = 0;
    while (table[k].ops != l->ops)
        k++;
    return &table[k].cell;
}
