#include "kernel/cell.h"

#include "kernel/act_inline.h"

enum { LSTM_GATES = 4, GRU_GATES = 3, EARLY_GATES = 2 /* of them in h of gru_before */ };

/* ---- lanes of a row */

NL_INLINE nl_part part_at(int64_t k, int64_t u)
{
    return nl_part_of(u - k < NL_LANES ? (int)(u - k) : NL_LANES);
}

NL_INLINE nl_vec get(const nl_real *p, nl_part t)
{
    return t.lanes == NL_LANES ? nl_vec_load(p) : nl_vec_load_part(p, t);
}

NL_INLINE void put(nl_real *p, nl_vec v, nl_part t)
{
    if (t.lanes == NL_LANES)
        nl_vec_store(p, v);
    else
        nl_vec_store_part(p, v, t);
}

NL_INLINE nl_vec get_or_0(const nl_real *p, int64_t at, nl_part t)
{
    return p ? get(p + at, t) : nl_vec_of(0);
}

/* x + h + b of one gate */
NL_INLINE nl_vec sum_at(const nl_cell_step *c, int64_t row, int64_t at, nl_part t)
{
    nl_vec v = get(c->x + row + at, t);
    if (c->h)
        v += get(c->h + row + at, t);
    return c->b ? v + get(c->b + at, t) : v;
}

static bool is_live(const nl_cell_step *c, int64_t r) { return !c->live || c->live[r]; }

static void copy(nl_real *to, const nl_real *from, int64_t r, int64_t u)
{
    memcpy(to + r * u, from + r * u, (size_t)u * sizeof *to);
}

static void clear(nl_real *to, int64_t r, int64_t width)
{
    memset(to + r * width, 0, (size_t)width * sizeof *to);
}

/* A row of padding keeps the state. */
static void hold(const nl_cell_step *c, int64_t r)
{
    copy(c->h_next, c->h_prev, r, c->u);
    if (c->k_prev)
        copy(c->z, c->k_prev, r, c->u);
}

/* dL/dh_t, what the output asks for included. */
NL_INLINE nl_vec total_dh(const nl_cell_step *c, int64_t r, int64_t k, nl_part t)
{
    const nl_vec dh = get(c->dh + r * c->u + k, t);
    return c->dy ? dh + get(c->dy + r * c->lddy + k, t) : dh;
}

/* ---- rnn */

static void rnn_prepare_row(const nl_cell_step *c, int64_t r)
{
    for (int64_t k = 0, row = r * c->u; k < c->u; k += NL_LANES) {
        const nl_part t = part_at(k, c->u);
        put(c->s + row + k, sum_at(c, row, k, t), t);
    }
}

static void rnn_prepare(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            rnn_prepare_row(c, r);
}

NL_INLINE void rnn_finish_as(nl_act act, const nl_cell_step *c, int64_t r)
{
    for (int64_t k = 0, row = r * c->u; k < c->u; k += NL_LANES) {
        const nl_part t = part_at(k, c->u);
        put(c->h_next + row + k, nl_act_of(act, get(c->z + row + k, t)), t);
    }
}

NL_INLINE void rnn_finish_back_as(nl_act act, const nl_cell_step *c, int64_t r)
{
    for (int64_t k = 0, row = r * c->u; k < c->u; k += NL_LANES) {
        const nl_part t = part_at(k, c->u);
        const nl_vec h = get(c->h_next + row + k, t);
        put(c->dz + row + k, nl_act_gradient(act, h, total_dh(c, r, k, t)), t);
        put(c->dh + row + k, nl_vec_of(0), t);
    }
}

/* The bodies above are compiled once for each activation. */
#define EACH(act, call)                       \
    switch (act) {                            \
    case NL_LINEAR: call(NL_LINEAR); break;   \
    case NL_RELU: call(NL_RELU); break;       \
    case NL_SIGMOID: call(NL_SIGMOID); break; \
    case NL_TANH: call(NL_TANH); break;       \
    }

static void rnn_finish(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++) {
        if (!is_live(c, r)) {
            hold(c, r);
            continue;
        }
#define CALL(which) rnn_finish_as(which, c, r)
        EACH(c->act, CALL)
#undef CALL
    }
}

static void rnn_finish_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++) {
        if (!is_live(c, r))
            continue;
#define CALL(which) rnn_finish_back_as(which, c, r)
        EACH(c->act, CALL)
#undef CALL
    }
}

static void rnn_prepare_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            copy(c->dx, c->dz, r, c->u);
        else
            clear(c->dx, r, c->u);
}

/* ---- lstm */

