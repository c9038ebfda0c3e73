#include "core/optim_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "par/par.h"

/* ---- the optimizers */

#define NL_OPTIMIZERS(X) X(sgd) X(momentum) X(nesterov) X(rmsprop) X(adam) X(adamw)
#define NL_EXTERN(name) extern const nl_optim_ops nl_optim_##name;
#define NL_ADDRESS(name) &nl_optim_##name,
NL_OPTIMIZERS(NL_EXTERN)
static const nl_optim_ops *const optimizers[] = {NL_OPTIMIZERS(NL_ADDRESS) NULL};

const nl_optim_ops *nl_optim_at(int i)
{
    const int count = (int)(sizeof optimizers / sizeof *optimizers);
    return i >= 0 && i < count ? optimizers[i] : NULL;
}

nl_status nl_optim_find_or_say(const char *name, const nl_optim_ops **out)
{
    nl_nearest near = {.wanted = name};
    for (int i = 0; (*out = optimizers[i]); i++)
        if (nl_nearest_offer(&near, (*out)->name))
            return NL_OK;
    return nl_fail(NL_ENAME, "no optimizer '%s'%s", name, nl_nearest_hint(&near));
}

/* ---- options: the host's and the optimizer's in one table over one block of memory */

typedef struct nl_optim_shared {
    double lr, gamma, min_lr, decay, clip, clip_value;
    int64_t warmup;
    nl_choice schedule, decay_mode;
    nl_list milestones;
} shared;

enum { CONSTANT, STEP, COSINE, LINEAR };
enum { COUPLED, DECOUPLED };
static const char *const schedules[] = {"constant", "step", "cosine", "linear", NULL};
static const char *const decay_modes[] = {"l2", "decoupled", NULL};

static const nl_option shared_options[] = {
    NL_OPT(shared, lr, "0.01", 0, 1e6, "learning rate"),
    NL_OPT_NAMES(shared, schedule, "constant", schedules, "how lr changes with the steps"),
    NL_OPT(shared, milestones, "0", 0, 1e15,
           "schedule=step: multiplies lr by gamma after each of these steps (0: none)"),
    NL_OPT(shared, gamma, "0.1", 0, 1e6, "schedule=step: the factor"),
    NL_OPT(shared, warmup, "0", 0, 1e15, "steps in which lr first grows linearly"),
    NL_OPT(shared, min_lr, "0", 0, 1e6, "lr never falls below; where cosine and linear end"),
    NL_OPT(shared, decay, "0", 0, 1e6, "weight decay, of weights alone (not gains and biases)"),
    NL_OPT_NAMES(shared, decay_mode, "l2", decay_modes,
                 "l2 adds decay p to the gradient, decoupled takes lr decay p off p"),
    NL_OPT(shared, clip, "0", 0, 1e30, "largest norm of the whole gradient (0: no limit)"),
    NL_OPT(shared, clip_value, "0", 0, 1e30, "largest magnitude of any gradient (0: no limit)"),
    NL_OPT_END};
enum { SHARED_OPTIONS = sizeof shared_options / sizeof *shared_options - 1 };

/* Where the optimizer's own options start in the block. */
enum { OWN_AT = (sizeof(shared) + NL_ALIGN - 1) / NL_ALIGN * NL_ALIGN };

typedef struct joined {
    nl_option row[SHARED_OPTIONS + NL_OPTIM_OPTIONS_MAX + 1];
} joined;

