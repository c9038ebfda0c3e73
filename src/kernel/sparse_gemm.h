/* sparse_gemm.h: the product of small_gemm.h where many values of A are zero, whose terms are left
 * out. The bytes are the same: a term with a zero factor changes a sum by nothing but the sign of a
 * zero, and both products give a zero as +0. That holds while B is finite (0 inf is NaN), which
 * packing tells. */
#ifndef NL_SPARSE_GEMM_H
#define NL_SPARSE_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* What B is packed into: rows without gaps that fill the nearest cache. */
enum { NL_SPARSE_DEPTH = 128, NL_SPARSE_COLUMNS = 256 / (int)sizeof(nl_real) };

/* Where a row of up to NL_SPARSE_DEPTH values is not zero. */
typedef struct nl_nonzeros {
    int64_t count;
    uint8_t at[NL_SPARSE_DEPTH];
} nl_nonzeros;

/* Memory that is needed next and is brought near meanwhile: the first `bytes` of each row. */
typedef struct nl_rows_ahead {
    const void *from;
    int64_t rows, bytes, stride; /* stride in bytes, too */
} nl_rows_ahead;

typedef struct nl_sparse_gemm_kernels {
    /* The share of A that may be other than zero for `multiply` to be the faster one; 0: none. */
    double pays_below;
    void (*find)(int64_t m, int64_t depth, const nl_real *a, int64_t lda, nl_nonzeros *to);
    /* B (depth, n) with stride ldb into a packed one; whether all is finite. With ldb =
     * NL_SPARSE_COLUMNS it may be there already: to = b. */
    bool (*pack)(int64_t depth, int64_t n, const nl_real *b, int64_t ldb, nl_real *to);
    /* C (m, n) = A B, or C += with add, where A is not zero at `at`. n <= NL_SPARSE_COLUMNS; B is
     * packed and initialized in all its columns. */
    void (*multiply)(int64_t m, int64_t n, const nl_real *a, int64_t lda, const nl_nonzeros *at,
                     const nl_real *b, nl_real *c, int64_t ldc, bool add, nl_rows_ahead ahead);
} nl_sparse_gemm_kernels;

NL_KERNELS(nl_sparse_gemm_kernels, nl_sparse_gemm)

#endif
