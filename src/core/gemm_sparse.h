/* gemm_sparse.h: the products of gemm.h where many values of an operand are zero: what relu gives
 * out and the gradient behind it, the background of a picture. The same bytes in less time. */
#ifndef NL_GEMM_SPARSE_H
#define NL_GEMM_SPARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "kernel/small_gemm.h"

/* C (m, n) = A (m, p) B (p, n), or C += with add. A and B may each lie by rows or by columns: one
 * of their strides is 1. turned: C^T (n, m) lies at c. */
typedef struct nl_sparse_product {
    int64_t m, n, p;
    nl_strided a, b;
    nl_real *c;
    int64_t ldc;
    bool turned, add;
} nl_sparse_product;

/* Whether it has done the product, leaving out terms: where it is large and A has zeros enough,
 * which a few values of A tell. */
bool nl_gemm_sparse(const nl_sparse_product *product);

#endif
