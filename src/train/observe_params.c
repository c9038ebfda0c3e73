#include "train/observe_params.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/lookup.h"
#include "kernel/summary.h"
#include "kernel/update.h"

/* A variable of a norm; a parameter; the parameters of a layer and its norms. */
typedef struct variable {
    int item, id;
} variable;

typedef struct parameter {
    int item, weight_norm, grad_norm, effective_lr;
    bool kept; /* else it only counts in the norm of all */
} parameter;

typedef struct direction {
    const nl_layer *layer; /* NULL: all layers */
    int cosine;
} direction;

struct nl_param_observer {
    const nl_agenda *agenda;
    variable *variable;
    parameter *parameter;
    direction *direction;
    int variables, parameters, directions, grad_norm;
    double *row; /* the largest variable, as doubles */
};

static nl_item *item_at(const nl_param_observer *o, int item)
{
    return nl_store_at(nl_model_store(o->agenda->set.model), item);
}

/* ---- declaring */

static nl_status declare_variables(nl_param_observer *o, int items)
{
    int64_t widest = 1;
    for (int i = 0; i < items; i++) {
        const nl_item *it = item_at(o, i);
        if (!(it->decl->flags & NL_LOGGED) || it->count == 0 ||
            !nl_agenda_keeps(o->agenda, NL_LOG_NORMS, it->owner))
            continue;
        const nl_channel c = {
            .type = NL_TYPE_REAL, .unit = "1", .doc = it->decl->doc, .rank = 1, .dim = {it->count}};
        variable *v = &o->variable[o->variables++];
        v->item = i;
        widest = it->count > widest ? it->count : widest;
        NL_TRY(nl_agenda_declare(o->agenda, NL_LOG_NORMS, &c, &v->id, "%s/%s", it->owner,
                                 it->decl->name));
    }
    o->row = nl_alloc((size_t)widest, sizeof *o->row);
    return o->row ? NL_OK : nl_fail(NL_ENOMEM, "a row of %lld values", (long long)widest);
}

static nl_status declare_number(const nl_param_observer *o, nl_log_channel_id id, const char *owner,
                                const char *name, const char *doc, int *out)
{
    const nl_channel c = {.type = NL_TYPE_REAL, .unit = "1", .doc = doc};
    return nl_agenda_declare(o->agenda, id, &c, out, "%s%s%s", owner, *owner ? "/" : "", name);
}

static nl_status declare_parameters(nl_param_observer *o, int items)
{
    const struct {
        const char *name, *doc;
        size_t at;
        bool of_weights; /* a gain or a bias has no direction */
    } rows[] = {
        {"weight_norm", "Euclidean norm of the values", offsetof(parameter, weight_norm), false},
        {"grad_norm", "Euclidean norm of the gradient", offsetof(parameter, grad_norm), false},
        {"effective_lr", "learning rate over the squared norm of the weights",
         offsetof(parameter, effective_lr), true}};
    char owner[160];
    for (int i = 0; i < items; i++) {
        const nl_item *it = item_at(o, i);
        if (!it->grad)
            continue;
        parameter *p = &o->parameter[o->parameters++];
        *p = (parameter){.item = i, .kept = nl_agenda_keeps(o->agenda, NL_LOG_PARAMS, it->owner)};
        snprintf(owner, sizeof owner, "%s/%s", it->owner, it->decl->name);
        for (size_t k = 0; p->kept && k < sizeof rows / sizeof *rows; k++)
            if (!rows[k].of_weights || it->decl->flags & NL_DECAYS)
                NL_TRY(declare_number(o, NL_LOG_PARAMS, owner, rows[k].name, rows[k].doc,
                                      (int *)(void *)((char *)p + rows[k].at)));
    }
    return declare_number(o, NL_LOG_PARAMS, "", "grad_norm",
                          "Euclidean norm of all gradients together", &o->grad_norm);
}

static bool has_parameters(const nl_param_observer *o, const nl_layer *l, int items)
{
    for (int i = 0; i < items; i++)
        if (item_at(o, i)->grad && nl_item_is_of(item_at(o, i), l->name, true))
            return true;
    return false;
}

static nl_status declare_directions(nl_param_observer *o, int items)
{
    nl_model *m = o->agenda->set.model;
    direction *all = &o->direction[o->directions++];
    NL_TRY(declare_number(o, NL_LOG_COSINE, "", "cosine",
                          "cosine of the gradients of this step and the one before", &all->cosine));
    for (int i = 0; i < nl_model_layers(m); i++) {
        const nl_layer *l = nl_model_layer(m, i);
        if (!nl_agenda_keeps(o->agenda, NL_LOG_COSINE, l->name) || !has_parameters(o, l, items))
            continue;
        direction *d = &o->direction[o->directions++];
        d->layer = l;
        NL_TRY(declare_number(o, NL_LOG_COSINE, l->name, "cosine",
                              "the same of the layer and its norms", &d->cosine));
    }
    return NL_OK;
}

nl_status nl_param_observer_open(nl_param_observer **out, const nl_agenda *a)
{
    nl_status st = NL_OK;
    const int items = nl_store_count(nl_model_store(a->set.model));
    *out = NULL;
    nl_param_observer *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "the observer of parameters");
    o->agenda = a;
    o->variable = nl_alloc((size_t)items, sizeof *o->variable);
    o->parameter = nl_alloc((size_t)items, sizeof *o->parameter);
    o->direction = nl_alloc((size_t)nl_model_layers(a->set.model) + 1, sizeof *o->direction);
    if (!o->variable || !o->parameter || !o->direction)
        NL_BAIL(NL_ENOMEM, "observed variables");
    NL_GO(declare_variables(o, items));
    if (a->every[NL_LOG_PARAMS])
        NL_GO(declare_parameters(o, items));
    if (a->every[NL_LOG_COSINE])
        NL_GO(declare_directions(o, items));
    *out = o;
    return NL_OK;
