#include "core/model_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void nl_param_settings_free(nl_param_settings *s)
{
    nl_free(s->at);
    *s = (nl_param_settings){0};
}

static nl_status make_room(nl_param_settings *s, const char *model)
{
    if (s->count < s->room)
        return NL_OK;
    const int room = 2 * s->room + 4;
    nl_param_setting *wider = nl_alloc((size_t)room, sizeof *wider);
    if (!wider)
        return nl_fail(NL_ENOMEM, "%s: its settings", model);
    if (s->count)
        memcpy(wider, s->at, (size_t)s->count * sizeof *wider);
    nl_free(s->at);
    s->at = wider;
    s->room = room;
    return NL_OK;
}

static int compare(const void *left, const void *right)
{
    const nl_param_setting *a = left, *b = right;
    const int by_layer = strcmp(a->layer, b->layer); /* "" first: it counts less */
    return by_layer ? by_layer : strcmp(a->key.is, b->key.is);
}

/* The value as it would be written, so that equal settings have equal specs. */
static nl_status set_value(nl_param_setting *one, const char *model, const char *value)
{
    char whose[2 * NL_STRING_MAX];
    const char *key = strchr(one->key.is, '.') + 1;
    nl_setting scratch;
    nl_text text = {0};
    nl_status st;
    snprintf(whose, sizeof whose, "%s: %.*s", model, (int)(key - one->key.is) - 1, one->key.is);
    NL_GO(nl_options_preset(nl_setting_options, &scratch, whose));
    NL_GO(nl_option_set(nl_setting_options, &scratch, whose, key, value));
    nl_option_print(nl_option_find(nl_setting_options, key), &scratch, &text);
    NL_GO(nl_text_status(&text));
    snprintf(one->value.is, sizeof one->value.is, "%s", nl_text_of(&text));
done:
    nl_text_free(&text);
    return st;
}

nl_status nl_param_settings_add(nl_param_settings *s, const char *model, const char *key,
                                const char *value)
{
    nl_param_setting one = {.met = false};
    const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;
    const char *dot = strchr(name, '.');
    const size_t layer = slash ? (size_t)(slash - key) : 0;
    if (!dot || dot == name || layer >= sizeof one.layer)
        return nl_fail(NL_EOPTION, "%s: '%s' is not [LAYER/]NAME.KEY", model, key);
    snprintf(one.layer, sizeof one.layer, "%.*s", (int)layer, key);
    snprintf(one.key.is, sizeof one.key.is, "%s", name);
    NL_TRY(set_value(&one, model, value));
    for (int i = 0; i < s->count; i++)
        if (compare(&s->at[i], &one) == 0) {
            s->at[i] = one;
            return NL_OK;
        }
    NL_TRY(make_room(s, model));
    s->at[s->count++] = one;
    qsort(s->at, (size_t)s->count, sizeof *s->at, compare);
    return NL_OK;
}

void nl_param_settings_print(const nl_param_settings *s, nl_text *out)
{
    for (int i = 0; i < s->count; i++)
        nl_text_add(out, ":%s%s%s=%s", s->at[i].layer, s->at[i].layer[0] ? "/" : "",
                    s->at[i].key.is, s->at[i].value.is);
}

static bool is_about(const nl_param_setting *one, const char *layer, const nl_variable *v)
{
    const size_t n = strcspn(one->key.is, ".");
    return (!one->layer[0] || strcmp(one->layer, layer) == 0) && v->role == NL_PARAM &&
           strlen(v->name) == n && strncmp(v->name, one->key.is, n) == 0;
}

nl_status nl_param_settings_of(nl_param_settings *s, const char *layer, const nl_variable *v,
                               nl_setting *set)
{
    NL_TRY(nl_options_preset(nl_setting_options, set, layer));
    for (int i = 0; i < s->count; i++) {
        nl_param_setting *one = &s->at[i];
        if (!is_about(one, layer, v))
            continue;
        NL_TRY(nl_option_set(nl_setting_options, set, layer, strchr(one->key.is, '.') + 1,
                             one->value.is));
        one->met = true;
    }
    return NL_OK;
}

static nl_status of_no_parameter(const nl_param_setting *one, const char *model, nl_store *store)
{
    char wanted[2 * NL_STRING_MAX], name[2 * NL_STRING_MAX];
    snprintf(wanted, sizeof wanted, "%s%s%s", one->layer, one->layer[0] ? "/" : "", one->key.is);
    nl_nearest near = {.wanted = wanted};
    for (int k = 0; k < nl_store_count(store); k++) {
        const nl_item *it = nl_store_at(store, k);
        if (it->decl->role != NL_PARAM || strchr(it->owner, '/'))
            continue;
        snprintf(name, sizeof name, "%s/%s", it->owner, it->decl->name);
        nl_nearest_offer(&near, name);
    }
    return nl_fail(NL_EOPTION, "%s: %s is of no parameter%s", model, wanted,
                   nl_nearest_hint(&near));
}

nl_status nl_param_settings_check(const nl_param_settings *s, const char *model, nl_store *store)
{
    for (int i = 0; i < s->count; i++)
        if (!s->at[i].met)
            return of_no_parameter(&s->at[i], model, store);
    return NL_OK;
}
