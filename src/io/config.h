/* config.h: the settings of a YAML file as key and value, each with its place.
 *
 * A file is one mapping. The value of a key is
 *     a scalar                                   batch: 60
 *     a mapping with a name, for nested specs    norm: {name: batch, eps: 1e-3}   -> batch:eps=1e-3
 *     mappings by their names                    probe: {gap: {}, ics: {every: 9}}
 *     a list of these, one item each             norm: [none, batch]
 * and inside a nested mapping a list of numbers stands for the '/' of specs: hidden: [500, 300].
 * What the keys mean is the business of the caller, who puts item->line and item->column in front
 * of its own messages. */
#ifndef NL_CONFIG_H
#define NL_CONFIG_H

#include "base/status.h"

typedef struct nl_config_item {
    char *key, *value; /* owned by the config */
    int line, column;  /* of the value, from 1 */
    int key_line, key_column;
} nl_config_item;

typedef struct nl_config {
    int count;
    nl_config_item *at; /* in the file's order; the values of a list follow each other */
} nl_config;

/* On failure nothing is left allocated; messages start with FILE:LINE:COLUMN. */
nl_status nl_config_read(nl_config *out, const char *path) NL_CHECKED;
void nl_config_free(nl_config *c);

#endif
