#include "train/channels.h"

#include <stdio.h>
#include <string.h>

const nl_log_channel_row nl_log_channels[NL_LOG_CHANNELS] = {
    [NL_LOG_ACTIVATIONS] =
        {"activations", "What each slot sees and gives: moments, percentiles", "/layers",
         "LAYER/SLOT/{pre,post}/{mean,std,skewness,kurtosis,min,max,percentiles,dead,saturated}, "
         "channel_{mean,std} and position_{mean,std} where there are positions, step_{mean,std,"
         "min,max} and LAYER/gradient_norm of recurrent layers",
         100, true},
    [NL_LOG_HISTOGRAMS] = {"histograms", "How those values are distributed", "/histograms",
                           "LAYER/SLOT/{pre,post}/{counts,nan}", 20, false},
    [NL_LOG_GRADIENTS] = {"gradients", "Gradients dL/d(value) of what each slot sees and gives",
                          "/gradients",
                          "LAYER/SLOT/{pre,post}/{mean,std,skewness,kurtosis,min,max,percentiles}, "
                          "channel_{mean,std} and position_{mean,std} where there are positions, "
                          "step_{mean,std,min,max} of slots inside of cells",
                          20, false},
    [NL_LOG_GRADIENT_HISTOGRAMS] = {"gradient_histograms", "How those gradients are distributed",
                                    "/gradient_histograms", "LAYER/SLOT/{pre,post}/{counts,nan}",
                                    20, false},
    [NL_LOG_NORMS] = {"norms", "Variables of the norms: gamma, beta, running statistics", "/norms",
                      "LAYER/SLOT/VARIABLE", 100, true},
    [NL_LOG_POPULATION] = {"population", "Batch statistics against the running ones", "/population",
                           "LAYER/SLOT/kl", 100, false},
    [NL_LOG_PARAMS] = {"params", "Norms of weights and gradients, effective learning rates",
                       "/params", "grad_norm, LAYER/VARIABLE/{weight_norm,grad_norm,effective_lr}",
                       100, true},
    [NL_LOG_COSINE] = {"cosine", "Cosine of the gradients of successive steps", "/cosine",
                       "cosine, LAYER/cosine", 100, false},
};

const nl_option nl_log_channel_options[] = {
    NL_OPT_TEXT(nl_log_choice, every, "0",
                "steps between rows; 0: the channel's own schedule, off"),
    NL_OPT_TEXT(nl_log_choice, layers, "", "those to look at, parted by '/'; '': all"), NL_OPT_END};

/* ---- log= */

nl_status nl_log_channel_find(const char *name, nl_log_channel_id *id)
{
    nl_nearest near = {.wanted = name};
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        if (nl_nearest_offer(&near, nl_log_channels[k].name)) {
            *id = (nl_log_channel_id)k;
            return NL_OK;
        }
    nl_nearest_offer(&near, "none");
    nl_nearest_offer(&near, "all");
    nl_nearest_offer(&near, "a number of steps");
    return nl_fail(NL_ENAME, "log: no channel '%s'%s", name, nl_nearest_hint(&near));
}

/* "off", or a number of steps. */
static nl_status read_every(const char *name, nl_log_choice *c)
{
    c->on = strcmp(c->every.is, "off") != 0;
    c->steps = 0;
    if (c->on && (!nl_read_int(c->every.is, &c->steps) || c->steps < 0))
        return nl_fail(NL_EOPTION, "log: %s: every wants a number of steps, 0 or off, got '%s'",
                       name, c->every.is);
    return NL_OK;
}

static void turn(nl_log_plan *p, bool on)
{
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        p->of[k] = (nl_log_choice){.on = on};
        snprintf(p->of[k].every.is, NL_STRING_MAX, "%s", on ? "0" : "off");
    }
}

static void set_steps(nl_log_plan *p, const char *every, int64_t steps)
{
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        if (p->of[k].on) {
            p->of[k].steps = steps;
            snprintf(p->of[k].every.is, NL_STRING_MAX, "%s", every);
        }
}

