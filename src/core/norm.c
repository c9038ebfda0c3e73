/* norm.c: registry, specs, storage and hooks of norms. Knows no method. */
#include "core/norm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/norm_plan.h"
#include "par/par.h"

/* ---- registry */

enum { PLUGINS_MAX = 64 };
static const nl_norm_ops *const *builtin;
static int builtins;
static const nl_norm_ops *plugin[PLUGINS_MAX];
static int plugins;

void nl_norm_use(const nl_norm_ops *const *table, int count)
{
    builtin = table;
    builtins = count;
}

const nl_norm_ops *nl_norm_at(int i)
{
    if (i < 0 || i >= builtins + plugins)
        return NULL;
    return i < builtins ? builtin[i] : plugin[i - builtins];
}

const nl_norm_ops *nl_norm_find(const char *name)
{
    const nl_norm_ops *o;
    if (strcmp(name, "none") == 0)
        name = "identity";
    for (int i = 0; (o = nl_norm_at(i)); i++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

nl_status nl_norm_find_or_say(const char *name, const nl_norm_ops **out)
{
    const nl_norm_ops *o;
    nl_nearest near = {.wanted = name, .see = "normlab norms"};
    if ((*out = nl_norm_find(name)))
        return NL_OK;
    for (int i = 0; (o = nl_norm_at(i)); i++)
        nl_nearest_offer(&near, o->name);
    return nl_fail(NL_ENAME, "no normalization method called '%s'%s", name, nl_nearest_hint(&near));
}

nl_status nl_norm_register(const nl_norm_ops *ops)
{
    if (ops->abi != NL_NORM_ABI || ops->real_bytes != sizeof(nl_real))
        return nl_fail(NL_EABI,
                       "plugin: built for interface %u with %u-byte numbers, this program has "
                       "interface %d with %zu-byte numbers",
                       ops->abi, ops->real_bytes, NL_NORM_ABI, sizeof(nl_real));
    if (!ops->name || !ops->options)
        return nl_fail(NL_EABI, "plugin: a method needs a name and a table of options");
    if (nl_norm_find(ops->name))
        return nl_fail(NL_ENAME, "plugin: a method called '%s' is there already", ops->name);
    if (plugins == PLUGINS_MAX)
        return nl_fail(NL_ENOMEM, "plugin: more than %d", PLUGINS_MAX);
    plugin[plugins++] = ops;
    return NL_OK;
}

const char *nl_source_name(nl_source s)
{
    static const char *const names[NL_SOURCES] = {"batch", "running", "cumulative",
                                                  "epoch", "example", "mixture"};
    return names[s];
}

/* ---- specs */

static int variable_count(const nl_norm_ops *ops)
{
    int n = 0;
    while (ops->variables && ops->variables[n].name)
        n++;
    return n;
}

/* "gamma.init=0.1" is a setting of a variable; anything without a dot is the method's option. */
static nl_status parse(const nl_norm_ops *ops, void *self, nl_setting *settings, const char *list)
{
    char key[NL_STRING_MAX], value[NL_STRING_MAX];
    NL_TRY(nl_options_preset(ops->options, self, ops->name));
    NL_TRY(nl_settings_preset(ops->variables, settings, ops->name));
    for (;;) {
        bool more;
        NL_TRY(nl_spec_next(&list, ops->name, key, value, &more));
        if (!more)
            return NL_OK;
        if (strchr(key, '.'))
            NL_TRY(nl_setting_set(ops->variables, settings, ops->name, key, value));
        else
            NL_TRY(nl_option_set(ops->options, self, ops->name, key, value));
    }
}

typedef struct parsed {
    const nl_norm_ops *ops;
    void *self;
    nl_setting *settings;
} parsed;

static nl_status parse_spec(const char *spec, parsed *out)
{
    nl_status st = NL_OK;
    char name[NL_STRING_MAX];
    const char *rest;
    *out = (parsed){0};
    NL_GO(nl_spec_split(spec, name, &rest));
    NL_GO(nl_norm_find_or_say(name, &out->ops));
    out->self = nl_alloc(1, out->ops->self_size);
    out->settings = nl_alloc(NL_NORM_VARS_MAX, sizeof *out->settings);
    if (!out->self || !out->settings)
        NL_BAIL(NL_ENOMEM, "%s: its options", name);
    if (variable_count(out->ops) > NL_NORM_VARS_MAX)
        NL_BAIL(NL_EABI, "%s: %d variables, at most %d", name, variable_count(out->ops),
                NL_NORM_VARS_MAX);
    NL_GO(parse(out->ops, out->self, out->settings, rest));
    return NL_OK;
done:
    nl_free(out->self);
    nl_free(out->settings);
    *out = (parsed){0};
    return st;
}

/* A '+' inside 1e+3 joins nothing. */
static bool joins(const char *spec, size_t at)
{
    return spec[at] == '+' && !(at > 0 && (spec[at - 1] == 'e' || spec[at - 1] == 'E') &&
                                spec[at + 1] >= '0' && spec[at + 1] <= '9');
}

nl_status nl_norm_next_part(const char **spec, char *part)
{
    size_t n = 0;
    while ((*spec)[n] && !joins(*spec, n))
        n++;
    if (n >= NL_STRING_MAX)
        return nl_fail(NL_EOPTION, "norm: a spec of more than %d characters", NL_STRING_MAX - 1);
    memcpy(part, *spec, n);
    part[n] = 0;
    if ((*spec)[n] == '+' && !(*spec)[n + 1])
        return nl_fail(NL_EOPTION, "norm: no method behind the '+' of '%s'", *spec);
    *spec += n + ((*spec)[n] == '+');
    return NL_OK;
}

static nl_status print_canonical(const char *spec, nl_text *out)
{
    parsed p;
    NL_TRY(parse_spec(spec, &p));
    nl_text_add(out, "%s", p.ops->name);
    nl_options_print(p.ops->options, p.self, out);
    if (p.ops->variables)
        nl_settings_print(p.ops->variables, p.settings, out);
    nl_free(p.self);
    nl_free(p.settings);
    return NL_OK;
}

nl_status nl_norm_canonical(const char *spec, nl_text *out)
{
    char part[NL_STRING_MAX];
    do {
        NL_TRY(nl_norm_next_part(&spec, part));
        NL_TRY(print_canonical(part, out));
        if (*spec)
            nl_text_add(out, "+");
    } while (*spec);
    return nl_text_status(out);
}

/* ---- storage */

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

/* State is for the batches of training, whatever a call may have. */
static nl_plan plan_for(const nl_norm *m, const nl_variable *d)
{
    const nl_norm_area *area = &m->area[d->area];
    return d->role == NL_STATE ? nl_plan_of(&area->is, &m->g, m->g.batch) : area->capacity;
}

static int64_t extent(const nl_norm *m, const nl_variable *d, int id, int dim)
{
    switch (d->dim[dim]) {
    case NL_1: return 1;
    case NL_N: return m->g.n;
    case NL_S: return m->g.s;
    case NL_C: return m->g.c;
    case NL_IN: return m->g.n;
    case NL_AREA: return plan_for(m, d).statistics;
    case NL_SEGMENTS: return plan_for(m, d).segments;
    case NL_USER: return m->ops->extent(m->self, &m->g, id, dim);
    }
    return 1;
}

static bool is_on(const nl_norm *m, const nl_variable *d)
{
    const nl_option *o = d->only_if ? nl_option_find(m->ops->options, d->only_if) : NULL;
    return !o || *(const bool *)((const char *)m->self + o->at);
}

static nl_status add_method_variables(nl_norm *m, const nl_setting *settings)
{
    for (int i = 0; i < m->nvars; i++) {
        const nl_variable *d = &m->ops->variables[i];
        m->item[i] = -1;
        if (!is_on(m, d))
            continue;
        const bool steps = d->role == NL_SAVED || (d->flags & NL_PER_STEP && !m->pools);
        NL_TRY(nl_store_add(m->store, m->owner, d, &settings[i], extent(m, d, i, 0),
                            extent(m, d, i, 1), steps ? m->g.steps : 1, &m->item[i]));
        if (d->purpose == NL_GAMMA)
            m->gamma = i, m->gamma_rows = at_least(m->gamma_rows, extent(m, d, i, 0));
        if (d->purpose == NL_BETA)
            m->beta = i;
        if (d->purpose > NL_BETA)
            m->area[d->area].state[d->purpose] = i;
        if (d->role == NL_STATE && steps && m->g.steps > 1)
            m->per_step = true;
    }
    return NL_OK;
}

#define CORE_ROW(name, role, type, doc)                                 \
    {                                                                   \
        name, role, type, {NL_1, NL_USER}, 0.0, 0, NULL, NL_OWN, 0, doc \
    }
static const nl_variable saved_row =
    CORE_ROW("area", NL_SAVED, NL_TYPE_DOUBLE, "a statistic or coefficient of the core");
static const nl_variable doubles_row =
    CORE_ROW("doubles", NL_SCRATCH, NL_TYPE_DOUBLE, "sums in flight");
static const nl_variable reals_row = CORE_ROW("reals", NL_SCRATCH, NL_TYPE_REAL, "coefficients");
static const nl_variable trained_row =
    CORE_ROW("steps_trained", NL_STATE, NL_TYPE_INT64, "time steps that have statistics");

static nl_status add(nl_norm *m, const nl_variable *row, int64_t rows, int64_t cols, int64_t steps,
                     int *item)
{
    NL_TRY(nl_store_add(m->store, m->owner, row, NULL, rows, cols, steps, item));
    return NL_OK;
}

static nl_plan example_plan(const nl_norm *m, int k)
{
    nl_area by_example = m->area[k].is;
    by_example.over &= ~(unsigned)NL_OVER_N;
    return nl_plan_of(&by_example, &m->g, m->g.n);
}

static nl_status coefficients_are_known(const nl_norm *m)
{
    for (int k = 0; k < m->nareas; k++)
        if (!m->area[k].is.standardizes && !(m->ops->forward && m->ops->backward))
            return nl_fail(NL_ESTATE,
                           "%s: area %d does not standardize, and no forward and "
                           "backward say what it does",
                           m->ops->name, k);
    return NL_OK;
}

static nl_status add_area_memory(nl_norm *m, int k)
{
    nl_norm_area *area = &m->area[k];
    int64_t statistics = area->capacity.statistics;
    if (area->by_example)
        statistics = at_least(statistics, example_plan(m, k).statistics);
    const bool kept[NL_SAVED_ARRAYS] = {[NL_SAVED_MEAN] = true,
                                        [NL_SAVED_VAR] = true,
                                        [NL_SAVED_A] = true,
                                        [NL_SAVED_D] = !area->is.standardizes,
                                        [NL_SAVED_OWN] = area->is.population,
                                        [NL_SAVED_COUNT] = !area->capacity.fused};
    for (int i = 0; i < NL_SAVED_ARRAYS; i++) {
        area->saved[i] = -1;
        if (kept[i])
            NL_TRY(add(m, &saved_row, 1, statistics, m->g.steps, &area->saved[i]));
    }
    area->scratch = area->reals = -1;
    if (!area->capacity.fused) {
        NL_TRY(add(m, &doubles_row, NL_SCRATCH_ARRAYS, statistics, 1, &area->scratch));
        NL_TRY(add(m, &reals_row, NL_REAL_ARRAYS, statistics, 1, &area->reals));
    }
    return NL_OK;
}

/* Of a sum for gamma and one for beta. */
static int64_t affine_values(const nl_norm *m) { return 2 * m->gamma_rows * m->g.c; }

static nl_status add_pass_memory(nl_norm *m)
{
    const int64_t blocks = nl_row_blocks(m->g.n * m->g.s, m->g.c);
    int64_t tasks = blocks;
    m->partial_room = 1;
    m->strip_room = nl_strip_reals(m);
    for (int k = 0; k < m->nareas; k++) {
        const nl_plan *plan = &m->area[k].capacity;
        m->partial_room = at_least(m->partial_room, (plan->columns ? 2 : 4) * plan->width);
        if (!plan->fused)
            tasks = at_least(tasks, plan->segments * nl_row_blocks(plan->rows, m->g.c));
        if (m->area[k].by_example) {
            const nl_plan own = example_plan(m, k);
            tasks = at_least(tasks, own.segments * nl_row_blocks(own.rows, m->g.c));
        }
    }
    if (m->g.pieces > 1) {
        m->partial_room = at_least(m->partial_room, affine_values(m));
        tasks = at_least(tasks, m->g.pieces);
    }
    const int64_t doubles = at_least(tasks * m->partial_room, affine_values(m));
    NL_TRY(add(m, &doubles_row, 1, doubles, 1, &m->partials));
    NL_TRY(add(m, &doubles_row, 1, tasks, 1, &m->counts));
    NL_TRY(add(m, &reals_row, tasks, m->strip_room, 1, &m->strips));
    if (m->per_step)
        NL_TRY(add(m, &trained_row, 1, 1, 1, &m->trained));
    return NL_OK;
}

static void find_areas(nl_norm *m)
{
    nl_area area[NL_AREAS_MAX] = {{0}};
    m->nareas = m->ops->areas ? m->ops->areas(m->self, &m->g, area) : 0;
    m->own = (nl_policy){.own_weight = 1};
    for (int k = 0; k < m->nareas; k++) {
        m->area[k].is = area[k];
        if (m->pools) /* all steps of a batch together weigh as much as one batch */
            m->area[k].is.momentum = 1 - pow(1 - area[k].momentum, 1 / (double)m->g.steps);
        m->area[k].capacity = nl_plan_of(&area[k], &m->g, m->g.n);
        for (int i = 0; i <= NL_EPOCH_COUNT; i++)
            m->area[k].state[i] = -1;
        if (area[k].population)
            m->own.mean[k] = m->own.var[k] = NL_FROM_RUNNING;
    }
    if (m->ops->evaluation)
        m->ops->evaluation(m->self, &m->own);
    for (int k = 0; k < m->nareas; k++)
        m->area[k].by_example =
            m->own.mean[k] >= NL_FROM_EXAMPLE ||
            (m->g.any_policy && area[k].population && m->ops->sources & 1u << NL_FROM_EXAMPLE);
}

const char *const nl_times[] = {"step", "pooled", NULL};

static void take_time(nl_norm *m)
{
    const nl_option *o = nl_option_find(m->ops->options, "time");
    const bool pooled =
        o &&
        ((const nl_choice *)(const void *)((const char *)m->self + o->at))->is == NL_TIME_POOLED;
    m->pools = pooled && m->g.steps > 1;
    m->g.sequence = m->g.sequence && m->pools;
    if (m->g.sequence) {
        m->g.s = m->g.steps;
        m->g.steps = 1;
    }
}

bool nl_norm_takes_sequence(const nl_norm *m) { return m && m->g.sequence; }

bool nl_norm_goes_by_rows(const nl_norm *m)
{
    bool alone = !m->ops->whole_forward && !m->per_step;
    for (int k = 0; k < m->nareas; k++)
        alone = alone && m->area[k].capacity.fused && !m->area[k].is.population;
    return alone;
}

nl_status nl_norm_open(nl_norm **out, const char *spec, const nl_geom *g, nl_store *store,
                       const char *owner)
{
    nl_status st = NL_OK;
    parsed p;
    *out = NULL;
    NL_TRY(parse_spec(spec, &p));
    nl_norm *m = nl_alloc(1, sizeof *m);
    if (!m)
        NL_BAIL(NL_ENOMEM, "%s: the norm at %s", p.ops->name, owner);
    m->ops = p.ops;
    m->self = p.self;
    p.self = NULL;
    m->g = *g;
    m->g.batch = g->batch > 0 ? g->batch : g->n;
    take_time(m);
    m->store = store;
    m->gamma = m->beta = -1;
    m->gamma_rows = 1;
    m->nvars = variable_count(m->ops);
    snprintf(m->owner, sizeof m->owner, "%s", owner);
    m->place = nl_hash_text(owner);
    if (m->ops->check)
        NL_GO(m->ops->check(m->self, &m->g));
    find_areas(m);
    NL_GO(coefficients_are_known(m));
    NL_GO(add_method_variables(m, p.settings));
    for (int k = 0; k < m->nareas; k++)
        NL_GO(add_area_memory(m, k));
    NL_GO(add_pass_memory(m));
    *out = m;
    m = NULL;
done:
    nl_free(p.self);
    nl_free(p.settings);
    nl_norm_close(m);
    return st;
}

void nl_norm_close(nl_norm *m)
{
    if (!m)
        return;
    nl_free(m->self);
    nl_free(m);
}

const nl_norm_ops *nl_norm_ops_of(const nl_norm *m) { return m->ops; }
const void *nl_norm_options_of(const nl_norm *m) { return m->self; }

int nl_norm_areas_of(const nl_norm *m, nl_area area[NL_AREAS_MAX])
{
    for (int k = 0; k < m->nareas; k++)
        area[k] = m->area[k].is;
    return m->nareas;
}

/* ---- policies */

void nl_norm_own_policy(const nl_norm *m, nl_policy *p) { *p = m->own; }

static nl_status accepts(const nl_norm *m, int k, const char *what, nl_source source, int64_t n)
{
    const nl_norm_area *area = &m->area[k];
    if (source == NL_FROM_BATCH)
        return NL_OK;
    if (!area->is.population || !(m->ops->sources & 1u << source))
        return nl_fail(NL_ESTATE, "%s: its area %d has no %s %s", m->ops->name, k,
                       nl_source_name(source), what);
    if (source >= NL_FROM_EXAMPLE && !area->by_example)
        return nl_fail(NL_ESTATE, "%s: the %s source has to be chosen in the spec (eval=%s)",
                       m->ops->name, nl_source_name(source), nl_source_name(source));
    if (source == NL_FROM_EXAMPLE && m->g.s < 2)
        return nl_fail(NL_ESTATE, "%s: an example has 1 value for its %s, at least 2 needed",
                       m->ops->name, what);
    if (!(area->is.over & NL_OVER_N) && n != m->g.batch)
        return nl_fail(
            NL_ESTATE, "%s: its %s %s belongs to batches of %lld examples, evaluation has %lld",
            m->ops->name, nl_source_name(source), what, (long long)m->g.batch, (long long)n);
    return NL_OK;
}

nl_status nl_norm_accepts(const nl_norm *m, const nl_policy *p, int64_t n)
{
    for (int k = 0; k < m->nareas; k++) {
        if ((p->mean[k] >= NL_FROM_EXAMPLE || p->var[k] >= NL_FROM_EXAMPLE) &&
            p->mean[k] != p->var[k])
            return nl_fail(NL_ESTATE, "%s: %s mean with %s variance", m->ops->name,
                           nl_source_name(p->mean[k]), nl_source_name(p->var[k]));
        NL_TRY(accepts(m, k, "mean", p->mean[k], n));
        NL_TRY(accepts(m, k, "variance", p->var[k], n));
    }
    return NL_OK;
}

/* ---- hooks */

static void hook(nl_norm *m, void (*call)(const void *self, nl_call *c), const nl_args *a)
{
    if (!call)
        return;
    nl_pass p;
    nl_hook_call(&p, m, a);
    call(m->self, &p.call);
}

void nl_norm_after_step(nl_norm *m)
{
    const nl_args a = {.phase = NL_TRAIN, .update = true};
    hook(m, m->ops->after_step, &a);
}

/* The epoch's sums start again, for every time step. */
static void clear_epoch_sums(nl_norm *m)
{
    static const nl_purpose sums[] = {NL_EPOCH_MEAN, NL_EPOCH_SPREAD, NL_EPOCH_COUNT};
    for (int k = 0; k < m->nareas; k++)
        for (int i = 0; i < 3; i++) {
            const int id = m->area[k].state[sums[i]];
            if (id < 0)
                continue;
            const nl_item *it = nl_store_at(m->store, m->item[id]);
            memset(it->val, 0, (size_t)it->count * nl_type_bytes(it->decl->type));
        }
}

void nl_norm_epoch_begin(nl_norm *m, int64_t epoch)
{
    const nl_args a = {.phase = NL_TRAIN, .update = true, .epoch = epoch};
    clear_epoch_sums(m);
    hook(m, m->ops->epoch_begin, &a);
}

void nl_norm_epoch_end(nl_norm *m, int64_t epoch)
{
    const nl_args a = {.phase = NL_TRAIN, .update = true, .epoch = epoch};
    hook(m, m->ops->epoch_end, &a);
}
