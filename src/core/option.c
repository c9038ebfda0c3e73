#include "core/option.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *nl_option_type_name(nl_option_type type)
{
    static const char *const names[] = {"real", "int",    "bool",    "one of",
                                        "list", "string", "schedule"};
    return names[type];
}

double nl_schedule_at(const nl_schedule *s, int64_t step)
{
    const double at = (double)step;
    int k = 0;
    while (k + 1 < s->count && at >= s->step[k + 1])
        k++;
    if (k + 1 >= s->count || at <= s->step[k])
        return s->value[k];
    const double part = (at - s->step[k]) / (s->step[k + 1] - s->step[k]);
    return s->value[k] + part * (s->value[k + 1] - s->value[k]);
}

/* ---- reading one value; each returns false when text is not one */

static bool read_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "1", "on"}, *const no[] = {"false", "0", "off"};
    for (int k = 0; k < 3; k++) {
        if (strcmp(text, yes[k]) == 0)
            return *out = true;
        if (strcmp(text, no[k]) == 0)
            return *out = false, true;
    }
    return false;
}

static bool read_list(const char *text, nl_list *out)
{
    char item[64];
    *out = (nl_list){0};
    for (;;) {
        const size_t n = strcspn(text, "/");
        if (n >= sizeof item)
            return false;
        memcpy(item, text, n);
        item[n] = 0;
        int64_t repeat = 1;
        char *x = strchr(item, 'x');
        if (x) {
            *x = 0;
            if (!nl_read_int(x + 1, &repeat) || repeat < 1)
                return false;
        }
        double v;
        if (!nl_read_real(item, &v) || repeat > NL_LIST_MAX - out->count)
            return false;
        while (repeat-- > 0)
            out->at[out->count++] = v;
        if (!text[n])
            return true;
        text += n + 1;
    }
}

/* value | value@step..value@step...; steps grow strictly. */
static bool read_schedule(const char *text, nl_schedule *out)
{
    char item[96];
    *out = (nl_schedule){0};
    for (;;) {
        const char *dots = strstr(text, "..");
        const size_t n = dots ? (size_t)(dots - text) : strlen(text);
        if (n >= sizeof item || out->count == NL_SCHEDULE_MAX)
            return false;
        memcpy(item, text, n);
        item[n] = 0;
        const int k = out->count++;
        char *at = strchr(item, '@');
        int64_t step = 0;
        if (at) {
            *at = 0;
            if (!nl_read_int(at + 1, &step) || step < 0)
                return false;
        } else if (dots || k > 0) {
            return false;
        }
        out->step[k] = (double)step;
        if (!nl_read_real(item, &out->value[k]) || (k > 0 && out->step[k] <= out->step[k - 1]))
            return false;
        if (!dots)
            return true;
        text = dots + 2;
    }
}

static const char *wanted(const nl_option *o)
{
    switch (o->type) {
    case NL_OPT_REAL: return "a number";
    case NL_OPT_INT: return "a whole number";
    case NL_OPT_BOOL: return "true or false";
    case NL_OPT_LIST: return "numbers parted by '/' such as 100x3 or 500/300";
    case NL_OPT_SCHEDULE: return "a number or value@step..value@step with growing steps";
    case NL_OPT_STRING: return "a text of fewer than 1024 characters";
    case NL_OPT_ENUM: return "a name";
    }
    return "";
}

static nl_status refuse(const nl_option *o, const char *owner, const char *value)
{
    return nl_fail(NL_EOPTION, "%s: %s wants %s, got '%s'", owner, o->key, wanted(o), value);
}

static nl_status check_range(const nl_option *o, const char *owner, const char *value,
                             const double *v, int count)
{
    for (int i = 0; i < count; i++)
        if (!(v[i] >= o->lo && v[i] <= o->hi)) {
            char lo[NL_REAL_CHARS], hi[NL_REAL_CHARS];
            return nl_fail(NL_EOPTION, "%s: %s=%s is outside [%s, %s]", owner, o->key, value,
                           nl_print_real(lo, o->lo), nl_print_real(hi, o->hi));
        }
    return NL_OK;
}

