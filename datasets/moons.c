/* moons: two noisy half circles that reach into each other; the arrangement of
 * scikit-learn's make_moons with its class and angle drawn for each example. */
#include <math.h>

#include "base/random.h"
#include "core/dataset.h"

typedef struct moons {
    nl_dataset_common common;
    double noise;
    int64_t seed;
} moons;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(moons, "1000", "1000", 1, "none"),
    NL_OPT(moons, noise, "0.1", 0, 10, "standard deviation added to both coordinates"),
    NL_OPT(moons, seed, "0", 0, 1e15, "which points are drawn; no part of the run's seed"),
    NL_OPT_END};

enum { DRAW_CLASS, DRAW_ANGLE, DRAW_X, DRAW_Y };

static void fill(const moons *o, nl_split *to, int64_t first, int part)
{
    for (int64_t i = 0; i < to->count; i++) {
        const nl_key key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part};
        const bool lower = nl_random_u32(key, DRAW_CLASS) & 1;
        const double turn = 3.141592653589793 * nl_random_uniform(key, DRAW_ANGLE);
        const double x = lower ? 1 - cos(turn) : cos(turn), y = lower ? 0.5 - sin(turn) : sin(turn);
        to->x[2 * i] = (nl_real)(x + o->noise * nl_random_normal(key, DRAW_X));
        to->x[2 * i + 1] = (nl_real)(y + o->noise * nl_random_normal(key, DRAW_Y));
        to->label[i] = lower;
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const moons *o = self;
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

const nl_dataset_ops nl_dataset_moons = {
    NL_DATASET_HEADER,
    .name = "moons",
    .title = "two interleaved half circles in the plane (synthetic)",
    .synthetic = true,
    .self_size = sizeof(moons),
    .options = options,
    .load = load,
};
