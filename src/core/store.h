/* store.h: the variables table, and the one place where variables live.
 *
 * Layers, norms and optimizers declare their variables in tables; a store lays them out in slabs
 * by lifetime (parameters, gradients, state, saved, scratch). The optimizer, checkpoints, the log
 * and the gradient check walk the store and know nothing else about their owners. */
#ifndef NL_STORE_H
#define NL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"
#include "core/option.h"

typedef enum nl_role {
    NL_PARAM,  /* learned: has a gradient, optimized, checkpointed; type real */
    NL_STATE,  /* carried from call to call, not learned: checkpointed */
    NL_SAVED,  /* written by forward for backward of the same call and time step */
    NL_SCRATCH /* undefined on entry, gone after the call */
} nl_role;

typedef enum nl_vartype { NL_TYPE_REAL, NL_TYPE_DOUBLE, NL_TYPE_INT64 } nl_vartype;

/* Extents of a variable, resolved by its owner: NL_AREA the statistics and NL_SEGMENTS the segments
 * of one area of a norm (norm.h). NL_USER asks the owner's extent callback. */
typedef enum nl_extent { NL_1, NL_N, NL_S, NL_C, NL_IN, NL_AREA, NL_SEGMENTS, NL_USER } nl_extent;

/* What a variable of a norm is for, where the core handles it; NL_OWN is the method's business. */
typedef enum nl_purpose {
    NL_OWN,
    NL_GAMMA, /* y = gamma z + beta, per channel or per (position, channel) */
    NL_BETA,
    NL_RUN_MEAN, /* population statistics of one area; see nl_source in norm.h */
    NL_RUN_SPREAD,
    NL_CUM_MEAN,
    NL_CUM_SPREAD,
    NL_CUM_COUNT,
    NL_EPOCH_MEAN,
    NL_EPOCH_SPREAD,
    NL_EPOCH_COUNT
} nl_purpose;

enum {
    NL_DECAYS = 1,      /* the optimizer's weight decay applies (weights; not gains and biases) */
    NL_PER_STEP = 2,    /* one copy for each time step */
    NL_LOGGED = 4,      /* a channel of the run file */
    NL_HELD = 8,        /* stop-gradient: kept as it is when a call says hold */
    NL_OVERWRITES = 16, /* backward writes this gradient instead of adding to it */
    NL_BY_ROW = 32      /* a table of which a step reads few rows: lookup.h */
};

typedef struct nl_variable {
    const char *name;
    nl_role role;
    nl_vartype type;
    nl_extent dim[2];
    double init;
    unsigned flags;
    const char *only_if; /* key of a bool option that must be true, or NULL */
    nl_purpose purpose;
    int area; /* which area of the norm, for population statistics and extents */
    const char *doc;
} nl_variable;

/* Generic settings of any parameter, given in its owner's spec as NAME.KEY=VALUE. */
typedef struct nl_setting {
    nl_string init; /* a number, or "" for the owner's own */
    double lr;      /* multiplies the learning rate */
    double l2;      /* adds l2 (p - l2_to) to the gradient */
    double l2_to;
    nl_choice constraint; /* none, nonneg, unit ([0, 1]) */
    bool freeze;
} nl_setting;
enum { NL_FREE, NL_NONNEG, NL_UNIT };
extern const nl_option nl_setting_options[];

/* A variable in the store. Pointers are valid after nl_store_commit. */
typedef struct nl_item {
    char owner[96]; /* path of the owner: "h1" or "h1/preact" */
    const nl_variable *decl;
    nl_setting set;
    int64_t rows, cols, steps; /* count = rows * cols * steps */
    int64_t count;
    void *val;                /* of decl->type; NULL when count is 0 */
    nl_real *grad;            /* parameters only; backward ADDS to it */
    int64_t at;               /* parameters: offset in the parameter slab */
    struct nl_lookup *lookup; /* parameters that are NL_BY_ROW; else NULL */
} nl_item;

typedef struct nl_store nl_store;

nl_status nl_store_open(nl_store **out) NL_CHECKED;
void nl_store_close(nl_store *s); /* NULL is fine */

/* Records a variable; *index finds it again. Not allowed after commit. owner, *decl and *set are
 * copied (the strings decl points at are not: tables are static); set NULL means no settings.
 * set->init has to be a number or "" by now. */
nl_status nl_store_add(nl_store *s, const char *owner, const nl_variable *decl,
                       const nl_setting *set, int64_t rows, int64_t cols, int64_t steps,
                       int *index) NL_CHECKED;

/* Scratch added from here on lies over the scratch added before: for owners whose calls never
 * overlap in time, as layers of a sequence. */
void nl_store_overlay_scratch(nl_store *s);

/* Takes the slabs and writes every variable's initial constant (decl->init, or set.init). */
nl_status nl_store_commit(nl_store *s) NL_CHECKED;

int nl_store_count(const nl_store *s);
nl_item *nl_store_at(nl_store *s, int index);
nl_item *nl_store_find(nl_store *s, const char *owner, const char *name); /* NULL if absent */
/* Whether the layer owns it, or (norms) one of the layer's norms does. */
bool nl_item_is_of(const nl_item *it, const char *layer, bool norms);

/* The parameter slab and its gradients, the same offsets in both: `count` reals, padded between
 * variables with zeros that stay zeros. count may be NULL. */
nl_real *nl_store_params(nl_store *s, int64_t *count);
nl_real *nl_store_grads(nl_store *s, int64_t *count);
void nl_store_zero_grads(nl_store *s);
size_t nl_type_bytes(nl_vartype type);

/* Writes the initial value that the user gave (set.init) once more; nothing without one. */
void nl_item_given_init(nl_item *it);

/* Writes the defaults into settings[], which runs parallel to variables[]. */
nl_status nl_settings_preset(const nl_variable *variables, nl_setting *settings,
                             const char *owner) NL_CHECKED;

/* Sets NAME.KEY=VALUE (key is "NAME.KEY") on the row called NAME of settings[]. Parameters take
 * every key, state only init. */
nl_status nl_setting_set(const nl_variable *variables, nl_setting *settings, const char *owner,
                         const char *key, const char *value) NL_CHECKED;

/* ":name.key=value" for each setting that differs from its default. */
void nl_settings_print(const nl_variable *variables, const nl_setting *settings, nl_text *out);

#endif
