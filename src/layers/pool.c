/* Pooling: y[i,j] is the average or the largest of the window of x at (i stride, j stride), channel
 * by channel; kind=global averages whole images. A norm in slot `act` stands after it, as in
 * ziaee2022. Cells of the padding are no part of a window: an average divides by those that are
 * there, as Keras does (PyTorch: count_include_pad=False). */
#include <string.h>

#include "base/cut.h"
#include "core/conv.h"
#include "core/layer.h"
#include "kernel/pool.h"
#include "par/par.h"

struct pool {
    nl_choice kind;
    int64_t size, stride;
    nl_string pad;
    nl_conv_geom geom; /* filled by shape */
};

static const char *const kinds[] = {"avg", "max", "global", NULL};
enum { AVERAGE, MAX, GLOBAL };

static const nl_option options[] = {
    NL_OPT_NAMES(struct pool, kind, "avg", kinds, "average, maximum, or average of the image"),
    NL_OPT(struct pool, size, "2", 1, 1024, "height and width of the window"),
    NL_OPT(struct pool, stride, "0", 0, 1024, "pixels from one window to the next (0: size)"),
    NL_OPT_TEXT(struct pool, pad, "valid", "same, valid, or pixels on every side"), NL_OPT_END};

enum { ACT };
static const nl_slot_decl slots[] = {{.name = "act", .site = NL_AT_ACT, .doc = "after the pooling"},
                                     {0}};

enum { A, VARIABLES };
static const nl_variable variables[] = {
    [A] = {.name = "a", .role = NL_SAVED, .dim = {NL_N, NL_USER}, .doc = "input of the norm"},
    [VARIABLES] = NL_ENDS_VARIABLES};

static nl_status shape(nl_layer *l)
{
    struct pool *o = l->self;
    NL_TRY(nl_layer_image(l, &l->in));
    nl_conv_geom *g = &o->geom;
    *g = (nl_conv_geom){.h = l->in.h, .w = l->in.w, .in = l->in.c, .out = l->in.c, .groups = 1};
    const bool global = o->kind.is == GLOBAL;
    g->kernel_h = global ? g->h : o->size;
    g->kernel_w = global ? g->w : o->size;
    g->stride = o->stride ? o->stride : o->size;
    NL_TRY(nl_conv_pad(g, global ? "valid" : o->pad.is, l->name));
    if (g->pad_top >= g->kernel_h || g->pad_left >= g->kernel_w)
        return nl_fail(NL_ESHAPE, "%s: windows of %lld in a padding of %lld", l->name,
                       (long long)g->kernel_h, (long long)g->pad_top);
    l->out = (nl_shape){.s = g->out_h * g->out_w, .c = g->out, .h = g->out_h, .w = g->out_w};
    return NL_OK;
}

static nl_geom slot_geom(const nl_layer *l, int slot)
{
    (void)slot;
    return (nl_geom){.n = l->n, .s = l->out.s, .c = l->out.c, .steps = 1, .batch = l->batch};
}

static int64_t extent(const nl_layer *l, int id, int dim)
{
    (void)id;
    (void)dim;
    return l->norm[ACT] ? l->out.s * l->out.c : 0;
}

typedef struct job {
    const struct pool *o;
    const nl_real *x, *y, *dy;
    nl_real *to;      /* y or dx */
    bool add, spread; /* to dx; spread: windows share no cell and leave none out */
} job;

/* Cells of the window of result i along one axis that are in the image. */
static int64_t cells(int64_t i, int64_t stride, int64_t pad, int64_t size, int64_t kernel,
                     int64_t *from)
{
    const int64_t start = i * stride - pad, end = start + kernel;
    *from = start > 0 ? start : 0;
    return (end < size ? end : size) - *from;
}

static void pool_windows(const job *j, int64_t n, int64_t i, int64_t lines, int64_t first,
                         int64_t pixels)
{
    const nl_conv_geom *g = &j->o->geom;
    int64_t row, col;
    nl_window t = {.lines = lines, .pixels = pixels, .c = g->in, .x_step = g->stride * g->in};
    t.rows = cells(i, g->stride, g->pad_top, g->h, g->kernel_h, &row);
    t.cols = cells(first, g->stride, g->pad_left, g->w, g->kernel_w, &col);
    t.x_row = g->w * g->in, t.x_line = g->stride * t.x_row;
    const int64_t x = ((n * g->h + row) * g->w + col) * g->in;
    const int64_t y = ((n * g->out_h + i) * g->out_w + first) * g->in;
    const nl_real scale = (nl_real)(1 / (double)(t.rows * t.cols));
    const nl_pool_kernels *kernel = nl_pool_kernel();
    const bool max = j->o->kind.is == MAX;
    if (j->dy && max)
        kernel->max_back(t, j->x + x, j->y + y, j->dy + y, j->to + x);
    else if (j->dy && j->spread)
        kernel->average_spread(t, j->dy + y, scale, j->to + x);
    else if (j->dy)
        kernel->average_back(t, j->dy + y, scale, j->to + x);
    else if (max)
        kernel->max(t, j->x + x, j->to + y);
    else
        kernel->average(t, j->x + x, scale, j->to + y);
}

