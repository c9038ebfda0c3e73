#include "train/spec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "core/model.h"
#include "core/norm.h"
#include "core/optim.h"
#include "train/channels.h"
#include "train/probe.h"

static const char *const orders[] = {"reshuffle", "fixed", "sequential", NULL};
static const char *const lasts[] = {"keep", "drop", NULL};
static const char *const precisions[] = {"float", "double", NULL};

#define WHOLE_MAX 9007199254740992.0 /* 2^53: every whole number below is a double */

const nl_option nl_run_options[] = {
    NL_OPT_TEXT(nl_run_spec, data, "glyphs", "data set: 'normlab datasets' lists them"),
    NL_OPT_TEXT(nl_run_spec, model, "mlp", "network: 'normlab models' lists them"),
    NL_OPT_TEXT(nl_run_spec, norm, "none", "method in the model's slots: 'normlab norms'"),
    NL_OPT_AS(nl_run_spec, norm_preact, "norm.preact", "", 0, 0, "override before the activation"),
    NL_OPT_AS(nl_run_spec, norm_act, "norm.act", "", 0, 0, "override after the activation"),
    NL_OPT_AS(nl_run_spec, norm_weight, "norm.weight", "", 0, 0, "override on the weights"),
    NL_OPT_AS(nl_run_spec, norm_x, "norm.x", "", 0, 0, "override on cells' input projection"),
    NL_OPT_AS(nl_run_spec, norm_h, "norm.h", "", 0, 0, "override on cells' recurrent projection"),
    NL_OPT_AS(nl_run_spec, norm_c, "norm.c", "", 0, 0, "override on cells' state"),
    NL_OPT_TEXT(nl_run_spec, optimizer, "sgd:lr=0.1", "update rule: 'normlab optimizers'"),
    NL_OPT_TEXT(nl_run_spec, init, "",
                "of the weights: 'normlab initializers'; '' for the model's"),
    NL_OPT(nl_run_spec, batch, "64", 0, WHOLE_MAX, "examples a step; 0: the whole training set"),
    NL_OPT(nl_run_spec, epochs, "10", 0, 1e9, "budget in passes over the training set"),
    NL_OPT(nl_run_spec, steps, "0", 0, 1e12, "budget in steps, instead of epochs"),
    NL_OPT(nl_run_spec, seed, "1", 0, WHOLE_MAX, "of weights, order, dropout; compare: seeds=5"),
    NL_OPT_NAMES(nl_run_spec, order, "reshuffle", orders,
                 "of the examples: shuffled each epoch, once, or as they lie"),
    NL_OPT_NAMES(nl_run_spec, last, "keep", lasts, "a short last batch of an epoch"),
    NL_OPT(nl_run_spec, eval, "0", 0, 1e12,
           "evaluate every so many steps; 0: at each epoch's end, and about 50 times a run "
           "unless that took more examples than training"),
    NL_OPT(nl_run_spec, eval_batch, "0", 0, 1e9,
           "examples at once when evaluating (0: 500 or fewer; batch where a method needs it)"),
    NL_OPT_NAMES(nl_run_spec, precision, "float", precisions, "number type of the tensors"),
    NL_OPT_TEXT(nl_run_spec, probe, "", "what else is looked at: 'normlab probes' lists them"),
    NL_OPT(nl_run_spec, target, "0", 0, 1, "accuracy of steps-to-target; 0: the data set's"),
    NL_OPT_END};

const nl_option nl_conduct_options[] = {
    NL_OPT(nl_run_spec, threads, "0", 0, 256, "of one run; 0: 1"),
    NL_OPT(nl_run_spec, jobs, "0", 0, 4096, "runs at the same time (compare); 0: one a core"),
    NL_OPT_TEXT(nl_run_spec, out, "runs", "folder that holds the folders of runs"),
    NL_OPT_TEXT(nl_run_spec, log, "0",
                "what the run file shows of the network, and when: 'normlab channels'"),
    NL_OPT(nl_run_spec, checkpoint, "0", 0, 1e12,
           "checkpoint every so many steps; 0: at each epoch's end"),
    NL_OPT_TEXT(nl_run_spec, record, "", "init, order or init,order: kept for replay elsewhere"),
    NL_OPT_END};

/* ---- rows that are specs of others */

typedef nl_status (*canonical_of)(const char *spec, nl_text *out);

static canonical_of owner_of(const nl_option *row)
{
    if (row->at == offsetof(nl_run_spec, data))
        return nl_dataset_canonical;
    if (row->at == offsetof(nl_run_spec, model))
        return nl_model_canonical;
    if (row->at == offsetof(nl_run_spec, optimizer))
        return nl_optim_canonical;
    if (row->at == offsetof(nl_run_spec, probe))
        return nl_probes_canonical;
    if (row->at == offsetof(nl_run_spec, log))
        return nl_log_plan_canonical;
    if (strncmp(row->key, "norm", 4) == 0)
        return nl_norm_canonical;
    return NULL;
}

static const char *text_of(const nl_option *row, const nl_run_spec *spec)
{
    return ((const nl_string *)((const char *)spec + row->at))->is;
}

