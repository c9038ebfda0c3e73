#include "analysis/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/measures.h"
#include "analysis/sample.h"
#include "analysis/significance.h"
#include "base/alloc.h"

const double nl_profile_bounds[NL_PROFILE_POINTS] = {1, 1.25, 1.5, 2, 4, 8};

static bool names_norm(const char *key) { return strncmp(key, "norm", 4) == 0; }

static bool sets_task(const char *key) { return !names_norm(key) && strcmp(key, "seed") != 0; }

/* ---- Which runs are of one task */

/* "key=value " of all that sets a task, in the order of the spec. */
static void write_identity(const nl_facts *f, const char *but, nl_text *out)
{
    for (int64_t i = 0; i < f->count; i++)
        if (sets_task(f->at[i].key) && !(but && strcmp(f->at[i].key, but) == 0))
            nl_text_add(out, "%s=%s ", f->at[i].key, f->at[i].value);
}

/* Methods are called by norm; one that has slots of its own by these as well. */
static nl_status complete_norm(nl_rundata *run)
{
    const char *word = nl_rundata_text(run, "spec", "");
    nl_text norm = {0};
    nl_text_add(&norm, "%s", nl_rundata_text(run, "norm", "none"));
    for (; *word; word += strcspn(word, "\n"), word += *word == '\n')
        if (strncmp(word, "norm.", 5) == 0)
            nl_text_add(&norm, ", %.*s", (int)strcspn(word, "\n"), word);
    nl_status st = nl_text_status(&norm);
    if (st == NL_OK)
        st = nl_rundata_set_text(run, "norm", nl_text_of(&norm));
    nl_text_free(&norm);
    return st;
}

/* The runs' tasks, by number in order of their first run; *tasks is how many there are. */
static nl_status number_tasks(nl_rundata *const *runs, int64_t count, int64_t *task, int64_t *tasks)
{
    nl_status st = NL_OK;
    nl_text *identity = nl_alloc((size_t)count, sizeof *identity);
    if (!identity)
        return nl_fail(NL_ENOMEM, "study: %lld runs", (long long)count);
    *tasks = 0;
    for (int64_t i = 0; i < count; i++) {
        nl_facts facts;
        NL_GO(nl_facts_read(&facts, nl_rundata_text(runs[i], "spec", "")));
        write_identity(&facts, NULL, &identity[i]);
        nl_facts_free(&facts);
        NL_GO(nl_text_status(&identity[i]));
        int64_t k = 0;
        while (strcmp(nl_text_of(&identity[k]), nl_text_of(&identity[i])) != 0)
            k++;
        task[i] = k < i ? task[k] : (*tasks)++;
    }
done:
    for (int64_t i = 0; i < count; i++)
        nl_text_free(&identity[i]);
    nl_free(identity);
    return st;
}

static nl_status open_task(nl_task *t, nl_rundata *const *runs, int64_t count,
                           const nl_compare_options *options)
{
    NL_TRY(nl_facts_read(&t->facts, nl_rundata_text(runs[0], "spec", "")));
    NL_TRY(nl_compare_runs(&t->compare, (const nl_rundata *const *)runs, count, options));
    return NL_OK;
}

static bool common_to_all(const nl_study *s, const struct nl_fact *fact)
{
    for (int64_t t = 0; t < s->tasks; t++) {
        const char *value = nl_facts_find(&s->task[t].facts, fact->key);
        if (!value || strcmp(value, fact->value) != 0)
            return false;
    }
    return true;
}

/* Data and model go by their names alone. */
static void add_fact(const struct nl_fact *fact, nl_text *out)
{
    const bool plain = strcmp(fact->key, "data") == 0 || strcmp(fact->key, "model") == 0;
    nl_text_add(out, "%s%s%s%s", out->used ? ", " : "", plain ? "" : fact->key, plain ? "" : "=",
                fact->value);
}

