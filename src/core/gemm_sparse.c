/* A block is some rows of C in a few panels of columns. It goes through the reduction in pieces:
 * finds what is not zero in its rows of A, packs each panel's part of B, which then stays in the
 * nearest cache, and lets the rows go by. */
#include "core/gemm_sparse.h"

#include "base/alloc.h"
#include "base/cut.h"
#include "kernel/sparse_gemm.h"
#include "par/par.h"

/* Chosen by measurement on AVX-512. */
enum {
    DEPTH = NL_SPARSE_DEPTH,     /* of a piece of the reduction */
    COLUMNS = NL_SPARSE_COLUMNS, /* of a panel */
    ROWS = 128,                  /* of a block */
    TURNED_ROWS = 64,            /* of a part of C that is turned */
    MOST_PANELS = 4,             /* of a block, */
    WANTED_BLOCKS = 8,           /* when there are as many */
    LEAST_ROWS = 32,             /* for packing B to pay */
    /* multiply-adds, for looking at A to pay: of doubles all else costs more, too */
    LEAST_WORK = (1 << 18) * (int)sizeof(nl_real) * (int)sizeof(nl_real)
};

static const nl_real *element(nl_strided a, int64_t i, int64_t j)
{
    return a.p + i * a.row + j * a.col;
}

static bool lies_by_rows(nl_strided a) { return a.col == 1; }

/* ---- whether it pays */

/* Of some values of some lines, here and there. */
static double share_of_nonzeros(const nl_sparse_product *q)
{
    enum { LINES = 16, VALUES = 64 };
    const bool by_rows = lies_by_rows(q->a);
    const int64_t lines = by_rows ? q->m : q->p, values = by_rows ? q->p : q->m;
    const int64_t stride = by_rows ? q->a.row : q->a.col, taken = nl_least(values, VALUES);
    int64_t count = 0;
    for (int64_t i = 0; i < LINES; i++) {
        const int64_t line = i * lines / LINES, from = i * (values - taken) / (LINES - 1);
        nl_nonzeros some;
        nl_sparse_gemm()->find(1, taken, q->a.p + line * stride + from, 0, &some);
        count += some.count;
    }
    return (double)count / (double)(LINES * taken);
}

/* Panels are multiplied in their full width. */
static bool pays(const nl_sparse_product *q)
{
    const double pays_below = nl_sparse_gemm()->pays_below;
    if (pays_below <= 0 || q->m < LEAST_ROWS || q->n < COLUMNS || q->m * q->n * q->p < LEAST_WORK)
        return false;
    const double width = (double)(nl_ceil_div(q->n, COLUMNS) * COLUMNS) / (double)q->n;
    return width * share_of_nonzeros(q) < pays_below;
}

/* ---- one block */

typedef struct call {
    nl_sparse_product of;
    int64_t panels; /* of a block */
    int64_t row_blocks;
    int64_t pieces, depth; /* of the reduction */
} call;

/* Where a piece of the reduction meets an area of C. */
typedef struct piece {
    int64_t i, rows, j, columns, p, depth;
} piece;

static bool pack(const call *c, const piece *at, nl_real *to)
{
    const nl_strided b = c->of.b;
    const nl_real *from = element(b, at->p, at->j);
    if (lies_by_rows(b))
        return nl_sparse_gemm()->pack(at->depth, at->columns, from, b.row, to);
    nl_small_gemm()->transpose(at->columns, at->depth, from, b.col, to, COLUMNS);
    return nl_sparse_gemm()->pack(at->depth, at->columns, to, COLUMNS, to);
}

/* The next piece of B, or where there is only one, the rows of C that are written next. */
static nl_rows_ahead what_is_next(const call *c, const piece *at, const nl_real *to, int64_t ldto)
{
    enum { SIZE = (int)sizeof(nl_real), ROWS_AHEAD = 2 };
    const nl_strided b = c->of.b;
    if (c->pieces == 1)
        return (nl_rows_ahead){to + ROWS_AHEAD * ldto, at->rows - ROWS_AHEAD, at->columns * SIZE,
                               ldto * SIZE};
    const int64_t p = at->p + at->depth, depth = nl_least(c->depth, c->of.p - p);
    if (depth < 1)
        return (nl_rows_ahead){0};
    const nl_real *next = element(b, p, at->j);
    return lies_by_rows(b) ? (nl_rows_ahead){next, depth, at->columns * SIZE, b.row * SIZE}
                           : (nl_rows_ahead){next, at->columns, depth * SIZE, b.col * SIZE};
}

