/* model.c: layers and what they read, their storage, norms in their slots. */
#include "core/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bibtex.h"
#include "base/clock.h"
#include "core/gradient_plan.h"
#include "core/model_settings.h"
#include "core/norm_fold.h"

const char *const nl_model_slot_names[NL_MODEL_SLOTS + 1] = {"preact", "act", "weight", "x",
                                                             "h",      "c",   NULL};

struct nl_model {
    const nl_model_ops *ops;
    void *self;
    nl_model_setup setup;
    nl_store *store;
    nl_layer *layer[NL_MODEL_LAYERS_MAX];
    int layers;
    int y[NL_MODEL_LAYERS_MAX];             /* store items: outputs, */
    int dy[NL_MODEL_LAYERS_MAX];            /* where their gradients are first written */
    nl_real *gradient[NL_MODEL_LAYERS_MAX]; /* in backward: where that of an output is, or NULL */
    int next_from, next_residual;           /* of the layer to be added */
    const char *const *slots;               /* that norm= fills */
    nl_layer_seconds *seconds;              /* by layer; NULL: nobody asks */
    bool has_slot[NL_MODEL_SLOTS];          /* where a norm may sit, in some layer */
    nl_param_settings settings;
};

/* ---- registry */

static const nl_model_ops *const *table;
static int models;

void nl_model_use(const nl_model_ops *const *entries, int count)
{
    table = entries;
    models = count;
}

const nl_model_ops *nl_model_at(int i) { return i >= 0 && i < models ? table[i] : NULL; }

const nl_model_ops *nl_model_find(const char *name)
{
    for (int i = 0; i < models; i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}

nl_status nl_model_find_or_say(const char *name, const nl_model_ops **out)
{
    nl_nearest near = {.wanted = name, .see = "normlab models"};
    if ((*out = nl_model_find(name)))
        return NL_OK;
    for (int i = 0; i < models; i++)
        nl_nearest_offer(&near, table[i]->name);
    return nl_fail(NL_ENAME, "no model called '%s'%s", name, nl_nearest_hint(&near));
}

/* "w.l2=1e-4" is a setting of parameters; anything without a dot is the model's option. */
static nl_status parse_options(const nl_model_ops *ops, const char *list, void *self,
                               nl_param_settings *settings)
{
    char key[NL_STRING_MAX], value[NL_STRING_MAX];
    bool more;
    NL_TRY(nl_options_preset(ops->options, self, ops->name));
    for (;;) {
        NL_TRY(nl_spec_next(&list, ops->name, key, value, &more));
        if (!more)
            return NL_OK;
        if (strchr(key, '.'))
            NL_TRY(nl_param_settings_add(settings, ops->name, key, value));
        else
            NL_TRY(nl_option_set(ops->options, self, ops->name, key, value));
    }
}

/* *self and *settings are the caller's to free, also on failure. */
static nl_status parse(const char *spec, const nl_model_ops **ops, void **self,
                       nl_param_settings *settings)
{
    char name[NL_STRING_MAX];
    const char *rest;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_model_find_or_say(name, ops));
    *self = nl_alloc(1, (*ops)->self_size);
    if (!*self)
        return nl_fail(NL_ENOMEM, "%s: its options", name);
    NL_TRY(parse_options(*ops, rest, *self, settings));
    return NL_OK;
}

nl_status nl_model_canonical(const char *spec, nl_text *out)
{
    const nl_model_ops *ops;
    void *self = NULL;
    nl_param_settings settings = {0};
    nl_status st;
    NL_GO(parse(spec, &ops, &self, &settings));
    nl_text_add(out, "%s", ops->name);
    nl_options_print(ops->options, self, out);
    nl_param_settings_print(&settings, out);
    NL_GO(nl_text_status(out));
done:
    nl_free(self);
    nl_param_settings_free(&settings);
    return st;
}

/* ---- methods and data as the model's paper means them */

/* Whether "key=value:key=value" gives this key. */
static bool gives(const char *options, const char *key, size_t length)
{
    for (const char *at = options; *at; at += strcspn(at, ":"), at += *at == ':')
        if (strncmp(at, key, length) == 0 && at[length] == '=')
            return true;
    return false;
}