static nl_status join_tables(const nl_optim_ops *ops, joined *t)
{
    int n = SHARED_OPTIONS;
    *t = (joined){0};
    memcpy(t->row, shared_options, sizeof shared_options);
    for (const nl_option *o = ops->options; o && o->key; o++) {
        if (n == SHARED_OPTIONS + NL_OPTIM_OPTIONS_MAX)
            return nl_fail(NL_EABI, "%s has more than %d options", ops->name, NL_OPTIM_OPTIONS_MAX);
        t->row[n] = *o;
        t->row[n++].at += OWN_AT;
    }
    for (int k = 0; k < NL_OPTIM_PRESETS_MAX && ops->presets[k].key; k++) {
        bool known = false;
        for (int i = 0; i < n; i++)
            if (strcmp(t->row[i].key, ops->presets[k].key) == 0) {
                t->row[i].preset = ops->presets[k].preset;
                known = true;
            }
        if (!known)
            return nl_fail(NL_EOPTION, "%s presets '%s', which is no option of it", ops->name,
                           ops->presets[k].key);
    }
    return NL_OK;
}

nl_status nl_optim_describe(const nl_optim_ops *ops, nl_text *out)
{
    joined t;
    NL_TRY(join_tables(ops, &t));
    nl_options_describe(t.row, out);
    return nl_text_status(out);
}

/* What contradicts itself whatever the parameters are. */
static nl_status check_shared(const char *name, const shared *s)
{
    double largest = 0;
    for (int k = 0; k < s->milestones.count; k++)
        largest = fmax(largest, s->milestones.at[k]);
    if (s->schedule.is == STEP && largest == 0)
        return nl_fail(NL_EOPTION, "%s: schedule=step wants milestones=STEP/STEP/...", name);
    if (s->clip > 0 && s->clip_value > 0)
        return nl_fail(NL_EOPTION, "%s: clip and clip_value exclude each other", name);
    return NL_OK;
}

/* Parses spec. *memory, owned by the caller, is `shared` and from OWN_AT on the optimizer's self.
 */
static nl_status read_spec(const char *spec, const nl_optim_ops **ops, joined *t, char **memory)
{
    nl_status st = NL_OK;
    char name[NL_STRING_MAX];
    const char *rest;
    *memory = NULL;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_optim_find_or_say(name, ops));
    NL_TRY(join_tables(*ops, t));
    char *block = nl_alloc(1, OWN_AT + (*ops)->self_size);
    if (!block)
        return nl_fail(NL_ENOMEM, "options of %s", name);
    NL_GO(nl_options_preset(t->row, block, name));
    NL_GO(nl_options_parse(t->row, block, name, rest));
    NL_GO(check_shared(name, (const shared *)(void *)block));
    if ((*ops)->check)
        NL_GO((*ops)->check(block + OWN_AT));
    *memory = block;
    return NL_OK;
done:
    nl_free(block);
    return st;
}

nl_status nl_optim_canonical(const char *spec, nl_text *out)
{
    const nl_optim_ops *ops;
    joined t;
    char *memory;
    NL_TRY(read_spec(spec, &ops, &t, &memory));
    nl_text_add(out, "%s", ops->name);
    nl_options_print(t.row, memory, out);
    nl_free(memory);
    return nl_text_status(out);
}

/* ---- runs and blocks */

enum { BLOCK = 4096 }; /* reals, a microsecond or two: threads end together */

static double decoupled_decay(const nl_optim_run *r, const shared *s)
{
    return r->decays && s->decay_mode.is == DECOUPLED ? s->decay : 0;
}

/* Weight decay coupled to the gradient is l2 towards 0: both together are l2 towards between. */
static nl_optim_run run_of(const nl_item *it, const shared *s)
{
    nl_optim_run r = {.from = it->at,
                      .count = it->count,
                      .lr = it->set.lr,
                      .l2 = it->set.l2,
                      .l2_to = it->set.l2_to,
                      .constraint = it->set.constraint.is,
                      .decays = it->decl->flags & NL_DECAYS,
                      .frozen = it->set.freeze};
    if (r.decays && s->decay_mode.is == COUPLED && s->decay > 0) {
        r.l2_to *= r.l2 / (r.l2 + s->decay);
        r.l2 += s->decay;
    }
    r.pulled = r.l2 > 0 || r.constraint != NL_FREE || decoupled_decay(&r, s) > 0;
    return r;
}

