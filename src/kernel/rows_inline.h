/* rows_inline.h: sums over a row and writes of whole rows, shared by the kernels of area.h that
 * have a statistic per row. Several rows go together: what is per channel is loaded once for
 * NL_ROWS_TOGETHER of them, and the sums of up to NL_LANES are added up across their registers, so
 * that a row's sum does not depend on its neighbours. For kernel sources only. */
#ifndef NL_ROWS_INLINE_H
#define NL_ROWS_INLINE_H

#include "kernel/area_inline.h"

/* ---- across registers */

/* Adds the lanes `half` apart: of a where bit `half` of the lane is clear, of b where it is set. */
NL_INLINE nl_vec add_crosswise(nl_vec a, nl_vec b, int half)
{
    const nl_lanes lane = nl_lane_numbers(), of_b = (lane & half) * (NL_LANES / half);
    return nl_vec_shuffle(a, b, lane + of_b) + nl_vec_shuffle(a, b, (lane ^ half) + of_b);
}

/* Registers that a sum across `count` rows reads. */
NL_INLINE int nl_added_together(int count)
{
    const int lanes = NL_LANES;
    int together = NL_ROWS_TOGETHER < lanes ? NL_ROWS_TOGETHER : lanes;
    while (together < count)
        together *= 2;
    return together;
}

NL_INLINE nl_vec sum_across_few(nl_vec *v, int few)
{
#pragma GCC unroll 4
    for (int half = NL_LANES / 2; half >= few; half /= 2)
        for (int i = 0; i < few; i++)
            v[i] = add_crosswise(v[i], v[i], half);
#pragma GCC unroll 4
    for (int half = few / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] = add_crosswise(v[i], v[i + half], half);
    return v[0];
}

/* Lane i becomes the sum of v[i], i < count <= NL_LANES; the others of v are 0. The lanes of a
 * register are added in the same order whatever the count. */
NL_INLINE nl_vec nl_sum_across(nl_vec *v, int count)
{
    switch (nl_added_together(count)) {
    case 4: return sum_across_few(v, NL_LANES < 4 ? NL_LANES : 4);
    case 8: return sum_across_few(v, NL_LANES < 8 ? NL_LANES : 8);
    default: return sum_across_few(v, NL_LANES);
    }
}

/* ---- moments of rows, or of groups of channels in them ("parts") */

typedef struct nl_parts {
    const nl_real *x[NL_LANES], *g[NL_LANES]; /* x NULL: dead, or beyond count */
    int count;
} nl_parts;

/* Sums are dealt out to so many registers that additions need not wait for each other. */
enum { NL_PAIR = 2, NL_WAYS = 4 };

/* s1 = sum d, s2 = sum d^2 over a part, d = x - shift. */
NL_INLINE void shifted_sums(const nl_real *x, int64_t c, nl_real shift, nl_vec *s1, nl_vec *s2)
{
    nl_vec sum[NL_PAIR] = {{0}}, squares[NL_PAIR] = {{0}};
    const nl_vec about = nl_vec_of(shift);
    const int64_t end = nl_whole(c);
    int64_t k = 0;
    for (; k + NL_PAIR * NL_LANES <= end; k += NL_PAIR * NL_LANES)
#pragma GCC unroll 4
        for (int w = 0; w < NL_PAIR; w++) {
            const nl_vec d = nl_vec_load(x + k + w * NL_LANES) - about;
            sum[w] += d;
            squares[w] = nl_vec_fma(d, d, squares[w]);
        }
    for (; k < end; k += NL_LANES) {
        const nl_vec d = nl_vec_load(x + k) - about;
        sum[0] += d;
        squares[0] = nl_vec_fma(d, d, squares[0]);
    }
    if (end < c) {
        const nl_part t = nl_rest(c);
        const nl_vec d = nl_vec_load_part(x + end, t) - nl_vec_keep_part(about, t);
        sum[1] += d;
        squares[1] = nl_vec_fma(d, d, squares[1]);
    }
    *s1 = sum[0] + sum[1];
    *s2 = squares[0] + squares[1];
}

