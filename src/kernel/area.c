#include "kernel/area.h"

#include <math.h>
#include <string.h>

enum {
    RUN = 256, /* rows summed in the storage type before they are merged in double */
    LANES = NL_VECTOR_BYTES / (int)sizeof(nl_real),
    WAYS = 4 /* independent sums a row is dealt out to, so that adds overlap */
};

typedef nl_real vec
    __attribute__((vector_size(NL_VECTOR_BYTES), aligned(sizeof(nl_real)), may_alias));

static int is_live(const nl_rows *r, int64_t i) { return !r->live || r->live[i * r->live_step]; }

/* ---- per channel, over rows */

/* s1[c] += sum d, s2[c] += sum d^2, d = x - shift, over four rows at a time. */
static void shifted_sums(const nl_real *restrict x, int64_t ld, int64_t rows, int64_t c,
                         const nl_real *restrict shift, nl_real *restrict s1, nl_real *restrict s2)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const nl_real *x0 = x + r * ld, *x1 = x0 + ld, *x2 = x1 + ld, *x3 = x2 + ld;
        for (int64_t k = 0; k < c; k++) {
            const nl_real d0 = x0[k] - shift[k], d1 = x1[k] - shift[k];
            const nl_real d2 = x2[k] - shift[k], d3 = x3[k] - shift[k];
            s1[k] += (d0 + d1) + (d2 + d3);
            s2[k] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < rows; r++)
        for (int64_t k = 0; k < c; k++) {
            const nl_real d = x[r * ld + k] - shift[k];
            s1[k] += d;
            s2[k] += d * d;
        }
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
        m2[k] += (squares > 0 ? squares : squares < 0 ? 0 : squares) + delta * delta * cross;
    }
}

static int64_t first_live(const nl_rows *r, int64_t from)
{
    while (from < r->count && !is_live(r, from))
        from++;
    return from;
}

static void column_moments(nl_rows r, int64_t c, double *count, double *mean, double *m2,
                           nl_real *scratch)
{
    nl_real *shift = scratch, *s1 = scratch + c, *s2 = scratch + 2 * c;
    for (int64_t from = first_live(&r, 0); from < r.count; from = first_live(&r, from + RUN)) {
        const int64_t rows = r.count - from < RUN ? r.count - from : RUN;
        memcpy(shift, r.x + from * r.ld, (size_t)c * sizeof *shift);
        memset(s1, 0, (size_t)(2 * c) * sizeof *s1);
        int64_t m = rows;
        if (!r.live) {
            shifted_sums(r.x + from * r.ld, r.ld, rows, c, shift, s1, s2);
        } else {
            m = 0;
            for (int64_t i = from; i < from + rows; i++)
                if (is_live(&r, i))
                    shifted_sums(r.x + i * r.ld, r.ld, 1, c, shift, s1, s2), m++;
        }
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

static void gradient_sums(const nl_real *restrict x, int64_t ldx, const nl_real *restrict g,
                          int64_t ldg, int64_t rows, int64_t c, const nl_real *restrict center,
                          nl_real *restrict sg, nl_real *restrict sgx)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const nl_real *x0 = x + r * ldx, *x1 = x0 + ldx, *x2 = x1 + ldx, *x3 = x2 + ldx;
        const nl_real *g0 = g + r * ldg, *g1 = g0 + ldg, *g2 = g1 + ldg, *g3 = g2 + ldg;
        for (int64_t k = 0; k < c; k++) {
            const nl_real m = center[k];
            sg[k] += (g0[k] + g1[k]) + (g2[k] + g3[k]);
            sgx[k] += (g0[k] * (x0[k] - m) + g1[k] * (x1[k] - m)) +
                      (g2[k] * (x2[k] - m) + g3[k] * (x3[k] - m));
        }
    }
    for (; r < rows; r++)
        for (int64_t k = 0; k < c; k++) {
            sg[k] += g[r * ldg + k];
            sgx[k] += g[r * ldg + k] * (x[r * ldx + k] - center[k]);
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
        const int64_t rows = x.count - from < RUN ? x.count - from : RUN;
        memset(sg, 0, (size_t)(2 * c) * sizeof *sg);
        if (!x.live) {
            gradient_sums(x.x + from * x.ld, x.ld, g + from * ldg, ldg, rows, c, center, sg, sgx);
        } else {
            for (int64_t i = from; i < from + rows; i++)
                if (is_live(&x, i))
                    gradient_sums(x.x + i * x.ld, x.ld, g + i * ldg, ldg, 1, c, center, sg, sgx);
        }
        add_to_double(G, sg, c);
        add_to_double(H, sgx, c);
    }
}

