/* golden_layer.h: a layer whose parameters are drawn as tests/golden/draws.py draws them, beside
 * the values that a script made of the same ones. */
#ifndef NL_TEST_GOLDEN_LAYER_H
#define NL_TEST_GOLDEN_LAYER_H

#include <check.h>
#include <math.h>

#include "core/store.h"
#include "draws.h"

/* Where it is, what it is made of (draw_all), and its gradient; a layer need not have all. */
typedef struct golden_parameter {
    const char *owner, *name;
    uint64_t seed;
    double per, plus;
    const double *gradient;
} golden_parameter;

static inline void draw_parameters(nl_store *s, const golden_parameter *row, size_t rows)
{
    for (size_t k = 0; k < rows; k++) {
        const nl_item *it = nl_store_find(s, row[k].owner, row[k].name);
        if (it)
            draw_all(it->val, it->count, row[k].seed, row[k].per, row[k].plus);
    }
}

/* Within `bound` of the largest value of the array, or of 1: what is 0 is so but for rounding. */
static inline void same_values(const char *of, const char *what, const nl_real *got,
                               const double *wanted, int64_t count, double bound)
{
    double largest = 1;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - wanted[i]) <= bound * largest,
                      "%s: %s[%d] is %.17g, expected %.17g", of, what, (int)i, (double)got[i],
                      wanted[i]);
}

static inline void same_gradients(const char *of, nl_store *s, const golden_parameter *row,
                                  size_t rows, double bound)
{
    for (size_t k = 0; k < rows; k++) {
        const nl_item *it = nl_store_find(s, row[k].owner, row[k].name);
        ck_assert_msg(!it == !row[k].gradient, "%s: %s of %s", of, row[k].name, row[k].owner);
        if (it)
            same_values(of, row[k].name, it->grad, row[k].gradient, it->count, bound);
    }
}

#endif
