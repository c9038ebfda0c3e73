/* contract.c: the list of properties, and those of tables, specs and memory. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/contract_rig.h"

/* ---- tables */

static bool is_name(const char *s)
{
    return s && s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

static void options_are_sane(nl_contract *c)
{
    for (const nl_option *o = c->ops->options; o && o->key; o++) {
        nl_contract_expect(c, is_name(o->key), "option '%s': a key is [a-z0-9_]+", o->key);
        nl_contract_expect(c, o->doc && o->doc[0], "option %s says nothing about itself", o->key);
        for (const nl_option *p = c->ops->options; p < o; p++)
            nl_contract_expect(c, strcmp(p->key, o->key) != 0, "option %s is there twice", o->key);
    }
}

static void variable_is_sane(nl_contract *c, const nl_variable *v)
{
    const nl_norm_ops *ops = c->ops;
    nl_contract_expect(c, is_name(v->name), "variable '%s': a name is [a-z0-9_]+", v->name);
    nl_contract_expect(c, v->doc && v->doc[0], "variable %s says nothing about itself", v->name);
    nl_contract_expect(c, v->role != NL_PARAM || v->type == NL_TYPE_REAL,
                       "parameter %s has to be of type real", v->name);
    nl_contract_expect(c, v->purpose > NL_BETA || v->purpose == NL_OWN || v->role == NL_PARAM,
                       "variable %s is gamma or beta, but no parameter", v->name);
    nl_contract_expect(c, v->purpose <= NL_BETA || v->role == NL_STATE,
                       "variable %s is a population statistic, but no state", v->name);
    nl_contract_expect(c, v->area >= 0 && v->area < NL_AREAS_MAX, "variable %s: area %d", v->name,
                       v->area);
    const nl_option *o = v->only_if ? nl_option_find(ops->options, v->only_if) : NULL;
    nl_contract_expect(c, !v->only_if || (o && o->type == NL_OPT_BOOL),
                       "variable %s hangs on '%s', which is no bool option", v->name, v->only_if);
    nl_contract_expect(c, (v->dim[0] != NL_USER && v->dim[1] != NL_USER) || ops->extent != NULL,
                       "variable %s asks for an extent, and there is no such callback", v->name);
    for (const nl_variable *p = ops->variables; p < v; p++)
        nl_contract_expect(c, strcmp(p->name, v->name) != 0, "variable %s is there twice", v->name);
}

/* An area with population has its eight variables, all or none. */
static nl_status populations_are_whole(nl_contract *c, nl_rig *r)
{
    nl_area area[NL_AREAS_MAX];
    const int areas = nl_norm_areas_of(r->m, area);
    for (int k = 0; k < areas; k++) {
        int rows = 0;
        for (const nl_variable *v = c->ops->variables; v && v->name; v++)
            rows += v->purpose > NL_BETA && v->area == k;
        nl_contract_expect(c, rows == (area[k].population ? NL_POPULATION_ROWS : 0),
                           "area %d has %d variables of population statistics", k, rows);
        nl_contract_expect(c, area[k].groups <= 1 || r->g.c % area[k].groups == 0,
                           "area %d: %lld groups of %lld channels", k, (long long)area[k].groups,
                           (long long)r->g.c);
    }
    return NL_OK;
}

static void canonical_is_stable(nl_contract *c)
{
    nl_text once = {0}, twice = {0};
    nl_status st = nl_norm_canonical(c->spec, &once);
    if (st == NL_OK)
        st = nl_norm_canonical(nl_text_of(&once), &twice);
    nl_contract_expect(c, st == NL_OK && strcmp(nl_text_of(&once), nl_text_of(&twice)) == 0,
                       "canonical spec '%s' reads back as '%s'", nl_text_of(&once),
                       nl_text_of(&twice));
    nl_text_free(&once);
    nl_text_free(&twice);
}

nl_status nl_check_tables(nl_contract *c)
{
    const nl_norm_ops *ops = c->ops;
    nl_contract_expect(c, is_name(ops->name), "name '%s': has to be [a-z0-9_]+", ops->name);
    nl_contract_expect(c, ops->title && ops->title[0], "no title");
    nl_contract_expect(c, ops->cite != NULL, "no citation (\"\" where there is no paper)");
    nl_contract_expect(c, ops->sites != 0, "can be put nowhere");
    nl_contract_expect(c, !ops->whole_forward == !ops->whole_backward, "half a whole pass");
    nl_contract_expect(c, !ops->forward == !ops->backward, "half of forward and backward");
    nl_contract_expect(c, ops->areas || !ops->forward, "forward and backward without areas");
    nl_contract_expect(c, !ops->areas || !ops->whole_forward, "both areas and whole passes");
    options_are_sane(c);
    for (const nl_variable *v = ops->variables; v && v->name; v++)
        variable_is_sane(c, v);
    canonical_is_stable(c);
    NL_TRY(nl_each_geometry(c, populations_are_whole));
    return NL_OK;
}

/* ---- refusals */

/* The spec "NAME:list" is refused with a message that holds `saying`. */
static void is_refused(nl_contract *c, const char *list, const char *saying)
{
    char spec[2 * NL_STRING_MAX];
    nl_text out = {0};
    snprintf(spec, sizeof spec, "%s:%s", c->ops->name, list);
    const nl_status st = nl_norm_canonical(spec, &out);
    nl_text_free(&out);
    nl_contract_expect(c, st != NL_OK && strstr(nl_last_error(), saying),
                       "'%s': wanted a refusal with '%s', got '%s'", spec, saying,
                       st == NL_OK ? "no refusal" : nl_last_error());
}

static void option_refuses(nl_contract *c, const nl_option *o)
{
    char list[256];
    snprintf(list, sizeof list, "%s", o->key);
    is_refused(c, list, "is not key=value");
    snprintf(list, sizeof list, "%s=nonsense!", o->key);
    if (o->type != NL_OPT_STRING)
        is_refused(c, list, o->key);
    const bool numeric = o->type == NL_OPT_REAL || o->type == NL_OPT_INT;
    snprintf(list, sizeof list, "%s=%.0f", o->key, 2 * o->hi + 1);
    if (numeric)
        is_refused(c, list, "outside");
    snprintf(list, sizeof list, "%s=nan", o->key);
    if (numeric)
        is_refused(c, list, "number");
}

nl_status nl_check_refusals(nl_contract *c)
{
    nl_text out = {0};
    char typo[NL_STRING_MAX];
    nl_contract_at(c, "specs");
    for (const nl_option *o = c->ops->options; o && o->key; o++)
        option_refuses(c, o);
    is_refused(c, "no_such_option=1", "no option 'no_such_option'");
    is_refused(c, "no_such_variable.init=1", "no variable 'no_such_variable'");
    for (const nl_variable *v = c->ops->variables; v && v->name; v++) {
        snprintf(typo, sizeof typo, "%s.no_such_key=1", v->name);
        const bool settable = v->role == NL_PARAM || v->role == NL_STATE;
        is_refused(c, typo, settable ? "no_such_key" : "no variable");
    }
    snprintf(typo, sizeof typo, "%sx", c->ops->name);
    if (strlen(typo) > 3 && !nl_norm_find(typo)) {
        const nl_status st = nl_norm_canonical(typo, &out);
        nl_contract_expect(c, st == NL_ENAME && strstr(nl_last_error(), "did you mean"),
                           "'%s' is not refused with the name that was meant", typo);
        nl_text_free(&out);
    }
    return NL_OK;
}

/* ---- memory */

/* Opens and commits with allocation k failing; false once there are fewer than k. */
static bool opens_without(nl_contract *c, nl_geom g, long k)
{
    const long before = nl_alloc_live();
    nl_store *store = NULL;
    nl_norm *m = NULL;
    nl_alloc_fail_at(k);
    nl_status st = nl_store_open(&store);
    if (st == NL_OK) {
        st = nl_norm_open(&m, c->spec, &g, store, NL_RIG_OWNER);
        nl_contract_expect(c, st == NL_OK || m == NULL,
                           "allocation %ld fails: a norm came back all the same", k);
    }
    if (st == NL_OK)
        st = nl_store_commit(store);
    nl_alloc_fail_at(-1);
    nl_norm_close(m);
    nl_store_close(store);
    nl_contract_expect(c, st == NL_OK || st == NL_ENOMEM,
                       "allocation %ld fails: expected 'out of memory', got '%s'", k,
                       nl_status_text(st));
    nl_contract_expect(c, nl_alloc_live() == before, "allocation %ld fails: %ld blocks are lost", k,
                       nl_alloc_live() - before);
    return st == NL_OK;
}

static nl_status a_step_takes_none(nl_contract *c, nl_rig *r)
{
    const long before = nl_alloc_calls();
    nl_norm_epoch_begin(r->m, 0);
    for (int k = 0; k < 3; k++) {
        r->a.update = true;
        r->a.phase = k < 2 ? NL_TRAIN : NL_EVAL;
        nl_rig_forward(r);
        nl_rig_backward(r);
        nl_norm_after_step(r->m);
    }
    nl_norm_epoch_end(r->m, 0);
    nl_contract_expect(c, nl_alloc_calls() == before, "%ld allocations in steps",
                       nl_alloc_calls() - before);
    return NL_OK;
}

nl_status nl_check_memory(nl_contract *c)
{
    enum { MORE_THAN_ENOUGH = 1000 };
    const nl_geom g = nl_some_geometry(c, 4, 3, 8);
    long k = 0;
    nl_contract_at(c, "n %lld, s %lld, c %lld", (long long)g.n, (long long)g.s, (long long)g.c);
    while (k < MORE_THAN_ENOUGH && !opens_without(c, g, k))
        k++;
    nl_contract_expect(c, k > 0 && k < MORE_THAN_ENOUGH, "%ld allocations tried", k);
    NL_TRY(nl_each_geometry(c, a_step_takes_none));
    return NL_OK;
}

/* ---- the list */

static const struct {
    const char *name, *says;
    nl_status (*check)(nl_contract *c);
} properties[] = {
    {"tables", "options and variables have names, docs, types and purposes that fit",
     nl_check_tables},
    {"refusals", "bad specs are refused with what was wanted and what came", nl_check_refusals},
    {"memory", "any allocation may fail when opening; a step allocates nothing", nl_check_memory},
    {"formula", "forward is the formula over the method's coefficients", nl_check_formula},
    {"gradients", "backward in training against differences of forward", nl_check_gradients},
    {"sources", "backward at evaluation, for each source of each statistic", nl_check_sources},
    {"large", "slopes of a tensor of many blocks along random directions", nl_check_large},
    {"promises", "invariances, coupling of rows, evaluation: as the traits say", nl_check_promises},
    {"masks", "padding enters nothing, gets 0, and may hold anything", nl_check_masks},
    {"few", "0, 1 and 2 live rows give finite numbers; 0 leave the state alone", nl_check_few},
    {"sizes", "short batches; state tied to a batch size refuses others", nl_check_sizes},
    {"state", "evaluation and update=false leave the state alone", nl_check_state},
    {"averages", "running, cumulative and epoch averages, followed by hand", nl_check_averages},
    {"time", "time steps are apart; those beyond the trained take the last", nl_check_time},
    {"extremes", "mean 2000, constant channels, 1e-20, one outlier", nl_check_extremes},
    {"nan", "NaN in gives NaN out wherever it matters", nl_check_nan},
    {"threads", "the same bytes on 1, 2, 3 and 5 threads", nl_check_threads},
    {"strides", "the same bytes with rows apart and with dx over dy", nl_check_strides},
    {"fusion", "activation and residual: the same bytes fused and apart", nl_check_fusion},
    {"poison", "saved values and scratch are written before they are read", nl_check_poison},
};
enum { PROPERTIES = sizeof properties / sizeof *properties };

nl_status nl_contract_check(const char *spec, void (*report)(void *to, const nl_finding *f),
                            void *to, int *broken)
{
    char name[NL_STRING_MAX];
    const char *rest;
    nl_text canonical = {0};
    const nl_norm_ops *ops;
    *broken = 0;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_norm_find_or_say(name, &ops));
    NL_TRY(nl_norm_canonical(spec, &canonical));
    nl_text_free(&canonical);
    for (int i = 0; i < PROPERTIES; i++) {
        nl_contract c = {.spec = spec, .ops = ops};
        NL_TRY(properties[i].check(&c));
        nl_finding f = {.property = properties[i].name,
                        .says = properties[i].says,
                        .detail = c.detail,
                        .verdict = c.failures ? NL_BROKEN
                                   : c.cases  ? NL_KEPT
                                              : NL_NOT_ASKED,
                        .cases = c.cases,
                        .failures = c.failures};
        *broken += c.failures > 0;
        report(to, &f);
    }
    return NL_OK;
}