static void lstm_prepare_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, row = r * LSTM_GATES * u;
    nl_real *gate = c->gate + row;
    for (int64_t k = 0; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec i = nl_vec_sigmoid(sum_at(c, row, k, t));
        const nl_vec f = nl_vec_sigmoid(sum_at(c, row, u + k, t));
        const nl_vec g = nl_vec_tanh(sum_at(c, row, 2 * u + k, t));
        const nl_vec o = nl_vec_sigmoid(sum_at(c, row, 3 * u + k, t));
        put(gate + k, i, t);
        put(gate + u + k, f, t);
        put(gate + 2 * u + k, g, t);
        put(gate + 3 * u + k, o, t);
        put(c->s + r * u + k, f * get(c->k_prev + r * u + k, t) + i * g, t);
    }
}

static void lstm_prepare(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            lstm_prepare_row(c, r);
        else
            copy(c->s, c->k_prev, r, c->u);
}

static void lstm_finish_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u;
    const nl_real *out = c->gate + r * LSTM_GATES * u + 3 * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec v = nl_vec_tanh(get(c->z + row + k, t));
        put(c->v + row + k, v, t);
        put(c->h_next + row + k, get(out + k, t) * v, t);
    }
}

static void lstm_finish(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            lstm_finish_row(c, r);
        else
            hold(c, r);
}

static void lstm_finish_back_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, out = r * LSTM_GATES * u + 3 * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec dh = total_dh(c, r, k, t), v = get(c->v + row + k, t);
        const nl_vec o = get(c->gate + out + k, t);
        nl_vec dz = dh * o * (1 - v * v);
        if (!c->carries_before)
            dz += get(c->dk + row + k, t);
        put(c->dz + row + k, dz, t);
        put(c->dx + out + k, dh * v * (o * (1 - o)), t);
        put(c->dh + row + k, nl_vec_of(0), t);
    }
}

static void lstm_finish_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            lstm_finish_back_row(c, r);
}

static void lstm_prepare_back_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u;
    const nl_real *gate = c->gate + r * LSTM_GATES * u;
    nl_real *dx = c->dx + r * LSTM_GATES * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec i = get(gate + k, t), f = get(gate + u + k, t), g = get(gate + 2 * u + k, t);
        nl_vec ds = get(c->dz + row + k, t);
        if (c->carries_before)
            ds += get(c->dk + row + k, t);
        put(dx + k, ds * g * (i * (1 - i)), t);
        put(dx + u + k, ds * get(c->k_prev + row + k, t) * (f * (1 - f)), t);
        put(dx + 2 * u + k, ds * i * (1 - g * g), t);
        put(c->dk + row + k, ds * f, t);
    }
}

static void lstm_prepare_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            lstm_prepare_back_row(c, r);
        else
            clear(c->dx, r, LSTM_GATES * c->u);
}

/* ---- gru */

static void gru_prepare_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, row = r * GRU_GATES * u, n = 2 * u;
    for (int64_t k = 0; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec z = nl_vec_sigmoid(sum_at(c, row, k, t));
        const nl_vec reset = nl_vec_sigmoid(sum_at(c, row, u + k, t));
        const nl_vec v = get(c->h + row + n + k, t) + get_or_0(c->bh, k, t);
        const nl_vec x = get(c->x + row + n + k, t) + get_or_0(c->b, n + k, t);
        put(c->gate + row + k, z, t);
        put(c->gate + row + u + k, reset, t);
        put(c->v + r * u + k, v, t);
        put(c->s + r * u + k, x + reset * v, t);
    }
}

static void gru_prepare(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            gru_prepare_row(c, r);
}

static void gru_finish_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u;
    nl_real *gate = c->gate + r * GRU_GATES * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec n = nl_vec_tanh(get(c->z + row + k, t));
        put(gate + 2 * u + k, n, t);
        put(c->h_next + row + k, n + get(gate + k, t) * (get(c->h_prev + row + k, t) - n), t);
    }
}

static void gru_finish(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            gru_finish_row(c, r);
        else
            hold(c, r);
}

/* h_gates: in d_h */
NL_INLINE void gru_finish_back_row(const nl_cell_step *c, int64_t r, int64_t h_gates)
{
    const int64_t u = c->u, gates = r * GRU_GATES * u, of_h = r * h_gates * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec dh = total_dh(c, r, k, t), z = get(c->gate + gates + k, t);
        const nl_vec n = get(c->gate + gates + 2 * u + k, t);
        const nl_vec to_z = dh * (get(c->h_prev + row + k, t) - n) * (z * (1 - z));
        put(c->dx + gates + k, to_z, t);
        put(c->d_h + of_h + k, to_z, t);
        put(c->dz + row + k, dh * (1 - z) * (1 - n * n), t);
        put(c->dh + row + k, dh * z, t);
    }
}

