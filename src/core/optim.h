/* optim.h: what an optimizer is. One file, src/optim/NAME.c, one object `const nl_optim_ops
 * nl_optim_NAME`, one line in the table of optim.c. The host (optim.c) cuts the parameter slab into
 * runs with equal settings, applies generic settings (lr multiplier, l2 towards a target, freeze,
 * constraint), weight decay, clipping and the learning-rate schedule, and calls `step` on blocks of
 * a run through the one parallel-for. Tables (lookup.h) are updated row by row, as their rows are
 * read, with the same bytes (optim_rows.c). */
#ifndef NL_OPTIM_H
#define NL_OPTIM_H

#include "core/option.h"
#include "core/store.h"
#include "kernel/update.h"

enum {
    NL_OPTIM_ABI = 1,
    NL_OPTIM_SLOTS_MAX = 3,
    NL_OPTIM_COEFS_MAX = 2,
    NL_OPTIM_PRESETS_MAX = 4,
    NL_OPTIM_OPTIONS_MAX = 20
};

/* One contiguous block of parameters. Where gradient and slots are 0 an update has to leave p and
 * the slots as they are, but for what `u` does to p: padding between variables stays 0, and rows of
 * a table that nobody has read cost nothing. */
typedef struct nl_optim_call {
    nl_update u;                       /* parameters, gradients, and what happens to them first */
    nl_real *slot[NL_OPTIM_SLOTS_MAX]; /* as named in slots[], zero at step 1; NULL if not used */
    int64_t step;                      /* 1, 2, 3, ... updates made including this one */
    double lr;                         /* scheduled, multiplied by the parameter's lr setting */
    double coef[NL_OPTIM_COEFS_MAX];   /* what `pace` made of step and lr */
} nl_optim_call;

typedef struct nl_optim_ops {
    uint32_t abi, real_bytes;
    const char *name, *title, *cite;
    size_t self_size;
    const nl_option *options; /* own ones, at most NL_OPTIM_OPTIONS_MAX; the host has the others */
    struct {
        const char *key, *preset; /* another default for an option, own or the host's */
    } presets[NL_OPTIM_PRESETS_MAX];
    const char *slots[NL_OPTIM_SLOTS_MAX];
    nl_status (*check)(const void *self);       /* options that contradict each other; or NULL */
    bool (*uses_slot)(const void *self, int k); /* NULL: all named ones */
    /* Fills c->coef from c->step and c->lr, once a step; NULL: nothing to fill in. */
    void (*pace)(const void *self, nl_optim_call *c);
    void (*step)(const void *self, const nl_optim_call *c);
} nl_optim_ops;

typedef struct nl_optim nl_optim;

/* spec is "adam:lr=1e-3:beta1=0.9". The store must be committed and outlive the optimizer.
 * total_steps feeds the cosine and linear schedules (0: unknown). Sets *out NULL on failure. */
nl_status nl_optim_open(nl_optim **out, const char *spec, nl_store *store,
                        int64_t total_steps) NL_CHECKED;
void nl_optim_close(nl_optim *o); /* NULL is fine */

/* One update of every parameter that is not frozen from its gradient; then constraints. Rows of a
 * table without gradient may wait until they are read, at the latest until nl_optim_close.
 * want_norm asks for nl_optim_grad_norm, which costs a pass over the gradients unless clip is on;
 * it never changes the update. Same bytes for any number of threads. Allocates nothing. */
void nl_optim_step(nl_optim *o, bool want_norm);

int64_t nl_optim_steps(const nl_optim *o);
double nl_optim_lr(const nl_optim *o);      /* of the latest step; of the first before it */
double nl_optim_next_lr(const nl_optim *o); /* of the step to come */
/* Of the latest step, before clipping; NaN where nobody asked for it. */
double nl_optim_grad_norm(const nl_optim *o);

/* Slots for the checkpoint: slab k of `count` reals laid out as the parameter slab, its name. Rows
 * that lag behind are brought up to date first. */
int nl_optim_slots(const nl_optim *o);
const char *nl_optim_slot(nl_optim *o, int k, nl_real **slab, int64_t *count);
void nl_optim_set_steps(nl_optim *o, int64_t steps); /* when resuming, the slots filled in */

/* The spec with defaults expanded. */
nl_status nl_optim_canonical(const char *spec, nl_text *out) NL_CHECKED;

/* The options with their defaults, for people. */
nl_status nl_optim_describe(const nl_optim_ops *ops, nl_text *out) NL_CHECKED;

/* NL_ENAME with the nearest name, *out NULL, where there is none. */
nl_status nl_optim_find_or_say(const char *name, const nl_optim_ops **out) NL_CHECKED;
const nl_optim_ops *nl_optim_at(int i); /* NULL past the end */

#define NL_OPTIM_HEADER .abi = NL_OPTIM_ABI, .real_bytes = sizeof(nl_real)

#endif