static nl_status label_tasks(nl_study *s)
{
    for (int64_t t = 0; t < s->tasks; t++) {
        nl_task *task = &s->task[t];
        for (int64_t i = 0; i < task->facts.count; i++)
            if (sets_task(task->facts.at[i].key) && !common_to_all(s, &task->facts.at[i]))
                add_fact(&task->facts.at[i], &task->label);
        if (!task->label.used)
            nl_text_add(&task->label, "%s", nl_rundata_text(task->compare->runs[0], "data", "all"));
        NL_TRY(nl_text_status(&task->label));
    }
    return NL_OK;
}

/* Numbers by size, other values as people count: 100x3 before 100x10. */
static int compare_values(const char *a, const char *b)
{
    double x, y;
    if (nl_read_real(a, &x) && nl_read_real(b, &y))
        return (x > y) - (x < y);
    return strverscmp(a, b);
}

/* By the first key in which they differ; a task without it first. */
static int compare_tasks(const void *left, const void *right)
{
    const nl_facts *a = &((const nl_task *)left)->facts, *b = &((const nl_task *)right)->facts;
    for (int64_t i = 0; i < b->count; i++) {
        const char *value = nl_facts_find(a, b->at[i].key);
        const int order = value ? compare_values(value, b->at[i].value) : -1;
        if (sets_task(b->at[i].key) && order)
            return order;
    }
    return a->count > b->count;
}

static void sort_tasks(nl_study *s)
{
    qsort(s->task, (size_t)s->tasks, sizeof *s->task, compare_tasks);
}

/* ---- Which methods there are, and the baseline among them */

static bool is_called(const char *spec, const char *name)
{
    const size_t n = strlen(name);
    return strncmp(spec, name, n) == 0 && (!spec[n] || spec[n] == ':');
}

/* The spec of the baseline as the runs have it: "none" unless another is said. */
static nl_status find_baseline(nl_rundata *const *runs, int64_t count, const char **baseline)
{
    nl_nearest near = {.wanted = *baseline};
    const char *wanted = *baseline ? *baseline : "none";
    for (int64_t i = 0; i < count; i++) {
        const char *spec = nl_rundata_text(runs[i], "norm", "none");
        if (is_called(spec, wanted)) {
            *baseline = spec;
            return NL_OK;
        }
        if (*baseline)
            nl_nearest_offer(&near, spec);
    }
    if (*baseline)
        return nl_fail(NL_ENAME, "no run has the method '%s'%s", wanted, nl_nearest_hint(&near));
    *baseline = nl_rundata_text(runs[0], "norm", "none");
    return NL_OK;
}

static bool is_of(const nl_rundata *run, const char *method)
{
    return strcmp(nl_rundata_text(run, "norm", "none"), method) == 0;
}

static nl_status has_baseline(nl_rundata *const *runs, int64_t count, const char *baseline)
{
    for (int64_t i = 0; i < count; i++)
        if (is_of(runs[i], baseline))
            return NL_OK;
    return nl_fail(NL_EOPTION, "the task of %s has no run of the baseline '%s'",
                   nl_rundata_path(runs[0]), baseline);
}

const nl_method *nl_study_method(const nl_study *s, int64_t task, int64_t method)
{
    const nl_compare *c = s->task[task].compare;
    for (int64_t i = 0; i < c->count; i++)
        if (strcmp(c->methods[i].spec, s->method[method].spec) == 0)
            return &c->methods[i];
    return NULL;
}

static int64_t find_standing(const nl_study *s, const char *spec)
{
    int64_t i = 0;
    while (i < s->methods && strcmp(s->method[i].spec, spec) != 0)
        i++;
    return i;
}

static void gather_methods(nl_study *s, const char *baseline)
{
    for (int64_t t = 0; t < s->tasks; t++)
        for (int64_t i = 0; i < s->task[t].compare->count; i++) {
            const nl_method *m = &s->task[t].compare->methods[i];
            const int64_t at = find_standing(s, m->spec);
            nl_standing *is = &s->method[at];
            s->methods += at == s->methods;
            is->spec = is->label = m->spec;
            is->tasks++;
            is->runs += m->count;
            is->diverged += m->diverged;
            is->unfinished += m->unfinished;
        }
    s->baseline = find_standing(s, baseline);
}

