/* Statistics of rows, or of groups of channels in them ("parts"), and the writes of whole rows, for
 * methods whose coefficients are their own. */
#include "base/cut.h"
#include "kernel/row_moments_inline.h"
#include "kernel/row_sums_inline.h"

/* Takes the next parts, from group *group of row *row on. */
static nl_parts next_parts(const nl_rows *r, const nl_real *g, int64_t ldg, int64_t width,
                           int64_t groups, int64_t *row, int64_t *group)
{
    nl_parts p;
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

/* ---- moments */

static void row_moments(nl_rows r, int64_t c, int64_t groups, int about_zero, double *mean,
                        double *m2)
{
    const int64_t width = c / groups;
    for (int64_t row = 0, group = 0; row < r.count;) {
        const nl_parts p = next_parts(&r, NULL, 0, width, groups, &row, &group);
        nl_sums sums;
        nl_sum_parts(&p, width, about_zero, NULL, &sums);
        const nl_part_moments m = nl_moments_of_sums(&p, width, about_zero, &sums);
        for (int i = 0; i < p.count; i++) {
            *mean++ = (double)m.shift[i] + (double)m.off[i];
            *m2++ = (double)m.m2[i];
        }
    }
}

/* ---- gradients */

NL_INLINE void part_gradients(const nl_real *x, const nl_real *g, int64_t c, nl_real center,
                              nl_vec *G, nl_vec *H)
{
    nl_vec sg[NL_WAYS] = {{0}}, sgx[NL_WAYS] = {{0}};
    const nl_vec m = nl_vec_of(center);
    int64_t k = 0;
    for (int w = 0; k + NL_LANES <= c; k += NL_LANES, w = (w + 1) % NL_WAYS) {
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

static void put_lanes(nl_vec v, int count, double *to)
{
    for (int i = 0; i < count; i++)
        to[i] = (double)v[i];
}

static void row_gradients(nl_rows x, const nl_real *g, int64_t ldg, int64_t c, int64_t groups,
                          const nl_real *center, double *G, double *H)
{
    const int64_t width = c / groups;
    for (int64_t row = 0, group = 0; row < x.count;) {
        const nl_parts p = next_parts(&x, g, ldg, width, groups, &row, &group);
        nl_vec sg[NL_LANES], sh[NL_LANES];
        for (int i = 0; i < nl_added_together(p.count); i++) {
            sg[i] = sh[i] = (nl_vec){0};
            if (p.x[i])
                part_gradients(p.x[i], p.g[i], width, center[i], &sg[i], &sh[i]);
        }
        put_lanes(nl_sum_across(sg, p.count), p.count, G);
        put_lanes(nl_sum_across(sh, p.count), p.count, H);
        center += p.count, G += p.count, H += p.count;
    }
}

static void row_gradients_affine(nl_rows x, const nl_arriving *g, int64_t c, const nl_real *gamma,
                                 const nl_real *center, const nl_real *a, const nl_real *d,
                                 double *G, double *H, nl_real *dgamma, nl_real *dbeta)
{
    const nl_affine_rows b = {x, *g, 0, gamma, center, a, d, dgamma, dbeta};
    for (int64_t row = 0; row < x.count; row += NL_LANES) {
        const int count = (int)nl_least(x.count - row, NL_LANES);
        nl_vec to_g, to_h;
        nl_affine_lanes(&b, row, row, count, c, &to_g, &to_h);
        put_lanes(to_g, count, G + row);
        put_lanes(to_h, count, H + row);
    }
}

/* ---- writes */

static void write_rows(nl_rows x, const nl_result *to, int64_t c, const nl_real *center,
                       const nl_real *a, const nl_real *d, const nl_real *gamma,
                       const nl_real *beta)
{
    nl_write_rows(&(nl_row_write){x, *to, center, a, d, gamma, beta, 0}, 0, x.count, 0, c);
}

static void back_rows(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                      int64_t c, const nl_real *gamma, const nl_real *center, const nl_real *a,
                      const nl_real *p, const nl_real *q, int stream)
{
    nl_back_rows(&(nl_row_back){x, g, dx, ldg, lddx, gamma, center, a, p, q, stream, 0}, 0, x.count,
                 0, c);
}

const nl_row_kernels NL_VARIANT(nl_row_kernel) = {
    .moments = row_moments,
    .gradients = row_gradients,
    .gradients_affine = row_gradients_affine,
    .write = write_rows,
    .back = back_rows,
};
