/* moons: two noisy half circles that reach into each other; the arrangement of
 * scikit-learn's make_moons with its class and angle drawn for each example. */
#include <math.h>

#include "datasets/plane.h"

static const nl_option options[] = {PLANE_COMMON, PLANE_NOISE, PLANE_SEED, NL_OPT_END};

static void half_circle(const void *self, bool lower, double turn, double *x, double *y)
{
    const double angle = 3.141592653589793 * turn;
    (void)self;
    *x = lower ? 1 - cos(angle) : cos(angle);
    *y = lower ? 0.5 - sin(angle) : sin(angle);
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    (void)dir;
    NL_TRY(plane_load(self, half_circle, out));
    return NL_OK;
}

const nl_dataset_ops nl_dataset_moons = {
    NL_DATASET_HEADER,
    .name = "moons",
    .title = "two interleaved half circles in the plane (synthetic)",
    .synthetic = true,
    .target = 0.95,
    .self_size = sizeof(plane),
    .options = options,
    .load = load,
};