static void gru_finish_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            gru_finish_back_row(c, r, GRU_GATES);
}

static void gru_prepare_back_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, gates = r * GRU_GATES * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec ds = get(c->dz + row + k, t), reset = get(c->gate + gates + u + k, t);
        const nl_vec to_reset = ds * get(c->v + row + k, t) * (reset * (1 - reset));
        put(c->dx + gates + u + k, to_reset, t);
        put(c->d_h + gates + u + k, to_reset, t);
        put(c->dx + gates + 2 * u + k, ds, t);
        put(c->d_h + gates + 2 * u + k, ds * reset, t);
    }
}

static void gru_prepare_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r)) {
            gru_prepare_back_row(c, r);
        } else {
            clear(c->dx, r, GRU_GATES * c->u);
            clear(c->d_h, r, GRU_GATES * c->u);
        }
}

/* ---- gru whose candidate is reset before its product */

static void early_reset_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, of_x = r * GRU_GATES * u, of_h = r * EARLY_GATES * u;
    for (int64_t k = 0; k < EARLY_GATES * u; k += NL_LANES) {
        const nl_part t = part_at(k, EARLY_GATES * u);
        const nl_vec sum = get(c->x + of_x + k, t) + get(c->h + of_h + k, t);
        put(c->gate + of_x + k, nl_vec_sigmoid(sum + get_or_0(c->b, k, t)), t);
    }
    for (int64_t k = 0; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec reset = get(c->gate + of_x + u + k, t);
        put(c->v + r * u + k, reset * get(c->h_seen + r * u + k, t), t);
    }
}

static void early_reset(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            early_reset_row(c, r);
        else
            clear(c->v, r, c->u);
}

static void early_prepare_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, n = (r * GRU_GATES + 2) * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec x = get(c->x + n + k, t) + get_or_0(c->b, 2 * u + k, t);
        put(c->s + row + k, x + get(c->q + row + k, t), t);
    }
}

static void early_prepare(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            early_prepare_row(c, r);
}

static void early_finish_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r))
            gru_finish_back_row(c, r, EARLY_GATES);
}

static void early_prepare_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    const size_t bytes = (size_t)c->u * sizeof *c->dz;
    for (int64_t r = from; r < to; r++)
        if (is_live(c, r)) {
            memcpy(c->dx + (r * GRU_GATES + 2) * c->u, c->dz + r * c->u, bytes);
            copy(c->dq, c->dz, r, c->u);
        } else {
            clear(c->dq, r, c->u);
        }
}

static void early_reset_back_row(const nl_cell_step *c, int64_t r)
{
    const int64_t u = c->u, of_x = (r * GRU_GATES + 1) * u, of_h = (r * EARLY_GATES + 1) * u;
    for (int64_t k = 0, row = r * u; k < u; k += NL_LANES) {
        const nl_part t = part_at(k, u);
        const nl_vec dv = get(c->dv + row + k, t), reset = get(c->gate + of_x + k, t);
        const nl_vec to_reset = dv * get(c->h_seen + row + k, t) * (reset * (1 - reset));
        nl_vec seen = dv * reset;
        if (c->d_seen == c->dh)
            seen += get(c->dh + row + k, t);
        put(c->dx + of_x + k, to_reset, t);
        put(c->d_h + of_h + k, to_reset, t);
        put(c->d_seen + row + k, seen, t);
    }
}

static void early_reset_back(const nl_cell_step *c, int64_t from, int64_t to)
{
    for (int64_t r = from; r < to; r++) {
        if (is_live(c, r)) {
            early_reset_back_row(c, r);
            continue;
        }
        clear(c->dx, r, GRU_GATES * c->u);
        clear(c->d_h, r, EARLY_GATES * c->u);
        if (c->d_seen != c->dh)
            clear(c->d_seen, r, c->u);
    }
}

const nl_cell_kernels NL_VARIANT(nl_cell_kernels_of) = {
    .rnn = {rnn_prepare, rnn_finish, rnn_finish_back, rnn_prepare_back, NULL, NULL},
    .lstm = {lstm_prepare, lstm_finish, lstm_finish_back, lstm_prepare_back, NULL, NULL},
    .gru = {gru_prepare, gru_finish, gru_finish_back, gru_prepare_back, NULL, NULL},
    .gru_before = {early_prepare, gru_finish, early_finish_back, early_prepare_back, early_reset,
                   early_reset_back},
};
