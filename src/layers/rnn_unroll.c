/* rnn_unroll.c: a cell through time, forward and backward.
 *
 * Inside, everything is kept by time, (t, n, ...) without gaps: the input is projected for all
 * steps in one product. A step is then: h U, the norms of both projections, the cell with the norm
 * of its inner state in the middle.
 *
 * Where no norm looks at several examples, they go through time in pieces, each by itself: threads
 * meet once a pass, what a step hands to the next stays in a core's cache, and so do the gradients
 * of its gates, from which the piece adds up its share of those of the weights. Otherwise all
 * examples are one piece, every part of a step is cut into blocks of its own, and the gradients of
 * the weights are one product over all steps. Pieces and blocks are cut by size alone.
 *
 * Padding keeps the state and gives zeros where every h_t is asked for; it enters no statistic and
 * no gradient. A sequence's last output is that of its last live step. */
#include "layers/rnn.h"

#include <math.h>
#include <string.h>

#include "base/cut.h"
#include "kernel/coefficients.h"
#include "kernel/small_gemm.h"
#include "layers/bias_gradient.h"
#include "par/par.h"

enum { BLOCK_VALUES = 8192 }; /* gates of one block: part of no result, rows are on their own */

typedef void half(const nl_cell_step *c, int64_t from, int64_t to);

/* One call in flight. */
typedef struct unroll {
    const nl_layer *l;
    const nl_layer_call *c;
    const nl_rnn *o;
    const nl_rnn_cell *is;
    const nl_rnn_plans *plan;
    const nl_cell_kernel *cell;
    int64_t n, steps, in, u, g, gh; /* g: values of all gates; gh: those that wh gives */
    uint8_t *live;                  /* (t, n) or NULL */
    nl_real *y;                     /* the output, before its norm */
    const nl_real *dy;
    nl_real *v[NL_RNN_VARIABLES];
    bool by_rows;
    int64_t piece, pieces, from, to; /* the examples at hand: [from, to), a piece of all */
    int64_t t;                       /* the step at hand ... */
    nl_cell_step step;               /* ... as its kernels see it */
    half *half[2];
} unroll;

static const nl_cell_kernel *kernel_of(const nl_rnn_cell *is)
{
    const nl_cell_kernels *all = nl_cell_kernels_of();
    return is->carries ? &all->lstm
           : is->early ? &all->gru_before
           : is->apart ? &all->gru
                       : &all->rnn;
}

static unroll begin(const nl_layer *l, const nl_layer_call *c)
{
    const nl_rnn *o = l->self;
    const nl_rnn_cell *is = nl_rnn_cell_of(l);
    unroll w = {.l = l,
                .c = c,
                .o = o,
                .is = is,
                .plan = l->work,
                .cell = kernel_of(is),
                .n = c->n,
                .steps = l->in.s,
                .in = l->in.c,
                .u = o->units,
                .g = is->gates * o->units,
                .gh = nl_rnn_slot_width(l, NL_RNN_SLOT_H),
                .by_rows = nl_rnn_goes_by_rows(l),
                .to = c->n};
    w.pieces = w.by_rows ? nl_rnn_pieces(w.n) : 1;
    for (int id = 0; id < NL_RNN_VARIABLES; id++)
        w.v[id] = nl_layer_value(l, id);
    w.y = w.v[NL_RNN_Y] ? w.v[NL_RNN_Y] : c->y;
    w.live = c->live ? (uint8_t *)w.v[NL_RNN_LIVE] : NULL;
    if (!w.v[NL_RNN_GATE]) /* gates overwrite the projections when no norm needs these */
        w.v[NL_RNN_GATE] = w.v[NL_RNN_PX];
    if (!w.v[NL_RNN_Z])
        w.v[NL_RNN_Z] = w.v[NL_RNN_S];
    if (!w.v[NL_RNN_DROPPED])
        w.v[NL_RNN_DROPPED] = w.v[NL_RNN_HS];
    if (!w.v[NL_RNN_DPX])
        w.v[NL_RNN_DPX] = w.v[NL_RNN_DGATE];
    if (!w.v[NL_RNN_DGATE_H])
        w.v[NL_RNN_DGATE_H] = w.v[NL_RNN_DGATE];
    if (!w.v[NL_RNN_DPH])
        w.v[NL_RNN_DPH] = w.v[NL_RNN_DGATE_H];
    if (!w.v[NL_RNN_DS])
        w.v[NL_RNN_DS] = w.v[NL_RNN_DZ];
    if (!w.v[NL_RNN_DQ])
        w.v[NL_RNN_DQ] = w.v[NL_RNN_DPHN];
    return w;
}

/* Rows of step t of an array that is kept by time. */
static nl_real *at(const unroll *w, int id, int64_t t, int64_t width)
{
    return w->v[id] ? w->v[id] + t * w->n * width : NULL;
}

/* The same of a gradient, of which a piece keeps one step. */
static nl_real *gradient_at(const unroll *w, int id, int64_t t, int64_t width)
{
    return at(w, id, w->by_rows ? 0 : t, width);
}

static int64_t rows_of(const unroll *w) { return w->to - w->from; }

/* The rows at hand of a step's. */
static nl_real *mine(const unroll *w, nl_real *x, int64_t width)
{
    return x ? x + w->from * width : NULL;
}

/* Step t reads this position of the sequence. */
static int64_t position_of(const unroll *w, int64_t t)
{
    return w->o->reverse ? w->steps - 1 - t : t;
}

