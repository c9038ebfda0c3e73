/* Residual network for small images. He et al. 2016 (arXiv:1512.03385), sec. 4.2: 6n + 2 layers,
 *
 *     conv 3x3 width;  3 stages of n blocks with width, 2 width, 4 width channels, the first block
 *     of stages 2 and 3 with stride 2;  global average pool;  dense
 *     block: y = relu(x' + norm(conv(relu(norm(conv(x))))))
 * x' is x, or where the shape changes: shortcut=a takes every second pixel and pads channels with
 * zeros, shortcut=b a 1x1 convolution and norm; shortcut=none drops x' (the plain net).
 *
 * fixup=true is the net without norms of Zhang et al. 2019 (arXiv:1901.09321), sec. 3, as in the
 * authors' CIFAR code: a scalar bias before each convolution and activation, one scalar multiplier
 * a block, the first convolution of a block scaled down by sqrt(number of blocks), the second and
 * the classifier starting at 0. Where the shape changes, x' is of x plus the block's first bias, as
 * there (fixup_resnet_cifar.py). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/model.h"

struct resnet {
    int64_t depth, width;
    nl_choice shortcut, bias;
    bool fixup;
};

static const char *const shortcuts[] = {"a", "b", "none", NULL};
enum { PADDED, PROJECTED, PLAIN };
static const char *const biases[] = {"off", "before", "after", NULL};
static const nl_option options[] = {
    NL_OPT(struct resnet, depth, "20", 8, 1202, "layers, 6 n + 2"),
    NL_OPT(struct resnet, width, "16", 1, 1 << 12, "channels of the first stage"),
    NL_OPT_NAMES(struct resnet, shortcut, "a", shortcuts, "where the shape changes; none: plain"),
    NL_OPT_NAMES(struct resnet, bias, "off", biases, "of the convolutions"),
    NL_OPT(struct resnet, fixup, "false", 0, 1, "scalar biases and multipliers instead of norms"),
    NL_OPT_END};

static const char *const protocol[] = {
    "batch=128", "steps=64000", "init=he_normal",
    "optimizer=momentum:lr=0.1:momentum=0.9:decay=1e-4:schedule=step:milestones=32000/48000", NULL};
static const char *const slots[] = {"preact", NULL};

/* A block under construction: its name, and where the model stands. */
typedef struct block {
    nl_model *m;
    const struct resnet *o;
    char name[16];
    long long out, stride;
    int in, shortcut; /* outputs of the model */
    int read;     /* by the convolution and a shortcut of another shape: in, or its biased copy */
    double scale; /* fixup: of the first convolution's weights */
} block;

static const char *named(const block *b, const char *part, char name[NL_LAYER_NAME_MAX])
{
    snprintf(name, NL_LAYER_NAME_MAX, "%s%s", b->name, part);
    return name;
}

/* x' has the shape of the block's result afterwards. */
static nl_status add_shortcut(block *b)
{
    char name[NL_LAYER_NAME_MAX];
    const nl_shape in = nl_model_shape(b->m);
    b->shortcut = b->in;
    if (in.c == b->out && b->stride == 1)
        return NL_OK;
    if (b->o->shortcut.is == PADDED)
        NL_TRY(nl_model_add(b->m, named(b, "s", name), NL_NOT_NORMED,
                            "shortcut:out=%lld:stride=%lld", b->out, b->stride));
    else
        NL_TRY(nl_model_add(b->m, named(b, "s", name), NL_NORMED,
                            "conv:out=%lld:kernel=1:stride=%lld:bias=%s", b->out, b->stride,
                            biases[b->o->bias.is]));
    b->shortcut = nl_model_latest(b->m);
    return NL_OK;
}

static void join(const block *b)
{
    if (b->o->shortcut.is != PLAIN)
        nl_model_residual(b->m, b->shortcut);
}

static nl_status add_normed(block *b)
{
    char name[NL_LAYER_NAME_MAX];
    const char *bias = biases[b->o->bias.is];
    nl_model_from(b->m, b->read);
    NL_TRY(nl_model_add(b->m, named(b, "c1", name), NL_NORMED,
                        "conv:out=%lld:stride=%lld:pad=1:act=relu:bias=%s", b->out, b->stride,
                        bias));
    join(b);
    return nl_model_add(b->m, named(b, "c2", name), NL_NORMED,
                        "conv:out=%lld:pad=1:act=relu:bias=%s", b->out, bias);
}

