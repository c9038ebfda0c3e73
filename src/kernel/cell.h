/* cell.h: one time step of a recurrent cell on n rows, forward and backward, around the norm in its
 * slot c. Between the two halves of each pass stands that norm, or nothing (z is then s):
 *
 *     prepare       gates from x and h, inner state s          finish_back   dL/dh_t -> dL/dz
 *     finish        z = norm(s) -> h_t                         prepare_back  dL/ds -> dL/dgates
 *
 *     rnn    s = x + h + b                          h_t = act(z)
 *     lstm   i, f, o = sigmoid(x + h + b), g = tanh(x + h + b)        gates in the order i f g o
 *            s = f k_{t-1} + i g                    h_t = o tanh(z)     k: the carried s or z
 *     gru    z', r = sigmoid(x + h + b), v = h + bh                   gates in the order z' r n
 *            s = (x + b) + r v                      n = tanh(z),  h_t = n + z' (h_{t-1} - n)
 *     gru_before: the same, but v = r h_{t-1} and s = (x + b) + q, q made of v between `reset` and
 *            `prepare`; dL/dq comes from `prepare_back`, dL/dv goes to `reset_back`
 *
 * x (of the input) and h (of h_{t-1}) are the projections as their norms left them, h in gru_before
 * without the candidate. The LSTM's gates stand as in Keras and PyTorch, the GRU's as in Keras
 * (PyTorch: r z' n). Rows that are not live keep h and k, and pass their gradients on. */
#ifndef NL_CELL_H
#define NL_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/act.h"

/* Arrays are (n, u) or (n, gates u) without gaps. What a cell does not have is NULL. */
typedef struct nl_cell_step {
    int64_t u;
    const uint8_t *live; /* (n); NULL: all */
    nl_act act;          /* rnn's */
    const nl_real *x;    /* (n, gates u) */
    const nl_real *h;    /* the same, (n, 2 u) in gru_before; NULL: x holds the sum of both */
    const nl_real *q;    /* (n, u), gru_before's */
    const nl_real *b;    /* (gates u) or NULL */
    const nl_real *bh;   /* (u) or NULL */
    const nl_real *h_prev, *k_prev;
    const nl_real *h_seen; /* h_prev as the projections saw it */
    nl_real *gate;         /* (n, gates u): activated; may be x */
    nl_real *s, *z;
    nl_real *v; /* lstm: tanh(z); gru: v */
    nl_real *h_next;
    /* backward */
    const nl_real *dy; /* added to dL/dh_t of live rows; row stride lddy; or NULL */
    int64_t lddy;
    nl_real *dh;         /* dL/dh_t on entry, the part of dL/dh_{t-1} without U afterwards */
    nl_real *dk;         /* dL/dk_t on entry, dL/dk_{t-1} afterwards */
    nl_real *dz;         /* finish_back writes dL/dz, prepare_back reads dL/ds */
    bool carries_before; /* k is s though z is not: dL/dk_t joins behind the norm */
    nl_real *dx, *d_h;   /* as x and h: dL/dx, and dL/dh where it differs */
    nl_real *dq;         /* prepare_back writes dL/dq */
    const nl_real *dv;   /* dL/dv, which reset_back turns into */
    nl_real *d_seen;     /* dL/dh_seen without U: added where it is dh, else written */
} nl_cell_step;

/* Rows [from, to). */
typedef struct nl_cell_kernel {
    void (*prepare)(const nl_cell_step *c, int64_t from, int64_t to);
    void (*finish)(const nl_cell_step *c, int64_t from, int64_t to);
    void (*finish_back)(const nl_cell_step *c, int64_t from, int64_t to);
    void (*prepare_back)(const nl_cell_step *c, int64_t from, int64_t to);
    void (*reset)(const nl_cell_step *c, int64_t from, int64_t to); /* NULL: not this cell */
    void (*reset_back)(const nl_cell_step *c, int64_t from, int64_t to);
} nl_cell_kernel;

typedef struct nl_cell_kernels {
    nl_cell_kernel rnn, lstm, gru, gru_before;
} nl_cell_kernels;

NL_KERNELS(nl_cell_kernels, nl_cell_kernels_of)

#endif
