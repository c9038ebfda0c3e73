/* All three products are C (m, n) = A (m, p) B (p, n), with A read by rows (nn, nt) or by columns
 * (tn). C is cut into blocks, each is done by one thread, and a long reduction runs through it in
 * pieces that add to C, so that the pieces of A and B stay in cache.
 *
 *     nn   B = W. A block is a panel of columns; the next panel of W is brought near meanwhile.
 *     tn   C = D. A block is a stripe of rows; the next stripe is brought near meanwhile.
 *     nt   An operand is turned, into panels that are the B of one column of blocks without gaps.
 *          Of few rows it is Y: then C is X^T, whose blocks are turned back, and A is W, whose next
 *          rows are brought near. Of many it is W, which may serve several products.
 *
 * What is brought near lies in memory or in a cache that cores share, in rows with gaps, where no
 * hardware finds it: a tenth of a product's time. */
#include "core/gemm.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/cut.h"
#include "core/gemm_sparse.h"
#include "kernel/small_gemm.h"
#include "par/par.h"

/* Chosen by measurement on AVX-512. */
enum {
    TILE_ROWS = 6,                      /* of the kernel, */
    PANEL = 256 / (int)sizeof(nl_real), /* and columns: four registers */
    LINE = 64,                          /* bytes, of cache */
    ROWS = 30,                          /* of a block, to begin with */
    TURNED_ROWS = 48,                   /* of a block that is turned back */
    DEPTH = 1024,                       /* of a piece of the reduction */
    WANTED_BLOCKS = 16,                 /* when there are more, they grow */
    WANTED_WORK = 1 << 21,              /* until they have so many multiply-adds */
    FOLD_WIDTH = 256                    /* values folded at once */
};

struct nl_gemm {
    int64_t rows, k, o;
    nl_real *panels; /* W^T or Y^T, or NULL */
    nl_real *part;   /* partial D of a split reduction, or NULL */
    nl_real *half;   /* (rows, o): Y of the latter half of k, or NULL */
};

typedef struct area {
    int64_t i, j, rows, columns; /* of C */
} area;

/* A piece of an area's reduction. */
typedef struct piece {
    area at;
    int64_t p, depth;
} piece;

typedef struct call {
    int64_t m, n, p;
    nl_strided a;
    const nl_real *b;
    int64_t ldb; /* 0: B stands in panels */
    nl_real *c;
    int64_t ldc;
    bool add;
    int64_t rows, columns; /* of a block */
    int64_t row_blocks, column_blocks;
    int64_t span; /* of the reduction in one part; part s is added to c + s * m * n */
    nl_ahead (*ahead)(const struct call *c, const piece *now);
} call;

/* ---- blocks */

/* The last one has what is left over, too, or is smaller by less than half. */
static int64_t near_parts(int64_t n, int64_t part)
{
    return n > 0 && n < part ? 1 : (n + part / 2) / part;
}

/* Doubles an extent of the block while there are many and they are small. */
static void grow(call *c, int64_t *extent, int64_t most)
{
    while (*extent < most && c->rows * c->columns * c->span < WANTED_WORK) {
        const int64_t before = *extent;
        *extent = nl_least(2 * before, most);
        if (nl_ceil_div(c->m, c->rows) * near_parts(c->n, c->columns) < WANTED_BLOCKS) {
            *extent = before;
            return;
        }
    }
}

static void count_blocks(call *c)
{
    c->row_blocks = nl_ceil_div(c->m, c->rows);
    c->column_blocks = near_parts(c->n, c->columns);
}

/* Rather 48, 48 and 32 rows than 60, 60 and 8: threads wait less for the one that is last. */
static void even_rows(call *c)
{
    const int64_t parts = nl_ceil_div(c->m, c->rows);
    if (parts > 1)
        c->rows = nl_ceil_div(nl_ceil_div(c->m, parts), TILE_ROWS) * TILE_ROWS;
}

static void cut_into_panels(call *c)
{
    c->rows = c->m < ROWS && c->m > 0 ? c->m : ROWS;
    c->columns = nl_least(c->n, PANEL);
    grow(c, &c->rows, c->m);
    if (c->ldb)
        grow(c, &c->columns, c->n);
    even_rows(c);
    count_blocks(c);
}

