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
    bool add;
} block;

static inline __attribute__((always_inline)) void tile(const block *t, nl_part last, int rows,
                                                       int columns)
{
    nl_vec sum[ROWS][COLUMNS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            sum[i][j] = !t->add ? (nl_vec){0}
                        : j < columns - 1
                            ? nl_vec_load(t->c + i * t->ldc + j * NL_LANES)
                            : nl_vec_load_part(t->c + i * t->ldc + j * NL_LANES, last);
    const nl_real *a = t->a.p, *b = t->b;
    for (int64_t p = 0; p < t->k; p++, a += t->a.col, b += t->ldb) {
        nl_vec line[COLUMNS];
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            line[j] = j < columns - 1 ? nl_vec_load(b + j * NL_LANES)
                                      : nl_vec_load_part(b + j * NL_LANES, last);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const nl_vec v = nl_vec_of(a[i * t->a.row]);
#pragma GCC unroll 8
            for (int j = 0; j < columns; j++)
                sum[i][j] = nl_vec_fma(v, line[j], sum[i][j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++) {
            nl_real *to = t->c + i * t->ldc + j * NL_LANES;
            if (j < columns - 1)
                nl_vec_store(to, sum[i][j]);
            else
                nl_vec_store_part(to, sum[i][j], last);
        }
}

/* One function for each tile size, so that the sums are registers. */
#define TILE(r, c) \
    static void tile_##r##x##c(const block *t, nl_part last) { tile(t, last, r, c); }
#define TILES_OF(c) TILE(1, c) TILE(2, c) TILE(3, c) TILE(4, c) TILE(5, c) TILE(6, c)
#define LIST_OF(c)                                                             \
    {                                                                          \
        tile_1x##c, tile_2x##c, tile_3x##c, tile_4x##c, tile_5x##c, tile_6x##c \
    }

TILES_OF(1)
TILES_OF(2)
#ifdef __AVX512F__
TILES_OF(3)
TILES_OF(4)
#endif
static void (*const tiles[COLUMNS][ROWS])(const block *, nl_part) = {
    LIST_OF(1),
    LIST_OF(2),
#ifdef __AVX512F__
    LIST_OF(3),
    LIST_OF(4),
#endif
};

static void multiply(int64_t m, int64_t n, int64_t k, nl_strided a, const nl_real *b, int64_t ldb,
                     nl_real *c, int64_t ldc, bool add)
{
    for (int64_t j = 0; j < n; j += COLUMNS * NL_LANES) {
        const int64_t width = n - j < COLUMNS * NL_LANES ? n - j : COLUMNS * NL_LANES;
        const int columns = (int)((width + NL_LANES - 1) / NL_LANES);
        const nl_part last = nl_part_of((int)width - (columns - 1) * NL_LANES);
        for (int64_t i = 0; i < m; i += ROWS) {
            const int rows = m - i < ROWS ? (int)(m - i) : ROWS;
            const block t = {k,  {a.p + i * a.row, a.row, a.col}, b + j, ldb, c + i * ldc + j, ldc,
                             add};
            tiles[columns - 1][rows - 1](&t, last);
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