/* Adds the options of `preset` that `options` does not give. */
static void add_missing(nl_text *out, const char *preset, const char *options)
{
    while (*preset) {
        const size_t all = strcspn(preset, ":"), key = strcspn(preset, "=");
        if (!gives(options, preset, key))
            nl_text_add(out, ":%.*s", (int)all, preset);
        preset += all + (preset[all] == ':');
    }
}

/* "name:key=value" with what the preset of that name has besides. */
static nl_status add_preset(const char *const *presets, const char *spec, nl_text *out)
{
    char name[NL_STRING_MAX], own[NL_STRING_MAX];
    const char *options, *preset;
    NL_TRY(nl_spec_split(spec, name, &options));
    nl_text_add(out, "%s", name);
    for (; presets && *presets; presets++) {
        NL_TRY(nl_spec_split(*presets, own, &preset));
        if (strcmp(own, name) == 0)
            add_missing(out, preset, options);
    }
    if (*options)
        nl_text_add(out, ":%s", options);
    return NL_OK;
}

static nl_status find_model(const char *spec, const nl_model_ops **out)
{
    char name[NL_STRING_MAX];
    const char *rest;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_model_find_or_say(name, out));
    return NL_OK;
}

nl_status nl_model_norm_spec(const char *model, const char *norm, nl_text *out)
{
    char part[NL_STRING_MAX];
    const nl_model_ops *ops;
    NL_TRY(find_model(model, &ops));
    for (const char *at = norm; *at;) {
        NL_TRY(nl_norm_next_part(&at, part));
        NL_TRY(add_preset(ops->norms, part, out));
        if (*at)
            nl_text_add(out, "+");
    }
    return nl_text_status(out);
}

nl_status nl_model_data_spec(const char *model, const char *data, nl_text *out)
{
    const nl_model_ops *ops;
    NL_TRY(find_model(model, &ops));
    NL_TRY(add_preset(ops->data, data, out));
    return nl_text_status(out);
}

/* ---- norms in slots */

static bool is_default_slot(const nl_model *m, const char *slot)
{
    for (int i = 0; m->slots[i]; i++)
        if (strcmp(m->slots[i], slot) == 0)
            return true;
    return false;
}

/* The name whose norm.NAME= this slot heeds. */
static const char *chosen_by(const nl_slot_decl *slot)
{
    return slot->follows ? slot->follows : slot->name;
}

/* The part of "a+b" that belongs in this slot, copied into part; "" when there is none. */
static nl_status part_for_slot(const nl_model *m, const nl_slot_decl *slot, unsigned normed,
                               char *part, size_t room)
{
    const bool is_default = is_default_slot(m, chosen_by(slot));
    part[0] = 0;
    for (const char *at = m->setup.norm ? m->setup.norm : ""; *at;) {
        char one[NL_STRING_MAX], name[NL_STRING_MAX];
        const char *rest;
        const nl_norm_ops *ops;
        NL_TRY(nl_norm_next_part(&at, one));
        NL_TRY(nl_spec_split(one, name, &rest));
        NL_TRY(nl_norm_find_or_say(name, &ops));
        const bool on_weights = !(ops->sites & ~(unsigned)(NL_AT_WEIGHT | NL_AT_ANSWER));
        if (on_weights ? slot->site != NL_AT_WEIGHT : !is_default)
            continue;
        if (part[0])
            return nl_fail(NL_EOPTION, "norm: %s has two methods for slot %s", m->setup.norm,
                           slot->name);
        snprintf(part, room, "%s", one);
    }
    if (!((normed | NL_AT_WEIGHT) & slot->site))
        part[0] = 0;
    return NL_OK;
}

