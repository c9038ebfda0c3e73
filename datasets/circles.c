/* circles: two noisy rings around the origin, radius 1 (class 0) and `factor` (class 1); the
 * arrangement of scikit-learn's make_circles with its class and angle drawn for each example. */
#include <math.h>

#include "datasets/plane.h"

typedef struct circles {
    plane plane;
    double factor;
} circles;

static const nl_option options[] = {
    PLANE_COMMON, PLANE_NOISE, NL_OPT(circles, factor, "0.5", 0, 1, "radius of the inner ring"),
    PLANE_SEED, NL_OPT_END};

static void ring(const void *self, bool inner, double turn, double *x, double *y)
{
    const circles *o = self;
    const double angle = 6.283185307179586 * turn, radius = inner ? o->factor : 1;
    *x = radius * cos(angle);
    *y = radius * sin(angle);
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    (void)dir;
    NL_TRY(plane_load(self, ring, out));
    return NL_OK;
}

const nl_dataset_ops nl_dataset_circles = {
    NL_DATASET_HEADER,  .name = "circles", .title = "two noisy rings in the plane (synthetic)",
    .synthetic = true,  .target = 0.95,    .self_size = sizeof(circles),
    .options = options, .load = load,
};
