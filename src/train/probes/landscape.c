/* The loss along the gradient. Santurkar et al. 2018, section 3.1 and figure 4: from w0 in the
 * direction of the step's gradient g0, at distances eta = lr s for `points` factors s between
 * `from` and `to` (evenly in log s), on the step's batch:
 *     loss(s)              = L(w0 - eta g0)
 *     gradient_distance(s) = ||g0 - g(w0 - eta g0)||              gradient predictiveness
 *     smoothness           = max_s gradient_distance(s) / ||eta g0||      effective beta-smoothness
 * lr is the optimizer's of this step; their VGG took s from 1/2 to 4. One gradient a point. */
#include <math.h>

#include "train/probe.h"

struct landscape {
    nl_probe_common common;
    double from, to;
    int64_t points;
    int loss, distance, smoothness;
};

static const nl_option options[] = {
    NL_PROBE_EVERY(struct landscape),
    NL_OPT(struct landscape, from, "0.5", 1e-9, 1e9, "smallest multiple of the learning rate"),
    NL_OPT(struct landscape, to, "4", 1e-9, 1e9, "largest multiple"),
    NL_OPT(struct landscape, points, "8", 2, NL_PROBE_POINTS_MAX, "of the walk"), NL_OPT_END};

#define FACTORS "/probes/landscape/factor"

static double factor(const struct landscape *o, int64_t i)
{
    return o->from * pow(o->to / o->from, (double)i / (double)(o->points - 1));
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct landscape *o = self;
    double factors[NL_PROBE_POINTS_MAX];
    if (o->from >= o->to)
        return nl_fail(NL_EOPTION, "landscape: from=%g is not below to=%g", o->from, o->to);
    for (int64_t i = 0; i < o->points; i++)
        factors[i] = factor(o, i);
    NL_TRY(nl_log_labels(s->log, FACTORS, factors, o->points));
    NL_TRY(nl_probe_channel(s, &o->loss, "nats", "loss at w0 - lr factor g0", o->points, FACTORS,
                            "loss"));
    NL_TRY(nl_probe_channel(s, &o->distance, "1", "distance of the gradient there to that at w0",
                            o->points, FACTORS, "gradient_distance"));
    NL_TRY(nl_probe_channel(s, &o->smoothness, "1",
                            "largest distance of gradients over distance walked", 1, NULL,
                            "smoothness"));
    return NL_OK;
}

static void walk_to(nl_probe_look *s, double eta)
{
    for (int64_t i = 0; i < s->count; i++)
        s->w[i] = (nl_real)((double)s->w0[i] - eta * (double)s->g0[i]);
}

static void look(void *self, nl_probe_look *s)
{
    const struct landscape *o = self;
    const double slope = sqrt(nl_probe_dot(s->g0, s->g0, s->count));
    double loss[NL_PROBE_POINTS_MAX], distance[NL_PROBE_POINTS_MAX], smoothness = 0;
    for (int64_t i = 0; i < o->points; i++) {
        const double eta = s->lr * factor(o, i);
        walk_to(s, eta);
        loss[i] = nl_probe_gradient(s);
        distance[i] = nl_probe_distance(s->g0, s->g, s->count);
        smoothness = fmax(smoothness, distance[i] / (eta * slope));
    }
    nl_log_put(s->log, o->loss, loss);
    nl_log_put(s->log, o->distance, distance);
    nl_log_put(s->log, o->smoothness, &smoothness);
}

const nl_probe_ops nl_probe_landscape = {
    .name = "landscape",
    .title = "Loss and gradient along the gradient",
    .cite = "santurkar2018how, sec. 3.1",
    .self_size = sizeof(struct landscape),
    .options = options,
    .open = open,
    .look = look,
};
