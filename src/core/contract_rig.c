/* contract_rig.c: data, calls and copies of results for the contract's checks. */
#include "core/contract_rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* ---- findings */

void nl_contract_at(nl_contract *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->where, sizeof c->where, fmt, args);
    va_end(args);
}

void nl_contract_expect(nl_contract *c, bool ok, const char *fmt, ...)
{
    char what[320];
    va_list args;
    c->cases++;
    if (ok)
        return;
    if (c->failures++)
        return;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    snprintf(c->detail, sizeof c->detail, "%s (%s, seed %d)", what, c->where, NL_RIG_SEED);
}

void nl_contract_near(nl_contract *c, const char *what, double seen, double expected, double bound)
{
    const bool same = seen == expected || (isnan(seen) && isnan(expected));
    nl_contract_expect(c, same || fabs(seen - expected) <= bound,
                       "%s: expected %.9g, seen %.9g, bound %.3g", what, expected, seen, bound);
}

/* ---- the rig */

enum { DRAWN = 1021 }; /* a prime: columns do not repeat each other */
static double drawn[DRAWN];

double nl_rig_normal(uint64_t seed, uint64_t stream, int64_t i)
{
    const nl_key key = {NL_RIG_SEED, NL_STREAM_TEST, 1};
    for (int k = 0; k < DRAWN && drawn[0] == 0; k++)
        drawn[DRAWN - 1 - k] = nl_random_normal(key, (uint64_t)k);
    return drawn[((uint64_t)i + 131 * seed + 337 * stream) % DRAWN];
}

void nl_rig_fill(nl_rig *r, double mean, double std, uint64_t seed)
{
    for (int64_t row = 0; row < r->g.n * r->g.s; row++)
        for (int64_t j = 0; j < r->g.c; j++) {
            const int64_t at = row * r->ld + j, i = row * r->g.c + j;
            r->x[at] = (nl_real)(mean + std * nl_rig_normal(seed, 0, i));
            r->dy[at] = (nl_real)nl_rig_normal(seed, 1, i);
            r->residual[at] = (nl_real)nl_rig_normal(seed, 2, i);
        }
}

static void move_parameters(nl_rig *r, uint64_t seed)
{
    for (int i = 0; i < nl_store_count(r->store); i++) {
        const nl_item *it = nl_store_at(r->store, i);
        if (it->decl->role != NL_PARAM)
            continue;
        const nl_key key = {seed, NL_STREAM_TEST, 100 + (uint64_t)i};
        for (int64_t k = 0; k < it->count; k++)
            ((nl_real *)it->val)[k] += (nl_real)(0.3 * nl_random_uniform(key, (uint64_t)k) + 0.05);
    }
}

nl_status nl_rig_open(nl_rig *r, const char *spec, nl_geom g, int64_t pad, uint64_t seed)
{
    nl_status st = NL_OK;
    g.batch = g.batch ? g.batch : g.n;
    *r = (nl_rig){.g = g, .ld = g.c + pad};
    nl_real **const name[NL_RIG_TENSORS] = {&r->x,  &r->y,        &r->dy,
                                            &r->dx, &r->residual, &r->d_residual};
    NL_GO(nl_store_open(&r->store));
    NL_GO(nl_norm_open(&r->m, spec, &g, r->store, NL_RIG_OWNER));
    NL_GO(nl_store_commit(r->store));
    for (int k = 0; k < NL_RIG_TENSORS; k++) {
        r->tensor[k] = nl_alloc((size_t)(g.n * g.s * r->ld), sizeof(nl_real));
        if (!r->tensor[k])
            NL_BAIL(NL_ENOMEM, "contract: tensors of %lld values", (long long)(g.n * g.s * r->ld));
        *name[k] = r->tensor[k];
    }
    r->live = nl_alloc((size_t)(g.n * g.s), 1);
    if (!r->live)
        NL_BAIL(NL_ENOMEM, "contract: flags of %lld rows", (long long)(g.n * g.s));
    r->a = (nl_args){.x = r->x,
                     .y = r->y,
                     .dy = r->dy,
                     .dx = r->dx,
                     .ldx = r->ld,
                     .ldy = r->ld,
                     .step = NL_LATE_STEP,
                     .key = {seed, NL_STREAM_TEST, 3}};
    nl_rig_call(r, g.n, NL_ALL);
    nl_rig_fill(r, 0.3, 1, seed);
    nl_norm_start(r->m, &r->a);
    move_parameters(r, seed);
    return NL_OK;
done:
    nl_rig_close(r);
    return st;
}

