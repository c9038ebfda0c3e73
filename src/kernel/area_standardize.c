/* Rows standardized in one go. A tile of up to NL_LANES rows is read from memory once; what there
 * is to know of a row is in its lane. */
#include "kernel/rows_inline.h"

enum { TILE_BYTES = 16384 }; /* what a tile reads stays in the nearest cache, and more fits */

static int rows_of_tile(int64_t c, int arrays)
{
    const int64_t bytes = c * arrays * (int64_t)sizeof(nl_real);
    int rows = NL_LANES;
    while (rows > 2 && rows * bytes > TILE_BYTES)
        rows /= 2;
    return rows;
}

NL_INLINE nl_rows tile_of(nl_rows x, int64_t row, int most)
{
    const int64_t left = x.count - row;
    return nl_rows_from(x, row, left < most ? left : most, 0);
}

enum { ROOM = NL_LANES + NL_ROWS_TOGETHER };
typedef struct coefficients {
    nl_real center[ROOM], a[ROOM], d[ROOM], p[ROOM], q[ROOM];
} coefficients;

NL_INLINE nl_vec nan_if_infinite(nl_vec v) { return v + (v - v); }

NL_INLINE nl_vec per_root(nl_vec var, double eps) { return 1 / nl_vec_sqrt(var + (nl_real)eps); }

/* ---- forward */

/* mean = shift + off exactly is center - rounding (Knuth 1998, sec. 4.2.2), so
 * z = r (x - center) + d with d = r rounding. */
NL_INLINE void find_for(nl_rows x, int all, int64_t c, const nl_standard *s, double *mean,
                        double *var, coefficients *k)
{
    nl_parts parts = {.count = all ? NL_LANES : (int)x.count};
    for (int i = 0; i < parts.count; i++)
        parts.x[i] = all || nl_is_live(x, i) ? x.x + i * x.ld : NULL;
    const nl_part_moments m =
        s->about_zero ? nl_squares_of_parts(&parts, c) : nl_moments_of_parts(&parts, c);
    const nl_vec center = m.shift + m.off, off = center - m.shift;
    const nl_vec rounding = (off - m.off) - (m.shift - (center - off));
    const nl_vec spread = nan_if_infinite(m.m2 * (1 / (nl_real)c)), a = per_root(spread, s->eps);
    nl_vec_store(k->center, center);
    nl_vec_store(k->a, a);
    nl_vec_store(k->d, a * rounding);
    for (int i = 0; i < parts.count; i++) {
        mean[i] = (double)m.shift[i] + (double)m.off[i];
        var[i] = (double)spread[i];
    }
}

/* The common case is compiled on its own: a tile that is full. */
static void find_coefficients(nl_rows x, int64_t c, const nl_standard *s, double *mean, double *var,
                              coefficients *k)
{
    if (x.count == NL_LANES && !x.live)
        find_for(x, 1, c, s, mean, var, k);
    else
        find_for(x, 0, c, s, mean, var, k);
}

NL_INLINE void forward_as(nl_rows x, nl_result to, int64_t c, const nl_standard *s, nl_act act)
{
    const int most = rows_of_tile(c, 1);
    for (int64_t row = 0; row < x.count; row += most) {
        const nl_rows tile = tile_of(x, row, most);
        coefficients k;
        find_coefficients(tile, c, s, s->mean + row, s->var + row, &k);
        const nl_result here = {to.y + row * to.ld, to.ld,
                                to.residual ? to.residual + row * to.ld : NULL, act, to.stream};
        nl_write_rows((nl_row_write){tile, here, k.center, k.a, k.d, s->gamma, s->beta}, act, c);
    }
}

static void forward(nl_rows x, const nl_result *to, int64_t c, const nl_standard *s)
{
#define CALL(act) forward_as(x, *to, c, s, act)
    NL_EACH_RESULT(to->act, CALL)
#undef CALL
}

/* ---- backward */

static nl_vec recall_coefficients(int count, const double *mean, const double *var, double eps,
                                  coefficients *k)
{
    nl_real rounding[NL_LANES] = {0}, spread[NL_LANES] = {0};
    for (int i = 0; i < count; i++) {
        k->center[i] = (nl_real)mean[i];
        rounding[i] = (nl_real)((double)k->center[i] - mean[i]);
        spread[i] = (nl_real)var[i];
    }
    const nl_vec a = per_root(nl_vec_load(spread), eps);
    nl_vec_store(k->a, a);
    nl_vec_store(k->d, a * nl_vec_load(rounding));
    return nl_vec_load(rounding);
}

/* dL/dmu = -r G, dL/dvar = -r^3 H / 2, H about the mean:
 * dx = a g + p (x - center) + q, p = 2 dL/dvar / c, q = dL/dmu / c + p (center - mu). */
static void back_coefficients(nl_vec G, nl_vec H, nl_vec rounding, int64_t c, int about_zero,
                              coefficients *k)
{
    const nl_vec a = nl_vec_load(k->a);
    const nl_real per_c = 1 / (nl_real)c;
    const nl_vec p = -(a * a * a) * (H + rounding * G) * per_c;
    nl_vec_store(k->p, p);
    nl_vec_store(k->q, about_zero ? nl_vec_of(0) : p * rounding - a * G * per_c);
}

typedef struct back_call {
    nl_rows x;
    nl_arriving g;
    nl_real *dx;
    int64_t lddx;
    const nl_standard *s;
    nl_real *dgamma, *dbeta;
    int stream;
} back_call;

NL_INLINE void back_as(back_call b, int64_t c, nl_act act, int keeps)
{
    const nl_standard *s = b.s;
    const int most = rows_of_tile(c, 2);
    for (int64_t row = 0; row < b.x.count; row += most) {
        const nl_rows tile = tile_of(b.x, row, most);
        const nl_arriving g = nl_arriving_from(b.g, row, 0);
        const int count = (int)tile.count;
        coefficients k;
        nl_vec G, H;
        const nl_vec rounding = recall_coefficients(count, s->mean + row, s->var + row, s->eps, &k);
        nl_affine_lanes((nl_affine_rows){tile, g, s->gamma, k.center, k.a, k.d, b.dgamma, b.dbeta},
                        act, keeps, 0, count, c, &G, &H);
        back_coefficients(G, H, rounding, c, s->about_zero, &k);
        nl_back_rows((nl_row_back){tile, g.kept ? g.kept : g.dy, b.dx + row * b.lddx,
                                   g.kept ? g.ld_kept : g.ld, b.lddx, s->gamma, k.center, k.a, k.p,
                                   k.q},
                     c, b.stream);
    }
}

static void back(nl_rows x, const nl_arriving *g, nl_real *dx, int64_t lddx, int64_t c,
                 const nl_standard *s, nl_real *dgamma, nl_real *dbeta, int stream)
{
    const back_call b = {x, *g, dx, lddx, s, dgamma, dbeta, stream};
#define CALL(act, keeps) back_as(b, c, act, keeps)
    NL_EACH_ARRIVING(*g, CALL)
#undef CALL
}

const nl_standard_kernels NL_VARIANT(nl_standard_kernel) = {.forward = forward, .back = back};
