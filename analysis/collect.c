#include "analysis/collect.h"

#include <math.h>
#include <string.h>

#include "analysis/facts.h"
#include "analysis/measures.h"
#include "base/alloc.h"

static const char *const metrics[] = {"train_loss",   "train_accuracy", "val_loss",
                                      "val_accuracy", "test_loss",      "test_accuracy"};
static const char *const attributes[] = {"wall_seconds", "cpu_seconds"};
enum {
    METRICS = sizeof metrics / sizeof *metrics,
    ATTRIBUTES = sizeof attributes / sizeof *attributes
};

/* Keys of all runs, in the order in which they first appear; they borrow from the facts. */
typedef struct keys {
    const char **at;
    int64_t count;
} keys;

static bool known(const keys *k, const char *key)
{
    for (int64_t i = 0; i < k->count; i++)
        if (strcmp(k->at[i], key) == 0)
            return true;
    return false;
}

static nl_status gather_keys(keys *k, const nl_facts *facts, int64_t count)
{
    int64_t most = 0;
    for (int64_t i = 0; i < count; i++)
        most += facts[i].count;
    k->at = nl_alloc((size_t)most + 1, sizeof *k->at);
    if (!k->at)
        return nl_fail(NL_ENOMEM, "collect: %lld keys", (long long)most);
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < facts[i].count; j++)
            if (!known(k, facts[i].at[j].key))
                k->at[k->count++] = facts[i].at[j].key;
    return NL_OK;
}

static void add_titles(nl_sheet *s, const keys *k)
{
    nl_sheet_text(s, "run");
    nl_sheet_text(s, "outcome");
    nl_sheet_text(s, "method");
    for (int64_t i = 0; i < k->count; i++)
        nl_sheet_text(s, k->at[i]);
    nl_sheet_text(s, "last_step");
    for (int i = 0; i < METRICS; i++)
        nl_sheet_text(s, metrics[i]);
    for (int i = 0; i < ATTRIBUTES; i++)
        nl_sheet_text(s, attributes[i]);
    nl_sheet_text(s, "target_accuracy");
    nl_sheet_text(s, "steps_to_target");
    nl_sheet_text(s, "seconds_to_target");
    nl_sheet_end(s);
}

static void add_fact(nl_sheet *s, const char *value)
{
    double number;
    if (value && nl_read_real(value, &number))
        nl_sheet_number(s, value);
    else
        nl_sheet_text(s, value ? value : "");
}

static void add_run(nl_sheet *s, const keys *k, const nl_rundata *run, const nl_facts *facts)
{
    nl_sheet_text(s, nl_rundata_path(run));
    nl_sheet_text(s, nl_rundata_text(run, "outcome", ""));
    nl_sheet_text(s, nl_rundata_text(run, "norm", ""));
    for (int64_t i = 0; i < k->count; i++)
        add_fact(s, nl_facts_find(facts, k->at[i]));
    nl_sheet_real(s, nl_last_step(run));
    for (int i = 0; i < METRICS; i++)
        nl_sheet_real(s, nl_final_value(run, metrics[i]));
    for (int i = 0; i < ATTRIBUTES; i++)
        nl_sheet_real(s, nl_rundata_number(run, attributes[i], NAN));
    const double target = nl_rundata_number(run, "target", NAN);
    nl_sheet_real(s, target);
    nl_sheet_real(s, nl_steps_to_target(run, "test_accuracy", target));
    nl_sheet_real(s, nl_seconds_to_target(run, "test_accuracy", target));
}

nl_status nl_collect(nl_sheet *out, const nl_rundata *const *runs, int64_t count)
{
    nl_status st = NL_OK;
    keys k = {0};
    nl_facts *facts = nl_alloc((size_t)count + 1, sizeof *facts);
    if (!facts)
        return nl_fail(NL_ENOMEM, "collect: %lld runs", (long long)count);
    for (int64_t i = 0; i < count; i++)
        NL_GO(nl_facts_read(&facts[i], nl_rundata_text(runs[i], "spec", "")));
    NL_GO(gather_keys(&k, facts, count));
    add_titles(out, &k);
    for (int64_t i = 0; i < count; i++)
        add_run(out, &k, runs[i], &facts[i]);
done:
    for (int64_t i = 0; i < count; i++)
        nl_facts_free(&facts[i]);
    nl_free(facts);
    nl_free(k.at);
    return st;
}
