#include "core/conv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cut.h"
#include "base/text.h"
#include "core/winograd.h"
#include "core/winograd_rows.h"
#include "kernel/conv.h"
#include "kernel/small_gemm.h"
#include "par/par.h"

/* One correlation of images: result (i, j), i < rows and j < cols, takes from source pixel
 * (i step + a - pad_top, j step + b - pad_left) for the taps a < taps_h, b < taps_w that lie in it.
 * Forward is one of them; the gradient of x is stride x stride of them, one for each class of
 * pixels that the same taps reach. */
typedef struct lattice {
    int64_t rows, cols, step, pad_top, pad_left, taps_h, taps_w;
    int64_t h, w, channels, run; /* of the source; run: channels of a group */
    int64_t to, to_row, to_col;  /* first result, distances of results */
    int64_t out, ldw;            /* results of a group, of all groups */
    int64_t weights;             /* first weight */
    int64_t row_from, row_to;    /* rows without missing taps */
    int64_t col_from, col_to;
} lattice;

enum {
    FRAMED_CHANNELS = 4, /* up to so many, an image is copied into a frame of zeros */
    STRIDE_MAX = 4,      /* above, the gradient of x has too many classes */
    PAD_MOST = 1024,
    WANTED_BLOCKS = 64, /* of few images, rows are blocks too */
    CHUNKS = 2,         /* of an image where it is copied, and by_runs */
    ROOMS = 2,          /* by_runs: rows under way in a chunk */
    SLACK = 64          /* reals behind the planes that a register may read */
};

struct nl_conv {
    nl_conv_geom g;     /* as given */
    nl_conv_geom inner; /* as computed: without padding where the image is framed */
    bool framed, depthwise;
    bool picture;            /* gradient of w: all rows of taps at once */
    bool by_tiles, by_pairs; /* minimal filtering of tiles, of pairs of rows */
    nl_lane_choice lanes;
    lattice forward, back[STRIDE_MAX * STRIDE_MAX];
    int64_t classes, part_size;
    nl_winograd *tiles, *back_tiles; /* by_tiles: forward and gradient of w; gradient of x */
    nl_winograd_rows *pairs;         /* by_pairs */
    nl_real *frame;                  /* (n, h + pads, w + pads, in) or NULL */
    nl_real *planes;                 /* by_planes: (n, in, h + pads, w + pads), or NULL */
    nl_real *rows;                   /* by_runs: ROOMS of each chunk, or NULL */
    nl_real *flipped;                /* weights for the gradient of x */
    nl_real *part;                   /* (NL_CONV_PARTS, weights) */
};

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : 0; }

/* ---- geometry */

static nl_status pad_axis(int64_t size, int64_t kernel, int64_t stride, const char *pad,
                          const char *owner, int64_t *before, int64_t *out)
{
    double zeros = 0;
    if (strcmp(pad, "same") == 0) {
        *out = ceil_div(size, stride);
        *before = most((*out - 1) * stride + kernel - size, 0) / 2;
        return NL_OK;
    }
    if (strcmp(pad, "valid") != 0 &&
        (!nl_read_real(pad, &zeros) || !(zeros >= 0 && zeros <= PAD_MOST) ||
         zeros != (double)(int64_t)zeros))
        return nl_fail(NL_EOPTION, "%s: pad is same, valid or a number of zeros up to %d, got '%s'",
                       owner, PAD_MOST, pad);
    *before = (int64_t)zeros;
    if (size + 2 * *before < kernel)
        return nl_fail(NL_ESHAPE, "%s: a kernel of %lld on an image of %lld with pad %lld", owner,
                       (long long)kernel, (long long)size, (long long)*before);
    *out = (size + 2 * *before - kernel) / stride + 1;
    return NL_OK;
}

nl_status nl_conv_pad(nl_conv_geom *g, const char *pad, const char *owner)
{
    NL_TRY(pad_axis(g->h, g->kernel_h, g->stride, pad, owner, &g->pad_top, &g->out_h));
    NL_TRY(pad_axis(g->w, g->kernel_w, g->stride, pad, owner, &g->pad_left, &g->out_w));
    return NL_OK;
}

/* Results [*from, *to) of `count` along one axis have all their taps inside of `size` pixels. */
static void whole_range(int64_t count, int64_t step, int64_t pad, int64_t taps, int64_t size,
                        int64_t *from, int64_t *to)
{
    *from = nl_least(ceil_div(pad, step), count);
    *to = size + pad < taps ? 0 : nl_least((size + pad - taps) / step + 1, count);
    *to = most(*to, *from);
}

static void find_whole(lattice *l)
{
    whole_range(l->rows, l->step, l->pad_top, l->taps_h, l->h, &l->row_from, &l->row_to);
    whole_range(l->cols, l->step, l->pad_left, l->taps_w, l->w, &l->col_from, &l->col_to);
}

