/* Rows standardized in one go. A tile of up to NL_LANES rows is read from memory once; what there
 * is to know of a row is in its lane. */
#include "base/cut.h"
#include "kernel/row_gradients_inline.h"
#include "kernel/row_writes_inline.h"
#include "kernel/standardize_inline.h"

/* What is read, so many arrays, has half of the nearest cache. */
static int rows_of_tile(int64_t c, int arrays)
{
    const int64_t row = c * (int64_t)sizeof(nl_real), near = nl_cpu_habits_now()->near_bytes;
    int rows = NL_LANES;
    while (rows > 2 && rows * row * arrays > near / 2)
        rows /= 2;
    return rows;
}

/* The same, but rows that share what is per channel, so many arrays too, are worth all of it, if
 * they fit with that and with what is written. */
static int rows_that_share(int64_t c, int arrays, int per_channel)
{
    const int64_t row = c * (int64_t)sizeof(nl_real), near = nl_cpu_habits_now()->near_bytes;
    const int rows = rows_of_tile(c, arrays), together = (int)nl_least(NL_ROWS_TOGETHER, NL_LANES);
    const int64_t in_use = (together * (arrays + 1) + per_channel) * row;
    return rows < together && in_use <= near ? together : rows;
}

static int64_t rows_asked_ahead(int of_tile)
{
    return nl_cpu_habits_now()->asks_ahead ? of_tile : 0;
}

/* Of NL_LANES rows; registers that begin at one of them are stored and loaded whole. */
enum { ROOM = 2 * NL_LANES };
typedef struct coefficients {
    _Alignas(NL_VECTOR_BYTES) nl_real center[ROOM];
    nl_real a[ROOM], d[ROOM], p[ROOM], q[ROOM], rounding[ROOM];
} coefficients;

/* ---- forward */

NL_INLINE void keep(nl_row_standard z, coefficients *k)
{
    nl_vec_store(k->center, z.center);
    nl_vec_store(k->a, z.a);
    nl_vec_store(k->d, z.d);
}

/* Filled in place: a copy is read in wide registers and would wait for the pointers just stored. */
NL_INLINE void take_rows(const nl_rows *x, int64_t from, int most, nl_parts *rows)
{
    rows->count = (int)nl_least(x->count - from, most);
    for (int i = 0; i < NL_LANES; i++)
        rows->x[i] = i < rows->count && nl_is_live(*x, from + i) ? x->x + (from + i) * x->ld : NULL;
}

NL_INLINE void find_for(const nl_parts *rows, nl_sums *sums, int64_t from, int count, int64_t c,
                        const nl_standard *s, coefficients *k)
{
    const nl_part_moments m = nl_moments_of_sums(rows, c, s->about_zero, sums);
    const nl_row_standard z = nl_standard_of(m, c, s->eps);
    nl_real shift[NL_LANES], rest[NL_LANES], squares[NL_LANES];
    keep(z, k);
    nl_vec_store(shift, m.shift), nl_vec_store(rest, m.off), nl_vec_store(squares, z.var);
    for (int i = 0; i < count; i++)
        s->mean[from + i] = (double)shift[i] + (double)rest[i];
    for (int i = 0; i < count; i++)
        s->var[from + i] = (double)squares[i];
}

/* Compiled for each size of a full tile. */
NL_APART void find_coefficients(nl_parts *rows, nl_sums *sums, int64_t from, int64_t c,
                                const nl_standard *s, coefficients *k)
{
    const int count = rows->count;
#define FIND(known) rows->count = known, find_for(rows, sums, from, known, c, s, k)
    if (count == NL_LANES)
        FIND(NL_LANES);
    else if (count == NL_LANES / 2)
        FIND(NL_LANES / 2);
    else if (count == NL_LANES / 4)
        FIND(NL_LANES / 4);
    else
        FIND(count);
#undef FIND
}

NL_APART void forward_in_tiles(const nl_row_write *b, int64_t c, const nl_standard *s,
                               coefficients *k)
{
    const int most = rows_that_share(c, 1, 2);
    nl_row_write write = *b;
    nl_sums sums;
    nl_parts rows;
    write.ahead = rows_asked_ahead(most);
    for (int64_t row = 0; row < b->x.count; row += most) {
        take_rows(&b->x, row, most, &rows);
        nl_sum_parts(&rows, c, s->about_zero, NULL, &sums);
        find_coefficients(&rows, &sums, row, c, s, k);
        nl_write_rows(&write, row, rows.count, 0, c);
    }
}

