/* MNIST read pixel by pixel in a fixed random order (Le et al. 2015, arXiv:1504.00941), the same
 * for every image. replacement=true draws each step's pixel anew, so that some come twice and some
 * never, as the code of Cooijmans et al. 2017 does (numpy.random.randint(0, 784, size=784)). */
#include <string.h>

#include "base/random.h"
#include "core/idx.h"

typedef struct permuted {
    nl_dataset_common common;
    double binary;
    int64_t order_seed;
    bool replacement;
} permuted;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(permuted, "0", "0", 0, "unit"),
    NL_OPT(permuted, binary, "0", 0, 1,
           "pixels above this part of full brightness become full, others 0 (0: off)"),
    NL_OPT(permuted, order_seed, "0", 0, 1e15, "which order of the pixels"),
    NL_OPT_FLAG(permuted, replacement, "false", "each step's pixel is drawn from all"), NL_OPT_END};

enum { PIXELS = NL_IDX_SIDE * NL_IDX_SIDE };

static void draw_order(const permuted *o, int64_t order[PIXELS])
{
    const nl_key key = {(uint64_t)o->order_seed, NL_STREAM_DATA, 0};
    nl_random_permutation(key, order, PIXELS);
    for (int64_t t = 0; o->replacement && t < PIXELS; t++)
        order[t] = nl_random_below(key, (uint64_t)t, PIXELS);
}

static void reorder(nl_split *s, const int64_t order[PIXELS])
{
    nl_real image[PIXELS];
    for (int64_t i = 0; i < s->count; i++) {
        nl_real *x = s->x + i * PIXELS;
        memcpy(image, x, sizeof image);
        for (int t = 0; t < PIXELS; t++)
            x[t] = image[order[t]];
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const permuted *o = self;
    const nl_idx_options plain = {.common = o->common, .binary = o->binary};
    int64_t order[PIXELS];
    NL_TRY(nl_idx_load_mnist(&plain, dir, out));
    draw_order(o, order);
    reorder(&out->train, order);
    reorder(&out->val, order);
    reorder(&out->test, order);
    return NL_OK;
}

const nl_dataset_ops nl_dataset_mnist_permuted = {
    NL_DATASET_HEADER,
    .name = "mnist_permuted",
    .title = "MNIST as sequences: 784 steps of one pixel, in one random order",
    .cite = "lecun1998mnist",
    .files = NL_IDX_FILES,
    .shape = {.s = PIXELS, .c = 1},
    .classes = 10,
    .examples = 60000,
    .target = 0.95,
    .self_size = sizeof(permuted),
    .options = options,
    .load = load,
};
