#include "core/lookup.h"

#include <string.h>

#include "base/alloc.h"

nl_status nl_lookup_open(nl_lookup **out, const nl_item *it)
{
    nl_lookup *t = *out = nl_alloc(1, sizeof *t);
    if (t) {
        t->touched = nl_alloc((size_t)it->rows, sizeof *t->touched);
        t->spare = nl_alloc((size_t)it->rows, sizeof *t->spare);
    }
    if (t && t->touched && t->spare)
        return NL_OK;
    nl_lookup_close(t);
    *out = NULL;
    return nl_fail(NL_ENOMEM, "%s: %s: lists of %lld rows", it->owner, it->decl->name,
                   (long long)it->rows);
}

void nl_lookup_close(nl_lookup *t)
{
    if (!t)
        return;
    nl_free(t->touched);
    nl_free(t->spare);
    nl_free(t);
}

static void clear_gradients(nl_item *it)
{
    const nl_lookup *t = it->lookup;
    for (int64_t i = 0; i < t->count; i++)
        memset(it->grad + t->touched[i] * it->cols, 0, (size_t)it->cols * sizeof *it->grad);
}

/* Both ascending lists in one, in t->spare; returns its length. */
static int64_t join(const nl_lookup *t, const int64_t *row, int64_t count)
{
    int64_t all = 0, i = 0, k = 0;
    while (i < t->count || k < count) {
        const bool mine = k == count || (i < t->count && t->touched[i] <= row[k]);
        const int64_t next = mine ? t->touched[i] : row[k];
        i += i < t->count && t->touched[i] == next;
        k += k < count && row[k] == next;
        t->spare[all++] = next;
    }
    return all;
}

void nl_lookup_touch(nl_item *it, const int64_t *row, int64_t count, bool more)
{
    nl_lookup *t = it->lookup;
    int64_t *former = t->touched;
    if (!more) {
        clear_gradients(it);
        t->count = 0;
    }
    t->count = join(t, row, count);
    t->touched = t->spare;
    t->spare = former;
}

void nl_lookup_read(const nl_item *it, const int64_t *row, int64_t count)
{
    if (it->lookup->update)
        it->lookup->update(it->lookup->who, row, count);
}

void nl_lookup_read_all(nl_store *s)
{
    for (int i = 0; i < nl_store_count(s); i++) {
        const nl_item *it = nl_store_at(s, i);
        if (it->lookup)
            nl_lookup_read(it, NULL, it->rows);
    }
}