/* Names alone, where they say which method is meant. */
static void shorten_labels(nl_study *s)
{
    for (int64_t i = 0; i < s->methods; i++) {
        nl_standing *m = &s->method[i];
        const size_t n = strcspn(m->spec, ":");
        if (n >= sizeof m->name || strchr(m->spec, ','))
            return;
        memcpy(m->name, m->spec, n);
        for (int64_t j = 0; j < i; j++)
            if (strcmp(s->method[j].name, m->name) == 0)
                return;
    }
    for (int64_t i = 0; i < s->methods; i++)
        s->method[i].label = s->method[i].name;
}

/* ---- Over the common tasks */

/* Room for the scores of one method over all tasks. */
typedef struct room {
    double *at, *pairs;   /* at: one a run; pairs: two a run */
    int64_t *count;       /* of each common task */
    double *score, *rank; /* common tasks x methods; methods */
} room;

/* Scores of a method over the common tasks, task by task. */
static void gather_scores(const nl_study *s, int64_t method, room *r)
{
    int64_t n = 0, k = 0;
    for (int64_t t = 0; t < s->tasks; t++) {
        if (!s->task[t].is_common)
            continue;
        r->count[k] =
            nl_compare_scores(s->task[t].compare, nl_study_method(s, t, method), r->at + n);
        n += r->count[k++];
    }
}

/* Pairs (method, baseline), more being better. */
static void gather_pairs(const nl_study *s, int64_t method, room *r)
{
    int64_t n = 0, k = 0;
    const double sign = s->score->less_is_better ? -1 : 1;
    for (int64_t t = 0; t < s->tasks; t++) {
        if (!s->task[t].is_common)
            continue;
        const nl_method *m = nl_study_method(s, t, method);
        double *x = r->at, *y = r->at + m->count;
        r->count[k] = nl_compare_pairs(s->task[t].compare, m, x, y);
        for (int64_t i = 0; i < r->count[k]; i++) {
            r->pairs[2 * (n + i)] = sign * x[i];
            r->pairs[2 * (n + i) + 1] = sign * y[i];
        }
        n += r->count[k++];
    }
}

/* Differences in at[]: by seed in the score's own direction; returned: how many. */
static int64_t take_differences(const nl_study *s, room *r)
{
    int64_t n = 0;
    const double sign = s->score->less_is_better ? -1 : 1;
    for (int64_t k = 0; k < s->common; k++)
        n += r->count[k];
    for (int64_t i = 0; i < n; i++)
        r->at[i] = sign * (r->pairs[2 * i] - r->pairs[2 * i + 1]);
    return n;
}

/* Each task weighs the same, however many seeds it has. */
static void test_differences(const nl_study *s, nl_standing *m, room *r, int64_t n)
{
    double *task = r->rank; /* room for as many tasks */
    int64_t first = 0;
    for (int64_t k = 0; k < s->common; first += r->count[k++]) {
        task[k] = nl_mean(r->at + first, r->count[k]);
        for (int64_t i = 0; i < r->count[k]; i++)
            r->at[first + i] /= (double)r->count[k];
    }
    m->flips_p = nl_permutation_p(r->at, n);
    m->ranks_p = nl_wilcoxon_p(task, s->common);
}

static nl_status compare_with_baseline(nl_study *s, nl_standing *m, int64_t method, room *r)
{
    const nl_strata pairs = {r->pairs, 2, s->common, r->count};
    const nl_strata differences = {r->at, 1, s->common, r->count};
    gather_pairs(s, method, r);
    NL_TRY(nl_bootstrap_interval(&m->above, nl_strata_probability_above, &pairs, s->level,
                                 NL_RESAMPLES));
    const int64_t n = take_differences(s, r);
    NL_TRY(nl_bootstrap_interval(&m->difference, nl_strata_mean, &differences, s->level,
                                 NL_RESAMPLES));
    test_differences(s, m, r, n);
    return NL_OK;
}

