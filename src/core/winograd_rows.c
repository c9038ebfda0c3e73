#include "core/winograd_rows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cut.h"
#include "kernel/conv.h"
#include "kernel/small_gemm.h"
#include "kernel/winograd_rows.h"
#include "par/par.h"

enum {
    LINE = 64 / (int)sizeof(nl_real), /* reals of a cache line and of the widest register */
    ROW_MOST = 2048,                  /* values of a row, its padding included */
    TOGETHER = 2,                     /* by_planes: pairs whose products share weights */
    PIECE = 4,                        /* pairs that are one thread's work */
    PLANE_ROWS = NL_PAIR * PIECE + NL_POINTS - NL_PAIR,
    PLANE = 2 * LINE, /* pixels of a plane of results: a multiple */
    SUMMED = 4,       /* pairs of rows whose products are summed at once */
    LATER = NL_POINTS - NL_PAIR,
    ROOMS = 2,  /* by_runs: rows under way */
    FOLDED = 64 /* weights at once */
};

struct nl_winograd_rows {
    nl_conv_geom g;
    nl_lane_choice lanes;
    int64_t pairs;   /* of rows of results, of an image */
    int64_t pieces;  /* of them; an even number: two threads meet at the same place in every pass */
    int64_t width;   /* columns of x that results look at, those of the padding included */
    int64_t weights; /* of a row of taps */
    int64_t x_line, y_line, dy_line; /* distances of rows in the room of a block */
    /* Products of a row at a point, all but where they are: */
    nl_planes planes;             /* forward, by_planes */
    nl_correlation forward, back; /* else; of the gradient of x */
    nl_runs runs;                 /* what is done by_runs with what comes of `back` */
    nl_outer_sum sum;             /* of the gradient of w */
    nl_real *at_point;            /* (NL_POINTS; kernel_w * in, out), or turned for dx */
    nl_real *turned;              /* (NL_ROW_TAPS; weights) */
    nl_real *part;                /* (NL_CONV_PARTS; NL_POINTS; weights) */
    nl_real *zeros;               /* a row of x or of y */
};

/* ---- geometry */

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t in_lines(int64_t values) { return nl_ceil_div(values, LINE) * LINE; }
static int64_t image_of(const nl_conv_geom *g) { return g->h * g->w * g->in; }
static int64_t result_of(const nl_conv_geom *g) { return g->out_h * g->out_w * g->out; }
static int64_t x_row(const nl_conv_geom *g) { return g->w * g->in; }
static int64_t y_row(const nl_conv_geom *g) { return g->out_w * g->out; }

/* Columns that the padding adds on the right. */
static int64_t pad_right(const nl_conv_geom *g)
{
    return g->out_w + g->kernel_w - 1 - g->pad_left - g->w;
}

bool nl_winograd_rows_fit(const nl_conv_geom *g)
{
    const int64_t columns = most(g->out_w, g->w) + g->kernel_w - 1;
    return g->kernel_h == NL_ROW_TAPS && g->stride == 1 && g->groups == 1 &&
           g->pad_left < g->kernel_w && pad_right(g) < g->kernel_w &&
           columns * most(g->in, g->out) <= ROW_MOST;
}

static void plan_forward(nl_winograd_rows *c)
{
    const nl_conv_geom *g = &c->g;
    c->planes = (nl_planes){.pixels = g->out_w, .out = g->out, .planes = g->in, .rows = 1};
    c->planes.cols = g->kernel_w, c->planes.plane = c->width, c->planes.x_row = c->x_line;
    c->planes.y_plane = nl_ceil_div(g->out_w, PLANE) * PLANE;
    c->planes.y_line = g->out * c->planes.y_plane;
    c->forward = (nl_correlation){.pixels = g->out_w, .out = g->out, .rows = 1, .cols = 1};
    c->forward.run = g->kernel_w * g->in;
    c->forward.ldx = g->in, c->forward.ldw = g->out, c->forward.ldy = g->out;
}

