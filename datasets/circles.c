/* circles: two noisy rings around the origin, radius 1 (class 0) and `factor` (class 1); the
 * arrangement of scikit-learn's make_circles with its class and angle drawn for each example. */
#include <math.h>

#include "base/random.h"
#include "core/dataset.h"

typedef struct circles {
    nl_dataset_common common;
    double noise, factor;
    int64_t seed;
} circles;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(circles, "1000", "1000", 1, "none"),
    NL_OPT(circles, noise, "0.1", 0, 10, "standard deviation added to both coordinates"),
    NL_OPT(circles, factor, "0.5", 0, 1, "radius of the inner ring"),
    NL_OPT(circles, seed, "0", 0, 1e15, "which points are drawn; no part of the run's seed"),
    NL_OPT_END};

enum { DRAW_CLASS, DRAW_ANGLE, DRAW_X, DRAW_Y };

static void fill(const circles *o, nl_split *to, int64_t first, int part)
{
    for (int64_t i = 0; i < to->count; i++) {
        const nl_key key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part};
        const bool inner = nl_random_u32(key, DRAW_CLASS) & 1;
        const double turn = 6.283185307179586 * nl_random_uniform(key, DRAW_ANGLE);
        const double radius = inner ? o->factor : 1;
        to->x[2 * i] = (nl_real)(radius * cos(turn) + o->noise * nl_random_normal(key, DRAW_X));
        to->x[2 * i + 1] = (nl_real)(radius * sin(turn) + o->noise * nl_random_normal(key, DRAW_Y));
        to->label[i] = inner;
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const circles *o = self;
    nl_cut cut;
    (void)dir;
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    out->shape = (nl_shape){.s = 1, .c = 2};
    out->classes = 2;
    out->target = 0.95;
    NL_TRY(nl_dataset_room(out, &cut));
    fill(o, &out->train, 0, 0);
    fill(o, &out->val, cut.val_at, 0);
    fill(o, &out->test, 0, 1);
    return NL_OK;
}

const nl_dataset_ops nl_dataset_circles = {
    NL_DATASET_HEADER,
    .name = "circles",
    .title = "two noisy rings in the plane (synthetic)",
    .synthetic = true,
    .self_size = sizeof(circles),
    .options = options,
    .load = load,
};
