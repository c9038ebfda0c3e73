#include "kernel/winograd.h"

#include "kernel/vec.h"

#define EACH(i, count) _Pragma("GCC unroll 4") for (int i = 0; i < (count); i++)

/* Rows of the three matrices, applied to one column or row of a transform. */
NL_INLINE void patch_of(const nl_vec d[4], nl_vec to[4]) /* B^T d */
{
    to[0] = d[0] - d[2];
    to[1] = d[1] + d[2];
    to[2] = d[2] - d[1];
    to[3] = d[1] - d[3];
}

NL_INLINE void result_of(const nl_vec m[4], nl_vec to[2]) /* A^T m */
{
    to[0] = m[0] + m[1] + m[2];
    to[1] = m[1] - m[2] - m[3];
}

NL_INLINE void gradient_of(const nl_vec dy[2], nl_vec to[4]) /* A dy */
{
    to[0] = dy[0];
    to[1] = dy[0] + dy[1];
    to[2] = dy[0] - dy[1];
    to[3] = -dy[1];
}

NL_INLINE void weight_of(const nl_vec g[3], nl_vec to[4]) /* G g */
{
    const nl_vec half = nl_vec_of((nl_real)0.5), ends = half * (g[0] + g[2]), middle = half * g[1];
    to[0] = g[0];
    to[1] = ends + middle;
    to[2] = ends - middle;
    to[3] = g[2];
}

NL_INLINE void weight_gradient_of(const nl_vec m[4], nl_vec to[3]) /* G^T m */
{
    const nl_vec half = nl_vec_of((nl_real)0.5), sum = half * (m[1] + m[2]);
    to[0] = m[0] + sum;
    to[1] = half * (m[1] - m[2]);
    to[2] = sum + m[3];
}

/* Column i of rows of vectors. */
#define COLUMN(m, i, rows, v) \
    nl_vec v[rows];           \
    EACH(k_, rows) v[k_] = (m)[k_][i]

NL_INLINE void weights_part(const nl_real *w, int64_t tap, nl_real *to, int64_t product,
                            nl_part part)
{
    nl_vec rows[3][4]; /* g G^T */
    EACH(a, 3)
    {
        nl_vec g[3];
        EACH(b, 3) g[b] = nl_vec_load_part(w + (3 * a + b) * tap, part);
        weight_of(g, rows[a]);
    }
    EACH(j, 4)
    {
        COLUMN(rows, j, 3, g);
        nl_vec u[4];
        weight_of(g, u);
        EACH(i, 4) nl_vec_store_part(to + (4 * i + j) * product, u[i], part);
    }
}

NL_INLINE void weight_gradient_part(const nl_real *m, int64_t product, nl_real *dw, int64_t tap,
                                    nl_part part)
{
    nl_vec rows[4][3]; /* m G */
    EACH(i, 4)
    {
        nl_vec v[4];
        EACH(j, 4) v[j] = nl_vec_load_part(m + (4 * i + j) * product, part);
        weight_gradient_of(v, rows[i]);
    }
    EACH(b, 3)
    {
        COLUMN(rows, b, 4, v);
        nl_vec g[3];
        weight_gradient_of(v, g);
        EACH(a, 3) nl_vec_store_part(dw + (3 * a + b) * tap, g[a], part);
    }
}

/* The next register of `count` values from i on. */
static inline nl_part part_from(int64_t i, int64_t count)
{
    return nl_part_of(count - i < NL_LANES ? (int)(count - i) : NL_LANES);
}

static void weights(int64_t count, const nl_real *w, int64_t tap, nl_real *to, int64_t product)
{
    for (int64_t i = 0; i < count; i += NL_LANES)
        weights_part(w + i, tap, to + i, product, part_from(i, count));
}

static void weight_gradient(int64_t count, const nl_real *m, int64_t product, nl_real *dw,
                            int64_t tap)
{
    for (int64_t i = 0; i < count; i += NL_LANES)
        weight_gradient_part(m + i, product, dw + i, tap, part_from(i, count));
}

/* Pixels of column j from channel c on. */
NL_INLINE void load_pixels(const nl_strip *s, const nl_real *const *row, int rows, int64_t j,
                           int64_t c, nl_part part, nl_vec *d)
{
    const bool inside = j >= 0 && j < s->width;
    EACH(i, rows) d[i] = inside ? nl_vec_load_part(row[i] + j * s->pixel + c, part) : (nl_vec){0};
}