static nl_status open_norm(nl_model *m, nl_layer *l, int k, unsigned normed)
{
    const nl_slot_decl *slot = &l->ops->slots[k];
    char spec[NL_STRING_MAX], owner[96], name[NL_STRING_MAX];
    const char *rest, *override = NULL;
    const nl_norm_ops *ops;
    const bool free = (normed | NL_AT_WEIGHT) & slot->site;
    for (int i = 0; nl_model_slot_names[i]; i++)
        if (strcmp(nl_model_slot_names[i], chosen_by(slot)) == 0) {
            override = m->setup.norm_slot[i];
            m->has_slot[i] |= free;
        }
    NL_TRY(part_for_slot(m, slot, normed, spec, sizeof spec));
    if (override && override[0] && free)
        snprintf(spec, sizeof spec, "%s", override);
    if (!spec[0])
        return NL_OK;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_norm_find_or_say(name, &ops));
    if (!(ops->sites & slot->site))
        return nl_fail(NL_EOPTION, "%s cannot sit in slot %s of %s (%s)", ops->name, slot->name,
                       l->name, slot->doc);
    if (normed == NL_ANSWER && !(ops->sites & NL_AT_ANSWER))
        return NL_OK;
    if (strcmp(ops->name, "identity") == 0) /* the slot stays empty: nothing to pay for */
        return NL_OK;
    nl_geom g = l->ops->slot_geom(l, k);
    g.any_policy = m->setup.any_policy;
    snprintf(owner, sizeof owner, "%s/%s", l->name, slot->name);
    const nl_status st = nl_norm_open(&l->norm[k], spec, &g, m->store, owner);
    if (st == NL_ESHAPE) /* fits other places of the network */
        nl_error_prefix("%s: ", owner);
    return st;
}

static nl_status check_slots(const nl_model *m)
{
    for (int i = 0; i < NL_MODEL_SLOTS; i++) {
        if (!m->setup.norm_slot[i] || !m->setup.norm_slot[i][0] || m->has_slot[i])
            continue;
        nl_nearest near = {.wanted = nl_model_slot_names[i]};
        for (int k = 0; k < NL_MODEL_SLOTS; k++)
            if (m->has_slot[k])
                nl_nearest_offer(&near, nl_model_slot_names[k]);
        return nl_fail(NL_EOPTION, "%s has no slot '%s', got norm.%s=%s%s", m->ops->name,
                       near.wanted, near.wanted, m->setup.norm_slot[i], nl_nearest_hint(&near));
    }
    return NL_OK;
}

static nl_status check_unnormed(const nl_model *m, const char *key, const char *norm,
                                const char *why)
{
    const bool none =
        !norm || !norm[0] || strcmp(norm, "none") == 0 || strcmp(norm, "identity") == 0;
    return none ? NL_OK
                : nl_fail(NL_EOPTION, "%s: %s, wanted no norm, got %s=%s", m->ops->name, why, key,
                          norm);
}

nl_status nl_model_wants_no_norm(const nl_model *m, const char *why)
{
    NL_TRY(check_unnormed(m, "norm", m->setup.norm, why));
    for (int i = 0; i < NL_MODEL_SLOTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "norm.%s", nl_model_slot_names[i]);
        NL_TRY(check_unnormed(m, key, m->setup.norm_slot[i], why));
    }
    return NL_OK;
}

/* ---- layers */

static int64_t extent(const nl_layer *l, int id, int dim)
{
    switch (l->ops->variables[id].dim[dim]) {
    case NL_N: return l->n;
    case NL_S: return l->out.s;
    case NL_C: return l->out.c;
    case NL_IN: return l->in.c;
    case NL_USER: return l->ops->extent(l, id, dim);
    case NL_1:
    case NL_AREA:
    case NL_SEGMENTS: break;
    }
    return 1;
}

static nl_status add_variables(nl_model *m, nl_layer *l)
{
    for (int i = 0; l->ops->variables && l->ops->variables[i].name; i++) {
        const int64_t rows = extent(l, i, 0), cols = extent(l, i, 1);
        nl_setting set;
        l->item[i] = -1;
        if (!rows || !cols)
            continue;
        NL_TRY(nl_param_settings_of(&m->settings, l->name, &l->ops->variables[i], &set));
        NL_TRY(nl_store_add(m->store, l->name, &l->ops->variables[i], &set, rows, cols, 1,
                            &l->item[i]));
    }
    return NL_OK;
}

static const nl_variable output_row = {
    "y", NL_SAVED, NL_TYPE_REAL, {NL_USER, NL_USER}, 0, 0, NULL, NL_OWN, 0, "output of the layer"};
