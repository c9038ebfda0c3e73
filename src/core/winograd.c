#include "core/winograd.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cut.h"
#include "kernel/conv.h"
#include "kernel/winograd.h"
#include "par/par.h"

/* A group of tiles is so large that its patches, its products and the weights stay in the caches of
 * one core: 128 KiB each, in float, at 64 channels. */
enum {
    TAPS = 9,
    LINE = 64 / (int)sizeof(nl_real), /* reals of a cache line and of the widest register */
    CHANNELS = 64,                    /* of x, and of y, at once */
    TILES_MOST = 64,
    VALUES = 2048, /* of one product: tiles x channels */
    GROUP = NL_PRODUCTS * (VALUES + LINE),
    SUM = CHANNELS * CHANNELS + LINE, /* of one product: channels x channels */
    SUMS = NL_PRODUCTS * SUM
};

/* Images on one side of the correlation; a strip of tiles lies on `rows` rows of pixels. */
typedef struct images {
    int64_t h, w, channels, rows, pad_top, pad_left;
} images;

struct nl_winograd {
    images x, y;
    int64_t tiles_h, tiles_w; /* of an image */
    int64_t pieces;           /* strips of a row of tiles */
    int64_t group;            /* strips of a group */
    int64_t product;          /* distance of products: an odd number of lines, since rows at even
                               * distances meet in few places of a cache */
    nl_real *transformed;     /* weights (NL_PRODUCTS, in, out) */
    nl_real *zeros;           /* a row of pixels */
};

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t lines(int64_t channels) { return nl_ceil_div(channels, LINE) * LINE; }
static int64_t weights_of(const nl_winograd *c) { return c->x.channels * c->y.channels; }
static int64_t strips_of(const nl_winograd *c) { return c->tiles_h * c->pieces; }
/* Channels from `from` on that are worked on together. */
static int64_t chunk_of(const images *m, int64_t from)
{
    return nl_least(CHANNELS, m->channels - from);
}

int64_t nl_winograd_products(int64_t out_h, int64_t out_w)
{
    return nl_ceil_div(out_h, NL_TILE) * nl_ceil_div(out_w, NL_TILE) * NL_PRODUCTS;
}

static void plan(nl_winograd *c, const nl_winograd_geom *g)
{
    const int64_t channels = lines(nl_least(CHANNELS, most(g->in, g->out)));
    const int64_t tiles = nl_least(TILES_MOST, VALUES / channels);
    c->x = (images){g->h, g->w, g->in, NL_PATCH, g->pad_top, g->pad_left};
    c->y = (images){g->out_h, g->out_w, g->out, NL_TILE, 0, 0};
    c->tiles_h = nl_ceil_div(g->out_h, NL_TILE);
    c->tiles_w = nl_ceil_div(g->out_w, NL_TILE);
    c->pieces = nl_ceil_div(c->tiles_w, tiles);
    c->group = tiles / nl_ceil_div(c->tiles_w, c->pieces);
    c->product = tiles * channels + LINE;
}

nl_status nl_winograd_open(nl_winograd **out, const nl_winograd_geom *g)
{
    *out = NULL;
    nl_winograd *c = nl_alloc(1, sizeof *c);
    if (!c)
        return nl_fail(NL_ENOMEM, "a convolution");
    plan(c, g);
    c->transformed = nl_alloc((size_t)(NL_PRODUCTS * weights_of(c)), sizeof(nl_real));
    c->zeros = nl_alloc((size_t)most(g->w * g->in, g->out_w * g->out), sizeof(nl_real));
    if (!c->transformed || !c->zeros) {
        nl_winograd_close(c);
        return nl_fail(NL_ENOMEM, "a convolution of %lld to %lld channels", (long long)g->in,
                       (long long)g->out);
    }
    *out = c;
    return NL_OK;
}

void nl_winograd_close(nl_winograd *c)
{
    if (!c)
        return;
    nl_free(c->transformed);
    nl_free(c->zeros);
    nl_free(c);
}

/* ---- groups of tiles */

/* Strips [from, to) of all images: by image, row of tiles, piece of the row. */
typedef struct group {
    int64_t from, to;
} group;

static group group_at(const nl_winograd *c, int64_t from, int64_t end)
{
    return (group){from, nl_least(from + c->group, end)};
}

static int64_t tiles_before(const nl_winograd *c, int64_t strip)
{
    return strip / c->pieces * c->tiles_w + nl_edge(c->tiles_w, c->pieces, strip % c->pieces);
}

static int64_t tiles_of(const nl_winograd *c, group g)
{
    return tiles_before(c, g.to) - tiles_before(c, g.from);
}

