/* augment.h: random changes of training images when a batch is assembled, after standardization. */
#ifndef NL_AUGMENT_H
#define NL_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "core/option.h"

typedef struct nl_augment {
    int64_t crop; /* zeros on every side, out of which an image of the old size is cut at random */
    bool flip;    /* left and right are exchanged for every other image */
} nl_augment;

/* Rows of the option table of struct S. Zeros are zeros after standardization, the mean pixel. */
#define NL_AUGMENT_OPTIONS(S, field)                                                             \
    NL_OPT_AS(S, field.crop, "crop", "0", 0, 1024,                                               \
              "training images: zeros added on every side, then cut at random to the old size"), \
        NL_OPT_AS(S, field.flip, "flip", "false", 0, 1,                                          \
                  "training images: mirrored at random, left to right")

static inline bool nl_augments(const nl_augment *a) { return a->crop > 0 || a->flip; }

/* to = from (h, w, c) as changed for this example in this epoch: a function of (seed, epoch,
 * example) alone, not of batches or threads. */
void nl_augment_image(const nl_augment *a, uint64_t seed, int64_t epoch, int64_t example, int64_t h,
                      int64_t w, int64_t c, const nl_real *from, nl_real *to);

#endif
