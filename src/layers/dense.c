/* Dense layer: t = x W, x (n, in) with positions flattened, W (in, out), t (n, out); then what
 * unit.h says of bias, norms, residual and activation. positions=true does so at each position. */
#include "core/gemm.h"
#include "layers/unit.h"

struct dense {
    nl_unit unit;
    bool positions;
};

static const nl_option options[] = {
    NL_UNIT_OPTIONS(struct dense, "units"),
    NL_OPT_FLAG(struct dense, positions, "false", "the same at each position"), NL_OPT_END};

static void forward(const nl_layer *l, int64_t n, const nl_real *x, const nl_real *w, nl_real *t)
{
    nl_gemm_nn(l->work, n * l->out.s, x, l->in.c, w, t, l->out.c, false);
}

static void data_gradient(const nl_layer *l, int64_t n, const nl_real *dt, const nl_real *w,
                          nl_real *dx, bool add)
{
    nl_gemm_nt(l->work, n * l->out.s, dt, l->out.c, w, dx, l->in.c, add);
}

static void weight_gradient(const nl_layer *l, int64_t n, const nl_real *x, const nl_real *dt,
                            nl_real *dw, bool add)
{
    nl_gemm_tn(l->work, n * l->out.s, x, l->in.c, dt, l->out.c, dw, add);
}

static const nl_product product = {forward, data_gradient, weight_gradient};

static nl_status shape(nl_layer *l)
{
    const struct dense *o = l->self;
    nl_unit *u = l->self;
    if (!o->positions)
        l->in = (nl_shape){.s = 1, .c = l->in.s * l->in.c};
    l->out = l->in;
    l->out.c = u->out;
    u->rows = u->fan_in = l->in.c;
    u->fan_out = u->out;
    u->product = &product;
    return NL_OK;
}

static nl_status open(nl_layer *l)
{
    nl_gemm *g;
    NL_TRY(nl_gemm_open(&g, l->n * l->out.s, l->in.c, l->out.c, true));
    l->work = g;
    return NL_OK;
}

static void close(nl_layer *l) { nl_gemm_close(l->work); }

const nl_layer_ops nl_layer_dense = {
    NL_LAYER_HEADER,        .name = "dense",
    .title = "Dense layer", .self_size = sizeof(struct dense),
    NL_UNIT_FUNCTIONS,      .options = options,
    .shape = shape,         .open = open,
    .close = close,
};
