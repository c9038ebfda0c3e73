#include "kernel/area.h"

#include <string.h>

#include "kernel/vec.h"

enum {
    RUN = 128, /* rows summed in the storage type before they are merged in double */
    ROWS = 4,  /* rows that share one load of what is per channel */
    WAYS = 4   /* independent sums a row is dealt out to, so that adds overlap */
};

#define INLINE static inline __attribute__((always_inline))

static int is_live(const nl_rows *r, int64_t i) { return !r->live || r->live[i * r->live_step]; }

/* A row as whole registers and a part of one: `t` is NULL for whole ones. */
INLINE nl_vec load(const nl_real *p, const nl_part *t)
{
    return t ? nl_vec_load_part(p, *t) : nl_vec_load(p);
}

INLINE void store(nl_real *p, nl_vec v, const nl_part *t, int stream)
{
    if (t)
        nl_vec_store_part(p, v, *t);
    else if (stream)
        nl_vec_stream(p, v);
    else
        nl_vec_store(p, v);
}

INLINE int64_t whole(int64_t c) { return c / NL_LANES * NL_LANES; }
INLINE nl_part rest(int64_t c) { return nl_part_of((int)(c % NL_LANES)); }

/* Rows from i on that are all live, at most `most`; 0 when i is dead. */
static int live_run(const nl_rows *r, int64_t i, int most)
{
    int run = 0;
    while (run < most && i + run < r->count && is_live(r, i + run))
        run++;
    return run;
}

/* ---- per channel, over rows */

/* s1 += d, s2 += d^2 for each row, d = x - shift; rows one after another, so that the sums do not
 * depend on how rows come together here. */
INLINE void shifted_step(const nl_real *x, int64_t ld, int rows, const nl_real *shift, nl_real *s1,
                         nl_real *s2, const nl_part *t)
{
    const nl_vec from = load(shift, t);
    nl_vec sum = load(s1, t), squares = load(s2, t);
    for (int r = 0; r < rows; r++) {
        const nl_vec d = load(x + r * ld, t) - from;
        sum += d;
        squares = nl_vec_fma(d, d, squares);
    }
    store(s1, sum, t, 0);
    store(s2, squares, t, 0);
}

INLINE void shifted_rows(const nl_real *x, int64_t ld, int rows, int64_t c, const nl_real *shift,
                         nl_real *s1, nl_real *s2)
{
    const int64_t end = whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        shifted_step(x + k, ld, rows, shift + k, s1 + k, s2 + k, NULL);
    if (end < c) {
        const nl_part t = rest(c);
        shifted_step(x + end, ld, rows, shift + end, s1 + end, s2 + end, &t);
    }
}

/* Sums over the live rows of a run, which are counted. */
static int64_t shifted_sums(nl_rows r, int64_t c, const nl_real *shift, nl_real *s1, nl_real *s2)
{
    int64_t m = 0;
    for (int64_t i = 0, run; i < r.count; i += run ? run : 1) {
        run = live_run(&r, i, ROWS);
        if (run == ROWS)
            shifted_rows(r.x + i * r.ld, r.ld, ROWS, c, shift, s1, s2);
        else
            for (int64_t j = i; j < i + run; j++)
                shifted_rows(r.x + j * r.ld, r.ld, 1, c, shift, s1, s2);
        m += run;
    }
    return m;
}

/* Chan's update: (count, mean, m2) takes in m values of sum shift m + s1 and squares s2 about
 * shift. */
static void merge_shifted(int64_t c, double count, double *restrict mean, double *restrict m2,
                          double m, const nl_real *restrict shift, const nl_real *restrict s1,
                          const nl_real *restrict s2)
{
    const double per_m = 1 / m, share = m / (count + m), cross = count * share;
    for (int64_t k = 0; k < c; k++) {
        const double off = (double)s1[k] * per_m, here = (double)shift[k] + off;
        const double squares = (double)s2[k] - (double)s1[k] * off;
        const double delta = here - mean[k];
        mean[k] += delta * share;
        m2[k] += (squares < 0 ? 0 : squares) + delta * delta * cross;
    }
}

