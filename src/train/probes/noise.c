/* The gradient as a random vector.
 *     cosine      between g0 and the gradient of the next step (w1, next batch)
 *     norm        ||g0||
 * and, with halves of the batch, the simple noise scale of McCandlish et al. 2018, appendix A.1:
 * with G_b a gradient of b examples, E ||G_b||^2 = ||G||^2 + tr(S) / b, so from b = n and the mean
 * over both halves m = n / 2
 *     signal  = (n ||G_n||^2 - m ||G_m||^2) / (n - m)              estimates ||G||^2
 *     noise   = (||G_m||^2 - ||G_n||^2) / (1 / m - 1 / n)          estimates tr(S)
 *     noise_scale = noise / signal                                 in examples
 * Both are unbiased but may come out below 0 on one step: average them before dividing. Methods
 * that share statistics over the batch normalize each half by itself: part of their noise. */
#include <math.h>

#include "train/probe.h"

struct noise {
    nl_probe_common common;
    int norm, cosine, signal, trace, scale;
};

static const nl_option options[] = {NL_PROBE_EVERY(struct noise), NL_OPT_END};

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct noise *o = self;
    const struct {
        int *id;
        const char *name, *unit, *doc;
    } rows[] = {{&o->norm, "norm", "1", "Euclidean norm of the gradient"},
                {&o->cosine, "cosine", "1", "cosine of this and the next step's gradient"},
                {&o->signal, "signal", "1", "estimate of the squared norm of the mean gradient"},
                {&o->trace, "noise", "1", "estimate of the trace of the gradient's covariance"},
                {&o->scale, "noise_scale", "examples", "noise / signal"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        NL_TRY(nl_probe_channel(s, rows[i].id, rows[i].unit, rows[i].doc, 1, NULL, "%s",
                                rows[i].name));
    return NL_OK;
}

static double square(const nl_probe_look *s) { return nl_probe_dot(s->g, s->g, s->count); }

static void put_noise(const struct noise *o, nl_probe_look *s)
{
    const int64_t half = s->n / 2;
    const double n = (double)(2 * half), m = (double)half;
    if (half == 0)
        return;
    nl_probe_gradient_of(s, 0, 2 * half);
    const double whole = square(s);
    nl_probe_gradient_of(s, 0, half);
    double parts = square(s) / 2;
    nl_probe_gradient_of(s, half, half);
    parts += square(s) / 2;
    const double signal = (n * whole - m * parts) / (n - m);
    const double noise = (parts - whole) / (1 / m - 1 / n), scale = noise / signal;
    nl_log_put(s->log, o->signal, &signal);
    nl_log_put(s->log, o->trace, &noise);
    nl_log_put(s->log, o->scale, &scale);
}

static void look(void *self, nl_probe_look *s)
{
    const struct noise *o = self;
    const double norm = sqrt(nl_probe_dot(s->g0, s->g0, s->count));
    put_noise(o, s);
    for (int64_t i = 0; i < s->count; i++)
        s->w[i] = s->w1[i];
    nl_probe_next_gradient(s);
    const double cosine = nl_probe_dot(s->g0, s->g, s->count) / (norm * sqrt(square(s)));
    nl_log_put(s->log, o->norm, &norm);
    nl_log_put(s->log, o->cosine, &cosine);
}

const nl_probe_ops nl_probe_noise = {
    .name = "noise",
    .title = "Norm, cosine between steps and noise scale of the gradient",
    .cite = "mccandlish2018empirical, app. A.1",
    .self_size = sizeof(struct noise),
    .options = options,
    .open = open,
    .look = look,
};
