/* The result is cut into tiles of ROWS by COLUMNS registers that stay in registers while k runs;
 * the last column of registers is a part where n is no multiple of the lanes. */
#include "kernel/small_gemm.h"

#include "kernel/vec.h"

enum {
    ROWS = 6,
#ifdef __AVX512F__
    COLUMNS = 4 /* 24 sums, 4 values of B and 1 of A in 32 registers */
#else
    COLUMNS = 2 /* 12, 2 and 1 of 16 */
#endif
};

typedef struct block {
    int64_t k;
    nl_strided a;
    const nl_real *b;
    int64_t ldb;
    nl_real *c;
    int64_t ldc;
    const char *near; /* what is brought near at p = 0, and */
    int64_t step;     /* how far behind it the next is, in bytes */
} block;

/* whole: the last column of registers is one, too. AVX2's masked stores take many times a store. */
static inline __attribute__((always_inline)) void tile(const block *t, nl_part last, int rows,
                                                       int columns, bool add, bool whole)
{
    nl_vec sum[ROWS][COLUMNS];
    const int64_t row = t->a.row, col = t->a.col, ldb = t->ldb, ldc = t->ldc, step = t->step;
    const nl_real *a = t->a.p, *b = t->b, *from = t->c;
    nl_real *to = t->c;
    const char *near = t->near;
    const int registers = whole ? columns : columns - 1;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++, from += add ? ldc : 0)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            sum[i][j] = !add            ? (nl_vec){0}
                        : j < registers ? nl_vec_load(from + j * NL_LANES)
                                        : nl_vec_load_part(from + j * NL_LANES, last);
    for (int64_t p = t->k; p > 0; p--, a += col, b += ldb, near += step) {
        nl_vec line[COLUMNS];
        __builtin_prefetch(near, 0, 2);
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            line[j] = j < registers ? nl_vec_load(b + j * NL_LANES)
                                    : nl_vec_load_part(b + j * NL_LANES, last);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const nl_vec v = nl_vec_of(a[i * row]);
#pragma GCC unroll 8
            for (int j = 0; j < columns; j++)
                sum[i][j] = nl_vec_fma(v, line[j], sum[i][j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++, to += ldc)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++) {
            const nl_vec v = nl_vec_zero_is_positive(sum[i][j]);
            if (j < registers)
                nl_vec_store(to + j * NL_LANES, v);
            else
                nl_vec_store_part(to + j * NL_LANES, v, last);
        }
}

/* Functions for each size of a tile, so that the sums are registers. */
#define KIND(name, r, c, add, whole) \
    static void name##_##r##x##c(const block *t, nl_part last) { tile(t, last, r, c, add, whole); }
#define TILE(r, c)                    \
    KIND(part, r, c, false, false)    \
    KIND(whole, r, c, false, true)    \
    KIND(add_part, r, c, true, false) \
    KIND(add_whole, r, c, true, true)
