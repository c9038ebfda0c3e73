/* The largest eigenvalue of the Hessian of L at w0, by power iteration (as in Yao et al. 2020,
 * PyHessian, section 3.2) on products that differences of gradients give:
 *     H v = (g(w0 + h v) - g(w0 - h v)) / (2 h) + O(h^2),   ||v|| = 1,   h = radius (1 + ||w0||)
 *     v <- H v / ||H v||,   eigenvalue = <v, H v>
 * until the eigenvalue moves by less than `tolerance` of itself. Power iteration finds the
 * eigenvalue of largest magnitude; where that is negative, a second one on H - eigenvalue I finds
 * the largest. v starts as normal random numbers of the step. Two gradients an iteration. */
#include <math.h>

#include "base/alloc.h"
#include "train/probe.h"

struct hessian {
    nl_probe_common common;
    double radius, tolerance;
    int64_t iterations;
    nl_real *v, *hv;
    int eigenvalue, used;
};

static const nl_option options[] = {
    NL_PROBE_EVERY(struct hessian),
    NL_OPT(struct hessian, iterations, "20", 1, 10000, "the most power iterations"),
    NL_OPT(struct hessian, tolerance, "1e-3", 0, 1, "relative change that ends them"),
    NL_OPT(struct hessian, radius, "1e-3", 1e-12, 1, "of the difference, beside 1 + ||w||"),
    NL_OPT_END};

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct hessian *o = self;
    o->v = nl_alloc((size_t)s->count, sizeof *o->v);
    o->hv = nl_alloc((size_t)s->count, sizeof *o->hv);
    if (!o->v || !o->hv)
        return nl_fail(NL_ENOMEM, "hessian: vectors of %lld values", (long long)s->count);
    NL_TRY(nl_probe_channel(s, &o->eigenvalue, "1", "largest eigenvalue of the Hessian", 1, NULL,
                            "eigenvalue"));
    NL_TRY(nl_probe_channel(s, &o->used, "1", "power iterations made", 1, NULL, "iterations"));
    return NL_OK;
}

static void normalize(nl_real *v, int64_t count)
{
    const double length = sqrt(nl_probe_dot(v, v, count));
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)((double)v[i] / length);
}

/* Random where w is a variable, 0 in the padding between variables. */
static void start(struct hessian *o, nl_probe_look *s)
{
    const nl_key key = {s->seed, NL_STREAM_PROBE, (uint64_t)s->step};
    nl_store *store = nl_model_store(s->model);
    for (int64_t i = 0; i < s->count; i++)
        o->v[i] = 0;
    for (int k = 0; k < nl_store_count(store); k++) {
        const nl_item *it = nl_store_at(store, k);
        for (int64_t i = 0; it->grad && i < it->count; i++)
            o->v[it->at + i] = (nl_real)nl_random_normal(key, (uint64_t)(it->at + i));
    }
    normalize(o->v, s->count);
}

static void gradient_at(nl_probe_look *s, const nl_real *v, double h)
{
    for (int64_t i = 0; i < s->count; i++)
        s->w[i] = (nl_real)((double)s->w0[i] + h * (double)v[i]);
    nl_probe_gradient(s);
}

/* hv = H v - shift v */
static void multiply(struct hessian *o, nl_probe_look *s, double h, double shift)
{
    gradient_at(s, o->v, h);
    for (int64_t i = 0; i < s->count; i++)
        o->hv[i] = s->g[i];
    gradient_at(s, o->v, -h);
    for (int64_t i = 0; i < s->count; i++)
        o->hv[i] =
            (nl_real)(((double)o->hv[i] - (double)s->g[i]) / (2 * h) - shift * (double)o->v[i]);
}

/* The eigenvalue of largest magnitude of H - shift I; adds to *made. */
static double dominant(struct hessian *o, nl_probe_look *s, double h, double shift, double *made)
{
    double before = INFINITY, now = 0;
    start(o, s);
    for (int64_t k = 0; k < o->iterations; k++, before = now) {
        multiply(o, s, h, shift);
        ++*made;
        now = nl_probe_dot(o->v, o->hv, s->count);
        if (!isfinite(now) || fabs(now - before) <= o->tolerance * fabs(now))
            break;
        nl_real *swap = o->v;
        o->v = o->hv;
        o->hv = swap;
        normalize(o->v, s->count);
    }
    return now;
}

static void look(void *self, nl_probe_look *s)
{
    struct hessian *o = self;
    const double h = o->radius * (1 + sqrt(nl_probe_dot(s->w0, s->w0, s->count)));
    double made = 0;
    double eigenvalue = dominant(o, s, h, 0, &made);
    if (eigenvalue < 0)
        eigenvalue += dominant(o, s, h, eigenvalue, &made);
    nl_log_put(s->log, o->eigenvalue, &eigenvalue);
    nl_log_put(s->log, o->used, &made);
}

static void close(void *self)
{
    struct hessian *o = self;
    nl_free(o->v);
    nl_free(o->hv);
}

const nl_probe_ops nl_probe_hessian = {
    .name = "hessian",
    .title = "Largest eigenvalue of the Hessian",
    .cite = "yao2020pyhessian, sec. 3.2",
    .self_size = sizeof(struct hessian),
    .options = options,
    .open = open,
    .look = look,
    .close = close,
};