/* By runs the taps of a row and the channels of x are results of every pixel of dy. */
static void plan_back(nl_winograd_rows *c)
{
    const nl_conv_geom *g = &c->g;
    const int64_t run = g->kernel_w * g->in;
    const bool runs = c->lanes.by_runs;
    c->back = (nl_correlation){.pixels = runs ? g->out_w : g->w, .rows = 1, .cols = 1};
    c->back.run = runs ? g->out : g->kernel_w * g->out;
    c->back.out = c->back.ldw = runs ? run : g->in;
    c->back.ldx = g->out;
    c->back.ldy = runs ? run + nl_conv_kernel()->lanes : g->in;
    c->runs = (nl_runs){.pixels = g->out_w, .run = run, .step = g->in};
    c->runs.shift = g->pad_left * g->in, c->runs.count = x_row(g);
}

static void plan_sum(nl_winograd_rows *c)
{
    const nl_conv_geom *g = &c->g;
    nl_outer_sum *s = &c->sum;
    *s = (nl_outer_sum){.cols = g->out_w, .run = g->kernel_w * g->in, .out = g->out};
    s->x_row = c->x_line, s->x_col = g->in;
    s->y_row = c->y_line, s->y_col = g->out;
    if (c->lanes.by_taps) {
        s->run = g->out, s->out = g->kernel_w * g->in;
        s->x_row = c->y_line, s->x_col = g->out;
        s->y_row = c->x_line, s->y_col = g->in;
    }
    s->ldw = s->out;
}

static void plan(nl_winograd_rows *c)
{
    const nl_conv_geom *g = &c->g;
    c->pairs = nl_ceil_div(g->out_h, NL_PAIR);
    c->pieces = c->pairs > 1 ? 2 * nl_ceil_div(c->pairs, 2 * PIECE) : 1;
    c->width = g->out_w + g->kernel_w - 1;
    c->weights = g->kernel_w * g->in * g->out;
    c->x_line = in_lines(c->width * g->in);
    c->y_line = in_lines(y_row(g));
    c->dy_line = in_lines(c->lanes.by_runs ? y_row(g) : (g->w + g->kernel_w - 1) * g->out);
    plan_forward(c);
    plan_back(c);
    plan_sum(c);
}

nl_status nl_winograd_rows_open(nl_winograd_rows **out, const nl_conv_geom *g, nl_lane_choice lanes)
{
    nl_winograd_rows *c = *out = nl_alloc(1, sizeof *c);
    if (!c)
        return nl_fail(NL_ENOMEM, "a convolution");
    c->g = *g;
    c->lanes = lanes;
    c->lanes.by_runs = lanes.by_runs && nl_runs_room(g->out_w, g->kernel_w * g->in) <= ROW_MOST;
    plan(c);
    c->at_point = nl_alloc((size_t)(NL_POINTS * c->weights), sizeof(nl_real));
    c->turned = nl_alloc((size_t)(NL_ROW_TAPS * c->weights), sizeof(nl_real));
    c->part = nl_alloc((size_t)(NL_CONV_PARTS * NL_POINTS * c->weights), sizeof(nl_real));
    c->zeros = nl_alloc((size_t)most(x_row(g), y_row(g)), sizeof(nl_real));
    if (c->at_point && c->turned && c->part && c->zeros)
        return NL_OK;
    nl_winograd_rows_close(c);
    *out = NULL;
    return nl_fail(NL_ENOMEM, "a convolution of %lld to %lld channels", (long long)g->in,
                   (long long)g->out);
}

void nl_winograd_rows_close(nl_winograd_rows *c)
{
    if (!c)
        return;
    nl_free(c->at_point);
    nl_free(c->turned);
    nl_free(c->part);
    nl_free(c->zeros);
    nl_free(c);
}

/* ---- rows */

typedef struct pass {
    const nl_winograd_rows *c;
    const nl_real *x, *w, *dy;
    nl_real *to;
    int64_t n, parts;
    bool add;
} pass;

