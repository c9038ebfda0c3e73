/* unroll.h: the smallest recurrent net around a norm, for tests of gradients through time.
 *
 *     h_t = act(norm_t(x_t + h_{t-1} U))  for live rows,  h_t = h_{t-1}  for padding
 *     L = sum_t sum w_t h_t
 * Rows are n * s, h_0 is given; U and the norm's parameters are shared over time, its statistics
 * are each step's own. */
#ifndef NL_TEST_UNROLL_H
#define NL_TEST_UNROLL_H

#include <stdlib.h>
#include <string.h>

#include "core/norm.h"

enum { UNROLL_STEPS = 3 };

typedef struct unroll {
    nl_norm *m;
    nl_store *store;
    nl_geom g;
    nl_act act;
    nl_phase phase;
    bool update, hold;
    int64_t rows, count;                              /* of one step */
    nl_real *x[UNROLL_STEPS], *w[UNROLL_STEPS];       /* given */
    nl_real *h[UNROLL_STEPS + 1], *U;                 /* h[0] given */
    uint8_t *live[UNROLL_STEPS];                      /* given */
    nl_real *pre[UNROLL_STEPS], *y[UNROLL_STEPS];     /* kept by forward */
    nl_real *dx[UNROLL_STEPS], *dh[UNROLL_STEPS + 1]; /* backward's; dh[0] belongs to h[0] */
    nl_real *dU, *dy;
} unroll;

static nl_real *unroll_reals(int64_t count) { return calloc((size_t)count, sizeof(nl_real)); }

static nl_status unroll_open(unroll *u, const char *spec, nl_geom g)
{
    *u = (unroll){.g = g, .rows = g.n * g.s, .count = g.n * g.s * g.c, .act = NL_TANH};
    u->g.steps = UNROLL_STEPS;
    NL_TRY(nl_store_open(&u->store));
    NL_TRY(nl_norm_open(&u->m, spec, &u->g, u->store, "norm"));
    NL_TRY(nl_store_commit(u->store));
    for (int t = 0; t < UNROLL_STEPS; t++) {
        u->x[t] = unroll_reals(u->count), u->w[t] = unroll_reals(u->count);
        u->pre[t] = unroll_reals(u->count), u->y[t] = unroll_reals(u->count);
        u->dx[t] = unroll_reals(u->count), u->live[t] = calloc((size_t)u->rows, 1);
    }
    for (int t = 0; t <= UNROLL_STEPS; t++)
        u->h[t] = unroll_reals(u->count), u->dh[t] = unroll_reals(u->count);
    u->U = unroll_reals(g.c * g.c), u->dU = unroll_reals(g.c * g.c);
    u->dy = unroll_reals(u->count);
    return NL_OK;
}

static void unroll_close(unroll *u)
{
    nl_norm_close(u->m);
    nl_store_close(u->store);
    for (int t = 0; t < UNROLL_STEPS; t++) {
        free(u->x[t]), free(u->w[t]), free(u->pre[t]), free(u->y[t]);
        free(u->dx[t]), free(u->live[t]);
    }
    for (int t = 0; t <= UNROLL_STEPS; t++)
        free(u->h[t]), free(u->dh[t]);
    free(u->U), free(u->dU), free(u->dy);
}

static nl_args unroll_args(const unroll *u, int t)
{
    return (nl_args){.n = u->g.n,
                     .t = t,
                     .phase = u->phase,
                     .update = u->update,
                     .hold = u->hold,
                     .step = 1000000,
                     .live = u->live[t],
                     .act = u->act,
                     .x = u->pre[t],
                     .y = u->y[t],
                     .dy = u->dy,
                     .dx = u->dx[t]};
}

/* The loss. */
static double unroll_forward(unroll *u)
{
    const int64_t c = u->g.c;
    double loss = 0;
    for (int t = 0; t < UNROLL_STEPS; t++) {
        for (int64_t r = 0; r < u->rows; r++)
            for (int64_t j = 0; j < c; j++) {
                double sum = (double)u->x[t][r * c + j];
                for (int64_t i = 0; i < c; i++)
                    sum += (double)u->h[t][r * c + i] * (double)u->U[i * c + j];
                u->pre[t][r * c + j] = (nl_real)sum;
            }
        const nl_args a = unroll_args(u, t);
        nl_norm_forward(u->m, &a);
        for (int64_t k = 0; k < u->count; k++) {
            u->h[t + 1][k] = u->live[t][k / c] ? u->y[t][k] : u->h[t][k];
            loss += (double)u->w[t][k] * (double)u->h[t + 1][k];
        }
    }
    return loss;
}

/* dx_t, dh_0, dU and the norm's gradients, from zero. */
static void unroll_backward(unroll *u)
{
    const int64_t c = u->g.c;
    const size_t bytes = (size_t)u->count * sizeof(nl_real);
    nl_store_zero_grads(u->store);
    memset(u->dU, 0, (size_t)(c * c) * sizeof(nl_real));
    memset(u->dh[UNROLL_STEPS], 0, bytes);
    for (int t = UNROLL_STEPS - 1; t >= 0; t--) {
        nl_real *dh = u->dh[t + 1], *before = u->dh[t];
        memset(before, 0, bytes);
        for (int64_t k = 0; k < u->count; k++) {
            dh[k] += u->w[t][k];
            if (u->live[t][k / c])
                u->dy[k] = dh[k];
            else
                u->dy[k] = (nl_real)1e30, before[k] = dh[k];
        }
        const nl_args a = unroll_args(u, t);
        nl_norm_backward(u->m, &a);
        for (int64_t r = 0; r < u->rows; r++)
            for (int64_t i = 0; i < c; i++)
                for (int64_t j = 0; j < c; j++) {
                    u->dU[i * c + j] += u->h[t][r * c + i] * u->dx[t][r * c + j];
                    before[r * c + i] += u->dx[t][r * c + j] * u->U[i * c + j];
                }
    }
}

#endif
