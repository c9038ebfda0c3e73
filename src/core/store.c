#include "core/store.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/lookup.h"
#include "par/par.h"

static const char *const constraints[] = {"none", "nonneg", "unit", NULL};

const nl_option nl_setting_options[] = {
    NL_OPT_TEXT(nl_setting, init, "", "initial value instead of the owner's"),
    NL_OPT(nl_setting, lr, "1", 0, 1e6, "multiplies the learning rate"),
    NL_OPT(nl_setting, l2, "0", 0, 1e6, "adds l2 (p - l2_to) to the gradient"),
    NL_OPT(nl_setting, l2_to, "0", -1e6, 1e6, "what l2 pulls towards"),
    NL_OPT_NAMES(nl_setting, constraint, "none", constraints,
                 "after each step: nonneg [0, inf), unit [0, 1]"),
    NL_OPT_FLAG(nl_setting, freeze, "false", "keeps the initial value"),
    NL_OPT_END};

/* One slab a lifetime, and one for the gradients. */
enum { PARAMS, GRADS, STATE, SAVED, SCRATCH, SLABS };

typedef struct slab {
    char *at;
    int64_t bytes, next; /* next: where the next variable goes; bytes behind it without overlays */
} slab;

/* An item, its own copy of the declaration, and where its value starts in its slab. */
typedef struct entry {
    nl_item item;
    nl_variable decl;
    int64_t byte;
} entry;

struct nl_store {
    entry **entry; /* each on its own: items do not move when more are added */
    int count, room;
    bool committed;
    slab slab[SLABS];
};

size_t nl_type_bytes(nl_vartype type)
{
    static const size_t bytes[] = {sizeof(nl_real), sizeof(double), sizeof(int64_t)};
    return bytes[type];
}

static int slab_of(nl_role role)
{
    static const int slabs[] = {PARAMS, STATE, SAVED, SCRATCH};
    return slabs[role];
}

nl_status nl_store_open(nl_store **out)
{
    *out = nl_alloc(1, sizeof **out);
    return *out ? NL_OK : nl_fail(NL_ENOMEM, "the store of variables");
}

static void free_slabs(nl_store *s)
{
    for (int k = 0; k < SLABS; k++) {
        nl_free(s->slab[k].at);
        s->slab[k].at = NULL;
    }
}

void nl_store_close(nl_store *s)
{
    if (!s)
        return;
    free_slabs(s);
    for (int i = 0; i < s->count; i++) {
        nl_lookup_close(s->entry[i]->item.lookup);
        nl_free(s->entry[i]);
    }
    nl_free(s->entry);
    nl_free(s);
}

/* ---- adding */

static nl_status make_room(nl_store *s)
{
    if (s->count < s->room)
        return NL_OK;
    const int room = 2 * s->room + 32;
    entry **wider = nl_alloc((size_t)room, sizeof *wider);
    if (!wider)
        return nl_fail(NL_ENOMEM, "a store of %d variables", room);
    if (s->count)
        memcpy(wider, s->entry, (size_t)s->count * sizeof *wider);
    nl_free(s->entry);
    s->entry = wider;
    s->room = room;
    return NL_OK;
}

/* Bytes of the item, rounded up to whole NL_ALIGNs; -1 when that is not a size. */
static int64_t padded_bytes(const nl_item *it)
{
    int64_t bytes;
    if (__builtin_mul_overflow(it->count, (int64_t)nl_type_bytes(it->decl->type), &bytes) ||
        bytes > INT64_MAX - NL_ALIGN)
        return -1;
    return (bytes + NL_ALIGN - 1) / NL_ALIGN * NL_ALIGN;
}

static nl_status check_shape(nl_item *it)
{
    const char *owner = it->owner, *name = it->decl->name;
    const bool fits = !__builtin_mul_overflow(it->rows, it->cols, &it->count) &&
                      !__builtin_mul_overflow(it->count, it->steps, &it->count);
    if (it->rows < 0 || it->cols < 0 || it->steps < 0 || !fits || padded_bytes(it) < 0)
        return nl_fail(NL_ESHAPE, "%s: %s of %lld x %lld x %lld values is not possible", owner,
                       name, (long long)it->rows, (long long)it->cols, (long long)it->steps);
    if (it->decl->role == NL_PARAM && it->decl->type != NL_TYPE_REAL)
        return nl_fail(NL_ESHAPE, "%s: parameter %s has to be of type real", owner, name);
    return NL_OK;
}

static nl_status check_init(const nl_item *it)
{
    double v;
    const char *text = it->set.init.is;
    if (text[0] && !nl_read_real(text, &v))
        return nl_fail(NL_EOPTION, "%s: %s.init wants a number, got '%s'", it->owner,
                       it->decl->name, text);
    return NL_OK;
}

