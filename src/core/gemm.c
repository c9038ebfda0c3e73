/* All three products are C (m, n) = A (m, p) B (p, n) with A read by rows (nn, nt) or by columns
 * (tn). C is cut into blocks, each block is done by one thread, and the reduction runs through it
 * in pieces that add to C in memory, so that the pieces of A and B stay in cache. nt reads a
 * transposed copy of W in panels: one panel is the B of one column of blocks, without gaps, and is
 * used while it is in cache.
 *
 * LIBXSMM's kernels have the strides built in: they are made for rows without gaps and for the
 * block sizes of the plan's own number of rows; every other block is done by the plain C kernel. */
#include "core/gemm.h"

#include <assert.h>

#include "base/alloc.h"
#include "kernel/cpu.h"
#include "kernel/small_gemm.h"
#include "par/par.h"

#ifdef NL_XSMM
#include <libxsmm.h>
#include <limits.h>
#include <pthread.h>
#ifdef NL_F64
typedef libxsmm_dmmfunction jit;
#else
typedef libxsmm_smmfunction jit;
#endif
#endif

/* Chosen by measurement on AVX-512; 512 bytes are eight registers, and rows are held six at a time
 * by LIBXSMM and by the plain kernel. */
enum {
    TILE_ROWS = 6,
    SMALL_ROWS = 30, /* of a block where C has few blocks */
    BLOCK_ROWS = 60,
    LARGE_ROWS = 120, /* where C has many rows */
    MANY_ROWS = 480,
    FEW_BLOCKS = 4,
    BLOCK_COLUMNS = 512 / (int)sizeof(nl_real),
    SMALL_COLUMNS = BLOCK_COLUMNS / 2, /* where C has few blocks */
    BLOCK_DEPTH = 256,
    SPLIT_ROWS = 512,  /* tn: least rows of X in one part of a split reduction */
    SPLIT_BLOCKS = 32, /* tn: with fewer blocks in D the reduction is split */
    FOLD_WIDTH = 256   /* values folded at once */
};

typedef struct extent {
    int64_t size, block;
} extent;

/* One of the products as prepared at set-up, for m or p equal to the plan's rows. */
typedef struct product {
    extent m, n, p;
    bool a_by_columns, b_in_panels;
    int64_t lda; /* the strides that the generated kernels were made for; C is (m, n) */
#ifdef NL_XSMM
    jit kernel[2][2][2][2]; /* [last rows][last columns][last piece][adds] or NULL */
#endif
} product;

struct nl_gemm {
    int64_t rows, k, o;
    product nn, tn, nt;
    nl_real *panels; /* W^T in panels (o, columns of a block), or NULL */
    nl_real *part;   /* partial D of a split reduction, or NULL */
};

/* A product as called. */
typedef struct call {
    const product *plan;
    const nl_small_gemm_kernels *plain;
    int64_t m, n, p;
    nl_strided a;
    const nl_real *b;
    int64_t ldb;
    nl_real *c;
    int64_t ldc;
    bool add, made_for; /* made_for: the strides are those of the generated kernels */
    int64_t row_blocks, column_blocks;
    int64_t span; /* of the reduction in one part; part s is added to c + s * m * n */
} call;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

#ifdef NL_XSMM
static int64_t last_of(extent e) { return e.size - (ceil_div(e.size, e.block) - 1) * e.block; }

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_xsmm(void)
{
    libxsmm_init();
    libxsmm_set_verbosity(0);
    if (nl_cpu_level() == NL_CPU_AVX2)
        libxsmm_set_target_archid(LIBXSMM_X86_AVX2);
}

static jit make_kernel(const product *g, int64_t rows, int64_t columns, int64_t depth, bool add)
{
    /* LIBXSMM is column-major: C^T = B^T A^T. */
    const int lda = (int)(g->b_in_panels ? columns : g->n.size);
    const int ldb = (int)g->lda, ldc = (int)g->n.size;
    const int flags = g->a_by_columns ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    const int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;
    const nl_real alpha = 1, beta = add ? 1 : 0;
#ifdef NL_F64
    return libxsmm_dmmdispatch((int)columns, (int)rows, (int)depth, &lda, &ldb, &ldc, &alpha, &beta,
                               &flags, &prefetch);
#else
    return libxsmm_smmdispatch((int)columns, (int)rows, (int)depth, &lda, &ldb, &ldc, &alpha, &beta,
                               &flags, &prefetch);
#endif
}

static void make_kernels(product *g)
{
    if (nl_cpu_level() == NL_CPU_BASE || g->lda > INT_MAX || g->n.size > INT_MAX)
        return;
    pthread_once(&once, start_xsmm);
    for (int which = 0; which < 16; which++) {
        const bool rows = which & 1, columns = which & 2, piece = which & 4, add = which & 8;
        g->kernel[rows][columns][piece][add] =
            make_kernel(g, rows ? last_of(g->m) : g->m.block, columns ? last_of(g->n) : g->n.block,
                        piece ? last_of(g->p) : g->p.block, add);
    }
}

