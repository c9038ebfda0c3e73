#include "kernel/pool.h"

#include <string.h>

#include "kernel/act_inline.h"

static nl_part strip_of(int64_t c, int64_t k)
{
    return nl_part_of(c - k < NL_LANES ? (int)(c - k) : NL_LANES);
}

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
static void average(nl_window t, const nl_real *x, nl_real scale, nl_real *y)
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
    average_to_cells(t, dy, scale, dx, 1);
}

/* All rows of a window get the same. */
static void average_spread(nl_window t, const nl_real *dy, nl_real scale, nl_real *dx)
{
    const int64_t rows = t.rows;
    t.rows = 1;
    average_to_cells(t, dy, scale, dx, 0);
    for (int64_t a = 1; a < rows; a++)
        memcpy(dx + a * t.x_row, dx, (size_t)span_of(t) * sizeof *dx);
}

static void max(nl_window t, const nl_real *x, nl_real *y)
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

static void max_back(nl_window t, const nl_real *x, const nl_real *y, const nl_real *dy,
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

const nl_pool_kernels NL_VARIANT(nl_pool_kernel) = {average, average_back, average_spread, max,
                                                    max_back};