static nl_strip strip_of(const nl_winograd *c, const images *m, int64_t strip, int64_t from)
{
    nl_strip s = {.width = m->w, .pixel = m->channels, .product = c->product};
    s.left = tiles_before(c, strip) % c->tiles_w * NL_TILE - m->pad_left;
    s.tiles = tiles_before(c, strip + 1) - tiles_before(c, strip);
    s.channels = chunk_of(m, from);
    s.tile = lines(s.channels);
    return s;
}

/* First row of pixels of a strip in its image; may be missing, as those behind it. */
static int64_t top_of(const nl_winograd *c, const images *m, int64_t strip)
{
    return strip % strips_of(c) / c->pieces * NL_TILE - m->pad_top;
}

/* Where row `row` of the strip's image begins among all images, or -1. */
static int64_t row_at(const nl_winograd *c, const images *m, int64_t strip, int64_t row)
{
    return row < 0 || row >= m->h ? -1 : (strip / strips_of(c) * m->h + row) * m->w * m->channels;
}

typedef void transform(const nl_strip *s, const nl_real *const *row, nl_real *to);

/* Channels from `from` on of a group of strips, transformed into `to`. */
static void transform_group(const nl_winograd *c, const images *m, group g, const nl_real *image,
                            int64_t from, transform *kernel, nl_real *to)
{
    for (int64_t k = g.from; k < g.to; k++) {
        const nl_strip s = strip_of(c, m, k, from);
        const nl_real *row[NL_PATCH];
        for (int64_t i = 0; i < m->rows; i++) {
            const int64_t at = row_at(c, m, k, top_of(c, m, k) + i);
            row[i] = at < 0 ? c->zeros : image + at + from;
        }
        kernel(&s, row, to);
        to += s.tiles * s.tile;
    }
}

static void write_group(const nl_winograd *c, group g, const nl_real *m, nl_real *y, int64_t from,
                        bool add)
{
    for (int64_t k = g.from; k < g.to; k++) {
        const nl_strip s = strip_of(c, &c->y, k, from);
        nl_real *row[NL_TILE];
        for (int64_t i = 0; i < NL_TILE; i++) {
            const int64_t at = row_at(c, &c->y, k, top_of(c, &c->y, k) + i);
            row[i] = at < 0 ? NULL : y + at + from;
        }
        nl_winograd_kernel()->results(&s, m, row, add);
        m += s.tiles * s.tile;
    }
}

/* Pixels of all images before those that the strip is the first to need. */
static int64_t pixels_before(const nl_winograd *c, const images *m, int64_t strip)
{
    const int64_t row = nl_least(m->h, most(0, top_of(c, m, strip) + m->rows - NL_TILE));
    return (strip / strips_of(c) * m->h + row) * m->w;
}

/* Asks for share k of NL_PRODUCTS of a group's pixels, so that memory works while products do. */
static void fetch(const nl_winograd *c, const images *m, group g, const nl_real *image,
                  int64_t from, int64_t k)
{
    const int64_t first = pixels_before(c, m, g.from);
    const int64_t pixels = pixels_before(c, m, g.to) - first;
    const int64_t begin = nl_edge(pixels, NL_PRODUCTS, k),
                  end = nl_edge(pixels, NL_PRODUCTS, k + 1);
    nl_winograd_kernel()->fetch(image + (first + begin) * m->channels + from, end - begin,
                                m->channels, chunk_of(m, from));
}

/* ---- correlation */

typedef struct pass {
    const nl_winograd *c;
    const nl_real *x, *w, *dy;
    nl_real *to;
    int64_t n, parts;
    bool add;
} pass;

static int64_t flops(const nl_winograd *c, int64_t n)
{
    return 2 * n * c->tiles_h * c->tiles_w * NL_PRODUCTS * weights_of(c);
}

static void weights_block(int64_t q, void *arg)
{
    const pass *p = arg;
    const int64_t out = p->c->y.channels, weights = weights_of(p->c);
    nl_winograd_kernel()->weights(out, p->w + q * out, weights, p->c->transformed + q * out,
                                  weights);
}