static int carried_id(const unroll *w)
{
    return w->o->carry.is == NL_CARRY_NORMALIZED ? NL_RNN_Z : NL_RNN_S;
}

static bool is_live(const unroll *w, int64_t t, int64_t i)
{
    return !w->live || w->live[t * w->n + i];
}

/* For the log: a gradient of a slot at step t. */
static void tell(const unroll *w, int slot, nl_side side, int64_t t, const nl_real *g)
{
    nl_step_watch *watch = w->c->steps;
    if (watch)
        watch->gradient(watch, w->l, slot, side, position_of(w, t), w->n,
                        w->live ? w->live + t * w->n : NULL, g);
}

/* ---- in and out */

/* Numbers of this layer, step and variable. */
static nl_key key_of(const unroll *w, nl_stream stream, int id)
{
    const int64_t step = w->c->step;
    const uint64_t name = nl_hash_bytes(nl_hash_text(w->l->name), &id, sizeof id);
    return (nl_key){w->c->seed, stream, nl_hash_bytes(name, &step, sizeof step)};
}

static void draw_factors(const unroll *w, int id, double rate, int64_t width)
{
    const nl_key key = key_of(w, NL_STREAM_DROPOUT, id);
    const nl_real kept = (nl_real)(1 / (1 - rate));
    for (int64_t i = 0; w->v[id] && i < w->n * width; i++)
        w->v[id][i] = nl_random_uniform(key, (uint64_t)i) < rate ? 0 : kept;
}

/* to = from factor, or from without factors; to += with add. */
static void scale(nl_real *to, const nl_real *from, const nl_real *factor, int64_t count, bool add)
{
    for (int64_t k = 0; k < count; k++) {
        const nl_real v = factor ? from[k] * factor[k] : from[k];
        to[k] = add ? to[k] + v : v;
    }
}

/* Padding may hold anything: it becomes 0, which no product carries on. */
static void take_block(int64_t t, void *arg)
{
    const unroll *w = arg;
    const nl_real *keep = w->v[NL_RNN_KEEP_X];
    const int64_t from = position_of(w, t);
    for (int64_t i = 0; i < w->n; i++) {
        const nl_real *x = w->c->x + (i * w->steps + from) * w->in;
        nl_real *to = at(w, NL_RNN_IN, t, w->in) + i * w->in;
        if (w->live)
            w->live[t * w->n + i] = w->c->live[i * w->steps + from];
        if (is_live(w, t, i))
            scale(to, x, keep ? keep + i * w->in : NULL, w->in, false);
        else
            memset(to, 0, (size_t)w->in * sizeof *to);
    }
}

static void take_input(unroll *w)
{
    const bool drops = w->c->phase == NL_TRAIN;
    draw_factors(w, NL_RNN_KEEP_X, drops ? w->o->dropout : 0, w->in);
    draw_factors(w, NL_RNN_KEEP_H, drops ? w->o->recurrent_dropout : 0, w->u);
    nl_for_in_order(w->steps, w->steps * w->n * w->in * (int64_t)sizeof(nl_real), take_block, w);
}

/* States before the first step: those that the latest call of this phase ended with, the learned
 * ones, or 0. */
static void start_state(const unroll *w, int id, const nl_real *first, const nl_real *last)
{
    const size_t row = (size_t)w->u * sizeof *first;
    for (int64_t i = 0; i < w->n; i++)
        if (w->c->carry)
            memcpy(w->v[id] + i * w->u, last + i * w->u, row);
        else if (first)
            memcpy(w->v[id] + i * w->u, first, row);
        else
            memset(w->v[id] + i * w->u, 0, row);
}

/* Sequences that begin alike would leave batch statistics without variance: Cooijmans et al. 2017
 * add noise to the first h. */
static void add_noise(const unroll *w)
{
    const nl_key key = key_of(w, NL_STREAM_STATE, NL_RNN_HS);
    const double size = w->c->phase == NL_TRAIN ? w->o->initial_noise : 0;
    for (int64_t i = 0; size > 0 && i < w->n * w->u; i++)
        w->v[NL_RNN_HS][i] += (nl_real)(size * nl_random_normal(key, (uint64_t)i));
}

static nl_real *last_h(const unroll *w)
{
    return w->v[w->c->phase == NL_TRAIN ? NL_RNN_LAST_H : NL_RNN_EVAL_H];
}

static nl_real *last_k(const unroll *w)
{
    return w->v[w->c->phase == NL_TRAIN ? NL_RNN_LAST_K : NL_RNN_EVAL_K];
}

static void start_states(const unroll *w)
{
    start_state(w, NL_RNN_HS, w->v[NL_RNN_H0], last_h(w));
    if (!w->c->carry)
        add_noise(w);
    if (w->is->carries)
        start_state(w, carried_id(w), w->v[NL_RNN_K0], last_k(w));
}

/* For a call that carries. */
static void keep_states(const unroll *w)
{
    const size_t bytes = (size_t)(w->n * w->u) * sizeof(nl_real);
    if (!w->l->stateful || (w->c->phase == NL_TRAIN && !w->c->update))
        return;
    memcpy(last_h(w), at(w, NL_RNN_HS, w->steps, w->u), bytes);
    if (w->is->carries)
        memcpy(last_k(w), at(w, carried_id(w), w->steps, w->u), bytes);
}