/* A pull towards anything but 0 would move the padding: such a run stays by itself. */
static bool alike(const nl_optim_run *a, const nl_optim_run *b)
{
    return a->lr == b->lr && a->l2 == b->l2 && a->l2 * a->l2_to == 0 && b->l2 * b->l2_to == 0 &&
           a->constraint == b->constraint && a->decays == b->decays && a->frozen == b->frozen;
}

/* Parameters come in the slab's order, as they were added. */
static nl_status find_runs(nl_optim *o, nl_store *store)
{
    bool joins = false; /* the latest run may take its neighbour in */
    for (int i = 0; i < nl_store_count(store); i++) {
        nl_item *it = nl_store_at(store, i);
        if (it->decl->role != NL_PARAM || it->count == 0)
            continue;
        const nl_optim_run r = run_of(it, o->shared);
        if (joins && !it->lookup && alike(&o->runs[o->nruns - 1], &r)) {
            nl_optim_run *latest = &o->runs[o->nruns - 1];
            latest->count = r.from + r.count - latest->from;
            continue;
        }
        o->runs[o->nruns++] = r;
        if (it->lookup && !r.frozen)
            NL_TRY(nl_optim_rows_open(o, &o->runs[o->nruns - 1], it));
        joins = !it->lookup;
    }
    return NL_OK;
}

/* By the size of the run alone. */
static void cut(nl_optim *o, const nl_optim_run *r)
{
    for (int64_t from = 0; !r->frozen && from < r->count; from += BLOCK) {
        const int64_t left = r->count - from;
        nl_optim_block *b = &o->blocks[o->nblocks++];
        *b = (nl_optim_block){r, r->from + from, left < BLOCK ? left : BLOCK};
        if (r->rows)
            continue;
        o->whole[o->nwhole++] = b;
        o->work += b->count * (int64_t)sizeof(nl_real);
    }
}

static nl_status make_blocks(nl_optim *o, nl_store *store)
{
    const size_t items = (size_t)nl_store_count(store), most = items + (size_t)(o->count / BLOCK);
    o->runs = nl_alloc(items, sizeof *o->runs);
    o->blocks = nl_alloc(most, sizeof *o->blocks);
    o->whole = nl_alloc(most, sizeof *o->whole);
    o->part = nl_alloc(most, sizeof *o->part);
    if (!o->runs || !o->blocks || !o->whole || !o->part)
        return nl_fail(NL_ENOMEM, "%s: blocks of %lld parameters", o->ops->name,
                       (long long)o->count);
    NL_TRY(find_runs(o, store));
    for (int64_t k = 0; k < o->nruns; k++)
        cut(o, &o->runs[k]);
    return NL_OK;
}

static bool uses_slot(const nl_optim *o, int k)
{
    return o->ops->slots[k] && (!o->ops->uses_slot || o->ops->uses_slot(o->self, k));
}

static nl_status make_slots(nl_optim *o)
{
    for (int k = 0; k < NL_OPTIM_SLOTS_MAX; k++) {
        if (!uses_slot(o, k))
            continue;
        o->slot[k] = nl_alloc((size_t)o->count, sizeof(nl_real));
        if (!o->slot[k])
            return nl_fail(NL_ENOMEM, "%s: %s of %lld parameters", o->ops->name, o->ops->slots[k],
                           (long long)o->count);
    }
    return NL_OK;
}

/* ---- the learning rate */

static nl_status check_total(const nl_optim *o)
{
    const shared *s = o->shared;
    if ((s->schedule.is == COSINE || s->schedule.is == LINEAR) && o->total <= s->warmup)
        return nl_fail(NL_EOPTION, "%s: schedule=%s wants more steps than warmup=%lld, got %lld",
                       o->ops->name, schedules[s->schedule.is], (long long)s->warmup,
                       (long long)o->total);
    return NL_OK;
}

