#include "core/norm_fold.h"

#include "base/alloc.h"
#include "core/norm_plan.h"

static bool is_stored(nl_source s)
{
    return s == NL_FROM_RUNNING || s == NL_FROM_CUMULATIVE || s == NL_FROM_EPOCH;
}

bool nl_norm_is_channel_affine(const nl_norm *m, const nl_policy *policy)
{
    const nl_policy *p = policy ? policy : &m->own;
    if (m->ops->whole_forward || m->gamma_rows > 1 ||
        (m->ops->sites & NL_AT_WEIGHT && !(m->ops->sites & NL_AT_PREACT)))
        return false;
    for (int k = 0; k < m->nareas; k++) {
        const unsigned over = m->area[k].is.over | (m->g.s == 1 ? NL_OVER_S : 0);
        if (over != (NL_OVER_N | NL_OVER_S) || !is_stored(p->mean[k]) || !is_stored(p->var[k]))
            return false;
    }
    return true;
}

/* y (c) for an example whose values are all v. */
static void probe(nl_norm *m, const nl_policy *policy, nl_real v, nl_real *x, nl_real *y)
{
    for (int64_t i = 0; i < m->g.s * m->g.c; i++)
        x[i] = v;
    const nl_args a = {.n = 1, .phase = NL_EVAL, .policy = policy, .x = x, .y = y};
    nl_norm_forward(m, &a);
}

/* Asks the norm itself, so that nothing is computed twice in two ways: shift = y(0), and scale from
 * two values so far apart that the shift does not round it. */
nl_status nl_norm_channel_affine(nl_norm *m, const nl_policy *policy, double *scale, double *shift)
{
    const nl_real far = 1 << 20;
    const size_t values = (size_t)(m->g.s * m->g.c);
    nl_real *x = nl_alloc(values, sizeof *x), *y = nl_alloc(values, sizeof *y);
    if (x && y) {
        probe(m, policy, 0, x, y);
        for (int64_t c = 0; c < m->g.c; c++)
            shift[c] = (double)y[c];
        probe(m, policy, far, x, y);
        for (int64_t c = 0; c < m->g.c; c++)
            scale[c] = (double)y[c];
        probe(m, policy, -far, x, y);
        for (int64_t c = 0; c < m->g.c; c++)
            scale[c] = (scale[c] - (double)y[c]) / (2 * (double)far);
    }
    const bool whole = x && y;
    nl_free(x);
    nl_free(y);
    return whole ? NL_OK : nl_fail(NL_ENOMEM, "folding %s: %zu values", m->ops->name, values);
}