static void give_block(int64_t t, void *arg)
{
    const unroll *w = arg;
    for (int64_t i = 0; i < w->n; i++) {
        nl_real *y = w->y + (i * w->steps + position_of(w, t)) * w->u;
        if (is_live(w, t, i))
            memcpy(y, at(w, NL_RNN_HS, t + 1, w->u) + i * w->u, (size_t)w->u * sizeof *y);
        else
            memset(y, 0, (size_t)w->u * sizeof *y);
    }
}

static void give_output(unroll *w)
{
    const size_t bytes = (size_t)(w->n * w->u) * sizeof(nl_real);
    if (w->o->sequences)
        nl_for_in_order(w->steps, w->steps * (int64_t)bytes, give_block, w);
    else
        memcpy(w->y, at(w, NL_RNN_HS, w->steps, w->u), bytes);
}

/* ---- the norm of the output */

static nl_args output_args(const unroll *w)
{
    nl_args a = nl_layer_norm_args(w->c);
    a.live = w->o->sequences ? w->c->live : NULL;
    a.x = w->y;
    return a;
}

static void normalize_output(const unroll *w)
{
    nl_args a = output_args(w);
    a.y = w->c->y;
    if (w->l->norm[NL_RNN_SLOT_ACT])
        nl_norm_forward(w->l->norm[NL_RNN_SLOT_ACT], &a);
}

static void output_gradient(unroll *w)
{
    nl_args a = output_args(w);
    a.dy = w->dy = w->c->dy;
    if (!w->l->norm[NL_RNN_SLOT_ACT])
        return;
    a.dx = w->v[NL_RNN_DY];
    nl_layer_tell(w->l, w->c, NL_RNN_SLOT_ACT, NL_POST, a.dy);
    nl_norm_backward(w->l->norm[NL_RNN_SLOT_ACT], &a);
    nl_layer_tell(w->l, w->c, NL_RNN_SLOT_ACT, NL_PRE, a.dx);
    w->dy = a.dx;
}

/* ---- the norm of whole sequences, in slot x */

typedef struct swap {
    const unroll *w;
    const nl_real *from;
    nl_real *to;
    bool to_examples;
} swap;

static void swap_block(int64_t t, void *arg)
{
    const swap *s = arg;
    const unroll *w = s->w;
    for (int64_t i = 0; i < w->n; i++) {
        const int64_t by_time = (t * w->n + i) * w->g;
        const int64_t by_example = (i * w->steps + position_of(w, t)) * w->g;
        memcpy(s->to + (s->to_examples ? by_example : by_time),
               s->from + (s->to_examples ? by_time : by_example), (size_t)w->g * sizeof *s->to);
    }
}

/* (t, n, g) to (n, position, g), or back. */
static void swap_order(const unroll *w, int from, int to, bool to_examples)
{
    swap s = {w, w->v[from], w->v[to], to_examples};
    nl_for_in_order(w->steps, w->steps * w->n * w->g * (int64_t)sizeof(nl_real), swap_block, &s);
}

static bool pools(const unroll *w) { return w->v[NL_RNN_POOLED]; }

static nl_args sequence_args(const unroll *w)
{
    nl_args a = nl_layer_norm_args(w->c);
    a.live = w->c->live;
    a.x = w->v[NL_RNN_POOLED];
    return a;
}

static void normalize_sequences(const unroll *w)
{
    nl_args a = sequence_args(w);
    a.y = w->v[NL_RNN_SWAP];
    swap_order(w, NL_RNN_PX, NL_RNN_POOLED, true);
    nl_norm_forward(w->l->norm[NL_RNN_SLOT_X], &a);
    swap_order(w, NL_RNN_SWAP, NL_RNN_NORMED, false);
}

static void normalize_sequences_back(const unroll *w)
{
    nl_args a = sequence_args(w);
    a.dy = a.dx = w->v[NL_RNN_SWAP];
    swap_order(w, NL_RNN_DGATE, NL_RNN_SWAP, true);
    nl_norm_backward(w->l->norm[NL_RNN_SLOT_X], &a);
    swap_order(w, NL_RNN_SWAP, NL_RNN_DPX, false);
    for (int64_t t = 0; t < w->steps && w->c->steps; t++)
        tell(w, NL_RNN_SLOT_X, NL_PRE, t, at(w, NL_RNN_DPX, t, w->g));
}

/* ---- a step */

static nl_args norm_args(const unroll *w)
{
    nl_args a = nl_layer_norm_args(w->c);
    a.t = w->t;
    a.piece = w->piece, a.pieces = w->pieces;
    a.live = w->live ? w->live + w->t * w->n : NULL;
    a.key.epoch = nl_hash_bytes(a.key.epoch, &w->t, sizeof w->t);
    return a;
}

/* y = norm(x); y is x without a norm. */
static nl_real *normalize(const unroll *w, int slot, nl_real *x, nl_real *y)
{
    nl_args a = norm_args(w);
    if (!w->l->norm[slot])
        return x;
    a.x = x, a.y = y;
    nl_norm_forward(w->l->norm[slot], &a);
    return y;
}

/* dx is the same array as dy without a norm. */
static void normalize_back(const unroll *w, int slot, const nl_real *x, const nl_real *dy,
                           nl_real *dx)
{
    nl_args a = norm_args(w);
    if (!w->l->norm[slot])
        return;
    a.x = x, a.dy = dy, a.dx = dx;
    nl_norm_backward(w->l->norm[slot], &a);
}

