/* norm.h: the interface between a normalization method and everything else.
 *
 * A method is ONE file, norms/NAME.c, that defines one object `const nl_norm_ops nl_norm_NAME`. The
 * build lists norms/ and makes the table; nothing else is edited. The same file built as a shared
 * object with -DNL_PLUGIN is a plugin. norms/identity.c is the template, norms/batch.c the example.
 *
 * An activation is a row-major array (n, s, c), channels innermost: dense s = 1, image s = h * w,
 * a time step of a sequence n rows with a stride. A weight is (n = fan-in, s = 1, c = outputs).
 * Dimension letters: n examples, s positions, c channels, k areas, m live values of a statistic.
 * A segment of an area: rows that share statistics, one for each channel or group of channels.
 *
 * Who does what. A method declares its *areas*: which values share a statistic. For each area k the
 * core computes m, mean and var of the live values, from the source the call asks for; the method
 * turns them into coefficients a_k, d_k; the core writes
 *     z = sum_k a_k (x - mean_k) + d_k,      y = act(gamma z + beta + residual)
 * and, going back with g = gamma dy act'(y), hands the method G_k = sum g and
 * H_k = sum g (x - mean_k) of each area; the method answers with dL/dmean_k and dL/dvar_k; the core
 * writes
 *     dx = sum_k a_k g + dL/dmean_k / m + dL/dvar_k 2 (x - batch mean_k) / m
 * leaving out what did not come from the batch. Masks, time, partition into blocks, running state,
 * sources, fusion, gradients of gamma and beta are the core's alone. A method that is not of this
 * form supplies whole passes instead. */
#ifndef NL_NORM_H
#define NL_NORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/real.h"
#include "base/status.h"
#include "core/option.h"
#include "core/store.h"
#include "kernel/act.h"

enum { NL_NORM_ABI = 4, NL_AREAS_MAX = 3, NL_NORM_VARS_MAX = 40 };

typedef struct nl_geom {
    int64_t n;       /* the most examples of one call */
    int64_t s, c;    /* positions, channels */
    int64_t steps;   /* time steps an unroll may take; 1 elsewhere */
    bool sequence;   /* the caller could as well give all steps at once, as positions */
    int64_t batch;   /* examples of one training step, as the spec says; 0: n */
    int64_t pieces;  /* the most that a call may be cut into; 0: 1 */
    bool any_policy; /* evaluation may come under any policy, not the method's own alone */
} nl_geom;

/* ---- areas */

enum { NL_OVER_N = 1, NL_OVER_S = 2, NL_OVER_C = 4 }; /* axes that share a statistic */

typedef enum nl_moments {
    NL_MEAN_VAR,   /* mean and variance about it (biased: divided by m) */
    NL_MEAN_SQUARE /* mean is 0 and var is the mean of x^2 */
} nl_moments;

/* Where a statistic of a call comes from. Training always takes the batch and keeps what the
 * others need, so that one checkpoint can be evaluated under each of them. */
typedef enum nl_source {
    NL_FROM_BATCH,
    NL_FROM_RUNNING,    /* exponential average over steps */
    NL_FROM_CUMULATIVE, /* plain average over all steps */
    NL_FROM_EPOCH,      /* plain average over the steps of the epoch */
    NL_FROM_EXAMPLE,    /* the example's own statistic (over s) */
    NL_FROM_MIXTURE,    /* own_weight example + (1 - own_weight) running, in mean and mean square */
    NL_SOURCES
} nl_source;
const char *nl_source_name(nl_source s); /* "batch", "running", ... */

typedef struct nl_area {
    unsigned over;  /* NL_OVER_* */
    int64_t groups; /* with NL_OVER_C: of c / groups channels each; 0 and 1 are one group */
    nl_moments moments;
    bool whole; /* never cut: coefficients are asked for once a call, all areas' statistics known */
    /* z = (x - mean) / sqrt(var + eps): the core has the coefficients and their gradients, the
     * method need not say them. */
    bool standardizes;
    double eps;
    /* Population statistics kept for this area (its variables are declared with NL_POPULATION): */
    bool population;
    double momentum;  /* weight of the new batch in the running average */
    bool unbiased;    /* the variance kept is m / (m - 1) var; with 1 value it is left alone */
    double assumed_m; /* > 0: this m in that factor, whatever m was (1 gives NaN, as it must) */
    bool keeps_std;   /* the running spread is sqrt(var + std_eps), averaged as such */
    double std_eps;
} nl_area;