static void cut_into_stripes(call *c)
{
    c->rows = nl_least(c->m, TILE_ROWS);
    c->columns = nl_least(c->n, PANEL);
    grow(c, &c->columns, c->n);
    grow(c, &c->rows, c->m);
    count_blocks(c);
}

static area area_of(const call *c, int64_t row_block, int64_t column_block)
{
    const int64_t i = row_block * c->rows, j = column_block * c->columns;
    const bool last = column_block == c->column_blocks - 1;
    return (area){i, j, nl_least(c->m - i, c->rows), last ? c->n - j : c->columns};
}

/* ---- what is needed next */

/* `bytes` from there on, spread over the tiles of an area. */
static nl_ahead spread(const void *from, int64_t bytes, const piece *now)
{
    const int64_t tiles =
        nl_ceil_div(now->at.rows, TILE_ROWS) * nl_ceil_div(now->at.columns, PANEL);
    const int64_t step = nl_ceil_div(bytes, tiles * now->depth);
    return (nl_ahead){.from = from, .turns = tiles, .turn = step * now->depth, .step = step};
}

/* nn: of the same panel the next piece, or of the next panel the first. */
static nl_ahead next_panel(const call *c, const piece *now)
{
    const bool ends = now->p + now->depth == c->p;
    const int64_t block = now->at.j / c->columns + ends;
    if (block == c->column_blocks)
        return (nl_ahead){0};
    const area next = area_of(c, 0, block);
    const int64_t bytes = next.columns * (int64_t)sizeof(nl_real);
    return (nl_ahead){.from = c->b + (ends ? 0 : now->p + now->depth) * c->ldb + next.j,
                      .turns = bytes / LINE + 1,
                      .turn = LINE,
                      .step = c->ldb * (int64_t)sizeof(nl_real)};
}

/* tn: the rows of D that are written next. */
static nl_ahead next_stripe(const call *c, const piece *now)
{
    const int64_t i = now->at.i + now->at.rows, rows = nl_least(c->m - i, now->at.rows);
    if (rows < 1 || now->at.columns < c->n)
        return (nl_ahead){0};
    return spread(c->c + i * c->ldc, rows * c->ldc * (int64_t)sizeof(nl_real), now);
}

/* nt: a share of the rows of W that are read next; the other panels take the others. */
static nl_ahead next_weights(const call *c, const piece *now)
{
    const int64_t i = now->at.i + now->at.rows, rows = nl_least(c->m - i, now->at.rows);
    if (rows < 1)
        return (nl_ahead){0};
    const int64_t share = nl_ceil_div(rows * c->p, c->column_blocks);
    return spread(c->a.p + i * c->p + now->at.j / PANEL * share + now->p,
                  share * (int64_t)sizeof(nl_real), now);
}

/* ---- one block */

static void multiply_piece(const call *c, const piece *now, nl_real *to, int64_t ldto, bool add)
{
    const area *at = &now->at;
    const nl_strided a = {c->a.p + at->i * c->a.row + now->p * c->a.col, c->a.row, c->a.col};
    const int64_t ldb = c->ldb ? c->ldb : at->columns;
    const nl_real *b = c->b + now->p * ldb + (c->ldb ? at->j : at->j * c->p);
    const nl_ahead ahead = c->ahead && now->depth > 0 ? c->ahead(c, now) : (nl_ahead){0};
    nl_small_gemm()->multiply(at->rows, at->columns, now->depth, a, b, ldb, to, ldto, add, ahead);
}

static void multiply_area(const call *c, area at, int64_t part, nl_real *to, int64_t ldto)
{
    const int64_t end = nl_least((part + 1) * c->span, c->p);
    int64_t p = nl_least(part * c->span, c->p); /* a last part may be empty: it adds zeros */
    const int64_t pieces = nl_ceil_div(end - p, DEPTH),
                  most = pieces ? nl_ceil_div(end - p, pieces) : 0;
    bool add = c->add;
    do {
        const int64_t depth = nl_least(end - p, most);
        multiply_piece(c, &(piece){at, p, depth}, to, ldto, add);
        p += depth;
        add = true;
    } while (p < end);
}