static int64_t flops(const nl_winograd_rows *c, int64_t n)
{
    return 2 * n * c->pairs * NL_POINTS * c->g.out_w * c->weights;
}

/* Pointers to `count` rows that lie `distance` apart. */
static void point_to_rows(nl_real **row, nl_real *first, int count, int64_t distance)
{
    for (int i = 0; i < count; i++)
        row[i] = first + i * distance;
}

/* Pointers to rows first, first + 1, ... of an image of h rows; zeros where there are none. */
static void point_into_image(const nl_winograd_rows *c, const nl_real **row, const nl_real *image,
                             int64_t values, int64_t h, int64_t first, int count)
{
    for (int64_t i = first; i < first + count; i++)
        row[i - first] = i < 0 || i >= h ? c->zeros : image + i * values;
}

/* The rows of x that pair t of results looks at. */
static void point_to_patch(const nl_winograd_rows *c, const nl_real **row, const nl_real *x,
                           int64_t t)
{
    point_into_image(c, row, x, x_row(&c->g), c->g.h, NL_PAIR * t - c->g.pad_top, NL_POINTS);
}

static void point_to_pair(const nl_winograd_rows *c, const nl_real **row, const nl_real *dy,
                          int64_t t)
{
    point_into_image(c, row, dy, y_row(&c->g), c->g.out_h, NL_PAIR * t, NL_PAIR);
}

/* Pointers to rows of an image that is written; `spare` stands for those that are not there. */
static void point_to_results(nl_real **row, nl_real *image, int64_t values, int64_t h,
                             int64_t first, nl_real *spare)
{
    for (int64_t i = first; i < first + NL_PAIR; i++)
        row[i - first] = i < 0 || i >= h ? spare : image + i * values;
}

/* Zeros around the `values` from `from` on of each of `rows` rows. */
static void clear_sides(nl_real *row, int64_t rows, int64_t line, int64_t from, int64_t values)
{
    const int64_t end = from + values;
    nl_winograd_row_kernel()->clear(row, rows, line, from);
    nl_winograd_row_kernel()->clear(row + end, rows, line, line - end);
}

/* ---- weights */

static void weights_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_winograd_rows *c = p->c;
    const int64_t from = b * FOLDED;
    const nl_real *row[NL_ROW_TAPS];
    nl_real *to[NL_POINTS];
    for (int a = 0; a < NL_ROW_TAPS; a++)
        row[a] = p->w + a * c->weights + from;
    point_to_rows(to, c->at_point + from, NL_POINTS, c->weights);
    nl_winograd_row_kernel()->weights(row, to, nl_least(FOLDED, c->weights - from));
}

static void transform_weights(const nl_winograd_rows *c, const nl_real *w)
{
    pass p = {.c = c, .w = w};
    nl_for(nl_ceil_div(c->weights, FOLDED), NL_POINTS * c->weights * 4, weights_block, &p);
}

/* ---- forward */

/* Pairs of rows of results on their way: TOGETHER by_planes, else one. */
typedef struct forward_room {
    _Alignas(64) nl_real x[NL_POINTS * TOGETHER * ROW_MOST + PLANE];
    _Alignas(64) nl_real y[NL_POINTS * TOGETHER * (ROW_MOST + PLANE * NL_FEW_RESULTS)];
    _Alignas(64) nl_real spare[ROW_MOST];
    _Alignas(64) nl_real planes[PLANE_ROWS * ROW_MOST];
} forward_room;

/* The rows that `pairs` of pairs from t on look at, channel by channel, with their padding. */
static void make_planes(const nl_winograd_rows *c, const nl_real *x, int64_t t, int64_t pairs,
                        nl_real *planes)
{
    const nl_conv_geom *g = &c->g;
    const int64_t first = NL_PAIR * t - g->pad_top, rows = NL_PAIR * pairs + LATER;
    clear_sides(planes, rows * g->in, c->width, g->pad_left, g->w);
    for (int64_t i = first; i < first + rows; i++, planes += c->width * g->in)
        nl_small_gemm()->transpose(g->w, g->in, i < 0 || i >= g->h ? c->zeros : x + i * x_row(g),
                                   g->in, planes + g->pad_left, c->width);
}

