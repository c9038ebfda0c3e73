#include "base/cut.h"
#include "kernel/area_inline.h"

enum { RUN = 128 }; /* rows summed in the storage type before they are merged in double */

/* Registers of a row whose sums stay in registers, at most. */
enum { NARROW_MOST = NL_VECTOR_BYTES == 64 ? 8 : 4 };

/* Channels that are summed together: strips whose sums stay in registers. Where registers are few
 * it is the whole row, since narrow strips of long rows come late into the nearest cache. */
static int64_t strip_of(int64_t c)
{
    return NL_VECTOR_BYTES == 64 ? nl_least(c, NARROW_MOST * NL_LANES) : c;
}

static int64_t registers_of(int64_t c) { return nl_ceil_div(c, NL_LANES); }

/* The loops over registers are compiled once for each number of them. */
#if NL_VECTOR_BYTES == 64
#define EACH_NARROW(c, call, wide) \
    switch (registers_of(c)) {     \
    case 1: call(1); break;        \
    case 2: call(2); break;        \
    case 3: call(3); break;        \
    case 4: call(4); break;        \
    case 5: call(5); break;        \
    case 6: call(6); break;        \
    case 7: call(7); break;        \
    case 8: call(8); break;        \
    default: wide;                 \
    }
#else
#define EACH_NARROW(c, call, wide) \
    switch (registers_of(c)) {     \
    case 1: call(1); break;        \
    case 2: call(2); break;        \
    case 3: call(3); break;        \
    case 4: call(4); break;        \
    default: wide;                 \
    }
#endif

/* The last register of a row, which may be a part. */
NL_INLINE nl_part last_of(int64_t c)
{
    return nl_part_of((int)(c - (registers_of(c) - 1) * NL_LANES));
}

static int64_t first_live(const nl_rows *r, int64_t from)
{
    while (from < r->count && !nl_is_live(*r, from))
        from++;
    return from;
}

/* ---- moments */

/* s1 += d, s2 += d^2 for each row, d = x - shift; rows one after another, so that the sums do not
 * depend on how rows come together here. */
NL_INLINE void shifted_step(const nl_real *x, int64_t ld, int rows, const nl_real *shift,
                            nl_real *s1, nl_real *s2, const nl_part *t)
{
    const nl_vec from = nl_load(shift, t);
    nl_vec sum = nl_load(s1, t), squares = nl_load(s2, t);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_vec d = nl_load(x + r * ld, t) - from;
        sum += d;
        squares = nl_vec_fma(d, d, squares);
    }
    nl_put(s1, sum, t, 0);
    nl_put(s2, squares, t, 0);
}

NL_INLINE void shifted_rows(const nl_real *x, int64_t ld, int rows, int64_t c, const nl_real *shift,
                            nl_real *s1, nl_real *s2)
{
    const int64_t end = nl_whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        shifted_step(x + k, ld, rows, shift + k, s1 + k, s2 + k, NULL);
    if (end < c) {
        const nl_part t = nl_rest(c);
        shifted_step(x + end, ld, rows, shift + end, s1 + end, s2 + end, &t);
    }
}

static int64_t wide_sums(nl_rows r, int64_t c, const nl_real *shift, nl_real *s1, nl_real *s2)
{
    int64_t m = 0;
    memset(s1, 0, (size_t)c * sizeof *s1);
    memset(s2, 0, (size_t)c * sizeof *s2);
    for (int64_t i = 0, run; i < r.count; i += run ? run : 1) {
        run = nl_live_run(r, i, NL_ROWS_TOGETHER);
        if (run == NL_ROWS_TOGETHER)
            shifted_rows(r.x + i * r.ld, r.ld, NL_ROWS_TOGETHER, c, shift, s1, s2);
        else
            for (int64_t j = i; j < i + run; j++)
                shifted_rows(r.x + j * r.ld, r.ld, 1, c, shift, s1, s2);
        m += run;
    }
    return m;
}

/* Strips of long rows lie apart: the machine does not see that one row's follows another's. */
static int64_t values_asked_ahead(nl_rows r, int64_t c)
{
    enum { ROWS_AHEAD = 3 };
    return r.ld > c && nl_cpu_habits_now()->asks_ahead ? ROWS_AHEAD * r.ld : 0;
}

