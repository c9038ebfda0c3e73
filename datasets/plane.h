/* plane.h: generators of two classes of points in the plane, one example drawn after the other:
 * its class, its angle, noise on both coordinates. */
#ifndef NL_DATASETS_PLANE_H
#define NL_DATASETS_PLANE_H

#include "base/random.h"
#include "core/dataset.h"

typedef struct plane {
    nl_dataset_common common;
    double noise;
    int64_t seed;
} plane;

/* Rows of the option table of a struct whose first member is a plane. */
#define PLANE_COMMON NL_DATASET_OPTIONS(plane, "1000", "1000", 1, "none")
#define PLANE_NOISE \
    NL_OPT(plane, noise, "0.1", 0, 10, "standard deviation added to both coordinates")
#define PLANE_SEED \
    NL_OPT(plane, seed, "0", 0, 1e15, "which points are drawn; no part of the run's seed")

/* The point of a class at a share of the whole turn in [0, 1). */
typedef void plane_curve(const void *self, bool second, double turn, double *x, double *y);

enum { PLANE_CLASS, PLANE_TURN, PLANE_X, PLANE_Y };

static inline void plane_fill(const plane *o, plane_curve *curve, nl_split *to, int64_t first,
                              int part)
{
    for (int64_t i = 0; i < to->count; i++) {
        const nl_key key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part};
        const bool second = nl_random_u32(key, PLANE_CLASS) & 1;
        double x, y;
        curve(o, second, nl_random_uniform(key, PLANE_TURN), &x, &y);
        to->x[2 * i] = (nl_real)(x + o->noise * nl_random_normal(key, PLANE_X));
        to->x[2 * i + 1] = (nl_real)(y + o->noise * nl_random_normal(key, PLANE_Y));
        to->label[i] = second;
    }
}

static inline nl_status plane_load(const plane *o, plane_curve *curve, nl_dataset *out)
{
    nl_cut cut;
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    out->shape = (nl_shape){.s = 1, .c = 2};
    out->classes = 2;
    NL_TRY(nl_dataset_room(out, &cut));
    plane_fill(o, curve, &out->train, 0, 0);
    plane_fill(o, curve, &out->val, cut.val_at, 0);
    plane_fill(o, curve, &out->test, 0, 1);
    return NL_OK;
}

#endif