/* Statistics and coefficients of one area in one call. Arrays run over its statistics: (n or 1,
 * s or 1, c, groups or 1), row-major. */
typedef struct nl_stats {
    const double *mean, *var; /* from the call's source */
    double *a, *d; /* forward writes them, backward may read them; where the core standardizes d is
                    * NULL, which is 0 */
    const double *G, *H;  /* backward: sum of g, sum of g (x - mean) */
    double *dmean, *dvar; /* backward writes them: dL/dmean, dL/dvar */
    const double *count;  /* live values m; one for all when counts_differ is false */
    bool counts_differ;
    int64_t statistics; /* how many the arrays hold: all of the area, or a range of it ... */
    int64_t first;      /* ... that starts at this one */
} nl_stats;

static inline double nl_count(const nl_stats *st, int64_t i)
{
    return st->count[st->counts_differ ? i : 0];
}

/* ---- one call */

typedef enum nl_phase { NL_TRAIN, NL_EVAL } nl_phase;

/* An inference policy: the source of each area's mean and variance. */
typedef struct nl_policy {
    nl_source mean[NL_AREAS_MAX], var[NL_AREAS_MAX];
    double own_weight; /* of NL_FROM_MIXTURE */
} nl_policy;

/* A variable of the method, this call's time step. */
typedef struct nl_bound {
    void *val;     /* nl_real, double or int64_t as declared; NULL when switched off */
    nl_real *grad; /* parameters: add to it */
    int64_t rows, cols;
} nl_bound;

/* What the caller gives. Zero-initialised fields are the common case. */
typedef struct nl_args {
    int64_t n; /* examples in this call, at most geom.n */
    /* With pieces > 1, of a norm that goes by rows, the call does examples n piece / pieces and on
     * alone; other threads may do the other pieces meanwhile. */
    int64_t piece, pieces;
    int64_t t; /* time step; beyond the longest trained one, evaluation takes that one's state */
    nl_phase phase;
    bool update; /* state may move (forward and backward alike) */
    bool hold;   /* gradient checks: NL_HELD variables stay what the last forward saved */
    const nl_policy *policy; /* of evaluation; NULL: the method's own choice */
    int64_t step, epoch;
    nl_key key; /* of the step; methods draw by nl_call.key */
    /* (n, s): 0 is padding, which enters nothing and gets y = 0, dx = 0; NULL: none is. */
    const uint8_t *live;
    nl_act act; /* applied after gamma and beta; backward needs y */
    const nl_real *x;
    nl_real *y;              /* may not alias x */
    const nl_real *residual; /* like y, added before the activation; or NULL */
    const nl_real *dy;
    nl_real *dx;         /* WRITTEN; may be dy, may not be x */
    nl_real *d_residual; /* WRITTEN when not NULL; may be dy, then dx may not */
    int64_t ldx, ldy;    /* row strides of x and dx, of y, dy and residuals; 0: c */
} nl_args;

/* What a method sees. */
typedef struct nl_call {
    const nl_args *args;
    const nl_geom *geom;
    nl_key key;       /* of args, mixed with the norm's place: no two norms draw the same numbers */
    nl_policy policy; /* in force */
    nl_stats stats[NL_AREAS_MAX];
    nl_bound v[NL_NORM_VARS_MAX]; /* by the method's own enum */
} nl_call;

/* For whole passes: rows are n * s, row r of x and dx starts at r * nl_ldx, of y at r * nl_ldy;
 * padding may hold anything and enters no sum (its y and dx are the core's business). */
static inline int64_t nl_ldx(const nl_call *c) { return c->args->ldx ? c->args->ldx : c->geom->c; }
static inline int64_t nl_ldy(const nl_call *c) { return c->args->ldy ? c->args->ldy : c->geom->c; }
static inline bool nl_row_is_live(const nl_call *c, int64_t row)
{
    return !c->args->live || c->args->live[row];
}