/* Whether the windows of an axis lie in the image. */
static bool are_whole(int64_t out, int64_t stride, int64_t pad, int64_t kernel, int64_t size)
{
    return pad == 0 && (out - 1) * stride + kernel <= size;
}

/* Of lines of windows that write no pixel of another's; two, so that two threads meet at the same
 * place in every pass. */
static int64_t chunks_of(const job *j)
{
    return (!j->dy || j->spread) && j->o->geom.out_h > 1 ? 2 : 1;
}

static void pool_chunk(int64_t b, void *arg)
{
    const job *j = arg;
    const nl_conv_geom *g = &j->o->geom;
    const int64_t chunks = chunks_of(j), n = b / chunks, chunk = b % chunks;
    const int64_t image = g->h * g->w * g->in, to = nl_edge(g->out_h, chunks, chunk + 1);
    const bool rows = are_whole(g->out_h, g->stride, g->pad_top, g->kernel_h, g->h);
    const bool whole = rows && are_whole(g->out_w, g->stride, g->pad_left, g->kernel_w, g->w);
    if (j->dy && !j->add && !j->spread)
        memset(j->to + n * image, 0, (size_t)image * sizeof *j->to);
    const int64_t from = nl_edge(g->out_h, chunks, chunk);
    const int64_t lines = whole ? to - from : 1, pixels = whole ? g->out_w : 1;
    for (int64_t i = from; i < to; i += lines)
        for (int64_t k = 0; k < g->out_w; k += pixels)
            pool_windows(j, n, i, lines, k, pixels);
}

/* Averages whose windows lie side by side and cover the image. */
static bool tiles(const struct pool *o)
{
    const nl_conv_geom *g = &o->geom;
    return o->kind.is != MAX && g->pad_top == 0 && g->pad_left == 0 &&
           (g->out_h == 1 || g->stride == g->kernel_h) &&
           (g->out_w == 1 || g->stride == g->kernel_w) && g->out_h * g->kernel_h == g->h &&
           g->out_w * g->kernel_w == g->w;
}

static void run(const nl_layer *l, int64_t n, job *j)
{
    j->o = l->self;
    nl_for(n * chunks_of(j), n * (l->in.s * l->in.c + l->out.s * l->out.c) * (int64_t)sizeof *j->to,
           pool_chunk, j);
}

static nl_real *pooled(const nl_layer *l, const nl_layer_call *c)
{
    return l->norm[ACT] ? nl_layer_value(l, A) : c->y;
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    job j = {.x = c->x, .to = pooled(l, c)};
    run(l, c->n, &j);
    if (l->norm[ACT]) {
        nl_args p = nl_layer_norm_args(c);
        p.x = j.to, p.y = c->y;
        nl_norm_forward(l->norm[ACT], &p);
    }
}

static void backward(nl_layer *l, const nl_layer_call *c)
{
    job j = {.x = c->x, .y = pooled(l, c), .dy = c->dy, .to = c->dx, .add = c->add_dx};
    if (l->norm[ACT]) {
        nl_args p = nl_layer_norm_args(c);
        nl_layer_tell(l, c, ACT, NL_POST, c->dy);
        p.x = j.y, p.y = c->y, p.dy = p.dx = c->dy;
        nl_norm_backward(l->norm[ACT], &p);
        nl_layer_tell(l, c, ACT, NL_PRE, c->dy);
    }
    j.spread = !c->add_dx && tiles(l->self);
    if (c->dx)
        run(l, c->n, &j);
}

static void observe(nl_layer *l, const nl_layer_call *c, int slot, nl_real *pre, nl_real *post)
{
    const int64_t values = c->n * l->out.s * l->out.c;
    memcpy(pre, pooled(l, c), (size_t)values * sizeof *pre);
    nl_layer_look(l, slot, nl_layer_norm_args(c), values, pre, post);
}

const nl_layer_ops nl_layer_pool = {
    NL_LAYER_HEADER,        .name = "pool",
    .title = "Pooling",     .self_size = sizeof(struct pool),
    .options = options,     .variables = variables,
    .slots = slots,         .shape = shape,
    .slot_geom = slot_geom, .extent = extent,
    .forward = forward,     .backward = backward,
    .observe = observe,
};