static nl_status stand(nl_study *s, int64_t method, room *r)
{
    nl_standing *m = &s->method[method];
    const nl_strata scores = {r->at, 1, s->common, r->count};
    gather_scores(s, method, r);
    NL_TRY(nl_bootstrap_interval(&m->mean, nl_strata_mean, &scores, s->level, NL_RESAMPLES));
    NL_TRY(nl_bootstrap_interval(&m->middle, nl_strata_interquartile_mean, &scores, s->level,
                                 NL_RESAMPLES));
    m->median = nl_strata_median(&scores);
    if (method != s->baseline)
        NL_TRY(compare_with_baseline(s, m, method, r));
    return NL_OK;
}

static void judge(nl_study *s)
{
    double p[NL_HOLM_MAX];
    const int64_t n = s->methods < NL_HOLM_MAX ? s->methods : NL_HOLM_MAX;
    for (int64_t i = 0; i < n; i++)
        p[i] = s->method[i].flips_p;
    nl_holm(p, n);
    for (int64_t i = 0; i < n; i++) {
        nl_standing *m = &s->method[i];
        const bool less = s->score && s->score->less_is_better;
        m->flips_p_holm = p[i];
        m->verdict = isnan(p[i])                         ? NL_VERDICT_NONE
                     : p[i] >= 1 - s->level              ? NL_VERDICT_NOT_SHOWN
                     : (m->difference.value > 0) != less ? NL_VERDICT_BETTER
                                                         : NL_VERDICT_WORSE;
    }
    s->method[s->baseline].verdict = NL_VERDICT_BASELINE;
}

/* A score of every method, and pairs with the baseline. */
static bool is_common(const nl_study *s, int64_t t)
{
    for (int64_t i = 0; i < s->methods; i++) {
        const nl_method *m = nl_study_method(s, t, i);
        if (!m || m->score.n == 0 || (i != s->baseline && m->difference.n == 0))
            return false;
    }
    return true;
}

static void find_common(nl_study *s)
{
    s->score = s->task[0].compare->score;
    for (int64_t t = 0; t < s->tasks; t++) {
        s->task[t].is_common = is_common(s, t);
        s->common += s->task[t].is_common;
        if (s->task[t].compare->score != s->score)
            s->score = NULL;
    }
}

static nl_status rank_methods(nl_study *s, room *r)
{
    int64_t k = 0;
    for (int64_t t = 0; t < s->tasks; t++) {
        const double sign = s->task[t].compare->score->less_is_better ? -1 : 1;
        for (int64_t i = 0; s->task[t].is_common && i < s->methods; i++)
            r->score[k++] = sign * nl_study_method(s, t, i)->score.mean;
    }
    NL_TRY(nl_friedman_ranks(&s->friedman, r->score, s->common, s->methods, s->level, r->rank));
    for (int64_t i = 0; i < s->methods; i++)
        s->method[i].mean_rank = r->rank[i];
    return NL_OK;
}

/* Median steps of the cheapest method of a task; infinite where none reached the target. */
static double least_steps(const nl_study *s, int64_t t)
{
    double least = INFINITY;
    for (int64_t i = 0; i < s->methods && !isnan(s->task[t].compare->target); i++) {
        const nl_method *m = nl_study_method(s, t, i);
        least = m->tried ? fmin(least, m->median_steps) : least;
    }
    return least;
}

static void profile(nl_study *s, nl_standing *of, int64_t method, double *ratio)
{
    int64_t n = 0;
    for (int64_t t = 0; t < s->tasks; t++) {
        const double least = s->task[t].is_common ? least_steps(s, t) : INFINITY;
        if (isinf(least))
            continue;
        const nl_method *m = nl_study_method(s, t, method);
        ratio[n++] = m->tried ? m->median_steps / least : INFINITY;
    }
    s->profiled = n;
    for (int k = 0; k < NL_PROFILE_POINTS; k++)
        of->profile[k] = nl_share_within(ratio, n, nl_profile_bounds[k]);
}