/* The same sums, kept in registers: `registers` is a constant where this is called. */
NL_INLINE int64_t narrow_sums(nl_rows r, int64_t c, int registers, const nl_real *shift,
                              nl_real *s1, nl_real *s2)
{
    const nl_part last = last_of(c);
    const int64_t ahead = values_asked_ahead(r, c);
    nl_vec from[NARROW_MOST], sum[NARROW_MOST], squares[NARROW_MOST];
    int64_t m = 0;
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++) {
        from[w] = nl_load(shift + w * NL_LANES, w == registers - 1 ? &last : NULL);
        sum[w] = squares[w] = (nl_vec){0};
    }
    for (int64_t i = 0; i < r.count; i++) {
        if (!nl_is_live(r, i))
            continue;
#pragma GCC unroll 8
        for (int w = 0; w < registers; w++) {
            const nl_real *x = r.x + i * r.ld + w * NL_LANES;
            const nl_vec d = nl_load(x, w == registers - 1 ? &last : NULL) - from[w];
            if (registers == NARROW_MOST && ahead)
                nl_vec_ask(x, ahead);
            sum[w] += d;
            squares[w] = nl_vec_fma(d, d, squares[w]);
        }
        m++;
    }
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++) {
        nl_put(s1 + w * NL_LANES, sum[w], w == registers - 1 ? &last : NULL, 0);
        nl_put(s2 + w * NL_LANES, squares[w], w == registers - 1 ? &last : NULL, 0);
    }
    return m;
}

/* Sums over the live rows of a run, which are counted. */
static int64_t shifted_sums(nl_rows r, int64_t c, const nl_real *shift, nl_real *s1, nl_real *s2)
{
    int64_t m;
#define CALL(registers) m = narrow_sums(r, c, registers, shift, s1, s2)
    EACH_NARROW(c, CALL, m = wide_sums(r, c, shift, s1, s2))
#undef CALL
    return m;
}

/* Chan's update: (count, mean, m2) takes in m values of sum shift m + s1 and squares s2 about
 * shift, or is written where nothing was counted: `first` is a constant where this is called. */
NL_INLINE void merge_shifted(int first, int64_t c, double count, double *restrict mean,
                             double *restrict m2, double m, const nl_real *restrict shift,
                             const nl_real *restrict s1, const nl_real *restrict s2)
{
    const double per_m = 1 / m, share = m / (count + m), cross = count * share;
    for (int64_t k = 0; k < c; k++) {
        const double off = (double)s1[k] * per_m, here = (double)shift[k] + off;
        const double about_shift = (double)s2[k] - (double)s1[k] * off;
        const double squares = about_shift < 0 ? 0 : about_shift;
        const double delta = first ? 0 : here - mean[k];
        mean[k] = first ? here : mean[k] + delta * share;
        m2[k] = first ? squares : m2[k] + (squares + delta * delta * cross);
    }
}

static void column_moments(nl_rows r, int64_t c, double *count, double *mean, double *m2,
                           nl_real *scratch)
{
    nl_real *s1 = scratch, *s2 = scratch + c;
    for (int64_t from = first_live(&r, 0); from < r.count; from = first_live(&r, from + RUN)) {
        const nl_rows run = nl_rows_from(r, from, nl_least(r.count - from, RUN), 0);
        int64_t m = 0;
        for (int64_t k = 0, strip; k < c; k += strip) {
            strip = strip_of(c - k);
            m = shifted_sums(nl_rows_from(run, 0, run.count, k), strip, run.x + k, s1, s2);
            if (*count == 0)
                merge_shifted(1, strip, 0, mean + k, m2 + k, (double)m, run.x + k, s1, s2);
            else
                merge_shifted(0, strip, *count, mean + k, m2 + k, (double)m, run.x + k, s1, s2);
        }
        *count += (double)m;
    }
    if (*count == 0) {
        memset(mean, 0, (size_t)c * sizeof *mean);
        memset(m2, 0, (size_t)c * sizeof *m2);
    }
}

static void merge_moments(int64_t c, double *count, double *restrict mean, double *restrict m2,
                          double from_count, const double *restrict from_mean,
                          const double *restrict from_m2)
{
    if (from_count == 0)
        return;
    const double share = from_count / (*count + from_count), cross = *count * share;
    for (int64_t k = 0; k < c; k++) {
        const double delta = from_mean[k] - mean[k];
        mean[k] += delta * share;
        m2[k] += from_m2[k] + delta * delta * cross;
    }
    *count += from_count;
}

/* ---- gradients */

NL_INLINE void gradient_step(nl_rows x, nl_arriving a, nl_act act, int keeps, int64_t row, int rows,
                             int64_t k, const nl_real *center, nl_real *sg, nl_real *sgx,
                             const nl_part *t)
{
    const nl_vec m = nl_load(center + k, t);
    nl_vec sum = nl_load(sg + k, t), products = nl_load(sgx + k, t);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const nl_vec g = nl_arrive(a, act, keeps, row + r, k, t);
        sum += g;
        products = nl_vec_fma(g, nl_load(x.x + (row + r) * x.ld + k, t) - m, products);
    }
    nl_put(sg + k, sum, t, 0);
    nl_put(sgx + k, products, t, 0);
}

