/* contract_rig.h: a norm with data around it, and how a check says what it saw. Private to
 * src/core/contract*.c. */
#ifndef NL_CONTRACT_RIG_H
#define NL_CONTRACT_RIG_H

#include <math.h>

#include "core/contract.h"
#include "core/norm.h"

/* ---- findings */

typedef struct nl_contract {
    const char *spec;
    const nl_norm_ops *ops;
    char where[256];  /* the case at hand */
    char detail[640]; /* of the first failing case */
    int cases, failures;
} nl_contract;

void nl_contract_at(nl_contract *c, const char *fmt, ...) NL_PRINTF(2, 3);
/* Counts a case; a failing one keeps its message. */
void nl_contract_expect(nl_contract *c, bool ok, const char *fmt, ...) NL_PRINTF(3, 4);
/* |seen - expected| <= bound, NaN equal to NaN. */
void nl_contract_near(nl_contract *c, const char *what, double seen, double expected, double bound);

enum { NL_TIGHT_ULPS = 64 };
/* What summing a few dozen values of size 1 in two orders may differ by. */
static inline double nl_rounding(void)
{
    return NL_TIGHT_ULPS * (sizeof(nl_real) == sizeof(double) ? 0x1p-52 : 0x1p-23);
}

/* ---- the rig */

typedef enum nl_mask { NL_ALL, NL_RAGGED, NL_EXAMPLES, NL_ONE, NL_TWO, NL_NOBODY } nl_mask;
enum { NL_RIG_TENSORS = 6, NL_RIG_SEED = 7, NL_LATE_STEP = 1000000 };
#define NL_RIG_OWNER "norm"

typedef struct nl_rig {
    nl_store *store;
    nl_norm *m;
    nl_geom g;
    int64_t n, rows, ld; /* of the call; ld is ldx and ldy */
    nl_real *tensor[NL_RIG_TENSORS];
    nl_real *x, *y, *dy, *dx, *residual, *d_residual; /* names of tensor[] */
    uint8_t *live;
    nl_args a;
} nl_rig;

/* Opens spec at g with `pad` reals behind each row, starts it from data of `seed` and moves its
 * parameters off their initial values. NL_ESHAPE: the method refuses g. */
nl_status nl_rig_open(nl_rig *r, const char *spec, nl_geom g, int64_t pad,
                      uint64_t seed) NL_CHECKED;
void nl_rig_close(nl_rig *r);

/* The i-th of a stream of normal numbers, from a small table: quick, and repeating. */
double nl_rig_normal(uint64_t seed, uint64_t stream, int64_t i);
/* x = mean + std normal, dy and residual normal. */
void nl_rig_fill(nl_rig *r, double mean, double std, uint64_t seed);
/* Calls of n examples from now on, masked; padding rows of x, dy and residual become NaN and 1e30.
 */
void nl_rig_call(nl_rig *r, int64_t n, nl_mask mask);
void nl_rig_act(nl_rig *r, nl_act act, bool residual);
bool nl_rig_is_live(const nl_rig *r, int64_t row);

void nl_rig_forward(nl_rig *r);
/* Gradients of the parameters start at zero, dx and d_residual as NaN. */
void nl_rig_backward(nl_rig *r);
/* `steps` training calls of fresh data that move the state; x is the last one's afterwards. */
void nl_rig_train(nl_rig *r, int steps);

nl_item *nl_rig_item(nl_rig *r, int variable); /* NULL when switched off */
bool nl_rig_role_finite(nl_rig *r, nl_role role);

/* A copy of what a call gives and leaves: y, dx, d_residual, gradients, state. */
typedef struct nl_shot {
    int64_t reals, bytes;
    nl_real *outputs; /* y, dx, d_residual of the call's rows, packed; then the gradients */
    char *state;
} nl_shot;
nl_status nl_shot_take(nl_shot *s, nl_rig *r) NL_CHECKED;
void nl_shot_free(nl_shot *s);
bool nl_shot_same(const nl_shot *a, const nl_shot *b); /* to the byte */
bool nl_shot_same_state(const nl_shot *a, const nl_shot *b);
/* The largest difference of the outputs; NaN counts as none against NaN, else as infinite. */
double nl_shot_distance(const nl_shot *a, const nl_shot *b, int64_t *at);

/* Runs body with a rig at every geometry the method takes. */
nl_status nl_each_geometry(nl_contract *c, nl_status (*body)(nl_contract *c, nl_rig *r)) NL_CHECKED;
/* One that it takes: with these extents, all rows examples, or a few positions an example. */
nl_geom nl_some_geometry(const nl_contract *c, int64_t n, int64_t s, int64_t channels);

/* ---- properties: one function each, in contract_*.c */
nl_status nl_check_tables(nl_contract *c);
nl_status nl_check_refusals(nl_contract *c);
nl_status nl_check_memory(nl_contract *c);
nl_status nl_check_formula(nl_contract *c);
nl_status nl_check_extremes(nl_contract *c);
nl_status nl_check_nan(nl_contract *c);
nl_status nl_check_gradients(nl_contract *c);
nl_status nl_check_sources(nl_contract *c);
nl_status nl_check_large(nl_contract *c);
nl_status nl_check_promises(nl_contract *c);
nl_status nl_check_masks(nl_contract *c);
nl_status nl_check_few(nl_contract *c);
nl_status nl_check_sizes(nl_contract *c);
nl_status nl_check_state(nl_contract *c);
nl_status nl_check_averages(nl_contract *c);
nl_status nl_check_time(nl_contract *c);
nl_status nl_check_threads(nl_contract *c);
nl_status nl_check_strides(nl_contract *c);
nl_status nl_check_fusion(nl_contract *c);
nl_status nl_check_poison(nl_contract *c);

#endif