/* A block's rows of A in one piece. */
typedef struct factor {
    nl_strided a;
    nl_nonzeros nonzeros[ROWS];
    nl_real turned[ROWS * DEPTH];
} factor;

static void find(const call *c, const piece *at, factor *f)
{
    const nl_strided a = c->of.a;
    f->a = (nl_strided){element(a, at->i, at->p), a.row, a.col};
    if (!lies_by_rows(a)) {
        nl_small_gemm()->transpose(at->depth, at->rows, f->a.p, a.col, f->turned, at->depth);
        f->a = (nl_strided){f->turned, at->depth, 1};
    }
    nl_sparse_gemm()->find(at->rows, at->depth, f->a.p, f->a.row, f->nonzeros);
}

/* From row `first` of the block on. Where B, packed, is not finite every term counts. */
static void multiply_rows(const call *c, const piece *at, const factor *f, int64_t first,
                          const nl_real *b, bool finite, nl_real *to, int64_t ldto)
{
    const bool add = c->of.add || at->p > 0;
    const nl_strided a = {f->a.p + first * f->a.row, f->a.row, 1};
    if (finite)
        nl_sparse_gemm()->multiply(at->rows, at->columns, a.p, a.row, f->nonzeros + first, b, to,
                                   ldto, add, what_is_next(c, at, to, ldto));
    else
        nl_small_gemm()->multiply(at->rows, at->columns, at->depth, a, b, COLUMNS, to, ldto, add,
                                  (nl_ahead){0});
}

static void multiply_turned(const call *c, piece at, const factor *f, const nl_real *b, bool finite)
{
    nl_real turned[TURNED_ROWS * COLUMNS];
    const int64_t rows = at.rows;
    for (int64_t first = 0; first < rows; first += TURNED_ROWS) {
        nl_real *to = c->of.c + at.j * c->of.ldc + at.i + first;
        at.rows = nl_least(TURNED_ROWS, rows - first);
        if (c->of.add || at.p > 0)
            nl_small_gemm()->transpose(at.columns, at.rows, to, c->of.ldc, turned, COLUMNS);
        multiply_rows(c, &at, f, first, b, finite, turned, COLUMNS);
        nl_small_gemm()->transpose(at.rows, at.columns, turned, COLUMNS, to, c->of.ldc);
    }
}

/* All panels of a block. */
static void multiply_panels(const call *c, piece at, const factor *f, nl_real *packed)
{
    const nl_sparse_product *q = &c->of;
    const int64_t end = nl_least(at.j + c->panels * COLUMNS, q->n);
    for (; at.j < end; at.j += COLUMNS) {
        at.columns = nl_least(COLUMNS, end - at.j);
        const bool finite = pack(c, &at, packed);
        if (q->turned)
            multiply_turned(c, at, f, packed, finite);
        else
            multiply_rows(c, &at, f, 0, packed, finite, q->c + at.i * q->ldc + at.j, q->ldc);
    }
}

static void do_block(int64_t b, void *arg)
{
    const call *c = arg;
    _Alignas(NL_ALIGN) nl_real packed[DEPTH * COLUMNS] = {0};
    factor f;
    piece at = {.i = b % c->row_blocks * ROWS, .j = b / c->row_blocks * c->panels * COLUMNS};
    at.rows = nl_least(ROWS, c->of.m - at.i);
    for (; at.p < c->of.p; at.p += c->depth) {
        at.depth = nl_least(c->depth, c->of.p - at.p);
        find(c, &at, &f);
        multiply_panels(c, at, &f, packed);
    }
}

static int64_t blocks_of(const nl_sparse_product *q, int64_t panels)
{
    return nl_ceil_div(q->m, ROWS) * nl_ceil_div(q->n, panels * COLUMNS);
}

bool nl_gemm_sparse(const nl_sparse_product *q)
{
    if (!pays(q))
        return false;
    const int64_t pieces = nl_ceil_div(q->p, DEPTH);
    call c = {*q, 1, nl_ceil_div(q->m, ROWS), pieces, nl_ceil_div(q->p, pieces)};
    while (c.panels < MOST_PANELS && blocks_of(q, 2 * c.panels) >= WANTED_BLOCKS)
        c.panels *= 2;
    nl_for(blocks_of(q, c.panels), q->m * q->n * q->p, do_block, &c);
    return true;
}