/* What the kernels of either direction read. */
static void prepare_step(unroll *w, int64_t t)
{
    const int carried = carried_id(w);
    w->t = t;
    w->step = (nl_cell_step){.u = w->u,
                             .live = w->live ? w->live + t * w->n : NULL,
                             .act = (nl_act)w->o->act.is,
                             .b = w->v[NL_RNN_B],
                             .bh = w->v[NL_RNN_BH],
                             .h_prev = at(w, NL_RNN_HS, t, w->u),
                             .h_seen = at(w, NL_RNN_DROPPED, t, w->u),
                             .k_prev = w->is->carries ? at(w, carried, t, w->u) : NULL,
                             .gate = at(w, NL_RNN_GATE, t, w->g),
                             .s = at(w, NL_RNN_S, t + 1, w->u),
                             .z = at(w, NL_RNN_Z, t + 1, w->u),
                             .v = at(w, NL_RNN_V, t, w->u),
                             .h_next = at(w, NL_RNN_HS, t + 1, w->u),
                             .carries_before = w->l->norm[NL_RNN_SLOT_C] && carried == NL_RNN_S};
}

static int64_t row_blocks(const unroll *w)
{
    const int64_t rows = rows_of(w), blocks = rows * w->g / BLOCK_VALUES;
    return blocks < 1 ? 1 : blocks > rows ? rows : blocks;
}

static void run_halves(int64_t b, void *arg)
{
    const unroll *w = arg;
    const int64_t blocks = row_blocks(w), rows = rows_of(w);
    const int64_t from = w->from + nl_edge(rows, blocks, b);
    const int64_t to = w->from + nl_edge(rows, blocks, b + 1);
    for (int k = 0; k < 2; k++)
        if (w->half[k])
            w->half[k](&w->step, from, to);
}

/* Both halves of a pass over the rows; one after the other for every block where no norm stands
 * between them. */
static void run(unroll *w, half *first, half *second)
{
    enum { COST = 40 }; /* of a gate's value, in flops */
    w->half[0] = first, w->half[1] = second;
    nl_for_in_order(row_blocks(w), COST * rows_of(w) * w->g, run_halves, w);
}

/* h_{t-1} as U sees it. */
static const nl_real *dropped_state(const unroll *w, int64_t t)
{
    nl_real *to = mine(w, at(w, NL_RNN_DROPPED, t, w->u), w->u);
    if (w->v[NL_RNN_KEEP_H])
        scale(to, mine(w, at(w, NL_RNN_HS, t, w->u), w->u), mine(w, w->v[NL_RNN_KEEP_H], w->u),
              rows_of(w) * w->u, false);
    return to;
}

static void project(unroll *w, int64_t t)
{
    if (w->by_rows)
        nl_gemm_nn(w->plan->x, rows_of(w), mine(w, at(w, NL_RNN_IN, t, w->in), w->in), w->in,
                   w->v[NL_RNN_WX], mine(w, at(w, NL_RNN_PX, t, w->g), w->g), w->g, false);
    nl_real *x = pools(w) ? at(w, NL_RNN_NORMED, t, w->g)
                          : normalize(w, NL_RNN_SLOT_X, at(w, NL_RNN_PX, t, w->g), w->v[NL_RNN_NX]);
    nl_real *own = at(w, NL_RNN_PH, t, w->gh);
    nl_gemm_nn(w->plan->h, rows_of(w), dropped_state(w, t), w->u, w->v[NL_RNN_WH],
               mine(w, own ? own : x, w->gh), w->gh, !own);
    w->step.x = x;
    w->step.h = own ? normalize(w, NL_RNN_SLOT_H, own, w->v[NL_RNN_NH]) : NULL;
}

/* An early candidate's own product, once the gates are there. */
static void project_candidate(unroll *w, int64_t t)
{
    nl_real *q = at(w, NL_RNN_PHN, t, w->u);
    run(w, w->cell->reset, NULL);
    nl_gemm_nn(w->plan->hn, rows_of(w), mine(w, w->step.v, w->u), w->u, w->v[NL_RNN_WHN],
               mine(w, q, w->u), w->u, false);
    w->step.q = normalize(w, NL_RNN_SLOT_HN, q, w->v[NL_RNN_NHN]);
}

static void step_forward(unroll *w, int64_t t)
{
    prepare_step(w, t);
    project(w, t);
    if (w->is->early)
        project_candidate(w, t);
    if (!w->l->norm[NL_RNN_SLOT_C]) {
        run(w, w->cell->prepare, w->cell->finish);
        return;
    }
    run(w, w->cell->prepare, NULL);
    normalize(w, NL_RNN_SLOT_C, w->step.s, w->step.z);
    run(w, w->cell->finish, NULL);
}

/* ---- pieces through time */

typedef void one_step(unroll *w, int64_t t);

typedef struct passage {
    const unroll *w;
    one_step *step;
    int64_t first, steps, by;
} passage;

static void pass_piece(int64_t b, void *arg)
{
    const passage *p = arg;
    unroll w = *p->w;
    w.piece = b;
    w.from = nl_edge(w.n, w.pieces, b), w.to = nl_edge(w.n, w.pieces, b + 1);
    for (int64_t k = 0; k < p->steps; k++)
        p->step(&w, p->first + k * p->by);
}

/* `steps` steps from `first` on, `by` apart. */
static void pass(const unroll *w, one_step *step, int64_t first, int64_t steps, int64_t by)
{
    passage p = {w, step, first, steps, by};
    nl_for_in_order(w->pieces, 2 * steps * w->n * w->u * w->g, pass_piece, &p);
}