static const nl_variable gradient_row = {"dy",
                                         NL_SAVED,
                                         NL_TYPE_REAL,
                                         {NL_USER, NL_USER},
                                         0,
                                         0,
                                         NULL,
                                         NL_OWN,
                                         0,
                                         "gradient of the layer's output"};

static nl_status check_residual(const nl_model *m, const nl_layer *l)
{
    if (l->residual == NL_NO_RESIDUAL)
        return NL_OK;
    const nl_shape *added = &m->layer[l->residual]->out;
    const nl_shape *wanted = l->ops->joins_residual ? &l->in : &l->out;
    if (!l->ops->adds_residual && !l->ops->joins_residual)
        return nl_fail(NL_ESTATE, "%s: a %s layer adds no residual", l->name, l->ops->name);
    if (added->s != wanted->s || added->c != wanted->c)
        return nl_fail(NL_ESHAPE, "%s: a residual of %lld x %lld, wanted %lld x %lld", l->name,
                       (long long)added->s, (long long)added->c, (long long)wanted->s,
                       (long long)wanted->c);
    return NL_OK;
}

static nl_status check_tokens(const nl_model *m, const nl_layer *l)
{
    if (l->in.vocabulary > 0 && !l->ops->reads_tokens)
        return nl_fail(NL_ESHAPE, "%s: layer %s (%s) reads values, got tokens (%lld of them)",
                       m->ops->name, l->name, l->ops->name, (long long)l->in.vocabulary);
    return NL_OK;
}

static nl_status open_layer(nl_model *m, nl_layer *l, unsigned normed)
{
    const int at = m->layers - 1;
    NL_TRY(check_tokens(m, l));
    NL_TRY(l->ops->shape(l));
    NL_TRY(check_residual(m, l));
    nl_store_overlay_scratch(m->store); /* layers run one after another */
    for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++)
        NL_TRY(open_norm(m, l, k, normed));
    NL_TRY(add_variables(m, l));
    NL_TRY(nl_store_add(m->store, l->name, &output_row, NULL, l->n, l->out.s * l->out.c, 1,
                        &m->y[at]));
    if (l->ops->open)
        NL_TRY(l->ops->open(l));
    return NL_OK;
}

nl_status nl_model_add(nl_model *m, const char *name, unsigned normed, const char *fmt, ...)
{
    char spec[NL_STRING_MAX], kind[NL_STRING_MAX];
    const char *rest;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(spec, sizeof spec, fmt, ap);
    va_end(ap);
    NL_TRY(nl_spec_split(spec, kind, &rest));
    const nl_layer_ops *ops = nl_layer_find(kind);
    if (!ops)
        return nl_fail(NL_ENAME, "%s: no layer called '%s'", m->ops->name, kind);
    if (m->layers == NL_MODEL_LAYERS_MAX)
        return nl_fail(NL_ESHAPE, "%s: more than %d layers", m->ops->name, NL_MODEL_LAYERS_MAX);
    const nl_shape in = nl_model_shape(m);
    nl_layer *l = nl_alloc(1, sizeof *l);
    if (!l)
        return nl_fail(NL_ENOMEM, "%s: layer %s", m->ops->name, name);
    l->from = m->next_from;
    l->residual = m->next_residual;
    m->layer[m->layers++] = l;
    m->next_from = nl_model_latest(m);
    m->next_residual = NL_NO_RESIDUAL;
    l->ops = ops;
    snprintf(l->name, sizeof l->name, "%s", name);
    l->in = in;
    l->n = m->setup.n;
    l->batch = m->setup.batch;
    l->stateful = m->setup.stateful;
    l->store = m->store;
    if (!(l->self = nl_alloc(1, ops->self_size)))
        return nl_fail(NL_ENOMEM, "%s: options of layer %s", m->ops->name, name);
    NL_TRY(nl_options_preset(ops->options, l->self, name));
    NL_TRY(nl_options_parse(ops->options, l->self, name, rest));
    NL_TRY(open_layer(m, l, normed));
    return NL_OK;
}