static void plan_forward(nl_conv *c)
{
    const nl_conv_geom *g = &c->inner;
    c->forward = (lattice){.rows = g->out_h, .cols = g->out_w, .step = g->stride};
    lattice *l = &c->forward;
    l->pad_top = g->pad_top, l->pad_left = g->pad_left;
    l->taps_h = g->kernel_h, l->taps_w = g->kernel_w;
    l->h = g->h, l->w = g->w, l->channels = g->in, l->run = g->in / g->groups;
    l->to_row = g->out_w * g->out, l->to_col = g->out;
    l->out = g->out / g->groups, l->ldw = g->out;
    find_whole(l);
}

/* Pixels first + stride i of an axis are reached by the taps last - stride a: from dy at
 * i + a - pad. */
typedef struct tap_class {
    int64_t count, taps, last, pad;
} tap_class;

static tap_class class_of(int64_t first, int64_t size, int64_t kernel, int64_t stride, int64_t pad)
{
    const int64_t lowest = (first + pad) % stride;
    const int64_t taps = ceil_div(kernel - lowest, stride);
    return (tap_class){.count = ceil_div(size - first, stride),
                       .taps = taps,
                       .last = lowest + (taps - 1) * stride,
                       .pad = taps - 1 - (first + pad - lowest) / stride};
}

static void plan_back(nl_conv *c)
{
    const nl_conv_geom *g = &c->g;
    const int64_t s = g->stride, weight = g->out / g->groups * g->in;
    int64_t weights = 0;
    c->classes = s * s;
    for (int64_t k = 0; k < c->classes; k++) {
        const tap_class v = class_of(k / s, g->h, g->kernel_h, s, g->pad_top);
        const tap_class u = class_of(k % s, g->w, g->kernel_w, s, g->pad_left);
        lattice *l = &c->back[k];
        *l = (lattice){.rows = v.count, .cols = u.count, .step = 1, .weights = weights};
        l->pad_top = v.pad, l->pad_left = u.pad;
        l->taps_h = v.taps, l->taps_w = u.taps;
        l->h = g->out_h, l->w = g->out_w, l->channels = g->out, l->run = g->out / g->groups;
        l->to = (k / s * g->w + k % s) * g->in;
        l->to_row = s * g->w * g->in, l->to_col = s * g->in;
        l->out = g->in / g->groups, l->ldw = g->in;
        find_whole(l);
        weights += v.taps * u.taps * weight;
    }
}

/* ---- minimal filtering */

enum { WINOGRAD_TAPS = 3, WINOGRAD_PAD_MOST = 2, WINOGRAD_CHANNELS = 16 };

const char *const nl_conv_algorithms[] = {"auto", "direct", "winograd", NULL};

static bool winograd_is_defined(const nl_conv_geom *g)
{
    return g->kernel_h == WINOGRAD_TAPS && g->kernel_w == WINOGRAD_TAPS && g->stride == 1 &&
           g->groups == 1 && g->pad_top <= WINOGRAD_PAD_MOST && g->pad_left <= WINOGRAD_PAD_MOST;
}

/* Taps of one axis that lie inside of the image, over all results. */
static int64_t taps_along(int64_t out, int64_t pad, int64_t size)
{
    int64_t taps = 0;
    for (int64_t i = 0; i < out; i++)
        taps += most(nl_least(size + pad - i, WINOGRAD_TAPS) - most(pad - i, 0), 0);
    return taps;
}

static bool winograd_is_faster(const nl_conv_geom *g)
{
    const int64_t sums =
        taps_along(g->out_h, g->pad_top, g->h) * taps_along(g->out_w, g->pad_left, g->w);
    return g->in >= WINOGRAD_CHANNELS && g->out >= WINOGRAD_CHANNELS &&
           3 * nl_winograd_products(g->out_h, g->out_w) <= 2 * sums;
}

static bool by_tiles(const nl_conv_geom *g)
{
    return winograd_is_defined(g) && (g->algorithm == NL_CONV_WINOGRAD ||
                                      (g->algorithm == NL_CONV_AUTO && winograd_is_faster(g)));
}

/* The transforms take some 22 sums for a value of x and 10 for one of y, and save four rows' taps
 * for each pair of results. */
static bool pairs_are_faster(const nl_conv_geom *g)
{
    return 22 * g->in + 10 * g->out <= 2 * g->kernel_w * g->in * g->out;
}

static bool by_pairs(const nl_conv_geom *g)
{
    return nl_winograd_rows_fit(g) && (g->algorithm == NL_CONV_WINOGRAD ||
                                       (g->algorithm == NL_CONV_AUTO && pairs_are_faster(g)));
}

static nl_status open_winograd(nl_conv *c)
{
    const nl_conv_geom *g = &c->g;
    const nl_winograd_geom forward = {.h = g->h,
                                      .w = g->w,
                                      .in = g->in,
                                      .out_h = g->out_h,
                                      .out_w = g->out_w,
                                      .out = g->out,
                                      .pad_top = g->pad_top,
                                      .pad_left = g->pad_left};
    const nl_winograd_geom back = {.h = g->out_h,
                                   .w = g->out_w,
                                   .in = g->out,
                                   .out_h = g->h,
                                   .out_w = g->w,
                                   .out = g->in,
                                   .pad_top = WINOGRAD_TAPS - 1 - g->pad_top,
                                   .pad_left = WINOGRAD_TAPS - 1 - g->pad_left};
    NL_TRY(nl_winograd_open(&c->tiles, &forward));
    return nl_winograd_open(&c->back_tiles, &back);
}

