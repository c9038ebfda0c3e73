/* Gradients through three time steps with ragged masks, of every method that can be put in a cell:
 * inputs, initial state of the cell, recurrent weights, parameters shared over time. */
#include <math.h>
#include <stdio.h>

#include "unroll.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const table[] = {
#include "norms_table.inc"
};

enum { SEED = 11 };
static int failures;

static bool in_double(void) { return sizeof(nl_real) == sizeof(double); }

static void fill(nl_real *t, int64_t count, double size, uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        t[i] =
            (nl_real)(size * nl_random_normal((nl_key){SEED, NL_STREAM_TEST, stream}, (uint64_t)i));
}

/* Sequences of 3, 2, 1, 3, ... steps: padding at the end. */
static void fill_all(unroll *u)
{
    for (int t = 0; t < UNROLL_STEPS; t++) {
        fill(u->x[t], u->count, 1, (uint64_t)t);
        fill(u->w[t], u->count, 1, 10 + (uint64_t)t);
        for (int64_t r = 0; r < u->rows; r++)
            u->live[t][r] = t < UNROLL_STEPS - r / u->g.s % UNROLL_STEPS;
    }
    fill(u->h[0], u->count, 0.5, 20);
    fill(u->U, u->g.c * u->g.c, 0.4, 21);
    int64_t count;
    nl_real *params = nl_store_params(u->store, &count);
    for (int64_t i = 0; i < count; i++)
        params[i] += (nl_real)(0.1 + 0.03 * (double)(i % 5));
}

static void compare(unroll *u, const char *spec, const char *what, nl_real *val,
                    const nl_real *grad, int64_t count)
{
    const double h = in_double() ? 1e-5 : 4e-3, bound = in_double() ? 1e-6 : 8e-2;
    double worst = 0, largest = 1, expected = 0, seen = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        const nl_real keep = val[i];
        val[i] = (nl_real)((double)keep + h);
        const double up = unroll_forward(u);
        val[i] = (nl_real)((double)keep - h);
        const double slope = (up - unroll_forward(u)) / (2 * h);
        val[i] = keep;
        largest = fmax(largest, fabs(slope));
        if (!(fabs(slope - (double)grad[i]) <= worst)) {
            worst = fabs(slope - (double)grad[i]);
            at = i, expected = slope, seen = (double)grad[i];
        }
    }
    if (worst <= bound * largest)
        return;
    failures++;
    printf("%s, n %lld, s %lld, phase %d: gradient of %s at %lld: expected %.9g, seen %.9g, bound "
           "%.3g, seed %d\n",
           spec, (long long)u->g.n, (long long)u->g.s, u->phase, what, (long long)at, expected,
           seen, bound * largest, SEED);
}

static void compare_all(unroll *u, const char *spec)
{
    static const char *const names[] = {"x_0", "x_1", "x_2"};
    unroll_forward(u);
    unroll_backward(u);
    u->hold = nl_norm_ops_of(u->m)->gradient == NL_HELD_EXACT;
    for (int t = 0; t < UNROLL_STEPS; t++)
        compare(u, spec, names[t], u->x[t], u->dx[t], u->count);
    compare(u, spec, "h_0", u->h[0], u->dh[0], u->count);
    compare(u, spec, "U", u->U, u->dU, u->g.c * u->g.c);
    for (int i = 0; i < nl_store_count(u->store); i++) {
        const nl_item *it = nl_store_at(u->store, i);
        if (it->decl->role == NL_PARAM)
            compare(u, spec, it->decl->name, it->val, it->grad, it->count);
    }
    u->hold = false;
}

static bool state_is_finite(unroll *u)
{
    for (int i = 0; i < nl_store_count(u->store); i++) {
        const nl_item *it = nl_store_at(u->store, i);
        for (int64_t k = 0; it->decl->role == NL_STATE && k < it->count; k++)
            if ((it->decl->type == NL_TYPE_DOUBLE && !isfinite(((double *)it->val)[k])) ||
                (it->decl->type == NL_TYPE_REAL && !isfinite((double)((nl_real *)it->val)[k])))
                return false;
    }
    return true;
}

static void through_time(const char *spec, nl_geom g)
{
    unroll u;
    nl_policy own;
    if (unroll_open(&u, spec, g) != NL_OK) {
        unroll_close(&u); /* a shape it refuses */
        return;
    }
    fill_all(&u);
    u.phase = NL_TRAIN;
    compare_all(&u, spec);
    u.update = true;
    for (int k = 0; k < 2; k++)
        unroll_forward(&u);
    u.phase = NL_EVAL;
    nl_norm_own_policy(u.m, &own);
    if (nl_norm_accepts(u.m, &own, g.n) == NL_OK && state_is_finite(&u))
        compare_all(&u, spec);
    unroll_close(&u);
}

static const char *const variants[] = {
    "batch:eval=epoch",        "batch:eval=mixture", "batch_layer:area=ns:inference=TTTT",
    "batch_layer:m=live",      "layer:area=sc",      "batch_renorm:momentum=0.2:r_max=2:d_max=1",
    "group:groups=2:eps=1e-2",
};

int main(void)
{
    static const nl_geom shapes[] = {{.n = 7, .s = 1, .c = 4},
                                     {.n = 4, .s = 2, .c = 4},
                                     {.n = 1, .s = 1, .c = 4},
                                     {.n = 1, .s = 3, .c = 4}};
    const nl_norm_ops *ops;
    nl_norm_use(table, sizeof table / sizeof *table);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        for (int i = 0; (ops = nl_norm_at(i)); i++)
            if (ops->sites & NL_AT_RNN)
                through_time(ops->name, shapes[k]);
        for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
            through_time(variants[i], shapes[k]);
    }
    return failures != 0;
}