NL_INLINE void gradient_rows(nl_rows x, nl_arriving a, nl_act act, int keeps, int64_t row, int rows,
                             int64_t c, const nl_real *center, nl_real *sg, nl_real *sgx)
{
    const int64_t end = nl_whole(c);
    for (int64_t k = 0; k < end; k += NL_LANES)
        gradient_step(x, a, act, keeps, row, rows, k, center, sg, sgx, NULL);
    if (end < c) {
        const nl_part t = nl_rest(c);
        gradient_step(x, a, act, keeps, row, rows, end, center, sg, sgx, &t);
    }
}

NL_INLINE void wide_gradients(nl_rows x, nl_arriving a, nl_act act, int keeps, int64_t from,
                              int64_t to, int64_t c, const nl_real *center, nl_real *sg,
                              nl_real *sgx)
{
    memset(sg, 0, (size_t)c * sizeof *sg);
    memset(sgx, 0, (size_t)c * sizeof *sgx);
    for (int64_t i = from, run; i < to; i += run ? run : 1) {
        run = nl_live_run(x, i, nl_least(to - i, NL_ROWS_TOGETHER));
        if (run == 0)
            nl_arrive_dead(a, i, c);
        else if (run == NL_ROWS_TOGETHER)
            gradient_rows(x, a, act, keeps, i, NL_ROWS_TOGETHER, c, center, sg, sgx);
        else
            for (int64_t j = i; j < i + run; j++)
                gradient_rows(x, a, act, keeps, j, 1, c, center, sg, sgx);
    }
}

NL_INLINE void narrow_gradients(nl_rows x, nl_arriving a, nl_act act, int keeps, int64_t from,
                                int64_t to, int64_t c, int registers, const nl_real *center,
                                nl_real *sg, nl_real *sgx)
{
    const nl_part last = last_of(c);
    nl_vec m[NARROW_MOST], sum[NARROW_MOST], products[NARROW_MOST];
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++) {
        m[w] = nl_load(center + w * NL_LANES, w == registers - 1 ? &last : NULL);
        sum[w] = products[w] = (nl_vec){0};
    }
    for (int64_t i = from; i < to; i++) {
        if (!nl_is_live(x, i)) {
            nl_arrive_dead(a, i, c);
            continue;
        }
#pragma GCC unroll 8
        for (int w = 0; w < registers; w++) {
            const nl_part *t = w == registers - 1 ? &last : NULL;
            const nl_vec g = nl_arrive(a, act, keeps, i, w * NL_LANES, t);
            sum[w] += g;
            products[w] =
                nl_vec_fma(g, nl_load(x.x + i * x.ld + w * NL_LANES, t) - m[w], products[w]);
        }
    }
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++) {
        nl_put(sg + w * NL_LANES, sum[w], w == registers - 1 ? &last : NULL, 0);
        nl_put(sgx + w * NL_LANES, products[w], w == registers - 1 ? &last : NULL, 0);
    }
}

/* Sums over the live rows [from, to). */
NL_INLINE void gradient_sums(nl_rows x, nl_arriving a, nl_act act, int keeps, int64_t from,
                             int64_t to, int64_t c, const nl_real *center, nl_real *sg,
                             nl_real *sgx)
{
#define CALL(registers) narrow_gradients(x, a, act, keeps, from, to, c, registers, center, sg, sgx)
    EACH_NARROW(c, CALL, wide_gradients(x, a, act, keeps, from, to, c, center, sg, sgx))
#undef CALL
}

static void add_to_double(double *restrict to, const nl_real *restrict from, int64_t c)
{
    for (int64_t k = 0; k < c; k++)
        to[k] += (double)from[k];
}

static void column_gradients(nl_rows x, const nl_arriving *g, int64_t c, const nl_real *center,
                             double *G, double *H, nl_real *scratch)
{
    nl_real *sg = scratch, *sgx = scratch + c;
    for (int64_t from = 0; from < x.count; from += RUN) {
        const int64_t to = from + nl_least(x.count - from, RUN);
        for (int64_t k = 0, strip; k < c; k += strip) {
            const nl_rows xk = nl_rows_from(x, 0, x.count, k);
            const nl_arriving gk = nl_arriving_from(*g, 0, k);
            strip = strip_of(c - k);
#define CALL(act, keeps) gradient_sums(xk, gk, act, keeps, from, to, strip, center + k, sg, sgx)
            NL_EACH_ARRIVING(gk, CALL)
#undef CALL
            add_to_double(G + k, sg, strip);
            add_to_double(H + k, sgx, strip);
        }
    }
}

