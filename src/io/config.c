/* The document interface of libyaml resolves aliases to shared nodes, so a file may refer to
 * itself; the three levels below are written out, which bounds the walk whatever the file says. */
#include "io/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/text.h"

enum { ITEMS_MAX = 4096 };

struct reader {
    const char *path;
    yaml_document_t doc;
    nl_config *out;
};

static nl_status refuse(const struct reader *r, const yaml_node_t *node, const char *what)
{
    return nl_fail(NL_EFORMAT, "%s:%zu:%zu: %s", r->path, node->start_mark.line + 1,
                   node->start_mark.column + 1, what);
}

static const char *scalar(const yaml_node_t *node) { return (const char *)node->data.scalar.value; }

static bool is_null(const yaml_node_t *node)
{
    const char *text = scalar(node);
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static nl_status check_scalar(const struct reader *r, const yaml_node_t *node, bool in_spec)
{
    if (node->type != YAML_SCALAR_NODE)
        return refuse(r, node, "a single value is wanted here");
    if (strlen(scalar(node)) != node->data.scalar.length || strpbrk(scalar(node), "\r\n"))
        return refuse(r, node, "a value is one line of text");
    if (is_null(node))
        return refuse(r, node, "the value is missing");
    if (in_spec && strchr(scalar(node), ':'))
        return refuse(r, node, "a value inside a mapping holds no ':'");
    return NL_OK;
}

/* ---- nested mapping to spec string */

static nl_status spec_value(struct reader *r, const yaml_node_t *node, nl_text *spec)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        NL_TRY(check_scalar(r, node, true));
        nl_text_add(spec, "%s", scalar(node));
        return NL_OK;
    }
    const char *part = "";
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++, part = "/") {
        const yaml_node_t *one = yaml_document_get_node(&r->doc, *i);
        NL_TRY(check_scalar(r, one, true));
        nl_text_add(spec, "%s%s", part, scalar(one));
    }
    return NL_OK;
}

static nl_status spec_of_mapping(struct reader *r, const yaml_node_t *node, nl_text *spec)
{
    nl_text options = {0};
    nl_status st = NL_OK;
    yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < end; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(&r->doc, p->value);
        NL_GO(check_scalar(r, key, true));
        const bool name = strcmp(scalar(key), "name") == 0;
        if (name && spec->used)
            NL_BAIL(NL_EFORMAT, "%s:%zu:%zu: 'name' is given twice", r->path,
                    key->start_mark.line + 1, key->start_mark.column + 1);
        if (!name)
            nl_text_add(&options, ":%s=", scalar(key));
        NL_GO(spec_value(r, value, name ? spec : &options));
    }
    NL_GO(nl_text_status(spec));
    NL_GO(nl_text_status(&options));
    if (!spec->used)
        NL_GO(refuse(r, node, "a mapping needs a 'name', such as {name: batch, eps: 1e-3}"));
    nl_text_add(spec, "%s", nl_text_of(&options));
    NL_GO(nl_text_status(spec));
done:
    nl_text_free(&options);
    return st;
}

/* ---- items */

static nl_status add_item(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                          const char *text)
{
    nl_config *out = r->out;
    if (out->count == ITEMS_MAX)
        return refuse(r, value, "more than 4096 values");
    nl_config_item *item = &out->at[out->count];
    *item = (nl_config_item){.key = nl_strdup(scalar(key)),
                             .value = nl_strdup(text),
                             .line = (int)value->start_mark.line + 1,
                             .column = (int)value->start_mark.column + 1,
                             .key_line = (int)key->start_mark.line + 1,
                             .key_column = (int)key->start_mark.column + 1};
    out->count++;
    return item->key && item->value ? NL_OK : nl_fail(NL_ENOMEM, "%s: a value", r->path);
}

/* {name: batch, eps: 1e-3} */
static nl_status add_spec(struct reader *r, const yaml_node_t *key, const yaml_node_t *value)
{
    nl_text spec = {0};
    nl_status st;
    NL_GO(spec_of_mapping(r, value, &spec));
    NL_GO(add_item(r, key, value, nl_text_of(&spec)));
done:
    nl_text_free(&spec);
    return st;
}

/* {ics: {every: 100}, gap: {}}: the names stand outside. */
static bool holds_mappings(struct reader *r, const yaml_node_t *node)
{
    const yaml_node_pair_t *p = node->data.mapping.pairs.start, *end = node->data.mapping.pairs.top;
    for (; p < end; p++)
        if (yaml_document_get_node(&r->doc, p->value)->type != YAML_MAPPING_NODE)
            return false;
    return node->data.mapping.pairs.start < end;
}

