#include "kernel/pool.h"

#include <string.h>

#include "kernel/act_inline.h"

static nl_part strip_of(int64_t c, int64_t k)
{
    return nl_part_of(c - k < NL_LANES ? (int)(c - k) : NL_LANES);
}

/* ---- windows of two columns without gaps, of few channels: runs of c values are by turns the
 * first and the second cell of a window, and registers of them are parted and joined */

enum { PAIR_CHANNELS = NL_LANES / 2 };

static bool are_pairs(nl_window t)
{
    return NL_COMPRESSES && t.cols == 2 && t.x_step == 2 * t.c && t.c <= PAIR_CHANNELS;
}

/* Where a register stands in the runs. */
typedef struct runs {
    uint64_t first; /* bit i: place i is of a first cell */
    int64_t phase, step, period;
} runs;

static runs runs_of(int64_t c)
{
    runs r = {.period = 2 * c, .step = NL_LANES % (2 * c)};
    for (int64_t i = 0; i < NL_LANES + 2 * c; i += 2 * c)
        r.first |= ((UINT64_C(1) << c) - 1) << i;
    return r;
}

/* Lanes of the register that are of first cells; then the next one's turn. */
NL_INLINE unsigned next_lanes(runs *r)
{
    const unsigned lanes = (unsigned)(r->first >> r->phase) & ((1U << NL_LANES) - 1);
    r->phase += r->step;
    r->phase -= r->phase >= r->period ? r->period : 0;
    return lanes;
}

/* Of the cells below each other. */
NL_INLINE nl_vec column_sum(const nl_real *x, int64_t x_row, int64_t rows, const nl_part *part)
{
    nl_vec sum = part ? nl_vec_load_part(x, *part) : nl_vec_load(x);
    for (int64_t a = 1; a < rows; a++)
        sum += part ? nl_vec_load_part(x + a * x_row, *part) : nl_vec_load(x + a * x_row);
    return sum;
}

NL_INLINE void average_pairs(nl_window t, const nl_real *x, nl_real scale, nl_real *y, int64_t rows)
{
    runs r = runs_of(t.c);
    const nl_real *const end = x + t.pixels * t.x_step - t.c; /* of the last first cell */
    for (int64_t left = t.pixels * t.c; left > 0; x += NL_LANES) {
        const unsigned lanes = next_lanes(&r);
        if (end - x >= NL_LANES && left >= NL_LANES) {
            const nl_vec sum =
                column_sum(x, t.x_row, rows, NULL) + column_sum(x + t.c, t.x_row, rows, NULL);
            nl_vec_store(y, nl_vec_compress(sum * nl_vec_of(scale), lanes));
        } else {
            const nl_part part = strip_of(end - x, 0);
            const nl_vec sum =
                column_sum(x, t.x_row, rows, &part) + column_sum(x + t.c, t.x_row, rows, &part);
            nl_vec_store_part(y, nl_vec_compress(sum * nl_vec_of(scale), lanes), strip_of(left, 0));
        }
        y += __builtin_popcount(lanes);
        left -= __builtin_popcount(lanes);
    }
}

/* The next values of dy in those lanes. */
NL_INLINE nl_vec take(const nl_real **dy, const nl_real *end, unsigned lanes)
{
    const nl_vec v =
        end - *dy >= NL_LANES ? nl_vec_load(*dy) : nl_vec_load_part(*dy, strip_of(end - *dy, 0));
    *dy += __builtin_popcount(lanes);
    return nl_vec_expand(v, lanes);
}

NL_INLINE void spread_pairs(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx,
                            int64_t rows)
{
    runs r = runs_of(t.c);
    const int64_t count = t.pixels * t.x_step;
    const nl_real *first = dy, *second = dy, *const end = dy + t.pixels * t.c;
    for (int64_t i = 0; i < count; i += NL_LANES) {
        const unsigned lanes = next_lanes(&r), others = ~lanes & ((1U << NL_LANES) - 1);
        const nl_vec g = (take(&first, end, lanes) + take(&second, end, others)) * nl_vec_of(scale);
        for (int64_t a = 0; a < rows; a++)
            if (count - i >= NL_LANES)
                nl_vec_store(dx + a * t.x_row + i, g);
            else
                nl_vec_store_part(dx + a * t.x_row + i, g, strip_of(count, i));
    }
}

/* ---- averages */

NL_INLINE void average_of(nl_window t, const nl_real *x, nl_real scale, nl_real *y)
{
    for (int64_t k = 0; k < t.c; k += NL_LANES) {
        const nl_part part = strip_of(t.c, k);
        for (int64_t p = 0; p < t.pixels; p++) {
            const nl_real *cell = x + p * t.x_step + k;
            nl_vec sum = {0};
            for (int64_t a = 0; a < t.rows; a++)
                for (int64_t b = 0; b < t.cols; b++)
                    sum += nl_vec_load_part(cell + a * t.x_row + b * t.c, part);
            nl_vec_store_part(y + p * t.c + k, sum * nl_vec_of(scale), part);
        }
    }
}

/* Values from the first of the windows' cells to the last, in one row of the image. */
static int64_t span_of(nl_window t) { return (t.pixels - 1) * t.x_step + t.cols * t.c; }

static void add_rows(nl_window t, const nl_real *x, int64_t count, nl_real *sum)
{
    for (int64_t i = 0; i < count; i++)
        sum[i] = x[i] + x[t.x_row + i];
    for (int64_t a = 2; a < t.rows; a++)
        for (int64_t i = 0; i < count; i++)
            sum[i] += x[a * t.x_row + i];
}

