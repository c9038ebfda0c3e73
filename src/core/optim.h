/* optim.h: what an optimizer is. One file, src/optim/NAME.c, one object `const nl_optim_ops
 * nl_optim_NAME`. The host (optim.c) cuts the parameter slab into runs with equal settings, applies
 * generic settings (lr multiplier, l2 towards a target, freeze, constraint), clipping and the
 * learning-rate schedule, and calls `step` on blocks of a run through the one parallel-for. */
#ifndef NL_OPTIM_H
#define NL_OPTIM_H

#include "core/option.h"
#include "core/store.h"

enum { NL_OPTIM_ABI = 1, NL_OPTIM_SLOTS_MAX = 3 };

/* One contiguous block of parameters. All pointers are NL_ALIGN-aligned at the block's start. */
typedef struct nl_optim_call {
    nl_real *p;
    const nl_real *g;
    nl_real *slot[NL_OPTIM_SLOTS_MAX]; /* as named in slots[], zero at step 1 */
    int64_t count;
    int64_t step;    /* 1, 2, 3, ... updates made including this one */
    double lr;       /* scheduled, multiplied by the parameter's lr setting */
    double decay;    /* weight decay of this run: 0 where it does not apply */
    double scale;    /* multiply g by this first (gradient clipping) */
    double l2, l2_to; /* add l2 (p - l2_to) to the scaled g */
} nl_optim_call;

typedef struct nl_optim_ops {
    uint32_t abi, real_bytes;
    const char *name, *title, *cite;
    size_t self_size;
    const nl_option *options; /* own ones; lr, schedule, decay, clip are the host's */
    const char *slots[NL_OPTIM_SLOTS_MAX];
    bool (*uses_slot)(const void *self, int k); /* NULL: all named ones */
    void (*step)(const void *self, const nl_optim_call *c);
} nl_optim_ops;

typedef struct nl_optim nl_optim;

/* spec is "adam:lr=1e-3:beta1=0.9". The store must be committed. total_steps feeds the cosine
 * schedule (0: unknown). */
nl_status nl_optim_open(nl_optim **out, const char *spec, nl_store *store,
                        int64_t total_steps) NL_CHECKED;
void nl_optim_close(nl_optim *o);

/* One update of every parameter from its gradient; then constraints. Same bytes for any number of
 * threads. Allocates nothing. */
void nl_optim_step(nl_optim *o);

int64_t nl_optim_steps(const nl_optim *o);
double nl_optim_lr(const nl_optim *o);        /* of the latest step */
double nl_optim_grad_norm(const nl_optim *o); /* before clipping; of the latest step, NaN if unused */

/* Slots for the checkpoint: slab k of `count` reals laid out as the parameter slab, its name. */
int nl_optim_slots(const nl_optim *o);
const char *nl_optim_slot(nl_optim *o, int k, nl_real **slab, int64_t *count);
void nl_optim_set_steps(nl_optim *o, int64_t steps); /* when resuming */

nl_status nl_optim_canonical(const char *spec, nl_text *out) NL_CHECKED;
const nl_optim_ops *nl_optim_find(const char *name);
const nl_optim_ops *nl_optim_at(int i);

#define NL_OPTIM_HEADER .abi = NL_OPTIM_ABI, .real_bytes = sizeof(nl_real)

#endif