static nl_status fill_entry(nl_store *s, entry *e, const char *owner, const nl_variable *decl,
                            const nl_setting *set)
{
    nl_item *it = &e->item;
    if (strlen(owner) >= sizeof it->owner)
        return nl_fail(NL_ENAME, "%s: a name of more than %zu characters", owner,
                       sizeof it->owner - 1);
    const bool kept = decl->role == NL_PARAM || decl->role == NL_STATE;
    if (kept && nl_store_find(s, owner, decl->name))
        return nl_fail(NL_ENAME, "%s has two variables '%s'", owner, decl->name);
    snprintf(it->owner, sizeof it->owner, "%s", owner);
    e->decl = *decl;
    it->decl = &e->decl;
    if (set)
        it->set = *set;
    else
        NL_TRY(nl_options_preset(nl_setting_options, &it->set, owner));
    NL_TRY(check_shape(it));
    return check_init(it);
}

/* Puts the item at the end of its slab. */
static nl_status place(nl_store *s, entry *e)
{
    slab *to = &s->slab[slab_of(e->decl.role)];
    const int64_t bytes = padded_bytes(&e->item);
    if (to->next > INT64_MAX - bytes)
        return nl_fail(NL_ESHAPE, "%s: %s does not fit into memory", e->item.owner, e->decl.name);
    e->byte = to->next;
    if (e->decl.role == NL_PARAM)
        e->item.at = to->next / (int64_t)sizeof(nl_real);
    to->next += bytes;
    to->bytes = to->next > to->bytes ? to->next : to->bytes;
    return NL_OK;
}

void nl_store_overlay_scratch(nl_store *s) { s->slab[SCRATCH].next = 0; }

nl_status nl_store_add(nl_store *s, const char *owner, const nl_variable *decl,
                       const nl_setting *set, int64_t rows, int64_t cols, int64_t steps, int *index)
{
    nl_status st = NL_OK;
    if (s->committed)
        return nl_fail(NL_ESTATE, "%s: %s comes after the store was committed", owner, decl->name);
    NL_TRY(make_room(s));
    entry *e = nl_alloc(1, sizeof *e);
    if (!e)
        return nl_fail(NL_ENOMEM, "%s: %s", owner, decl->name);
    e->item.rows = rows;
    e->item.cols = cols;
    e->item.steps = steps;
    NL_GO(fill_entry(s, e, owner, decl, set));
    if (decl->flags & NL_BY_ROW)
        NL_GO(nl_lookup_open(&e->item.lookup, &e->item));
    NL_GO(place(s, e));
    *index = s->count;
    s->entry[s->count++] = e;
    return NL_OK;
done:
    nl_lookup_close(e->item.lookup);
    nl_free(e);
    return st;
}

/* ---- commit */

static void write_init(nl_item *it)
{
    double v = it->decl->init;
    if (it->set.init.is[0] && !nl_read_real(it->set.init.is, &v))
        return; /* refused by nl_store_add */
    for (int64_t i = 0; i < it->count; i++)
        switch (it->decl->type) {
        case NL_TYPE_REAL: ((nl_real *)it->val)[i] = (nl_real)v; break;
        case NL_TYPE_DOUBLE: ((double *)it->val)[i] = v; break;
        case NL_TYPE_INT64: ((int64_t *)it->val)[i] = (int64_t)v; break;
        }
}

void nl_item_given_init(nl_item *it)
{
    if (it->set.init.is[0])
        write_init(it);
}

static void point(nl_store *s, entry *e)
{
    if (e->item.count == 0)
        return;
    e->item.val = s->slab[slab_of(e->decl.role)].at + e->byte;
    if (e->decl.role == NL_PARAM)
        e->item.grad = nl_store_grads(s, NULL) + e->item.at;
    write_init(&e->item);
}

nl_status nl_store_commit(nl_store *s)
{
    static const char *const kinds[] = {"parameters", "gradients", "state", "saved values",
                                        "scratch"};
    if (s->committed)
        return nl_fail(NL_ESTATE, "the store was committed before");
    s->slab[GRADS].bytes = s->slab[PARAMS].bytes;
    for (int k = 0; k < SLABS; k++) {
        s->slab[k].at = nl_alloc((size_t)s->slab[k].bytes, 1);
        if (!s->slab[k].at) {
            free_slabs(s);
            return nl_fail(NL_ENOMEM, "%lld bytes of %s", (long long)s->slab[k].bytes, kinds[k]);
        }
    }
    for (int i = 0; i < s->count; i++)
        point(s, s->entry[i]);
    s->committed = true;
    return NL_OK;
}

/* ---- looking */

int nl_store_count(const nl_store *s) { return s->count; }
nl_item *nl_store_at(nl_store *s, int index) { return &s->entry[index]->item; }

