/* unit.h: what dense layers and convolutions share: a product of x and weights W, and everything
 * that follows it.
 *
 *     bias=before   y = act2(act(preact(t + b) + residual))         t = product(x, W)
 *     bias=after    y = act2(act(preact(t) + b + residual))
 *     bias=off      y = act2(act(preact(t) + residual))
 * preact, act2: the norms in slots `preact` and `act`, or nothing; W (fan-in, out) is what the norm
 * in slot `weight` makes of the stored weight. t and y are (n, s, out). A norm with a beta of its
 * own makes a bias before it redundant.
 *
 * A layer gives its options, which begin with nl_unit, its shape and its product; the rest of its
 * table of functions is NL_UNIT_FUNCTIONS. */
#ifndef NL_UNIT_H
#define NL_UNIT_H

#include "core/layer.h"

/* How the layer multiplies n examples. dx and dw are overwritten, or added to. */
typedef struct nl_product {
    void (*forward)(const nl_layer *l, int64_t n, const nl_real *x, const nl_real *w, nl_real *t);
    void (*data_gradient)(const nl_layer *l, int64_t n, const nl_real *dt, const nl_real *w,
                          nl_real *dx, bool add);
    void (*weight_gradient)(const nl_layer *l, int64_t n, const nl_real *x, const nl_real *dt,
                            nl_real *dw, bool add);
} nl_product;

typedef struct nl_unit {
    int64_t out;
    nl_choice act, bias;
    nl_string init, bias_init;
    /* the layer's shape fills in the rest: */
    int64_t rows;            /* of W */
    int64_t fan_in, fan_out; /* as initializers count them */
    const nl_product *product;
    bool folded; /* the bias in use is the one that folding made */
} nl_unit;

extern const char *const nl_unit_acts[], *const nl_unit_biases[];

/* Rows of the option table of struct S, whose first member is `unit`. */
#define NL_UNIT_OPTIONS(S, out_doc)                                                \
    NL_OPT_AS(S, unit.out, "out", "100", 1, 1 << 24, out_doc),                     \
        NL_OPT_NAMES_AS(S, unit.act, "act", "linear", nl_unit_acts, "activation"), \
        NL_OPT_NAMES_AS(S, unit.bias, "bias", "before", nl_unit_biases,            \
                        "before the norm, after it, or none"),                     \
        NL_OPT_AS(S, unit.init, "init", "", 0, 0,                                  \
                  "initializer of the weights; '' for the model's"),               \
        NL_OPT_AS(S, unit.bias_init, "bias_init", "zeros", 0, 0, "initializer of the bias")

extern const nl_slot_decl nl_unit_slots[];
extern const nl_variable nl_unit_variables[];

nl_geom nl_unit_slot_geom(const nl_layer *l, int slot);
int64_t nl_unit_extent(const nl_layer *l, int id, int dim);
nl_status nl_unit_init(nl_layer *l, const char *model_init, uint64_t seed);
void nl_unit_forward(nl_layer *l, const nl_layer_call *c);
void nl_unit_backward(nl_layer *l, const nl_layer_call *c);
void nl_unit_observe(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post);
void nl_unit_fold(nl_layer *l, const double *scale, const double *shift);
nl_act nl_unit_activation(const nl_layer *l);
const nl_real *nl_unit_late_bias(const nl_layer *l);

#define NL_UNIT_FUNCTIONS                                                                 \
    .variables = nl_unit_variables, .slots = nl_unit_slots, .adds_residual = true,        \
    .slot_geom = nl_unit_slot_geom, .extent = nl_unit_extent, .init = nl_unit_init,       \
    .forward = nl_unit_forward, .backward = nl_unit_backward, .observe = nl_unit_observe, \
    .fold = nl_unit_fold, .activation = nl_unit_activation, .late_bias = nl_unit_late_bias

#endif