static nl_status take_channel(nl_log_plan *p, const char *item)
{
    char name[NL_STRING_MAX];
    const char *rest;
    nl_log_channel_id id = 0;
    NL_TRY(nl_spec_split(item, name, &rest));
    NL_TRY(nl_log_channel_find(name, &id));
    nl_log_choice *c = &p->of[id];
    NL_TRY(nl_options_preset(nl_log_channel_options, c, name));
    NL_TRY(nl_options_parse(nl_log_channel_options, c, name, rest));
    NL_TRY(read_every(name, c));
    return NL_OK;
}

static nl_status take_item(nl_log_plan *p, const char *item)
{
    int64_t steps;
    if (strcmp(item, "none") == 0 || strcmp(item, "all") == 0)
        turn(p, item[0] == 'a');
    else if (nl_read_int(item, &steps) && steps >= 0)
        set_steps(p, item, steps);
    else
        NL_TRY(take_channel(p, item));
    return NL_OK;
}

nl_status nl_log_plan_parse(const char *log, nl_log_plan *out)
{
    turn(out, false);
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        if (nl_log_channels[k].by_default)
            NL_TRY(take_channel(out, nl_log_channels[k].name));
    while (*log) {
        char item[NL_STRING_MAX];
        const int n = (int)strcspn(log, ",");
        if (n == 0 || (log[n] && !log[n + 1]))
            return nl_fail(NL_EOPTION, "log: an item between commas is empty");
        snprintf(item, sizeof item, "%.*s", n, log);
        NL_TRY(take_item(out, item));
        log += n + (log[n] == ',');
    }
    return NL_OK;
}

nl_status nl_log_plan_canonical(const char *log, nl_text *out)
{
    nl_log_plan p;
    NL_TRY(nl_log_plan_parse(log, &p));
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        nl_text_add(out, "%s%s", k ? "," : "", nl_log_channels[k].name);
        nl_options_print(nl_log_channel_options, &p.of[k], out);
    }
    return nl_text_status(out);
}

int64_t nl_log_plan_every(const nl_log_plan *p, nl_log_channel_id id, int64_t steps)
{
    const int64_t rows = nl_log_channels[id].rows;
    if (!p->of[id].on)
        return 0;
    return p->of[id].steps > 0 ? p->of[id].steps : steps > rows ? steps / rows : 1;
}

/* ---- layers */

/* The next of "h1/h3", in name (NL_LAYER_NAME_MAX); false at the end. */
static bool next_layer(const char **list, char *name)
{
    const size_t n = strcspn(*list, "/");
    if (!**list)
        return false;
    snprintf(name, NL_LAYER_NAME_MAX, "%.*s", (int)n, *list);
    *list += n + ((*list)[n] == '/');
    return true;
}

bool nl_log_plan_takes(const nl_log_plan *p, nl_log_channel_id id, const char *owner)
{
    const char *list = p->of[id].layers.is;
    const size_t n = strcspn(owner, "/");
    char name[NL_LAYER_NAME_MAX];
    if (!p->of[id].on || !*list)
        return p->of[id].on;
    while (next_layer(&list, name))
        if (strncmp(owner, name, n) == 0 && !name[n])
            return true;
    return false;
}

static nl_status find_layer(nl_model *m, nl_log_channel_id id, const char *name)
{
    nl_nearest near = {.wanted = name};
    for (int i = 0; i < nl_model_layers(m); i++)
        if (nl_nearest_offer(&near, nl_model_layer(m, i)->name))
            return NL_OK;
    return nl_fail(NL_ENAME, "log: %s: the network has no layer '%s'%s", nl_log_channels[id].name,
                   name, nl_nearest_hint(&near));
}

nl_status nl_log_plan_fits(const nl_log_plan *p, nl_model *m)
{
    char name[NL_LAYER_NAME_MAX];
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        for (const char *list = p->of[k].layers.is; next_layer(&list, name);)
            NL_TRY(find_layer(m, (nl_log_channel_id)k, name));
    return NL_OK;
}