NL_INLINE void patch_column(const nl_strip *s, const nl_real *const *row, int64_t j, int64_t c,
                            nl_part part, nl_vec to[4])
{
    nl_vec d[4];
    load_pixels(s, row, 4, j, c, part, d);
    patch_of(d, to);
}

/* Neighbours share two columns of B^T d. */
NL_INLINE void patches_part(nl_strip s, const nl_real *const *row, int64_t c, nl_part part,
                            nl_real *to)
{
    nl_vec column[4][4];
    EACH(j, 2) patch_column(&s, row, s.left + j, c, part, column[j]);
    for (int64_t t = 0; t < s.tiles; t++, to += s.tile) {
        EACH(j, 2) patch_column(&s, row, s.left + 2 * t + 2 + j, c, part, column[2 + j]);
        EACH(i, 4)
        {
            COLUMN(column, i, 4, d);
            nl_vec v[4];
            patch_of(d, v);
            EACH(j, 4) nl_vec_store(to + (4 * i + j) * s.product, v[j]);
        }
        EACH(j, 2) EACH(i, 4) column[j][i] = column[2 + j][i];
    }
}

NL_INLINE void gradients_part(nl_strip s, const nl_real *const *row, int64_t c, nl_part part,
                              nl_real *to)
{
    for (int64_t t = 0; t < s.tiles; t++, to += s.tile) {
        nl_vec column[2][4]; /* A dY */
        EACH(j, 2)
        {
            nl_vec dy[2];
            load_pixels(&s, row, 2, s.left + 2 * t + j, c, part, dy);
            gradient_of(dy, column[j]);
        }
        EACH(i, 4)
        {
            COLUMN(column, i, 2, dy);
            nl_vec v[4];
            gradient_of(dy, v);
            EACH(j, 4) nl_vec_store(to + (4 * i + j) * s.product, v[j]);
        }
    }
}

NL_INLINE void results_part(nl_strip s, const nl_real *m, nl_real *const *row, int64_t c,
                            nl_part part, bool add)
{
    for (int64_t t = 0; t < s.tiles; t++, m += s.tile) {
        nl_vec column[4][2], y[2][2]; /* A^T m */
        EACH(j, 4)
        {
            nl_vec v[4];
            EACH(i, 4) v[i] = nl_vec_load(m + (4 * i + j) * s.product);
            result_of(v, column[j]);
        }
        EACH(i, 2)
        {
            COLUMN(column, i, 4, v);
            result_of(v, y[i]);
        }
        EACH(i, 2) EACH(j, 2)
        {
            const int64_t at = s.left + 2 * t + j;
            if (!row[i] || at >= s.width)
                continue;
            nl_real *to = row[i] + at * s.pixel + c;
            nl_vec_store_part(to, add ? nl_vec_load_part(to, part) + y[i][j] : y[i][j], part);
        }
    }
}

static void patches(const nl_strip *s, const nl_real *const *row, nl_real *to)
{
    const nl_real *const own[4] = {row[0], row[1], row[2], row[3]}; /* no store changes them */
    for (int64_t c = 0; c < s->channels; c += NL_LANES)
        patches_part(*s, own, c, part_from(c, s->channels), to + c);
}

static void gradients(const nl_strip *s, const nl_real *const *row, nl_real *to)
{
    const nl_real *const own[2] = {row[0], row[1]};
    for (int64_t c = 0; c < s->channels; c += NL_LANES)
        gradients_part(*s, own, c, part_from(c, s->channels), to + c);
}

static void results(const nl_strip *s, const nl_real *m, nl_real *const *row, bool add)
{
    nl_real *const own[2] = {row[0], row[1]};
    for (int64_t c = 0; c < s->channels; c += NL_LANES)
        results_part(*s, m + c, own, c, part_from(c, s->channels), add);
}

static void fetch(const nl_real *from, int64_t pixels, int64_t pixel, int64_t channels)
{
    enum { LINE = 64 / sizeof(nl_real) };
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < channels; c += LINE)
            __builtin_prefetch(from + p * pixel + c, 0, 2);
}

const nl_winograd_kernels NL_VARIANT(nl_winograd_kernel) = {
    .weights = weights,
    .weight_gradient = weight_gradient,
    .patches = patches,
    .results = results,
    .fetch = fetch,
    .gradients = gradients,
};
