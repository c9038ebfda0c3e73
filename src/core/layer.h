/* layer.h: the interface of layers: dense, dropout, ... One file each in src/layers, one object
 * `const nl_layer_ops nl_layer_NAME`, the same two tables as a norm: options and variables.
 *
 * A layer maps (n, in.s, in.c) to (n, out.s, out.c), an image being s = h * w positions of c
 * colours (the input of a model may lie flat, s = 1: nl_layer_image says what it is). It has slots
 * where norms sit: before the activation, after it, on its weights. Set-up may fail; forward and
 * backward may not. */
#ifndef NL_LAYER_H
#define NL_LAYER_H

#include "core/dataset.h"
#include "core/norm.h"
#include "core/store.h"

enum { NL_LAYER_ABI = 1, NL_SLOTS_MAX = 5, NL_LAYER_VARS_MAX = 56, NL_LAYER_NAME_MAX = 48 };

enum { NL_FROM_INPUT = -1, NL_NO_RESIDUAL = -2 };

typedef struct nl_slot_decl {
    const char *name; /* as in norm.NAME= and in the run file */
    unsigned site;    /* NL_AT_* */
    const char *doc;
    const char *follows; /* the slot whose method it has, by a norm of its own; NULL: none */
} nl_slot_decl;

struct nl_layer;

typedef enum nl_side { NL_PRE, NL_POST, NL_SIDES } nl_side; /* of a slot: before the norm, after */

struct nl_layer_call;

/* Told what passes make, layer by layer; it stays in the layer's memory. A NULL function is not
 * called. */
typedef struct nl_watch {
    /* dL/d(output of l), (n, out.s, out.c), before l's backward uses it up. */
    void (*output)(struct nl_watch *w, const struct nl_layer *l, const nl_real *dy);
    /* dL/d(input) or dL/d(output) of a slot that is observed, (n, out.s, out.c). */
    void (*slot)(struct nl_watch *w, const struct nl_layer *l, const struct nl_layer_call *c,
                 int slot, nl_side side, const nl_real *g);
    /* Forward: what a slot without a norm sees, by layers that do not keep it; in `room`. */
    void (*value)(struct nl_watch *w, const struct nl_layer *l, const struct nl_layer_call *c,
                  int slot);
    nl_real *room; /* goes with both: lent to layers that have to make something for them */
} nl_watch;

/* Told the gradients of the slots inside of a recurrent cell, step by step as backward goes. */
typedef struct nl_step_watch {
    /* dL/d(input) or dL/d(output) of the slot at a position of the sequence, through all that comes
     * of it there and later: n rows of as many channels as slot_geom says. live (n): which of them
     * are no padding; NULL: all. */
    void (*gradient)(struct nl_step_watch *w, const struct nl_layer *l, int slot, nl_side side,
                     int64_t position, int64_t n, const uint8_t *live, const nl_real *g);
} nl_step_watch;

typedef struct nl_layer_call {
    int64_t n; /* examples, at most the layer's capacity */
    nl_phase phase;
    bool update;     /* running state may move */
    bool start;      /* the first batch: data-dependent initialization */
    bool carry;      /* stateful layers: states go on from the latest call of this phase */
    bool hold;       /* gradient checks: as nl_args.hold */
    bool accumulate; /* backward adds to weight gradients instead of writing them */
    bool logged;     /* backward keeps what the log shows of it */
    bool add_dx;     /* backward adds to dx: another layer reads the same x */
    int64_t step, epoch;
    uint64_t seed;
    nl_watch *watch;         /* NULL: nobody */
    nl_step_watch *steps;    /* NULL: nobody */
    const nl_policy *policy; /* NULL: the norms' own */
    const uint8_t *live;     /* (n, in.s): 0 is padding; NULL: all live, or positions are gone */
    const nl_real *x;
    const nl_real *residual; /* like y, added before the activation; or a second x; or NULL */
    nl_real *y;
    nl_real *dy; /* backward; scratch afterwards, with a residual: dL/dresidual afterwards */
    nl_real *dx; /* WRITTEN, or added to; NULL: not wanted */
} nl_layer_call;

typedef struct nl_layer {
    const struct nl_layer_ops *ops;
    char name[NL_LAYER_NAME_MAX];
    void *self;       /* the options */
    nl_shape in, out; /* of one example */
    int from;         /* layer whose output is x; NL_FROM_INPUT: the model's */
    int residual;     /* layer whose output is added before the activation; NL_NO_RESIDUAL */
    int64_t n, batch; /* most examples of a call; those of a training step */
    bool stateful;    /* calls may carry: states are kept from one to the next */
    nl_store *store;
    int item[NL_LAYER_VARS_MAX]; /* store items by the layer's own enum */
    nl_norm *norm[NL_SLOTS_MAX]; /* NULL: none in that slot */
    void *work;                  /* plans; made by open, freed by close */
} nl_layer;