static nl_status set_choice(const nl_option *o, nl_choice *out, const char *owner,
                            const char *value)
{
    nl_nearest near = {.wanted = value};
    for (int k = 0; o->names[k]; k++)
        if (nl_nearest_offer(&near, o->names[k])) {
            out->is = k;
            return NL_OK;
        }
    return nl_fail(NL_EOPTION, "%s: %s has no value '%s'%s", owner, o->key, value,
                   nl_nearest_hint(&near));
}

static nl_status set_row(const nl_option *o, void *self, const char *owner, const char *value)
{
    void *at = (char *)self + o->at;
    double v = 0;
    switch (o->type) {
    case NL_OPT_REAL:
        if (!nl_read_real(value, &v))
            return refuse(o, owner, value);
        NL_TRY(check_range(o, owner, value, &v, 1));
        *(double *)at = v;
        return NL_OK;
    case NL_OPT_INT: {
        int64_t whole;
        if (!nl_read_int(value, &whole))
            return refuse(o, owner, value);
        v = (double)whole;
        NL_TRY(check_range(o, owner, value, &v, 1));
        *(int64_t *)at = whole;
        return NL_OK;
    }
    case NL_OPT_BOOL: return read_bool(value, at) ? NL_OK : refuse(o, owner, value);
    case NL_OPT_ENUM: NL_TRY(set_choice(o, at, owner, value)); return NL_OK;
    case NL_OPT_LIST: {
        nl_list list;
        if (!read_list(value, &list))
            return refuse(o, owner, value);
        NL_TRY(check_range(o, owner, value, list.at, list.count));
        *(nl_list *)at = list;
        return NL_OK;
    }
    case NL_OPT_SCHEDULE: {
        nl_schedule s;
        if (!read_schedule(value, &s))
            return refuse(o, owner, value);
        NL_TRY(check_range(o, owner, value, s.value, s.count));
        *(nl_schedule *)at = s;
        return NL_OK;
    }
    case NL_OPT_STRING:
        if (strlen(value) >= NL_STRING_MAX)
            return refuse(o, owner, value);
        snprintf(((nl_string *)at)->is, NL_STRING_MAX, "%s", value);
        return NL_OK;
    }
    return NL_OK;
}

const nl_option *nl_option_find(const nl_option *table, const char *key)
{
    for (const nl_option *o = table; o && o->key; o++)
        if (strcmp(o->key, key) == 0)
            return o;
    return NULL;
}

nl_status nl_options_preset(const nl_option *table, void *self, const char *owner)
{
    for (const nl_option *o = table; o && o->key; o++)
        NL_TRY(set_row(o, self, owner, o->preset));
    return NL_OK;
}

nl_status nl_option_set(const nl_option *table, void *self, const char *owner, const char *key,
                        const char *value)
{
    const nl_option *found = nl_option_find(table, key);
    if (found) {
        NL_TRY(set_row(found, self, owner, value));
        return NL_OK;
    }
    nl_nearest near = {.wanted = key};
    for (const nl_option *o = table; o && o->key; o++)
        nl_nearest_offer(&near, o->key);
    return nl_fail(NL_EOPTION, "%s has no option '%s'%s", owner, key, nl_nearest_hint(&near));
}

nl_status nl_spec_split(const char *spec, char *name, const char **rest)
{
    const size_t n = strcspn(spec, ":");
    if (n == 0 || n >= NL_STRING_MAX)
        return nl_fail(NL_EOPTION, "'%s' does not start with a name", spec);
    memcpy(name, spec, n);
    name[n] = 0;
    *rest = spec + n + (spec[n] == ':');
    return NL_OK;
}

/* Whether one of the options of list has this key. */
static bool is_given(const char *list, const char *key)
{
    const size_t n = strlen(key);
    while (*list) {
        if (strncmp(list, key, n) == 0 && list[n] == '=')
            return true;
        list += strcspn(list, ":");
        list += *list == ':';
    }
    return false;
}

