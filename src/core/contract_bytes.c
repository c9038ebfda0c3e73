/* contract_bytes.c: the same bytes on any number of threads, with any row stride, fused or not, and
 * whatever memory held before. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/contract_rig.h"
#include "par/par.h"

/* A way to make the same calls. */
typedef struct manner {
    int threads;
    int64_t pad;
    bool in_place; /* dx is dy */
    bool poison;
} manner;

static void poison(nl_rig *r, nl_role role)
{
    for (int i = 0; i < nl_store_count(r->store); i++) {
        const nl_item *it = nl_store_at(r->store, i);
        for (int64_t k = 0; it->decl->role == role && k < it->count; k++)
            switch (it->decl->type) {
            case NL_TYPE_REAL: ((nl_real *)it->val)[k] = (nl_real)NAN; break;
            case NL_TYPE_DOUBLE: ((double *)it->val)[k] = NAN; break;
            case NL_TYPE_INT64: ((int64_t *)it->val)[k] = -1; break;
            }
    }
}

enum { CANARY = 77 };

static void draw_canaries(nl_rig *r)
{
    for (int k = 0; k < NL_RIG_TENSORS; k++)
        for (int64_t row = 0; row < r->g.n * r->g.s; row++)
            for (int64_t j = r->g.c; j < r->ld; j++)
                r->tensor[k][row * r->ld + j] = CANARY;
}

static bool canaries_live(const nl_rig *r)
{
    for (int k = 0; k < NL_RIG_TENSORS; k++)
        for (int64_t row = 0; row < r->g.n * r->g.s; row++)
            for (int64_t j = r->g.c; j < r->ld; j++)
                if (r->tensor[k][row * r->ld + j] != (nl_real)CANARY)
                    return false;
    return true;
}

/* Two training calls that move the state and one call of the phase: what it leaves. */
static nl_status shot_of(nl_shot *s, nl_contract *c, nl_geom g, nl_mask mask, nl_phase phase,
                         manner how)
{
    nl_rig r;
    NL_TRY(nl_rig_open(&r, c->spec, g, how.pad, NL_RIG_SEED));
    if (how.in_place)
        r.a.dx = r.dy;
    draw_canaries(&r);
    nl_norm_epoch_begin(r.m, 0);
    for (int step = 0; step < 3; step++) {
        nl_rig_fill(&r, 0.3 * step, 1, 10 + (uint64_t)step);
        nl_rig_call(&r, g.n, mask);
        nl_rig_act(&r, step ? NL_SIGMOID : NL_LINEAR, step);
        r.a.phase = step < 2 ? NL_TRAIN : phase;
        r.a.update = true;
        if (how.poison)
            poison(&r, NL_SAVED), poison(&r, NL_SCRATCH);
        nl_rig_forward(&r);
        if (how.poison)
            poison(&r, NL_SCRATCH);
        nl_rig_backward(&r);
    }
    nl_contract_expect(c, canaries_live(&r), "values behind the rows were written");
    const nl_status st = nl_shot_take(s, &r);
    nl_rig_close(&r);
    return st;
}

static nl_status compare(nl_contract *c, nl_geom g, nl_mask mask, nl_phase phase,
                         const nl_shot *plain, manner how, const char *what)
{
    nl_shot s;
    int64_t at;
    nl_contract_at(c, "n %lld, s %lld, c %lld, mask %d, phase %d", (long long)g.n, (long long)g.s,
                   (long long)g.c, mask, phase);
    NL_TRY(shot_of(&s, c, g, mask, phase, how));
    const double off = nl_shot_distance(plain, &s, &at);
    nl_contract_expect(c, nl_shot_same(plain, &s),
                       "%s: other bytes; outputs differ by up to %.3g (value %lld), state %s", what,
                       off, (long long)at, nl_shot_same_state(plain, &s) ? "the same" : "differs");
    nl_shot_free(&s);
    return NL_OK;
}

/* ---- threads */

static nl_status threads_at(nl_contract *c, nl_geom g, nl_mask mask)
{
    static const int teams[] = {2, 3, 5};
    nl_shot one;
    char what[48];
    nl_status st = NL_OK;
    nl_threads_set(1);
    NL_TRY(shot_of(&one, c, g, mask, NL_TRAIN, (manner){.threads = 1}));
    bool finite = true; /* or padding came in: it is full of NaN */
    for (int64_t i = 0; i < one.reals; i++)
        finite = finite && isfinite((double)one.outputs[i]);
    nl_contract_expect(c, finite, "y, dx or a gradient is not finite");
    for (int k = 0; k < 3; k++) {
        nl_threads_set(teams[k]);
        (void)nl_par_workers_seen();
        snprintf(what, sizeof what, "1 thread against %d", teams[k]);
        NL_GO(compare(c, g, mask, NL_TRAIN, &one, (manner){.threads = teams[k]}, what));
        const int seen = nl_par_workers_seen();
        nl_contract_expect(c, seen > 1, "only %d worker ran: nothing was shown", seen);
    }
done:
    nl_shot_free(&one);
    return st;
}

