#include "kernel/conv.h"

#include "kernel/side_by_side.h"
#include "kernel/vec.h"

/* Sums of a tile: PIXELS[columns - 1] rows by `columns` registers; with the registers of one line
 * of weights and one broadcast value they are all that there are. */
enum {
#ifdef __AVX512F__
    COLUMNS = 4,
    MOST_PIXELS = 14
#else
    COLUMNS = 2,
    MOST_PIXELS = 10
#endif
};
#ifdef __AVX512F__
static const int most_pixels[COLUMNS] = {14, 12, 8, 6};
#else
static const int most_pixels[COLUMNS] = {10, 6};
#endif

#define EACH_ROW _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++)
#define EACH_COLUMN _Pragma("GCC unroll 4") for (int j = 0; j < columns; j++)

NL_INLINE nl_vec load_column(const nl_real *p, int j, int columns, nl_part last)
{
    return j < columns - 1 ? nl_vec_load(p + j * NL_LANES)
                           : nl_vec_load_part(p + j * NL_LANES, last);
}

NL_INLINE void store_column(nl_real *p, nl_vec v, int j, int columns, nl_part last)
{
    if (j < columns - 1)
        nl_vec_store(p + j * NL_LANES, v);
    else
        nl_vec_store_part(p + j * NL_LANES, v, last);
}

/* A tile's operands lie at x, w and y, the rest is as in t: to copy t and to change it would be to
 * wait until what the caller has just written there has left the processor. */
NL_INLINE void correlate_tile(const nl_correlation *t, const nl_real *x, const nl_real *w,
                              nl_real *y, nl_part last, int rows, int columns)
{
    nl_vec sum[MOST_PIXELS][COLUMNS];
    EACH_ROW EACH_COLUMN sum[i][j] =
        t->add ? load_column(y + i * t->ldy, j, columns, last) : (nl_vec){0};
    for (int64_t a = 0; a < t->rows; a++)
        for (int64_t b = 0; b < t->cols; b++) {
            const nl_real *pixel = x + a * t->x_row + b * t->x_col;
            const nl_real *weight = w + a * t->w_row + b * t->w_col;
            for (int64_t q = 0; q < t->run; q++, pixel++, weight += t->ldw) {
                nl_vec line[COLUMNS];
                EACH_COLUMN line[j] = load_column(weight, j, columns, last);
                EACH_ROW
                {
                    const nl_vec v = nl_vec_of(pixel[i * t->ldx]);
                    EACH_COLUMN sum[i][j] = nl_vec_fma(v, line[j], sum[i][j]);
                }
            }
        }
    EACH_ROW EACH_COLUMN store_column(y + i * t->ldy, sum[i][j], j, columns, last);
}

NL_INLINE void outer_tile(const nl_outer_sum *t, const nl_real *x, nl_real *w, const nl_real *y,
                          nl_part last, int rows, int columns)
{
    nl_vec sum[MOST_PIXELS][COLUMNS];
    EACH_ROW EACH_COLUMN sum[i][j] = load_column(w + i * t->ldw, j, columns, last);
    for (int64_t a = 0; a < t->rows; a++) {
        const nl_real *left = x + a * t->x_row, *right = y + a * t->y_row;
        for (int64_t b = 0; b < t->cols; b++, left += t->x_col, right += t->y_col) {
            nl_vec line[COLUMNS];
            EACH_COLUMN line[j] = load_column(right, j, columns, last);
            EACH_ROW
            {
                const nl_vec v = nl_vec_of(left[i]);
                EACH_COLUMN sum[i][j] = nl_vec_fma(v, line[j], sum[i][j]);
            }
        }
    }
    EACH_ROW EACH_COLUMN store_column(w + i * t->ldw, sum[i][j], j, columns, last);
}

/* One function for each tile size, so that the sums are registers. */
#define TILE(r, c)                                                                               \
    static void correlate_##r##x##c(const nl_correlation *t, const nl_real *x, const nl_real *w, \
                                    nl_real *y, nl_part last)                                    \
    {                                                                                            \
        correlate_tile(t, x, w, y, last, r, c);                                                  \
    }                                                                                            \
    static void outer_##r##x##c(const nl_outer_sum *t, const nl_real *x, nl_real *w,             \
                                const nl_real *y, nl_part last)                                  \
    {                                                                                            \
        outer_tile(t, x, w, y, last, r, c);                                                      \
    }