static void point_to_result_pair(const pass *p, nl_real **row, int64_t n, int64_t t,
                                 forward_room *room)
{
    const nl_conv_geom *g = &p->c->g;
    point_to_results(row, p->to + n * result_of(g), y_row(g), g->out_h, NL_PAIR * t, room->spare);
}

/* Pairs t, t + 1, ... of image n; room->planes are those of the pairs from `first` on. */
static void forward_by_planes(const pass *p, int64_t n, int64_t first, int64_t t, int64_t lines,
                              forward_room *room)
{
    const nl_winograd_rows *c = p->c;
    const int64_t values = c->width * c->g.in;
    nl_real *row[NL_POINTS], *to[NL_POINTS];
    nl_planes all = c->planes;
    all.lines = lines;
    for (int64_t l = 0; l < lines; l++) {
        point_to_rows(row, room->planes + NL_PAIR * (t + l - first) * values, NL_POINTS, values);
        point_to_rows(to, room->x + l * c->x_line, NL_POINTS, TOGETHER * c->x_line);
        nl_winograd_row_kernel()->patches((const nl_real *const *)row, to, values);
    }
    for (int q = 0; q < NL_POINTS; q++) {
        all.x = room->x + q * TOGETHER * c->x_line;
        all.w = c->at_point + q * c->weights;
        all.y = room->y + q * TOGETHER * all.y_line;
        nl_conv_kernel()->correlate_planes(&all);
    }
    for (int64_t l = 0; l < lines; l++) {
        point_to_rows(row, room->y + l * all.y_line, NL_POINTS, TOGETHER * all.y_line);
        point_to_result_pair(p, to, n, t + l, room);
        nl_winograd_row_kernel()->results_of_planes((const nl_real *const *)row, all.y_plane,
                                                    all.pixels, all.out, to);
    }
}

static void forward_by_channels(const pass *p, int64_t n, int64_t t, forward_room *room)
{
    const nl_winograd_rows *c = p->c;
    const nl_conv_geom *g = &c->g;
    const nl_real *from[NL_POINTS];
    nl_real *to[NL_POINTS];
    nl_correlation one = c->forward;
    point_to_patch(c, from, p->x + n * image_of(g), t);
    point_to_rows(to, room->x + g->pad_left * g->in, NL_POINTS, c->x_line);
    nl_winograd_row_kernel()->patches(from, to, x_row(g));
    for (int q = 0; q < NL_POINTS; q++) {
        one.x = room->x + q * c->x_line;
        one.w = c->at_point + q * c->weights;
        from[q] = one.y = room->y + q * c->y_line;
        nl_conv_kernel()->correlate(&one);
    }
    point_to_result_pair(p, to, n, t, room);
    nl_winograd_row_kernel()->results(from, to, y_row(g));
}

static void forward_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_winograd_rows *c = p->c;
    const int64_t n = b / c->pieces, first = nl_edge(c->pairs, c->pieces, b % c->pieces);
    const int64_t end = nl_edge(c->pairs, c->pieces, b % c->pieces + 1);
    forward_room room;
    if (c->lanes.by_planes) {
        make_planes(c, p->x + n * image_of(&c->g), first, end - first, room.planes);
        for (int64_t t = first; t < end; t += TOGETHER)
            forward_by_planes(p, n, first, t, nl_least(TOGETHER, end - t), &room);
        return;
    }
    clear_sides(room.x, NL_POINTS, c->x_line, c->g.pad_left * c->g.in, x_row(&c->g));
    for (int64_t t = first; t < end; t++)
        forward_by_channels(p, n, t, &room);
}

void nl_winograd_rows_forward(nl_winograd_rows *c, int64_t n, const nl_real *x, const nl_real *w,
                              nl_real *y)
{
    pass p = {.c = c, .x = x, .to = y, .n = n};
    transform_weights(c, w);
    nl_for(n * c->pieces, flops(c, n), forward_block, &p);
}

