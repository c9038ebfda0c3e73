/* option.h: the options table. One row per option; the parser, --help, `normlab norms NAME`, the
 * manual, the canonical spec of a run and the attributes of a run file walk it.
 *
 * A spec string is "name:key=value:key=value". Values by type:
 *     real      1e-3          int     60, 5e3        bool    true false 1 0 on off
 *     enum      one of its names                     string  any text without ':'
 *     list      numbers parted by '/', each may be repeated: 100x3, 500/300, 0.1
 *     schedule  value[@step..value@step...]: 1@5000..3@40000 is 1 until step 5,000, then linear
 *               to 3 at step 40,000 and 3 ever after */
#ifndef NL_OPTION_H
#define NL_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/status.h"
#include "base/text.h"

typedef enum nl_option_type {
    NL_OPT_REAL,
    NL_OPT_INT,
    NL_OPT_BOOL,
    NL_OPT_ENUM,
    NL_OPT_LIST,
    NL_OPT_STRING,
    NL_OPT_SCHEDULE
} nl_option_type;

enum { NL_LIST_MAX = 128, NL_SCHEDULE_MAX = 16, NL_STRING_MAX = 1024 };

/* The fields an options struct may have, besides double, int64_t and bool. */
typedef struct nl_choice {
    int is; /* index into the row's names */
} nl_choice;
typedef struct nl_list {
    int count;
    double at[NL_LIST_MAX];
} nl_list;
typedef struct nl_string {
    char is[NL_STRING_MAX];
} nl_string;
typedef struct nl_schedule {
    int count; /* 1: a constant */
    double step[NL_SCHEDULE_MAX], value[NL_SCHEDULE_MAX];
} nl_schedule;

NL_API double nl_schedule_at(const nl_schedule *s, int64_t step);

typedef struct nl_option {
    const char *key;
    nl_option_type type;
    size_t at;                /* offset in the owner's struct */
    const char *preset;       /* the default, as a user would write it */
    double lo, hi;            /* limits of every number in the value */
    const char *const *names; /* NL_OPT_ENUM: ends with NULL */
    const char *doc;
} nl_option;

/* The type comes from the field, so a mismatch does not compile. */
#define NL_OPTION_TYPE(S, field)          \
    _Generic(((S *)0)->field, double      \
             : NL_OPT_REAL, int64_t       \
             : NL_OPT_INT, bool           \
             : NL_OPT_BOOL, nl_choice     \
             : NL_OPT_ENUM, nl_list       \
             : NL_OPT_LIST, nl_string     \
             : NL_OPT_STRING, nl_schedule \
             : NL_OPT_SCHEDULE)
#define NL_OPT(S, field, preset, lo, hi, doc) NL_OPT_AS(S, field, #field, preset, lo, hi, doc)
#define NL_OPT_AS(S, field, key, preset, lo, hi, doc)                                \
    {                                                                                \
        key, NL_OPTION_TYPE(S, field), offsetof(S, field), preset, lo, hi, NULL, doc \
    }
#define NL_OPT_NAMES(S, field, preset, names, doc) \
    NL_OPT_NAMES_AS(S, field, #field, preset, names, doc)
#define NL_OPT_NAMES_AS(S, field, key, preset, names, doc)                          \
    {                                                                               \
        key, NL_OPTION_TYPE(S, field), offsetof(S, field), preset, 0, 0, names, doc \
    }
#define NL_OPT_TEXT(S, field, preset, doc) NL_OPT(S, field, preset, 0, 0, doc)
#define NL_OPT_FLAG(S, field, preset, doc) NL_OPT(S, field, preset, 0, 1, doc)
#define NL_OPT_END \
    {              \
        0          \
    }

/* Writes every default into self. A default that its own row refuses is an error. */
nl_status nl_options_preset(const nl_option *table, void *self, const char *owner) NL_CHECKED;

/* Sets one option. The message of an unknown key names the nearest and all known ones. */
nl_status nl_option_set(const nl_option *table, void *self, const char *owner, const char *key,
                        const char *value) NL_CHECKED;

/* Parses "key=value:key=value" (may be empty) over what self holds. */
nl_status nl_options_parse(const nl_option *table, void *self, const char *owner,
                           const char *list) NL_CHECKED;

/* The value of one option as it would be written, canonically. */
void nl_option_print(const nl_option *o, const void *self, nl_text *out);

/* ":key=value" for every option, in table order: defaults expanded. */
void nl_options_print(const nl_option *table, const void *self, nl_text *out);

/* One line an option for people: key, type, range or names, default, doc. */
void nl_options_describe(const nl_option *table, nl_text *out);

const nl_option *nl_option_find(const nl_option *table, const char *key);
const char *nl_option_type_name(nl_option_type type);

/* Cuts "name:rest" at the first colon. name needs NL_STRING_MAX characters. *rest points into
 * spec, at its end when there is no colon. */
nl_status nl_spec_split(const char *spec, char *name, const char **rest) NL_CHECKED;

/* One option as text, walked from a "key=value:..." list: *list moves on; false at its end. Used
 * by owners that take some keys themselves (gamma.init=...). */
nl_status nl_spec_next(const char **list, const char *owner, char *key, char *value,
                       bool *more) NL_CHECKED;

#endif