void nl_rnn_forward(nl_layer *l, const nl_layer_call *c)
{
    unroll w = begin(l, c);
    take_input(&w);
    if (!w.by_rows)
        nl_gemm_nn(w.plan->x, w.steps * w.n, w.v[NL_RNN_IN], w.in, w.v[NL_RNN_WX], w.v[NL_RNN_PX],
                   w.g, false);
    if (pools(&w))
        normalize_sequences(&w);
    start_states(&w);
    pass(&w, step_forward, 0, w.steps, 1);
    keep_states(&w);
    give_output(&w);
    normalize_output(&w);
}

/* ---- backward */

static void prepare_step_back(unroll *w, int64_t t)
{
    prepare_step(w, t);
    w->step.dh = w->v[NL_RNN_DH];
    w->step.dk = w->v[NL_RNN_DK];
    w->step.dz = w->v[NL_RNN_DZ];
    w->step.dx = gradient_at(w, NL_RNN_DGATE, t, w->g);
    w->step.d_h = gradient_at(w, NL_RNN_DGATE_H, t, w->gh);
    w->step.dq =
        w->l->norm[NL_RNN_SLOT_HN] ? w->v[NL_RNN_DQ] : gradient_at(w, NL_RNN_DPHN, t, w->u);
    w->step.dv = w->v[NL_RNN_DV];
    w->step.d_seen = w->v[w->v[NL_RNN_DU] ? NL_RNN_DU : NL_RNN_DH];
    if (w->o->sequences) {
        w->step.dy = w->dy + position_of(w, t) * w->u;
        w->step.lddy = w->steps * w->u;
    }
}

/* A state that is carried before its norm has a gradient of later steps, too. */
static bool has_later_gradient(const unroll *w) { return w->step.carries_before && w->is->carries; }

static void keep_inner_gradient(const unroll *w)
{
    const nl_real *ds = w->v[NL_RNN_DS], *dk = w->step.dk;
    if (!has_later_gradient(w))
        return;
    for (int64_t i = w->from * w->u; i < w->to * w->u; i++)
        w->v[NL_RNN_DS_ALL][i] = ds[i] + dk[i];
}

static void cell_back(unroll *w)
{
    if (!w->l->norm[NL_RNN_SLOT_C]) {
        run(w, w->cell->finish_back, w->cell->prepare_back);
        return;
    }
    run(w, w->cell->finish_back, NULL);
    normalize_back(w, NL_RNN_SLOT_C, w->step.s, w->step.dz, w->v[NL_RNN_DS]);
    if (w->c->steps)
        keep_inner_gradient(w);
    w->step.dz = w->v[NL_RNN_DS];
    run(w, w->cell->prepare_back, NULL);
}

/* dL/dq of an early candidate goes back to its gates and its h. */
static void candidate_back(unroll *w, int64_t t)
{
    nl_real *dq = gradient_at(w, NL_RNN_DPHN, t, w->u);
    normalize_back(w, NL_RNN_SLOT_HN, at(w, NL_RNN_PHN, t, w->u), w->step.dq, dq);
    nl_gemm_nt_turned(w->plan->hn, rows_of(w), mine(w, dq, w->u), w->u,
                      mine(w, w->v[NL_RNN_DV], w->u), w->u, false);
    run(w, w->cell->reset_back, NULL);
}

/* dL/dh_{t-1} += dL/d(h U) U^T */
static void through_weights(const unroll *w, int64_t t)
{
    const nl_real *dph = mine(w, gradient_at(w, NL_RNN_DPH, t, w->gh), w->gh);
    nl_real *own = mine(w, w->v[NL_RNN_DU], w->u), *dh = mine(w, w->v[NL_RNN_DH], w->u);
    nl_gemm_nt_turned(w->plan->h, rows_of(w), dph, w->gh, own ? own : dh, w->u,
                      !own || w->is->early);
    if (own)
        scale(dh, own, mine(w, w->v[NL_RNN_KEEP_H], w->u), rows_of(w) * w->u, true);
}

static void turn_weights(const unroll *w)
{
    nl_gemm_turn(w->plan->h, w->v[NL_RNN_WH]);
    if (w->is->early)
        nl_gemm_turn(w->plan->hn, w->v[NL_RNN_WHN]);
    if (w->by_rows && w->c->dx)
        nl_gemm_turn(w->plan->x, w->v[NL_RNN_WX]);
}

static void forget_gradient(const unroll *w)
{
    const size_t bytes = (size_t)(rows_of(w) * w->u) * sizeof(nl_real);
    memset(mine(w, w->v[NL_RNN_DH], w->u), 0, bytes);
    if (w->is->carries)
        memset(mine(w, w->v[NL_RNN_DK], w->u), 0, bytes);
}

static bool is_cut(const unroll *w, int64_t t)
{
    return t > 0 && w->o->truncate > 0 && t % w->o->truncate == 0;
}

/* Whether the first states were parameters. */
static bool learns_initial(const unroll *w) { return w->o->learn_initial && !w->c->carry; }

static double *seen(const nl_layer *l) { return (double *)(void *)nl_layer_value(l, NL_RNN_SEEN); }

static double length_of_dh(const unroll *w, int64_t i)
{
    const nl_real *dh = w->step.dh + i * w->u;
    const nl_real *dy = w->step.dy ? w->step.dy + i * w->step.lddy : NULL;
    double squares = 0;
    for (int64_t k = 0; k < w->u; k++) {
        const double v = (double)dh[k] + (dy ? (double)dy[k] : 0);
        squares += v * v;
    }
    return sqrt(squares);
}