static int64_t first_live(const nl_rows *r, int64_t from)
{
    while (from < r->count && !is_live(r, from))
        from++;
    return from;
}

/* `rows` rows from `from` on. */
static nl_rows part_of(const nl_rows *r, int64_t from, int64_t rows)
{
    return (nl_rows){r->x + from * r->ld, r->ld, rows,
                     r->live ? r->live + from * r->live_step : NULL, r->live_step};
}

static int64_t run_from(const nl_rows *r, int64_t from)
{
    return r->count - from < RUN ? r->count - from : RUN;
}

static void column_moments(nl_rows r, int64_t c, double *count, double *mean, double *m2,
                           nl_real *scratch)
{
    nl_real *shift = scratch, *s1 = scratch + c, *s2 = scratch + 2 * c;
    for (int64_t from = first_live(&r, 0); from < r.count; from = first_live(&r, from + RUN)) {
        memcpy(shift, r.x + from * r.ld, (size_t)c * sizeof *shift);
        memset(s1, 0, (size_t)(2 * c) * sizeof *s1);
        const int64_t m = shifted_sums(part_of(&r, from, run_from(&r, from)), c, shift, s1, s2);
        merge_shifted(c, *count, mean, m2, (double)m, shift, s1, s2);
        *count += (double)m;
    }
}

static void merge_moments(int64_t c, double *count, double *restrict mean, double *restrict m2,
                          double from_count, const double *restrict from_mean,
                          const double *restrict from_m2)
{
    if (from_count == 0)
        return;
    const double share = from_count / (*count + from_count), cross = *count * share;
    for (int64_t k = 0; k < c; k++) {
        const double delta = from_mean[k] - mean[k];
        mean[k] += delta * share;
        m2[k] += from_m2[k] + delta * delta * cross;
    }
    *count += from_count;
}

INLINE void gradient_step(const nl_real *x, int64_t ldx, const nl_real *g, int64_t ldg, int rows,
                          const nl_real *center, nl_real *sg, nl_real *sgx, const nl_part *t)
{
    const nl_vec m = load(center, t);
    nl_vec sum = load(sg, t), products = load(sgx, t);
    for (int r = 0; r < rows; r++) {
        const nl_vec gr = load(g + r * ldg, t);
        sum += gr;
        products = nl_vec_fma(gr, load(x + r * ldx, t) - m, products);
    }
    store(sg, sum, t, 0);
    store(sgx, products, t, 0);
}

INLINE void gradient_rows(const nl_real *x, int64_t ldx, const nl_real *g, int64_t ldg, int rows,
                          int64_t c, const nl_real *center, nl_real *sg, nl_real *sgx)
{
    const int64_t end = whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        gradient_step(x + k, ldx, g + k, ldg, rows, center + k, sg + k, sgx + k, NULL);
    if (end < c) {
        const nl_part t = rest(c);
        gradient_step(x + end, ldx, g + end, ldg, rows, center + end, sg + end, sgx + end, &t);
    }
}

static void gradient_sums(nl_rows r, const nl_real *g, int64_t ldg, int64_t c,
                          const nl_real *center, nl_real *sg, nl_real *sgx)
{
    for (int64_t i = 0, run; i < r.count; i += run ? run : 1) {
        run = live_run(&r, i, ROWS);
        if (run == ROWS)
            gradient_rows(r.x + i * r.ld, r.ld, g + i * ldg, ldg, ROWS, c, center, sg, sgx);
        else
            for (int64_t j = i; j < i + run; j++)
                gradient_rows(r.x + j * r.ld, r.ld, g + j * ldg, ldg, 1, c, center, sg, sgx);
    }
}

static void add_to_double(double *restrict to, const nl_real *restrict from, int64_t c)
{
    for (int64_t k = 0; k < c; k++)
        to[k] += (double)from[k];
}

static void column_gradients(nl_rows x, const nl_real *g, int64_t ldg, int64_t c,
                             const nl_real *center, double *G, double *H, nl_real *scratch)
{
    nl_real *sg = scratch, *sgx = scratch + c;
    for (int64_t from = 0; from < x.count; from += RUN) {
        memset(sg, 0, (size_t)(2 * c) * sizeof *sg);
        gradient_sums(part_of(&x, from, run_from(&x, from)), g + from * ldg, ldg, c, center, sg,
                      sgx);
        add_to_double(G, sg, c);
        add_to_double(H, sgx, c);
    }
}

