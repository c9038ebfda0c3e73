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

/* Rows shorter than a register: NL_LANES of them are c whole registers. Gives the rows done. */
NL_INLINE int64_t bias_short_rows_as(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                                     int64_t rows, int64_t c)
{
    nl_real tile[NL_LANES * NL_LANES];
    const int64_t whole = rows - rows % NL_LANES;
    for (int64_t i = 0; i < c * NL_LANES; i++)
        tile[i] = bias[i % c];
    for (int64_t r = 0; r < whole; r += NL_LANES)
        for (int64_t i = 0; i < c * NL_LANES; i += NL_LANES)
            nl_vec_store(y + r * c + i,
                         nl_act_of(act, nl_vec_load(x + r * c + i) + nl_vec_load(tile + i)));
    return whole;
}

NL_INLINE void bias_rows_as(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                            int64_t rows, int64_t c)
{
    for (int64_t r = c < NL_LANES ? bias_short_rows_as(act, x, bias, y, rows, c) : 0; r < rows; r++)
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

const nl_act_kernels NL_VARIANT(nl_act_kernel) = {forward, backward, bias_forward};