static nl_status make_room(const nl_study *s, room *r)
{
    const int64_t most = s->tasks > s->methods ? s->tasks : s->methods;
    *r = (room){.at = nl_alloc((size_t)(2 * s->runs), sizeof *r->at),
                .pairs = nl_alloc((size_t)(2 * s->runs), sizeof *r->pairs),
                .count = nl_alloc((size_t)s->tasks, sizeof *r->count),
                .score = nl_alloc((size_t)(s->tasks * s->methods), sizeof *r->score),
                .rank = nl_alloc((size_t)most, sizeof *r->rank)};
    return r->at && r->pairs && r->count && r->score && r->rank
               ? NL_OK
               : nl_fail(NL_ENOMEM, "study: %lld runs", (long long)s->runs);
}

static nl_status compute(nl_study *s)
{
    static const nl_bootstrap none = {.value = NAN,
                                      .bca_low = NAN,
                                      .bca_high = NAN,
                                      .expanded_low = NAN,
                                      .expanded_high = NAN,
                                      .error = NAN,
                                      .is = {0, NAN, NAN, NAN, NAN, NAN}};
    room r;
    nl_status st = NL_OK;
    NL_GO(make_room(s, &r));
    for (int64_t i = 0; i < s->methods; i++) {
        nl_standing *m = &s->method[i];
        m->mean = m->middle = m->difference = m->above = none;
        m->median = m->flips_p = m->ranks_p = NAN;
        if (s->score && s->common)
            NL_GO(stand(s, i, &r));
        profile(s, m, i, r.score);
    }
    judge(s);
    NL_GO(rank_methods(s, &r));
done:
    nl_free(r.at);
    nl_free(r.pairs);
    nl_free(r.count);
    nl_free(r.score);
    nl_free(r.rank);
    return st;
}

/* ---- Sensitivity */

static bool differ_in(const nl_study *s, int64_t a, int64_t b, const char *key)
{
    nl_text x = {0}, y = {0};
    write_identity(&s->task[a].facts, key, &x);
    write_identity(&s->task[b].facts, key, &y);
    const bool alone = strcmp(nl_text_of(&x), nl_text_of(&y)) == 0;
    nl_text_free(&x);
    nl_text_free(&y);
    return alone;
}

static void place_task(const nl_study *s, nl_view *v, int64_t task)
{
    int64_t i = v->count++;
    const char *value = nl_facts_find(&s->task[task].facts, v->key);
    for (; i > 0; i--) {
        const char *before = nl_facts_find(&s->task[v->task[i - 1]].facts, v->key);
        if (compare_values(before, value) <= 0)
            break;
        v->task[i] = v->task[i - 1];
    }
    v->task[i] = task;
}

static nl_status add_view(nl_study *s, const char *key, int64_t first)
{
    nl_view *v = &s->view[s->views];
    v->key = key;
    v->task = nl_alloc((size_t)s->tasks, sizeof *v->task);
    if (!v->task)
        return nl_fail(NL_ENOMEM, "study: %lld tasks", (long long)s->tasks);
    s->views++;
    for (int64_t t = first; t < s->tasks; t++)
        if (nl_facts_find(&s->task[t].facts, key) && differ_in(s, first, t, key))
            place_task(s, v, t);
    const nl_facts *f = &s->task[first].facts;
    for (int64_t i = 0; i < f->count; i++)
        if (sets_task(f->at[i].key) && strcmp(f->at[i].key, key) != 0 &&
            !common_to_all(s, &f->at[i]))
            add_fact(&f->at[i], &v->rest);
    if (v->count < 2) { /* one value alone is no view */
        nl_free(v->task);
        nl_text_free(&v->rest);
        *v = (nl_view){0};
        s->views--;
    }
    return NL_OK;
}

static bool has_view(const nl_study *s, const char *key, int64_t task)
{
    for (int64_t v = 0; v < s->views; v++)
        for (int64_t i = 0; strcmp(s->view[v].key, key) == 0 && i < s->view[v].count; i++)
            if (s->view[v].task[i] == task)
                return true;
    return false;
}