bool nl_item_is_of(const nl_item *it, const char *layer, bool norms)
{
    const size_t n = strlen(layer);
    return strncmp(it->owner, layer, n) == 0 && (!it->owner[n] || (norms && it->owner[n] == '/'));
}

nl_item *nl_store_find(nl_store *s, const char *owner, const char *name)
{
    for (int i = 0; i < s->count; i++) {
        nl_item *it = &s->entry[i]->item;
        if (strcmp(it->decl->name, name) == 0 && strcmp(it->owner, owner) == 0)
            return it;
    }
    return NULL;
}

static nl_real *reals(const nl_store *s, int k, int64_t *count)
{
    if (count)
        *count = s->slab[k].bytes / (int64_t)sizeof(nl_real);
    return (void *)s->slab[k].at;
}

nl_real *nl_store_params(nl_store *s, int64_t *count) { return reals(s, PARAMS, count); }
nl_real *nl_store_grads(nl_store *s, int64_t *count) { return reals(s, GRADS, count); }

enum { ZERO_BLOCK = 1 << 16 }; /* bytes */

static void zero_block(int64_t b, void *arg)
{
    const slab *g = arg;
    const int64_t from = b * ZERO_BLOCK, left = g->bytes - from;
    memset(g->at + from, 0, (size_t)(left < ZERO_BLOCK ? left : ZERO_BLOCK));
}

void nl_store_zero_grads(nl_store *s)
{
    slab *g = &s->slab[GRADS];
    nl_for((g->bytes + ZERO_BLOCK - 1) / ZERO_BLOCK, g->bytes, zero_block, g);
}

/* ---- settings */

/* State has an initial value and nothing else; saved values and scratch have no settings. */
static bool takes(const nl_variable *v, const char *key)
{
    return v->role == NL_PARAM || (v->role == NL_STATE && strcmp(key, "init") == 0);
}

nl_status nl_settings_preset(const nl_variable *variables, nl_setting *settings, const char *owner)
{
    for (int k = 0; variables && variables[k].name; k++)
        NL_TRY(nl_options_preset(nl_setting_options, &settings[k], owner));
    return NL_OK;
}

static nl_status unknown_variable(const nl_variable *variables, const char *owner, const char *name)
{
    nl_nearest near = {.wanted = name};
    for (const nl_variable *v = variables; v && v->name; v++)
        if (takes(v, "init"))
            nl_nearest_offer(&near, v->name);
    return nl_fail(NL_EOPTION, "%s has no variable '%s'%s", owner, name, nl_nearest_hint(&near));
}

nl_status nl_setting_set(const nl_variable *variables, nl_setting *settings, const char *owner,
                         const char *key, const char *value)
{
    char name[NL_STRING_MAX], whose[2 * NL_STRING_MAX];
    const size_t n = strcspn(key, ".");
    if (!key[n] || n >= sizeof name)
        return nl_fail(NL_EOPTION, "%s: '%s' is not NAME.KEY", owner, key);
    memcpy(name, key, n);
    name[n] = 0;
    for (int k = 0; variables && variables[k].name; k++) {
        if (strcmp(variables[k].name, name) != 0 || !takes(&variables[k], "init"))
            continue;
        if (!takes(&variables[k], key + n + 1))
            return nl_fail(NL_EOPTION, "%s: %s is not learned and takes only %s.init, got %s",
                           owner, name, name, key);
        snprintf(whose, sizeof whose, "%s: %s", owner, name);
        NL_TRY(nl_option_set(nl_setting_options, &settings[k], whose, key + n + 1, value));
        return NL_OK;
    }
    return unknown_variable(variables, owner, name);
}

static void print_changed(const char *name, const nl_option *o, const nl_setting *set,
                          const nl_setting *plain, nl_text *out)
{
    nl_text is = {0}, was = {0};
    nl_option_print(o, set, &is);
    nl_option_print(o, plain, &was);
    if (is.failed || was.failed)
        out->failed = true;
    else if (strcmp(nl_text_of(&is), nl_text_of(&was)) != 0)
        nl_text_add(out, ":%s.%s=%s", name, o->key, nl_text_of(&is));
    nl_text_free(&is);
    nl_text_free(&was);
}

void nl_settings_print(const nl_variable *variables, const nl_setting *settings, nl_text *out)
{
    nl_setting plain;
    if (nl_options_preset(nl_setting_options, &plain, "settings") != NL_OK)
        return; /* not with the table above */
    for (int k = 0; variables && variables[k].name; k++)
        for (const nl_option *o = nl_setting_options; o->key; o++)
            if (takes(&variables[k], o->key))
                print_changed(variables[k].name, o, &settings[k], &plain, out);
}