static void forward(nl_rows x, const nl_result *to, int64_t c, const nl_standard *s)
{
    coefficients k;
    const nl_row_write write = {x, *to, k.center, k.a, k.d, s->gamma, s->beta, 0};
    if (nl_cpu_habits_now()->one_row && nl_can_pipeline(&write, c, s))
        nl_standardize_in_pipeline(&write, c, s);
    else
        forward_in_tiles(&write, c, s, &k);
}

/* ---- backward */

/* center, a, d, and the center's rounding, of up to NL_LANES rows; d is left out where it is less
 * than half a unit in the last place of 1. Made in registers: one that is loaded from values just
 * stored would wait for all results stored before. */
NL_APART void recall_coefficients(int count, const double *mean, const double *var, double eps,
                                  coefficients *k)
{
    nl_vec rounding, of_var;
    const nl_vec center = nl_vec_of_doubles(mean, count, &rounding);
    const nl_vec a = nl_per_root(nl_vec_of_doubles(var, count, &of_var), eps);
    const nl_vec d = a * rounding, least = nl_vec_of(NL_REAL_EPSILON / 2);
    nl_vec_store(k->center, center);
    nl_vec_store(k->rounding, rounding);
    nl_vec_store(k->a, a);
    nl_vec_store(k->d, nl_vec_choose((-least < d) & (d < least), nl_vec_of(0), d));
}

/* dL/dmu = -r G, dL/dvar = -r^3 H / 2, H about the mean, of rows in lanes:
 * dx = a g + p (x - center) + q, p = 2 dL/dvar / c, q = dL/dmu / c + p (center - mu). */
NL_INLINE void find_slopes(nl_vec G, nl_vec H, int64_t c, int about_zero, int at,
                           const coefficients *k, nl_vec *p, nl_vec *q)
{
    const nl_vec a = nl_vec_load(k->a + at), rounding = nl_vec_load(k->rounding + at);
    const nl_vec a_c = a * (-1 / (nl_real)c);
    *p = a * a * a_c * nl_vec_fma(rounding, G, H);
    *q = about_zero ? nl_vec_of(0) : nl_vec_fma(*p, rounding, a_c * G);
}

typedef struct back_call {
    nl_affine_rows sums;
    nl_row_back write;
    int64_t c;
    const nl_standard *s;
    coefficients *k;
} back_call;

NL_INLINE void recall(const back_call *b, int64_t row)
{
    const int count = (int)nl_least(b->sums.x.count - row, NL_LANES);
    if (row % NL_LANES == 0)
        recall_coefficients(count, b->s->mean + row, b->s->var + row, b->s->eps, b->k);
}

static void back_tile(const back_call *b, int64_t row, int count)
{
    const int at = (int)(row % NL_LANES);
    nl_vec G, H, p, q;
    nl_affine_lanes(&b->sums, row, at, count, b->c, &G, &H);
    find_slopes(G, H, b->c, b->s->about_zero, at, b->k, &p, &q);
    nl_vec_store(b->k->p + at, p);
    nl_vec_store(b->k->q + at, q);
    nl_back_rows(&b->write, row, count, at, b->c);
}

/* What most calls ask for: long rows, all live, with the usual parameters, gamma and beta or about
 * zero gamma alone, where rows are stored one by one. A tile takes a few hundred cycles, of which
 * calls would be a tenth. */
static int is_usual(const back_call *b, int rows)
{
    const nl_affine_rows *g = &b->sums;
    return nl_cpu_habits_now()->one_row && b->c > NL_SHORT &&
           (rows == 2 || rows == NL_ROWS_TOGETHER) && !g->x.live && g->g.act == NL_LINEAR &&
           !nl_keeps(g->g) && g->gamma && !g->about_zero == (g->dbeta != NULL);
}