/* ---- gradient of x */

/* A pair of rows of dy on its way, and the rows of dx that later pairs add to, too. */
typedef struct back_room {
    _Alignas(64) nl_real dy[NL_POINTS * ROW_MOST];
    _Alignas(64) nl_real dx[(NL_POINTS + LATER) * ROW_MOST];
    _Alignas(64) nl_real runs[ROOMS * ROW_MOST];
    _Alignas(64) nl_real spare[NL_PAIR * ROW_MOST];
} back_room;

static int64_t pad_of_dy(const nl_winograd_rows *c)
{
    return c->lanes.by_runs ? 0 : (c->g.kernel_w - 1 - c->g.pad_left) * c->g.out;
}

/* Weights (NL_ROW_TAPS; out, kernel_w * in) by_runs, else (NL_ROW_TAPS; kernel_w, out, in) with the
 * taps of a row in the order in which they meet dy. */
static void turn_block(int64_t a, void *arg)
{
    const pass *p = arg;
    const nl_winograd_rows *c = p->c;
    const nl_conv_geom *g = &c->g;
    const int64_t taps = c->lanes.by_runs ? 1 : g->kernel_w, run = g->kernel_w * g->in / taps;
    const nl_real *from = p->w + a * c->weights;
    nl_real *to = c->turned + a * c->weights;
    for (int64_t b = 0; b < taps; b++)
        nl_small_gemm()->transpose(run, g->out, from + b * run * g->out, g->out,
                                   to + (taps - 1 - b) * run * g->out, run);
}

/* Sums of a point are added after the next point's are made, as in core/conv.c. */
static void spread_by_runs(const nl_winograd_rows *c, int64_t x_line, back_room *room)
{
    const int64_t lanes = nl_conv_kernel()->lanes;
    nl_correlation t = c->back;
    nl_runs waiting = {0}, made = c->runs;
    for (int q = 0; q < NL_POINTS; q++) {
        t.x = room->dy + q * c->dy_line;
        t.w = c->at_point + q * c->weights;
        t.y = room->runs + q % ROOMS * nl_runs_room(c->runs.pixels, c->runs.run) + lanes;
        nl_conv_kernel()->correlate(&t);
        nl_conv_kernel()->sum_runs(&waiting);
        made.runs = t.y;
        made.to = room->dx + q * x_line;
        waiting = made;
    }
    nl_conv_kernel()->sum_runs(&waiting);
}

static void spread_by_channels(const nl_winograd_rows *c, int64_t x_line, back_room *room)
{
    nl_correlation t = c->back;
    for (int q = 0; q < NL_POINTS; q++) {
        t.x = room->dy + q * c->dy_line;
        t.w = c->at_point + q * c->weights;
        t.y = room->dx + q * x_line;
        nl_conv_kernel()->correlate(&t);
    }
}

/* The rows of dx at all points, of pair t of dy. */
static void spread_pair(const nl_winograd_rows *c, const nl_real *dy, int64_t t, int64_t x_line,
                        back_room *room)
{
    const nl_real *from[NL_PAIR];
    nl_real *to[NL_POINTS];
    point_to_pair(c, from, dy, t);
    point_to_rows(to, room->dy + pad_of_dy(c), NL_POINTS, c->dy_line);
    nl_winograd_row_kernel()->gradients(from, to, y_row(&c->g));
    if (c->lanes.by_runs)
        spread_by_runs(c, x_line, room);
    else
        spread_by_channels(c, x_line, room);
}

/* Row r of dx (+)= one that is whole. */
static void write_row(const pass *p, const nl_real *from, nl_real *dx, int64_t r)
{
    const int64_t count = x_row(&p->c->g);
    nl_real *to = dx + r * count;
    if (r < 0 || r >= p->c->g.h)
        return;
    for (int64_t i = 0; i < count; i++)
        to[i] = (p->add ? to[i] : 0) + from[i];
}