typedef struct nl_layer_ops {
    uint32_t abi, real_bytes;
    const char *name, *title;
    size_t self_size;
    const nl_option *options;
    const nl_variable *variables; /* ends with {0} */
    const nl_slot_decl *slots;    /* ends with {0}; NULL: none */
    bool adds_residual;           /* y = act(... + residual) is understood */
    bool joins_residual;          /* residual, shaped as x, is a second input */
    bool reads_tokens;            /* x may be tokens: in.vocabulary says of how many */
    /* layer->out from layer->in and the options. */
    nl_status (*shape)(nl_layer *l);
    /* What a norm in this slot sees. */
    nl_geom (*slot_geom)(const nl_layer *l, int slot);
    /* Extent of dimension dim of variable id, declared NL_USER; 0: not there. norm[] is known. */
    int64_t (*extent)(const nl_layer *l, int id, int dim);
    nl_status (*open)(nl_layer *l);
    void (*close)(nl_layer *l);
    /* Initial weights, once the store is committed. init is the model's choice of initializer. */
    nl_status (*init)(nl_layer *l, const char *init, uint64_t seed);
    void (*forward)(nl_layer *l, const nl_layer_call *c);
    void (*backward)(nl_layer *l, const nl_layer_call *c);
    /* For inference alone from now on: what stands on the weights and what the norm in slot preact
     * does at evaluation, y = scale t + shift per channel, go into weights and bias; the norms are
     * closed. scale and shift (out.c) are NULL where preact has no such norm. Optional. */
    void (*fold)(nl_layer *l, const double *scale, const double *shift);
    /* Input and output of a slot in the latest forward, (n, out.s, out.c) each, without changing
     * anything; post may be NULL. Only for slots on activations. */
    void (*observe)(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post);
    /* The same of a recurrent layer at one position of the sequence: the live rows alone, whose
     * number it returns, of as many channels as slot_geom says. post is NULL for the slot on the
     * output, whose pre is h_t. Optional. */
    int64_t (*observe_step)(nl_layer *l, const nl_layer_call *c, int slot, int64_t position,
                            nl_real *pre, nl_real *post);
    /* Mean over the live examples of ||dL/dh_t||, by position (in.s), of the latest backward that
     * was logged. Goes with observe_step. */
    const double *(*step_gradients)(const nl_layer *l);
    /* Activation of the slot's output, for the fractions of dead and saturated units. */
    nl_act (*activation)(const nl_layer *l);
    /* Bias (out.c) added between that slot's output and the activation, or NULL. */
    const nl_real *(*late_bias)(const nl_layer *l);
} nl_layer_ops;

#define NL_LAYER_HEADER .abi = NL_LAYER_ABI, .real_bytes = sizeof(nl_real)

/* A variable's value and gradient. */
static inline nl_real *nl_layer_value(const nl_layer *l, int id)
{
    return l->item[id] < 0 ? NULL : nl_store_at(l->store, l->item[id])->val;
}
static inline nl_real *nl_layer_grad(const nl_layer *l, int id)
{
    return l->item[id] < 0 ? NULL : nl_store_at(l->store, l->item[id])->grad;
}

/* x as positions of channels: an image that was given flat (s = 1) as h * w positions; fails,
 * naming the layer, when x is no image. */
nl_status nl_layer_image(const nl_layer *l, nl_shape *out) NL_CHECKED;

/* Norm arguments common to the calls of a layer. */
nl_args nl_layer_norm_args(const nl_layer_call *c);

/* Whether run files and probes look at a slot: those before the activation always, others where a
 * norm sits. */
bool nl_layer_is_observed(const nl_layer *l, int slot);

/* Ends every observe: post is what the norm in the slot made of pre, `values` values each, or a
 * copy where there is none; NULL: not wanted. Changes no state. */
void nl_layer_look(const nl_layer *l, int slot, nl_args args, int64_t values, const nl_real *pre,
                   nl_real *post);

/* Tells the call's watch, if it has one, a gradient of the slot. */
static inline void nl_layer_tell(const nl_layer *l, const nl_layer_call *c, int slot, nl_side side,
                                 const nl_real *g)
{
    if (c->watch && c->watch->slot)
        c->watch->slot(c->watch, l, c, slot, side, g);
}

/* Moves the live ones of `rows` rows of c values together, in order, and returns their number; live
 * NULL: all, v NULL: only counts. */
int64_t nl_layer_keep_live(const uint8_t *live, nl_real *v, int64_t rows, int64_t c);

const nl_layer_ops *nl_layer_find(const char *name);

#endif