/* ---- opening */

static int64_t weights_of(const nl_conv_geom *g)
{
    return g->kernel_h * g->kernel_w * (g->in / g->groups) * g->out;
}

/* How many values the registers of `count` values hold, in units of count. */
static double waste(int64_t count)
{
    const int64_t lanes = nl_conv_kernel()->lanes;
    return (double)(ceil_div(count, lanes) * lanes) / (double)count;
}

/* Where neither channels nor taps fill registers well, the other choice may. */
static nl_lane_choice lanes_of(const nl_conv_geom *g)
{
    const double run = waste(g->kernel_w * g->in);
    if (g->groups > 1)
        return (nl_lane_choice){false};
    return (nl_lane_choice){.by_planes = g->in <= FRAMED_CHANNELS && g->stride == 1 &&
                                         g->out <= NL_FEW_RESULTS,
                            .by_runs = g->kernel_w > 1 && run < 0.7 * waste(g->in),
                            .by_taps = run < 0.9 * waste(g->out)};
}

static void plan_inner(nl_conv *c)
{
    nl_conv_geom *g = &c->inner;
    const int64_t below = (g->out_h - 1) * g->stride + g->kernel_h - g->pad_top - g->h;
    const int64_t right = (g->out_w - 1) * g->stride + g->kernel_w - g->pad_left - g->w;
    c->framed = g->groups == 1 && g->in <= FRAMED_CHANNELS && !c->by_tiles &&
                (g->pad_top > 0 || g->pad_left > 0 || below > 0 || right > 0);
    if (!c->framed)
        return;
    g->h += g->pad_top + most(below, 0);
    g->w += g->pad_left + most(right, 0);
    g->pad_top = g->pad_left = 0;
}

static nl_status check(const nl_conv_geom *g)
{
    if (g->groups < 1 || g->in % g->groups || g->out % g->groups)
        return nl_fail(NL_ESHAPE, "a convolution of %lld to %lld channels in %lld groups",
                       (long long)g->in, (long long)g->out, (long long)g->groups);
    if (g->stride < 1 || g->stride > STRIDE_MAX)
        return nl_fail(NL_ESHAPE, "a convolution with stride %lld, wanted 1 to %d",
                       (long long)g->stride, STRIDE_MAX);
    if (g->algorithm == NL_CONV_WINOGRAD && !by_tiles(g) && !by_pairs(g))
        return nl_fail(NL_ESHAPE,
                       "minimal filtering is for kernels of 3x3 with pads up to %d, or of 5 rows "
                       "with pads smaller than the kernel and rows of few values, stride 1 and 1 "
                       "group, got %lldx%lld, stride %lld, %lld groups, pads %lld and %lld",
                       WINOGRAD_PAD_MOST, (long long)g->kernel_h, (long long)g->kernel_w,
                       (long long)g->stride, (long long)g->groups, (long long)g->pad_top,
                       (long long)g->pad_left);
    return NL_OK;
}

/* Direct sums of pixels and of taps leave no column out. */
static void keep_lanes(nl_conv *c)
{
    const lattice *f = &c->forward;
    const bool whole = f->col_from == 0 && f->col_to == f->cols;
    c->lanes.by_planes = c->lanes.by_planes && (c->framed || whole);
    c->lanes.by_taps = c->lanes.by_taps && whole;
}

static bool is_picture(const nl_conv *c)
{
    const nl_conv_geom *g = &c->inner;
    return c->framed && g->kernel_h == NL_PICTURE_LINES && g->kernel_w * g->in == NL_PICTURE_RUN &&
           !c->lanes.by_taps;
}

static int64_t planes_of(const nl_conv *c) { return c->inner.in * c->inner.h * c->inner.w; }

/* The sums of a row's pixels of dy. */
static int64_t row_room(const nl_conv_geom *g)
{
    return nl_runs_room(g->out_w, g->kernel_w * g->in);
}

/* Memory of the direct sums. */
static bool take_rooms(nl_conv *c, int64_t n)
{
    const nl_conv_geom *g = &c->g;
    c->flipped = nl_alloc((size_t)c->part_size, sizeof *c->flipped);
    c->part = nl_alloc((size_t)(NL_CONV_PARTS * c->part_size), sizeof *c->part);
    if (c->framed)
        c->frame = nl_alloc((size_t)(n * c->inner.h * c->inner.w * g->in), sizeof *c->frame);
    if (c->lanes.by_planes)
        c->planes = nl_alloc((size_t)(n * planes_of(c) + SLACK), sizeof *c->planes);
    if (c->lanes.by_runs)
        c->rows = nl_alloc((size_t)(n * CHUNKS * ROOMS * row_room(g)), sizeof *c->rows);
    return c->flipped && c->part && (!c->framed || c->frame) &&
           (!c->lanes.by_planes || c->planes) && (!c->lanes.by_runs || c->rows);
}

