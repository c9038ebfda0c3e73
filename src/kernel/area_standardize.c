/* Rows standardized in one go. A tile of up to NL_LANES rows is read from memory once; what there
 * is to know of a row is in its lane. */
#include "base/cut.h"
#include "kernel/row_moments_inline.h"

/* What is read, so many arrays, has half of the nearest cache. */
static int rows_of_tile(int64_t c, int arrays)
{
    const int64_t row = c * (int64_t)sizeof(nl_real), near = nl_cpu_habits_now()->near_bytes;
    int rows = NL_LANES;
    while (rows > 2 && rows * row * arrays > near / 2)
        rows /= 2;
    return rows;
}

/* The same, but rows that share what is per channel are worth all of it, if they fit with what is
 * written. */
static int rows_that_share(int64_t c, int arrays)
{
    const int64_t row = c * (int64_t)sizeof(nl_real), near = nl_cpu_habits_now()->near_bytes;
    const int rows = rows_of_tile(c, arrays), together = (int)nl_least(NL_ROWS_TOGETHER, NL_LANES);
    return rows < together && together * row * (arrays + 1) <= near ? together : rows;
}

static int64_t rows_asked_ahead(int of_tile)
{
    return nl_cpu_habits_now()->asks_ahead ? of_tile : 0;
}

/* Of NL_LANES rows; registers that begin at one of them are stored and loaded whole. */
enum { ROOM = 2 * NL_LANES };
typedef struct coefficients {
    _Alignas(NL_VECTOR_BYTES) nl_real center[ROOM];
    nl_real a[ROOM], d[ROOM], p[ROOM], q[ROOM], rounding[ROOM];
} coefficients;

NL_INLINE nl_vec nan_if_infinite(nl_vec v) { return v + (v - v); }

NL_INLINE nl_vec per_root(nl_vec var, double eps) { return 1 / nl_vec_sqrt(var + (nl_real)eps); }

/* ---- forward */

/* Filled in place: a copy is read in wide registers and would wait for the pointers just stored. */
NL_INLINE void take_rows(const nl_rows *x, int64_t from, int most, nl_parts *rows)
{
    rows->count = (int)nl_least(x->count - from, most);
    for (int i = 0; i < NL_LANES; i++)
        rows->x[i] = i < rows->count && nl_is_live(*x, from + i) ? x->x + (from + i) * x->ld : NULL;
}

/* mean = shift + off exactly is center - rounding (Knuth 1998, sec. 4.2.2), so
 * z = r (x - mean) = a (x - center) + d with a = r, d = r rounding. */
NL_INLINE void find_for(const nl_parts *rows, nl_sums *sums, int64_t from, int count, int64_t c,
                        const nl_standard *s, coefficients *k)
{
    const nl_part_moments m = nl_moments_of_sums(rows, c, s->about_zero, sums);
    const nl_vec center = m.shift + m.off, off = center - m.shift;
    const nl_vec rounding = (off - m.off) - (m.shift - (center - off));
    const nl_vec spread = nan_if_infinite(m.m2 * (1 / (nl_real)c)), a = per_root(spread, s->eps);
    nl_vec_store(k->center, center);
    nl_vec_store(k->a, a);
    nl_vec_store(k->d, a * rounding);
    nl_real shift[NL_LANES], rest[NL_LANES], squares[NL_LANES];
    nl_vec_store(shift, m.shift), nl_vec_store(rest, m.off), nl_vec_store(squares, spread);
    for (int i = 0; i < count; i++)
        s->mean[from + i] = (double)shift[i] + (double)rest[i];
    for (int i = 0; i < count; i++)
        s->var[from + i] = (double)squares[i];
}

/* Compiled for each size of a full tile. */
NL_APART void find_coefficients(nl_parts *rows, nl_sums *sums, int64_t from, int64_t c,
                                const nl_standard *s, coefficients *k)
{
    const int count = rows->count;
#define FIND(known) rows->count = known, find_for(rows, sums, from, known, c, s, k)
    if (count == NL_LANES)
        FIND(NL_LANES);
    else if (count == NL_LANES / 2)
        FIND(NL_LANES / 2);
    else if (count == NL_LANES / 4)
        FIND(NL_LANES / 4);
    else
        FIND(count);
#undef FIND
}