nl_status nl_check_threads(nl_contract *c)
{
    nl_status st = NL_OK;
    const int threads = nl_threads();
    nl_par_ignore_work(true);
    NL_GO(threads_at(c, nl_some_geometry(c, 3000, 1, 40), NL_ALL));
    NL_GO(threads_at(c, nl_some_geometry(c, 30, 100, 24), NL_RAGGED));
    NL_GO(threads_at(c, nl_some_geometry(c, 260, 1, 520), NL_RAGGED));
    NL_GO(threads_at(c, nl_some_geometry(c, 1, 3000, 24), NL_ALL));
done:
    nl_par_ignore_work(false);
    nl_threads_set(threads);
    return st;
}

/* ---- strides, memory */

static nl_status each_call(nl_contract *c, nl_geom g, manner how, const char *what)
{
    static const nl_mask masks[] = {NL_ALL, NL_RAGGED, NL_EXAMPLES};
    for (int k = 0; k < 3; k++)
        for (nl_phase phase = NL_TRAIN; phase <= NL_EVAL; phase++) {
            nl_shot plain;
            NL_TRY(shot_of(&plain, c, g, masks[k], phase, (manner){.threads = 1}));
            const nl_status st = compare(c, g, masks[k], phase, &plain, how, what);
            nl_shot_free(&plain);
            NL_TRY(st);
        }
    return NL_OK;
}

static nl_status strides_here(nl_contract *c, nl_rig *r)
{
    NL_TRY(each_call(c, r->g, (manner){.pad = 3}, "rows 3 values apart"));
    NL_TRY(each_call(c, r->g, (manner){.in_place = true}, "dx written over dy"));
    return NL_OK;
}

nl_status nl_check_strides(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, strides_here));
    return NL_OK;
}

static nl_status poison_here(nl_contract *c, nl_rig *r)
{
    NL_TRY(each_call(c, r->g, (manner){.poison = true}, "saved values and scratch full of NaN"));
    return NL_OK;
}

nl_status nl_check_poison(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, poison_here));
    return NL_OK;
}

/* ---- fusion */

/* y = act(norm(x) + residual) in one call, and in three steps. */
static void fused_forward(nl_contract *c, nl_rig *r, nl_act act, bool residual, nl_real *apart)
{
    const int64_t count = r->rows * r->g.c;
    nl_rig_act(r, NL_LINEAR, false);
    nl_rig_forward(r);
    for (int64_t i = 0; i < count; i++)
        apart[i] = residual ? r->y[i] + r->residual[i] : r->y[i];
    nl_act_kernel()->forward(act, apart, apart, count);
    nl_rig_act(r, act, residual);
    nl_rig_forward(r);
    nl_contract_expect(c, memcmp(apart, r->y, (size_t)count * sizeof *apart) == 0,
                       "activation %d, residual %d: fused gives other bytes than apart", act,
                       residual);
}

/* dx and dL/dresidual = g of the forward just made in one call, and with g = dy act'(y) given. */
static void fused_backward(nl_contract *c, nl_rig *r, nl_act act, bool residual, nl_real *g,
                           nl_real *dx)
{
    const int64_t count = r->rows * r->g.c;
    const size_t bytes = (size_t)count * sizeof *g;
    const nl_real *dy = r->a.dy;
    nl_act_kernel()->backward(act, r->y, dy, g, count);
    nl_rig_backward(r);
    memcpy(dx, r->dx, bytes);
    nl_contract_expect(c, !residual || memcmp(g, r->d_residual, bytes) == 0,
                       "activation %d: dL/dresidual has other bytes than dy act'(y)", act);
    nl_rig_act(r, NL_LINEAR, false);
    r->a.dy = g;
    nl_rig_forward(r);
    nl_rig_backward(r);
    r->a.dy = dy;
    nl_contract_expect(c, memcmp(dx, r->dx, bytes) == 0,
                       "activation %d, residual %d: backward fused gives other bytes than apart",
                       act, residual);
}

static nl_status fusion_here(nl_contract *c, nl_rig *r)
{
    const int64_t count = r->rows * r->g.c;
    nl_real *apart = nl_alloc((size_t)(2 * count), sizeof *apart);
    if (!apart)
        return nl_fail(NL_ENOMEM, "contract: %lld values", (long long)(2 * count));
    for (nl_act act = NL_LINEAR; act <= NL_TANH; act++)
        for (int residual = 0; residual < 2; residual++) {
            fused_forward(c, r, act, residual, apart);
            fused_backward(c, r, act, residual, apart, apart + count);
        }
    nl_free(apart);
    return NL_OK;
}

nl_status nl_check_fusion(nl_contract *c)
{
    NL_TRY(nl_each_geometry(c, fusion_here));
    return NL_OK;
}