static nl_status open_way(nl_conv *c, int64_t n)
{
    if (c->by_pairs)
        return nl_winograd_rows_open(&c->pairs, &c->g, c->lanes);
    plan_inner(c);
    plan_forward(c);
    plan_back(c);
    keep_lanes(c);
    c->picture = is_picture(c);
    if (!take_rooms(c, n))
        return nl_fail(NL_ENOMEM, "a convolution of %lld images", (long long)n);
    return c->by_tiles ? open_winograd(c) : NL_OK;
}

nl_status nl_conv_open(nl_conv **out, int64_t n, const nl_conv_geom *g)
{
    *out = NULL;
    NL_TRY(check(g));
    nl_conv *c = nl_alloc(1, sizeof *c);
    if (!c)
        return nl_fail(NL_ENOMEM, "a convolution");
    c->g = c->inner = *g;
    c->by_tiles = by_tiles(g);
    c->by_pairs = by_pairs(g);
    c->lanes = c->by_tiles ? (nl_lane_choice){false} : lanes_of(g);
    c->depthwise = g->groups == g->in && g->groups == g->out && !c->by_tiles;
    c->part_size = weights_of(g);
    const nl_status st = open_way(c, n);
    if (st != NL_OK)
        nl_conv_close(c);
    else
        *out = c;
    return st;
}

void nl_conv_close(nl_conv *c)
{
    if (!c)
        return;
    nl_winograd_close(c->tiles);
    nl_winograd_close(c->back_tiles);
    nl_winograd_rows_close(c->pairs);
    nl_free(c->frame);
    nl_free(c->planes);
    nl_free(c->rows);
    nl_free(c->flipped);
    nl_free(c->part);
    nl_free(c);
}

/* ---- a correlation of one image */

/* Taps [*from, *to) of result i that lie in the source. */
static void taps_inside(int64_t i, int64_t step, int64_t pad, int64_t taps, int64_t size,
                        int64_t *from, int64_t *to)
{
    *from = nl_least(most(pad - i * step, 0), taps);
    *to = most(nl_least(size + pad - i * step, taps), *from);
}

/* `pixels` results from (i, j) on that have the same taps, down a column or along a row. */
static void correlate_line(const lattice *l, nl_correlation t, int64_t i, int64_t j, int64_t pixels,
                           bool down)
{
    int64_t a, a_to, b, b_to;
    taps_inside(i, l->step, l->pad_top, l->taps_h, l->h, &a, &a_to);
    taps_inside(j, l->step, l->pad_left, l->taps_w, l->w, &b, &b_to);
    const int64_t tap = l->run * l->ldw, row = i * l->step + a - l->pad_top;
    const bool merged = l->run == l->channels; /* the taps of a row lie side by side */
    t.pixels = pixels, t.out = l->out;
    t.y += l->to + i * l->to_row + j * l->to_col;
    t.ldy = down ? l->to_row : l->to_col;
    if (a < a_to && b < b_to) { /* else the sum is empty */
        t.rows = a_to - a;
        t.cols = merged ? 1 : b_to - b;
        t.run = merged ? (b_to - b) * l->run : l->run;
        t.x += (row * l->w + j * l->step + b - l->pad_left) * l->channels;
        t.ldx = l->step * l->channels * (down ? l->w : 1);
        t.x_row = l->w * l->channels, t.x_col = l->channels;
        t.w += l->weights + (a * l->taps_w + b) * tap;
        t.ldw = l->ldw, t.w_row = l->taps_w * tap, t.w_col = tap;
    }
    nl_conv_kernel()->correlate(&t);
}

/* Results of rows [from, to): along the rows where no column is missing, down the columns else. */
static void correlate_rows(const lattice *l, nl_correlation t, int64_t from, int64_t to)
{
    const int64_t whole_from = most(l->row_from, from), whole_to = nl_least(l->row_to, to);
    for (int64_t i = from; i < to && l->col_from < l->col_to; i++)
        correlate_line(l, t, i, l->col_from, l->col_to - l->col_from, false);
    for (int64_t j = 0; j < l->cols; j++) {
        if (j >= l->col_from && j < l->col_to)
            continue;
        if (whole_from < whole_to)
            correlate_line(l, t, whole_from, j, whole_to - whole_from, true);
        for (int64_t i = from; i < to; i++)
            if (i < whole_from || i >= whole_to)
                correlate_line(l, t, i, j, 1, true);
    }
}

static void correlate_groups(const lattice *l, const nl_real *x, const nl_real *w, nl_real *y,
                             bool add, int64_t from, int64_t to)
{
    for (int64_t g = 0; g < l->channels / l->run; g++) {
        const nl_correlation t = {
            .x = x + g * l->run, .w = w + g * l->out, .y = y + g * l->out, .add = add};
        correlate_rows(l, t, from, to);
    }
}

/* ---- depthwise: tap by tap over rows of pixels */

