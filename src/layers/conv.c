/* Convolution: t (n, out_h * out_w, out) of images x (n, h * w, in), weights W (kernel_h * kernel_w
 * * in / groups, out): core/conv.h; then what unit.h says of bias, norms, residual and activation.
 * fan-in and fan-out count the taps, as Keras and PyTorch do: taps * in / groups and taps * out /
 * groups. */
#include "core/conv.h"

#include "layers/unit.h"

struct conv {
    nl_unit unit;
    int64_t kernel, kernel_w, stride, groups;
    bool depthwise;
    nl_choice algorithm;
    nl_string pad;
    nl_conv_geom geom; /* filled by shape */
};

static const nl_option options[] = {
    NL_UNIT_OPTIONS(struct conv, "channels of the result"),
    NL_OPT(struct conv, kernel, "3", 1, 1024, "height and width of the window"),
    NL_OPT(struct conv, kernel_w, "0", 0, 1024, "its width, where that differs (0: as kernel)"),
    NL_OPT(struct conv, stride, "1", 1, 4, "pixels from one window to the next"),
    NL_OPT_TEXT(struct conv, pad, "same", "same, valid, or zeros on every side"),
    NL_OPT(struct conv, groups, "1", 1, 1 << 24, "groups of channels that see only each other"),
    NL_OPT(struct conv, depthwise, "false", 0, 1, "as many groups as there are channels"),
    NL_OPT_NAMES(struct conv, algorithm, "auto", nl_conv_algorithms, "auto: the faster by shape"),
    NL_OPT_END};

static void forward(const nl_layer *l, int64_t n, const nl_real *x, const nl_real *w, nl_real *t)
{
    nl_conv_forward(l->work, n, x, w, t);
}

static void data_gradient(const nl_layer *l, int64_t n, const nl_real *dt, const nl_real *w,
                          nl_real *dx, bool add)
{
    nl_conv_data_gradient(l->work, n, dt, w, dx, add);
}

static void weight_gradient(const nl_layer *l, int64_t n, const nl_real *x, const nl_real *dt,
                            nl_real *dw, bool add)
{
    nl_conv_weight_gradient(l->work, n, x, dt, dw, add);
}

static const nl_product product = {forward, data_gradient, weight_gradient};

static nl_status check_groups(const nl_layer *l, const nl_conv_geom *g)
{
    if (g->in % g->groups || g->out % g->groups)
        return nl_fail(NL_ESHAPE, "%s: %lld groups do not divide %lld channels into %lld", l->name,
                       (long long)g->groups, (long long)g->in, (long long)g->out);
    return NL_OK;
}

static nl_status shape(nl_layer *l)
{
    struct conv *o = l->self;
    NL_TRY(nl_layer_image(l, &l->in));
    o->geom = (nl_conv_geom){.h = l->in.h,
                             .w = l->in.w,
                             .in = l->in.c,
                             .out = o->unit.out,
                             .kernel_h = o->kernel,
                             .kernel_w = o->kernel_w ? o->kernel_w : o->kernel,
                             .stride = o->stride,
                             .groups = o->depthwise ? l->in.c : o->groups,
                             .algorithm = o->algorithm.is};
    const nl_conv_geom *g = &o->geom;
    NL_TRY(check_groups(l, g));
    NL_TRY(nl_conv_pad(&o->geom, o->pad.is, l->name));
    l->out = (nl_shape){.s = g->out_h * g->out_w, .c = g->out, .h = g->out_h, .w = g->out_w};
    const int64_t taps = g->kernel_h * g->kernel_w;
    o->unit.rows = o->unit.fan_in = taps * (g->in / g->groups);
    o->unit.fan_out = taps * (g->out / g->groups);
    o->unit.product = &product;
    return NL_OK;
}

static nl_status open(nl_layer *l)
{
    const struct conv *o = l->self;
    nl_conv *c;
    NL_TRY(nl_conv_open(&c, l->n, &o->geom));
    l->work = c;
    return NL_OK;
}

static void close(nl_layer *l) { nl_conv_close(l->work); }

const nl_layer_ops nl_layer_conv = {
    NL_LAYER_HEADER,
    .name = "conv",
    .title = "2-D convolution",
    .self_size = sizeof(struct conv),
    NL_UNIT_FUNCTIONS,
    .options = options,
    .shape = shape,
    .open = open,
    .close = close,
};