/* Of two rows about their means, coefficients take longer than the sums beside save. */
static int sums_go_beside(const nl_row_write *b, int64_t c, int about_zero)
{
    return nl_cpu_habits_now()->one_row && nl_can_sum_beside(b, c, about_zero) &&
           (about_zero || rows_of_tile(c, 2) > 2);
}

static void forward(nl_rows x, const nl_result *to, int64_t c, const nl_standard *s)
{
    nl_sums sums;
    coefficients k;
    nl_row_write write = {x, *to, k.center, k.a, k.d, s->gamma, s->beta, 0};
    const int beside = sums_go_beside(&write, c, s->about_zero);
    const int most = beside ? rows_of_tile(c, 2) : rows_that_share(c, 1);
    nl_parts rows;
    write.ahead = rows_asked_ahead(most);
    take_rows(&x, 0, most, &rows);
    nl_sum_parts(&rows, c, s->about_zero, NULL, &sums);
    for (int64_t row = 0; row < x.count; row += most) {
        const int count = rows.count;
        find_coefficients(&rows, &sums, row, c, s, &k);
        take_rows(&x, row + count, most, &rows);
        if (beside && nl_live_run(x, row, 2 * count) == 2 * count) {
            nl_write_beside_sums(&write, row, count, c, s->about_zero, &sums);
        } else {
            nl_write_rows(&write, row, count, 0, c);
            nl_sum_parts(&rows, c, s->about_zero, NULL, &sums);
        }
    }
}

/* ---- backward */

/* center, a, d, and the center's rounding, of up to NL_LANES rows. */
NL_APART void recall_coefficients(int count, const double *mean, const double *var, double eps,
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
    nl_vec_store(k->rounding, nl_vec_load(rounding));
}

/* dL/dmu = -r G, dL/dvar = -r^3 H / 2, H about the mean:
 * dx = a g + p (x - center) + q, p = 2 dL/dvar / c, q = dL/dmu / c + p (center - mu). */
NL_INLINE void back_coefficients(nl_vec G, nl_vec H, int64_t c, int about_zero, int at,
                                 coefficients *k)
{
    const nl_vec a = nl_vec_load(k->a + at), rounding = nl_vec_load(k->rounding + at);
    const nl_real per_c = 1 / (nl_real)c;
    const nl_vec p = -(a * a * a) * (H + rounding * G) * per_c;
    nl_vec_store(k->p + at, p);
    nl_vec_store(k->q + at, about_zero ? nl_vec_of(0) : p * rounding - a * G * per_c);
}

static void back(nl_rows x, const nl_arriving *g, nl_real *dx, int64_t lddx, int64_t c,
                 const nl_standard *s, nl_real *dgamma, nl_real *dbeta, int stream)
{
    const int most = rows_that_share(c, 2);
    coefficients k;
    const nl_affine_rows sums = {x, *g, s->about_zero, s->gamma, k.center, k.a, k.d, dgamma, dbeta};
    const nl_row_back write = {x,        g->kept ? g->kept : g->dy,
                               dx,       g->kept ? g->ld_kept : g->ld,
                               lddx,     s->gamma,
                               k.center, k.a,
                               k.p,      k.q,
                               stream,   rows_asked_ahead(most)};
    for (int64_t row = 0; row < x.count; row += most) {
        const int count = (int)nl_least(x.count - row, most), at = (int)(row % NL_LANES);
        nl_vec G, H;
        if (at == 0)
            recall_coefficients((int)nl_least(x.count - row, NL_LANES), s->mean + row, s->var + row,
                                s->eps, &k);
        nl_affine_lanes(&sums, row, at, count, c, &G, &H);
        back_coefficients(G, H, c, s->about_zero, at, &k);
        nl_back_rows(&write, row, count, at, c);
    }
}

const nl_standard_kernels NL_VARIANT(nl_standard_kernel) = {.forward = forward, .back = back};