/* Results of one axis for which tap k lies inside. */
static void results_inside(int64_t k, int64_t count, int64_t step, int64_t pad, int64_t size,
                           int64_t *from, int64_t *to)
{
    *from = nl_least(ceil_div(pad - k, step), count);
    *to = size + pad <= k ? 0 : nl_least((size + pad - k - 1) / step + 1, count);
    *to = most(*to, *from);
}

typedef struct tap {
    int64_t i, i_to, j, pixels, x, y; /* rows of results, their pixels; offsets of row i */
    int64_t x_row, y_row, weight;
} tap;

/* `given`: g without its frame, whose rows no result meets. */
static tap tap_of(const nl_conv_geom *g, const nl_conv_geom *given, int64_t a, int64_t b)
{
    tap t;
    int64_t j_to;
    results_inside(a, g->out_h, g->stride, given->pad_top, given->h, &t.i, &t.i_to);
    results_inside(b, g->out_w, g->stride, g->pad_left, g->w, &t.j, &j_to);
    t.pixels = j_to - t.j;
    t.x_row = g->stride * g->w * g->in, t.y_row = g->out_w * g->out;
    t.x = ((t.i * g->stride + a - g->pad_top) * g->w + t.j * g->stride + b - g->pad_left) * g->in;
    t.y = (t.i * g->out_w + t.j) * g->out;
    t.weight = (a * g->kernel_w + b) * g->out;
    return t;
}

static void depthwise_image(const nl_conv_geom *g, const nl_real *x, const nl_real *w, nl_real *y,
                            bool back)
{
    const int64_t step = g->stride * g->in;
    for (int64_t a = 0; a < g->kernel_h; a++)
        for (int64_t b = 0; b < g->kernel_w; b++) {
            const tap t = tap_of(g, g, a, b);
            for (int64_t i = 0; i < t.i_to - t.i; i++) {
                const int64_t at_x = t.x + i * t.x_row, at_y = t.y + i * t.y_row;
                if (back)
                    nl_conv_kernel()->depthwise(t.pixels, g->in, x + at_y, g->out, w + t.weight,
                                                y + at_x, step);
                else
                    nl_conv_kernel()->depthwise(t.pixels, g->in, x + at_x, step, w + t.weight,
                                                y + at_y, g->out);
            }
        }
}

/* ---- passes over the images */

typedef struct pass {
    const nl_conv *c;
    const nl_real *x, *y, *w;
    nl_real *to;
    int64_t n, chunks, parts;
    bool add;
} pass;

static int64_t image_of(const nl_conv_geom *g) { return g->h * g->w * g->in; }
static int64_t result_of(const nl_conv_geom *g) { return g->out_h * g->out_w * g->out; }
static int64_t flops(const nl_conv *c, int64_t n)
{
    return 2 * n * c->g.out_h * c->g.out_w * weights_of(&c->g);
}

/* Of an image; an even number where there are several: two threads meet at the same place in every
 * pass. */
static int64_t chunks_of(int64_t n, int64_t rows)
{
    const int64_t chunks = nl_least(ceil_div(WANTED_BLOCKS, n), rows / 3);
    return chunks < 2 ? 1 : chunks + chunks % 2;
}

static void frame_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv_geom *g = &p->c->g, *inner = &p->c->inner;
    const int64_t n = b / CHUNKS, k = b % CHUNKS, row = g->w * g->in;
    nl_real *to = p->to + n * image_of(inner) + (g->pad_top * inner->w + g->pad_left) * g->in;
    for (int64_t i = nl_edge(g->h, CHUNKS, k); i < nl_edge(g->h, CHUNKS, k + 1); i++)
        memcpy(to + i * inner->w * g->in, p->x + n * image_of(g) + i * row,
               (size_t)row * sizeof *to);
}

/* The images as the loops read them; the frame's border is zeros since set-up. */
static const nl_real *framed(const nl_conv *c, int64_t n, const nl_real *x)
{
    pass p = {.c = c, .x = x, .to = c->frame};
    if (!c->framed)
        return x;
    nl_for(n * CHUNKS, n * image_of(&c->g) * (int64_t)sizeof *x, frame_block, &p);
    return c->frame;
}

static void plane_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv_geom *g = &p->c->g, *inner = &p->c->inner;
    const int64_t top = g->pad_top - inner->pad_top, left = g->pad_left - inner->pad_left;
    const int64_t n = b / CHUNKS, k = b % CHUNKS;
    const nl_real *x = p->x + n * image_of(g);
    nl_real *to = p->to + n * planes_of(p->c) + top * inner->w + left;
    for (int64_t i = nl_edge(g->h, CHUNKS, k); i < nl_edge(g->h, CHUNKS, k + 1); i++)
        nl_small_gemm()->transpose(g->w, g->in, x + i * g->w * g->in, g->in, to + i * inner->w,
                                   inner->h * inner->w);
}