/* An empty value stands for "as the model has it". */
static bool is_absent(const nl_option *row, const nl_run_spec *spec)
{
    if (row->type == NL_OPT_STRING)
        return !text_of(row, spec)[0];
    return (row->at == offsetof(nl_run_spec, epochs) && spec->epochs == 0) ||
           (row->at == offsetof(nl_run_spec, steps) && spec->steps == 0);
}

static nl_status print_canonical(const nl_option *row, const nl_run_spec *spec, nl_text *out)
{
    const canonical_of owner = owner_of(row);
    if (owner)
        NL_TRY(owner(text_of(row, spec), out));
    else
        nl_option_print(row, spec, out);
    return NL_OK;
}

/* ---- parsing */

static nl_status unknown_key(const char *key)
{
    nl_nearest near = {.wanted = key};
    const nl_option *const tables[] = {nl_run_options, nl_conduct_options};
    for (int t = 0; t < 2; t++)
        for (const nl_option *o = tables[t]; o->key; o++)
            nl_nearest_offer(&near, o->key);
    return nl_fail(NL_EOPTION, "run has no option '%s'%s", key, nl_nearest_hint(&near));
}

static nl_status check_keys(const nl_words *words)
{
    for (int i = 0; i < words->count; i++) {
        const nl_word *word = &words->at[i];
        if (nl_option_find(nl_run_options, word->key) ||
            nl_option_find(nl_conduct_options, word->key))
            continue;
        const nl_status st = unknown_key(word->key);
        nl_words_place(words, word);
        return st;
    }
    return NL_OK;
}

static nl_status set_row(const nl_option *row, nl_run_spec *spec, const char *value)
{
    NL_TRY(nl_option_set(row, spec, "run", row->key, value));
    if (owner_of(row) && !is_absent(row, spec)) {
        nl_text scratch = {0};
        const nl_status st = print_canonical(row, spec, &scratch);
        nl_text_free(&scratch);
        NL_TRY(st);
    }
    return NL_OK;
}

static nl_status set_words(const nl_option *table, const nl_words *words, const int *pick,
                           nl_run_spec *spec)
{
    for (int k = 0; table[k].key; k++) {
        const nl_word *word;
        const int count = nl_words_find(words, table[k].key, &word);
        if (count == 0)
            continue;
        if (count > 1 && !pick)
            return nl_fail(
                NL_EOPTION,
                "run: %s has %d values; one run takes one ('normlab compare' runs a grid)",
                table[k].key, count);
        word += pick ? pick[k] : 0;
        const nl_status st = set_row(&table[k], spec, word->value);
        if (st != NL_OK) {
            nl_words_place(words, word);
            return nl_trace(__FILE__, __LINE__, st);
        }
    }
    return NL_OK;
}

/* What the model's paper did stands between the defaults and what anyone says. */
static nl_status apply_protocol(const nl_words *words, const int *pick, nl_run_spec *spec)
{
    const nl_option *row = nl_option_find(nl_run_options, "model");
    const nl_word *word;
    char name[NL_STRING_MAX], key[NL_STRING_MAX];
    const char *rest;
    if (nl_words_find(words, row->key, &word) > 0)
        word += pick ? pick[row - nl_run_options] : 0;
    NL_TRY(nl_spec_split(word ? word->value : spec->model.is, name, &rest));
    const nl_model_ops *model = nl_model_find(name);
    for (const char *const *p = model ? model->protocol : NULL; p && *p; p++) {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(*p, "="), *p);
        const nl_option *set = nl_option_find(nl_run_options, key);
        if (!set)
            return nl_fail(NL_ESTATE, "%s: its protocol has an unknown key '%s'", name, key);
        NL_TRY(set_row(set, spec, *p + strlen(key) + 1));
        if (set->at == offsetof(nl_run_spec, steps))
            spec->epochs = 0;
        if (set->at == offsetof(nl_run_spec, epochs))
            spec->steps = 0;
    }
    return NL_OK;
}

typedef nl_status (*preset_of)(const char *model, const char *spec, nl_text *out);

static preset_of presets_of(const nl_option *row)
{
    return row->at == offsetof(nl_run_spec, data) ? nl_model_data_spec
           : strncmp(row->key, "norm", 4) == 0    ? nl_model_norm_spec
                                                  : NULL;
}

/* The data and every method get the options that the model's paper has for them. */
static nl_status apply_presets(nl_run_spec *spec)
{
    for (const nl_option *row = nl_run_options; row->key; row++) {
        const preset_of preset = presets_of(row);
        nl_text text = {0};
        nl_status st = NL_OK;
        if (!preset || !text_of(row, spec)[0])
            continue;
        NL_GO(preset(spec->model.is, text_of(row, spec), &text));
        NL_GO(nl_option_set(row, spec, "run", row->key, nl_text_of(&text)));
    done:
        nl_text_free(&text);
        NL_TRY(st);
    }
    return NL_OK;
}

int64_t nl_spec_steps(const nl_run_spec *spec, int64_t steps_of_epoch)
{
    return spec->steps > 0 ? spec->steps : spec->epochs * steps_of_epoch;
}

