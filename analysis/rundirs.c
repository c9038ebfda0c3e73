#include "analysis/rundirs.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/facts.h"
#include "base/alloc.h"

enum { PATH_CHARS = 4096 };

static bool holds_run(const char *folder)
{
    static const char *const names[] = {"run.h5", "run.h5.part"};
    char path[PATH_CHARS];
    struct stat is;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (stat(path, &is) == 0 && S_ISREG(is.st_mode))
            return true;
    }
    return false;
}

static nl_status take(void *arg, const char *path)
{
    nl_rundirs *d = arg;
    nl_rundata **run = nl_alloc_more(d->run, d->count, &d->room, sizeof *run);
    if (!run)
        return nl_fail(NL_ENOMEM, "%lld runs", (long long)d->count + 1);
    d->run = run;
    NL_TRY(nl_rundata_open_curves(&d->run[d->count], path));
    d->count++;
    return NL_OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

typedef struct walking {
    nl_status (*f)(void *arg, const char *path);
    void *arg;
    int64_t found;
} walking;

static nl_status visit(walking *w, FTS *tree, FTSENT *entry)
{
    const bool given = entry->fts_level == FTS_ROOTLEVEL;
    if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR)
        return nl_fail(NL_EIO, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
    const bool folder = entry->fts_info == FTS_D;
    const bool run = folder ? holds_run(entry->fts_path) : entry->fts_info == FTS_F && given;
    if (folder && (run || (!given && entry->fts_name[0] == '.')))
        fts_set(tree, entry, FTS_SKIP);
    w->found += run;
    return run ? w->f(w->arg, entry->fts_path) : NL_OK;
}

static nl_status walk(walking *w, const char *path)
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(roots, FTS_NOCHDIR | FTS_LOGICAL, by_name);
    FTSENT *entry;
    nl_status st = NL_OK;
    const int64_t before = w->found;
    if (!tree)
        return nl_fail(NL_EIO, "%s: %s", path, strerror(errno));
    while (st == NL_OK && (entry = fts_read(tree)) != NULL)
        st = visit(w, tree, entry);
    fts_close(tree);
    if (st == NL_OK && w->found == before)
        return nl_fail(NL_ENAME, "%s: no run.h5 in or below it", path);
    return st;
}

nl_status nl_rundirs_each(const char *const *paths, int64_t count,
                          nl_status (*f)(void *arg, const char *path), void *arg)
{
    walking w = {f, arg, 0};
    for (int64_t i = 0; i < count; i++)
        NL_TRY(walk(&w, paths[i]));
    return NL_OK;
}

nl_status nl_rundirs_read(nl_rundirs *out, const char *const *paths, int64_t count)
{
    *out = (nl_rundirs){0};
    const nl_status st = nl_rundirs_each(paths, count, take, out);
    if (st != NL_OK)
        nl_rundirs_close(out);
    return st;
}

static bool same_value(const char *a, const char *b)
{
    double x, y;
    return strcmp(a, b) == 0 || (nl_read_real(a, &x) && nl_read_real(b, &y) && x == y);
}

/* What stands in the way when no run is left. */
static nl_status none_has(const nl_rundirs *d, const char *key, const char *value)
{
    nl_nearest near = {.wanted = key};
    nl_text known = {0};
    nl_status st = NL_OK;
    for (int64_t i = 0; i < d->count; i++) {
        nl_facts facts;
        NL_GO(nl_facts_read(&facts, nl_rundata_text(d->run[i], "spec", "")));
        const char *has = nl_facts_find(&facts, key);
        if (has && !nl_is_listed(nl_text_of(&known), has))
            nl_text_add(&known, "%s%s", known.used ? ", " : "", has);
        for (int64_t k = 0; i == 0 && k < facts.count; k++)
            nl_nearest_offer(&near, facts.at[k].key);
        nl_facts_free(&facts);
    }
    if (known.used)
        st = nl_fail(NL_ENAME, "no run has %s=%s; there is %s", key, value, nl_text_of(&known));
    else
        st = nl_fail(NL_ENAME, "no run has the key '%s'%s", key, nl_nearest_hint(&near));
done:
    nl_text_free(&known);
    return st;
}

static nl_status has_value(const nl_rundata *run, const char *key, const char *value, bool *has)
{
    nl_facts facts;
    NL_TRY(nl_facts_read(&facts, nl_rundata_text(run, "spec", "")));
    const char *is = nl_facts_find(&facts, key);
    *has = is && same_value(is, value);
    nl_facts_free(&facts);
    return NL_OK;
}

nl_status nl_rundirs_keep(nl_rundirs *d, const char *key, const char *value)
{
    nl_status st = NL_OK;
    int64_t kept = 0;
    bool *has = nl_alloc((size_t)d->count + 1, sizeof *has);
    if (!has)
        return nl_fail(NL_ENOMEM, "%lld runs", (long long)d->count);
    for (int64_t i = 0; i < d->count; i++) {
        NL_GO(has_value(d->run[i], key, value, &has[i]));
        kept += has[i];
    }
    if (!kept)
        NL_GO(none_has(d, key, value));
    kept = 0;
    for (int64_t i = 0; i < d->count; i++) {
        if (has[i])
            d->run[kept++] = d->run[i];
        else
            nl_rundata_close(d->run[i]);
    }
    d->count = kept;
done:
    nl_free(has);
    return st;
}

nl_status nl_rundirs_read_layers(nl_rundirs *d)
{
    for (int64_t i = 0; i < d->count; i++) {
        nl_rundata *whole;
        NL_TRY(nl_rundata_open(&whole, nl_rundata_path(d->run[i])));
        nl_rundata_close(d->run[i]);
        d->run[i] = whole;
    }
    return NL_OK;
}

void nl_rundirs_close(nl_rundirs *d)
{
    for (int64_t i = 0; i < d->count; i++)
        nl_rundata_close(d->run[i]);
    nl_free(d->run);
    *d = (nl_rundirs){0};
}