done:
    nl_param_observer_close(o);
    return st;
}

void nl_param_observer_close(nl_param_observer *o)
{
    if (!o)
        return;
    nl_free(o->variable);
    nl_free(o->parameter);
    nl_free(o->direction);
    nl_free(o->row);
    nl_free(o);
}

/* ---- variables of norms */

static void put_variable(const nl_param_observer *o, const variable *v)
{
    const nl_item *it = item_at(o, v->item);
    for (int64_t i = 0; i < it->count; i++)
        switch (it->decl->type) {
        case NL_TYPE_REAL: o->row[i] = (double)((const nl_real *)it->val)[i]; break;
        case NL_TYPE_DOUBLE: o->row[i] = ((const double *)it->val)[i]; break;
        case NL_TYPE_INT64: o->row[i] = (double)((const int64_t *)it->val)[i]; break;
        }
    nl_log_put(o->agenda->set.log, v->id, o->row);
}

/* ---- norms of parameters and gradients */

static double squares(const nl_real *v, int64_t count)
{
    double lane[NL_SQUARE_LANES] = {0}, sum = 0;
    nl_update_kernel()->squares(v, count, 0, lane);
    for (int i = 0; i < NL_SQUARE_LANES; i++)
        sum += lane[i];
    return sum;
}

static double gradient_squares(const nl_item *it)
{
    double sum = 0;
    if (!it->lookup)
        return squares(it->grad, it->count);
    for (int64_t i = 0; i < it->lookup->count; i++)
        sum += squares(it->grad + it->lookup->touched[i] * it->cols, it->cols);
    return sum;
}

static double weight_squares(const nl_item *it)
{
    if (it->lookup)
        nl_lookup_read(it, NULL, it->rows);
    return squares(it->val, it->count);
}

/* The first row, and the first at or after each checkpoint, which reads all tables anyway. */
static bool reads_tables(const nl_agenda *a)
{
    const int64_t every = a->set.checkpoint, before = a->step - a->every[NL_LOG_PARAMS];
    return a->step == 1 || (before > 0 ? before : 0) / every != a->step / every;
}

static void put_parameter(const nl_param_observer *o, const parameter *p, double gradient,
                          double lr)
{
    nl_log *log = o->agenda->set.log;
    const nl_item *it = item_at(o, p->item);
    const double grad_norm = sqrt(gradient);
    nl_log_put(log, p->grad_norm, &grad_norm);
    if (it->lookup && !reads_tables(o->agenda))
        return;
    const double weight = weight_squares(it), weight_norm = sqrt(weight);
    nl_log_put(log, p->weight_norm, &weight_norm);
    if (!(it->decl->flags & NL_DECAYS))
        return;
    const double effective_lr = lr * (it->set.freeze ? 0 : it->set.lr) / weight;
    nl_log_put(log, p->effective_lr, &effective_lr);
}

static void put_parameters(const nl_param_observer *o, double lr)
{
    double sum = 0;
    for (int i = 0; i < o->parameters; i++) {
        const double gradient = gradient_squares(item_at(o, o->parameter[i].item));
        sum += gradient;
        if (o->parameter[i].kept)
            put_parameter(o, &o->parameter[i], gradient, lr);
    }
    const double all = sqrt(sum);
    nl_log_put(o->agenda->set.log, o->grad_norm, &all);
}

/* ---- directions of successive gradients */

/* Of the layer's items in two slabs. */
static double layer_cosine(nl_store *s, const nl_layer *l, const nl_real *a, const nl_real *b)
{
    double sum[3] = {0}; /* <a, a>, <a, b>, <b, b> */
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->grad && (!l || nl_item_is_of(it, l->name, true)))
            nl_summary_kernel()->products(a + it->at, b + it->at, it->count, sum);
    }
    return sum[1] / sqrt(sum[0] * sum[2]);
}

static void put_directions(const nl_param_observer *o)
{
    const nl_agenda *a = o->agenda;
    nl_store *s = nl_model_store(a->set.model);
    for (int i = 0; i < o->directions && a->step > 1; i++) {
        const direction *d = &o->direction[i];
        const double cosine =
            layer_cosine(s, d->layer, a->set.last_gradient, nl_store_grads(s, NULL));
        nl_log_put(a->set.log, d->cosine, &cosine);
    }
}

static void keep_gradient(const nl_agenda *a)
{
    int64_t count;
    const nl_real *g = nl_store_grads(nl_model_store(a->set.model), &count);
    memcpy(a->set.last_gradient, g, (size_t)count * sizeof *g);
}

void nl_observe_params(nl_param_observer *o, double lr)
{
    const nl_agenda *a = o->agenda;
    for (int i = 0; i < o->variables && a->due[NL_LOG_NORMS]; i++)
        put_variable(o, &o->variable[i]);
    if (a->due[NL_LOG_PARAMS])
        put_parameters(o, lr);
    if (a->due[NL_LOG_COSINE])
        put_directions(o);
    if (nl_agenda_is_due(a, NL_LOG_COSINE, a->step + 1))
        keep_gradient(a);
}
