/* G and H of whole rows, with the sums for gamma and beta on the way (rows.h). */
#include "kernel/row_gradients_inline.h"

/* Short rows, one after the other: what is per channel stays in registers. */
NL_INLINE void affine_short(nl_affine_rows b, affine_kind is, int64_t row, int64_t at, int rows,
                            nl_vec *G, nl_vec *H)
{
    enum { WIDTH = NL_SHORT / NL_LANES };
    nl_vec gamma[WIDTH], dgamma[WIDTH], dbeta[WIDTH];
#pragma GCC unroll 4
    for (int w = 0; w < WIDTH; w++) {
        gamma[w] = is.has_gamma ? nl_vec_load(b.gamma + w * NL_LANES) : nl_vec_of(1);
        dgamma[w] = nl_vec_load(b.dgamma + w * NL_LANES);
        dbeta[w] = is.has_dbeta ? nl_vec_load(b.dbeta + w * NL_LANES) : nl_vec_of(0);
    }
    for (int r = 0; r < rows; r++) {
        const nl_row_coefficients q = nl_coefficients_of(b.center, b.a, b.d, at + r, 1);
        nl_vec sg = {0}, sh = {0};
#pragma GCC unroll 4
        for (int w = 0; w < WIDTH; w++) {
            const int k = w * NL_LANES;
            const nl_vec g = nl_arrive(b.g, is.act, is.keeps, row + r, k, NULL);
            const nl_vec x = nl_vec_load(b.x.x + (row + r) * b.x.ld + k);
            affine_step(is, g, x, gamma[w], q.center[0], q.a[0], q.d[0], &sg, &sh, &dgamma[w],
                        &dbeta[w]);
        }
        G[r] = sg, H[r] = sh;
    }
#pragma GCC unroll 4
    for (int w = 0; w < WIDTH; w++) {
        nl_vec_store(b.dgamma + w * NL_LANES, dgamma[w]);
        if (is.has_dbeta)
            nl_vec_store(b.dbeta + w * NL_LANES, dbeta[w]);
    }
}

/* CALL(kind): with the usual parameters, gamma and beta or about zero gamma alone, a constant. */
#define GAMMA_AND_BETA(act, keeps) CALL(((affine_kind){act, keeps, 0, 0, 1, 1, 0}))
#define GAMMA_ABOUT_ZERO(act, keeps) CALL(((affine_kind){act, keeps, 1, 0, 1, 0, 0}))
#define EACH_KIND(b, has_d)                                                       \
    if ((b)->gamma && (b)->dbeta && !(b)->about_zero && !has_d)                   \
        NL_EACH_ARRIVING((b)->g, GAMMA_AND_BETA)                                  \
    else if ((b)->gamma && !(b)->dbeta && (b)->about_zero)                        \
        NL_EACH_ARRIVING((b)->g, GAMMA_ABOUT_ZERO)                                \
    else                                                                          \
        CALL(((affine_kind){(b)->g.act, nl_keeps((b)->g), (b)->about_zero, has_d, \
                            (b)->gamma != NULL, (b)->dbeta != NULL, 0}));

NL_INLINE void affine_long_as(const nl_affine_rows *b, affine_kind is, int64_t row, int64_t at,
                              int rows, int64_t c, nl_vec *G, nl_vec *H)
{
    if (rows == NL_ROWS_TOGETHER)
        affine_long(b, is, row, at, NL_ROWS_TOGETHER, c, G, H);
    else if (rows == 2)
        affine_long(b, is, row, at, 2, c, G, H);
    else
        affine_long(b, is, row, at, 1, c, G, H);
}

/* G and H of `rows` live rows from `row` on, their coefficients from `at` on; registers are not yet
 * added up. */
NL_APART void affine_longs(const nl_affine_rows *b, int64_t row, int64_t at, int rows, int64_t c,
                           nl_vec *G, nl_vec *H)
{
    const int has_d = have_d(b, at, rows);
#define CALL(kind) affine_long_as(b, kind, row, at, rows, c, G, H)
    EACH_KIND(b, has_d)
#undef CALL
}

NL_APART void affine_shorts(const nl_affine_rows *b, int64_t row, int64_t at, int rows, nl_vec *G,
                            nl_vec *H)
{
    const nl_affine_rows own = *b;
    const int has_d = have_d(b, at, rows);
#define CALL(kind) affine_short(own, kind, row, at, rows, G, H)
    EACH_KIND(&own, has_d)
#undef CALL
}

/* Live rows: as many together as there may be. */
NL_INLINE void affine_run(const nl_affine_rows *b, int64_t row, int64_t at, int rows, int64_t c,
                          nl_vec *G, nl_vec *H)
{
    int r = 0;
    if (c == NL_SHORT) {
        affine_shorts(b, row, at, rows, G, H);
        return;
    }
    for (; r + NL_ROWS_TOGETHER <= rows; r += NL_ROWS_TOGETHER)
        affine_longs(b, row + r, at + r, NL_ROWS_TOGETHER, c, G + r, H + r);
    for (; r + 2 <= rows; r += 2)
        affine_longs(b, row + r, at + r, 2, c, G + r, H + r);
    if (r < rows)
        affine_longs(b, row + r, at + r, 1, c, G + r, H + r);
}

void nl_affine_lanes(const nl_affine_rows *b, int64_t from, int64_t at, int count, int64_t c,
                     nl_vec *G, nl_vec *H)
{
    nl_vec sg[NL_LANES], sh[NL_LANES];
    for (int i = 0, run; i < count; i += run ? run : 1) {
        run = (int)nl_live_run(b->x, from + i, count - i);
        if (run > 0) {
            affine_run(b, from + i, at + i, run, c, sg + i, sh + i);
        } else {
            nl_arrive_dead(b->g, from + i, c);
            sg[i] = sh[i] = (nl_vec){0};
        }
    }
    for (int i = count; i < nl_added_together(count); i++)
        sg[i] = sh[i] = (nl_vec){0};
    *G = nl_sum_across(sg, count);
    *H = nl_sum_across(sh, count);
}