void nl_rig_close(nl_rig *r)
{
    nl_norm_close(r->m);
    nl_store_close(r->store);
    for (int k = 0; k < NL_RIG_TENSORS; k++)
        nl_free(r->tensor[k]);
    nl_free(r->live);
    *r = (nl_rig){0};
}

static bool masked(nl_mask mask, int64_t row, int64_t example)
{
    switch (mask) {
    case NL_ALL: return false;
    case NL_RAGGED: return row % 4 == 1 || row % 7 == 3;
    case NL_EXAMPLES: return example % 3 == 1;
    case NL_ONE: return row != 0;
    case NL_TWO: return row > 1;
    case NL_NOBODY: return true;
    }
    return false;
}

static void spoil_padding(nl_rig *r)
{
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; !r->live[row] && j < r->g.c; j++) {
            const nl_real bad = (nl_real)(row % 2 ? 1e30 : (double)NAN);
            const int64_t at = row * r->ld + j;
            r->x[at] = r->dy[at] = r->residual[at] = bad;
        }
}

void nl_rig_call(nl_rig *r, int64_t n, nl_mask mask)
{
    r->n = r->a.n = n;
    r->rows = n * r->g.s;
    for (int64_t row = 0; row < r->rows; row++)
        r->live[row] = !masked(mask, row, row / r->g.s);
    r->a.live = mask == NL_ALL ? NULL : r->live;
    if (mask != NL_ALL)
        spoil_padding(r);
}

void nl_rig_act(nl_rig *r, nl_act act, bool residual)
{
    r->a.act = act;
    r->a.residual = residual ? r->residual : NULL;
    r->a.d_residual = residual ? r->d_residual : NULL;
}

bool nl_rig_is_live(const nl_rig *r, int64_t row) { return !r->a.live || r->live[row]; }

static void forget(nl_rig *r, nl_real *t)
{
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t j = 0; j < r->g.c; j++)
            t[row * r->ld + j] = (nl_real)NAN;
}

void nl_rig_forward(nl_rig *r)
{
    forget(r, r->y);
    nl_norm_forward(r->m, &r->a);
}

void nl_rig_backward(nl_rig *r)
{
    nl_store_zero_grads(r->store);
    if (r->a.dx != r->a.dy)
        forget(r, r->dx);
    forget(r, r->d_residual);
    nl_norm_backward(r->m, &r->a);
}

void nl_rig_train(nl_rig *r, int steps)
{
    const nl_args keep = r->a;
    r->a.phase = NL_TRAIN;
    r->a.update = true;
    r->a.policy = NULL;
    r->a.live = NULL;
    nl_rig_act(r, NL_LINEAR, false);
    for (int k = 0; k < steps; k++) {
        nl_rig_fill(r, 0.3 + 0.2 * k, 1 + 0.3 * k, 50 + (uint64_t)k);
        nl_rig_forward(r);
    }
    r->a = keep;
}

nl_item *nl_rig_item(nl_rig *r, int variable)
{
    const nl_norm_ops *ops = nl_norm_ops_of(r->m);
    return nl_store_find(r->store, NL_RIG_OWNER, ops->variables[variable].name);
}

bool nl_rig_role_finite(nl_rig *r, nl_role role)
{
    for (int i = 0; i < nl_store_count(r->store); i++) {
        const nl_item *it = nl_store_at(r->store, i);
        if (it->decl->role != role || it->decl->type == NL_TYPE_INT64)
            continue;
        for (int64_t k = 0; k < it->count; k++)
            if (!isfinite(it->decl->type == NL_TYPE_REAL ? (double)((nl_real *)it->val)[k]
                                                         : ((double *)it->val)[k]))
                return false;
    }
    return true;
}

/* ---- copies of results */

static void pack(const nl_rig *r, const nl_real *t, nl_real *out)
{
    for (int64_t row = 0; row < r->rows; row++)
        memcpy(out + row * r->g.c, t + row * r->ld, (size_t)r->g.c * sizeof *out);
}

static int64_t state_bytes(nl_rig *r, char *into)
{
    int64_t bytes = 0;
    for (int i = 0; i < nl_store_count(r->store); i++) {
        const nl_item *it = nl_store_at(r->store, i);
        const int64_t size = it->count * (int64_t)nl_type_bytes(it->decl->type);
        if (it->decl->role != NL_STATE || size == 0)
            continue;
        if (into)
            memcpy(into + bytes, it->val, (size_t)size);
        bytes += size;
    }
    return bytes;
}