static void column_sums(nl_rows x, int64_t c, double *sum, nl_real *scratch)
{
    for (int64_t from = 0; from < x.count; from += RUN) {
        const int64_t to = from + run_from(&x, from);
        memset(scratch, 0, (size_t)c * sizeof *scratch);
        for (int64_t i = from; i < to; i++) {
            const nl_real *restrict xi = x.x + i * x.ld;
            if (!is_live(&x, i))
                continue;
            for (int64_t k = 0; k < c; k++)
                scratch[k] += xi[k];
        }
        add_to_double(sum, scratch, c);
    }
}

/* ---- per row, over channels. NL_LANES rows (or groups of channels, "parts") go together: each is
 * summed into one register, and those are added up across, so that a part's sum does not depend on
 * its neighbours. */

typedef struct parts {
    const nl_real *x[NL_LANES], *g[NL_LANES], *gamma[NL_LANES]; /* x NULL: dead */
    int count;
} parts;

/* Lane i becomes the sum of v[i]. Halves are added crosswise, then halves of halves. */
INLINE nl_vec sum_across(nl_vec *v)
{
    const nl_lanes lane = nl_lane_numbers();
#pragma GCC unroll 4
    for (int half = NL_LANES / 2; half > 0; half /= 2) {
        const nl_lanes other = (lane & half) * (NL_LANES / half);
        for (int i = 0; i < half; i++)
            v[i] = nl_vec_shuffle(v[i], v[i + half], lane + other) +
                   nl_vec_shuffle(v[i], v[i + half], (lane ^ half) + other);
    }
    return v[0];
}

static const nl_real ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

