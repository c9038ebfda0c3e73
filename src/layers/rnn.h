/* rnn.h: what the two files of the recurrent layers share: rnn.c has options, variables and set-up,
 * rnn_unroll.c has time. */
#ifndef NL_RNN_H
#define NL_RNN_H

#include "core/gemm.h"
#include "core/layer.h"
#include "kernel/cell.h"

/* Options of every cell; each layer's table shows those that it has. */
typedef struct nl_rnn {
    int64_t units, truncate;
    nl_choice act, carry;
    bool sequences, bias, reverse, learn_initial;
    double forget_bias, dropout, recurrent_dropout, initial_noise;
    nl_string init, recurrent_init;
} nl_rnn;

enum { NL_CARRY_RAW, NL_CARRY_NORMALIZED };

enum { NL_RNN_SLOT_X, NL_RNN_SLOT_H, NL_RNN_SLOT_C, NL_RNN_SLOT_ACT, NL_RNN_SLOT_HN };

/* Variables. Arrays over time are (t, n, ...), of the n examples of the call, without gaps. */
enum {
    NL_RNN_WX, /* parameters */
    NL_RNN_WH,
    NL_RNN_WHN, /* a candidate's, where it is reset before the product */
    NL_RNN_B,
    NL_RNN_BH,
    NL_RNN_H0,
    NL_RNN_K0,
    NL_RNN_LAST_H, /* stateful: where the latest training call ended, */
    NL_RNN_LAST_K,
    NL_RNN_EVAL_H, /* and the latest evaluation */
    NL_RNN_EVAL_K,
    NL_RNN_IN, /* saved: x by time, dropped out */
    NL_RNN_LIVE,
    NL_RNN_PX, /* x Wx */
    NL_RNN_PH, /* h U, where something stands between it and the sum */
    NL_RNN_PHN,
    NL_RNN_GATE,
    NL_RNN_V,
    NL_RNN_HS, /* t + 1 of them, the initial state first */
    NL_RNN_S,
    NL_RNN_Z,
    NL_RNN_DROPPED, /* h as U sees it, under recurrent dropout */
    NL_RNN_KEEP_X,  /* dropout's factors, one a sequence and channel */
    NL_RNN_KEEP_H,
    NL_RNN_POOLED, /* px by example, where the norm of slot x sees whole sequences ... */
    NL_RNN_NORMED, /* ... and what it gives, by time */
    NL_RNN_Y,      /* the output before the norm in slot act */
    NL_RNN_SEEN,   /* what the log sees: doubles, by position */
    NL_RNN_NX,     /* scratch: normed projections of one step */
    NL_RNN_NH,
    NL_RNN_NHN,
    NL_RNN_SWAP,  /* an array by example on its way */
    NL_RNN_DGATE, /* gradients: of the gates as the input's part sees them */
    NL_RNN_DGATE_H,
    NL_RNN_DPX,
    NL_RNN_DPH,
    NL_RNN_DPHN,
    NL_RNN_DIN,
    NL_RNN_DH,
    NL_RNN_DK,
    NL_RNN_DZ,
    NL_RNN_DS,
    NL_RNN_DS_ALL,
    NL_RNN_DQ,
    NL_RNN_DU,
    NL_RNN_DV,
    NL_RNN_DY,
    NL_RNN_SUMS,
    NL_RNN_SUM_WX, /* gradients of each piece, where examples go by themselves */
    NL_RNN_SUM_WH,
    NL_RNN_SUM_WHN,
    NL_RNN_SUM_B,
    NL_RNN_SUM_BH,
    NL_RNN_VARIABLES
};

/* What the layers differ in. */
typedef struct nl_rnn_cell {
    int gates;
    bool carries; /* has a state k beside h */
    bool apart;   /* the parts of x and h are never only added */
    bool early;   /* the candidate's h is reset before its product: one more product a step */
    bool saves_v;
} nl_rnn_cell;

const nl_rnn_cell *nl_rnn_cell_of(const nl_layer *l);
int64_t nl_rnn_slot_width(const nl_layer *l, int slot); /* channels of what a norm there sees */

/* Whether examples go through time by themselves: no norm looks at several, and the weights stay
 * in a core's cache. They do so in pieces, cut by their number alone. */
bool nl_rnn_goes_by_rows(const nl_layer *l);
int64_t nl_rnn_pieces(int64_t n);

/* Products of a layer: x Wx over all time steps, h U of one step, dU over all steps; the same two
 * of an early candidate. */
typedef struct nl_rnn_plans {
    nl_gemm *x, *h, *dh, *hn, *dhn;
} nl_rnn_plans;

void nl_rnn_forward(nl_layer *l, const nl_layer_call *c);
void nl_rnn_backward(nl_layer *l, const nl_layer_call *c);
void nl_rnn_observe(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post);
int64_t nl_rnn_observe_step(nl_layer *l, const nl_layer_call *c, int slot, int64_t position,
                            nl_real *pre, nl_real *post);
const double *nl_rnn_step_gradients(const nl_layer *l);

#endif