/* Data and model are what is studied, not settings of it. */
static nl_status find_views(nl_study *s)
{
    int64_t keys = 0;
    for (int64_t t = 0; t < s->tasks; t++)
        keys += s->task[t].facts.count;
    if (!(s->view = nl_alloc((size_t)keys + 1, sizeof *s->view)))
        return nl_fail(NL_ENOMEM, "study: %lld tasks", (long long)s->tasks);
    for (int64_t t = 0; t < s->tasks; t++)
        for (int64_t i = 0; i < s->task[t].facts.count; i++) {
            const struct nl_fact *fact = &s->task[t].facts.at[i];
            if (!sets_task(fact->key) || strcmp(fact->key, "data") == 0 ||
                strcmp(fact->key, "model") == 0 || common_to_all(s, fact) ||
                has_view(s, fact->key, t))
                continue;
            NL_TRY(add_view(s, fact->key, t));
        }
    return NL_OK;
}

static int compare_views(const void *left, const void *right)
{
    const nl_view *a = left, *b = right;
    const int order = strcmp(a->key, b->key);
    return order ? order : (a->task[0] > b->task[0]) - (a->task[0] < b->task[0]);
}

/* ---- Opening and closing: in every task the baseline comes first, whatever folders are called */

static nl_status open_tasks(nl_study *s, nl_rundata *const *runs, int64_t count,
                            const int64_t *task, const nl_compare_options *options)
{
    nl_status st = NL_OK;
    nl_rundata **own = nl_alloc((size_t)count, sizeof *own);
    if (!own)
        return nl_fail(NL_ENOMEM, "study: %lld runs", (long long)count);
    for (int64_t t = 0; t < s->tasks; t++) {
        int64_t n = 0;
        for (int first = 1; first >= 0; first--)
            for (int64_t i = 0; i < count; i++)
                if (task[i] == t && is_of(runs[i], options->baseline) == first)
                    own[n++] = runs[i];
        NL_GO(has_baseline(own, n, options->baseline));
        NL_GO(open_task(&s->task[t], own, n, options));
    }
done:
    nl_free(own);
    return st;
}

nl_status nl_study_make(nl_study **out, nl_rundata *const *runs, int64_t count,
                        const nl_compare_options *options)
{
    nl_status st = NL_OK;
    nl_study *s = nl_alloc(1, sizeof *s);
    int64_t *task = nl_alloc((size_t)count + 1, sizeof *task);
    nl_compare_options of_task = *options;
    *out = NULL;
    if (!s || !task)
        NL_BAIL(NL_ENOMEM, "study: %lld runs", (long long)count);
    s->level = options->level;
    s->runs = count;
    for (int64_t i = 0; i < count; i++)
        NL_GO(complete_norm(runs[i]));
    NL_GO(find_baseline(runs, count, &of_task.baseline));
    NL_GO(number_tasks(runs, count, task, &s->tasks));
    s->task = nl_alloc((size_t)s->tasks, sizeof *s->task);
    s->method = nl_alloc((size_t)count, sizeof *s->method);
    if (!s->task || !s->method)
        NL_BAIL(NL_ENOMEM, "study: %lld runs", (long long)count);
    NL_GO(open_tasks(s, runs, count, task, &of_task));
    sort_tasks(s);
    NL_GO(label_tasks(s));
    gather_methods(s, of_task.baseline);
    shorten_labels(s);
    find_common(s);
    NL_GO(compute(s));
    NL_GO(find_views(s));
    qsort(s->view, (size_t)s->views, sizeof *s->view, compare_views);
    *out = s;
    s = NULL;
done:
    nl_study_close(s);
    nl_free(task);
    return st;
}

void nl_study_close(nl_study *s)
{
    if (!s)
        return;
    for (int64_t t = 0; s->task && t < s->tasks; t++) {
        nl_compare_close(s->task[t].compare);
        nl_facts_free(&s->task[t].facts);
        nl_text_free(&s->task[t].label);
    }
    for (int64_t v = 0; v < s->views; v++) {
        nl_free(s->view[v].task);
        nl_text_free(&s->view[v].rest);
    }
    nl_free(s->task);
    nl_free(s->method);
    nl_free(s->view);
    nl_free(s);
}