/* ---- writes: row by row, which reads and writes each array as one stream */

/* Registers whose results are there before the first is stored. A load 4 KiB behind a store that
 * has just been made waits for it, and with rows of a power of two the coefficients of the next
 * register may lie there in every row. */
enum { STORED_TOGETHER = 4 };

/* Of rows shorter than a register that lie side by side, NL_LANES make a line: c whole registers.
 * Fewer lines than that are not worth their coefficients. */
enum { LINES_LEAST = 8 };
static int64_t lines_of(const nl_rows *r, int64_t c)
{
    const int64_t lines = r->count / NL_LANES;
    return c < NL_LANES && r->ld == c && !r->live && lines >= LINES_LEAST ? lines : 0;
}

/* The coefficients of a line: those of a row again and again. */
static const nl_real *repeat(const nl_real *of_row, int64_t c, nl_real *line)
{
    for (int64_t i = 0; i < NL_LANES; i++)
        memcpy(line + i * c, of_row, (size_t)c * sizeof *line);
    return line;
}

NL_INLINE nl_vec result_of(const nl_real *x, const nl_real *residual, nl_act act, int adds,
                           nl_columns q, int64_t k, const nl_part *t)
{
    const nl_vec xc = nl_load(x + k, t) - nl_load(q.center + k, t);
    nl_vec z = nl_vec_fma(nl_load(q.a + k, t), xc, nl_load(q.d + k, t));
    if (adds)
        z += nl_load(residual + k, t);
    return nl_act_of(act, z);
}

NL_INLINE void write_step(const nl_real *x, const nl_real *residual, nl_real *y, nl_act act,
                          int adds, int stream, nl_columns q, int64_t k, int registers)
{
    nl_vec z[STORED_TOGETHER];
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++)
        z[w] = result_of(x, residual, act, adds, q, k + w * NL_LANES, NULL);
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++)
        nl_put(y + k + w * NL_LANES, z[w], NULL, stream);
}

NL_INLINE void write_row(const nl_real *x, const nl_real *residual, nl_real *y, nl_act act,
                         int adds, int stream, int64_t c, nl_columns q)
{
    const nl_span whole = nl_whole_registers(y, c);
    int64_t k = whole.begin;
    if (k > 0) {
        const nl_part t = nl_part_of((int)k);
        nl_put(y, result_of(x, residual, act, adds, q, 0, &t), &t, 0);
    }
    for (; k + STORED_TOGETHER * NL_LANES <= whole.end; k += STORED_TOGETHER * NL_LANES)
        write_step(x, residual, y, act, adds, stream, q, k, STORED_TOGETHER);
    for (; k < whole.end; k += NL_LANES)
        write_step(x, residual, y, act, adds, stream, q, k, 1);
    if (whole.end < c) {
        const nl_part t = nl_rest(c - whole.end);
        nl_put(y + whole.end, result_of(x, residual, act, adds, q, whole.end, &t), &t, 0);
    }
}

NL_INLINE void write_rows(nl_rows x, nl_result to, nl_act act, int adds, int stream, int64_t c,
                          nl_columns q)
{
    for (int64_t i = 0; i < x.count; i++)
        if (nl_is_live(x, i))
            write_row(x.x + i * x.ld, adds ? to.residual + i * to.ld : NULL, to.y + i * to.ld, act,
                      adds, stream, c, q);
        else
            nl_zero_row(to.y + i * to.ld, c);
}

/* The loops are compiled once for each way. */
NL_INLINE void write_as(nl_rows x, nl_result to, nl_act act, int64_t c, nl_columns q)
{
    const int stream = to.stream && nl_can_stream(to.y, to.ld, c);
    if (to.residual && stream)
        write_rows(x, to, act, 1, 1, c, q);
    else if (to.residual)
        write_rows(x, to, act, 1, 0, c, q);
    else if (stream)
        write_rows(x, to, act, 0, 1, c, q);
    else
        write_rows(x, to, act, 0, 0, c, q);
}

static void write_rows_to(nl_rows x, nl_result to, int64_t c, nl_columns q)
{
#define CALL(act) write_as(x, to, act, c, q)
    NL_EACH_RESULT(to.act, CALL)
#undef CALL
}