#define NL_REALS(c, id) ((nl_real *)(c)->v[id].val)
#define NL_DOUBLES(c, id) ((double *)(c)->v[id].val)
#define NL_INT64S(c, id) ((int64_t *)(c)->v[id].val)

/* ---- the method */

/* Where it can be put. */
enum {
    NL_AT_PREACT = 1, /* before the activation */
    NL_AT_ACT = 2,    /* after it */
    NL_AT_WEIGHT = 4, /* on the weights: n = fan-in, c = outputs */
    NL_AT_RNN = 8,    /* in a cell, call by call through time */
    NL_AT_ANSWER = 16 /* on the weights of the layer that gives the logits, too */
};

/* Promises: the contract holds a method to each one, given or not. */
enum {
    NL_T_COUPLES_ROWS = 1,            /* in training, a row's output depends on other rows */
    NL_T_SCALE_INVARIANT = 2,         /* f(a x) = f(x) for a > 0, up to eps */
    NL_T_SHIFT_INVARIANT = 4,         /* f(x + b) = f(x), b the same for all x, up to eps */
    NL_T_CHANNEL_SHIFT_INVARIANT = 8, /* b one per channel: a bias before is redundant */
    NL_T_ACTIVATES = 16,              /* brings its own activation */
    NL_T_EVAL_DIFFERS = 32            /* evaluation takes stored state, unless told otherwise */
};

typedef enum nl_gradient {
    NL_EXACT,      /* backward is the derivative of forward */
    NL_HELD_EXACT, /* the derivative with the NL_HELD variables constant, as its paper says */
    NL_APPROXIMATE /* its own; has invariants of its own */
} nl_gradient;

typedef struct nl_norm_ops {
    uint32_t abi, real_bytes;
    const char *name;  /* key on the command line and in files: [a-z0-9_]+ */
    const char *title; /* for people */
    const char *cite;  /* BibTeX key in paper/refs.bib, then ", eq. ..." */
    unsigned sites, traits;
    nl_gradient gradient;
    unsigned sources; /* bits 1 << nl_source allowed for areas with population statistics */
    size_t self_size;
    const nl_option *options;     /* ends with NL_OPT_END */
    const nl_variable *variables; /* ends with {0} */
    /* Refuses a geometry or a combination of options, saying why. Optional. */
    nl_status (*check)(const void *self, const nl_geom *g);
    /* Fills area[0 ..] and gives their number. Absent: none, z = x. */
    int (*areas)(const void *self, const nl_geom *g, nl_area *area);
    /* The source of each statistic at evaluation. Absent: running where there is population. */
    void (*evaluation)(const void *self, nl_policy *p);
    /* The i-th further inference policy of the method's paper and what it is called (at most 31
     * characters); false past the end. Optional. */
    bool (*policy)(const void *self, int i, char *name, nl_policy *p);
    /* Extent of dimension `dim` (0 or 1) of variable `id`, declared NL_USER. */
    int64_t (*extent)(const void *self, const nl_geom *g, int id, int dim);
    /* Initial values that a constant cannot give, from the statistics of the first x; once.
     * Optional. */
    void (*start)(const void *self, nl_call *c);
    /* The same from the moments of the layer's first outputs, in the weight slot: mean and var are
     * (c); bias (c) may be NULL. Optional. */
    void (*start_output)(const void *self, nl_call *c, const double *mean, const double *var,
                         nl_real *bias);
    /* Coefficients a, d of area k, unless it standardizes, for the statistics that c->stats[k]
     * holds. Ranges of one area may be asked for at the same time from several threads, unless the
     * area is whole or all of it. */
    void (*forward)(const void *self, nl_call *c, int k);
    /* dmean, dvar of area k, from G and H; the same ranges. */
    void (*backward)(const void *self, nl_call *c, int k);
    /* Whole passes instead: y = f(x) over rows, dx = f'(x)^T dx in place (dx holds dL/dy on entry);
     * gamma and beta are then the method's own. Activation, residual and zeros for padding are the
     * core's. No areas then. */
    void (*whole_forward)(const void *self, nl_call *c);
    void (*whole_backward)(const void *self, nl_call *c);
    /* Hooks. Optional. */
    void (*after_step)(const void *self, nl_call *c); /* after the optimizer's step */
    void (*epoch_begin)(const void *self, nl_call *c);
    void (*epoch_end)(const void *self, nl_call *c);
} nl_norm_ops;