int nl_model_latest(const nl_model *m) { return m->layers ? m->layers - 1 : NL_FROM_INPUT; }
void nl_model_norms_go_to(nl_model *m, const char *const *slots) { m->slots = slots; }
void nl_model_from(nl_model *m, int output) { m->next_from = output; }
void nl_model_residual(nl_model *m, int output) { m->next_residual = output; }

nl_shape nl_model_shape(const nl_model *m)
{
    return m->next_from == NL_FROM_INPUT ? m->setup.shape : m->layer[m->next_from]->out;
}

int64_t nl_model_outputs(const nl_model *m) { return m->setup.outputs; }
bool nl_model_each_step(const nl_model *m) { return m->setup.each_step; }

/* ---- opening and closing */

static nl_status initialize(nl_model *m)
{
    const char *init = m->setup.init && m->setup.init[0] ? m->setup.init : "glorot_uniform";
    for (int i = 0; i < m->layers; i++)
        if (m->layer[i]->ops->init)
            NL_TRY(m->layer[i]->ops->init(m->layer[i], init, m->setup.seed));
    for (int i = 0; i < nl_store_count(m->store); i++)
        nl_item_given_init(nl_store_at(m->store, i));
    return NL_OK;
}

static bool is_read(const nl_model *m, int output)
{
    for (int i = output + 1; i < m->layers; i++)
        if (m->layer[i]->from == output || m->layer[i]->residual == output)
            return true;
    return output == m->layers - 1;
}

static nl_status check_wires(const nl_model *m)
{
    for (int i = 0; i < m->layers; i++)
        if (!is_read(m, i))
            return nl_fail(NL_ESTATE, "%s: no layer reads the output of %s", m->ops->name,
                           m->layer[i]->name);
    return NL_OK;
}

/* Whether the last layer gives what the loss is taken of. */
static nl_status check_answers(const nl_model *m)
{
    const nl_shape *out = &m->layer[m->layers - 1]->out;
    if (m->setup.each_step && out->s != m->setup.shape.s)
        return nl_fail(
            NL_ESHAPE,
            "%s: gives one answer an example, the data ask for one at each of %lld steps",
            m->ops->name, (long long)m->setup.shape.s);
    return NL_OK;
}

static nl_status add_gradients(nl_model *m)
{
    int piece[NL_MODEL_LAYERS_MAX], item[NL_MODEL_LAYERS_MAX];
    int64_t values[NL_MODEL_LAYERS_MAX];
    nl_gradient_plan plan = {.piece = piece, .values = values};
    nl_plan_gradients(&plan, m->layer, m->layers);
    for (int k = 0; k < plan.pieces; k++) {
        char owner[32];
        snprintf(owner, sizeof owner, "gradients/%d", k);
        NL_TRY(
            nl_store_add(m->store, owner, &gradient_row, NULL, m->setup.n, values[k], 1, &item[k]));
    }
    for (int i = 0; i < m->layers; i++)
        m->dy[i] = piece[i] == NL_GRADIENT_ELSEWHERE ? -1 : item[piece[i]];
    return NL_OK;
}

nl_status nl_model_open(nl_model **out, const char *spec, const nl_model_setup *setup)
{
    nl_status st = NL_OK;
    *out = NULL;
    nl_model *m = nl_alloc(1, sizeof *m);
    if (!m)
        return nl_fail(NL_ENOMEM, "the model %s", spec);
    m->setup = *setup;
    m->next_from = NL_FROM_INPUT;
    m->next_residual = NL_NO_RESIDUAL;
    NL_GO(parse(spec, &m->ops, &m->self, &m->settings));
    NL_GO(nl_store_open(&m->store));
    m->slots = m->ops->slots;
    NL_GO(m->ops->build(m->self, m));
    NL_GO(check_wires(m));
    NL_GO(check_answers(m));
    NL_GO(check_slots(m));
    NL_GO(add_gradients(m));
    NL_GO(nl_param_settings_check(&m->settings, m->ops->name, m->store));
    NL_GO(nl_store_commit(m->store));
    NL_GO(initialize(m));
    *out = m;
    return NL_OK;
done:
    nl_model_close(m);
    return st;
}