static void keep_gradient_length(const unroll *w, int64_t t)
{
    double sum = 0, live = 0;
    for (int64_t i = 0; i < w->n; i++)
        if (is_live(w, t, i)) {
            sum += length_of_dh(w, i);
            live++;
        }
    seen(w->l)[position_of(w, t)] = live > 0 ? sum / live : NAN;
}

/* ---- gradients of parameters */

/* D (k, o) = X^T Y over rows of x and dy. */
typedef struct product {
    nl_gemm *plan;
    int x, dy, weight, sum; /* variables; sum: of each piece */
    int64_t k, o;
} product;

enum { PRODUCTS = 3 };

static int products_of(const unroll *w, product p[PRODUCTS])
{
    p[0] = (product){w->plan->x, NL_RNN_IN, NL_RNN_DPX, NL_RNN_WX, NL_RNN_SUM_WX, w->in, w->g};
    p[1] =
        (product){w->plan->dh, NL_RNN_DROPPED, NL_RNN_DPH, NL_RNN_WH, NL_RNN_SUM_WH, w->u, w->gh};
    p[2] = (product){w->plan->dhn, NL_RNN_V, NL_RNN_DPHN, NL_RNN_WHN, NL_RNN_SUM_WHN, w->u, w->u};
    return w->is->early ? PRODUCTS : PRODUCTS - 1;
}

/* Memory that the next step reads and that has left the cache since the forward pass. */
typedef struct stretch {
    const nl_real *from;
    int64_t count;
} stretch;

enum { STRETCHES = 3 };

static int stretches_of(const unroll *w, int64_t t, stretch s[STRETCHES])
{
    const int ids[STRETCHES] = {NL_RNN_GATE, NL_RNN_PX, NL_RNN_PH};
    int count = 0;
    for (int i = 0; i < STRETCHES && t >= 0; i++) {
        const int64_t width = ids[i] == NL_RNN_PH ? w->gh : w->g;
        if (i == 0 || (w->v[ids[i]] && w->v[ids[i]] != w->v[NL_RNN_GATE]))
            s[count++] = (stretch){mine(w, at(w, ids[i], t, width), width), rows_of(w) * width};
    }
    return count;
}

/* Line by line, `depth` of them in a tile's time. */
static nl_ahead ahead_of(stretch s, int64_t depth)
{
    enum { LINE = 64 };
    const int64_t lines = s.count * (int64_t)sizeof(nl_real) / LINE + 1;
    return (nl_ahead){
        .from = s.from, .turns = (lines + depth - 1) / depth, .turn = depth * LINE, .step = LINE};
}

/* Step t of a piece, which starts at the last one: adds X^T Y to the piece's D, as many parts of it
 * one after the other as there are stretches to be brought near meanwhile. */
static void add_product(const unroll *w, const product *p, int64_t t, const stretch *s, int parts)
{
    const int64_t rows = rows_of(w);
    const nl_real *x = mine(w, at(w, p->x, t, p->k), p->k), *dy = mine(w, w->v[p->dy], p->o);
    nl_real *sum = w->v[p->sum] + w->piece * p->k * p->o;
    for (int i = 0; i < parts; i++) {
        const int64_t from = nl_edge(p->k, parts, i), to = nl_edge(p->k, parts, i + 1);
        nl_small_gemm()->multiply(to - from, p->o, rows, (nl_strided){x + from, 1, p->k}, dy, p->o,
                                  sum + from * p->o, p->o, t < w->steps - 1,
                                  s ? ahead_of(s[i], rows) : (nl_ahead){0});
    }
}

static void add_weight_gradients(const unroll *w, int64_t t)
{
    product p[PRODUCTS];
    stretch s[STRETCHES];
    const int stretches = stretches_of(w, t - 1, s);
    for (int i = products_of(w, p) - 1; i >= 0; i--)
        if (p[i].x == NL_RNN_DROPPED && stretches > 0)
            add_product(w, &p[i], t, s, stretches);
        else
            add_product(w, &p[i], t, NULL, 1);
}

static void weight_gradients(const unroll *w)
{
    product p[PRODUCTS];
    for (int i = products_of(w, p) - 1; i >= 0; i--)
        nl_gemm_tn(p[i].plan, w->steps * w->n, w->v[p[i].x], p[i].k, w->v[p[i].dy], p[i].o,
                   nl_layer_grad(w->l, p[i].weight), w->c->accumulate);
}

typedef struct fold {
    const nl_real *sum;
    int64_t pieces, size;
    nl_real *to;
    bool add;
} fold;

enum { FOLD_WIDTH = 4096 };

static void fold_block(int64_t b, void *arg)
{
    const fold *f = arg;
    const int64_t from = b * FOLD_WIDTH, left = f->size - from;
    const int64_t width = left < FOLD_WIDTH ? left : FOLD_WIDTH;
    if (!f->add)
        memset(f->to + from, 0, (size_t)width * sizeof *f->to);
    nl_coefficient_kernel()->add_parts(width, f->sum + from, f->pieces, f->size, f->to + from);
}

static void fold_weight_gradients(const unroll *w)
{
    product p[PRODUCTS];
    for (int i = products_of(w, p) - 1; i >= 0; i--) {
        fold f = {w->v[p[i].sum], w->pieces, p[i].k * p[i].o, nl_layer_grad(w->l, p[i].weight),
                  w->c->accumulate};
        nl_for_in_order((f.size + FOLD_WIDTH - 1) / FOLD_WIDTH,
                        w->pieces * f.size * (int64_t)sizeof(nl_real), fold_block, &f);
    }
}