/* Rows 2 t and 2 t + 1 (the padding's counted) are whole: no later pair reaches them. */
static void write_pair(const pass *p, int64_t t, int64_t x_line, back_room *room, nl_real *dx)
{
    const nl_conv_geom *g = &p->c->g;
    const int64_t first = NL_PAIR * t - g->pad_top;
    nl_real *row[NL_POINTS + LATER], *to[NL_POINTS];
    point_to_rows(row, room->dx, NL_POINTS + LATER, x_line);
    memcpy(to + NL_PAIR, row + NL_POINTS, LATER * sizeof *to);
    if (p->add)
        point_to_rows(to, room->spare, NL_PAIR, ROW_MOST);
    else
        point_to_results(to, dx, x_row(g), g->h, first, room->spare);
    nl_winograd_row_kernel()->overlap((const nl_real *const *)row, to, x_row(g));
    for (int64_t e = 0; p->add && e < NL_PAIR; e++)
        write_row(p, to[e], dx, first + e);
}

static void clear_back_room(const nl_winograd_rows *c, int64_t x_line, back_room *room)
{
    const nl_conv_geom *g = &c->g;
    const int64_t lanes = nl_conv_kernel()->lanes, run = g->kernel_w * g->in;
    clear_sides(room->dx + NL_POINTS * x_line, LATER, x_line, x_line, 0);
    if (!c->lanes.by_runs)
        clear_sides(room->dy, NL_POINTS, c->dy_line, pad_of_dy(c), y_row(g));
    for (int64_t i = 0; c->lanes.by_runs && i < ROOMS; i++)
        clear_sides(room->runs + i * nl_runs_room(g->out_w, run), g->out_w + 1, lanes + run, lanes,
                    run);
}

static void back_block(int64_t n, void *arg)
{
    const pass *p = arg;
    const nl_winograd_rows *c = p->c;
    const int64_t x_line = in_lines(x_row(&c->g));
    nl_real *dx = p->to + n * image_of(&c->g);
    back_room room;
    clear_back_room(c, x_line, &room);
    for (int64_t t = 0; t < c->pairs; t++) {
        spread_pair(c, p->dy + n * result_of(&c->g), t, x_line, &room);
        write_pair(p, t, x_line, &room, dx);
    }
    for (int64_t i = 0; i < LATER; i++)
        write_row(p, room.dx + (NL_POINTS + i) * x_line, dx, NL_PAIR * c->pairs + i - c->g.pad_top);
}

void nl_winograd_rows_data_gradient(nl_winograd_rows *c, int64_t n, const nl_real *dy,
                                    const nl_real *w, nl_real *dx, bool add)
{
    pass p = {.c = c, .w = w, .dy = dy, .to = dx, .n = n, .add = add};
    nl_for(NL_ROW_TAPS, NL_ROW_TAPS * c->weights * 4, turn_block, &p);
    transform_weights(c, c->turned);
    nl_for(n, flops(c, n), back_block, &p);
}

/* ---- gradient of w */

/* Pairs of rows at all points. */
typedef struct sum_room {
    _Alignas(64) nl_real x[NL_POINTS * SUMMED * ROW_MOST], dy[NL_POINTS * SUMMED * ROW_MOST];
} sum_room;

static void transform_pair(const pass *p, int64_t pair, nl_real *x, nl_real *dy)
{
    const nl_winograd_rows *c = p->c;
    const nl_conv_geom *g = &c->g;
    const int64_t n = pair / c->pairs, t = pair % c->pairs;
    const nl_real *from[NL_POINTS];
    nl_real *to[NL_POINTS];
    point_to_patch(c, from, p->x + n * image_of(g), t);
    point_to_rows(to, x + g->pad_left * g->in, NL_POINTS, SUMMED * c->x_line);
    nl_winograd_row_kernel()->patches(from, to, x_row(g));
    point_to_pair(c, from, p->dy + n * result_of(g), t);
    point_to_rows(to, dy, NL_POINTS, SUMMED * c->y_line);
    nl_winograd_row_kernel()->gradients(from, to, y_row(g));
}

