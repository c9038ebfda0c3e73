/* small_gemm.h: the matrix product on one block that stays in a core's cache. */
#ifndef NL_SMALL_GEMM_H
#define NL_SMALL_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/cpu.h"

/* A matrix whose element (i, j) is at p[i * row + j * col]. */
typedef struct nl_strided {
    const nl_real *p;
    int64_t row, col;
} nl_strided;

/* Memory that is needed next and is brought near meanwhile: the tiles of a product are done one
 * after another, and tile t < turns asks, at every p < k, for the line at from + t turn + p step
 * (bytes). It may lie beyond any array. {0}: nothing. */
typedef struct nl_ahead {
    const void *from;
    int64_t turns, turn, step;
} nl_ahead;

typedef struct nl_small_gemm_kernels {
    /* C (m, n) = A (m, k) B (k, n), or C += with add. B and C are row-major with strides ldb, ldc;
     * C overlaps neither A nor B. Every element of C is one chain of fused multiply-adds over 0 ..
     * k-1, from 0 or from C, and +0 if that is a zero: it depends on nothing but its row of A, its
     * column of B and k. */
    void (*multiply)(int64_t m, int64_t n, int64_t k, nl_strided a, const nl_real *b, int64_t ldb,
                     nl_real *c, int64_t ldc, bool add, nl_ahead ahead);
    /* to (n, m) = from (m, n)^T, both row-major. No overlap. */
    void (*transpose)(int64_t m, int64_t n, const nl_real *from, int64_t ldfrom, nl_real *to,
                      int64_t ldto);
} nl_small_gemm_kernels;

NL_KERNELS(nl_small_gemm_kernels, nl_small_gemm)

#endif
