/* Rows standardized one after another (rows.h). A store waits for its line of the cache, so while
 * one row is written the one after next is summed. The coefficients of the next are found in the
 * middle: they are a chain of operations each of which waits for the last, and between two rows
 * everything would wait for it. */
#include "kernel/row_sums_inline.h"
#include "kernel/row_writes_inline.h"
#include "kernel/standardize_inline.h"

/* A row that has been summed, about its first value. */
typedef struct summed {
    int64_t row;
    nl_vec sum, squares;
} summed;

NL_INLINE const nl_real *row_of(nl_row_write b, int64_t row) { return b.x.x + row * b.x.ld; }

/* The first live row from `row` on; those before are done with. */
static int64_t next_live(const nl_row_write *b, int64_t row, int64_t c, const nl_standard *s)
{
    for (; row < b->x.count && !nl_is_live(b->x, row); row++) {
        s->mean[row] = s->var[row] = 0;
        nl_zero_row(b->to.y + row * b->to.ld, c);
    }
    return row;
}

/* It and its sums, if there is one. */
static summed sum_next(const nl_row_write *b, int64_t row, int64_t c, const nl_standard *s)
{
    summed next = {.row = next_live(b, row, c, s)};
    if (next.row < b->x.count) {
        const nl_real *x = row_of(*b, next.row);
        part_sums sums = sums_begun(x, c, s->about_zero, x[0]);
        sums_finish(&sums, s->about_zero, 1, &next.sum, &next.squares);
    }
    return next;
}

NL_INLINE nl_part_moments find_moments(nl_row_write b, summed of, int64_t c, int about_zero)
{
    return nl_moments_of_row(row_of(b, of.row), c, about_zero, of.sum, of.squares);
}

/* In all lanes; the row's mean and variance are written. */
NL_INLINE nl_row_standard find_coefficients(nl_part_moments m, int64_t row, int64_t c,
                                            const nl_standard *s)
{
    const nl_row_standard z = nl_standard_of(m, c, s->eps);
    s->mean[row] = (double)m.shift[0] + (double)m.off[0];
    s->var[row] = (double)z.var[0];
    return z;
}

static nl_row_standard find_alone(const nl_row_write *b, summed of, int64_t c, const nl_standard *s)
{
    return find_coefficients(find_moments(*b, of, c, s->about_zero), of.row, c, s);
}

/* Row `row` is written from channel *k up to `end`, and as much of another one summed, from
 * register *i on. */
NL_INLINE void write_beside_sums(nl_row_write b, write_kind is, nl_row_coefficients q, int64_t row,
                                 int64_t end, int64_t *k, part_sums *s, int64_t *i)
{
    for (; has_turn(s->part, *i) && *k + NL_WAYS * NL_LANES <= end; *i += NL_WAYS) {
        sums_turn(s, is.about_zero, *i);
#pragma GCC unroll 4
        for (int w = 0; w < NL_WAYS; w++, *k += NL_LANES)
            write_step(b, is, q, row, 1, *k, NULL);
    }
}

/* Row `row` is written while coefficients of the next and sums of the one after are found. */
NL_INLINE nl_row_standard write_row(nl_row_write b, write_kind is, nl_row_standard z, int64_t row,
                                    summed next, summed *after, int64_t c, const nl_standard *s)
{
    const nl_row_coefficients q = {{z.center}, {z.a}, {z.d}};
    const nl_span whole = nl_whole_registers(b.to.y + row * b.to.ld, c);
    const nl_real *x = row_of(b, after->row);
    part_sums sums = sums_begun(x, c, is.about_zero, x[0]);
    int64_t k = whole.begin, i = 1;
    write_head(b, is, q, row, whole);
    write_beside_sums(b, is, q, row, c / 3, &k, &sums, &i);
    const nl_part_moments m = find_moments(b, next, c, is.about_zero);
    write_beside_sums(b, is, q, row, 2 * c / 3, &k, &sums, &i);
    const nl_row_standard of_next = find_coefficients(m, next.row, c, s);
    write_beside_sums(b, is, q, row, whole.end, &k, &sums, &i);
    for (; k < whole.end; k += NL_LANES)
        write_step(b, is, q, row, 1, k, NULL);
    write_tail(b, is, q, row, 1, whole, c);
    sums_finish(&sums, is.about_zero, i, &after->sum, &after->squares);
    return of_next;
}

static void write_alone(nl_row_write b, nl_row_standard z, int64_t row, int64_t c)
{
    const nl_real center = z.center[0], a = z.a[0], d = z.d[0];
    b.center = &center, b.a = &a, b.d = &d;
    nl_write_rows(&b, row, 1, 0, c);
}

NL_INLINE void write_rows(const nl_row_write *call, write_kind is, int64_t c, const nl_standard *s)
{
    const nl_row_write b = *call;
    summed next = sum_next(&b, 0, c, s);
    if (next.row >= b.x.count)
        return;
    int64_t row = next.row;
    nl_row_standard z = find_alone(&b, next, c, s), of_next;
    next = sum_next(&b, row + 1, c, s);
    while (next.row < b.x.count) {
        summed after = {.row = next_live(&b, next.row + 1, c, s)};
        if (after.row < b.x.count) {
            of_next = write_row(b, is, z, row, next, &after, c, s);
        } else {
            write_alone(b, z, row, c);
            of_next = find_alone(&b, next, c, s);
        }
        row = next.row, z = of_next, next = after;
    }
    write_alone(b, z, row, c);
}

/* The usual parameters are gamma and beta, or about zero gamma alone. */
int nl_can_pipeline(const nl_row_write *b, int64_t c, const nl_standard *s)
{
    return c > NL_SHORT && is_cheap(b->to.act) && !b->to.residual && b->gamma &&
           !s->about_zero == (b->beta != NULL);
}

void nl_standardize_in_pipeline(const nl_row_write *b, int64_t c, const nl_standard *s)
{
    const int past = b->to.stream && nl_can_stream(b->to.y, b->to.ld, c);
#define COMPILED(is, zero, stream)                                  \
    if (b->to.act == is && s->about_zero == zero && past == stream) \
    write_rows(b, (write_kind){is, zero, 1, !zero, 0, stream}, c, s)
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
