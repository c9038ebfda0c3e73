/* gemm.h: matrix products on row-major operands, one contract for all layers.
 *
 *     nn  Y (r, o)  =  X (r, k) W (k, o)
 *     tn  D (k, o)  =  X (r, k)^T Y (r, o)        dW of a dense layer; beta 1 adds
 *     nt  X (r, k)  =  Y (r, o) W (k, o)^T        dX of a dense layer
 *
 * A plan is made at set-up for the largest r and serves every smaller r too (short last batch,
 * other batch at evaluation). Work is cut into blocks by the sizes alone and run through nl_for:
 * same bytes for any number of threads. Rows of X and Y may have a stride.
 *
 * Every element is one serial sum of fused multiply-adds (AVX2 and up) that depends on its row and
 * column alone, not on the rows that share the call. There are two exceptions: nn of a plan for few
 * rows and a large W adds two such sums, of the halves of k, whatever r is; and tn over many rows
 * into a small D has parts that follow r, and are folded in double. */
#ifndef NL_GEMM_H
#define NL_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/status.h"

typedef struct nl_gemm nl_gemm;

/* r up to rows; k and o fixed. transposes: nt is wanted too (takes room of W^T, k * o reals). */
nl_status nl_gemm_open(nl_gemm **out, int64_t rows, int64_t k, int64_t o,
                       bool transposes) NL_CHECKED;
void nl_gemm_close(nl_gemm *g); /* NULL is fine */

/* ld are row strides in reals. add false overwrites, true adds to the result. No aliasing. */
void nl_gemm_nn(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx, const nl_real *w, nl_real *y,
                int64_t ldy, bool add);
void nl_gemm_tn(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx, const nl_real *y, int64_t ldy,
                nl_real *d, bool add);
void nl_gemm_nt(nl_gemm *g, int64_t r, const nl_real *y, int64_t ldy, const nl_real *w, nl_real *x,
                int64_t ldx, bool add);

/* For several products with one W: makes W^T, which serves until the next nl_gemm_turn or
 * nl_gemm_nt. The same bytes as nl_gemm_nt. */
void nl_gemm_turn(nl_gemm *g, const nl_real *w);
void nl_gemm_nt_turned(nl_gemm *g, int64_t r, const nl_real *y, int64_t ldy, nl_real *x,
                       int64_t ldx, bool add);

#endif