static void close_layer(nl_layer *l)
{
    if (l->ops->close)
        l->ops->close(l);
    for (int k = 0; k < NL_SLOTS_MAX; k++)
        nl_norm_close(l->norm[k]);
    nl_free(l->self);
    nl_free(l);
}

void nl_model_close(nl_model *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->layers; i++)
        close_layer(m->layer[i]);
    nl_store_close(m->store);
    nl_param_settings_free(&m->settings);
    nl_free(m->self);
    nl_free(m);
}

/* ---- passes */

nl_status nl_layer_image(const nl_layer *l, nl_shape *out)
{
    *out = l->in;
    const int64_t pixels = out->h * out->w;
    if (pixels <= 0 || (out->s != pixels && (out->s != 1 || out->c % pixels)))
        return nl_fail(NL_ESHAPE, "%s: a %s layer reads images, got %lld x %lld values without one",
                       l->name, l->ops->name, (long long)out->s, (long long)out->c);
    if (out->s != pixels)
        *out = (nl_shape){.s = pixels, .c = out->c / pixels, .h = out->h, .w = out->w};
    return NL_OK;
}

nl_args nl_layer_norm_args(const nl_layer_call *c)
{
    return (nl_args){.n = c->n,
                     .phase = c->phase,
                     .update = c->update,
                     .hold = c->hold,
                     .policy = c->policy,
                     .step = c->step,
                     .epoch = c->epoch,
                     .key = {c->seed, NL_STREAM_NORM, (uint64_t)c->step}};
}

bool nl_layer_is_observed(const nl_layer *l, int slot)
{
    const unsigned site = l->ops->slots[slot].site;
    return l->ops->observe && (site == NL_AT_PREACT || (site == NL_AT_ACT && l->norm[slot]));
}

void nl_layer_look(const nl_layer *l, int slot, nl_args args, int64_t values, const nl_real *pre,
                   nl_real *post)
{
    if (!post)
        return;
    if (!l->norm[slot]) {
        memcpy(post, pre, (size_t)values * sizeof *post);
        return;
    }
    args.update = false;
    args.hold = true; /* the state has moved since: coefficients stay those of the step */
    args.x = pre, args.y = post;
    nl_norm_forward(l->norm[slot], &args);
}

int64_t nl_layer_keep_live(const uint8_t *live, nl_real *v, int64_t rows, int64_t c)
{
    int64_t kept = 0;
    if (!live)
        return rows;
    for (int64_t r = 0; r < rows; r++) {
        if (!live[r])
            continue;
        if (v)
            memmove(v + kept * c, v + r * c, (size_t)c * sizeof *v);
        kept++;
    }
    return kept;
}

static nl_real *values(nl_model *m, const int *item, int i)
{
    return nl_store_at(m->store, item[i])->val;
}

/* The call as layer i sees it in a forward pass. */
static nl_layer_call call_of(nl_model *m, int i, const nl_layer_call *call)
{
    const nl_layer *l = m->layer[i];
    nl_layer_call c = *call;
    if (l->from != NL_FROM_INPUT)
        c.x = values(m, m->y, l->from);
    if (l->in.s != m->setup.shape.s) /* the mask is that of the model's positions */
        c.live = NULL;
    c.residual = l->residual == NL_NO_RESIDUAL ? NULL : values(m, m->y, l->residual);
    c.y = values(m, m->y, i);
    return c;
}

void nl_model_clock(nl_model *m, nl_layer_seconds *seconds) { m->seconds = seconds; }

static void run_timed(void (*run)(nl_layer *, const nl_layer_call *), nl_layer *l,
                      const nl_layer_call *c, double *all, double *norms)
{
    const double start = nl_wall_seconds();
    nl_norm_clock(norms);
    run(l, c);
    nl_norm_clock(NULL);
    *all += nl_wall_seconds() - start;
}

nl_real *nl_model_forward(nl_model *m, const nl_layer_call *call)
{
    for (int i = 0; i < m->layers; i++) {
        const nl_layer_call c = call_of(m, i, call);
        if (m->seconds)
            run_timed(m->layer[i]->ops->forward, m->layer[i], &c, &m->seconds[i].forward,
                      &m->seconds[i].norm_forward);
        else
            m->layer[i]->ops->forward(m->layer[i], &c);
    }
    return values(m, m->y, m->layers - 1);
}

