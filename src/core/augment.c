#include "core/augment.h"

#include <string.h>

enum { DRAW_DOWN, DRAW_RIGHT, DRAW_FLIP };

/* Row `from` (w, c) moved by `right` pixels, or the mirror image of that. */
static void move_row(const nl_real *from, int64_t w, int64_t c, int64_t right, bool flip,
                     nl_real *to)
{
    for (int64_t j = 0; j < w; j++) {
        const int64_t source = (flip ? w - 1 - j : j) + right;
        if (source >= 0 && source < w)
            memcpy(to + j * c, from + source * c, (size_t)c * sizeof *to);
        else
            memset(to + j * c, 0, (size_t)c * sizeof *to);
    }
}

void nl_augment_image(const nl_augment *a, uint64_t seed, int64_t epoch, int64_t example, int64_t h,
                      int64_t w, int64_t c, const nl_real *from, nl_real *to)
{
    const uint64_t at[] = {(uint64_t)epoch, (uint64_t)example};
    const nl_key key = {seed, NL_STREAM_AUGMENT, nl_hash_bytes(NL_HASH_START, at, sizeof at)};
    const int64_t places = 2 * a->crop + 1;
    const int64_t down = nl_random_below(key, DRAW_DOWN, places) - a->crop;
    const int64_t right = nl_random_below(key, DRAW_RIGHT, places) - a->crop;
    const bool flip = a->flip && nl_random_below(key, DRAW_FLIP, 2);
    for (int64_t i = 0; i < h; i++) {
        const int64_t source = i + down;
        if (source >= 0 && source < h)
            move_row(from + source * w * c, w, c, right, flip, to + i * w * c);
        else
            memset(to + i * w * c, 0, (size_t)(w * c) * sizeof *to);
    }
}