/* Row by row of blocks, or column by column: the smaller of A and B is read again and again. */
static void do_block(int64_t b, void *arg)
{
    const call *c = arg;
    const int64_t blocks = c->row_blocks * c->column_blocks, part = b / blocks, rest = b % blocks;
    const area at = c->m > c->n ? area_of(c, rest / c->column_blocks, rest % c->column_blocks)
                                : area_of(c, rest % c->row_blocks, rest / c->row_blocks);
    multiply_area(c, at, part, c->c + part * c->m * c->n + at.i * c->ldc + at.j, c->ldc);
}

/* nt with Y turned: a block of C = X^T, from X and back. */
static void do_turned_block(int64_t b, void *arg)
{
    const call *c = arg;
    const area at = area_of(c, b / c->column_blocks, b % c->column_blocks);
    _Alignas(NL_ALIGN) nl_real turned[TURNED_ROWS * 2 * PANEL];
    nl_real *x = c->c + at.j * c->ldc + at.i;
    if (c->add)
        nl_small_gemm()->transpose(at.columns, at.rows, x, c->ldc, turned, at.columns);
    multiply_area(c, at, 0, turned, at.columns);
    nl_small_gemm()->transpose(at.rows, at.columns, turned, at.columns, x, c->ldc);
}

static int64_t flops(const call *c) { return 2 * c->m * c->n * c->p; }

/* ---- a reduction in parts */

/* How often the reduction of tn over r rows is split: few blocks in D keep few threads busy. The
 * blocks are those of 60 rows, 30 of a small D and 120 of a large, by 512 bytes: bytes depend on
 * this number, so it stays what it was when blocks were of this size. */
static int64_t parts_of(const nl_gemm *g, int64_t r)
{
    enum { SPLIT_ROWS = 512, SPLIT_BLOCKS = 32, WIDTH = 512 / (int)sizeof(nl_real) };
    const bool single = g->k <= 30 && g->o <= WIDTH;
    const int64_t columns = nl_ceil_div(g->o, single ? WIDTH / 2 : WIDTH);
    const bool few = nl_ceil_div(g->k, 60) * columns < 4;
    const int64_t blocks = columns * nl_ceil_div(g->k, few ? 30 : g->k < 480 ? 60 : 120);
    const int64_t parts = nl_least(r / SPLIT_ROWS, SPLIT_BLOCKS / blocks);
    return parts > 1 ? parts : 1;
}

static int64_t span_of(int64_t p, int64_t parts)
{
    enum { UNIT = 256 };
    return parts > 1 ? nl_ceil_div(nl_ceil_div(p, parts), UNIT) * UNIT : p;
}

typedef struct fold {
    const nl_real *part;
    int64_t parts, size;
    nl_real *to;
    bool add;
} fold;

static void fold_block(int64_t b, void *arg)
{
    const fold *f = arg;
    const int64_t from = b * FOLD_WIDTH, width = nl_least(f->size - from, FOLD_WIDTH);
    double sum[FOLD_WIDTH];
    for (int64_t i = 0; i < width; i++)
        sum[i] = f->add ? f->to[from + i] : 0;
    for (int64_t s = 0; s < f->parts; s++)
        for (int64_t i = 0; i < width; i++)
            sum[i] += f->part[s * f->size + from + i];
    for (int64_t i = 0; i < width; i++)
        f->to[from + i] = (nl_real)sum[i];
}

/* nn of few rows and columns has one block, or two panels that cut W by columns. All else that a
 * step does with W (its gradient, its update) is cut by rows; so is this product then, and a thread
 * has its rows of W for itself. */
static bool has_halves(int64_t rows, int64_t k, int64_t o)
{
    enum { LEAST_WORK = 1 << 20 }; /* multiply-adds */
    return rows <= ROWS && o <= 2 * PANEL && k >= 4 * PANEL && rows * k * o >= LEAST_WORK;
}

static void do_half(int64_t b, void *arg)
{
    const call *c = (const call *)arg + b;
    for (int64_t j = 0; j < c->column_blocks; j++)
        multiply_area(c, area_of(c, 0, j), 0, c->c + j * c->columns, c->ldc);
}

/* ---- plans */