static void column_sums(nl_rows x, int64_t c, double *sum, nl_real *scratch)
{
    for (int64_t from = 0; from < x.count; from += RUN) {
        const int64_t to = x.count - from < RUN ? x.count : from + RUN;
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

/* ---- per row, over channels: dealt out to WAYS vectors, the tail one by one */

static nl_real add_lanes(const vec *acc)
{
    const vec v = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    nl_real sum = 0;
    for (int l = 0; l < LANES; l++)
        sum += v[l];
    return sum;
}

static nl_real row_sum(const nl_real *x, int64_t c)
{
    vec acc[WAYS] = {{0}};
    int64_t k = 0;
    for (; k + WAYS * LANES <= c; k += WAYS * LANES)
        for (int w = 0; w < WAYS; w++)
            acc[w] += *(const vec *)(x + k + w * LANES);
    for (; k + LANES <= c; k += LANES)
        acc[0] += *(const vec *)(x + k);
    nl_real sum = add_lanes(acc);
    for (; k < c; k++)
        sum += x[k];
    return sum;
}

/* s1 = sum d, s2 = sum d^2, d = x - shift. */
static void row_squares(const nl_real *x, int64_t c, nl_real shift, nl_real *s1, nl_real *s2)
{
    vec a1[WAYS] = {{0}}, a2[WAYS] = {{0}};
    int64_t k = 0;
    for (; k + WAYS * LANES <= c; k += WAYS * LANES)
        for (int w = 0; w < WAYS; w++) {
            const vec d = *(const vec *)(x + k + w * LANES) - shift;
            a1[w] += d;
            a2[w] += d * d;
        }
    for (; k + LANES <= c; k += LANES) {
        const vec d = *(const vec *)(x + k) - shift;
        a1[0] += d;
        a2[0] += d * d;
    }
    *s1 = add_lanes(a1);
    *s2 = add_lanes(a2);
    for (; k < c; k++) {
        const nl_real d = x[k] - shift;
        *s1 += d;
        *s2 += d * d;
    }
}

/* Two passes over a row that stays in cache: the mean, then squares about it, corrected. */
static void part_moments(const nl_real *x, int64_t c, int about_zero, double *mean, double *m2)
{
    nl_real s1, s2;
    const nl_real shift = about_zero ? 0 : (nl_real)((double)row_sum(x, c) / (double)c);
    row_squares(x, c, shift, &s1, &s2);
    *mean = about_zero ? 0 : (double)shift + (double)s1 / (double)c;
    *m2 = (double)s2;
    if (!about_zero) {
        const double corrected = (double)s2 - (double)s1 * (double)s1 / (double)c;
        *m2 = corrected < 0 ? 0 : corrected;
    }
}

static void row_moments(nl_rows r, int64_t c, int64_t groups, int about_zero, double *mean,
                        double *m2)
{
    const int64_t width = c / groups;
    for (int64_t i = 0; i < r.count; i++)
        for (int64_t j = 0; j < groups; j++) {
            double *mu = mean + i * groups + j, *sq = m2 + i * groups + j;
            *mu = *sq = 0;
            if (is_live(&r, i))
                part_moments(r.x + i * r.ld + j * width, width, about_zero, mu, sq);
        }
}

static void part_gradients(const nl_real *x, const nl_real *dy, int64_t c, const nl_real *gamma,
                           nl_real center, double *G, double *H)
{
    vec sg[WAYS] = {{0}}, sgx[WAYS] = {{0}};
    int64_t k = 0;
    for (; k + 2 * LANES <= c; k += 2 * LANES)
        for (int w = 0; w < 2; w++) {
            const int64_t at = k + w * LANES;
            vec g = *(const vec *)(dy + at);
            if (gamma)
                g *= *(const vec *)(gamma + at);
            sg[w] += g;
            sgx[w] += g * (*(const vec *)(x + at) - center);
        }
    nl_real g1 = add_lanes(sg), h1 = add_lanes(sgx);
    for (; k < c; k++) {
        const nl_real g = gamma ? gamma[k] * dy[k] : dy[k];
        g1 += g;
        h1 += g * (x[k] - center);
    }
    *G = (double)g1;
    *H = (double)h1;
}

static void row_gradients(nl_rows x, const nl_real *dy, int64_t lddy, int64_t c, int64_t groups,
                          const nl_real *gamma, const nl_real *center, double *G, double *H)
{
    const int64_t width = c / groups;
    for (int64_t i = 0; i < x.count; i++)
        for (int64_t j = 0; j < groups; j++) {
            const int64_t at = i * groups + j;
            G[at] = H[at] = 0;
            if (is_live(&x, i))
                part_gradients(x.x + i * x.ld + j * width, dy + i * lddy + j * width, width,
                               gamma ? gamma + j * width : NULL, center[at], G + at, H + at);
        }
}

/* ---- writes */

static void zero_row(nl_real *y, int64_t c) { memset(y, 0, (size_t)c * sizeof *y); }

static void write_columns(nl_rows x, nl_real *y, int64_t ldy, int64_t c, nl_columns q)
{
    const nl_real *restrict center = q.center, *restrict a = q.a, *restrict d = q.d;
    for (int64_t i = 0; i < x.count; i++) {
        const nl_real *restrict xi = x.x + i * x.ld;
        nl_real *restrict yi = y + i * ldy;
        if (!is_live(&x, i)) {
            zero_row(yi, c);
            continue;
        }
        for (int64_t k = 0; k < c; k++)
            yi[k] = a[k] * (xi[k] - center[k]) + d[k];
    }
}

static void write_rows(nl_rows x, nl_real *y, int64_t ldy, int64_t c, const nl_real *center,
                       const nl_real *a, const nl_real *d, const nl_real *restrict gamma,
                       const nl_real *restrict beta)
{
    for (int64_t i = 0; i < x.count; i++) {
        const nl_real *restrict xi = x.x + i * x.ld;
        nl_real *restrict yi = y + i * ldy;
        const nl_real m = center[i], ai = a[i], di = d[i];
        if (!is_live(&x, i))
            zero_row(yi, c);
        else if (gamma && beta)
            for (int64_t k = 0; k < c; k++)
                yi[k] = (ai * (xi[k] - m) + di) * gamma[k] + beta[k];
        else if (gamma)
            for (int64_t k = 0; k < c; k++)
                yi[k] = (ai * (xi[k] - m) + di) * gamma[k];
        else
            for (int64_t k = 0; k < c; k++)
                yi[k] = (ai * (xi[k] - m) + di) + (beta ? beta[k] : 0);
    }
}

static void back_columns(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                         int64_t c, const nl_real *restrict center, const nl_real *restrict a,
                         const nl_real *restrict p, const nl_real *restrict q)
{
    for (int64_t i = 0; i < x.count; i++) {
        const nl_real *restrict xi = x.x + i * x.ld;
        const nl_real *gi = g + i * ldg;
        nl_real *di = dx + i * lddx;
        if (!is_live(&x, i)) {
            zero_row(di, c);
            continue;
        }
#pragma GCC ivdep /* di is gi or apart from it */
        for (int64_t k = 0; k < c; k++)
            di[k] = a[k] * gi[k] + p[k] * (xi[k] - center[k]) + q[k];
    }
}

static void back_row(const nl_real *restrict x, const nl_real *dy, nl_real *dx, int64_t c,
                     const nl_real *restrict gamma, nl_real m, nl_real a, nl_real d, nl_real p,
                     nl_real q, nl_real *restrict dgamma, nl_real *restrict dbeta)
{
    if (gamma && dgamma && dbeta) {
#pragma GCC ivdep
        for (int64_t k = 0; k < c; k++) {
            const nl_real xc = x[k] - m, dyk = dy[k];
            dgamma[k] += dyk * (a * xc + d);
            dbeta[k] += dyk;
            dx[k] = a * (gamma[k] * dyk) + p * xc + q;
        }
        return;
    }
#pragma GCC ivdep
    for (int64_t k = 0; k < c; k++) {
        const nl_real xc = x[k] - m, dyk = dy[k];
        if (dgamma)
            dgamma[k] += dyk * (a * xc + d);
        if (dbeta)
            dbeta[k] += dyk;
        dx[k] = a * (gamma ? gamma[k] * dyk : dyk) + p * xc + q;
    }
}

static void back_rows(nl_rows x, const nl_real *dy, int64_t lddy, nl_real *dx, int64_t lddx,
                      int64_t c, const nl_real *gamma, const nl_real *center, const nl_real *a,
                      const nl_real *d, const nl_real *p, const nl_real *q, nl_real *dgamma,
                      nl_real *dbeta)
{
    for (int64_t i = 0; i < x.count; i++) {
        if (is_live(&x, i))
            back_row(x.x + i * x.ld, dy + i * lddy, dx + i * lddx, c, gamma, center[i], a[i], d[i],
                     p[i], q[i], dgamma, dbeta);
        else
            zero_row(dx + i * lddx, c);
    }
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