#define TILES_6(c) TILE(1, c) TILE(2, c) TILE(3, c) TILE(4, c) TILE(5, c) TILE(6, c)
#define TILES_8(c) TILES_6(c) TILE(7, c) TILE(8, c)
#define TILES_10(c) TILES_8(c) TILE(9, c) TILE(10, c)
#define TILES_12(c) TILES_10(c) TILE(11, c) TILE(12, c)
#define TILES_14(c) TILES_12(c) TILE(13, c) TILE(14, c)
#define LIST_6(kind, c) \
    kind##_1x##c, kind##_2x##c, kind##_3x##c, kind##_4x##c, kind##_5x##c, kind##_6x##c
#define LIST_8(kind, c) LIST_6(kind, c), kind##_7x##c, kind##_8x##c
#define LIST_10(kind, c) LIST_8(kind, c), kind##_9x##c, kind##_10x##c
#define LIST_12(kind, c) LIST_10(kind, c), kind##_11x##c, kind##_12x##c
#define LIST_14(kind, c) LIST_12(kind, c), kind##_13x##c, kind##_14x##c

#ifdef __AVX512F__
TILES_14(1)
TILES_12(2)
TILES_8(3)
TILES_6(4)
#define LISTS(kind) \
    {LIST_14(kind, 1)}, {LIST_12(kind, 2)}, {LIST_8(kind, 3)}, { LIST_6(kind, 4) }
#else
TILES_10(1)
TILES_6(2)
#define LISTS(kind) \
    {LIST_10(kind, 1)}, { LIST_6(kind, 2) }
#endif
typedef void correlate_one(const nl_correlation *t, const nl_real *x, const nl_real *w, nl_real *y,
                           nl_part last);
typedef void outer_one(const nl_outer_sum *t, const nl_real *x, nl_real *w, const nl_real *y,
                       nl_part last);
static correlate_one *const correlations[COLUMNS][MOST_PIXELS] = {LISTS(correlate)};
static outer_one *const outers[COLUMNS][MOST_PIXELS] = {LISTS(outer)};

/* The next of even pieces of what is left of `count`, none above `most`. */
static inline int piece_of(int64_t count, int most)
{
    if (count <= most)
        return (int)count;
    const int64_t pieces = (count + most - 1) / most;
    return (int)((count + pieces - 1) / pieces);
}

/* Registers of a column of tiles, for `out` channels that are left. */
static inline int columns_of(int64_t out)
{
    return piece_of((out + NL_LANES - 1) / NL_LANES, COLUMNS);
}

static void correlate(const nl_correlation *t)
{
    for (int64_t o = 0; o < t->out;) {
        const int columns = columns_of(t->out - o);
        const int64_t left = t->out - o - (columns - 1) * NL_LANES;
        const nl_part last = nl_part_of(left < NL_LANES ? (int)left : NL_LANES);
        for (int64_t p = 0; p < t->pixels;) {
            const int pixels = piece_of(t->pixels - p, most_pixels[columns - 1]);
            correlations[columns - 1][pixels - 1](t, t->x + p * t->ldx, t->w + o,
                                                  t->y + p * t->ldy + o, last);
            p += pixels;
        }
        o += columns * NL_LANES;
    }
}

enum {
    STRIP = 2, /* registers of pixels */
#ifdef __AVX512F__
    PAIRED_RESULTS = 6 /* so many of two lines leave registers for their pixels and a weight */
#else
    PAIRED_RESULTS = 0
#endif
};

#define EACH_LINE _Pragma("GCC unroll 2") for (int l = 0; l < lines; l++)

NL_INLINE void planes_tile(const nl_planes *t, const nl_real *x, nl_real *y, int64_t pixels,
                           int rows, int lines)
{
    enum { columns = STRIP, LINES = 2 };
    nl_vec sum[LINES][STRIP][NL_FEW_RESULTS];
    EACH_LINE EACH_COLUMN EACH_ROW sum[l][j][i] = (nl_vec){0};
    const nl_real *w = t->w;
    for (int64_t a = 0; a < t->rows; a++)
        for (int64_t b = 0; b < t->cols; b++)
            for (int64_t q = 0; q < t->planes; q++, w += rows) {
                const nl_real *from = x + q * t->plane + a * t->x_row + b;
                nl_vec pixel[LINES][STRIP];
                EACH_LINE EACH_COLUMN pixel[l][j] = nl_vec_load(from + l * t->x_row + j * NL_LANES);
                EACH_ROW
                {
                    const nl_vec v = nl_vec_of(w[i]);
                    EACH_LINE EACH_COLUMN sum[l][j][i] = nl_vec_fma(v, pixel[l][j], sum[l][j][i]);
                }
            }
    const int64_t y_line = t->y_line, y_plane = t->y_plane;
    if (y_plane)
        EACH_LINE EACH_COLUMN EACH_ROW nl_vec_store(y + l * y_line + i * y_plane + j * NL_LANES,
                                                    sum[l][j][i]);
    else
        EACH_LINE EACH_COLUMN nl_store_side_by_side(sum[l][j], rows, (pixels - j * NL_LANES) * rows,
                                                    y + l * y_line + j * NL_LANES * rows);
}

