/* model_settings.h: generic settings of the parameters of a model's layers, in the model's spec as
 * [LAYER/]NAME.KEY=VALUE: "mlp:hidden=100:w.l2=1e-4:out/b.freeze=1". Without LAYER it is of every
 * layer that has the parameter; one with LAYER counts more. */
#ifndef NL_MODEL_SETTINGS_H
#define NL_MODEL_SETTINGS_H

#include "core/layer.h"

typedef struct nl_param_setting {
    char layer[NL_LAYER_NAME_MAX]; /* "": every one */
    nl_string key, value;          /* "w.l2" */
    bool met;                      /* some layer has such a parameter */
} nl_param_setting;

typedef struct nl_param_settings {
    nl_param_setting *at; /* sorted, each key once */
    int count, room;
} nl_param_settings;

void nl_param_settings_free(nl_param_settings *s);

/* key: [LAYER/]NAME.KEY. Refuses an unknown KEY and a VALUE that it does not take. */
nl_status nl_param_settings_add(nl_param_settings *s, const char *model, const char *key,
                                const char *value) NL_CHECKED;

void nl_param_settings_print(const nl_param_settings *s, nl_text *out);

/* Writes what is said about variable v of a layer into *set. */
nl_status nl_param_settings_of(nl_param_settings *s, const char *layer, const nl_variable *v,
                               nl_setting *set) NL_CHECKED;

/* NL_EOPTION for a setting that no layer took, naming the parameters of the store. */
nl_status nl_param_settings_check(const nl_param_settings *s, const char *model,
                                  nl_store *store) NL_CHECKED;

#endif