nl_status nl_gemm_open(nl_gemm **out, int64_t rows, int64_t k, int64_t o, bool transposes)
{
    nl_status st = NL_OK;
    int64_t size;
    *out = NULL;
    if (rows < 1 || k < 1 || o < 1 || __builtin_mul_overflow(k, o, &size))
        return nl_fail(NL_ESHAPE,
                       "gemm: %lld rows of %lld inputs and %lld outputs, at least 1 of each wanted",
                       (long long)rows, (long long)k, (long long)o);
    nl_gemm *g = nl_alloc(1, sizeof *g);
    if (!g)
        NL_BAIL(NL_ENOMEM, "gemm: plan");
    *g = (nl_gemm){.rows = rows, .k = k, .o = o};
    const int64_t parts = parts_of(g, rows);
    if (parts > 1) {
        g->part = nl_alloc((size_t)(parts * size), sizeof *g->part);
        if (!g->part)
            NL_BAIL(NL_ENOMEM, "gemm: %lld parts of %lld values", (long long)parts,
                    (long long)size);
    }
    if (has_halves(rows, k, o)) {
        g->half = nl_alloc((size_t)(rows * o), sizeof *g->half);
        if (!g->half)
            NL_BAIL(NL_ENOMEM, "gemm: %lld by %lld results", (long long)rows, (long long)o);
    }
    if (transposes) {
        g->panels = nl_alloc((size_t)size, sizeof *g->panels);
        if (!g->panels)
            NL_BAIL(NL_ENOMEM, "gemm: %lld by %lld transposed weights", (long long)o, (long long)k);
    }
    *out = g;
    return NL_OK;
done:
    nl_gemm_close(g);
    return st;
}

void nl_gemm_close(nl_gemm *g)
{
    if (!g)
        return;
    nl_free(g->panels);
    nl_free(g->part);
    nl_free(g->half);
    nl_free(g);
}

/* ---- the products */

/* Y = X W, the former and the latter half of k side by side, then added. */
static void multiply_by_halves(const nl_gemm *g, const call *whole)
{
    const int64_t k = g->k / 2;
    call half[2] = {*whole, *whole};
    half[0].p = half[0].span = k;
    half[1].p = half[1].span = g->k - k;
    half[1].a.p += k;
    half[1].b += k * g->o;
    half[1].c = g->half, half[1].ldc = g->o, half[1].add = false;
    nl_for(2, flops(whole), do_half, half);
    for (int64_t i = 0; i < whole->m; i++)
        for (int64_t j = 0; j < g->o; j++)
            whole->c[i * whole->ldc + j] += g->half[i * g->o + j];
}

void nl_gemm_nn(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx, const nl_real *w, nl_real *y,
                int64_t ldy, bool add)
{
    assert(r <= g->rows);
    if (nl_gemm_sparse(&(nl_sparse_product){.m = r,
                                            .n = g->o,
                                            .p = g->k,
                                            .a = {x, ldx, 1},
                                            .b = {w, g->o, 1},
                                            .c = y,
                                            .ldc = ldy,
                                            .add = add}))
        return;
    call c = {.m = r,
              .n = g->o,
              .p = g->k,
              .a = {x, ldx, 1},
              .b = w,
              .ldb = g->o,
              .c = y,
              .ldc = ldy,
              .add = add,
              .span = g->k,
              .ahead = next_panel};
    cut_into_panels(&c);
    if (g->half)
        multiply_by_halves(g, &c);
    else
        nl_for_in_order(c.row_blocks * c.column_blocks, flops(&c), do_block, &c);
}

/* tn: D from X^T Y, or from Y^T X, turned. */
static bool multiply_what_is_sparse(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx,
                                    const nl_real *y, int64_t ldy, nl_real *d, bool add)
{
    const nl_sparse_product by_x = {.m = g->k,
                                    .n = g->o,
                                    .p = r,
                                    .a = {x, 1, ldx},
                                    .b = {y, ldy, 1},
                                    .c = d,
                                    .ldc = g->o,
                                    .add = add};
    nl_sparse_product by_y = by_x;
    by_y.m = g->o;
    by_y.n = g->k;
    by_y.a = (nl_strided){y, 1, ldy};
    by_y.b = (nl_strided){x, ldx, 1};
    by_y.turned = true;
    return nl_gemm_sparse(&by_x) || nl_gemm_sparse(&by_y);
}

