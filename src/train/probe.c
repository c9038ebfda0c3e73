/* probe.c: the host of probes: which there are, when they look, what is put back. */
#include "train/probe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/lookup.h"
#include "train/score.h"

#define NL_PROBES(X) X(gap) X(growth) X(hessian) X(ics) X(landscape) X(noise) X(rank) X(unit)
#define NL_EXTERN(name) extern const nl_probe_ops nl_probe_##name;
#define NL_ADDRESS(name) &nl_probe_##name,
NL_PROBES(NL_EXTERN)
static const nl_probe_ops *const probes[] = {NL_PROBES(NL_ADDRESS) NULL};

enum { PROBES = sizeof probes / sizeof *probes - 1, LOOKS = 20, ROWS = 16 };

typedef struct probe {
    const nl_probe_ops *ops;
    void *self;
    int timeline;
    int64_t every;
} probe;

struct nl_probes {
    nl_probes_setup set;
    probe probe[PROBES];
    int count;
    int64_t values;        /* of w */
    nl_real *w0, *w1, *g0; /* copies of the slabs */
    double loss0;
    nl_batch batch;    /* of the step looked at */
    nl_feeder *feeder; /* of the batch after it */
};

const nl_probe_ops *nl_probe_at(int i) { return i >= 0 && i < PROBES ? probes[i] : NULL; }

/* ---- the list of a spec */

nl_status nl_probe_find(const char *name, const nl_probe_ops **out)
{
    nl_nearest near = {.wanted = name};
    for (int i = 0; i < PROBES; i++)
        if (nl_nearest_offer(&near, probes[i]->name)) {
            *out = probes[i];
            return NL_OK;
        }
    return nl_fail(NL_ENAME, "no probe '%s'%s", name, nl_nearest_hint(&near));
}

static nl_status parse_one(const char *spec, probe *out)
{
    char name[NL_STRING_MAX];
    const char *rest;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_probe_find(name, &out->ops));
    out->self = nl_alloc(1, out->ops->self_size);
    if (!out->self)
        return nl_fail(NL_ENOMEM, "the probe %s", name);
    NL_TRY(nl_options_preset(out->ops->options, out->self, name));
    NL_TRY(nl_options_parse(out->ops->options, out->self, name, rest));
    return NL_OK;
}

static bool is_in(const probe *p, int count, const nl_probe_ops *ops)
{
    for (int i = 0; i < count; i++)
        if (p[i].ops == ops)
            return true;
    return false;
}

/* Fills p[] (PROBES of them); what was made is counted also on failure. */
static nl_status parse_list(const char *list, probe *p, int *count)
{
    *count = 0;
    while (*list) {
        char spec[NL_STRING_MAX];
        probe one = {0};
        snprintf(spec, sizeof spec, "%.*s", (int)strcspn(list, ","), list);
        nl_status st = parse_one(spec, &one);
        if (st == NL_OK && is_in(p, *count, one.ops))
            st = nl_fail(NL_EOPTION, "probe: %s is named twice", one.ops->name);
        if (st != NL_OK) {
            nl_free(one.self);
            return nl_trace(__FILE__, __LINE__, st);
        }
        p[(*count)++] = one;
        list += strcspn(list, ",");
        list += *list == ',';
    }
    return NL_OK;
}

nl_status nl_probes_canonical(const char *list, nl_text *out)
{
    probe p[PROBES];
    int count;
    nl_status st = parse_list(list, p, &count);
    for (int i = 0; i < count; i++) {
        nl_text_add(out, "%s%s", i ? "," : "", p[i].ops->name);
        nl_options_print(p[i].ops->options, p[i].self, out);
        nl_free(p[i].self);
    }
    return st == NL_OK ? nl_text_status(out) : st;
}

/* ---- opening */

nl_status nl_probe_channel(const nl_probe_setup *s, int *id, const char *unit, const char *doc,
                           int64_t width, const char *scale, const char *fmt, ...)
{
    char path[256];
    const int n = snprintf(path, sizeof path, "/probes/%s/", s->name);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(path + n, sizeof path - (size_t)n, fmt, ap);
    va_end(ap);
    const nl_channel c = {.path = path,
                          .timeline = s->timeline,
                          .type = NL_TYPE_DOUBLE,
                          .unit = unit,
                          .doc = doc,
                          .rank = width > 1,
                          .dim = {width},
                          .scale = {scale}};
    NL_TRY(nl_log_channel(s->log, &c, id));
    return NL_OK;
}

