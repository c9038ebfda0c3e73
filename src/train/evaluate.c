#include "train/evaluate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "io/checkpoint.h"
#include "train/feeder.h"
#include "train/setup.h"

/* ---- a trained model */

static nl_status spec_of_lines(const char *lines, nl_run_spec *out)
{
    nl_words words = {0};
    nl_status st = NL_OK;
    while (*lines && st == NL_OK) {
        char line[NL_STRING_MAX + 64];
        const size_t n = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, lines);
        st = nl_words_take(&words, NL_WORD_LINE, line);
        lines += n + (lines[n] == '\n');
    }
    if (st == NL_OK)
        st = nl_spec_parse(&words, out);
    nl_words_free(&words);
    return st;
}

static void path_in(const char *folder, char *path, size_t room)
{
    snprintf(path, room, "%s/checkpoint.nlc", folder);
}

nl_status nl_trained_spec(const char *folder, nl_run_spec *out)
{
    char path[sizeof((nl_trained *)0)->path];
    nl_checkpoint c = {0};
    nl_status st;
    path_in(folder, path, sizeof path);
    NL_GO(nl_checkpoint_peek(path, &c));
    NL_GO(nl_numerics_check(path, c.numerics));
    NL_GO(spec_of_lines(nl_text_of(&c.spec), out));
done:
    nl_checkpoint_free(&c);
    return st;
}

static nl_status check_data(const nl_trained *t, const nl_checkpoint *c)
{
    uint64_t hash;
    char text[20];
    NL_TRY(nl_spec_hash(&t->spec, t->data->checksum, &hash));
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    if (strcmp(text, nl_text_of(&c->hash)) != 0)
        return nl_fail(NL_ESTATE,
                       "%s: was trained on other data than %s holds now (hash %s, now %s)", t->path,
                       t->spec.data.is, nl_text_of(&c->hash), text);
    return NL_OK;
}

static nl_status open_model(nl_trained *t, int64_t n)
{
    const int64_t batch = t->spec.batch > 0 ? t->spec.batch : t->data->train.count;
    nl_model_setup setup = nl_spec_setup(&t->spec, t->data, batch, n > batch ? n : batch);
    setup.any_policy = true;
    NL_TRY(nl_model_open(&t->model, t->spec.model.is, &setup));
    return NL_OK;
}

static nl_status load(nl_trained *t)
{
    nl_checkpoint c = {0};
    nl_status st;
    NL_GO(nl_checkpoint_load(t->path, &c, nl_model_store(t->model), NULL, 0));
    NL_GO(check_data(t, &c));
    t->step = c.step;
    t->epoch = c.epoch;
done:
    nl_checkpoint_free(&c);
    return st;
}

nl_status nl_trained_open(nl_trained *out, const char *folder, const char *data_dir, int64_t n)
{
    nl_status st;
    *out = (nl_trained){0};
    path_in(folder, out->path, sizeof out->path);
    NL_GO(nl_trained_spec(folder, &out->spec));
    NL_GO(nl_dataset_open(&out->data, out->spec.data.is, data_dir));
    NL_GO(open_model(out, n));
    NL_GO(load(out));
    return NL_OK;
done:
    nl_trained_close(out);
    return st;
}

void nl_trained_close(nl_trained *t)
{
    nl_model_close(t->model);
    nl_dataset_close(t->data);
    *t = (nl_trained){0};
}

/* ---- policies */

typedef struct list {
    nl_policy_row *row;
    int count;
} list;

static void add(list *l, const char *name, const nl_policy_row *row)
{
    if (l->count == NL_POLICIES_MAX)
        return;
    l->row[l->count] = *row;
    snprintf(l->row[l->count++].name, NL_POLICY_NAME_MAX, "%s", name);
}

static nl_policy all_from(nl_source source, double own_weight)
{
    nl_policy p = {.own_weight = own_weight};
    for (int k = 0; k < NL_AREAS_MAX; k++)
        p.mean[k] = p.var[k] = source;
    return p;
}

