#include "kernel/act.h"

#include "kernel/act_inline.h"

/* The bodies below are compiled once for each activation: `act` is a constant in each copy. */
#define EACH(act, call)                        \
    switch (act) {                             \
    case NL_LINEAR: call(NL_LINEAR); return;   \
    case NL_RELU: call(NL_RELU); return;       \
    case NL_SIGMOID: call(NL_SIGMOID); return; \
    case NL_TANH: call(NL_TANH); return;       \
    }

NL_INLINE void forward_as(nl_act act, const nl_real *x, nl_real *y, int64_t count)
{
    int64_t i = 0;
    for (; i + NL_LANES <= count; i += NL_LANES)
        nl_vec_store(y + i, nl_act_of(act, nl_vec_load(x + i)));
    if (i < count) {
        const nl_part rest = nl_part_of((int)(count - i));
        nl_vec_store_part(y + i, nl_act_of(act, nl_vec_load_part(x + i, rest)), rest);
    }
}

static void forward(nl_act act, const nl_real *x, nl_real *y, int64_t count){
#define CALL(which) forward_as(which, x, y, count)
    EACH(act, CALL)
#undef CALL
}

NL_INLINE
    void backward_as(nl_act act, const nl_real *y, const nl_real *dy, nl_real *dx, int64_t count)
{
    int64_t i = 0;
    for (; i + NL_LANES <= count; i += NL_LANES)
        nl_vec_store(dx + i, nl_act_gradient(act, nl_vec_load(y + i), nl_vec_load(dy + i)));
    if (i < count) {
        const nl_part rest = nl_part_of((int)(count - i));
        const nl_vec dv = nl_vec_load_part(dy + i, rest);
        nl_vec_store_part(dx + i, nl_act_gradient(act, nl_vec_load_part(y + i, rest), dv), rest);
    }
}

static void backward(nl_act act, const nl_real *y, const nl_real *dy, nl_real *dx, int64_t count)
{
    if (act == NL_LINEAR) { /* y may be NULL */
        if (dx != dy)
            memcpy(dx, dy, (size_t)count * sizeof *dx);
        return;
    }
#define CALL(which) backward_as(which, y, dy, dx, count)
    EACH(act, CALL)
#undef CALL
}

NL_INLINE void bias_row_as(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y, int64_t c)
{
    int64_t k = 0;
    for (; k + NL_LANES <= c; k += NL_LANES)
        nl_vec_store(y + k, nl_act_of(act, nl_vec_load(x + k) + nl_vec_load(bias + k)));
    if (k < c) {
        const nl_part rest = nl_part_of((int)(c - k));
        const nl_vec v = nl_vec_load_part(x + k, rest) + nl_vec_load_part(bias + k, rest);
        nl_vec_store_part(y + k, nl_act_of(act, v), rest);
    }
}

/* Rows of at most a register: NL_LANES of them are c whole registers. Gives the rows done. */
NL_INLINE int64_t bias_short_rows_as(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                                     int64_t rows, int64_t c)
{
    nl_real tile[NL_LANES * NL_LANES];
    const int64_t whole = rows - rows % NL_LANES;
    for (int64_t i = 0; i < c * NL_LANES; i++)
        tile[i] = i < c ? bias[i] : tile[i - c];
    for (int64_t r = 0; r < whole; r += NL_LANES)
        for (int64_t i = 0; i < c * NL_LANES; i += NL_LANES)
            nl_vec_store(y + r * c + i,
                         nl_act_of(act, nl_vec_load(x + r * c + i) + nl_vec_load(tile + i)));
    return whole;
}

NL_INLINE void bias_rows_as(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                            int64_t rows, int64_t c)
{
    const int64_t done = c <= NL_LANES ? bias_short_rows_as(act, x, bias, y, rows, c) : 0;
    for (int64_t r = done; r < rows; r++)
        bias_row_as(act, x + r * c, bias, y + r * c, c);
}

static void bias_forward(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                         int64_t rows, int64_t c)
{
    if (!bias) {
        forward(act, x, y, rows * c);
        return;
    }
#define CALL(which) bias_rows_as(which, x, bias, y, rows, c)
    EACH(act, CALL)
#undef CALL
}

enum {
    RUN = 256, /* lines that are summed in the storage type */
    WAYS = 4   /* lines at a time, each in a sum of its own */
};

NL_INLINE nl_vec back_register_as(nl_act act, const nl_real *y, nl_real *g, const nl_part *part)
{
    const nl_vec dy = part ? nl_vec_load_part(g, *part) : nl_vec_load(g);
    if (act == NL_LINEAR)
        return dy;
    const nl_vec dx = nl_act_gradient(act, part ? nl_vec_load_part(y, *part) : nl_vec_load(y), dy);
    if (part)
        nl_vec_store_part(g, dx, *part);
    else
        nl_vec_store(g, dx);
    return dx;
}

/* The sum of one register of columns over the lines. */
NL_INLINE nl_vec back_lines_as(nl_act act, const nl_real *y, nl_real *g, int64_t lines, int64_t ld,
                               const nl_part *part)
{
    nl_vec sum[WAYS] = {{0}};
    int64_t r = 0;
    for (; r + WAYS <= lines; r += WAYS)
        for (int w = 0; w < WAYS; w++)
            sum[w] += back_register_as(act, y + (r + w) * ld, g + (r + w) * ld, part);
    for (; r < lines; r++)
        sum[0] += back_register_as(act, y + r * ld, g + r * ld, part);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Lines of `width` values, one or several rows of c. */
NL_INLINE void bias_back_run_as(nl_act act, const nl_real *y, nl_real *g, int64_t lines,
                                int64_t width, int64_t ld, int64_t c, double *sums)
{
    for (int64_t k = 0; k < width; k += NL_LANES) {
        const int lanes = width - k < NL_LANES ? (int)(width - k) : NL_LANES;
        const nl_part part = nl_part_of(lanes);
        const nl_vec sum = lanes == NL_LANES ? back_lines_as(act, y + k, g + k, lines, ld, NULL)
                                             : back_lines_as(act, y + k, g + k, lines, ld, &part);
        for (int i = 0; i < lanes; i++)
            sums[(k + i) % c] += (double)sum[i];
    }
}

/* Of rows shorter than a register, NL_LANES make a line: c whole registers. */
NL_INLINE void bias_back_as(nl_act act, const nl_real *y, nl_real *g, int64_t rows, int64_t c,
                            int64_t ld, double *sums)
{
    const int64_t in_line = ld == c && c < NL_LANES ? NL_LANES : 1;
    const int64_t lines = rows / in_line, done = lines * in_line;
    for (int64_t r = 0; r < lines; r += RUN)
        bias_back_run_as(act, y + r * in_line * ld, g + r * in_line * ld,
                         lines - r < RUN ? lines - r : RUN, in_line * c, in_line * ld, c, sums);
    if (done < rows)
        bias_back_run_as(act, y + done * ld, g + done * ld, rows - done, c, ld, c, sums);
}

static void bias_backward(nl_act act, const nl_real *y, nl_real *g, int64_t rows, int64_t c,
                          int64_t ld, double *sums)
{
    const nl_real *from = act == NL_LINEAR ? g : y;
#define CALL(which) bias_back_as(which, from, g, rows, c, ld, sums)
    EACH(act, CALL)
#undef CALL
}

const nl_act_kernels NL_VARIANT(nl_act_kernel) = {forward, backward, bias_forward, bias_backward};