static nl_status open_probe(nl_probes *p, probe *one)
{
    char path[64];
    const int64_t every = ((const nl_probe_common *)one->self)->every;
    const int64_t automatic = p->set.total / LOOKS;
    snprintf(path, sizeof path, "/probes/%s", one->ops->name);
    one->every = every > 0 ? every : automatic > 0 ? automatic : 1;
    NL_TRY(nl_log_timeline(p->set.log, path, "step", "optimizer steps", ROWS, &one->timeline));
    const nl_probe_setup s = {.name = one->ops->name,
                              .log = p->set.log,
                              .timeline = one->timeline,
                              .model = p->set.model,
                              .data = p->set.batches->data,
                              .n = p->set.batches->batch,
                              .count = p->values};
    NL_TRY(one->ops->open(one->self, &s));
    return NL_OK;
}

/* Further passes would move what these layers keep from call to call. */
static nl_status check_model(nl_model *m)
{
    for (int i = 0; i < nl_model_layers(m); i++) {
        const nl_layer *l = nl_model_layer(m, i);
        if (l->stateful)
            return nl_fail(NL_ESTATE, "probe: layer %s carries its state from batch to batch",
                           l->name);
    }
    return NL_OK;
}

static nl_status take_memory(nl_probes *p)
{
    const size_t values = (size_t)p->values;
    p->w0 = nl_alloc(values, sizeof *p->w0);
    p->w1 = nl_alloc(values, sizeof *p->w1);
    p->g0 = nl_alloc(values, sizeof *p->g0);
    if (!p->w0 || !p->w1 || !p->g0)
        return nl_fail(NL_ENOMEM, "copies of %lld parameters for probes", (long long)p->values);
    NL_TRY(nl_feeder_open(&p->feeder, p->set.batches, true));
    return NL_OK;
}

nl_status nl_probes_open(nl_probes **out, const nl_probes_setup *s)
{
    nl_status st = NL_OK;
    *out = NULL;
    if (!s->list[0])
        return NL_OK;
    nl_probes *p = nl_alloc(1, sizeof *p);
    if (!p)
        return nl_fail(NL_ENOMEM, "probes");
    p->set = *s;
    nl_store_params(nl_model_store(s->model), &p->values);
    NL_GO(parse_list(s->list, p->probe, &p->count));
    NL_GO(check_model(s->model));
    NL_GO(take_memory(p));
    for (int i = 0; i < p->count; i++)
        NL_GO(open_probe(p, &p->probe[i]));
    *out = p;
    return NL_OK;
done:
    nl_probes_close(p);
    return st;
}

void nl_probes_close(nl_probes *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->count; i++) {
        if (p->probe[i].ops->close)
            p->probe[i].ops->close(p->probe[i].self);
        nl_free(p->probe[i].self);
    }
    nl_free(p->w0);
    nl_free(p->w1);
    nl_free(p->g0);
    nl_feeder_close(p->feeder);
    nl_free(p);
}

/* ---- looking */

static bool is_due(const probe *p, int64_t step) { return step == 1 || step % p->every == 0; }

bool nl_probes_due(const nl_probes *p, int64_t step)
{
    for (int i = 0; p && i < p->count; i++)
        if (is_due(&p->probe[i], step))
            return true;
    return false;
}

static void copy(nl_real *to, const nl_real *from, int64_t count)
{
    memcpy(to, from, (size_t)count * sizeof *to);
}

void nl_probes_before(nl_probes *p, double loss)
{
    nl_store *s = nl_model_store(p->set.model);
    nl_lookup_read_all(s);
    copy(p->w0, nl_store_params(s, NULL), p->values);
    copy(p->g0, nl_store_grads(s, NULL), p->values);
    p->loss0 = loss;
}