void nl_model_layer_input(nl_model *m, const nl_layer *l, const nl_layer_call *call,
                          nl_layer_call *out)
{
    for (int i = 0; i < m->layers; i++)
        if (m->layer[i] == l)
            *out = call_of(m, i, call);
}

/* Gradients that backward adds to start at zero; weights are written whole. */
static void clear_small_gradients(nl_model *m)
{
    for (int i = 0; i < nl_store_count(m->store); i++) {
        nl_item *it = nl_store_at(m->store, i);
        if (it->grad && !(it->decl->flags & NL_OVERWRITES))
            memset(it->grad, 0, (size_t)it->count * sizeof *it->grad);
    }
}

/* In the middle of memory that a larger one has, too: a thread writes where it wrote before. */
static nl_real *place_of_gradient(nl_model *m, int i)
{
    enum { LINE = 64 / (int)sizeof(nl_real) };
    const nl_item *room = nl_store_at(m->store, m->dy[i]);
    const nl_shape *out = &m->layer[i]->out;
    const int64_t spare = room->count - m->setup.n * out->s * out->c;
    return (nl_real *)room->val + spare / 2 / LINE * LINE;
}

/* The gradient of an output that two layers read is written by the later one and added to by the
 * earlier one, so a layer's own comes complete. */
static void call_for_gradient(nl_model *m, const nl_layer *l, nl_layer_call *c)
{
    c->dx = NULL;
    c->add_dx = false;
    if (l->from == NL_FROM_INPUT)
        return;
    c->add_dx = m->gradient[l->from] != NULL;
    if (!c->add_dx)
        m->gradient[l->from] = place_of_gradient(m, l->from);
    c->dx = m->gradient[l->from];
}

/* dL/dresidual stands in the layer's dy, which serves as the gradient of what was added. */
static void pass_to_residual(nl_model *m, const nl_layer *l, nl_real *d_residual, int64_t n)
{
    if (l->residual == NL_NO_RESIDUAL)
        return;
    const nl_shape *of = &m->layer[l->residual]->out;
    nl_real *there = m->gradient[l->residual];
    if (!there)
        m->gradient[l->residual] = d_residual;
    for (int64_t i = 0; there && i < n * of->s * of->c; i++)
        there[i] += d_residual[i];
}

void nl_model_backward(nl_model *m, const nl_layer_call *call, nl_real *d_logits)
{
    if (!call->accumulate)
        clear_small_gradients(m);
    memset(m->gradient, 0, sizeof m->gradient);
    m->gradient[m->layers - 1] = d_logits;
    for (int i = m->layers - 1; i >= 0; i--) {
        nl_layer_call c = call_of(m, i, call);
        c.dy = m->gradient[i];
        call_for_gradient(m, m->layer[i], &c);
        if (call->watch && call->watch->output)
            call->watch->output(call->watch, m->layer[i], c.dy);
        if (m->seconds)
            run_timed(m->layer[i]->ops->backward, m->layer[i], &c, &m->seconds[i].backward,
                      &m->seconds[i].norm_backward);
        else
            m->layer[i]->ops->backward(m->layer[i], &c);
        pass_to_residual(m, m->layer[i], c.dy, call->n);
    }
}

/* ---- folding */

static nl_norm *norm_at(const nl_layer *l, unsigned site)
{
    for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++)
        if (l->ops->slots[k].site == site)
            return l->norm[k];
    return NULL;
}

static nl_status fold_layer(nl_layer *l, const nl_policy *policy, int *folded)
{
    nl_norm *norm = norm_at(l, NL_AT_PREACT), *on_weights = norm_at(l, NL_AT_WEIGHT);
    const bool affine = norm && nl_norm_is_channel_affine(norm, policy);
    nl_status st = NL_OK;
    if (!l->ops->fold || (!affine && !on_weights))
        return NL_OK;
    double *scale = nl_alloc((size_t)(2 * l->out.c), sizeof *scale), *shift = scale + l->out.c;
    if (!scale)
        return nl_fail(NL_ENOMEM, "folding %s", l->name);
    if (affine)
        NL_GO(nl_norm_channel_affine(norm, policy, scale, shift));
    *folded += affine + (on_weights != NULL);
    l->ops->fold(l, affine ? scale : NULL, affine ? shift : NULL);
done:
    nl_free(scale);
    return st;
}