#define NL_NORM_HEADER .abi = NL_NORM_ABI, .real_bytes = sizeof(nl_real)
#define NL_ENDS_VARIABLES \
    {                     \
        0                 \
    }

/* Rows of the variables table that most methods have. */
#define NL_GAMMA_ROW(id, only)                                                          \
    [id] = {"gamma",  NL_PARAM, NL_TYPE_REAL,       {NL_1, NL_C}, 1.0, NL_LOGGED, only, \
            NL_GAMMA, 0,        "scale per channel"}
#define NL_BETA_ROW(id, only)                                                          \
    [id] = {"beta",  NL_PARAM, NL_TYPE_REAL,       {NL_1, NL_C}, 0.0, NL_LOGGED, only, \
            NL_BETA, 0,        "shift per channel"}
#define NL_STATE_ROW(id, name, type, init, flags, purpose, k, doc) \
    [id] = {name, NL_STATE, type, {NL_1, NL_AREA}, init, flags, NULL, purpose, k, doc}
#define NL_COUNT_ROW(id, name, steps, purpose, k, doc) \
    [id] = {name, NL_STATE, NL_TYPE_INT64, {NL_1, NL_SEGMENTS}, 0.0, steps, NULL, purpose, k, doc}

/* Population statistics of area k in rows id .. id + NL_POPULATION_ROWS - 1. steps is NL_PER_STEP
 * or 0; names are run_mean, run_var, cum_mean, ... behind the prefix. Sums are divided by their
 * count when read. */
enum { NL_POPULATION_ROWS = 8 };
#define NL_POPULATION(id, prefix, spread, k, steps)                                                \
    NL_STATE_ROW((id), prefix "run_mean", NL_TYPE_REAL, 0.0, (steps) | NL_LOGGED, NL_RUN_MEAN, k,  \
                 "exponential average of the batch mean"),                                         \
        NL_STATE_ROW((id) + 1, prefix "run_" spread, NL_TYPE_REAL, 1.0, (steps) | NL_LOGGED,       \
                     NL_RUN_SPREAD, k, "exponential average of the batch " spread),                \
        NL_STATE_ROW((id) + 2, prefix "cum_mean", NL_TYPE_DOUBLE, 0.0, steps, NL_CUM_MEAN, k,      \
                     "sum of the batch mean over all steps"),                                      \
        NL_STATE_ROW((id) + 3, prefix "cum_" spread, NL_TYPE_DOUBLE, 0.0, steps, NL_CUM_SPREAD, k, \
                     "sum of the batch " spread " over all steps"),                                \
        NL_COUNT_ROW((id) + 4, prefix "cum_count", steps, NL_CUM_COUNT, k, "terms in those sums"), \
        NL_STATE_ROW((id) + 5, prefix "epoch_mean", NL_TYPE_DOUBLE, 0.0, steps, NL_EPOCH_MEAN, k,  \
                     "sum of the batch mean over the epoch's steps"),                              \
        NL_STATE_ROW((id) + 6, prefix "epoch_" spread, NL_TYPE_DOUBLE, 0.0, steps,                 \
                     NL_EPOCH_SPREAD, k, "sum of the batch " spread " over the epoch's steps"),    \
        NL_COUNT_ROW((id) + 7, prefix "epoch_count", steps, NL_EPOCH_COUNT, k,                     \
                     "terms in those sums")

/* Row of a method's options: what it does with the steps of a cell. With time=pooled the core takes
 * them for positions where all are known at once (the input projection; Laurent et al. 2016), and
 * elsewhere keeps one population for all of them. */
enum { NL_TIME_STEP, NL_TIME_POOLED };
extern const char *const nl_times[]; /* "step", "pooled" */
#define NL_OPT_TIME(S) \
    NL_OPT_NAMES(S, time, "step", nl_times, "in cells: each step on its own, or all together")

