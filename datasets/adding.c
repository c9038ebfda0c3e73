/* adding: the sum of two marked numbers of a sequence (Hochreiter and Schmidhuber 1997, as Le et
 * al. 2015 and Arjovsky et al. 2016 pose it). Step t brings u_t, uniform in [0, 1), and a mark: 1
 * at one step of the first half and one of the second, 0 elsewhere. The answer is the sum of both
 * u; always saying 1 has a mean squared error of 1/6. An answer within 0.04 counts as correct. */
#include "base/random.h"
#include "core/dataset.h"

typedef struct adding {
    nl_dataset_common common;
    int64_t length, seed;
} adding;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(adding, "10000", "1000", 1, "none"),
    NL_OPT(adding, length, "100", 2, 100000, "steps of a sequence"),
    NL_OPT(adding, seed, "0", 0, 1e15, "which examples are drawn; no part of the run's seed"),
    NL_OPT_END};

enum { CHANNELS = 2, DRAW_FIRST = 0, DRAW_SECOND = 1, DRAW_NUMBER = 2 };

static void fill(const adding *o, nl_split *to, int64_t first, unsigned part)
{
    const int64_t steps = o->length, half = steps / 2;
    for (int64_t i = 0; i < to->count; i++) {
        const nl_key key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part};
        const int64_t a = nl_random_below(key, DRAW_FIRST, half);
        const int64_t b = half + nl_random_below(key, DRAW_SECOND, steps - half);
        nl_real *x = to->x + i * steps * CHANNELS;
        for (int64_t t = 0; t < steps; t++) {
            x[t * CHANNELS] = (nl_real)nl_random_uniform(key, DRAW_NUMBER + (uint64_t)t);
            x[t * CHANNELS + 1] = t == a || t == b ? 1 : 0;
        }
        to->value[i] = x[a * CHANNELS] + x[b * CHANNELS];
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const adding *o = self;
    nl_cut cut;
    (void)dir;
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    out->shape = (nl_shape){.s = o->length, .c = CHANNELS};
    out->tolerance = 0.04;
    out->target = 0.95;
    out->hi = 1;
    NL_TRY(nl_dataset_room(out, &cut));
    fill(o, &out->train, 0, 0);
    fill(o, &out->val, cut.val_at, 0);
    fill(o, &out->test, 0, 1);
    return NL_OK;
}

const nl_dataset_ops nl_dataset_adding = {
    NL_DATASET_HEADER,
    .name = "adding",
    .title = "sum of two marked numbers of a sequence (synthetic)",
    .cite = "hochreiter1997long",
    .synthetic = true,
    .self_size = sizeof(adding),
    .options = options,
    .load = load,
};