/* What the next tile reads first, while the slopes of this one are waited for. */
NL_INLINE void ask_for_rows(const nl_affine_rows *b, int64_t row, int rows)
{
    enum { LINES = 6, LINE = 64 / (int)sizeof(nl_real) };
    if (row + rows > b->x.count)
        return;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int k = 0; k < LINES * LINE; k += LINE) { /* of short rows the next one's, too */
            nl_vec_ask(b->x.x, (row + r) * b->x.ld + k);
            nl_vec_ask(b->g.dy, (row + r) * b->g.ld + k);
        }
}

NL_INLINE void back_usual(const back_call *call, int rows, int about_zero, int stream, int mid_line)
{
    const back_call b = *call;
    const affine_kind is = {NL_LINEAR, 0, about_zero, 0, 1, !about_zero, mid_line};
    int64_t row = 0;
    for (; row + rows <= b.sums.x.count; row += rows) {
        const int at = (int)(row % NL_LANES);
        nl_vec G[NL_ROWS_TOGETHER], H[NL_ROWS_TOGETHER], p, q;
        recall(&b, row);
        if (have_d(&b.sums, at, rows)) {
            back_tile(&b, row, rows);
            continue;
        }
        affine_long(&b.sums, is, row, at, rows, b.c, G, H);
        ask_for_rows(&b.sums, row + rows, rows);
        find_slopes(nl_sum_across(G, rows), nl_sum_across(H, rows), b.c, about_zero, at, b.k, &p,
                    &q);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const back_coefficients of = {{nl_vec_of(b.k->center[at + r])},
                                          {nl_vec_of(b.k->a[at + r])},
                                          {nl_vec_of(p[r])},
                                          {nl_vec_of(q[r])}};
            back_together(b.write, of, row + r, 1, b.c, stream);
        }
    }
    if (row < b.sums.x.count) {
        recall(&b, row);
        back_tile(&b, row, (int)(b.sums.x.count - row));
    }
}

static void back_as_compiled(const back_call *b, int rows, int stream, int mid_line)
{
    const int zero = b->s->about_zero;
#define COMPILED(rows_, zero_, stream_, mid_line_)                                    \
    if (rows == rows_ && zero == zero_ && stream == stream_ && mid_line == mid_line_) \
    back_usual(b, rows_, zero_, stream_, mid_line_)
#define EACH_ZERO_AND_STREAM(rows, mid_line) \
    COMPILED(rows, 0, 0, mid_line);          \
    COMPILED(rows, 0, 1, mid_line);          \
    COMPILED(rows, 1, 0, mid_line);          \
    COMPILED(rows, 1, 1, mid_line)
    EACH_ZERO_AND_STREAM(2, 0);
    EACH_ZERO_AND_STREAM(2, 1);
    if ((int)NL_LANES >= (int)NL_ROWS_TOGETHER) { /* a tile's slopes are lanes of a register */
        EACH_ZERO_AND_STREAM(NL_ROWS_TOGETHER, 0);
        EACH_ZERO_AND_STREAM(NL_ROWS_TOGETHER, 1);
    }
#undef EACH_ZERO_AND_STREAM
#undef COMPILED
}

static void back(nl_rows x, const nl_arriving *g, nl_real *dx, int64_t lddx, int64_t c,
                 const nl_standard *s, nl_real *dgamma, nl_real *dbeta, int stream)
{
    const int most = rows_that_share(c, 2, 3);
    coefficients k;
    const back_call b = {
        .sums = {x, *g, s->about_zero, s->gamma, k.center, k.a, k.d, dgamma, dbeta},
        .write = {x, g->kept ? g->kept : g->dy, dx, g->kept ? g->ld_kept : g->ld, lddx, s->gamma,
                  k.center, k.a, k.p, k.q, stream, rows_asked_ahead(most)},
        .c = c,
        .s = s,
        .k = &k};
    if (is_usual(&b, most)) {
        back_as_compiled(&b, most, stream && nl_can_stream(dx, lddx, c),
                         nl_turns_mid_line(x.x, x.ld, c) && nl_turns_mid_line(g->dy, g->ld, c));
        return;
    }
    for (int64_t row = 0; row < x.count; row += most) {
        recall(&b, row);
        back_tile(&b, row, (int)nl_least(x.count - row, most));
    }
}

const nl_standard_kernels NL_VARIANT(nl_standard_kernel) = {.forward = forward, .back = back};