typedef void planes_one(const nl_planes *t, const nl_real *x, nl_real *y, int64_t pixels);
#define PLANES(r)                                                                            \
    static void planes_##r(const nl_planes *t, const nl_real *x, nl_real *y, int64_t pixels) \
    {                                                                                        \
        planes_tile(t, x, y, pixels, r, 1);                                                  \
    }                                                                                        \
    static void paired_##r(const nl_planes *t, const nl_real *x, nl_real *y, int64_t pixels) \
    {                                                                                        \
        planes_tile(t, x, y, pixels, r, r <= PAIRED_RESULTS ? 2 : 1);                        \
    }
#define PLANES_8 PLANES(1) PLANES(2) PLANES(3) PLANES(4) PLANES(5) PLANES(6) PLANES(7) PLANES(8)
PLANES_8
#define LIST_OF(kind)                                                                  \
    {                                                                                  \
        kind##_1, kind##_2, kind##_3, kind##_4, kind##_5, kind##_6, kind##_7, kind##_8 \
    }
static planes_one *const planes[][NL_FEW_RESULTS] = {LIST_OF(planes), LIST_OF(paired)};

/* Lines in pairs share the load of a weight, and most of their pixels. */
static void correlate_planes(const nl_planes *t)
{
    enum { AT_ONCE = STRIP * NL_LANES };
    for (int64_t l = 0, lines; l < t->lines; l += lines) {
        lines = t->out <= PAIRED_RESULTS && t->lines - l > 1 ? 2 : 1;
        for (int64_t p = 0; p < t->pixels; p += AT_ONCE)
            planes[lines - 1][t->out - 1](t, t->x + l * t->x_row + p,
                                          t->y + l * t->y_line + p * (t->y_plane ? 1 : t->out),
                                          t->pixels - p < AT_ONCE ? t->pixels - p : AT_ONCE);
    }
}

/* Runs [from, end) reach the register from place e on; both grow with e. */
static void sum_runs(const nl_runs *t)
{
    const int64_t to_next = t->run + NL_LANES - t->step;
    int64_t from = 0, end = 0;
    for (int64_t e = 0; e < t->count; e += NL_LANES) {
        const nl_part part = nl_part_of(t->count - e < NL_LANES ? (int)(t->count - e) : NL_LANES);
        while (from * t->step + t->run <= e + t->shift)
            from++;
        while (end < t->pixels && end * t->step < e + t->shift + NL_LANES)
            end++;
        const nl_real *at = t->runs + from * to_next + e + t->shift;
        nl_vec sum = {0};
        for (int64_t p = from; p < end; p++, at += to_next)
            sum += nl_vec_load(at);
        if (t->add)
            sum += nl_vec_load_part(t->to + e, part);
        nl_vec_store_part(t->to + e, sum, part);
    }
}

static void outer_sum(const nl_outer_sum *t)
{
    for (int64_t o = 0; o < t->out;) {
        const int columns = columns_of(t->out - o);
        const int64_t left = t->out - o - (columns - 1) * NL_LANES;
        const nl_part last = nl_part_of(left < NL_LANES ? (int)left : NL_LANES);
        for (int64_t r = 0; r < t->run;) {
            const int run = piece_of(t->run - r, most_pixels[columns - 1]);
            outers[columns - 1][run - 1](t, t->x + r, t->w + r * t->ldw + o, t->y + o, last);
            r += run;
        }
        o += columns * NL_LANES;
    }
}

#ifdef __AVX512F__
#define EACH_TAP _Pragma("GCC unroll 32") for (int i = 0; i < rows; i++)

