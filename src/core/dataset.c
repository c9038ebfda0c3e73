#include "core/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/dataset_prepare.h"

const char *const nl_dataset_scales[] = {"none", "unit", "global", "feature", "channel", NULL};

static const nl_dataset_ops *const *registry;
static int registered;

void nl_dataset_use(const nl_dataset_ops *const *table, int count)
{
    registry = table;
    registered = count;
}

const nl_dataset_ops *nl_dataset_at(int i) { return i >= 0 && i < registered ? registry[i] : NULL; }

const nl_dataset_ops *nl_dataset_find(const char *name)
{
    for (int i = 0; i < registered; i++)
        if (strcmp(registry[i]->name, name) == 0)
            return registry[i];
    return NULL;
}

nl_status nl_dataset_find_or_say(const char *name, const nl_dataset_ops **out)
{
    nl_nearest near = {.wanted = name, .see = "normlab datasets"};
    if ((*out = nl_dataset_find(name)))
        return NL_OK;
    for (int i = 0; i < registered; i++)
        nl_nearest_offer(&near, registry[i]->name);
    return nl_fail(NL_ENAME, "no data set called '%s'%s", name, nl_nearest_hint(&near));
}

/* Finds the entry and reads its options; the caller frees *self. */
static nl_status read_spec(const char *spec, const nl_dataset_ops **out, void **self)
{
    nl_status st = NL_OK;
    char name[NL_STRING_MAX];
    const char *rest;
    *self = NULL;
    NL_TRY(nl_spec_split(spec, name, &rest));
    NL_TRY(nl_dataset_find_or_say(name, out));
    const nl_dataset_ops *ops = *out;
    if (ops->abi != NL_DATASET_ABI || ops->real_bytes != sizeof(nl_real))
        return nl_fail(NL_EABI,
                       "%s: built for data set interface %u with %u-byte reals, wanted %d "
                       "with %zu",
                       name, ops->abi, ops->real_bytes, NL_DATASET_ABI, sizeof(nl_real));
    void *made = nl_alloc(1, ops->self_size);
    if (!made)
        return nl_fail(NL_ENOMEM, "%s: no memory for its options", name);
    NL_GO(nl_options_preset(ops->options, made, name));
    NL_GO(nl_options_parse(ops->options, made, name, rest));
    *self = made;
    return NL_OK;
done:
    nl_free(made);
    return st;
}

static const char *data_folder(const char *dir)
{
    const char *set = getenv("NORMLAB_DATA");
    if (dir)
        return dir;
    return set && set[0] ? set : "data";
}

void nl_dataset_live(const nl_dataset *d, const nl_split *s, int64_t i, uint8_t *live)
{
    const int64_t steps = d->shape.s, length = s->length ? s->length[i] : steps;
    memset(live, d->pads_before ? 0 : 1, (size_t)steps);
    if (d->pads_before)
        memset(live + steps - length, 1, (size_t)length);
    else
        memset(live + length, 0, (size_t)(steps - length));
}

static nl_status check_lengths(const nl_dataset *d, const nl_split *s)
{
    for (int64_t i = 0; s->length && i < s->count; i++)
        if (s->length[i] < 1 || s->length[i] > d->shape.s)
            return nl_fail(NL_EFORMAT, "%s: example %lld has %d steps, wanted 1 .. %lld",
                           d->ops->name, (long long)i, s->length[i], (long long)d->shape.s);
    return NL_OK;
}

static nl_status check_tokens(const nl_dataset *d, const nl_split *s)
{
    const int64_t steps = d->shape.s, most = d->shape.vocabulary;
    for (int64_t k = 0; most > 0 && k < s->count * steps; k++)
        if (!(s->x[k] >= 0 && s->x[k] < (nl_real)most && s->x[k] == (nl_real)(int64_t)s->x[k]))
            return nl_fail(NL_EFORMAT, "%s: token %g of example %lld, wanted a number 0 .. %lld",
                           d->ops->name, (double)s->x[k], (long long)(k / steps),
                           (long long)(most - 1));
    return NL_OK;
}

static nl_status check_labels(const nl_dataset *d, const nl_split *s)
{
    const int64_t answers = nl_dataset_answers(d);
    for (int64_t i = 0; d->classes > 0 && i < s->count; i++) {
        int64_t asked = 0;
        for (int64_t k = 0; k < answers; k++) {
            const int32_t label = s->label[i * answers + k];
            if (label >= d->classes || (label < 0 && !d->each_step))
                return nl_fail(NL_EFORMAT, "%s: label %d of example %lld, wanted 0 .. %lld",
                               d->ops->name, label, (long long)i, (long long)(d->classes - 1));
            asked += label >= 0;
        }
        if (asked == 0)
            return nl_fail(NL_EFORMAT, "%s: example %lld asks for nothing", d->ops->name,
                           (long long)i);
    }
    return NL_OK;
}

static nl_status check_split(const nl_dataset *d, const nl_split *s)
{
    NL_TRY(check_lengths(d, s));
    NL_TRY(check_tokens(d, s));
    NL_TRY(check_labels(d, s));
    return NL_OK;
}

static nl_status sort(nl_dataset *d)
{
    if (d->each_step || d->classes == 0 || d->consecutive)
        return nl_fail(NL_EOPTION, "%s: sort=true, but its examples are not of classes",
                       d->ops->name);
    NL_TRY(nl_split_sort(&d->train, d->shape.s * d->shape.c, d->classes));
    return NL_OK;
}

static nl_status prepare(const nl_dataset_common *common, nl_dataset *d)
{
    NL_TRY(check_split(d, &d->train));
    NL_TRY(check_split(d, &d->val));
    NL_TRY(check_split(d, &d->test));
    NL_TRY(nl_dataset_standardize(d, common->standardize.is));
    if (common->sort)
        NL_TRY(sort(d));
    d->checksum = nl_dataset_checksum(d);
    return NL_OK;
}

nl_status nl_dataset_open(nl_dataset **out, const char *spec, const char *dir)
{
    nl_status st = NL_OK;
    const nl_dataset_ops *ops;
    void *self;
    *out = NULL;
    NL_TRY(read_spec(spec, &ops, &self));
    nl_dataset *d = nl_alloc(1, sizeof *d);
    if (!d)
        NL_BAIL(NL_ENOMEM, "%s: no memory", ops->name);
    d->ops = ops;
    d->target = ops->target;
    d->synthetic = ops->synthetic;
    NL_GO(ops->load(self, data_folder(dir), d));
    NL_GO(prepare(self, d));
    *out = d;
    d = NULL;
done:
    nl_free(self);
    nl_dataset_close(d);
    return st;
}

void nl_dataset_close(nl_dataset *d)
{
    if (d) {
        nl_free(d->memory);
        nl_free(d->fitted);
    }
    nl_free(d);
}

nl_status nl_dataset_canonical(const char *spec, nl_text *out)
{
    const nl_dataset_ops *ops;
    void *self;
    NL_TRY(read_spec(spec, &ops, &self));
    nl_text_add(out, "%s", ops->name);
    nl_options_print(ops->options, self, out);
    nl_free(self);
    return nl_text_status(out);
}