nl_status nl_shot_take(nl_shot *s, nl_rig *r)
{
    int64_t gradients;
    const nl_real *grad = nl_store_grads(r->store, &gradients);
    const int64_t values = r->rows * r->g.c;
    *s = (nl_shot){.reals = 3 * values + gradients, .bytes = state_bytes(r, NULL)};
    s->outputs = nl_alloc((size_t)s->reals, sizeof *s->outputs);
    s->state = nl_alloc((size_t)s->bytes, 1);
    if (!s->outputs || !s->state) {
        nl_shot_free(s);
        return nl_fail(NL_ENOMEM, "contract: a copy of %lld values", (long long)s->reals);
    }
    pack(r, r->y, s->outputs);
    pack(r, r->a.dx, s->outputs + values);
    if (r->a.d_residual)
        pack(r, r->a.d_residual, s->outputs + 2 * values);
    if (gradients)
        memcpy(s->outputs + 3 * values, grad, (size_t)gradients * sizeof *grad);
    state_bytes(r, s->state);
    return NL_OK;
}

void nl_shot_free(nl_shot *s)
{
    nl_free(s->outputs);
    nl_free(s->state);
    *s = (nl_shot){0};
}

bool nl_shot_same_state(const nl_shot *a, const nl_shot *b)
{
    return a->bytes == b->bytes && memcmp(a->state, b->state, (size_t)a->bytes) == 0;
}

bool nl_shot_same(const nl_shot *a, const nl_shot *b)
{
    return a->reals == b->reals && nl_shot_same_state(a, b) &&
           memcmp(a->outputs, b->outputs, (size_t)a->reals * sizeof *a->outputs) == 0;
}

double nl_shot_distance(const nl_shot *a, const nl_shot *b, int64_t *at)
{
    double worst = 0;
    *at = 0;
    if (a->reals != b->reals)
        return INFINITY;
    for (int64_t i = 0; i < a->reals; i++) {
        const double p = (double)a->outputs[i], q = (double)b->outputs[i];
        const double off = p == q || (isnan(p) && isnan(q)) ? 0
                           : isnan(p) || isnan(q)           ? INFINITY
                                                            : fabs(p - q);
        if (off > worst)
            worst = off, *at = i;
    }
    return worst;
}

/* ---- geometries */

static const nl_geom geometries[] = {
    {.n = 6, .s = 1, .c = 8, .steps = 1},  /* dense */
    {.n = 5, .s = 6, .c = 8, .steps = 1},  /* positions */
    {.n = 7, .s = 1, .c = 40, .steps = 1}, /* more channels than a register holds */
    {.n = 1, .s = 1, .c = 8, .steps = 1},  /* one example */
    {.n = 1, .s = 5, .c = 8, .steps = 1},  {.n = 6, .s = 1, .c = 1, .steps = 1}, /* one channel */
    {.n = 3, .s = 4, .c = 1, .steps = 1},
};

nl_status nl_each_geometry(nl_contract *c, nl_status (*body)(nl_contract *c, nl_rig *r))
{
    int taken = 0;
    for (size_t i = 0; i < sizeof geometries / sizeof *geometries; i++) {
        nl_rig r;
        const nl_geom g = geometries[i];
        nl_status st = nl_rig_open(&r, c->spec, g, 0, NL_RIG_SEED);
        if (st == NL_ESHAPE)
            continue;
        NL_TRY(st);
        taken++;
        nl_contract_at(c, "n %lld, s %lld, c %lld", (long long)g.n, (long long)g.s, (long long)g.c);
        st = body(c, &r);
        nl_rig_close(&r);
        NL_TRY(st);
    }
    nl_contract_expect(c, taken > 0, "takes none of the contract's shapes");
    return NL_OK;
}

nl_geom nl_some_geometry(const nl_contract *c, int64_t n, int64_t s, int64_t channels)
{
    enum { POSITIONS = 4 };
    const nl_geom wanted[] = {
        {.n = n, .s = s, .c = channels, .steps = 1},
        {.n = n * s, .s = 1, .c = channels, .steps = 1},
        {.n = n < 100 ? n : n / POSITIONS, .s = POSITIONS, .c = channels, .steps = 1},
    };
    for (int k = 0; k < 3; k++) {
        nl_rig r;
        if (nl_rig_open(&r, c->spec, wanted[k], 0, NL_RIG_SEED) == NL_OK) {
            nl_rig_close(&r);
            return wanted[k];
        }
    }
    return wanted[0]; /* whoever opens it says why it is refused */
}
