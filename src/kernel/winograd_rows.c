#include "kernel/winograd_rows.h"

#include "kernel/side_by_side.h"

enum { LATER = NL_POINTS - NL_PAIR, MOST = NL_POINTS + LATER };

typedef const nl_real matrix[NL_POINTS][NL_POINTS];
#define Q(a, b) ((nl_real)(a) / (nl_real)(b))

static matrix results_of = {{1, 1, 1, 1, 1, 0}, {0, Q(3, 4), Q(-3, 4), Q(3, 2), Q(-3, 2), 1}};
static matrix weights_of = {{Q(64, 81), 0, 0, 0, 0},
                            {Q(-128, 243), Q(-32, 81), Q(-8, 27), Q(-2, 9), Q(-1, 6)},
                            {Q(-128, 243), Q(32, 81), Q(-8, 27), Q(2, 9), Q(-1, 6)},
                            {Q(32, 243), Q(16, 81), Q(8, 27), Q(4, 9), Q(2, 3)},
                            {Q(32, 243), Q(-16, 81), Q(8, 27), Q(-4, 9), Q(2, 3)},
                            {0, 0, 0, 0, 1}};
static matrix patches_of = {
    {Q(81, 64), 0, Q(-45, 16), 0, 1, 0},       {0, Q(-27, 16), Q(-9, 4), Q(3, 4), 1, 0},
    {0, Q(27, 16), Q(-9, 4), Q(-3, 4), 1, 0},  {0, Q(-27, 32), Q(-9, 16), Q(3, 2), 1, 0},
    {0, Q(27, 32), Q(-9, 16), Q(-3, 2), 1, 0}, {0, Q(81, 64), 0, Q(-45, 16), 0, 1}};

#define EACH(i, count) _Pragma("GCC unroll 10") for (int i = 0; i < (count); i++)

/* One of the transforms; all but the rows are constants where it is called. */
typedef struct shape {
    int rows, columns;
    int later; /* so many results have a value behind those of the columns added */
    bool transposed;
} shape;

/* Row i times v; terms of a zero are left out. */
NL_INLINE nl_vec row_times(matrix m, shape s, int i, const nl_vec v[MOST])
{
    nl_vec sum = {0};
    bool is_first = true;
    EACH(j, s.columns)
    {
        const nl_real q = s.transposed ? m[j][i] : m[i][j];
        if (q == 0)
            continue;
        if (is_first)
            sum = q == 1 ? v[j] : q * v[j];
        else
            sum = q == 1 ? sum + v[j] : nl_vec_fma(nl_vec_of(q), v[j], sum);
        is_first = false;
    }
    return i < s.later ? sum + v[s.columns + i] : sum;
}

NL_INLINE void transform_at(matrix m, shape s, const nl_real *const *from, nl_real *const *to,
                            int64_t at, const nl_part *part)
{
    nl_vec v[MOST];
    EACH(j, s.columns + s.later)
    v[j] = part ? nl_vec_load_part(from[j] + at, *part) : nl_vec_load(from[j] + at);
    EACH(i, s.rows)
    {
        const nl_vec sum = row_times(m, s, i, v);
        if (part)
            nl_vec_store_part(to[i] + at, sum, *part);
        else
            nl_vec_store(to[i] + at, sum);
    }
}

NL_INLINE void transform(matrix m, shape s, const nl_real *const *from, nl_real *const *to,
                         int64_t count)
{
    const nl_real *own_from[MOST]; /* no store changes them */
    nl_real *own_to[NL_POINTS];
    int64_t at = 0;
    EACH(j, s.columns + s.later) own_from[j] = from[j];
    EACH(i, s.rows) own_to[i] = to[i];
    for (; at + NL_LANES <= count; at += NL_LANES)
        transform_at(m, s, own_from, own_to, at, NULL);
    if (at < count) {
        const nl_part rest = nl_part_of((int)(count - at));
        transform_at(m, s, own_from, own_to, at, &rest);
    }
}

#define TRANSFORM(name, m, ...)                                                     \
    static void name(const nl_real *const *from, nl_real *const *to, int64_t count) \
    {                                                                               \
        transform(m, (shape){__VA_ARGS__}, from, to, count);                        \
    }
TRANSFORM(weights, weights_of, .rows = NL_POINTS, .columns = NL_ROW_TAPS)
TRANSFORM(weight_gradient, weights_of, .rows = NL_ROW_TAPS, .columns = NL_POINTS,
          .transposed = true)
TRANSFORM(results, results_of, .rows = NL_PAIR, .columns = NL_POINTS)
TRANSFORM(gradients, results_of, .rows = NL_POINTS, .columns = NL_PAIR, .transposed = true)
TRANSFORM(patches, patches_of, .rows = NL_POINTS, .columns = NL_POINTS)
TRANSFORM(overlap, patches_of, .rows = NL_POINTS, .columns = NL_POINTS, .transposed = true,
          .later = LATER)

/* ---- from planes */

/* Pixels i, i + 1, ..., a register. */
NL_INLINE void place_results(const nl_real *const *from, int64_t plane, int64_t i, int64_t pixels,
                             int out, nl_real *const *to)
{
    const shape s = {.rows = NL_PAIR, .columns = NL_POINTS};
    nl_vec y[NL_PAIR][NL_FEW_RESULTS];
    EACH(o, out)
    {
        nl_vec v[MOST];
        EACH(p, NL_POINTS) v[p] = nl_vec_load(from[p] + o * plane + i);
        EACH(k, NL_PAIR) y[k][o] = row_times(results_of, s, k, v);
    }
    EACH(k, NL_PAIR) nl_store_side_by_side(y[k], out, (pixels - i) * out, to[k] + i * out);
}

#define PLACE(out)                                                                     \
    static void place_##out(const nl_real *const *from, int64_t plane, int64_t pixels, \
                            nl_real *const *to)                                        \
    {                                                                                  \
        for (int64_t i = 0; i < pixels; i += NL_LANES)                                 \
            place_results(from, plane, i, pixels, out, to);                            \
    }
#define PLACE_8 PLACE(1) PLACE(2) PLACE(3) PLACE(4) PLACE(5) PLACE(6) PLACE(7) PLACE(8)
PLACE_8

typedef void place_all(const nl_real *const *from, int64_t plane, int64_t pixels,
                       nl_real *const *to);
static place_all *const places[NL_FEW_RESULTS] = {place_1, place_2, place_3, place_4,
                                                  place_5, place_6, place_7, place_8};

static void results_of_planes(const nl_real *const *from, int64_t plane, int64_t pixels,
                              int64_t out, nl_real *const *to)
{
    places[out - 1](from, plane, pixels, to);
}

static void clear(nl_real *row, int64_t rows, int64_t line, int64_t count)
{
    for (int64_t k = 0; k < count; k += NL_LANES) {
        const nl_part part = nl_part_of(count - k < NL_LANES ? (int)(count - k) : NL_LANES);
        for (int64_t i = 0; i < rows; i++)
            nl_vec_store_part(row + i * line + k, (nl_vec){0}, part);
    }
}

const nl_winograd_row_kernels NL_VARIANT(nl_winograd_row_kernel) = {
    .weights = weights,
    .weight_gradient = weight_gradient,
    .results = results,
    .gradients = gradients,
    .patches = patches,
    .overlap = overlap,
    .results_of_planes = results_of_planes,
    .clear = clear,
};