static void write_columns(nl_rows x, const nl_result *to, int64_t c, nl_columns q)
{
    const int64_t lines = to->ld == c ? lines_of(&x, c) : 0, line = NL_LANES * c;
    nl_result rest = *to;
    if (lines) {
        nl_real room[3][NL_LANES * NL_LANES];
        const nl_columns repeated = {repeat(q.center, c, room[0]), repeat(q.a, c, room[1]),
                                     repeat(q.d, c, room[2])};
        nl_result wide = *to;
        wide.ld = line;
        write_rows_to((nl_rows){x.x, line, lines, NULL, 1}, wide, line, repeated);
        rest.y += lines * line;
        rest.residual = rest.residual ? rest.residual + lines * line : NULL;
    }
    write_rows_to(nl_rows_from(x, lines * NL_LANES, x.count - lines * NL_LANES, 0), rest, c, q);
}

typedef struct back_args {
    const nl_real *center, *a, *p, *q;
} back_args;

NL_INLINE nl_vec gradient_of(const nl_real *x, const nl_real *g, back_args b, int64_t k,
                             const nl_part *t)
{
    const nl_vec xc = nl_load(x + k, t) - nl_load(b.center + k, t);
    const nl_vec u = nl_vec_fma(nl_load(b.p + k, t), xc, nl_load(b.q + k, t));
    return nl_vec_fma(nl_load(b.a + k, t), nl_load(g + k, t), u);
}

NL_INLINE void back_step(const nl_real *x, const nl_real *g, nl_real *dx, back_args b, int64_t k,
                         int registers, int stream)
{
    nl_vec to[STORED_TOGETHER];
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++)
        to[w] = gradient_of(x, g, b, k + w * NL_LANES, NULL);
#pragma GCC unroll 8
    for (int w = 0; w < registers; w++)
        nl_put(dx + k + w * NL_LANES, to[w], NULL, stream);
}

NL_INLINE void back_row(const nl_real *x, const nl_real *g, nl_real *dx, back_args b, int64_t c,
                        int stream)
{
    const nl_span whole = nl_whole_registers(dx, c);
    int64_t k = whole.begin;
    if (k > 0) {
        const nl_part t = nl_part_of((int)k);
        nl_put(dx, gradient_of(x, g, b, 0, &t), &t, 0);
    }
    for (; k + STORED_TOGETHER * NL_LANES <= whole.end; k += STORED_TOGETHER * NL_LANES)
        back_step(x, g, dx, b, k, STORED_TOGETHER, stream);
    for (; k < whole.end; k += NL_LANES)
        back_step(x, g, dx, b, k, 1, stream);
    if (whole.end < c) {
        const nl_part t = nl_rest(c - whole.end);
        nl_put(dx + whole.end, gradient_of(x, g, b, whole.end, &t), &t, 0);
    }
}

NL_INLINE void back_rows(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                         int64_t c, back_args b, int stream)
{
    for (int64_t i = 0; i < x.count; i++)
        if (nl_is_live(x, i))
            back_row(x.x + i * x.ld, g + i * ldg, dx + i * lddx, b, c, stream);
        else
            nl_zero_row(dx + i * lddx, c);
}

static void back_rows_to(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                         int64_t c, back_args b, int stream)
{
    if (stream && nl_can_stream(dx, lddx, c))
        back_rows(x, g, ldg, dx, lddx, c, b, 1);
    else
        back_rows(x, g, ldg, dx, lddx, c, b, 0);
}

static void back_columns(nl_rows x, const nl_real *g, int64_t ldg, nl_real *dx, int64_t lddx,
                         int64_t c, const nl_real *center, const nl_real *a, const nl_real *p,
                         const nl_real *q, int stream)
{
    const int64_t lines = ldg == c && lddx == c ? lines_of(&x, c) : 0, line = NL_LANES * c;
    if (lines) {
        nl_real room[4][NL_LANES * NL_LANES];
        const back_args repeated = {repeat(center, c, room[0]), repeat(a, c, room[1]),
                                    repeat(p, c, room[2]), repeat(q, c, room[3])};
        back_rows_to((nl_rows){x.x, line, lines, NULL, 1}, g, line, dx, line, line, repeated,
                     stream);
    }
    back_rows_to(nl_rows_from(x, lines * NL_LANES, x.count - lines * NL_LANES, 0), g + lines * line,
                 ldg, dx + lines * line, lddx, c, (back_args){center, a, p, q}, stream);
}

static void settle(void) { nl_vec_stream_end(); }

const nl_column_kernels NL_VARIANT(nl_column_kernel) = {
    .moments = column_moments,
    .merge_moments = merge_moments,
    .gradients = column_gradients,
    .write = write_columns,
    .back = back_columns,
    .settle = settle,
};
