/* y and dx of whole rows (rows.h), and y of some beside the sums of the next. */
#include "kernel/row_sums_inline.h"

/* Rows are written one by one where the machine prefers it, and where x or y have rows that do not
 * start on registers: loads of the next row would wait for stores that lie alike in their page. */
static int side_by_side(const nl_real *y, int64_t ldy, int64_t ldx)
{
    return !nl_cpu_habits_now()->one_row && nl_starts_on_registers(y, ldy) && ldx % NL_LANES == 0;
}

/* ---- y */

/* What is known when a loop is compiled. */
typedef struct write_kind {
    nl_act act;
    int has_gamma, has_beta, has_residual, stream;
} write_kind;

/* All rows are loaded before the first is stored: where x and y lie alike in their pages, as they
 * often do, loads would wait for stores. On Zen 4 a multiply-add whose addend is not the newest of
 * results waits for stores, too, so there is one of them and not two. */
NL_INLINE void write_step(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                          int rows, int64_t k, const nl_part *t)
{
    const nl_vec gamma = is.has_gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    const nl_vec beta = is.has_beta ? nl_load(b.beta + k, t) : nl_vec_of(0);
    nl_vec y[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_real *x = b.x.x + (row + r) * b.x.ld + k;
        const nl_vec xc = nl_load(x, t) - q.center[r];
        if (is.stream && b.ahead > 0)
            nl_vec_ask(x, b.ahead * b.x.ld);
        y[r] = nl_vec_fma(gamma, q.a[r] * xc + q.d[r], beta);
        if (is.has_residual)
            y[r] += nl_load(b.to.residual + (row + r) * b.to.ld + k, t);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        nl_put(b.to.y + (row + r) * b.to.ld + k, nl_act_of(is.act, y[r]), t, is.stream);
}

/* The channels before the first whole register, and those behind the last. */
NL_INLINE void write_head(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                          nl_span whole)
{
    if (whole.begin > 0) {
        const nl_part t = nl_part_of((int)whole.begin);
        write_step(b, is, q, row, 1, 0, &t);
    }
}

NL_INLINE void write_tail(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                          int rows, nl_span whole, int64_t c)
{
    if (whole.end < c) {
        const nl_part t = nl_rest(c - whole.end);
        write_step(b, is, q, row, rows, whole.end, &t);
    }
}

NL_INLINE void write_together(nl_row_write b, write_kind is, int64_t row, int64_t at, int rows,
                              int64_t c)
{
    const nl_row_coefficients q = nl_coefficients_of(b.center, b.a, b.d, at, rows);
    const nl_span whole = nl_whole_registers(b.to.y + row * b.to.ld, c);
    if (rows == 1)
        write_head(b, is, q, row, whole);
    for (int64_t k = rows == 1 ? whole.begin : 0; k < whole.end; k += NL_LANES)
        write_step(b, is, q, row, rows, k, NULL);
    write_tail(b, is, q, row, rows, whole, c);
}

NL_INLINE void write_run_as(nl_row_write b, write_kind is, int64_t row, int64_t at, int64_t run,
                            int64_t c)
{
    const int together = side_by_side(b.to.y, b.to.ld, b.x.ld);
    int64_t i = 0;
    for (; together && i + NL_ROWS_TOGETHER <= run; i += NL_ROWS_TOGETHER)
        write_together(b, is, row + i, at + i, NL_ROWS_TOGETHER, c);
    for (; i < run; i++)
        write_together(b, is, row + i, at + i, 1, c);
}

/* Loops of a constant length are worth their code where the activation is not most of the time. */
NL_INLINE int is_cheap(nl_act act) { return act == NL_LINEAR || act == NL_RELU; }

/* `run` live rows from `row` on, their coefficients from `at` on. */
NL_APART void write_run(const nl_row_write *b, int64_t row, int64_t at, int64_t run, int64_t c,
                        int stream)
{
    const nl_row_write own = *b;
#define KIND(act, stream) \
    ((write_kind){act, own.gamma != NULL, own.beta != NULL, own.to.residual != NULL, stream})
#define CALL(act)                                                \
    if (c == NL_SHORT && is_cheap(act) && stream)                \
        write_run_as(own, KIND(act, 1), row, at, run, NL_SHORT); \
    else if (c == NL_SHORT && is_cheap(act))                     \
        write_run_as(own, KIND(act, 0), row, at, run, NL_SHORT); \
    else if (stream)                                             \
        write_run_as(own, KIND(act, 1), row, at, run, c);        \
    else                                                         \
        write_run_as(own, KIND(act, 0), row, at, run, c)
    NL_EACH_RESULT(own.to.act, CALL)
#undef CALL
#undef KIND
}

void nl_write_rows(const nl_row_write *b, int64_t from, int64_t count, int64_t at, int64_t c)
{
    const int stream = b->to.stream && nl_can_stream(b->to.y, b->to.ld, c);
    for (int64_t i = 0, run; i < count; i += run ? run : 1) {
        run = nl_live_run(b->x, from + i, count - i);
        if (run == 0)
            nl_zero_row(b->to.y + (from + i) * b->to.ld, c);
        else
            write_run(b, from + i, at + i, run, c, stream);
    }
}

/* ---- y of some rows and sums of the next */

/* Row `row`, its coefficients at `at`, is written, and `next` summed. */
NL_INLINE void write_beside_sums(nl_row_write b, write_kind is, int64_t row, int64_t at,
                                 const nl_real *next, int about_zero, int64_t c, nl_vec *sum,
                                 nl_vec *squares)
{
    const nl_row_coefficients q = nl_coefficients_of(b.center, b.a, b.d, at, 1);
    const nl_span whole = nl_whole_registers(b.to.y + row * b.to.ld, c);
    part_sums s = sums_begun(next, c, about_zero, next[0]);
    int64_t k = whole.begin, i = 1;
    write_head(b, is, q, row, whole);
    for (; has_turn(s.part, i) && k + NL_WAYS * NL_LANES <= whole.end; i += NL_WAYS) {
        sums_turn(&s, about_zero, i);
#pragma GCC unroll 4
        for (int w = 0; w < NL_WAYS; w++, k += NL_LANES)
            write_step(b, is, q, row, 1, k, NULL);
    }
    for (; k < whole.end; k += NL_LANES)
        write_step(b, is, q, row, 1, k, NULL);
    write_tail(b, is, q, row, 1, whole, c);
    sums_finish(&s, about_zero, i, sum, squares);
}

NL_INLINE void write_rows_beside_sums(nl_row_write b, write_kind is, int64_t from, int count,
                                      int about_zero, int64_t c, nl_sums *to)
{
    b.ahead = 0; /* the sums have asked for what is written next */
    for (int i = 0; i < count; i++)
        write_beside_sums(b, is, from + i, i, b.x.x + (from + count + i) * b.x.ld, about_zero, c,
                          &to->sum[i], &to->squares[i]);
}

/* The usual parameters are gamma and beta, or about zero gamma alone. */
int nl_can_sum_beside(const nl_row_write *b, int64_t c, int about_zero)
{
    return c > NL_SHORT && is_cheap(b->to.act) && !b->to.residual && b->gamma &&
           !about_zero == (b->beta != NULL);
}

void nl_write_beside_sums(const nl_row_write *b, int64_t from, int count, int64_t c, int about_zero,
                          nl_sums *to)
{
    const nl_row_write own = *b;
    const int past = b->to.stream && nl_can_stream(b->to.y, b->to.ld, c);
    for (int i = count; i < nl_added_together(count); i++)
        to->sum[i] = to->squares[i] = (nl_vec){0};
#define COMPILED(is, zero, stream)                                \
    if (own.to.act == is && about_zero == zero && past == stream) \
    write_rows_beside_sums(own, (write_kind){is, 1, !zero, 0, stream}, from, count, zero, c, to)
    COMPILED(NL_LINEAR, 0, 0);
    COMPILED(NL_LINEAR, 0, 1);
    COMPILED(NL_LINEAR, 1, 0);
    COMPILED(NL_LINEAR, 1, 1);
    COMPILED(NL_RELU, 0, 0);
    COMPILED(NL_RELU, 0, 1);
    COMPILED(NL_RELU, 1, 0);
    COMPILED(NL_RELU, 1, 1);
#undef COMPILED
}

/* ---- dx */

NL_INLINE void back_step(nl_row_back b, nl_row_coefficients q, const nl_vec *p, int64_t row,
                         int rows, int64_t k, const nl_part *t, int stream)
{
    const nl_vec gamma = b.gamma ? nl_load(b.gamma + k, t) : nl_vec_of(1);
    nl_vec dx[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_real *x = b.x.x + (row + r) * b.x.ld + k, *dy = b.g + (row + r) * b.ldg + k;
        const nl_vec xc = nl_load(x, t) - q.center[r], g = gamma * nl_load(dy, t);
        if (stream && b.ahead > 0) {
            nl_vec_ask(x, b.ahead * b.x.ld);
            nl_vec_ask(dy, b.ahead * b.ldg);
        }
        dx[r] = nl_vec_fma(q.a[r], g, nl_vec_fma(p[r], xc, q.d[r]));
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        nl_put(b.dx + (row + r) * b.lddx + k, dx[r], t, stream);
}

NL_INLINE void back_together(nl_row_back b, int64_t row, int64_t at, int rows, int64_t c,
                             int stream)
{
    const nl_row_coefficients q = nl_coefficients_of(b.center, b.a, b.q, at, rows);
    const nl_span whole = nl_whole_registers(b.dx + row * b.lddx, c);
    nl_vec p[NL_ROWS_TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        p[r] = nl_vec_of(b.p[at + r]);
    if (rows == 1 && whole.begin > 0) {
        const nl_part t = nl_part_of((int)whole.begin);
        back_step(b, q, p, row, rows, 0, &t, 0);
    }
    for (int64_t k = rows == 1 ? whole.begin : 0; k < whole.end; k += NL_LANES)
        back_step(b, q, p, row, rows, k, NULL, stream);
    if (whole.end < c) {
        const nl_part t = nl_rest(c - whole.end);
        back_step(b, q, p, row, rows, whole.end, &t, 0);
    }
}

NL_INLINE void back_run_as(nl_row_back b, int64_t row, int64_t at, int64_t run, int64_t c,
                           int stream)
{
    const int together = side_by_side(b.dx, b.lddx, b.x.ld);
    int64_t i = 0;
    for (; together && i + NL_ROWS_TOGETHER <= run; i += NL_ROWS_TOGETHER)
        back_together(b, row + i, at + i, NL_ROWS_TOGETHER, c, stream);
    for (; i < run; i++)
        back_together(b, row + i, at + i, 1, c, stream);
}

NL_APART void back_run(const nl_row_back *b, int64_t row, int64_t at, int64_t run, int64_t c,
                       int stream)
{
    const nl_row_back own = *b;
    if (c == NL_SHORT && stream)
        back_run_as(own, row, at, run, NL_SHORT, 1);
    else if (c == NL_SHORT)
        back_run_as(own, row, at, run, NL_SHORT, 0);
    else if (stream)
        back_run_as(own, row, at, run, c, 1);
    else
        back_run_as(own, row, at, run, c, 0);
}

void nl_back_rows(const nl_row_back *b, int64_t from, int64_t count, int64_t at, int64_t c)
{
    const int stream = b->stream && nl_can_stream(b->dx, b->lddx, c);
    for (int64_t i = 0, run; i < count; i += run ? run : 1) {
        run = nl_live_run(b->x, from + i, count - i);
        if (run == 0)
            nl_zero_row(b->dx + (from + i) * b->lddx, c);
        else
            back_run(b, from + i, at + i, run, c, stream);
    }
}