/* Rows of results from i on, below `to`, that the taps [*a, *a_to) of a column reach. */
static int64_t rows_alike(const nl_conv *c, int64_t i, int64_t to, int64_t *a, int64_t *a_to)
{
    const nl_conv_geom *g = &c->g;
    int64_t from, end, last = i;
    taps_inside(i, 1, g->pad_top, g->kernel_h, g->h, a, a_to);
    do
        taps_inside(++last, 1, g->pad_top, g->kernel_h, g->h, &from, &end);
    while (last < to && from == *a && end == *a_to);
    return last - i;
}

static void planes_forward_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv_geom *g = &p->c->inner;
    const int64_t n = b / p->chunks, k = b % p->chunks;
    nl_planes t = {.pixels = g->out_w, .out = g->out, .planes = g->in};
    t.cols = g->kernel_w, t.plane = g->h * g->w, t.x_row = g->w, t.y_line = g->out_w * g->out;
    const int64_t to = nl_edge(g->out_h, p->chunks, k + 1);
    for (int64_t i = nl_edge(g->out_h, p->chunks, k); i < to; i += t.lines) {
        int64_t a, a_to; /* rows of the frame are not read */
        t.lines = rows_alike(p->c, i, to, &a, &a_to);
        t.rows = a_to - a;
        t.w = p->w + a * g->kernel_w * g->in * g->out;
        t.x = p->x + n * planes_of(p->c) + (i + a) * g->w;
        t.y = p->to + n * result_of(g) + i * t.y_line;
        nl_conv_kernel()->correlate_planes(&t);
    }
}

static void forward_by_planes(nl_conv *c, int64_t n, const nl_real *x, const nl_real *w, nl_real *y)
{
    pass in = {.c = c, .x = x, .to = c->planes};
    pass p = {.c = c, .x = c->planes, .w = w, .to = y, .n = n};
    p.chunks = chunks_of(n, c->g.out_h);
    nl_for(n * CHUNKS, n * image_of(&c->g) * (int64_t)sizeof *x, plane_block, &in);
    nl_for(n * p.chunks, flops(c, n), planes_forward_block, &p);
}

static void forward_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv_geom *g = &p->c->inner;
    const int64_t n = b / p->chunks, k = b % p->chunks;
    const nl_real *x = p->x + n * image_of(g);
    nl_real *y = p->to + n * result_of(g);
    if (!p->c->depthwise) {
        correlate_groups(&p->c->forward, x, p->w, y, false, nl_edge(g->out_h, p->chunks, k),
                         nl_edge(g->out_h, p->chunks, k + 1));
        return;
    }
    memset(y, 0, (size_t)result_of(g) * sizeof *y);
    depthwise_image(g, x, p->w, y, false);
}

void nl_conv_forward(nl_conv *c, int64_t n, const nl_real *x, const nl_real *w, nl_real *y)
{
    if (c->by_tiles) {
        nl_winograd_correlate(c->tiles, n, x, w, y, false);
        return;
    }
    if (c->by_pairs) {
        nl_winograd_rows_forward(c->pairs, n, x, w, y);
        return;
    }
    if (c->lanes.by_planes) {
        forward_by_planes(c, n, x, w, y);
        return;
    }
    pass p = {.c = c, .x = framed(c, n, x), .w = w, .to = y, .n = n};
    p.chunks = c->depthwise ? 1 : chunks_of(n, c->g.out_h);
    nl_for(n * p.chunks, flops(c, n), forward_block, &p);
}

/* ---- gradient of x */

/* Weights of a class, (taps_h, taps_w, out / groups, in), in the order in which they meet dy. */
static void flip_class(const nl_conv *c, int64_t k, const nl_real *w)
{
    const nl_conv_geom *g = &c->g;
    const lattice *l = &c->back[k];
    const int64_t s = g->stride, in = g->in / g->groups, out = g->out / g->groups;
    const tap_class v = class_of(k / s, g->h, g->kernel_h, s, g->pad_top);
    const tap_class u = class_of(k % s, g->w, g->kernel_w, s, g->pad_left);
    for (int64_t a = 0; a < l->taps_h; a++)
        for (int64_t b = 0; b < l->taps_w; b++) {
            const int64_t kh = v.last - a * s, kw = u.last - b * s;
            const nl_real *from = w + (kh * g->kernel_w + kw) * in * g->out;
            nl_real *to = c->flipped + l->weights + (a * l->taps_w + b) * out * g->in;
            for (int64_t i = 0; i < g->groups; i++)
                nl_small_gemm()->transpose(in, out, from + i * out, g->out, to + i * in, g->in);
        }
}

static void back_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv_geom *g = &p->c->g;
    const int64_t n = b / p->chunks, k = b % p->chunks;
    const nl_real *dy = p->y + n * result_of(g);
    nl_real *dx = p->to + n * image_of(g);
    if (p->c->depthwise) {
        if (!p->add)
            memset(dx, 0, (size_t)image_of(g) * sizeof *dx);
        depthwise_image(g, dy, p->w, dx, true);
        return;
    }
    for (int64_t i = 0; i < p->c->classes; i++) {
        const lattice *l = &p->c->back[i];
        correlate_groups(l, dy, p->c->flipped, dx, p->add, nl_edge(l->rows, p->chunks, k),
                         nl_edge(l->rows, p->chunks, k + 1));
    }
}