INLINE nl_vec part_sum(const nl_real *x, int64_t c)
{
    nl_vec sum[WAYS] = {{0}};
    int64_t k = 0;
    for (; k + WAYS * NL_LANES <= c; k += WAYS * NL_LANES)
        for (int w = 0; w < WAYS; w++)
            sum[w] += nl_vec_load(x + k + w * NL_LANES);
    for (; k + NL_LANES <= c; k += NL_LANES)
        sum[0] += nl_vec_load(x + k);
    if (k < c)
        sum[1] += nl_vec_load_part(x + k, rest(c));
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* s1 = sum d, s2 = sum d^2, d = x - shift. */
INLINE void part_squares(const nl_real *x, int64_t c, nl_real shift, nl_vec *s1, nl_vec *s2)
{
    nl_vec sum[WAYS] = {{0}}, squares[WAYS] = {{0}};
    const nl_vec from = nl_vec_of(shift);
    int64_t k = 0;
    for (; k + WAYS * NL_LANES <= c; k += WAYS * NL_LANES)
        for (int w = 0; w < WAYS; w++) {
            const nl_vec d = nl_vec_load(x + k + w * NL_LANES) - from;
            sum[w] += d;
            squares[w] = nl_vec_fma(d, d, squares[w]);
        }
    for (; k + NL_LANES <= c; k += NL_LANES) {
        const nl_vec d = nl_vec_load(x + k) - from;
        sum[0] += d;
        squares[0] = nl_vec_fma(d, d, squares[0]);
    }
    if (k < c) {
        const nl_part t = rest(c);
        const nl_vec d = (nl_vec_load_part(x + k, t) - from) * nl_vec_load_part(ones, t);
        sum[1] += d;
        squares[1] = nl_vec_fma(d, d, squares[1]);
    }
    *s1 = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    *s2 = (squares[0] + squares[1]) + (squares[2] + squares[3]);
}

/* Two passes over parts that stay in cache: the mean, then squares about it, corrected. */
static void moments_of_parts(const parts *p, int64_t c, double *mean, double *m2)
{
    nl_vec v1[NL_LANES], v2[NL_LANES];
    for (int i = 0; i < NL_LANES; i++)
        v1[i] = p->x[i] ? part_sum(p->x[i], c) : (nl_vec){0};
    nl_real shift[NL_LANES], s1[NL_LANES], s2[NL_LANES];
    nl_vec_store(shift, sum_across(v1) * ((nl_real)1 / (nl_real)c));
    for (int i = 0; i < NL_LANES; i++) {
        v1[i] = v2[i] = (nl_vec){0};
        if (p->x[i])
            part_squares(p->x[i], c, shift[i], &v1[i], &v2[i]);
    }
    nl_vec_store(s1, sum_across(v1));
    nl_vec_store(s2, sum_across(v2));
    const double per_c = 1 / (double)c;
    for (int i = 0; i < NL_LANES && i < p->count; i++) {
        const double off = (double)s1[i] * per_c;
        const double squares = (double)s2[i] - (double)s1[i] * off;
        mean[i] = (double)shift[i] + off;
        m2[i] = squares < 0 ? 0 : squares;
    }
}

static void squares_of_parts(const parts *p, int64_t c, double *mean, double *m2)
{
    nl_vec unused, v[NL_LANES];
    for (int i = 0; i < NL_LANES; i++) {
        v[i] = (nl_vec){0};
        if (p->x[i])
            part_squares(p->x[i], c, 0, &unused, &v[i]);
    }
    const nl_vec squares = sum_across(v);
    for (int i = 0; i < p->count; i++) {
        mean[i] = 0;
        m2[i] = (double)squares[i];
    }
}

/* Takes the next parts, from group *group of row *row on. */
static parts next_parts(const nl_rows *r, const nl_real *g, int64_t ldg, const nl_real *gamma,
                        int64_t width, int64_t groups, int64_t *row, int64_t *group)
{
    parts p;
    for (p.count = 0; p.count < NL_LANES && *row < r->count; p.count++) {
        const int64_t at = *group * width;
        p.x[p.count] = is_live(r, *row) ? r->x + *row * r->ld + at : NULL;
        p.g[p.count] = g ? g + *row * ldg + at : NULL;
        p.gamma[p.count] = gamma ? gamma + at : NULL;
        if (++*group == groups)
            *group = 0, ++*row;
    }
    for (int i = p.count; i < NL_LANES; i++)
        p.x[i] = NULL;
    return p;
}

static void row_moments(nl_rows r, int64_t c, int64_t groups, int about_zero, double *mean,
                        double *m2)
{
    const int64_t width = c / groups;
    for (int64_t row = 0, group = 0; row < r.count;) {
        const parts p = next_parts(&r, NULL, 0, NULL, width, groups, &row, &group);
        (about_zero ? squares_of_parts : moments_of_parts)(&p, width, mean, m2);
        mean += p.count, m2 += p.count;
    }
}

INLINE void part_gradient_step(const nl_real *x, const nl_real *dy, const nl_real *gamma,
                               nl_vec center, nl_vec *sg, nl_vec *sgx, const nl_part *t)
{
    nl_vec g = load(dy, t);
    if (gamma)
        g *= load(gamma, t);
    *sg += g;
    *sgx = nl_vec_fma(g, load(x, t) - center, *sgx);
}

INLINE void part_gradients(const nl_real *x, const nl_real *dy, int64_t c, const nl_real *gamma,
                           nl_real center, nl_vec *G, nl_vec *H)
{
    nl_vec sg[WAYS] = {{0}}, sgx[WAYS] = {{0}};
    const nl_vec m = nl_vec_of(center);
    int64_t k = 0;
    for (; k + WAYS * NL_LANES <= c; k += WAYS * NL_LANES)
        for (int w = 0; w < WAYS; w++) {
            const int64_t at = k + w * NL_LANES;
            part_gradient_step(x + at, dy + at, gamma ? gamma + at : NULL, m, &sg[w], &sgx[w],
                               NULL);
        }
    for (; k + NL_LANES <= c; k += NL_LANES)
        part_gradient_step(x + k, dy + k, gamma ? gamma + k : NULL, m, &sg[0], &sgx[0], NULL);
    if (k < c) {
        const nl_part t = rest(c);
        part_gradient_step(x + k, dy + k, gamma ? gamma + k : NULL, m, &sg[1], &sgx[1], &t);
    }
    *G = (sg[0] + sg[1]) + (sg[2] + sg[3]);
    *H = (sgx[0] + sgx[1]) + (sgx[2] + sgx[3]);
}

static void gradients_of_parts(const parts *p, int64_t c, const nl_real *center, double *G,
                               double *H)
{
    nl_vec vg[NL_LANES], vh[NL_LANES];
    for (int i = 0; i < NL_LANES; i++) {
        vg[i] = vh[i] = (nl_vec){0};
        if (p->x[i])
            part_gradients(p->x[i], p->g[i], c, p->gamma[i], center[i], &vg[i], &vh[i]);
    }
    const nl_vec sg = sum_across(vg), sh = sum_across(vh);
    for (int i = 0; i < p->count; i++)
        G[i] = (double)sg[i], H[i] = (double)sh[i];
}

static void row_gradients(nl_rows x, const nl_real *dy, int64_t lddy, int64_t c, int64_t groups,
                          const nl_real *gamma, const nl_real *center, double *G, double *H)
{
    const int64_t width = c / groups;
    for (int64_t row = 0, group = 0; row < x.count;) {
        const parts p = next_parts(&x, dy, lddy, gamma, width, groups, &row, &group);
        gradients_of_parts(&p, width, center, G, H);
        center += p.count, G += p.count, H += p.count;
    }
}

/* The same for whole rows, with the sums for gamma and beta on the way. */
typedef struct affine_rows {
    const nl_real *gamma;
    nl_real *dgamma, *dbeta;
    nl_vec center[ROWS], a[ROWS], d[ROWS]; /* of the rows in hand */
} affine_rows;

INLINE void affine_step(const affine_rows *b, const nl_real *const *x, const nl_real *const *dy,
                        int rows, int64_t k, nl_vec *G, nl_vec *H, const nl_part *t)
{
    const nl_vec gamma = b->gamma ? load(b->gamma + k, t) : nl_vec_of(1);
    nl_vec dgamma = load(b->dgamma + k, t), dbeta = load(b->dbeta + k, t);
    for (int r = 0; r < rows; r++) {
        const nl_vec dyr = load(dy[r] + k, t), xc = load(x[r] + k, t) - b->center[r];
        const nl_vec g = b->gamma ? gamma * dyr : dyr;
        G[r] += g;
        H[r] = nl_vec_fma(g, xc, H[r]);
        dgamma = nl_vec_fma(dyr, nl_vec_fma(b->a[r], xc, b->d[r]), dgamma);
        dbeta += dyr;
    }
    store(b->dgamma + k, dgamma, t, 0);
    store(b->dbeta + k, dbeta, t, 0);
}

INLINE void affine_rows_of(const affine_rows *b, const nl_real *const *x, const nl_real *const *dy,
                           int rows, int64_t c, nl_vec *G, nl_vec *H)
{
    const int64_t end = whole(c);
    nl_vec sg[ROWS] = {{0}}, sh[ROWS] = {{0}};
    for (int64_t k = 0; k < end; k += NL_LANES)
        affine_step(b, x, dy, rows, k, sg, sh, NULL);
    if (end < c) {
        const nl_part t = rest(c);
        affine_step(b, x, dy, rows, end, sg, sh, &t);
    }
    for (int r = 0; r < rows; r++)
        G[r] = sg[r], H[r] = sh[r];
}

static void row_gradients_affine(nl_rows x, const nl_real *dy, int64_t lddy, int64_t c,
                                 const nl_real *gamma, const nl_real *center, const nl_real *a,
                                 const nl_real *d, double *G, double *H, nl_real *dgamma,
                                 nl_real *dbeta)
{
    affine_rows b = {.gamma = gamma, .dgamma = dgamma, .dbeta = dbeta};
    for (int64_t row = 0, group = 0; row < x.count;) {
        const int64_t first = row;
        const parts p = next_parts(&x, dy, lddy, gamma, c, 1, &row, &group);
        nl_vec vg[NL_LANES + ROWS], vh[NL_LANES + ROWS];
        for (int i = 0; i < NL_LANES; i++)
            vg[i] = vh[i] = (nl_vec){0};
        for (int i = 0, run; i < p.count; i += run ? run : 1) {
            const int left = p.count - i;
            run = live_run(&x, first + i, left < ROWS ? left : ROWS);
            for (int r = 0; r < run; r++) {
                b.center[r] = nl_vec_of(center[i + r]);
                b.a[r] = nl_vec_of(a[i + r]), b.d[r] = nl_vec_of(d[i + r]);
            }
            switch (run) {
            case 1: affine_rows_of(&b, p.x + i, p.g + i, 1, c, vg + i, vh + i); break;
            case 2: affine_rows_of(&b, p.x + i, p.g + i, 2, c, vg + i, vh + i); break;
            case 3: affine_rows_of(&b, p.x + i, p.g + i, 3, c, vg + i, vh + i); break;
            case 4: affine_rows_of(&b, p.x + i, p.g + i, 4, c, vg + i, vh + i); break;
            }
        }
        const nl_vec sg = sum_across(vg), sh = sum_across(vh);
        for (int i = 0; i < p.count; i++)
            G[i] = (double)sg[i], H[i] = (double)sh[i];
        center += p.count, a += p.count, d += p.count, G += p.count, H += p.count;
    }
}

/* ---- writes. What is streamed goes past the caches: it is too large to stay there. */

static void zero_row(nl_real *y, int64_t c) { memset(y, 0, (size_t)c * sizeof *y); }

static int can_stream(const nl_real *y, int64_t ldy)
{
    return (uintptr_t)y % NL_VECTOR_BYTES == 0 && ldy % NL_LANES == 0;
}

INLINE void columns_step(const nl_real *x, int64_t ldx, nl_real *y, int64_t ldy, int rows,
                         nl_columns q, int64_t k, const nl_part *t, int stream)
{
    const nl_vec m = load(q.center + k, t), a = load(q.a + k, t), d = load(q.d + k, t);
    for (int r = 0; r < rows; r++)
        store(y + r * ldy + k, nl_vec_fma(a, load(x + r * ldx + k, t) - m, d), t, stream);
}

INLINE void columns_rows(const nl_real *x, int64_t ldx, nl_real *y, int64_t ldy, int rows,
                         int64_t c, nl_columns q, int stream)
{
    const int64_t end = whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        columns_step(x, ldx, y, ldy, rows, q, k, NULL, stream);
    if (end < c) {
        const nl_part t = rest(c);
        columns_step(x, ldx, y, ldy, rows, q, end, &t, 0);
    }
}

/* Rows that are written together. Where rows do not start on registers it is one: loads of the next
 * row would wait for stores that lie alike in their page. */
static int written_together(int64_t ld) { return ld % NL_LANES ? 1 : ROWS; }

static void write_columns(nl_rows x, nl_real *y, int64_t ldy, int64_t c, nl_columns q, int stream)
{
    const int most = written_together(x.ld);
    stream = stream && can_stream(y, ldy);
    for (int64_t i = 0, run; i < x.count; i += run ? run : 1) {
        run = live_run(&x, i, most);
        if (run == 0)
            zero_row(y + i * ldy, c);
        else if (run == ROWS)
            columns_rows(x.x + i * x.ld, x.ld, y + i * ldy, ldy, ROWS, c, q, stream);
        else
            for (int64_t j = i; j < i + run; j++)
                columns_rows(x.x + j * x.ld, x.ld, y + j * ldy, ldy, 1, c, q, stream);
    }
    if (stream)
        nl_vec_stream_end();
}

/* Large arrays: the tile of rows after this one is fetched while this one is written. */
INLINE void fetch_ahead(const nl_real *at, int64_t distance) { __builtin_prefetch(at + distance); }

INLINE void row_step(const nl_real *x, nl_real *y, nl_vec m, nl_vec a, nl_vec d,
                     const nl_real *gamma, const nl_real *beta, const nl_part *t, int stream)
{
    nl_vec z = nl_vec_fma(a, load(x, t) - m, d);
    if (gamma && beta)
        z = nl_vec_fma(z, load(gamma, t), load(beta, t));
    else if (gamma)
        z *= load(gamma, t);
    else if (beta)
        z += load(beta, t);
    store(y, z, t, stream);
}

static void write_rows(nl_rows x, nl_real *y, int64_t ldy, int64_t c, const nl_real *center,
                       const nl_real *a, const nl_real *d, const nl_real *gamma,
                       const nl_real *beta, int stream)
{
    const int64_t end = whole(c);
    const nl_part t = rest(c);
    stream = stream && can_stream(y, ldy);
    for (int64_t i = 0; i < x.count; i++) {
        const nl_real *xi = x.x + i * x.ld;
        nl_real *yi = y + i * ldy;
        const nl_vec m = nl_vec_of(center[i]), ai = nl_vec_of(a[i]), di = nl_vec_of(d[i]);
        if (!is_live(&x, i)) {
            zero_row(yi, c);
            continue;
        }
        for (int64_t k = 0; k < end; k += NL_LANES) {
            if (stream)
                fetch_ahead(xi + k, x.count * x.ld);
            row_step(xi + k, yi + k, m, ai, di, gamma ? gamma + k : NULL, beta ? beta + k : NULL,
                     NULL, stream);
        }
        if (end < c)
            row_step(xi + end, yi + end, m, ai, di, gamma ? gamma + end : NULL,
                     beta ? beta + end : NULL, &t, 0);
    }
    if (stream)
        nl_vec_stream_end();
}

typedef struct back_columns_args {
    const nl_real *x, *g;
    nl_real *dx;
    int64_t ldx, ldg, lddx;
    const nl_real *center, *a, *p, *q;
} back_columns_args;

INLINE void back_columns_step(const back_columns_args *b, int64_t row, int rows, int64_t k,
                              const nl_part *t, int stream)
{
    const nl_vec m = load(b->center + k, t), a = load(b->a + k, t);
    const nl_vec p = load(b->p + k, t), q = load(b->q + k, t);
    for (int64_t r = row; r < row + rows; r++) {
        const nl_vec u = nl_vec_fma(p, load(b->x + r * b->ldx + k, t) - m, q);
        store(b->dx + r * b->lddx + k, nl_vec_fma(a, load(b->g + r * b->ldg + k, t), u), t, stream);
    }
}

INLINE void back_columns_rows(const back_columns_args *b, int64_t row, int rows, int64_t c,
                              int stream)
{
    const int64_t end = whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        back_columns_step(b, row, rows, k, NULL, stream);
    if (end < c) {
        const nl_part t = rest(c);
        back_columns_step(b, row, rows, end, &t, 0);
    }
}

static void back_columns(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                         int64_t c, const nl_real *center, const nl_real *a, const nl_real *p,
                         const nl_real *q, int stream)
{
    const back_columns_args b = {x.x, g, dx, x.ld, ldg, lddx, center, a, p, q};
    const int most = written_together(x.ld);
    stream = stream && can_stream(dx, lddx);
    for (int64_t i = 0, run; i < x.count; i += run ? run : 1) {
        run = live_run(&x, i, most);
        if (run == 0)
            zero_row(dx + i * lddx, c);
        else if (run == ROWS)
            back_columns_rows(&b, i, ROWS, c, stream);
        else
            for (int64_t j = i; j < i + run; j++)
                back_columns_rows(&b, j, 1, c, stream);
    }
    if (stream)
        nl_vec_stream_end();
}

INLINE void back_row_step(const nl_real *x, const nl_real *dy, nl_real *dx, const nl_real *gamma,
                          nl_vec m, nl_vec a, nl_vec p, nl_vec q, const nl_part *t, int stream)
{
    const nl_vec u = nl_vec_fma(p, load(x, t) - m, q);
    nl_vec g = load(dy, t);
    if (gamma)
        g *= load(gamma, t);
    store(dx, nl_vec_fma(a, g, u), t, stream);
}

static void back_rows(nl_rows x, const nl_real *dy, int64_t lddy, nl_real *dx, int64_t lddx,
                      int64_t c, const nl_real *gamma, const nl_real *center, const nl_real *a,
                      const nl_real *p, const nl_real *q, int stream)
{
    const int64_t end = whole(c);
    const nl_part t = rest(c);
    stream = stream && can_stream(dx, lddx);
    for (int64_t i = 0; i < x.count; i++) {
        const nl_real *xi = x.x + i * x.ld, *dyi = dy + i * lddy;
        nl_real *dxi = dx + i * lddx;
        const nl_vec m = nl_vec_of(center[i]), ai = nl_vec_of(a[i]);
        const nl_vec pi = nl_vec_of(p[i]), qi = nl_vec_of(q[i]);
        if (!is_live(&x, i)) {
            zero_row(dxi, c);
            continue;
        }
        for (int64_t k = 0; k < end; k += NL_LANES) {
            if (stream) {
                fetch_ahead(xi + k, x.count * x.ld);
                fetch_ahead(dyi + k, x.count * lddy);
            }
            back_row_step(xi + k, dyi + k, dxi + k, gamma ? gamma + k : NULL, m, ai, pi, qi, NULL,
                          stream);
        }
        if (end < c)
            back_row_step(xi + end, dyi + end, dxi + end, gamma ? gamma + end : NULL, m, ai, pi, qi,
                          &t, 0);
    }
    if (stream)
        nl_vec_stream_end();
}

/* ---- one row, any number of areas */

static void add_columns(nl_real *restrict z, const nl_real *restrict x, int64_t c, nl_columns q)
{
    const nl_real *restrict center = q.center, *restrict a = q.a, *restrict d = q.d;
    for (int64_t k = 0; k < c; k++)
        z[k] += a[k] * (x[k] - center[k]) + d[k];
}

static void add_scalar(nl_real *restrict z, const nl_real *restrict x, int64_t c, nl_real center,
                       nl_real a, nl_real d)
{
    for (int64_t k = 0; k < c; k++)
        z[k] += a * (x[k] - center) + d;
}

static void affine(const nl_real *restrict z, nl_real *restrict y, int64_t c,
                   const nl_real *restrict gamma, const nl_real *restrict beta)
{
    for (int64_t k = 0; k < c; k++)
        y[k] = (gamma ? z[k] * gamma[k] : z[k]) + (beta ? beta[k] : 0);
}

static void affine_back(const nl_real *restrict z, const nl_real *dy, nl_real *g, int64_t c,
                        const nl_real *restrict gamma, nl_real *restrict dgamma,
                        nl_real *restrict dbeta)
{
#pragma GCC ivdep /* g is dy or apart from it */
    for (int64_t k = 0; k < c; k++) {
        const nl_real dyk = dy[k];
        if (dgamma)
            dgamma[k] += dyk * z[k];
        if (dbeta)
            dbeta[k] += dyk;
        g[k] = gamma ? gamma[k] * dyk : dyk;
    }
}

static void back_add_columns(nl_real *restrict dx, const nl_real *restrict g,
                             const nl_real *restrict x, int64_t c, const nl_real *restrict center,
                             const nl_real *restrict a, const nl_real *restrict p,
                             const nl_real *restrict q)
{
    for (int64_t k = 0; k < c; k++)
        dx[k] += a[k] * g[k] + p[k] * (x[k] - center[k]) + q[k];
}

static void back_add_scalar(nl_real *restrict dx, const nl_real *restrict g,
                            const nl_real *restrict x, int64_t c, nl_real center, nl_real a,
                            nl_real p, nl_real q)
{
    for (int64_t k = 0; k < c; k++)
        dx[k] += a * g[k] + p * (x[k] - center) + q;
}

const nl_area_kernels NL_VARIANT(nl_area_kernel) = {
    .column_moments = column_moments,
    .merge_moments = merge_moments,
    .row_moments = row_moments,
    .column_gradients = column_gradients,
    .column_sums = column_sums,
    .row_gradients = row_gradients,
    .row_gradients_affine = row_gradients_affine,
    .write_columns = write_columns,
    .write_rows = write_rows,
    .back_columns = back_columns,
    .back_rows = back_rows,
    .add_columns = add_columns,
    .add_scalar = add_scalar,
    .affine = affine,
    .affine_back = affine_back,
    .back_add_columns = back_add_columns,
    .back_add_scalar = back_add_scalar,
};