nl_status nl_spec_next(const char **list, const char *owner, char *key, char *value, bool *more)
{
    *more = (*list)[0] != 0;
    if (!*more)
        return NL_OK;
    const size_t n = strcspn(*list, ":"), eq = strcspn(*list, "=:");
    if (n >= 2 * NL_STRING_MAX || eq == n || eq == 0 || eq >= NL_STRING_MAX ||
        n - eq > NL_STRING_MAX)
        return nl_fail(NL_EOPTION, "%s: '%.*s' is not key=value", owner, (int)n, *list);
    memcpy(key, *list, eq);
    key[eq] = 0;
    memcpy(value, *list + eq + 1, n - eq - 1);
    value[n - eq - 1] = 0;
    *list += n + ((*list)[n] == ':');
    if (is_given(*list, key))
        return nl_fail(NL_EOPTION, "%s: %s is given twice", owner, key);
    return NL_OK;
}

nl_status nl_options_parse(const nl_option *table, void *self, const char *owner, const char *list)
{
    char key[NL_STRING_MAX], value[NL_STRING_MAX];
    bool more;
    for (;;) {
        NL_TRY(nl_spec_next(&list, owner, key, value, &more));
        if (!more)
            return NL_OK;
        NL_TRY(nl_option_set(table, self, owner, key, value));
    }
}

/* ---- printing */

static void print_list(const nl_list *list, nl_text *out)
{
    char buf[NL_REAL_CHARS];
    for (int i = 0, run; i < list->count; i += run) {
        for (run = 1; i + run < list->count && list->at[i + run] == list->at[i];)
            run++;
        nl_text_add(out, "%s%s", i ? "/" : "", nl_print_real(buf, list->at[i]));
        if (run > 1)
            nl_text_add(out, "x%d", run);
    }
}

static void print_schedule(const nl_schedule *s, nl_text *out)
{
    char buf[NL_REAL_CHARS];
    for (int k = 0; k < s->count; k++) {
        nl_text_add(out, "%s%s", k ? ".." : "", nl_print_real(buf, s->value[k]));
        if (s->count > 1)
            nl_text_add(out, "@%.0f", s->step[k]);
    }
}

void nl_option_print(const nl_option *o, const void *self, nl_text *out)
{
    const void *at = (const char *)self + o->at;
    char buf[NL_REAL_CHARS];
    switch (o->type) {
    case NL_OPT_REAL: nl_text_add(out, "%s", nl_print_real(buf, *(const double *)at)); break;
    case NL_OPT_INT: nl_text_add(out, "%lld", (long long)*(const int64_t *)at); break;
    case NL_OPT_BOOL: nl_text_add(out, "%s", *(const bool *)at ? "true" : "false"); break;
    case NL_OPT_ENUM: nl_text_add(out, "%s", o->names[((const nl_choice *)at)->is]); break;
    case NL_OPT_LIST: print_list(at, out); break;
    case NL_OPT_SCHEDULE: print_schedule(at, out); break;
    case NL_OPT_STRING: nl_text_add(out, "%s", ((const nl_string *)at)->is); break;
    }
}

void nl_options_print(const nl_option *table, const void *self, nl_text *out)
{
    for (const nl_option *o = table; o && o->key; o++) {
        nl_text_add(out, ":%s=", o->key);
        nl_option_print(o, self, out);
    }
}

static void describe_range(const nl_option *o, nl_text *out)
{
    char lo[NL_REAL_CHARS], hi[NL_REAL_CHARS];
    if (o->type == NL_OPT_ENUM) {
        for (int k = 0; o->names[k]; k++)
            nl_text_add(out, "%s%s", k ? "|" : "", o->names[k]);
    } else {
        nl_text_add(out, "%s", nl_option_type_name(o->type));
        if (o->type != NL_OPT_BOOL && o->type != NL_OPT_STRING)
            nl_text_add(out, " in [%s, %s]", nl_print_real(lo, o->lo), nl_print_real(hi, o->hi));
    }
}

void nl_options_describe(const nl_option *table, nl_text *out)
{
    for (const nl_option *o = table; o && o->key; o++) {
        nl_text_add(out, "  %-12s ", o->key);
        describe_range(o, out);
        nl_text_add(out, ", default %s\n               %s\n", o->preset[0] ? o->preset : "''",
                    o->doc);
    }
}
