/* normlab norms: what the tables of the methods say. */
#include <stdio.h>

#include "cli/catalogue.h"
#include "core/norm.h"

struct row {
    unsigned bit;
    const char *says;
};
static const struct row sites[] = {{NL_AT_PREACT, "before the activation"},
                                   {NL_AT_ACT, "after the activation"},
                                   {NL_AT_WEIGHT, "weights"},
                                   {NL_AT_RNN, "recurrent cells"},
                                   {NL_AT_ANSWER, "weights that give the logits"},
                                   {0, NULL}};
static const struct row traits[] = {
    {NL_T_COUPLES_ROWS, "couples the examples of a batch"},
    {NL_T_SCALE_INVARIANT, "scale-invariant"},
    {NL_T_SHIFT_INVARIANT, "shift-invariant"},
    {NL_T_CHANNEL_SHIFT_INVARIANT, "invariant to a shift per channel"},
    {NL_T_ACTIVATES, "brings its own activation"},
    {NL_T_EVAL_DIFFERS, "evaluates with stored state"},
    {0, NULL}};
static const char *const gradients[] = {"exact", "exact with held variables constant",
                                        "approximate"};
static const char *const roles[] = {"parameter", "state", "saved", "scratch"};

static const struct row *source_rows(void)
{
    static struct row rows[NL_SOURCES + 1];
    for (int k = 0; k < NL_SOURCES; k++)
        rows[k] = (struct row){1u << k, nl_source_name((nl_source)k)};
    return rows;
}

static void print_set(const char *title, const struct row *rows, unsigned bits)
{
    const char *part = "";
    printf("%-12s ", title);
    for (; rows->says; rows++)
        if (bits & rows->bit) {
            printf("%s%s", part, rows->says);
            part = ", ";
        }
    printf("%s\n", *part ? "" : "none");
}

static void json_set(const char *key, const struct row *rows, unsigned bits)
{
    const char *part = "";
    printf(", \"%s\": [", key);
    for (; rows->says; rows++)
        if (bits & rows->bit) {
            printf("%s", part);
            cli_json_text(rows->says);
            part = ", ";
        }
    putchar(']');
}

static void print_variables(const nl_variable *v)
{
    printf("\nVariables:\n%s", v && v->name ? "" : "  none\n");
    for (; v && v->name; v++)
        if (v->role == NL_PARAM || v->role == NL_STATE)
            printf("  %-14s %-9s  %s\n", v->name, roles[v->role], v->doc);
}

static void print_one(const nl_norm_ops *o)
{
    cli_print_head(o->name, o->title, o->cite);
    print_set("Place", sites, o->sites);
    print_set("Traits", traits, o->traits);
    print_set("Statistics", source_rows(), o->sources);
    printf("%-12s %s\n\nOptions:\n", "Gradient", gradients[o->gradient]);
    cli_print_options(o->options);
    print_variables(o->variables);
    printf("\nOf each parameter, as NAME.KEY=VALUE such as gamma.init=0.1:\n");
    cli_print_options(nl_setting_options);
}

static void json_one(const nl_norm_ops *o)
{
    const char *part = "";
    printf("{\"name\": ");
    cli_json_text(o->name);
    printf(", \"title\": ");
    cli_json_text(o->title);
    printf(", \"cite\": ");
    cli_json_text(o->cite ? o->cite : "");
    json_set("place", sites, o->sites);
    json_set("traits", traits, o->traits);
    json_set("statistics", source_rows(), o->sources);
    printf(", \"gradient\": ");
    cli_json_text(gradients[o->gradient]);
    printf(", \"options\": ");
    cli_json_options(o->options);
    printf(", \"variables\": [");
    for (const nl_variable *v = o->variables; v && v->name; v++, part = ", ") {
        printf("%s{\"name\": ", part);
        cli_json_text(v->name);
        printf(", \"role\": \"%s\", \"doc\": ", roles[v->role]);
        cli_json_text(v->doc);
        putchar('}');
    }
    printf("]}");
}

static void list(bool json)
{
    const nl_norm_ops *o;
    if (json)
        putchar('[');
    for (int i = 0; (o = nl_norm_at(i)); i++) {
        if (json) {
            printf("%s", i ? ",\n " : "");
            json_one(o);
        } else {
            printf("%-20s %s\n", o->name, o->title);
        }
    }
    if (json)
        printf("]\n");
}

/* ---- the command */

struct input {
    const char *name;
    bool json;
};

enum { KEY_JSON = 256 }; /* no short option */

static const struct argp_option options[] = {{"json", KEY_JSON, NULL, 0, "print JSON", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_JSON: in->json = true; return 0;
    case ARGP_KEY_ARG:
        if (in->name)
            cli_wrong("norms describes one method, got '%s' and '%s'", in->name, arg);
        else
            return in->name = arg, 0;
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cli_norms(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[NAME]",
        "Lists the normalization methods, or describes one: options, variables, source."
        "\vExample: normlab norms batch",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    const nl_norm_ops *found;
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.name) {
        list(in.json);
        return CLI_DONE;
    }
    const nl_status st = nl_norm_find_or_say(in.name, &found);
    if (st != NL_OK)
        return cli_failure(st);
    if (in.json)
        json_one(found);
    else
        print_one(found);
    if (in.json)
        putchar('\n');
    return CLI_DONE;
}
