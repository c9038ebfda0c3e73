/* Statistics of rows, or of groups of channels in them ("parts"). NL_LANES parts go together: each
 * is summed into one register, and those are added up across, so that a part's sum does not depend
 * on its neighbours. */
#include <stdbool.h>

#include "kernel/area_inline.h"

enum {
    WAYS = 4,                        /* sums a part is dealt out to, so that adds overlap */
    LINE = 64 / (int)sizeof(nl_real) /* reals of a cache line */
};

typedef struct parts {
    const nl_real *x[NL_LANES], *g[NL_LANES]; /* x NULL: dead */
    int count;
} parts;

/* Takes the next parts, from group *group of row *row on. */
static parts next_parts(const nl_rows *r, const nl_real *g, int64_t ldg, int64_t width,
                        int64_t groups, int64_t *row, int64_t *group)
{
    parts p;
    for (p.count = 0; p.count < NL_LANES && *row < r->count; p.count++) {
        const int64_t at = *group * width;
        p.x[p.count] = nl_is_live(*r, *row) ? r->x + *row * r->ld + at : NULL;
        p.g[p.count] = g ? g + *row * ldg + at : NULL;
        if (++*group == groups)
            *group = 0, ++*row;
    }
    for (int i = p.count; i < NL_LANES; i++)
        p.x[i] = NULL;
    return p;
}

/* Adds the lanes `half` apart: of a where bit `half` of the lane is clear, of b where it is set. */
NL_INLINE nl_vec add_crosswise(nl_vec a, nl_vec b, int half)
{
    const nl_lanes lane = nl_lane_numbers(), of_b = (lane & half) * (NL_LANES / half);
    const nl_vec here = nl_vec_shuffle(a, b, lane + of_b);
    const nl_vec there = nl_vec_shuffle(b, a, lane + of_b);
    return here + nl_vec_shuffle(there, there, lane ^ half);
}

enum { FEW = 4 };

/* Registers that sum_across reads. */
NL_INLINE int added_together(int count)
{
    const int lanes = NL_LANES;
    return count <= FEW && FEW < lanes ? FEW : lanes;
}

/* Lane i becomes the sum of v[i], i < count <= NL_LANES; the others of v are 0. The lanes of a
 * register are added in the same order whatever the count. */
NL_INLINE nl_vec sum_across(nl_vec *v, int count)
{
    if (added_together(count) == FEW) {
#pragma GCC unroll 4
        for (int half = NL_LANES / 2; half >= FEW; half /= 2)
            for (int i = 0; i < FEW; i++)
                v[i] = add_crosswise(v[i], v[i], half);
#pragma GCC unroll 4
        for (int half = FEW / 2; half > 0; half /= 2)
            for (int i = 0; i < half; i++)
                v[i] = add_crosswise(v[i], v[i + half], half);
        return v[0];
    }
#pragma GCC unroll 4
    for (int half = NL_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] = add_crosswise(v[i], v[i + half], half);
    return v[0];
}

/* The caches are asked for half of a row that comes a tile later: while one pass over a tile reads
 * and sums, and while the other writes, so that memory is never idle. */
NL_INLINE void fetch(const nl_real *row, int64_t from, int64_t to)
{
    for (int64_t k = from; k < to; k += LINE)
        __builtin_prefetch(row + k, 0, 2);
}
NL_INLINE void fetch_first_half(const nl_real *row, int64_t c) { fetch(row, 0, c / 2); }
NL_INLINE void fetch_second_half(const nl_real *row, int64_t c) { fetch(row, c / 2, c); }

/* ---- moments */

/* A part fills lane l of its registers n[l] times. */
typedef struct lane_counts {
    nl_vec n, per_n; /* per_n is 0 where n is */
} lane_counts;