static double *doubles(const unroll *w, int id) { return (double *)(void *)w->v[id]; }

static void add_column_sums(const unroll *w, int id, nl_real *x, int64_t rows, int64_t ld)
{
    nl_real *to = nl_layer_grad(w->l, id);
    if (!to)
        return;
    const nl_gradient_rows r = {.g = x,
                                .act = NL_LINEAR,
                                .rows = rows,
                                .width = nl_store_at(w->l->store, w->l->item[id])->cols,
                                .ld = ld};
    nl_add_bias_gradient(r, to, doubles(w, NL_RNN_SUMS));
}

/* A bias stands at the end of what x sees of the gates, or h. */
typedef struct bias {
    int id, sum, dy;
    int64_t first, width;
} bias;

enum { BIASES = 2 };

static void biases_of(const unroll *w, bias b[BIASES])
{
    b[0] = (bias){NL_RNN_B, NL_RNN_SUM_B, NL_RNN_DGATE, 0, w->g};
    b[1] = (bias){NL_RNN_BH, NL_RNN_SUM_BH, NL_RNN_DGATE_H, w->g - w->u, w->u};
}

static void clear_bias_gradients(const unroll *w)
{
    bias b[BIASES];
    biases_of(w, b);
    for (int i = 0; i < BIASES; i++)
        if (w->v[b[i].sum])
            memset(w->v[b[i].sum], 0, (size_t)(w->pieces * b[i].width) * sizeof(double));
}

static void add_bias_gradients(const unroll *w)
{
    bias b[BIASES];
    biases_of(w, b);
    for (int i = 0; i < BIASES; i++)
        if (w->v[b[i].sum])
            nl_act_kernel()->bias_backward(
                NL_LINEAR, NULL, mine(w, w->v[b[i].dy], w->g) + b[i].first, rows_of(w), b[i].width,
                w->g, doubles(w, b[i].sum) + w->piece * b[i].width);
}

static void fold_bias_gradients(const unroll *w)
{
    bias b[BIASES];
    biases_of(w, b);
    for (int i = 0; i < BIASES; i++) {
        nl_real *to = nl_layer_grad(w->l, b[i].id);
        double *sum = doubles(w, b[i].sum);
        if (!sum)
            continue;
        nl_fold(sum, w->pieces, b[i].width);
        for (int64_t k = 0; k < b[i].width; k++)
            to[k] += (nl_real)sum[k];
    }
}

/* ---- the gradient of the input */

static void give_gradient(const unroll *w, int64_t t)
{
    const nl_real *din = gradient_at(w, NL_RNN_DIN, t, w->in), *keep = w->v[NL_RNN_KEEP_X];
    for (int64_t i = w->from; i < w->to; i++)
        scale(w->c->dx + (i * w->steps + position_of(w, t)) * w->in, din + i * w->in,
              keep ? keep + i * w->in : NULL, w->in, w->c->add_dx);
}

static void input_gradient_of_step(const unroll *w, int64_t t)
{
    nl_gemm_nt_turned(w->plan->x, rows_of(w), mine(w, w->v[NL_RNN_DPX], w->g), w->g,
                      mine(w, w->v[NL_RNN_DIN], w->in), w->in, false);
    give_gradient(w, t);
}

static void give_gradient_block(int64_t t, void *arg) { give_gradient(arg, t); }

static void input_gradient(unroll *w)
{
    const int64_t rows = w->steps * w->n;
    nl_gemm_nt(w->plan->x, rows, w->v[NL_RNN_DPX], w->g, w->v[NL_RNN_WX], w->v[NL_RNN_DIN], w->in,
               false);
    nl_for_in_order(w->steps, rows * w->in * (int64_t)sizeof(nl_real), give_gradient_block, w);
}

/* ---- a step back */

static void step_back(unroll *w, int64_t t)
{
    prepare_step_back(w, t);
    cell_back(w);
    if (w->is->early)
        candidate_back(w, t);
    if (!pools(w))
        normalize_back(w, NL_RNN_SLOT_X, at(w, NL_RNN_PX, t, w->g), w->step.dx,
                       gradient_at(w, NL_RNN_DPX, t, w->g));
    normalize_back(w, NL_RNN_SLOT_H, at(w, NL_RNN_PH, t, w->gh), w->step.d_h,
                   gradient_at(w, NL_RNN_DPH, t, w->gh));
    if (is_cut(w, t))
        forget_gradient(w);
    else if (t > 0 || learns_initial(w))
        through_weights(w, t);
    if (!w->by_rows)
        return;
    add_weight_gradients(w, t);
    add_bias_gradients(w);
    if (w->c->dx)
        input_gradient_of_step(w, t);
}

/* What step_back left of step t. */
static void tell_step(const unroll *w, int64_t t)
{
    tell(w, NL_RNN_SLOT_C, NL_POST, t, w->v[NL_RNN_DZ]);
    tell(w, NL_RNN_SLOT_C, NL_PRE, t, w->v[has_later_gradient(w) ? NL_RNN_DS_ALL : NL_RNN_DS]);
    if (w->is->early) {
        tell(w, NL_RNN_SLOT_HN, NL_POST, t, w->step.dq);
        tell(w, NL_RNN_SLOT_HN, NL_PRE, t, gradient_at(w, NL_RNN_DPHN, t, w->u));
    }
    tell(w, NL_RNN_SLOT_X, NL_POST, t, w->step.dx);
    if (!pools(w))
        tell(w, NL_RNN_SLOT_X, NL_PRE, t, gradient_at(w, NL_RNN_DPX, t, w->g));
    tell(w, NL_RNN_SLOT_H, NL_POST, t, w->step.d_h);
    tell(w, NL_RNN_SLOT_H, NL_PRE, t, gradient_at(w, NL_RNN_DPH, t, w->gh));
}