/* Part of the way from the end of the warm-up to the last step: 0 at first, 1 when all are done. */
static double progress(const nl_optim *o, int64_t done)
{
    const double start = (double)o->shared->warmup;
    const double part = ((double)done - start) / ((double)o->total - start);
    return part < 0 ? 0 : part > 1 ? 1 : part;
}

static double after_milestones(const shared *s, int64_t done)
{
    double lr = s->lr;
    for (int k = 0; k < s->milestones.count; k++)
        if (s->milestones.at[k] > 0 && (double)done >= s->milestones.at[k])
            lr *= s->gamma;
    return lr;
}

/* lr after `done` updates: of update done + 1. */
static double lr_after(const nl_optim *o, int64_t done)
{
    const shared *s = o->shared;
    const double pi = 3.14159265358979323846, floor_lr = fmin(s->min_lr, s->lr);
    double lr = s->lr;
    switch (s->schedule.is) {
    case STEP: lr = after_milestones(s, done); break;
    case COSINE: lr = floor_lr + (lr - floor_lr) * (1 + cos(pi * progress(o, done))) / 2; break;
    case LINEAR: lr = floor_lr + (lr - floor_lr) * (1 - progress(o, done)); break;
    default: break;
    }
    lr = fmax(lr, floor_lr);
    return done < s->warmup ? lr * (double)(done + 1) / (double)s->warmup : lr;
}

/* ---- opening */

nl_status nl_optim_open(nl_optim **out, const char *spec, nl_store *store, int64_t total_steps)
{
    nl_status st = NL_OK;
    joined t;
    *out = NULL;
    nl_optim *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "optimizer %s", spec);
    NL_GO(read_spec(spec, &o->ops, &t, &o->memory));
    o->shared = (const shared *)(void *)o->memory;
    o->self = o->memory + OWN_AT;
    o->total = total_steps;
    NL_GO(check_total(o));
    o->p = nl_store_params(store, &o->count);
    o->g = nl_store_grads(store, NULL);
    if (!o->p)
        NL_BAIL(NL_ESTATE, "%s: the store of variables is not committed", o->ops->name);
    nl_optim_set_steps(o, 0);
    NL_GO(make_slots(o));
    NL_GO(make_blocks(o, store));
    *out = o;
    return NL_OK;
done:
    nl_optim_close(o);
    return st;
}

void nl_optim_close(nl_optim *o)
{
    if (!o)
        return;
    for (int64_t k = 0; k < o->nruns; k++)
        nl_optim_rows_close(o->runs[k].rows);
    for (int k = 0; k < NL_OPTIM_SLOTS_MAX; k++)
        nl_free(o->slot[k]);
    nl_free(o->part);
    nl_free(o->whole);
    nl_free(o->blocks);
    nl_free(o->runs);
    nl_free(o->memory);
    nl_free(o);
}

/* ---- a step */

static void square_block(int64_t b, void *arg)
{
    nl_optim *o = arg;
    const nl_optim_block *at = &o->blocks[b];
    double lane[NL_SQUARE_LANES] = {0};
    if (at->run->rows)
        nl_optim_rows_squares(at->run->rows, at->from, at->count, lane);
    else
        nl_update_kernel()->squares(o->g + at->from, at->count, 0, lane);
    o->part[b] = 0;
    for (int k = 0; k < NL_SQUARE_LANES; k++)
        o->part[b] += lane[k];
}

static double gradient_norm(nl_optim *o)
{
    if (o->nblocks == 0)
        return 0;
    nl_for(o->nblocks, o->work, square_block, o);
    nl_fold(o->part, o->nblocks, 1);
    return sqrt(o->part[0]);
}

/* As PyTorch's clip_grad_norm_; a norm that is NaN makes every parameter NaN, as it does there. */
static double scale_of(const shared *s, double norm)
{
    const double eps = 1e-6, scale = s->clip / (norm + eps);
    return s->clip > 0 && !(scale > 1) ? scale : 1;
}