/* Opens the definition of a method: NL_NORM_DEFINE(batch) = { ... }; */
#ifdef NL_PLUGIN
#define NL_PLUGIN_ENTRY(id)                                                         \
    __attribute__((visibility("default"))) const nl_norm_ops *nl_plugin_norm(void); \
    const nl_norm_ops *nl_plugin_norm(void) { return &nl_norm_##id; }
#else
#define NL_PLUGIN_ENTRY(id)
#endif
#define NL_NORM_DEFINE(id)                 \
    extern const nl_norm_ops nl_norm_##id; \
    NL_PLUGIN_ENTRY(id)                    \
    const nl_norm_ops nl_norm_##id

/* ---- what layers, the trainer and tests call */

typedef struct nl_norm nl_norm;

/* spec is "name:key=value:...". Variables go into the store under `owner`, which the caller commits
 * before the first call. On failure *out is NULL. */
nl_status nl_norm_open(nl_norm **out, const char *spec, const nl_geom *g, nl_store *store,
                       const char *owner) NL_CHECKED;
void nl_norm_close(nl_norm *m); /* NULL is fine */

/* Cannot fail; allocates nothing; same bytes for any number of threads. */
void nl_norm_forward(nl_norm *m, const nl_args *a);
void nl_norm_backward(nl_norm *m, const nl_args *a); /* of the latest forward at a->t */

/* Whether a call may come in pieces: no statistic is of several examples, or of training. */
bool nl_norm_goes_by_rows(const nl_norm *m);
/* Around backward calls in pieces, which leave the gradients of gamma and beta in sums of each
 * piece: clears these, and adds them up. */
void nl_norm_open_pieces(nl_norm *m, int64_t pieces);
void nl_norm_close_pieces(nl_norm *m, int64_t pieces);

/* For benchmarks: from now on the calls of all norms add their wall time to *seconds; NULL: they
 * take no time. */
void nl_norm_clock(double *seconds);

/* Data-dependent start from the first x (forward arguments); once, before training. */
void nl_norm_start(nl_norm *m, const nl_args *a);
/* Weight slot: from the layer's first outputs, (rows, c) with stride ld. */
void nl_norm_start_output(nl_norm *m, const nl_real *out, int64_t rows, int64_t ld, nl_real *bias);
bool nl_norm_wants_output(const nl_norm *m);

void nl_norm_after_step(nl_norm *m);
void nl_norm_epoch_begin(nl_norm *m, int64_t epoch);
void nl_norm_epoch_end(nl_norm *m, int64_t epoch);

/* Whether this policy can be used with batches of n: sources allowed, state kept, batch size
 * fitting. */
nl_status nl_norm_accepts(const nl_norm *m, const nl_policy *p, int64_t n) NL_CHECKED;
/* The policy in force at evaluation when the call names none. */
void nl_norm_own_policy(const nl_norm *m, nl_policy *p);

/* Whether a call brings all time steps as positions, s = geom.steps then, t = 0. */
bool nl_norm_takes_sequence(const nl_norm *m);

const nl_norm_ops *nl_norm_ops_of(const nl_norm *m);
const void *nl_norm_options_of(const nl_norm *m);
int nl_norm_areas_of(const nl_norm *m, nl_area area[NL_AREAS_MAX]); /* their number */

/* "a+b" puts two methods into one layer, a weight-space one and one on activations. Copies the next
 * of them to part (NL_STRING_MAX characters) and moves on; part is "" at the end. */
nl_status nl_norm_next_part(const char **spec, char *part) NL_CHECKED;

/* Checks "a" or "a+b" without opening it and writes it with defaults expanded. */
nl_status nl_norm_canonical(const char *spec, nl_text *out) NL_CHECKED;

/* Registry: the build's table, then plugins. A plugin cannot take the name of a built-in. */
void nl_norm_use(const nl_norm_ops *const *table, int count);
nl_status nl_norm_register(const nl_norm_ops *ops) NL_CHECKED;
const nl_norm_ops *nl_norm_find(const char *name); /* "none" finds identity */
const nl_norm_ops *nl_norm_at(int i);              /* NULL past the end */
/* NL_ENAME with the nearest name, *out NULL, where there is none. */
nl_status nl_norm_find_or_say(const char *name, const nl_norm_ops **out) NL_CHECKED;

#endif