#define TILES_OF(c) TILE(1, c) TILE(2, c) TILE(3, c) TILE(4, c) TILE(5, c) TILE(6, c)
#define KINDS(r, c)                                                                    \
    {                                                                                  \
        {part_##r##x##c, whole_##r##x##c}, { add_part_##r##x##c, add_whole_##r##x##c } \
    }
#define LIST_OF(c)                                                                   \
    {                                                                                \
        KINDS(1, c), KINDS(2, c), KINDS(3, c), KINDS(4, c), KINDS(5, c), KINDS(6, c) \
    }

TILES_OF(1)
TILES_OF(2)
#ifdef __AVX512F__
TILES_OF(3)
TILES_OF(4)
#endif
static void (*const tiles[COLUMNS][ROWS][2][2])(const block *, nl_part) = {
    LIST_OF(1),
    LIST_OF(2),
#ifdef __AVX512F__
    LIST_OF(3),
    LIST_OF(4),
#endif
};

/* The next of as few and as equal parts of at most `most` as `left` can be cut into. */
static int part_of(int64_t left, int64_t most)
{
    const int64_t parts = (left + most - 1) / most;
    return (int)((left + parts - 1) / parts);
}

static void multiply(int64_t m, int64_t n, int64_t k, nl_strided a, const nl_real *b, int64_t ldb,
                     nl_real *c, int64_t ldc, bool add, nl_ahead ahead)
{
    int64_t number = 0;
    for (int64_t j = 0, width; j < n; j += width) {
        const int columns = part_of((n - j + NL_LANES - 1) / NL_LANES, COLUMNS);
        width = n - j < columns * NL_LANES ? n - j : columns * NL_LANES;
        const nl_part last = nl_part_of((int)width - (columns - 1) * NL_LANES);
        for (int64_t i = 0, rows; i < m; i += rows, number++) {
            rows = part_of(m - i, ROWS);
            const bool looks = number < ahead.turns;
            const block t = {.k = k,
                             .a = {a.p + i * a.row, a.row, a.col},
                             .b = b + j,
                             .ldb = ldb,
                             .c = c + i * ldc + j,
                             .ldc = ldc,
                             .near = looks ? (const char *)ahead.from + number * ahead.turn
                                           : (const char *)b,
                             .step = looks ? ahead.step : 0};
            tiles[columns - 1][rows - 1][add][last.lanes == NL_LANES](&t, last);
        }
    }
}

/* A square of NL_LANES registers is transposed by swapping its off-diagonal halves, then those of
 * the quarters, and so on down to single values. */
static inline __attribute__((always_inline)) void swap_halves(nl_vec *v, int side)
{
    nl_lanes low = {0}, high = {0};
    for (int i = 0; i < NL_LANES; i++) {
        low[i] = i & side ? NL_LANES + i - side : i;
        high[i] = i & side ? NL_LANES + i : i + side;
    }
#pragma GCC unroll 16
    for (int i = 0; i < NL_LANES; i++) {
        if (i & side)
            continue;
        const nl_vec a = v[i], b = v[i + side];
        v[i] = nl_vec_shuffle(a, b, low);
        v[i + side] = nl_vec_shuffle(a, b, high);
    }
}

static inline __attribute__((always_inline)) void
transpose_square(const nl_real *from, int64_t ldfrom, nl_real *to, int64_t ldto)
{
    nl_vec v[NL_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < NL_LANES; i++)
        v[i] = nl_vec_load(from + i * ldfrom);
#pragma GCC unroll 4
    for (int side = 1; side < NL_LANES; side *= 2)
        swap_halves(v, side);
#pragma GCC unroll 16
    for (int i = 0; i < NL_LANES; i++)
        nl_vec_store(to + i * ldto, v[i]);
}

enum { FEW = 4 }; /* columns */

/* Columns without gaps, n of them: lane l of column j is value n l + j of n registers. */
static inline __attribute__((always_inline)) void deal_out(int64_t rows, int n, const nl_real *from,
                                                           nl_real *to, int64_t ldto)
{
    enum { PAIR = 2 * NL_LANES };
    const nl_lanes lane = nl_lane_numbers();
    for (int64_t i = 0; i < rows; i += NL_LANES) {
        nl_vec v[FEW];
        for (int k = 0; k < n; k++)
            v[k] = nl_vec_load(from + i * n + k * NL_LANES);
        for (int j = 0; j < n; j++) {
            const nl_lanes at = lane * n + j;
            nl_vec column = nl_vec_shuffle(v[0], v[1], at & (PAIR - 1));
            for (int k = 2; k < n; k++) {
                const nl_lanes there = at >= k * NL_LANES;
                const nl_lanes of_next = (at - (k - 1) * NL_LANES) & (PAIR - 1);
                column = nl_vec_shuffle(column, v[k], (there & of_next) | (~there & lane));
            }
            nl_vec_store(to + j * ldto + i, column);
        }
    }
}

static void deal_out_few(int64_t rows, int64_t n, const nl_real *from, nl_real *to, int64_t ldto)
{
    if (n == 2)
        deal_out(rows, 2, from, to, ldto);
    else if (n == 3)
        deal_out(rows, 3, from, to, ldto);
    else
        deal_out(rows, 4, from, to, ldto);
}

static void transpose_edge(int64_t m, int64_t n, const nl_real *from, int64_t ldfrom, nl_real *to,
                           int64_t ldto)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++)
            to[j * ldto + i] = from[i * ldfrom + j];
}

static void transpose(int64_t m, int64_t n, const nl_real *from, int64_t ldfrom, nl_real *to,
                      int64_t ldto)
{
    const int64_t squares_m = m - m % NL_LANES, squares_n = n - n % NL_LANES;
    if (n >= 2 && n <= FEW && n < NL_LANES && ldfrom == n) {
        deal_out_few(squares_m, n, from, to, ldto);
        transpose_edge(m - squares_m, n, from + squares_m * n, n, to + squares_m, ldto);
        return;
    }
    for (int64_t j = 0; j < squares_n; j += NL_LANES)
        for (int64_t i = 0; i < squares_m; i += NL_LANES)
            transpose_square(from + i * ldfrom + j, ldfrom, to + j * ldto + i, ldto);
    transpose_edge(m, n - squares_n, from + squares_n, ldfrom, to + squares_n * ldto, ldto);
    transpose_edge(m - squares_m, squares_n, from + squares_m * ldfrom, ldfrom, to + squares_m,
                   ldto);
}

const nl_small_gemm_kernels NL_VARIANT(nl_small_gemm) = {multiply, transpose};