/* For row i of dx. The taps of a row and the channels of x lie side by side in dx, so the sums over
 * dy of all of them are made together for every pixel of dy. Gives what is left to do: to add them
 * where they overlap. */
static nl_runs row_of_runs(const pass *p, const nl_real *dy, int64_t i, nl_real *room, nl_real *dx)
{
    const nl_conv_geom *g = &p->c->g;
    const int64_t s = g->stride, run = g->kernel_w * g->in, lanes = nl_conv_kernel()->lanes;
    const int64_t last = i + g->pad_top, after = last - (g->out_h - 1) * s;
    int64_t a = last % s; /* taps a, a + s, ... meet rows of dy */
    if (after > a)
        a += ceil_div(after - a, s) * s;
    nl_correlation t = {.y = room + lanes, .pixels = g->out_w, .out = run, .cols = 1};
    nl_runs sums = {.runs = t.y, .to = dx, .run = run, .step = s * g->in, .add = p->add};
    sums.shift = g->pad_left * g->in, sums.count = g->w * g->in;
    t.rows = a <= last && a < g->kernel_h ? (nl_least(last, g->kernel_h - 1) - a) / s + 1 : 0;
    if (t.rows > 0) {
        t.x = dy + (last - a) / s * g->out_w * g->out;
        t.w = p->c->flipped + a * g->out * run;
        t.run = g->out;
        t.ldx = g->out, t.x_row = -g->out_w * g->out;
        t.ldw = run, t.w_row = s * g->out * run;
        t.ldy = run + lanes;
        nl_conv_kernel()->correlate(&t);
        sums.pixels = g->out_w;
    }
    return sums;
}

/* Sums of a row are added after the next row's are made: until they have left the processor, nobody
 * can read them across the registers that they were. */
static void run_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv_geom *g = &p->c->g;
    const int64_t n = b / CHUNKS, k = b % CHUNKS;
    nl_real *room = p->c->rows + b * ROOMS * row_room(g);
    nl_runs waiting = {0};
    for (int64_t i = nl_edge(g->h, CHUNKS, k); i < nl_edge(g->h, CHUNKS, k + 1); i++) {
        const nl_runs made =
            row_of_runs(p, p->y + n * result_of(g), i, room + i % ROOMS * row_room(g),
                        p->to + n * image_of(g) + i * g->w * g->in);
        nl_conv_kernel()->sum_runs(&waiting);
        waiting = made;
    }
    nl_conv_kernel()->sum_runs(&waiting);
}

/* Weights (kernel_h, out, kernel_w * in). */
static void flip_runs(const nl_conv *c, const nl_real *w)
{
    const nl_conv_geom *g = &c->g;
    const int64_t run = g->kernel_w * g->in, size = run * g->out;
    for (int64_t a = 0; a < g->kernel_h; a++)
        nl_small_gemm()->transpose(run, g->out, w + a * size, g->out, c->flipped + a * size, run);
}

void nl_conv_data_gradient(nl_conv *c, int64_t n, const nl_real *dy, const nl_real *w, nl_real *dx,
                           bool add)
{
    pass p = {.c = c, .y = dy, .w = w, .to = dx, .n = n, .add = add};
    if (c->by_pairs) {
        nl_winograd_rows_data_gradient(c->pairs, n, dy, w, dx, add);
        return;
    }
    if (c->lanes.by_runs) {
        flip_runs(c, w);
        nl_for(n * CHUNKS, flops(c, n), run_block, &p);
        return;
    }
    p.chunks = c->depthwise ? 1 : chunks_of(n, c->back[0].rows);
    for (int64_t k = 0; k < c->classes && !c->depthwise; k++)
        flip_class(c, k, w);
    if (c->by_tiles) {
        nl_winograd_correlate(c->back_tiles, n, dy, c->flipped, dx, add);
        return;
    }
    nl_for(n * p.chunks, flops(c, n), back_block, &p);
}

/* ---- gradient of w */

/* One row a of taps over the images of one part. With by_taps the sums are (out, taps of the row):
 * the taps fill registers better than the channels of the result do. */
static void outer_image(const nl_conv *c, int64_t a, const nl_real *x, const nl_real *dy,
                        nl_real *dw)
{
    const nl_conv_geom *g = &c->inner;
    const bool merged = c->forward.col_from == 0 && c->forward.col_to == g->out_w && g->groups == 1;
    const int64_t in = g->in / g->groups, out = g->out / g->groups;
    for (int64_t b = 0; b < (merged ? 1 : g->kernel_w); b++) {
        const tap t = tap_of(g, &c->g, a, b);
        nl_outer_sum s = {.x = x + t.x, .y = dy + t.y, .rows = t.i_to - t.i, .cols = t.pixels};
        s.run = merged ? g->kernel_w * in : in, s.out = out;
        s.x_row = t.x_row, s.x_col = g->stride * g->in;
        s.y_row = t.y_row, s.y_col = g->out;
        s.ldw = g->out;
        for (int64_t k = 0; k < g->groups; k++) {
            nl_outer_sum of = s;
            of.x += k * in, of.y += k * out;
            of.w = dw + (a * g->kernel_w + b) * in * g->out + k * out;
            if (c->lanes.by_taps)
                of = (nl_outer_sum){.x = s.y,
                                    .y = s.x,
                                    .w = dw + a * s.run * s.out,
                                    .rows = s.rows,
                                    .cols = s.cols,
                                    .run = s.out,
                                    .out = s.run,
                                    .x_row = s.y_row,
                                    .x_col = s.y_col,
                                    .y_row = s.x_row,
                                    .y_col = s.x_col,
                                    .ldw = s.run};
            nl_conv_kernel()->outer_sum(&of);
        }
    }
}