static void constrain(const nl_optim_call *c, int constraint)
{
    if (constraint == NL_NONNEG)
        nl_update_kernel()->clamp(c->u.p, c->u.count, 0, (nl_real)INFINITY);
    else if (constraint == NL_UNIT)
        nl_update_kernel()->clamp(c->u.p, c->u.count, 0, 1);
}

void nl_optim_update(const nl_optim *o, const nl_optim_run *r, const nl_optim_call *pace,
                     int64_t from, int64_t count, const nl_real *g)
{
    nl_optim_call c = *pace;
    c.u.p = o->p + from;
    c.u.g = g;
    c.u.count = count;
    for (int k = 0; k < NL_OPTIM_SLOTS_MAX; k++)
        c.slot[k] = o->slot[k] ? o->slot[k] + from : NULL;
    o->ops->step(o->self, &c);
    constrain(&c, r->constraint);
}

static void set_pace(const nl_optim *o, nl_optim_run *r)
{
    const shared *s = o->shared;
    const double lr = o->lr * r->lr;
    r->pace =
        (nl_optim_call){.u = {.scale = (nl_real)o->scale,
                              .limit = (nl_real)(s->clip_value > 0 ? s->clip_value : INFINITY),
                              .l2 = (nl_real)r->l2,
                              .l2_to = (nl_real)r->l2_to,
                              .keep = (nl_real)(1 - lr * decoupled_decay(r, s))},
                        .step = o->steps,
                        .lr = lr};
    if (o->ops->pace)
        o->ops->pace(o->self, &r->pace);
}

static void update_block(int64_t b, void *arg)
{
    const nl_optim *o = arg;
    const nl_optim_block *at = o->whole[b];
    nl_optim_update(o, at->run, &at->run->pace, at->from, at->count, o->g + at->from);
}

void nl_optim_step(nl_optim *o, bool want_norm)
{
    const bool clips = o->shared->clip > 0;
    o->lr = lr_after(o, o->steps);
    o->steps++;
    o->norm = want_norm || clips ? gradient_norm(o) : NAN;
    o->scale = clips ? scale_of(o->shared, o->norm) : 1;
    for (int64_t k = 0; k < o->nruns; k++)
        set_pace(o, &o->runs[k]);
    const int64_t arrays = 3 + 2 * nl_optim_slots(o); /* read p, g, slots; write p, slots */
    nl_for(o->nwhole, arrays * o->work, update_block, o);
    for (int64_t k = 0; k < o->nruns; k++)
        if (o->runs[k].rows)
            nl_optim_rows_step(o->runs[k].rows);
}

/* ---- looking */

int64_t nl_optim_steps(const nl_optim *o) { return o->steps; }
double nl_optim_lr(const nl_optim *o) { return o->lr; }
double nl_optim_next_lr(const nl_optim *o) { return lr_after(o, o->steps); }
double nl_optim_grad_norm(const nl_optim *o) { return o->norm; }

void nl_optim_set_steps(nl_optim *o, int64_t steps)
{
    o->steps = steps;
    o->lr = lr_after(o, steps > 0 ? steps - 1 : 0);
    o->norm = NAN;
    for (int64_t k = 0; k < o->nruns; k++)
        if (o->runs[k].rows)
            nl_optim_rows_resume(o->runs[k].rows);
}

int nl_optim_slots(const nl_optim *o)
{
    int n = 0;
    for (int k = 0; k < NL_OPTIM_SLOTS_MAX; k++)
        n += o->slot[k] != NULL;
    return n;
}

const char *nl_optim_slot(nl_optim *o, int k, nl_real **slab, int64_t *count)
{
    int i = 0;
    while (!o->slot[i] || k-- > 0)
        i++;
    for (int64_t r = 0; r < o->nruns; r++)
        if (o->runs[r].rows)
            nl_optim_rows_read(o->runs[r].rows);
    *slab = o->slot[i];
    *count = o->count;
    return o->ops->slots[i];
}