static nl_status add_named_spec(struct reader *r, const yaml_node_t *key, const yaml_node_t *name,
                                const yaml_node_t *options)
{
    nl_text spec = {0};
    nl_status st;
    NL_GO(check_scalar(r, name, true));
    nl_text_add(&spec, "%s", scalar(name));
    NL_GO(nl_text_status(&spec));
    if (options->data.mapping.pairs.start < options->data.mapping.pairs.top)
        NL_GO(spec_of_mapping(r, options, &spec));
    NL_GO(add_item(r, key, options, nl_text_of(&spec)));
done:
    nl_text_free(&spec);
    return st;
}

static nl_status add_value(struct reader *r, const yaml_node_t *key, const yaml_node_t *value)
{
    if (value->type != YAML_MAPPING_NODE) {
        NL_TRY(check_scalar(r, value, false));
        NL_TRY(add_item(r, key, value, scalar(value)));
        return NL_OK;
    }
    if (!holds_mappings(r, value)) {
        NL_TRY(add_spec(r, key, value));
        return NL_OK;
    }
    const yaml_node_pair_t *p = value->data.mapping.pairs.start,
                           *end = value->data.mapping.pairs.top;
    for (; p < end; p++)
        NL_TRY(add_named_spec(r, key, yaml_document_get_node(&r->doc, p->key),
                              yaml_document_get_node(&r->doc, p->value)));
    return NL_OK;
}

static nl_status add_key(struct reader *r, const yaml_node_t *key, const yaml_node_t *value)
{
    NL_TRY(check_scalar(r, key, false));
    for (int i = 0; i < r->out->count; i++)
        if (strcmp(r->out->at[i].key, scalar(key)) == 0)
            return nl_fail(NL_EFORMAT, "%s:%zu:%zu: '%s' is given twice, first in line %d", r->path,
                           key->start_mark.line + 1, key->start_mark.column + 1, scalar(key),
                           r->out->at[i].key_line);
    if (value->type != YAML_SEQUENCE_NODE) {
        NL_TRY(add_value(r, key, value));
        return NL_OK;
    }
    yaml_node_item_t *end = value->data.sequence.items.top;
    if (value->data.sequence.items.start == end)
        return refuse(r, value, "the list is empty");
    for (yaml_node_item_t *i = value->data.sequence.items.start; i < end; i++)
        NL_TRY(add_value(r, key, yaml_document_get_node(&r->doc, *i)));
    return NL_OK;
}

static nl_status add_document(struct reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    if (!root)
        return nl_fail(NL_EFORMAT, "%s:1:1: the file is empty", r->path);
    if (root->type != YAML_MAPPING_NODE)
        return refuse(r, root, "a mapping of 'key: value' lines is wanted");
    yaml_node_pair_t *end = root->data.mapping.pairs.top;
    for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < end; p++)
        NL_TRY(add_key(r, yaml_document_get_node(&r->doc, p->key),
                       yaml_document_get_node(&r->doc, p->value)));
    return NL_OK;
}

/* ---- the file */

static nl_status parser_error(const char *path, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return nl_fail(NL_ENOMEM, "%s: reading YAML", path);
    return nl_fail(NL_EFORMAT, "%s:%zu:%zu: %s%s%s", path, p->problem_mark.line + 1,
                   p->problem_mark.column + 1, p->context ? p->context : "", p->context ? ", " : "",
                   p->problem ? p->problem : "not YAML");
}

static nl_status read_document(struct reader *r, yaml_parser_t *parser)
{
    if (!yaml_parser_load(parser, &r->doc))
        return parser_error(r->path, parser);
    const nl_status st = add_document(r);
    yaml_document_delete(&r->doc);
    NL_TRY(st);
    if (!yaml_parser_load(parser, &r->doc))
        return parser_error(r->path, parser);
    const yaml_node_t *second = yaml_document_get_root_node(&r->doc);
    const nl_status more = second ? refuse(r, second, "one document a file is wanted") : NL_OK;
    yaml_document_delete(&r->doc);
    return more;
}

nl_status nl_config_read(nl_config *out, const char *path)
{
    *out = (nl_config){.at = nl_alloc(ITEMS_MAX, sizeof(nl_config_item))};
    if (!out->at)
        return nl_fail(NL_ENOMEM, "%s: %d values", path, ITEMS_MAX);
    nl_status st = NL_OK;
    yaml_parser_t parser;
    FILE *file = fopen(path, "rb");
    if (!file) {
        st = nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    } else if (!yaml_parser_initialize(&parser)) {
        st = nl_fail(NL_ENOMEM, "%s: reading YAML", path);
    } else {
        struct reader r = {.path = path, .out = out};
        yaml_parser_set_input_file(&parser, file);
        st = read_document(&r, &parser);
        yaml_parser_delete(&parser);
    }
    if (file)
        fclose(file);
    if (st != NL_OK)
        nl_config_free(out);
    return st;
}

void nl_config_free(nl_config *c)
{
    for (int i = 0; c->at && i < c->count; i++) {
        nl_free(c->at[i].key);
        nl_free(c->at[i].value);
    }
    nl_free(c->at);
    *c = (nl_config){0};
}