void nl_gemm_tn(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx, const nl_real *y, int64_t ldy,
                nl_real *d, bool add)
{
    assert(r <= g->rows);
    const int64_t parts = parts_of(g, r), size = g->k * g->o;
    if (parts == 1 && multiply_what_is_sparse(g, r, x, ldx, y, ldy, d, add))
        return;
    call c = {.m = g->k,
              .n = g->o,
              .p = r,
              .a = {x, 1, ldx},
              .b = y,
              .ldb = ldy,
              .c = parts > 1 ? g->part : d,
              .ldc = g->o,
              .add = parts == 1 && add,
              .span = span_of(r, parts),
              .ahead = parts > 1 ? NULL : next_stripe};
    cut_into_stripes(&c);
    nl_for_in_order(c.row_blocks * c.column_blocks * parts, flops(&c), do_block, &c);
    if (parts > 1) {
        fold f = {g->part, parts, size, d, add};
        nl_for(nl_ceil_div(size, FOLD_WIDTH), parts * size, fold_block, &f);
    }
}

typedef struct turn {
    const nl_real *from; /* (rows, columns), of which PANEL rows become a panel */
    int64_t ld, rows, columns;
    nl_real *panels;
} turn;

static void turn_panel(int64_t b, void *arg)
{
    const turn *t = arg;
    const int64_t i = b * PANEL, rows = b == near_parts(t->rows, PANEL) - 1 ? t->rows - i : PANEL;
    nl_small_gemm()->transpose(rows, t->columns, t->from + i * t->ld, t->ld,
                               t->panels + i * t->columns, rows);
}

static void make_panels(turn t)
{
    const int64_t bytes = t.rows * t.columns * (int64_t)sizeof(nl_real);
    nl_for(near_parts(t.rows, PANEL), bytes, turn_panel, &t);
}

void nl_gemm_turn(nl_gemm *g, const nl_real *w)
{
    assert(g->panels);
    make_panels((turn){w, g->o, g->k, g->o, g->panels});
}

void nl_gemm_nt_turned(nl_gemm *g, int64_t r, const nl_real *y, int64_t ldy, nl_real *x,
                       int64_t ldx, bool add)
{
    assert(r <= g->rows && g->panels);
    call c = {.m = r,
              .n = g->k,
              .p = g->o,
              .a = {y, ldy, 1},
              .b = g->panels,
              .c = x,
              .ldc = ldx,
              .add = add,
              .span = g->o};
    cut_into_panels(&c);
    nl_for_in_order(c.row_blocks * c.column_blocks, flops(&c), do_block, &c);
}

static void multiply_by_turned_y(nl_gemm *g, int64_t r, const nl_real *y, int64_t ldy,
                                 const nl_real *w, nl_real *x, int64_t ldx, bool add)
{
    call c = {.m = g->k,
              .n = r,
              .p = g->o,
              .a = {w, g->o, 1},
              .b = g->panels,
              .c = x,
              .ldc = ldx,
              .add = add,
              .rows = TURNED_ROWS,
              .columns = PANEL,
              .span = g->o,
              .ahead = next_weights};
    make_panels((turn){y, ldy, r, g->o, g->panels});
    count_blocks(&c);
    nl_for_in_order(c.row_blocks * c.column_blocks, flops(&c), do_turned_block, &c);
}

void nl_gemm_nt(nl_gemm *g, int64_t r, const nl_real *y, int64_t ldy, const nl_real *w, nl_real *x,
                int64_t ldx, bool add)
{
    assert(r <= g->rows && g->panels);
    if (nl_gemm_sparse(&(nl_sparse_product){.m = r,
                                            .n = g->k,
                                            .p = g->o,
                                            .a = {y, ldy, 1},
                                            .b = {w, 1, g->o},
                                            .c = x,
                                            .ldc = ldx,
                                            .add = add}))
        return;
    if (r >= PANEL && r * (g->o + g->k) < g->k * g->o) { /* what is turned: y and x, or w */
        multiply_by_turned_y(g, r, y, ldy, w, x, ldx, add);
        return;
    }
    nl_gemm_turn(g, w);
    nl_gemm_nt_turned(g, r, y, ldy, x, ldx, add);
}