nl_status nl_probes_after(nl_probes *p, const nl_layer_call *call, const nl_batch *batch,
                          int64_t step, double lr)
{
    nl_layer_call still = *call;
    still.update = still.start = still.logged = false;
    still.watch = NULL; /* the log has seen this step */
    p->batch = *batch;
    nl_probe_look s = {.log = p->set.log,
                       .model = p->set.model,
                       .data = p->set.batches->data,
                       .call = &still,
                       .step = step,
                       .seed = p->set.seed,
                       .lr = lr,
                       .n = batch->n,
                       .count = p->values,
                       .w = nl_store_params(nl_model_store(p->set.model), NULL),
                       .w0 = p->w0,
                       .w1 = p->w1,
                       .g0 = p->g0,
                       .loss0 = p->loss0,
                       .g = nl_store_grads(nl_model_store(p->set.model), NULL),
                       .probes = p};
    nl_status st = NL_OK;
    nl_lookup_read_all(nl_model_store(p->set.model)); /* so that no forward pass moves a row of w */
    copy(p->w1, s.w, p->values);
    for (int i = 0; i < p->count && st == NL_OK; i++) {
        if (!is_due(&p->probe[i], step))
            continue;
        copy(s.w, p->w0, p->values);
        p->probe[i].ops->look(p->probe[i].self, &s);
        st = nl_log_row(p->set.log, p->probe[i].timeline, step);
    }
    copy(s.w, p->w1, p->values);
    return st;
}

/* ---- what probes call */

static double pass(nl_probe_look *s, const nl_layer_call *call, const nl_batch *batch, bool back)
{
    const nl_probes *p = s->probes;
    const nl_answers answers =
        nl_answers_of(p->set.batches->data, batch->label, batch->value, batch->n);
    nl_layer_call c = *call;
    c.n = batch->n;
    c.x = batch->x;
    c.live = batch->live;
    c.watch = s->watch;
    const nl_real *logits = nl_model_forward(s->model, &c);
    const nl_loss_sum sum = nl_loss_of(&answers, logits, back ? p->set.d_logits : NULL);
    if (back)
        nl_model_backward(s->model, &c, p->set.d_logits);
    return sum.loss / (double)sum.rows;
}

double nl_probe_loss(nl_probe_look *s) { return pass(s, s->call, &s->probes->batch, false); }
double nl_probe_gradient(nl_probe_look *s) { return pass(s, s->call, &s->probes->batch, true); }

double nl_probe_gradient_of(nl_probe_look *s, int64_t from, int64_t n)
{
    const nl_batches *b = s->probes->set.batches;
    const int64_t answers = nl_dataset_answers(b->data), steps = b->data->shape.s;
    nl_batch part = s->probes->batch;
    part.n = n;
    part.x += from * b->width;
    part.label += part.label ? from * answers : 0;
    part.value += part.value ? from * answers : 0;
    part.live += part.live ? from * steps : 0;
    return pass(s, s->call, &part, true);
}

/* Another step's batch may not be had: the run has ended as far as its data go. */
double nl_probe_next_gradient(nl_probe_look *s)
{
    nl_batch next;
    nl_layer_call c = *s->call;
    c.step = s->step;
    c.epoch = s->step / s->probes->set.batches->steps;
    if (nl_feeder_batch(s->probes->feeder, s->step, &next) != NL_OK)
        return NAN;
    return pass(s, &c, &next, true);
}

double nl_probe_dot(const nl_real *a, const nl_real *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

double nl_probe_distance(const nl_real *a, const nl_real *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sqrt(sum);
}

nl_status nl_probe_find_places(nl_model *m, bool norms, nl_probe_places *out)
{
    const int layers = nl_model_layers(m);
    *out = (nl_probe_places){.widest = 1};
    out->at = nl_alloc((size_t)layers * NL_SLOTS_MAX, sizeof *out->at);
    if (!out->at)
        return nl_fail(NL_ENOMEM, "places of %d layers", layers);
    for (int i = 0; i < layers; i++) {
        nl_layer *l = nl_model_layer(m, i);
        for (int k = 0; l->ops->slots && l->ops->slots[k].name; k++) {
            if ((norms && !l->norm[k]) || !nl_layer_is_observed(l, k))
                continue;
            out->at[out->count++] = (nl_probe_place){l, k};
            if (l->out.s * l->out.c > out->widest)
                out->widest = l->out.s * l->out.c;
        }
    }
    return NL_OK;
}

int64_t nl_probe_see(nl_probe_look *s, const nl_probe_place *p, nl_real *pre, nl_real *post)
{
    nl_layer_call c;
    nl_model_layer_input(s->model, p->layer, s->call, &c);
    p->layer->ops->observe(p->layer, &c, p->slot, pre, post);
    return s->n * p->layer->out.s * p->layer->out.c;
}

void nl_probe_each_of_layer(nl_model *m, const nl_layer *l, bool norms,
                            void (*f)(void *arg, int64_t at, int64_t count), void *arg)
{
    nl_store *s = nl_model_store(m);
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->grad && nl_item_is_of(it, l->name, norms))
            f(arg, it->at, it->count);
    }
}
