/* Sums over rows, or over groups of channels in them (rows.h). */
#include "kernel/row_sums_inline.h"

/* Parts that are summed together: as many as there are registers for. */
enum { NL_PARTS_TOGETHER = NL_VECTOR_BYTES == 64 ? 4 : 2 };

/* Sums over some parts from number `at` on. */
NL_INLINE void sum_together(const nl_parts *p, int at, int parts, int64_t c, int about_zero,
                            const nl_real *about, nl_sums *to)
{
    part_sums s[NL_PARTS_TOGETHER];
    int64_t i = 1;
    int turn = 1;
#pragma GCC unroll 4
    for (int j = 0; j < parts; j++)
        s[j] = sums_begun(p->x[at + j], c, about_zero, about ? about[at + j] : p->x[at + j][0]);
    for (;; i += NL_WAYS) {
#pragma GCC unroll 4
        for (int j = 0; j < parts; j++)
            turn &= has_turn(s[j].part, i);
        if (!turn)
            break;
#pragma GCC unroll 4
        for (int j = 0; j < parts; j++)
            sums_turn(&s[j], about_zero, i);
    }
#pragma GCC unroll 4
    for (int j = 0; j < parts; j++)
        sums_finish(&s[j], about_zero, i, &to->sum[at + j], &to->squares[at + j]);
}

/* Of long parts several together; short ones in the order in which they lie in memory. */
NL_INLINE int can_sum_together(const nl_parts *p, int from, int64_t c)
{
    int live = c > NL_SHORT;
    for (int i = from; i < from + NL_PARTS_TOGETHER; i++)
        live &= p->x[i] != NULL;
    return live;
}

NL_INLINE void sum_parts(const nl_parts *p, int64_t c, int about_zero, const nl_real *about,
                         nl_sums *to)
{
    for (int i = 0; i < nl_added_together(p->count); i += NL_PARTS_TOGETHER) {
        if (can_sum_together(p, i, c)) {
            sum_together(p, i, NL_PARTS_TOGETHER, c, about_zero, about, to);
            continue;
        }
        for (int j = i; j < i + NL_PARTS_TOGETHER; j++) {
            to->sum[j] = to->squares[j] = (nl_vec){0};
            if (p->x[j])
                sum_together(p, j, 1, c, about_zero, about, to);
        }
    }
}

void nl_sum_parts(const nl_parts *p, int64_t c, int about_zero, const nl_real *about, nl_sums *to)
{
    if (c == NL_SHORT && about_zero)
        sum_parts(p, NL_SHORT, 1, about, to);
    else if (c == NL_SHORT)
        sum_parts(p, NL_SHORT, 0, about, to);
    else if (about_zero)
        sum_parts(p, c, 1, about, to);
    else
        sum_parts(p, c, 0, about, to);
}
