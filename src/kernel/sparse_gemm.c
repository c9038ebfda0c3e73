/* A row of C stays in registers while its row of A goes by. What is not zero there takes a row of B
 * from the nearest cache, so that loads are the limit: a register of B for every multiply-add. */
#include "kernel/sparse_gemm.h"

#include <string.h>

#include "kernel/vec.h"

enum {
    REGISTERS = NL_SPARSE_COLUMNS / NL_LANES, /* of a row */
    LINE = 64                                 /* bytes, of cache */
};

#ifdef __AVX512F__
/* Compressed in a register and stored whole: a compressing store takes many times as long. */
static int64_t find_in_register(nl_vec v, nl_lanes number, uint8_t *at)
{
#ifdef NL_F64
    const __mmask8 set = _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
    const __m512i numbers = _mm512_maskz_compress_epi64(set, (__m512i)number);
    _mm_storel_epi64((void *)at, _mm512_cvtepi64_epi8(numbers));
#else
    const __mmask16 set = _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512i numbers = _mm512_maskz_compress_epi32(set, (__m512i)number);
    _mm_storeu_si128((void *)at, _mm512_cvtepi32_epi8(numbers));
#endif
    return __builtin_popcount(set);
}

static int64_t find_in_row(int64_t depth, const nl_real *a, uint8_t *at)
{
    int64_t count = 0, p = 0;
    nl_lanes number = nl_lane_numbers();
    for (; p + NL_LANES <= depth; p += NL_LANES, number += NL_LANES)
        count += find_in_register(nl_vec_load(a + p), number, at + count);
    if (p < depth)
        count += find_in_register(nl_vec_load_part(a + p, nl_part_of((int)(depth - p))), number,
                                  at + count);
    return count;
}
#else
static int64_t find_in_row(int64_t depth, const nl_real *a, uint8_t *at)
{
    int64_t count = 0;
    for (int64_t p = 0; p < depth; p++) {
        at[count] = (uint8_t)p;
        count += a[p] != 0;
    }
    return count;
}
#endif

static void find(int64_t m, int64_t depth, const nl_real *a, int64_t lda, nl_nonzeros *to)
{
    for (int64_t i = 0; i < m; i++)
        to[i].count = find_in_row(depth, a + i * lda, to[i].at);
}

/* A sum of v - v is NaN once there is a v that is not finite. */
static bool pack(int64_t depth, int64_t n, const nl_real *b, int64_t ldb, nl_real *to)
{
    const int64_t whole = n - n % NL_LANES;
    const nl_part rest = nl_part_of((int)(n - whole));
    nl_vec nothing = {0};
    for (int64_t p = 0; p < depth; p++, b += ldb, to += NL_SPARSE_COLUMNS) {
        for (int64_t j = 0; j < whole; j += NL_LANES) {
            const nl_vec v = nl_vec_load(b + j);
            nothing += v - v;
            nl_vec_store(to + j, v);
        }
        if (rest.lanes) {
            const nl_vec v = nl_vec_load_part(b + whole, rest);
            nothing += v - v;
            nl_vec_store_part(to + whole, v, rest);
        }
    }
    return !nl_any_lane(nothing != (nl_vec){0});
}

static inline __attribute__((always_inline)) void
multiply_row(const nl_real *a, const nl_nonzeros *nonzeros, const nl_real *b, nl_real *c, bool add)
{
    nl_vec sum[REGISTERS];
    const int64_t count = nonzeros->count;
#pragma GCC unroll 16
    for (int j = 0; j < REGISTERS; j++)
        sum[j] = add ? nl_vec_load(c + j * NL_LANES) : (nl_vec){0};
    for (int64_t t = 0; t < count; t++) {
        const int64_t p = nonzeros->at[t];
        const nl_real *line = b + p * NL_SPARSE_COLUMNS;
        const nl_vec v = nl_vec_of(a[p]);
#pragma GCC unroll 16
        for (int j = 0; j < REGISTERS; j++)
            sum[j] = nl_vec_fma(v, nl_vec_load(line + j * NL_LANES), sum[j]);
    }
#pragma GCC unroll 16
    for (int j = 0; j < REGISTERS; j++)
        nl_vec_store(c + j * NL_LANES, nl_vec_zero_is_positive(sum[j]));
}

static void multiply_part_of_row(int64_t n, const nl_real *a, const nl_nonzeros *nonzeros,
                                 const nl_real *b, nl_real *c, bool add)
{
    nl_real row[NL_SPARSE_COLUMNS] = {0};
    if (add)
        memcpy(row, c, (size_t)n * sizeof *c);
    multiply_row(a, nonzeros, b, row, add);
    memcpy(c, row, (size_t)n * sizeof *c);
}

static void bring_near(const char *row, int64_t bytes)
{
    for (int64_t at = 0; at < bytes + LINE; at += LINE) /* it may begin within a line */
        __builtin_prefetch(row + at, 0, 2);
}

static void multiply(int64_t m, int64_t n, const nl_real *a, int64_t lda, const nl_nonzeros *at,
                     const nl_real *b, nl_real *c, int64_t ldc, bool add, nl_rows_ahead ahead)
{
    for (int64_t i = 0; i < m; i++, a += lda, at++, c += ldc) {
        if (i < ahead.rows)
            bring_near((const char *)ahead.from + i * ahead.stride, ahead.bytes);
        if (n == NL_SPARSE_COLUMNS)
            multiply_row(a, at, b, c, add);
        else
            multiply_part_of_row(n, a, at, b, c, add);
    }
}

#ifdef __AVX512F__
enum { PAYS_BELOW_PERCENT = 55 };
#else
enum { PAYS_BELOW_PERCENT = 0 };
#endif

const nl_sparse_gemm_kernels NL_VARIANT(nl_sparse_gemm) = {PAYS_BELOW_PERCENT / 100.0, find, pack,
                                                           multiply};