/* sums (NL_POINTS; kernel_w * in, out) += products of `pairs` rows of x and dy; by_taps (...; out,
 * kernel_w * in). */
static void add_products(const nl_winograd_rows *c, int64_t pairs, const sum_room *room,
                         nl_real *sums)
{
    nl_outer_sum t = c->sum;
    t.rows = pairs;
    for (int q = 0; q < NL_POINTS; q++) {
        const nl_real *x = room->x + q * SUMMED * c->x_line,
                      *dy = room->dy + q * SUMMED * c->y_line;
        t.x = c->lanes.by_taps ? dy : x;
        t.y = c->lanes.by_taps ? x : dy;
        t.w = sums + q * c->weights;
        nl_conv_kernel()->outer_sum(&t);
    }
}

/* The pairs of one part. */
static void sum_block(int64_t part, void *arg)
{
    const pass *p = arg;
    const nl_winograd_rows *c = p->c;
    const int64_t all = p->n * c->pairs, end = nl_edge(all, p->parts, part + 1);
    nl_real *sums = c->part + part * NL_POINTS * c->weights;
    sum_room room;
    memset(sums, 0, (size_t)(NL_POINTS * c->weights) * sizeof *sums);
    clear_sides(room.x, NL_POINTS * SUMMED, c->x_line, c->g.pad_left * c->g.in, x_row(&c->g));
    for (int64_t t = nl_edge(all, p->parts, part), pairs; t < end; t += pairs) {
        pairs = nl_least(SUMMED, end - t);
        for (int64_t k = 0; k < pairs; k++)
            transform_pair(p, t + k, room.x + k * c->x_line, room.dy + k * c->y_line);
        add_products(c, pairs, &room, sums);
    }
}

/* FOLDED weights of every row of taps. */
static void fold_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_winograd_rows *c = p->c;
    const int64_t from = b * FOLDED, count = nl_least(FOLDED, c->weights - from);
    const int64_t out = c->g.out, run = c->weights / out;
    nl_real sum[NL_POINTS][FOLDED], dw[NL_ROW_TAPS][FOLDED], *sums[NL_POINTS], *to[NL_ROW_TAPS];
    point_to_rows(sums, sum[0], NL_POINTS, FOLDED);
    point_to_rows(to, dw[0], NL_ROW_TAPS, FOLDED);
    for (int q = 0; q < NL_POINTS; q++)
        nl_conv_kernel()->fold(c->part + q * c->weights + from, p->parts, NL_POINTS * c->weights,
                               count, sums[q], false);
    nl_winograd_row_kernel()->weight_gradient((const nl_real *const *)sums, to, count);
    for (int64_t a = 0; a < NL_ROW_TAPS; a++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t k = from + i, at = c->lanes.by_taps ? k % run * out + k / run : k;
            nl_real *weight = p->to + a * c->weights + at;
            *weight = (p->add ? *weight : 0) + dw[a][i];
        }
}

/* An even number where there are several. */
static int64_t parts_of(const nl_winograd_rows *c, int64_t n)
{
    enum { PART = 1 << 20 }; /* flops */
    const int64_t parts = nl_least(nl_least(flops(c, n) / PART, n * c->pairs), NL_CONV_PARTS);
    return parts < 2 ? 1 : parts - parts % 2;
}

void nl_winograd_rows_weight_gradient(nl_winograd_rows *c, int64_t n, const nl_real *x,
                                      const nl_real *dy, nl_real *dw, bool add)
{
    pass p = {.c = c, .x = x, .dy = dy, .to = dw, .n = n, .add = add};
    p.parts = parts_of(c, n);
    nl_for(p.parts, flops(c, n), sum_block, &p);
    nl_for(nl_ceil_div(c->weights, FOLDED), p.parts * NL_POINTS * c->weights * 4, fold_block, &p);
}