static jit find_kernel(const call *c, int64_t rows, int64_t columns, int64_t depth, bool add)
{
    const product *g = c->plan;
    const bool r = rows != g->m.block, n = columns != g->n.block, p = depth != g->p.block;
    if (!c->made_for || (r && rows != last_of(g->m)) || (n && columns != last_of(g->n)) ||
        (p && depth != last_of(g->p)))
        return NULL;
    return g->kernel[r][n][p][add];
}
#else
static void make_kernels(product *g) { (void)g; }
#endif

/* Blocks of the same size as far as possible, a multiple of `step` and at most `block`. */
static extent cut(int64_t size, int64_t block, int64_t step)
{
    const int64_t even = ceil_div(size, ceil_div(size, block));
    return (extent){size, least(size, ceil_div(even, step) * step)};
}

static extent cut_rows(int64_t m, int64_t column_blocks)
{
    if (ceil_div(m, BLOCK_ROWS) * column_blocks < FEW_BLOCKS)
        return cut(m, SMALL_ROWS, TILE_ROWS);
    return cut(m, m < MANY_ROWS ? BLOCK_ROWS : LARGE_ROWS, TILE_ROWS);
}

static void plan_product(product *g, int64_t m, int64_t n, int64_t p)
{
    const bool single = m <= SMALL_ROWS && n <= BLOCK_COLUMNS; /* one block keeps one thread busy */
    const bool small = single || (g->b_in_panels && n < FEW_BLOCKS * BLOCK_COLUMNS);
    g->n = (extent){n, least(n, small ? SMALL_COLUMNS : BLOCK_COLUMNS)};
    g->m = cut_rows(m, ceil_div(n, g->n.block));
    g->p = (extent){p, least(p, BLOCK_DEPTH)};
    g->lda = g->a_by_columns ? m : p;
    make_kernels(g);
}

/* How often the reduction of tn over p rows is split: few blocks in D keep few threads busy. */
static int64_t parts_of(const product *g, int64_t p)
{
    const int64_t blocks = ceil_div(g->m.size, g->m.block) * ceil_div(g->n.size, g->n.block);
    const int64_t parts = least(p / SPLIT_ROWS, SPLIT_BLOCKS / blocks);
    return parts > 1 ? parts : 1;
}

static int64_t span_of(const product *g, int64_t p, int64_t parts)
{
    return ceil_div(ceil_div(p, parts), g->p.block) * g->p.block;
}

static void do_piece(const call *c, int64_t i, int64_t j, int64_t p, int64_t depth, nl_real *to,
                     bool add)
{
    const int64_t rows = least(c->m - i, c->plan->m.block);
    const int64_t columns = least(c->n - j, c->plan->n.block);
    const nl_strided a = {c->a.p + i * c->a.row + p * c->a.col, c->a.row, c->a.col};
    const int64_t ldb = c->plan->b_in_panels ? columns : c->ldb;
    const nl_real *b = c->b + p * ldb + (c->plan->b_in_panels ? j * c->p : j);
#ifdef NL_XSMM
    const jit kernel = find_kernel(c, rows, columns, depth, add);
    if (kernel) {
        kernel(b, a.p, to);
        return;
    }
#endif
    c->plain->multiply(rows, columns, depth, a, b, ldb, to, c->ldc, add);
}

static void do_block_of(const call *c, int64_t row_block, int64_t column_block, int64_t part)
{
    const int64_t i = row_block * c->plan->m.block, j = column_block * c->plan->n.block;
    const int64_t end = least((part + 1) * c->span, c->p);
    nl_real *to = c->c + part * c->m * c->n + i * c->ldc + j;
    int64_t p = least(part * c->span, c->p); /* a last part may be empty: it adds zeros */
    bool add = c->add;
    do {
        const int64_t depth = least(end - p, c->plan->p.block);
        do_piece(c, i, j, p, depth, to, add);
        p += depth;
        add = true;
    } while (p < end);
}

/* The smaller of A and B is read again and again, so it is the inner one. */
static void do_block(int64_t b, void *arg)
{
    const call *c = arg;
    const int64_t blocks = c->row_blocks * c->column_blocks, part = b / blocks, rest = b % blocks;
    if (c->m > c->n)
        do_block_of(c, rest / c->column_blocks, rest % c->column_blocks, part);
    else
        do_block_of(c, rest % c->row_blocks, rest / c->row_blocks, part);
}