/* Whoever looks sees all examples of a step: they wait for each other then. */
static void pass_back_watched(unroll *w)
{
    for (int64_t t = w->steps - 1; t >= 0; t--) {
        prepare_step_back(w, t);
        if (w->c->logged)
            keep_gradient_length(w, t);
        pass(w, step_back, t, 1, -1);
        tell_step(w, t);
    }
}

static void each_norm_in_pieces(const unroll *w, void (*call)(nl_norm *, int64_t))
{
    for (int k = 0; w->pieces > 1 && w->l->ops->slots[k].name; k++)
        if (w->l->norm[k] && k != NL_RNN_SLOT_ACT)
            call(w->l->norm[k], w->pieces);
}

void nl_rnn_backward(nl_layer *l, const nl_layer_call *c)
{
    unroll w = begin(l, c);
    output_gradient(&w);
    forget_gradient(&w);
    if (!w.o->sequences)
        memcpy(w.v[NL_RNN_DH], w.dy, (size_t)(w.n * w.u) * sizeof *w.dy);
    turn_weights(&w);
    clear_bias_gradients(&w);
    each_norm_in_pieces(&w, nl_norm_open_pieces);
    if (c->steps || c->logged)
        pass_back_watched(&w);
    else
        pass(&w, step_back, w.steps - 1, w.steps, -1);
    each_norm_in_pieces(&w, nl_norm_close_pieces);
    if (pools(&w))
        normalize_sequences_back(&w);
    if (w.by_rows) {
        fold_weight_gradients(&w);
        fold_bias_gradients(&w);
    } else {
        weight_gradients(&w);
        add_column_sums(&w, NL_RNN_B, w.v[NL_RNN_DGATE], w.steps * w.n, w.g);
        add_column_sums(&w, NL_RNN_BH, w.v[NL_RNN_DGATE_H] + w.g - w.u, w.steps * w.n, w.g);
        if (c->dx)
            input_gradient(&w);
    }
    if (!learns_initial(&w))
        return;
    add_column_sums(&w, NL_RNN_H0, w.v[NL_RNN_DH], w.n, w.u);
    add_column_sums(&w, NL_RNN_K0, w.v[NL_RNN_DK], w.n, w.u);
}

/* ---- what the log sees */

void nl_rnn_observe(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post)
{
    const unroll w = begin(l, c);
    const int64_t values = w.n * l->out.s * w.u;
    memcpy(pre, w.y, (size_t)values * sizeof *pre);
    nl_layer_look(l, slot, output_args(&w), values, pre, post);
}

/* Products that a norm kept are looked at, others are made once more. */
static void look_before(const unroll *w, int slot, nl_real *pre)
{
    const int64_t width = nl_rnn_slot_width(w->l, slot);
    const nl_real *kept[] = {[NL_RNN_SLOT_X] =
                                 w->l->norm[NL_RNN_SLOT_X] ? at(w, NL_RNN_PX, w->t, w->g) : NULL,
                             [NL_RNN_SLOT_H] = at(w, NL_RNN_PH, w->t, w->gh),
                             [NL_RNN_SLOT_HN] = at(w, NL_RNN_PHN, w->t, w->u),
                             [NL_RNN_SLOT_C] = at(w, NL_RNN_S, w->t + 1, w->u),
                             [NL_RNN_SLOT_ACT] = at(w, NL_RNN_HS, w->t + 1, w->u)};
    if (kept[slot])
        memcpy(pre, kept[slot], (size_t)(w->n * width) * sizeof *pre);
    else if (slot == NL_RNN_SLOT_X)
        nl_gemm_nn(w->plan->x, w->n, at(w, NL_RNN_IN, w->t, w->in), w->in, w->v[NL_RNN_WX], pre,
                   w->g, false);
    else
        nl_gemm_nn(w->plan->h, w->n, at(w, NL_RNN_DROPPED, w->t, w->u), w->u, w->v[NL_RNN_WH], pre,
                   w->gh, false);
}

int64_t nl_rnn_observe_step(nl_layer *l, const nl_layer_call *c, int slot, int64_t position,
                            nl_real *pre, nl_real *post)
{
    unroll w = begin(l, c);
    const int64_t width = nl_rnn_slot_width(l, slot);
    w.t = position_of(&w, position); /* its own inverse */
    w.pieces = 1;                    /* looked at together */
    look_before(&w, slot, pre);
    if (post && slot == NL_RNN_SLOT_X && pools(&w))
        memcpy(post, at(&w, NL_RNN_NORMED, w.t, w.g), (size_t)(w.n * w.g) * sizeof *post);
    else if (post)
        nl_layer_look(l, slot, norm_args(&w), w.n * width, pre, post);
    const uint8_t *live = w.live ? w.live + w.t * w.n : NULL;
    nl_layer_keep_live(live, post, w.n, width);
    return nl_layer_keep_live(live, pre, w.n, width);
}

const double *nl_rnn_step_gradients(const nl_layer *l) { return seen(l); }