/* Of epochs and steps the one from the stronger source counts. */
static nl_status choose_budget(const nl_words *words, nl_run_spec *spec)
{
    const nl_word *epochs, *steps;
    nl_words_find(words, "epochs", &epochs);
    nl_words_find(words, "steps", &steps);
    if (epochs && steps && epochs->source == steps->source)
        return nl_fail(NL_EOPTION, "run: epochs and steps are both given; a budget is one of them");
    if (steps && (!epochs || steps->source > epochs->source))
        spec->epochs = 0;
    else if (epochs)
        spec->steps = 0;
    if (spec->epochs == 0 && spec->steps == 0)
        return nl_fail(NL_EOPTION, "run: the budget is 0; epochs or steps of at least 1 is wanted");
    return NL_OK;
}

static nl_status read_record(nl_run_spec *spec)
{
    const char *at = spec->record.is;
    spec->record_init = spec->record_order = false;
    while (*at) {
        const size_t n = strcspn(at, ",");
        if (n == 4 && memcmp(at, "init", n) == 0)
            spec->record_init = true;
        else if (n == 5 && memcmp(at, "order", n) == 0)
            spec->record_order = true;
        else
            return nl_fail(NL_EOPTION, "run: record wants init, order or init,order, got '%s'",
                           spec->record.is);
        at += n + (at[n] == ',');
    }
    return NL_OK;
}

nl_status nl_spec_parse_pick(const nl_words *words, const int *pick, nl_run_spec *out)
{
    memset(out, 0, sizeof *out);
    NL_TRY(nl_options_preset(nl_run_options, out, "run"));
    NL_TRY(nl_options_preset(nl_conduct_options, out, "run"));
    NL_TRY(check_keys(words));
    NL_TRY(apply_protocol(words, pick, out));
    NL_TRY(set_words(nl_run_options, words, pick, out));
    NL_TRY(set_words(nl_conduct_options, words, NULL, out));
    NL_TRY(apply_presets(out));
    NL_TRY(choose_budget(words, out));
    NL_TRY(read_record(out));
    return NL_OK;
}

nl_status nl_spec_parse(const nl_words *words, nl_run_spec *out)
{
    NL_TRY(nl_spec_parse_pick(words, NULL, out));
    return NL_OK;
}

bool nl_run_key_varies(const char *key)
{
    return !nl_option_find(nl_conduct_options, key) && strcmp(key, "precision") != 0 &&
           strcmp(key, "probe") != 0;
}

nl_status nl_spec_fits(const nl_run_spec *spec, const nl_dataset *data)
{
    if (spec->batch > data->train.count)
        return nl_fail(NL_EOPTION,
                       "run: batch=%lld is larger than the %lld training examples of %s",
                       (long long)spec->batch, (long long)data->train.count, spec->data.is);
    return NL_OK;
}

/* ---- printing */

nl_status nl_spec_canonical(const nl_run_spec *spec, nl_text *out)
{
    for (const nl_option *row = nl_run_options; row->key; row++) {
        if (is_absent(row, spec))
            continue;
        nl_text_add(out, "%s=", row->key);
        NL_TRY(print_canonical(row, spec, out));
        nl_text_add(out, "\n");
    }
    return nl_text_status(out);
}

void nl_spec_print(const nl_run_spec *spec, nl_text *out)
{
    const nl_option *const tables[] = {nl_run_options, nl_conduct_options};
    for (int t = 0; t < 2; t++)
        for (const nl_option *row = tables[t]; row->key; row++) {
            if (is_absent(row, spec))
                continue;
            nl_text_add(out, "%s=", row->key);
            nl_option_print(row, spec, out);
            nl_text_add(out, "\n");
        }
}

nl_status nl_numerics_check(const char *path, int64_t version)
{
    if (version != NL_NUMERICS_VERSION)
        return nl_fail(NL_ESTATE, "%s: numerics version %lld, this normlab has %d", path,
                       (long long)version, NL_NUMERICS_VERSION);
    return NL_OK;
}

nl_status nl_spec_hash(const nl_run_spec *spec, uint64_t data_checksum, uint64_t *hash)
{
    nl_text text = {0};
    nl_status st;
    NL_GO(nl_spec_canonical(spec, &text));
    nl_text_add(&text, "data_checksum=%016llx\nnumerics=%d\n", (unsigned long long)data_checksum,
                NL_NUMERICS_VERSION);
    NL_GO(nl_text_status(&text));
    *hash = nl_hash_text(nl_text_of(&text));
done:
    nl_text_free(&text);
    return st;
}

void nl_spec_folder(const nl_run_spec *spec, uint64_t hash, char folder[NL_FOLDER_MAX])
{
    char name[41];
    size_t n = 0;
    for (const char *at = spec->norm.is; *at && *at != ':' && n < sizeof name - 1; at++)
        name[n++] = isalnum((unsigned char)*at) || *at == '_' || *at == '+' ? *at : '-';
    name[n] = 0;
    snprintf(folder, NL_FOLDER_MAX, "%s-seed%lld-%08llx", name, (long long)spec->seed,
             (unsigned long long)(hash >> 32));
}