static lane_counts lane_counts_of(int64_t c)
{
    const nl_real less = (nl_real)(c / NL_LANES), more = less + 1;
    const nl_lanes has_more = nl_lane_numbers() < (int)(c % NL_LANES);
    return (lane_counts){
        nl_vec_choose(has_more, nl_vec_of(more), nl_vec_of(less)),
        nl_vec_choose(has_more, nl_vec_of(1 / more), nl_vec_of(less > 0 ? 1 / less : 0))};
}

NL_INLINE nl_vec first_register(const nl_real *x, int64_t c)
{
    return c < NL_LANES ? nl_vec_load_part(x, nl_rest(c)) : nl_vec_load(x);
}

NL_INLINE void add_moments(nl_vec d, nl_vec *s1, nl_vec *s2)
{
    *s1 += d;
    *s2 = nl_vec_fma(d, d, *s2);
}

/* s1 = sum d, s2 = sum d^2 of each lane, d = x - shift, where shift is the first register. */
NL_INLINE void lane_sums(const nl_real *x, int64_t c, nl_vec shift, nl_vec *s1, nl_vec *s2)
{
    nl_vec sum[WAYS] = {{0}}, squares[WAYS] = {{0}};
    const bool dealt = c >= (1 + WAYS) * NL_LANES;
    int64_t k = NL_LANES;
    for (; dealt && k + WAYS * NL_LANES <= c; k += WAYS * NL_LANES)
#pragma GCC unroll 4
        for (int w = 0; w < WAYS; w++)
            add_moments(nl_vec_load(x + k + w * NL_LANES) - shift, &sum[w], &squares[w]);
    if (dealt) {
        sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        squares[0] = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    }
    for (; k + NL_LANES <= c; k += NL_LANES)
        add_moments(nl_vec_load(x + k) - shift, &sum[0], &squares[0]);
    if (k < c) {
        const nl_part t = nl_rest(c);
        add_moments(nl_vec_load_part(x + k, t) - nl_vec_keep_part(shift, t), &sum[0], &squares[0]);
    }
    *s1 = sum[0];
    *s2 = squares[0];
}

/* Moments of one part's lanes: their means about the part's first value, and squares about each
 * lane's own mean. A lane's sums are about a value of its own, so that s2 is at most n times what
 * is left of it. */
NL_INLINE void lane_moments(const nl_real *x, int64_t c, lane_counts lanes, nl_vec *mean,
                            nl_vec *m2)
{
    const nl_vec shift = first_register(x, c);
    nl_vec s1, s2;
    lane_sums(x, c, shift, &s1, &s2);
    const nl_vec off = s1 * lanes.per_n;
    *mean = off + (shift - nl_vec_of(x[0]));
    *m2 = nl_vec_fma(-s1, off, s2);
}

/* Merges the lanes of NL_LANES parts (Chan, Golub & LeVeque 1983):
 * mean = sum n mean_l / c, m2 = sum m2_l + n (mean_l - mean)^2. */
NL_INLINE void moments_of_parts(const parts *p, int64_t c, lane_counts lanes, double *mean,
                                double *m2)
{
    nl_vec lane_mean[NL_LANES], lane_m2[NL_LANES], sum[NL_LANES];
    nl_real first[NL_LANES], off[NL_LANES], squares[NL_LANES];
    const int together = added_together(p->count);
    for (int i = 0; i < together; i++) {
        lane_mean[i] = lane_m2[i] = (nl_vec){0};
        first[i] = 0;
        if (p->x[i]) {
            lane_moments(p->x[i], c, lanes, &lane_mean[i], &lane_m2[i]);
            first[i] = p->x[i][0];
        }
        sum[i] = lanes.n * lane_mean[i];
    }
    nl_vec_store(off, sum_across(sum, p->count) * ((nl_real)1 / (nl_real)c));
    for (int i = 0; i < together; i++) {
        const nl_vec from_mean = lane_mean[i] - nl_vec_of(off[i]);
        sum[i] = nl_vec_fma(lanes.n * from_mean, from_mean, lane_m2[i]);
    }
    nl_vec_store(squares, sum_across(sum, p->count));
    for (int i = 0; i < p->count; i++) {
        mean[i] = (double)first[i] + (double)off[i];
        m2[i] = squares[i] < 0 ? 0 : (double)squares[i];
    }
}