/* Lane i is of part i: its mean is shift + off, m2 the sum of squares about it. */
typedef struct nl_part_moments {
    nl_vec shift, off, m2;
} nl_part_moments;

NL_INLINE nl_part_moments moments_about(const nl_parts *p, int64_t c, const nl_real *shift)
{
    nl_vec sum[NL_LANES], squares[NL_LANES];
    for (int i = 0; i < nl_added_together(p->count); i++) {
        sum[i] = squares[i] = (nl_vec){0};
        if (p->x[i])
            shifted_sums(p->x[i], c, shift[i], &sum[i], &squares[i]);
    }
    const nl_vec s1 = nl_sum_across(sum, p->count), s2 = nl_sum_across(squares, p->count);
    const nl_vec off = s1 * (1 / (nl_real)c), m2 = nl_vec_fma(-s1, off, s2);
    return (nl_part_moments){nl_vec_load(shift), off,
                             nl_vec_choose(m2 < nl_vec_of(0), nl_vec_of(0), m2)};
}

/* Sums are about a part's first value. Where that is far from the mean, m2 is a small difference of
 * large numbers (an outlier may lie sqrt(c) standard deviations away; Samuelson 1968), and they are
 * taken again about the mean just found. */
NL_INLINE nl_part_moments nl_moments_of_parts(const nl_parts *p, int64_t c)
{
    const nl_vec most = nl_vec_of(16); /* standard deviations, squared: m2 loses four bits */
    nl_real shift[NL_LANES];
    for (int i = 0; i < NL_LANES; i++)
        shift[i] = p->x[i] ? p->x[i][0] : 0;
    nl_part_moments m = moments_about(p, c, shift);
    const nl_lanes far = (nl_real)c * m.off * m.off > most * m.m2;
    if (!nl_any_lane(far))
        return m;
    nl_vec_store(shift, m.shift + m.off);
    const nl_part_moments again = moments_about(p, c, shift);
    return (nl_part_moments){nl_vec_choose(far, again.shift, m.shift),
                             nl_vec_choose(far, again.off, m.off),
                             nl_vec_choose(far, again.m2, m.m2)};
}

/* The sum of squares of one part. */
NL_INLINE nl_vec squares_of(const nl_real *x, int64_t c)
{
    nl_vec sum[NL_WAYS] = {{0}};
    const int64_t end = nl_whole(c);
    int64_t k = 0;
    for (; k + NL_WAYS * NL_LANES <= end; k += NL_WAYS * NL_LANES)
#pragma GCC unroll 4
        for (int w = 0; w < NL_WAYS; w++) {
            const nl_vec v = nl_vec_load(x + k + w * NL_LANES);
            sum[w] = nl_vec_fma(v, v, sum[w]);
        }
    for (; k < end; k += NL_LANES) {
        const nl_vec v = nl_vec_load(x + k);
        sum[0] = nl_vec_fma(v, v, sum[0]);
    }
    if (end < c) {
        const nl_vec v = nl_vec_load_part(x + end, nl_rest(c));
        sum[1] = nl_vec_fma(v, v, sum[1]);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* The same about zero: m2 is the sum of squares. */
NL_INLINE nl_part_moments nl_squares_of_parts(const nl_parts *p, int64_t c)
{
    nl_vec sum[NL_LANES];
    for (int i = 0; i < nl_added_together(p->count); i++)
        sum[i] = p->x[i] ? squares_of(p->x[i], c) : (nl_vec){0};
    return (nl_part_moments){{0}, {0}, nl_sum_across(sum, p->count)};
}

/* ---- gradients of rows with gamma, and the sums for gamma and beta */

/* Whole rows, with gamma and the sums for gamma and beta. */
typedef struct nl_affine_rows {
    nl_rows x;
    nl_arriving g;
    const nl_real *gamma, *center, *a, *d;
    nl_real *dgamma, *dbeta;
} nl_affine_rows;

/* Coefficients of the rows in hand. */
typedef struct row_coefficients {
    nl_vec center[NL_ROWS_TOGETHER], a[NL_ROWS_TOGETHER], d[NL_ROWS_TOGETHER];
} row_coefficients;

NL_INLINE row_coefficients coefficients_of(const nl_real *center, const nl_real *a,
                                           const nl_real *d, int64_t row, int rows)
{
    row_coefficients q;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        q.center[r] = nl_vec_of(center[row + r]);
        q.a[r] = nl_vec_of(a[row + r]);
        q.d[r] = nl_vec_of(d[row + r]);
    }
    return q;
}

NL_INLINE void affine_step(nl_affine_rows b, row_coefficients q, nl_act act, int keeps, int64_t row,
                           int rows, int64_t k, nl_vec *G, nl_vec *H, const nl_part *t)
{
    const nl_vec gamma = b.gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    nl_vec dgamma = nl_load(b.dgamma + k, t), dbeta = nl_load(b.dbeta + k, t);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_vec g = nl_arrive(b.g, act, keeps, row + r, k, t), to_z = gamma * g;
        const nl_vec xc = nl_load(b.x.x + (row + r) * b.x.ld + k, t) - q.center[r];
        G[r] += to_z;
        H[r] = nl_vec_fma(to_z, xc, H[r]);
        dgamma = nl_vec_fma(g, nl_vec_fma(q.a[r], xc, q.d[r]), dgamma);
        dbeta += g;
    }
    nl_put(b.dgamma + k, dgamma, t, 0);
    nl_put(b.dbeta + k, dbeta, t, 0);
}