/* All sums of a register of results. */
static void picture_tile(const nl_outer_sum *t, int64_t x_line, int64_t w_line, int64_t o,
                         nl_part last)
{
    enum { rows = NL_PICTURE_LINES * NL_PICTURE_RUN };
    nl_vec sum[rows];
#define LINE(i) ((i) / NL_PICTURE_RUN)
#define PLACE(i) ((i) % NL_PICTURE_RUN)
    EACH_TAP sum[i] = nl_vec_load_part(t->w + LINE(i) * w_line + PLACE(i) * t->ldw + o, last);
    for (int64_t a = 0; a < t->rows; a++) {
        const nl_real *x = t->x + a * t->x_row, *y = t->y + a * t->y_row + o;
        for (int64_t b = 0; b < t->cols; b++, x += t->x_col, y += t->y_col) {
            const nl_vec line = nl_vec_load_part(y, last);
            EACH_TAP sum[i] = nl_vec_fma(nl_vec_of(x[LINE(i) * x_line + PLACE(i)]), line, sum[i]);
        }
    }
    EACH_TAP nl_vec_store_part(t->w + LINE(i) * w_line + PLACE(i) * t->ldw + o, sum[i], last);
#undef LINE
#undef PLACE
}
#endif

static void outer_picture(const nl_outer_sum *t, int64_t x_line, int64_t w_line)
{
#ifdef __AVX512F__
    for (int64_t o = 0; o < t->out; o += NL_LANES)
        picture_tile(t, x_line, w_line, o,
                     nl_part_of(t->out - o < NL_LANES ? (int)(t->out - o) : NL_LANES));
#else
    for (int64_t l = 0; l < NL_PICTURE_LINES; l++) {
        nl_outer_sum line = *t;
        line.x += l * x_line, line.w += l * w_line;
        outer_sum(&line);
    }
#endif
}

static void depthwise(int64_t pixels, int64_t c, const nl_real *x, int64_t ldx, const nl_real *w,
                      nl_real *y, int64_t ldy)
{
    for (int64_t k = 0; k < c; k += NL_LANES) {
        const nl_part part = nl_part_of(c - k < NL_LANES ? (int)(c - k) : NL_LANES);
        const nl_vec scale = nl_vec_load_part(w + k, part);
        for (int64_t p = 0; p < pixels; p++) {
            nl_real *to = y + p * ldy + k;
            const nl_vec v = nl_vec_load_part(x + p * ldx + k, part);
            nl_vec_store_part(to, nl_vec_fma(v, scale, nl_vec_load_part(to, part)), part);
        }
    }
}

static void depthwise_sum(int64_t pixels, int64_t c, const nl_real *x, int64_t ldx,
                          const nl_real *y, int64_t ldy, nl_real *w)
{
    for (int64_t k = 0; k < c; k += NL_LANES) {
        const nl_part part = nl_part_of(c - k < NL_LANES ? (int)(c - k) : NL_LANES);
        nl_vec sum = nl_vec_load_part(w + k, part);
        for (int64_t p = 0; p < pixels; p++)
            sum = nl_vec_fma(nl_vec_load_part(x + p * ldx + k, part),
                             nl_vec_load_part(y + p * ldy + k, part), sum);
        nl_vec_store_part(w + k, sum, part);
    }
}

enum { FOLDED = 64 }; /* values at once */

static void fold_few(const nl_real *part, int64_t parts, int64_t stride, int64_t count, nl_real *to,
                     bool add)
{
    double sum[NL_CONV_PARTS][FOLDED];
    for (int64_t k = 0; k < parts; k++)
        for (int64_t i = 0; i < count; i++)
            sum[k][i] = (double)part[k * stride + i];
    for (int64_t left = parts; left > 1; left = (left + 1) / 2)
        for (int64_t k = 0; k < left / 2; k++)
            for (int64_t i = 0; i < count; i++)
                sum[k][i] += sum[left - 1 - k][i];
    for (int64_t i = 0; i < count; i++)
        /* There always is one part: NOLINTNEXTLINE(clang-analyzer-core.*) */
        to[i] = (nl_real)(add ? (double)to[i] + sum[0][i] : sum[0][i]);
}

static void fold(const nl_real *part, int64_t parts, int64_t stride, int64_t count, nl_real *to,
                 bool add)
{
    for (int64_t i = 0; i < count; i += FOLDED)
        fold_few(part + i, parts, stride, count - i < FOLDED ? count - i : FOLDED, to + i, add);
}

const nl_conv_kernels NL_VARIANT(nl_conv_kernel) = {
    .lanes = NL_LANES,
    .correlate = correlate,
    .correlate_planes = correlate_planes,
    .sum_runs = sum_runs,
    .outer_sum = outer_sum,
    .outer_picture = outer_picture,
    .depthwise = depthwise,
    .depthwise_sum = depthwise_sum,
    .fold = fold,
};