static void prepare(call *c)
{
    const product *g = c->plan;
    c->plain = nl_small_gemm();
    c->made_for = (g->a_by_columns ? c->a.col : c->a.row) == g->lda &&
                  (g->b_in_panels || c->ldb == g->n.size) && c->ldc == g->n.size;
    c->row_blocks = ceil_div(c->m, g->m.block);
    c->column_blocks = ceil_div(c->n, g->n.block);
    c->span = c->p;
}

static int64_t flops(const call *c) { return 2 * c->m * c->n * c->p; }

static void run(call *c, int64_t parts)
{
    if (parts > 1)
        c->span = span_of(c->plan, c->p, parts);
    nl_for(c->row_blocks * c->column_blocks * parts, flops(c), do_block, c);
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
    const int64_t from = b * FOLD_WIDTH, width = least(f->size - from, FOLD_WIDTH);
    double sum[FOLD_WIDTH];
    for (int64_t i = 0; i < width; i++)
        sum[i] = f->add ? f->to[from + i] : 0;
    for (int64_t s = 0; s < f->parts; s++)
        for (int64_t i = 0; i < width; i++)
            sum[i] += f->part[s * f->size + from + i];
    for (int64_t i = 0; i < width; i++)
        f->to[from + i] = (nl_real)sum[i];
}

nl_status nl_gemm_open(nl_gemm **out, int64_t rows, int64_t k, int64_t o, bool transpose_w)
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
    g->tn.a_by_columns = true;
    g->nt.b_in_panels = true;
    plan_product(&g->nn, rows, o, k);
    plan_product(&g->tn, k, o, rows);
    const int64_t parts = parts_of(&g->tn, rows);
    if (parts > 1) {
        g->part = nl_alloc((size_t)(parts * size), sizeof *g->part);
        if (!g->part)
            NL_BAIL(NL_ENOMEM, "gemm: %lld parts of %lld values", (long long)parts,
                    (long long)size);
    }
    if (transpose_w) {
        plan_product(&g->nt, rows, k, o);
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
    nl_free(g);
}

void nl_gemm_nn(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx, const nl_real *w, nl_real *y,
                int64_t ldy, bool add)
{
    assert(r <= g->rows);
    call c = {.plan = &g->nn,
              .m = r,
              .n = g->o,
              .p = g->k,
              .a = {x, ldx, 1},
              .b = w,
              .ldb = g->o,
              .c = y,
              .ldc = ldy,
              .add = add};
    prepare(&c);
    run(&c, 1);
}

void nl_gemm_tn(nl_gemm *g, int64_t r, const nl_real *x, int64_t ldx, const nl_real *y, int64_t ldy,
                nl_real *d, bool add)
{
    assert(r <= g->rows);
    const int64_t parts = parts_of(&g->tn, r), size = g->k * g->o;
    call c = {.plan = &g->tn,
              .m = g->k,
              .n = g->o,
              .p = r,
              .a = {x, 1, ldx},
              .b = y,
              .ldb = ldy,
              .c = parts > 1 ? g->part : d,
              .ldc = g->o,
              .add = parts == 1 && add};
    prepare(&c);
    run(&c, parts);
    if (parts > 1) {
        fold f = {g->part, parts, size, d, add};
        nl_for(ceil_div(size, FOLD_WIDTH), parts * size, fold_block, &f);
    }
}

typedef struct turn {
    call c;
    const nl_real *w; /* (k, o) */
    nl_real *panels;
} turn;

static void turn_panel(int64_t b, void *arg)
{
    const turn *t = arg;
    const int64_t from = b * t->c.plan->n.block, o = t->c.p;
    const int64_t columns = least(t->c.n - from, t->c.plan->n.block);
    t->c.plain->transpose(columns, o, t->w + from * o, o, t->panels + from * o, columns);
}

static void turn_and_use_panel(int64_t b, void *arg)
{
    const turn *t = arg;
    turn_panel(b, arg);
    for (int64_t i = 0; i < t->c.row_blocks; i++)
        do_block_of(&t->c, i, b, 0);
}

void nl_gemm_nt(nl_gemm *g, int64_t r, const nl_real *y, int64_t ldy, const nl_real *w, bool fresh,
                nl_real *x, int64_t ldx, bool add)
{
    assert(r <= g->rows && g->panels);
    call c = {.plan = &g->nt,
              .m = r,
              .n = g->k,
              .p = g->o,
              .a = {y, ldy, 1},
              .b = g->panels,
              .c = x,
              .ldc = ldx,
              .add = add};
    prepare(&c);
    turn t = {c, w, g->panels};
    if (fresh && r <= g->k) {
        nl_for(c.column_blocks, flops(&c), turn_and_use_panel, &t);
        return;
    }
    if (fresh)
        nl_for(c.column_blocks, g->k * g->o * (int64_t)sizeof(nl_real), turn_panel, &t);
    run(&c, 1);
}
