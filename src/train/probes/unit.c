/* The distribution of one unit over training, as figure 1 of Ioffe & Szegedy 2015 shows it for "the
 * inputs to a typical sigmoid" of the last hidden layer: percentiles of what slot `preact` of a
 * layer gets (pre) and gives (post) for that unit, over the first `examples` test examples, which
 * are normalized as in training, by statistics of their own. The network is taken at w0. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "train/moments.h"
#include "train/probe.h"

struct unit {
    nl_probe_common common;
    nl_string layer;
    int64_t unit, examples;
    nl_layer *of;
    int slot, pre, post; /* channels */
    nl_real *value[2], *one;
    nl_summarizer *summarizer;
};

static const nl_option options[] = {
    NL_PROBE_EVERY(struct unit),
    NL_OPT_TEXT(struct unit, layer, "", "name of the layer; '' for the last hidden one"),
    NL_OPT(struct unit, unit, "0", 0, 1 << 24, "number of the unit"),
    NL_OPT(struct unit, examples, "500", 2, 1e6, "test examples, at most"), NL_OPT_END};

#define PERCENTILES "/probes/unit/percentile"

static int preact_of(const nl_layer *l)
{
    for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++)
        if (l->ops->slots[k].site == NL_AT_PREACT && l->ops->observe)
            return k;
    return -1;
}

/* The layer of that name; without a name the last but one that has the slot, behind which the
 * logits are. */
static nl_status find_layer(struct unit *o, nl_model *m)
{
    nl_layer *last = NULL;
    for (int i = 0; i < nl_model_layers(m); i++) {
        nl_layer *l = nl_model_layer(m, i);
        if (preact_of(l) < 0)
            continue;
        if (o->layer.is[0] ? strcmp(l->name, o->layer.is) == 0 : last != NULL)
            o->of = o->layer.is[0] ? l : last;
        last = l;
    }
    if (!o->of)
        return nl_fail(NL_ENAME, "unit: no layer '%s' with a slot before its activation",
                       o->layer.is);
    if (o->unit >= o->of->out.c)
        return nl_fail(NL_EOPTION, "unit: unit=%lld, but %s has %lld units", (long long)o->unit,
                       o->of->name, (long long)o->of->out.c);
    o->slot = preact_of(o->of);
    return NL_OK;
}

static nl_status take_memory(struct unit *o)
{
    const int64_t rows = o->examples * o->of->out.s;
    const size_t values = (size_t)(rows * o->of->out.c);
    for (int k = 0; k < 2; k++)
        if (!(o->value[k] = nl_alloc(values, sizeof(nl_real))))
            return nl_fail(NL_ENOMEM, "unit: %zu values", values);
    if (!(o->one = nl_alloc((size_t)rows, sizeof *o->one)))
        return nl_fail(NL_ENOMEM, "unit: %lld values", (long long)rows);
    return nl_summarizer_open(&o->summarizer, rows, rows, 1, 1);
}

static nl_status open(void *self, const nl_probe_setup *s)
{
    struct unit *o = self;
    const int64_t there = s->data->test.count;
    NL_TRY(find_layer(o, s->model));
    o->examples = o->examples < there ? o->examples : there;
    o->examples =
        o->examples < o->of->n ? o->examples : o->of->n; /* what the network has room for */
    NL_TRY(take_memory(o));
    NL_TRY(nl_log_labels(s->log, PERCENTILES, nl_percentiles, NL_PERCENTILES));
    NL_TRY(nl_probe_channel(s, &o->pre, "1", "percentiles before the norm", NL_PERCENTILES,
                            PERCENTILES, "pre"));
    NL_TRY(nl_probe_channel(s, &o->post, "1", "percentiles of the activation's input",
                            NL_PERCENTILES, PERCENTILES, "post"));
    return NL_OK;
}

static void put(const struct unit *o, nl_probe_look *s, int channel, const nl_real *values)
{
    const int64_t rows = o->examples * o->of->out.s;
    nl_summary summary;
    for (int64_t r = 0; r < rows; r++)
        o->one[r] = values[r * o->of->out.c + o->unit];
    const nl_values v = {.at = o->one, .rows = rows, .n = rows, .s = 1, .c = 1};
    nl_summarize(o->summarizer, &v, &summary);
    nl_log_put(s->log, channel, summary.percentiles);
}

static void look(void *self, nl_probe_look *s)
{
    const struct unit *o = self;
    nl_layer_call all = *s->call, c;
    all.n = o->examples;
    all.x = s->data->test.x;
    all.live = NULL;
    nl_model_forward(s->model, &all);
    nl_model_layer_input(s->model, o->of, &all, &c);
    o->of->ops->observe(o->of, &c, o->slot, o->value[0], o->value[1]);
    put(o, s, o->pre, o->value[0]);
    put(o, s, o->post, o->value[1]);
}

static void close(void *self)
{
    struct unit *o = self;
    nl_free(o->value[0]);
    nl_free(o->value[1]);
    nl_free(o->one);
    nl_summarizer_close(o->summarizer);
}

const nl_probe_ops nl_probe_unit = {
    .name = "unit",
    .title = "Percentiles of one unit over training",
    .cite = "ioffe2015batch, fig. 1",
    .self_size = sizeof(struct unit),
    .options = options,
    .open = open,
    .look = look,
    .close = close,
};