nl_status nl_model_fold(nl_model *m, const nl_policy *policy, int *folded)
{
    *folded = 0;
    for (int i = 0; i < m->layers; i++)
        NL_TRY(fold_layer(m->layer[i], policy, folded));
    return NL_OK;
}

/* ---- hooks and questions, norm by norm */

static void each_norm(nl_model *m, void (*f)(nl_norm *, void *), void *arg)
{
    for (int i = 0; i < m->layers; i++)
        for (int k = 0; k < NL_SLOTS_MAX; k++)
            if (m->layer[i]->norm[k])
                f(m->layer[i]->norm[k], arg);
}

static void step_norm(nl_norm *n, void *arg)
{
    (void)arg;
    nl_norm_after_step(n);
}
static void begin_norm(nl_norm *n, void *epoch) { nl_norm_epoch_begin(n, *(int64_t *)epoch); }
static void end_norm(nl_norm *n, void *epoch) { nl_norm_epoch_end(n, *(int64_t *)epoch); }

void nl_model_after_step(nl_model *m) { each_norm(m, step_norm, NULL); }
void nl_model_epoch_begin(nl_model *m, int64_t epoch) { each_norm(m, begin_norm, &epoch); }
void nl_model_epoch_end(nl_model *m, int64_t epoch) { each_norm(m, end_norm, &epoch); }

nl_store *nl_model_store(nl_model *m) { return m->store; }
int nl_model_layers(const nl_model *m) { return m->layers; }
nl_layer *nl_model_layer(nl_model *m, int i) { return m->layer[i]; }

static bool on_activations(const nl_layer *l, int k)
{
    return l->norm[k] && l->ops->slots[k].site != NL_AT_WEIGHT;
}

nl_status nl_model_accepts(const nl_model *m, const nl_policy *policy, int64_t n)
{
    for (int i = 0; i < m->layers; i++)
        for (int k = 0; k < NL_SLOTS_MAX; k++) {
            nl_policy p;
            if (!on_activations(m->layer[i], k))
                continue;
            nl_norm_own_policy(m->layer[i]->norm[k], &p);
            NL_TRY(nl_norm_accepts(m->layer[i]->norm[k], policy ? policy : &p, n));
        }
    return NL_OK;
}

static bool couples_evaluation(const nl_norm *n)
{
    nl_area area[NL_AREAS_MAX];
    nl_policy p;
    const int areas = nl_norm_areas_of(n, area);
    nl_norm_own_policy(n, &p);
    for (int k = 0; k < areas; k++)
        if (area[k].over & NL_OVER_N && (p.mean[k] == NL_FROM_BATCH || p.var[k] == NL_FROM_BATCH))
            return true;
    return false;
}

bool nl_model_couples_evaluation(const nl_model *m)
{
    for (int i = 0; i < m->layers; i++)
        for (int k = 0; k < NL_SLOTS_MAX; k++)
            if (on_activations(m->layer[i], k) && couples_evaluation(m->layer[i]->norm[k]))
                return true;
    return false;
}

/* ---- citations */

static void cite(const char *reference, nl_text *out)
{
    char key[64];
    const size_t n = reference ? strcspn(reference, ", ") : 0;
    if (n == 0 || n >= sizeof key)
        return;
    memcpy(key, reference, n);
    key[n] = 0;
    nl_bibtex_unite(key, out);
}

void nl_model_citations(const nl_model *m, nl_text *out)
{
    cite(m->ops->cite, out);
    for (int i = 0; i < m->layers; i++)
        for (int k = 0; k < NL_SLOTS_MAX; k++)
            if (m->layer[i]->norm[k])
                cite(nl_norm_ops_of(m->layer[i]->norm[k])->cite, out);
}