/* Policies that are the same for every method with population statistics. */
static void add_common(list *l)
{
    static const double weights[] = {0.1, 0.25, 0.5, 0.75};
    char name[NL_POLICY_NAME_MAX];
    for (int s = NL_FROM_BATCH; s <= NL_FROM_EXAMPLE; s++)
        add(l, nl_source_name((nl_source)s), &(nl_policy_row){.policy = all_from((nl_source)s, 1)});
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        snprintf(name, sizeof name, "mixture/%g", weights[i]);
        add(l, name, &(nl_policy_row){.policy = all_from(NL_FROM_MIXTURE, weights[i])});
    }
}

static void add_named(list *l, const nl_norm *n)
{
    nl_policy_row row = {.own = false};
    const nl_norm_ops *ops = nl_norm_ops_of(n);
    for (int i = 0; ops->policy && ops->policy(nl_norm_options_of(n), i, row.name, &row.policy);
         i++)
        add(l, row.name, &row);
}

static const nl_norm *first_with_population(nl_model *m)
{
    nl_area area[NL_AREAS_MAX];
    for (int i = 0; i < nl_model_layers(m); i++)
        for (int k = 0; k < NL_SLOTS_MAX; k++) {
            const nl_norm *n = nl_model_layer(m, i)->norm[k];
            const int areas = n ? nl_norm_areas_of(n, area) : 0;
            for (int a = 0; a < areas; a++)
                if (area[a].population)
                    return n;
        }
    return NULL;
}

int nl_policies_of(nl_model *m, nl_policy_row rows[NL_POLICIES_MAX])
{
    list l = {rows, 0};
    const nl_norm *n = first_with_population(m);
    add(&l, "own", &(nl_policy_row){.own = true});
    if (!n)
        return l.count;
    add_common(&l);
    add_named(&l, n);
    add(&l, "reestimated",
        &(nl_policy_row){.reestimated = true, .policy = all_from(NL_FROM_CUMULATIVE, 1)});
    return l.count;
}

/* ---- estimating again */

static void forget_cumulative(nl_store *s)
{
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        const nl_purpose p = it->decl->purpose;
        if (p == NL_CUM_MEAN || p == NL_CUM_SPREAD || p == NL_CUM_COUNT)
            memset(it->val, 0, (size_t)it->count * nl_type_bytes(it->decl->type));
    }
}

static nl_status run_through(nl_trained *t, int64_t steps)
{
    const nl_batches_options options = {
        .batch = t->spec.batch, .order = t->spec.order, .last = t->spec.last};
    nl_feeder *feeder;
    nl_batches batches;
    nl_status st = NL_OK;
    NL_TRY(nl_batches_open(&batches, t->data, &t->data->train, &options, (uint64_t)t->spec.seed));
    NL_TRY(nl_feeder_open(&feeder, &batches, true));
    const int64_t most = batches.steps, all = steps > 0 && steps < most ? steps : most;
    for (int64_t k = 0; k < all; k++) {
        nl_batch batch;
        NL_GO(nl_feeder_batch(feeder, k, &batch));
        const nl_layer_call c = {.n = batch.n,
                                 .phase = NL_TRAIN,
                                 .update = true,
                                 .step = t->step,
                                 .epoch = t->epoch,
                                 .seed = (uint64_t)t->spec.seed,
                                 .carry = batch.carry,
                                 .live = batch.live,
                                 .x = batch.x};
        nl_model_forward(t->model, &c);
    }
done:
    nl_feeder_close(feeder);
    return st;
}

nl_status nl_reestimate(nl_trained *t, int64_t examples)
{
    const int64_t batch = t->spec.batch > 0 ? t->spec.batch : t->data->train.count;
    forget_cumulative(nl_model_store(t->model));
    NL_TRY(run_through(t, (examples + batch - 1) / batch));
    return NL_OK;
}

/* ---- scores */

nl_status nl_evaluate(nl_trained *t, const nl_policy_row *row, int64_t n, nl_score *val,
                      nl_score *test)
{
    const nl_policy *policy = row->own ? NULL : &row->policy;
    nl_scorer scorer = {.model = t->model,
                        .data = t->data,
                        .n = n,
                        .policy = policy,
                        .step = t->step,
                        .epoch = t->epoch,
                        .seed = (uint64_t)t->spec.seed};
    NL_TRY(nl_model_accepts(t->model, policy, n));
    NL_TRY(nl_scorer_open(&scorer));
    *val = nl_score_split(&scorer, &t->data->val);
    *test = nl_score_split(&scorer, &t->data->test);
    nl_scorer_close(&scorer);
    return NL_OK;
}