/* m (+)= v times the weights from (q, o) on, for all products of the group. */
static void multiply(const pass *p, group g, group next, const nl_real *v, int64_t q, nl_real *m,
                     int64_t o)
{
    const nl_winograd *c = p->c;
    nl_correlation t = {.pixels = tiles_of(c, g), .rows = 1, .cols = 1, .add = q > 0};
    t.run = chunk_of(&c->x, q), t.out = chunk_of(&c->y, o);
    t.ldx = lines(t.run), t.ldw = c->y.channels, t.ldy = lines(t.out);
    for (int64_t k = 0; k < NL_PRODUCTS; k++) {
        t.x = v + k * c->product;
        t.w = c->transformed + k * weights_of(c) + q * c->y.channels + o;
        t.y = m + k * c->product;
        nl_conv_kernel()->correlate(&t);
        fetch(c, &c->x, next, p->x, q, k);
        fetch(c, &c->y, g, p->to, o, k);
    }
}

static void group_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_winograd *c = p->c;
    const int64_t end = p->n * strips_of(c);
    const group g = group_at(c, b * c->group, end), next = group_at(c, g.to, end);
    _Alignas(64) nl_real v[GROUP], m[GROUP];
    for (int64_t o = 0; o < c->y.channels; o += CHANNELS) {
        for (int64_t q = 0; q < c->x.channels; q += CHANNELS) {
            transform_group(c, &c->x, g, p->x, q, nl_winograd_kernel()->patches, v);
            multiply(p, g, next, v, q, m, o);
        }
        write_group(c, g, m, p->to, o, p->add);
    }
}

void nl_winograd_correlate(nl_winograd *c, int64_t n, const nl_real *x, const nl_real *w,
                           nl_real *y, bool add)
{
    pass p = {.c = c, .x = x, .w = w, .to = y, .n = n, .add = add};
    nl_for_in_order(c->x.channels, NL_PRODUCTS * weights_of(c) * 4, weights_block, &p);
    nl_for_in_order(nl_ceil_div(n * strips_of(c), c->group), flops(c, n), group_block, &p);
}

/* ---- gradient of w */

/* sums (NL_PRODUCTS, in, out) += v^T d. */
static void add_products(const pass *p, group g, group next, const nl_real *v, int64_t q,
                         const nl_real *d, int64_t o, nl_real *sums)
{
    const nl_winograd *c = p->c;
    nl_outer_sum s = {.rows = 1, .cols = tiles_of(c, g)};
    s.run = chunk_of(&c->x, q), s.out = chunk_of(&c->y, o);
    s.x_col = lines(s.run), s.y_col = s.ldw = lines(s.out);
    for (int64_t k = 0; k < NL_PRODUCTS; k++) {
        s.x = v + k * c->product, s.y = d + k * c->product, s.w = sums + k * SUM;
        nl_conv_kernel()->outer_sum(&s);
        fetch(c, &c->x, next, p->x, q, k);
        fetch(c, &c->y, next, p->dy, o, k);
    }
}

/* Block b: chunks (q, o) of channels in one part of the images. */
static void sum_block(int64_t b, void *arg)
{
    const pass *p = arg;
    const nl_winograd *c = p->c;
    const int64_t in = c->x.channels, out = c->y.channels, chunks_in = nl_ceil_div(in, CHANNELS);
    const int64_t part = b % p->parts, chunk = b / p->parts;
    const int64_t q = chunk % chunks_in * CHANNELS, o = chunk / chunks_in * CHANNELS;
    const int64_t end = nl_edge(p->n, p->parts, part + 1) * strips_of(c);
    _Alignas(64) nl_real v[GROUP], d[GROUP], sums[SUMS];
    memset(sums, 0, sizeof sums);
    group g = group_at(c, nl_edge(p->n, p->parts, part) * strips_of(c), end);
    while (g.from < end) {
        const group next = group_at(c, g.to, end);
        transform_group(c, &c->x, g, p->x, q, nl_winograd_kernel()->patches, v);
        transform_group(c, &c->y, g, p->dy, o, nl_winograd_kernel()->gradients, d);
        add_products(p, g, next, v, q, d, o, sums);
        g = next;
    }
    nl_real *dw = p->to + part * TAPS * in * out + q * out + o;
    for (int64_t i = 0; i < chunk_of(&c->x, q); i++)
        nl_winograd_kernel()->weight_gradient(
            chunk_of(&c->y, o), sums + i * lines(chunk_of(&c->y, o)), SUM, dw + i * out, in * out);
}

void nl_winograd_weight_gradient(nl_winograd *c, int64_t n, const nl_real *x, const nl_real *dy,
                                 nl_real *part, int64_t parts)
{
    pass p = {.c = c, .x = x, .dy = dy, .to = part, .n = n, .parts = parts};
    const int64_t chunks =
        nl_ceil_div(c->x.channels, CHANNELS) * nl_ceil_div(c->y.channels, CHANNELS);
    nl_for_in_order(parts * chunks, flops(c, n), sum_block, &p);
}