/* Rows are added first, whole registers of neighbouring cells: a cell of few channels is less. */
static void average_line(nl_window t, const nl_real *x, nl_real scale, nl_real *y)
{
    enum { ROOM = 2048 }; /* stays in the nearest cache */
    nl_real sum[ROOM];
    const int64_t span = span_of(t);
    if (t.rows < 2 || t.c >= NL_LANES || span > ROOM) {
        average_of(t, x, scale, y);
        return;
    }
    add_rows(t, x, span, sum);
    t.rows = 1;
    average_of(t, sum, scale, y);
}

static void average(nl_window t, const nl_real *x, nl_real scale, nl_real *y)
{
    for (int64_t l = 0; l < t.lines; l++, x += t.x_line, y += t.pixels * t.c)
        if (!are_pairs(t))
            average_line(t, x, scale, y);
        else if (t.rows == 2)
            average_pairs(t, x, scale, y, 2);
        else
            average_pairs(t, x, scale, y, t.rows);
}

NL_INLINE void average_to_cells(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx, int add)
{
    for (int64_t k = 0; k < t.c; k += NL_LANES) {
        const nl_part part = strip_of(t.c, k);
        for (int64_t p = 0; p < t.pixels; p++) {
            const nl_vec g = nl_vec_load_part(dy + p * t.c + k, part) * nl_vec_of(scale);
            nl_real *cell = dx + p * t.x_step + k;
            for (int64_t a = 0; a < t.rows; a++)
                for (int64_t b = 0; b < t.cols; b++) {
                    nl_real *to = cell + a * t.x_row + b * t.c;
                    nl_vec_store_part(to, add ? nl_vec_load_part(to, part) + g : g, part);
                }
        }
    }
}

static void average_back(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx)
{
    for (int64_t l = 0; l < t.lines; l++)
        average_to_cells(t, dy + l * t.pixels * t.c, scale, dx + l * t.x_line, 1);
}

/* All rows of a window get the same. */
static void spread_line(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx)
{
    const int64_t rows = t.rows;
    t.rows = 1;
    average_to_cells(t, dy, scale, dx, 0);
    for (int64_t a = 1; a < rows; a++)
        memcpy(dx + a * t.x_row, dx, (size_t)span_of(t) * sizeof *dx);
}

static void average_spread(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx)
{
    for (int64_t l = 0; l < t.lines; l++, dx += t.x_line, dy += t.pixels * t.c)
        if (!are_pairs(t))
            spread_line(t, dy, scale, dx);
        else if (t.rows == 2)
            spread_pairs(t, dy, scale, dx, 2);
        else
            spread_pairs(t, dy, scale, dx, t.rows);
}

/* ---- maxima */

static void max_line(nl_window t, const nl_real *x, nl_real *y)
{
    for (int64_t k = 0; k < t.c; k += NL_LANES) {
        const nl_part part = strip_of(t.c, k);
        for (int64_t p = 0; p < t.pixels; p++) {
            const nl_real *cell = x + p * t.x_step + k;
            nl_vec most = nl_vec_load_part(cell, part);
            for (int64_t a = 0; a < t.rows; a++)
                for (int64_t b = 0; b < t.cols; b++) {
                    const nl_vec v = nl_vec_load_part(cell + a * t.x_row + b * t.c, part);
                    most = nl_vec_choose((v > most) | (v != v), v, most);
                }
            nl_vec_store_part(y + p * t.c + k, most, part);
        }
    }
}

static void max(nl_window t, const nl_real *x, nl_real *y)
{
    for (int64_t l = 0; l < t.lines; l++)
        max_line(t, x + l * t.x_line, y + l * t.pixels * t.c);
}

static void max_back_line(nl_window t, const nl_real *x, const nl_real *y, const nl_real *dy,
                          nl_real *dx)
{
    for (int64_t k = 0; k < t.c; k += NL_LANES) {
        const nl_part part = strip_of(t.c, k);
        for (int64_t p = 0; p < t.pixels; p++) {
            const nl_vec most = nl_vec_load_part(y + p * t.c + k, part);
            const nl_vec g = nl_vec_load_part(dy + p * t.c + k, part);
            nl_lanes waits = nl_lane_numbers() >= 0;
            for (int64_t a = 0; a < t.rows; a++)
                for (int64_t b = 0; b < t.cols; b++) {
                    const int64_t at = p * t.x_step + a * t.x_row + b * t.c + k;
                    const nl_vec v = nl_vec_load_part(x + at, part);
                    const nl_lanes here = waits & ((v == most) | (v != v));
                    const nl_vec sum =
                        nl_vec_load_part(dx + at, part) + nl_vec_choose(here, g, (nl_vec){0});
                    nl_vec_store_part(dx + at, sum, part);
                    waits &= ~here;
                }
        }
    }
}

static void max_back(nl_window t, const nl_real *x, const nl_real *y, const nl_real *dy,
                     nl_real *dx)
{
    for (int64_t l = 0; l < t.lines; l++) {
        const int64_t to = l * t.pixels * t.c, from = l * t.x_line;
        max_back_line(t, x + from, y + to, dy + to, dx + from);
    }
}

const nl_pool_kernels NL_VARIANT(nl_pool_kernel) = {average, average_back, average_spread, max,
                                                    max_back};