/* All taps over the images of one part; the frame gives each row of them the same pixels. */
static void outer_picture(const nl_conv *c, const nl_real *x, const nl_real *dy, nl_real *dw)
{
    const nl_conv_geom *g = &c->inner;
    const nl_outer_sum s = {.x = x,
                            .y = dy,
                            .w = dw,
                            .rows = g->out_h,
                            .cols = g->out_w,
                            .run = NL_PICTURE_RUN,
                            .out = g->out,
                            .x_row = g->stride * g->w * g->in,
                            .x_col = g->stride * g->in,
                            .y_row = g->out_w * g->out,
                            .y_col = g->out,
                            .ldw = g->out};
    nl_conv_kernel()->outer_picture(&s, g->w * g->in, NL_PICTURE_RUN * g->out);
}

static void depthwise_sums(const nl_conv_geom *g, int64_t a, const nl_real *x, const nl_real *dy,
                           nl_real *dw)
{
    for (int64_t b = 0; b < g->kernel_w; b++) {
        const tap t = tap_of(g, g, a, b);
        for (int64_t i = 0; i < t.i_to - t.i; i++)
            nl_conv_kernel()->depthwise_sum(t.pixels, g->in, x + t.x + i * t.x_row,
                                            g->stride * g->in, dy + t.y + i * t.y_row, g->out,
                                            dw + t.weight);
    }
}

static void weight_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_conv *c = p->c;
    const nl_conv_geom *g = &c->inner;
    const int64_t part = b / g->kernel_h, a = b % g->kernel_h, row = c->part_size / g->kernel_h;
    nl_real *dw = c->part + part * c->part_size;
    memset(dw + a * row, 0, (size_t)row * sizeof *dw);
    for (int64_t n = nl_edge(p->n, p->parts, part); n < nl_edge(p->n, p->parts, part + 1); n++) {
        const nl_real *x = p->x + n * image_of(g), *dy = p->y + n * result_of(g);
        if (c->depthwise)
            depthwise_sums(g, a, x, dy, dw);
        else
            outer_image(c, a, x, dy, dw);
    }
}

static void picture_block(int64_t part, void *arg)
{
    const pass *p = arg;
    const nl_conv *c = p->c;
    nl_real *dw = c->part + part * c->part_size;
    memset(dw, 0, (size_t)c->part_size * sizeof *dw);
    for (int64_t n = nl_edge(p->n, p->parts, part); n < nl_edge(p->n, p->parts, part + 1); n++)
        outer_picture(c, p->x + n * image_of(&c->inner), p->y + n * result_of(&c->inner), dw);
}

static void fold_block(int64_t a, void *arg)
{
    const pass *p = arg;
    const nl_conv *c = p->c;
    const int64_t rows = c->g.kernel_h, row = c->part_size / rows;
    nl_real *to = p->to + a * row, *from = c->part + a * row;
    if (!c->lanes.by_taps) {
        nl_conv_kernel()->fold(from, p->parts, c->part_size, row, to, p->add);
        return;
    }
    const int64_t out = c->g.out, run = row / out;
    nl_conv_kernel()->fold(from, p->parts, c->part_size, row, from, false);
    for (int64_t r = 0; r < run; r++)
        for (int64_t o = 0; o < out; o++)
            to[r * out + o] = (p->add ? to[r * out + o] : 0) + from[o * run + r];
}

void nl_conv_weight_gradient(nl_conv *c, int64_t n, const nl_real *x, const nl_real *dy,
                             nl_real *dw, bool add)
{
    if (c->by_pairs) {
        nl_winograd_rows_weight_gradient(c->pairs, n, x, dy, dw, add);
        return;
    }
    pass p = {.c = c, .x = framed(c, n, x), .y = dy, .to = dw, .n = n, .add = add};
    p.parts = nl_least(n, NL_CONV_PARTS);
    if (c->by_tiles)
        nl_winograd_weight_gradient(c->tiles, n, x, dy, c->part, p.parts);
    else if (c->picture)
        nl_for(p.parts, flops(c, n), picture_block, &p);
    else
        nl_for(p.parts * c->g.kernel_h, flops(c, n), weight_block, &p);
    nl_for(c->g.kernel_h, p.parts * c->part_size * 4, fold_block, &p);
}