/* The sum of squares of one part. */
NL_INLINE nl_vec squares_of(const nl_real *x, int64_t c)
{
    nl_vec sum[WAYS] = {{0}};
    int64_t k = 0;
    for (; k + WAYS * NL_LANES <= c; k += WAYS * NL_LANES)
#pragma GCC unroll 4
        for (int w = 0; w < WAYS; w++) {
            const nl_vec v = nl_vec_load(x + k + w * NL_LANES);
            sum[w] = nl_vec_fma(v, v, sum[w]);
        }
    for (; k + NL_LANES <= c; k += NL_LANES) {
        const nl_vec v = nl_vec_load(x + k);
        sum[0] = nl_vec_fma(v, v, sum[0]);
    }
    if (k < c) {
        const nl_vec v = nl_vec_load_part(x + k, nl_rest(c));
        sum[1] = nl_vec_fma(v, v, sum[1]);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void squares_of_parts(const parts *p, int64_t c, double *mean, double *m2)
{
    nl_vec sum[NL_LANES];
    nl_real squares[NL_LANES];
    for (int i = 0; i < added_together(p->count); i++)
        sum[i] = p->x[i] ? squares_of(p->x[i], c) : (nl_vec){0};
    nl_vec_store(squares, sum_across(sum, p->count));
    for (int i = 0; i < p->count; i++) {
        mean[i] = 0;
        m2[i] = (double)squares[i];
    }
}

static void row_moments(nl_rows r, int64_t c, int64_t groups, int about_zero, int fetches,
                        double *mean, double *m2)
{
    const int64_t width = c / groups;
    const lane_counts lanes = lane_counts_of(width);
    for (int64_t row = 0, group = 0; row < r.count;) {
        const int64_t from = row;
        const parts p = next_parts(&r, NULL, 0, width, groups, &row, &group);
        for (int64_t i = from; fetches && i < row; i++)
            fetch_first_half(r.x + (i + r.count) * r.ld, c);
        if (about_zero)
            squares_of_parts(&p, width, mean, m2);
        else
            moments_of_parts(&p, width, lanes, mean, m2);
        mean += p.count, m2 += p.count;
    }
}

/* ---- gradients */

NL_INLINE void part_gradients(const nl_real *x, const nl_real *g, int64_t c, nl_real center,
                              nl_vec *G, nl_vec *H)
{
    nl_vec sg[WAYS] = {{0}}, sgx[WAYS] = {{0}};
    const nl_vec m = nl_vec_of(center);
    int64_t k = 0;
    for (int w = 0; k + NL_LANES <= c; k += NL_LANES, w = (w + 1) % WAYS) {
        const nl_vec gk = nl_vec_load(g + k);
        sg[w] += gk;
        sgx[w] = nl_vec_fma(gk, nl_vec_load(x + k) - m, sgx[w]);
    }
    if (k < c) {
        const nl_part t = nl_rest(c);
        const nl_vec gk = nl_vec_load_part(g + k, t);
        sg[1] += gk;
        sgx[1] = nl_vec_fma(gk, nl_vec_load_part(x + k, t) - m, sgx[1]);
    }
    *G = (sg[0] + sg[1]) + (sg[2] + sg[3]);
    *H = (sgx[0] + sgx[1]) + (sgx[2] + sgx[3]);
}

static void put_sums(nl_vec *v, int count, double *to)
{
    nl_real sum[NL_LANES];
    nl_vec_store(sum, sum_across(v, count));
    for (int i = 0; i < count; i++)
        to[i] = (double)sum[i];
}

static void row_gradients(nl_rows x, const nl_real *g, int64_t ldg, int64_t c, int64_t groups,
                          const nl_real *center, double *G, double *H)
{
    const int64_t width = c / groups;
    for (int64_t row = 0, group = 0; row < x.count;) {
        const parts p = next_parts(&x, g, ldg, width, groups, &row, &group);
        nl_vec sg[NL_LANES], sh[NL_LANES];
        for (int i = 0; i < added_together(p.count); i++) {
            sg[i] = sh[i] = (nl_vec){0};
            if (p.x[i])
                part_gradients(p.x[i], p.g[i], width, center[i], &sg[i], &sh[i]);
        }
        put_sums(sg, p.count, G);
        put_sums(sh, p.count, H);
        center += p.count, G += p.count, H += p.count;
    }
}

/* Whole rows, with gamma and the sums for gamma and beta. */
typedef struct affine_rows {
    nl_rows x;
    nl_arriving g;
    const nl_real *gamma, *center, *a, *d;
    nl_real *dgamma, *dbeta;
} affine_rows;

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

NL_INLINE void affine_step(affine_rows b, row_coefficients q, nl_act act, int keeps, int64_t row,
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

NL_INLINE void affine_sums(affine_rows b, nl_act act, int keeps, int64_t row, int rows, int64_t c,
                           nl_vec *G, nl_vec *H)
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

/* `count` rows from `row` on, at most NL_LANES. */
NL_INLINE void affine_parts(affine_rows b, nl_act act, int keeps, int64_t row, int count, int64_t c,
                            double *G, double *H)
{
    nl_vec sg[NL_LANES + NL_ROWS_TOGETHER], sh[NL_LANES + NL_ROWS_TOGETHER];
    for (int i = 0; i < added_together(count); i++)
        sg[i] = sh[i] = (nl_vec){0};
    for (int i = 0, run; i < count; i += run ? run : 1) {
        run =
            nl_live_run(b.x, row + i, count - i < NL_ROWS_TOGETHER ? count - i : NL_ROWS_TOGETHER);
        if (run == 0)
            nl_arrive_dead(b.g, row + i, c);
        else if (run == NL_ROWS_TOGETHER)
            affine_sums(b, act, keeps, row + i, NL_ROWS_TOGETHER, c, sg + i, sh + i);
        else
            for (int j = i; j < i + run; j++)
                affine_sums(b, act, keeps, row + j, 1, c, sg + j, sh + j);
    }
    put_sums(sg, count, G + row);
    put_sums(sh, count, H + row);
}

NL_INLINE void affine_all(affine_rows b, nl_act act, int keeps, int64_t c, double *G, double *H,
                          int fetches)
{
    for (int64_t row = 0; row < b.x.count; row += NL_LANES) {
        const int64_t left = b.x.count - row;
        const int count = left < NL_LANES ? (int)left : NL_LANES;
        for (int64_t i = row + b.x.count; fetches && i < row + b.x.count + count; i++) {
            fetch_first_half(b.x.x + i * b.x.ld, c);
            fetch_first_half(b.g.dy + i * b.g.ld, c);
        }
        affine_parts(b, act, keeps, row, count, c, G, H);
    }
}

static void row_gradients_affine(nl_rows x, const nl_arriving *g, int64_t c, const nl_real *gamma,
                                 const nl_real *center, const nl_real *a, const nl_real *d,
                                 double *G, double *H, nl_real *dgamma, nl_real *dbeta, int fetches)
{
    const affine_rows b = {x, *g, gamma, center, a, d, dgamma, dbeta};
#define CALL(act, keeps) affine_all(b, act, keeps, c, G, H, fetches)
    NL_EACH_ARRIVING(*g, CALL)
#undef CALL
}

/* ---- writes */

typedef struct row_write {
    nl_rows x;
    nl_result to;
    const nl_real *center, *a, *d, *gamma, *beta;
} row_write;

/* All rows are loaded before the first is stored: where x and y lie alike in their pages, as they
 * often do, loads would wait for stores. */
NL_INLINE void write_step(row_write b, row_coefficients q, nl_act act, int64_t row, int rows,
                          int64_t k, const nl_part *t, int stream)
{
    const nl_vec gamma = b.gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    const nl_vec beta = b.beta ? nl_load(b.beta + k, t) : nl_vec_of(0);
    nl_vec y[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_vec xc = nl_load(b.x.x + (row + r) * b.x.ld + k, t) - q.center[r];
        y[r] = nl_vec_fma(gamma, nl_vec_fma(q.a[r], xc, q.d[r]), beta);
        if (b.to.residual)
            y[r] += nl_load(b.to.residual + (row + r) * b.to.ld + k, t);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        nl_put(b.to.y + (row + r) * b.to.ld + k, nl_act_of(act, y[r]), t, stream);
}

NL_INLINE void write_together(row_write b, nl_act act, int64_t row, int rows, int64_t c, int stream)
{
    const row_coefficients q = coefficients_of(b.center, b.a, b.d, row, rows);
    const int64_t end = nl_whole(c);
    for (int64_t r = row; stream && r < row + rows; r++)
        fetch_second_half(b.x.x + (r + b.x.count) * b.x.ld, c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        write_step(b, q, act, row, rows, k, NULL, stream);
    if (end < c) {
        const nl_part t = nl_rest(c);
        write_step(b, q, act, row, rows, end, &t, 0);
    }
}

NL_INLINE void write_as(row_write b, nl_act act, int64_t c)
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

static void write_rows(nl_rows x, const nl_result *to, int64_t c, const nl_real *center,
                       const nl_real *a, const nl_real *d, const nl_real *gamma,
                       const nl_real *beta)
{
    const row_write b = {x, *to, center, a, d, gamma, beta};
#define CALL(act) write_as(b, act, c)
    NL_EACH_RESULT(to->act, CALL)
#undef CALL
}

typedef struct back_args {
    nl_rows x;
    const nl_real *g;
    nl_real *dx;
    int64_t ldg, lddx;
    const nl_real *gamma, *center, *a, *p, *q;
} back_args;

NL_INLINE void back_step(back_args b, row_coefficients q, const nl_vec *p, int64_t row, int rows,
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

NL_INLINE void back_together(back_args b, int64_t row, int rows, int64_t c, int stream)
{
    const row_coefficients q = coefficients_of(b.center, b.a, b.q, row, rows);
    const int64_t end = nl_whole(c);
    nl_vec p[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        p[r] = nl_vec_of(b.p[row + r]);
    for (int64_t r = row + b.x.count; stream && r < row + b.x.count + rows; r++) {
        fetch_second_half(b.x.x + r * b.x.ld, c);
        fetch_second_half(b.g + r * b.ldg, c);
    }
    for (int64_t k = 0; k < end; k += NL_LANES)
        back_step(b, q, p, row, rows, k, NULL, stream);
    if (end < c) {
        const nl_part t = nl_rest(c);
        back_step(b, q, p, row, rows, end, &t, 0);
    }
}

static void back_rows(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                      int64_t c, const nl_real *gamma, const nl_real *center, const nl_real *a,
                      const nl_real *p, const nl_real *q, int stream)
{
    const back_args b = {x, g, dx, ldg, lddx, gamma, center, a, p, q};
    const int most = nl_written_together(x.ld);
    stream = stream && nl_can_stream(dx, lddx);
    for (int64_t i = 0, run; i < x.count; i += run ? run : 1) {
        run = nl_live_run(x, i, most);
        if (run == 0)
            nl_zero_row(dx + i * lddx, c);
        else if (run == NL_ROWS_TOGETHER)
            back_together(b, i, NL_ROWS_TOGETHER, c, stream);
        else
            for (int64_t j = i; j < i + run; j++)
                back_together(b, j, 1, c, stream);
    }
}

const nl_row_kernels NL_VARIANT(nl_row_kernel) = {
    .moments = row_moments,
    .gradients = row_gradients,
    .gradients_affine = row_gradients_affine,
    .write = write_rows,
    .back = back_rows,
};