NL_INLINE void affine_sums(nl_affine_rows b, nl_act act, int keeps, int64_t row, int rows,
                           int64_t c, nl_vec *G, nl_vec *H)
{
    const row_coefficients q = coefficients_of(b.center, b.a, b.d, row, rows);
    const int64_t end = nl_whole(c);
    nl_vec sg[NL_ROWS_TOGETHER] = {{0}}, sh[NL_ROWS_TOGETHER] = {{0}};
    for (int64_t k = 0; k < end; k += NL_LANES)
        affine_step(b, q, act, keeps, row, rows, k, sg, sh, NULL);
    if (end < c) {
        const nl_part t = nl_rest(c);
        affine_step(b, q, act, keeps, row, rows, end, sg, sh, &t);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        G[r] = sg[r], H[r] = sh[r];
}

/* G and H of `count` rows from `row` on, at most NL_LANES, in lanes. */
NL_INLINE void nl_affine_lanes(nl_affine_rows b, nl_act act, int keeps, int64_t row, int count,
                               int64_t c, nl_vec *G, nl_vec *H)
{
    nl_vec sg[NL_LANES + NL_ROWS_TOGETHER], sh[NL_LANES + NL_ROWS_TOGETHER];
    for (int i = 0; i < nl_added_together(count); i++)
        sg[i] = sh[i] = (nl_vec){0};
    for (int i = 0, run; i < count; i += run ? run : 1) {
        run =
            nl_live_run(b.x, row + i, count - i < NL_ROWS_TOGETHER ? count - i : NL_ROWS_TOGETHER);
        if (run == 0)
            nl_arrive_dead(b.g, row + i, c);
        else if (run == NL_ROWS_TOGETHER)
            affine_sums(b, act, keeps, row + i, NL_ROWS_TOGETHER, c, sg + i, sh + i);
        else if (run == 2)
            affine_sums(b, act, keeps, row + i, 2, c, sg + i, sh + i);
        else
            for (int j = i; j < i + run; j++)
                affine_sums(b, act, keeps, row + j, 1, c, sg + j, sh + j);
    }
    *G = nl_sum_across(sg, count);
    *H = nl_sum_across(sh, count);
}

/* ---- writes */

typedef struct nl_row_write {
    nl_rows x;
    nl_result to;
    const nl_real *center, *a, *d, *gamma, *beta;
} nl_row_write;

/* All rows are loaded before the first is stored: where x and y lie alike in their pages, as they
 * often do, loads would wait for stores. On Zen 4 a multiply-add whose addend is not the newest of
 * results waits for stores, too, so there is one of them and not two. */
NL_INLINE void write_step(nl_row_write b, row_coefficients q, nl_act act, int64_t row, int rows,
                          int64_t k, const nl_part *t, int stream)
{
    const nl_vec gamma = b.gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    const nl_vec beta = b.beta ? nl_load(b.beta + k, t) : nl_vec_of(0);
    nl_vec y[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_vec xc = nl_load(b.x.x + (row + r) * b.x.ld + k, t) - q.center[r];
        y[r] = nl_vec_fma(gamma, q.a[r] * xc + q.d[r], beta);
        if (b.to.residual)
            y[r] += nl_load(b.to.residual + (row + r) * b.to.ld + k, t);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        nl_put(b.to.y + (row + r) * b.to.ld + k, nl_act_of(act, y[r]), t, stream);
}

NL_INLINE void write_together(nl_row_write b, nl_act act, int64_t row, int rows, int64_t c,
                              int stream)
{
    const row_coefficients q = coefficients_of(b.center, b.a, b.d, row, rows);
    const int64_t end = nl_whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        write_step(b, q, act, row, rows, k, NULL, stream);
    if (end < c) {
        const nl_part t = nl_rest(c);
        write_step(b, q, act, row, rows, end, &t, 0);
    }
}

NL_INLINE void nl_write_rows(nl_row_write b, nl_act act, int64_t c)
{
    const int most = nl_written_together(b.x.ld);
    const int stream = b.to.stream && nl_can_stream(b.to.y, b.to.ld);
    for (int64_t i = 0, run; i < b.x.count; i += run ? run : 1) {
        run = nl_live_run(b.x, i, most);
        if (run == 0)
            nl_zero_row(b.to.y + i * b.to.ld, c);
        else if (run == NL_ROWS_TOGETHER)
            write_together(b, act, i, NL_ROWS_TOGETHER, c, stream);
        else
            for (int64_t j = i; j < i + run; j++)
                write_together(b, act, j, 1, c, stream);
    }
}

typedef struct nl_row_back {
    nl_rows x;
    const nl_real *g;
    nl_real *dx;
    int64_t ldg, lddx;
    const nl_real *gamma, *center, *a, *p, *q;
} nl_row_back;

NL_INLINE void back_step(nl_row_back b, row_coefficients q, const nl_vec *p, int64_t row, int rows,
                         int64_t k, const nl_part *t, int stream)
{
    const nl_vec gamma = b.gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    nl_vec dx[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_vec xc = nl_load(b.x.x + (row + r) * b.x.ld + k, t) - q.center[r];
        const nl_vec g = gamma * nl_load(b.g + (row + r) * b.ldg + k, t);
        dx[r] = nl_vec_fma(q.a[r], g, nl_vec_fma(p[r], xc, q.d[r]));
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        nl_put(b.dx + (row + r) * b.lddx + k, dx[r], t, stream);
}

NL_INLINE void back_together(nl_row_back b, int64_t row, int rows, int64_t c, int stream)
{
    const row_coefficients q = coefficients_of(b.center, b.a, b.q, row, rows);
    const int64_t end = nl_whole(c);
    nl_vec p[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        p[r] = nl_vec_of(b.p[row + r]);
    for (int64_t k = 0; k < end; k += NL_LANES)
        back_step(b, q, p, row, rows, k, NULL, stream);
    if (end < c) {
        const nl_part t = nl_rest(c);
        back_step(b, q, p, row, rows, end, &t, 0);
    }
}

NL_INLINE void nl_back_rows(nl_row_back b, int64_t c, int stream)
{
    const int most = nl_written_together(b.x.ld);
    stream = stream && nl_can_stream(b.dx, b.lddx);
    for (int64_t i = 0, run; i < b.x.count; i += run ? run : 1) {
        run = nl_live_run(b.x, i, most);
        if (run == 0)
            nl_zero_row(b.dx + i * b.lddx, c);
        else if (run == NL_ROWS_TOGETHER)
            back_together(b, i, NL_ROWS_TOGETHER, c, stream);
        else
            for (int64_t j = i; j < i + run; j++)
                back_together(b, j, 1, c, stream);
    }
}

#endif
