/* y and dx of whole rows (rows.h). */
#include "kernel/row_writes_inline.h"

/* Rows are written one by one where the machine prefers it, and where x or y have rows that do not
 * start on registers: loads of the next row would wait for stores that lie alike in their page. */
static int side_by_side(const nl_real *y, int64_t ldy, int64_t ldx)
{
    return !nl_cpu_habits_now()->one_row && nl_starts_on_registers(y, ldy) && ldx % NL_LANES == 0;
}

/* ---- y */

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

/* `run` live rows from `row` on, their coefficients from `at` on. */
NL_APART void write_run(const nl_row_write *b, int64_t row, int64_t at, int64_t run, int64_t c,
                        int stream)
{
    const nl_row_write own = *b;
#define KIND(act, stream) \
    ((write_kind){act, 0, own.gamma != NULL, own.beta != NULL, own.to.residual != NULL, stream})
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

/* ---- dx */

NL_INLINE void back_run_as(nl_row_back b, int64_t row, int64_t at, int64_t run, int64_t c,
                           int stream)
{
    const int together = side_by_side(b.dx, b.lddx, b.x.ld);
    int64_t i = 0;
    for (; together && i + NL_ROWS_TOGETHER <= run; i += NL_ROWS_TOGETHER)
        back_together(b, back_coefficients_of(b, at + i, NL_ROWS_TOGETHER), row + i,
                      NL_ROWS_TOGETHER, c, stream);
    for (; i < run; i++)
        back_together(b, back_coefficients_of(b, at + i, 1), row + i, 1, c, stream);
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