static nl_status add_fixup(block *b)
{
    char name[NL_LAYER_NAME_MAX];
    const double std = sqrt(2.0 / (9.0 * (double)b->out)) * b->scale;
    nl_model_from(b->m, b->read);
    NL_TRY(nl_model_add(b->m, named(b, "c1", name), NL_NOT_NORMED,
                        "conv:out=%lld:stride=%lld:pad=1:bias=off:init=normal(%.17g)", b->out,
                        b->stride, std));
    NL_TRY(nl_model_add(b->m, named(b, "b1b", name), NL_NOT_NORMED, "scalar:scale=false:act=relu"));
    NL_TRY(nl_model_add(b->m, named(b, "b2a", name), NL_NOT_NORMED, "scalar:scale=false"));
    NL_TRY(nl_model_add(b->m, named(b, "c2", name), NL_NOT_NORMED,
                        "conv:out=%lld:pad=1:bias=off:init=zeros", b->out));
    join(b);
    return nl_model_add(b->m, named(b, "b2b", name), NL_NOT_NORMED, "scalar:act=relu");
}

static nl_status add_block(block *b)
{
    char name[NL_LAYER_NAME_MAX];
    b->in = nl_model_latest(b->m);
    if (b->o->fixup)
        NL_TRY(nl_model_add(b->m, named(b, "b1a", name), NL_NOT_NORMED, "scalar:scale=false"));
    b->read = nl_model_latest(b->m);
    if (b->o->shortcut.is != PLAIN)
        NL_TRY(add_shortcut(b));
    return b->o->fixup ? add_fixup(b) : add_normed(b);
}

static nl_status check(const struct resnet *o)
{
    if (o->depth % 6 != 2)
        return nl_fail(NL_EOPTION, "resnet: depth is 6 n + 2 (20, 32, 44, 56, 110), got %lld",
                       (long long)o->depth);
    if (o->fixup && o->shortcut.is == PROJECTED)
        return nl_fail(NL_EOPTION, "resnet: fixup=true goes with shortcut=a or none");
    if (o->fixup && strcmp(biases[o->bias.is], "off") != 0)
        return nl_fail(
            NL_EOPTION,
            "resnet: fixup=true has scalar biases of its own, wanted bias=off, got bias=%s",
            biases[o->bias.is]);
    return NL_OK;
}

static nl_status build(const void *self, nl_model *m)
{
    const struct resnet *o = self;
    const long long blocks = o->depth / 6;
    block b = {.m = m, .o = o, .scale = 1 / sqrt(3.0 * (double)blocks)};
    NL_TRY(check(o));
    if (o->fixup)
        NL_TRY(nl_model_wants_no_norm(m, "fixup=true is a net without norms"));
    NL_TRY(nl_model_add(m, "c0", o->fixup ? NL_NOT_NORMED : NL_NORMED,
                        "conv:out=%lld:pad=1:%sbias=%s", (long long)o->width,
                        o->fixup ? "" : "act=relu:", biases[o->bias.is]));
    if (o->fixup)
        NL_TRY(nl_model_add(m, "b0", NL_NOT_NORMED, "scalar:scale=false:act=relu"));
    for (int stage = 0; stage < 3; stage++)
        for (int k = 0; k < blocks; k++) {
            snprintf(b.name, sizeof b.name, "s%db%d", stage + 1, k + 1);
            b.out = (long long)o->width << stage;
            b.stride = stage > 0 && k == 0 ? 2 : 1;
            NL_TRY(add_block(&b));
        }
    NL_TRY(nl_model_add(m, "pool", NL_NOT_NORMED, "pool:kind=global"));
    if (o->fixup)
        NL_TRY(nl_model_add(m, "b3", NL_NOT_NORMED, "scalar:scale=false"));
    return nl_model_add(m, "out", NL_ANSWER, "dense:out=%lld%s", (long long)nl_model_outputs(m),
                        o->fixup ? ":init=zeros" : "");
}

extern const nl_model_ops nl_model_resnet;
const nl_model_ops nl_model_resnet = {
    NL_MODEL_HEADER,
    .name = "resnet",
    .title = "Residual network for small images",
    .cite = "he2016deep",
    .self_size = sizeof(struct resnet),
    .options = options,
    .protocol = protocol,
    .slots = slots,
    .build = build,
};
