#include "analysis/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/measures.h"
#include "analysis/sample.h"
#include "analysis/significance.h"
#include "base/alloc.h"

static const nl_score scores[] = {
    {.key = "test_bits_per_character",
     .title = "test bits per character",
     .scale = 1,
     .less_is_better = true},
    {.key = "val_bits_per_character",
     .title = "validation bits per character",
     .scale = 1,
     .less_is_better = true},
    {.key = "test_accuracy", .title = "test accuracy, %", .scale = 100},
    {.key = "val_accuracy", .title = "validation accuracy, %", .scale = 100},
    {.key = "test_loss", .title = "test loss", .scale = 1, .less_is_better = true},
};

/* ---- One number a run, gathered over the runs of a method */

typedef double measure(const nl_compare *c, const nl_rundata *run);

static double measure_score(const nl_compare *c, const nl_rundata *run)
{
    return nl_final_value(run, c->score->key);
}

static double measure_test_loss(const nl_compare *c, const nl_rundata *run)
{
    (void)c;
    return nl_final_value(run, "test_loss");
}

static double measure_train_loss(const nl_compare *c, const nl_rundata *run)
{
    (void)c;
    return nl_final_value(run, "train_loss");
}

static double measure_seconds(const nl_compare *c, const nl_rundata *run)
{
    (void)c;
    return nl_seconds_a_step(run);
}

static double measure_height(const nl_compare *c, const nl_rundata *run)
{
    return nl_curve_height(run, c->score->key, c->budget);
}

/* Infinite where the run never reached the target, NaN where it was never evaluated. */
static double measure_steps(const nl_compare *c, const nl_rundata *run)
{
    if (!nl_rundata_track(run, "/evals/step") || !nl_rundata_track(run, "/evals/%s", c->score->key))
        return NAN;
    const double steps = nl_steps_to_target(run, c->score->key, c->target);
    return isnan(steps) ? INFINITY : steps;
}

static double measure_seconds_to_target(const nl_compare *c, const nl_rundata *run)
{
    if (!nl_rundata_track(run, "/evals/seconds"))
        return NAN;
    const double seconds = nl_seconds_to_target(run, c->score->key, c->target);
    return isnan(seconds) ? INFINITY : seconds;
}

/* The measured values of ended runs; room for m->count values. */
static int64_t gather(const nl_compare *c, const nl_method *m, measure *of, double *values)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->count; i++) {
        const double v = nl_run_ended(m->runs[i]) ? of(c, m->runs[i]) : NAN;
        if (!isnan(v))
            values[n++] = v;
    }
    return n;
}

/* Values of the seeds that both methods have; x and y have room for m->count each. */
static int64_t gather_pairs(const nl_compare *c, const nl_method *m, const nl_method *base,
                            measure *of, double *x, double *y)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->count; i++)
        for (int64_t j = 0; j < base->count; j++) {
            const nl_rundata *a = m->runs[i], *b = base->runs[j];
            if (nl_run_seed(a) != nl_run_seed(b) || !nl_run_ended(a) || !nl_run_ended(b))
                continue;
            x[n] = of(c, a);
            y[n] = of(c, b);
            n += !isnan(x[n]) && !isnan(y[n]);
        }
    return n;
}

static nl_interval interval_of(const nl_compare *c, const nl_method *m, measure *of, double *room)
{
    return nl_mean_interval(room, gather(c, m, of, room), c->level);
}

static void summarize_steps(const nl_compare *c, nl_method *m, double *room)
{
    m->tried = gather(c, m, measure_steps, room);
    m->median_steps = nl_median(room, m->tried);
    int64_t reached = 0;
    for (int64_t i = 0; i < m->tried; i++)
        reached += isfinite(room[i]);
    m->reached = reached;
    if (reached == m->tried)
        m->steps = nl_mean_interval(room, reached, c->level);
    m->median_seconds = nl_median(room, gather(c, m, measure_seconds_to_target, room));
    for (int64_t i = 0; i < m->count; i++)
        if (nl_run_ended(m->runs[i]))
            m->budget = fmax(m->budget, nl_last_step(m->runs[i]));
}

/* Scores in growing order, for what is cut from both ends. */
static void summarize_order(const nl_compare *c, nl_method *m, double *room)
{
    const int64_t n = gather(c, m, measure_score, room);
    nl_sort(room, n);
    m->median = nl_median_interval_sorted(room, n, c->level);
    m->middle = nl_interquartile_interval_sorted(room, n, c->level);
}

static void summarize(const nl_compare *c, nl_method *m, double *room)
{
    for (int64_t i = 0; i < m->count; i++) {
        m->diverged += nl_run_diverged(m->runs[i]);
        m->unfinished += !nl_run_ended(m->runs[i]);
    }
    m->score = interval_of(c, m, measure_score, room);
    m->test_loss = interval_of(c, m, measure_test_loss, room);
    m->train_loss = interval_of(c, m, measure_train_loss, room);
    m->seconds = interval_of(c, m, measure_seconds, room);
    m->height = interval_of(c, m, measure_height, room);
    summarize_order(c, m, room);
    if (!isnan(c->target))
        summarize_steps(c, m, room);
}

/* Steps are known to one evaluation interval only, so seeds that agree to the step are no proof of
 * certainty: the spread of log(steps) is at least that of rounding, interval / sqrt(12). */
static double rounding_sd(const nl_method *m, double log_steps)
{
    const nl_track *step = nl_rundata_track(m->runs[0], "/evals/step");
    if (!step || step->rows < 2)
        return 0;
    const double interval = (step->at[step->rows - 1] - step->at[0]) / (double)(step->rows - 1);
    return interval / exp(log_steps) / sqrt(12);
}

/* Censored runs enter with their budget, which is a bound as long as only one side is censored. */
static nl_ratio ratio_of(const nl_compare *c, const nl_method *m, const nl_method *base, double *x,
                         double *y)
{
    nl_ratio r = {.bound = NL_BOUND_EXACT};
    bool below = false, above = false;
    const int64_t n = gather_pairs(c, m, base, measure_steps, x, y);
    for (int64_t i = 0; i < n; i++) {
        above = above || isinf(x[i]);
        below = below || isinf(y[i]);
        x[i] = log(isinf(x[i]) ? m->budget : x[i]);
        y[i] = log(isinf(y[i]) ? base->budget : y[i]);
    }
    r.is = nl_paired_interval(x, y, n, c->level);
    if (n > 1 && r.is.sd < rounding_sd(m, nl_mean(x, n)))
        r.is = nl_interval_from(n, r.is.mean, rounding_sd(m, nl_mean(x, n)), c->level);
    if (n > 0 && memcmp(x, y, (size_t)n * sizeof *x) == 0)
        r.is.p = 1;
    r.is.mean = exp(r.is.mean);
    r.is.low = exp(r.is.low);
    r.is.high = exp(r.is.high);
    if (n == 0 || (above && below))
        return (nl_ratio){.bound = NL_BOUND_NONE, .is = {.p = NAN}};
    r.bound = below ? NL_BOUND_BELOW : above ? NL_BOUND_ABOVE : NL_BOUND_EXACT;
    return r;
}

/* A bound speaks only in its own direction: "less than 1.4" shows nothing. */
static double ratio_p(const nl_ratio *r)
{
    const bool mute = (r->bound == NL_BOUND_BELOW && r->is.mean > 1) ||
                      (r->bound == NL_BOUND_ABOVE && r->is.mean < 1);
    return mute ? 1 : r->is.p;
}

static nl_verdict verdict(double p, double level, bool better)
{
    if (isnan(p))
        return NL_VERDICT_NONE;
    if (p >= 1 - level)
        return NL_VERDICT_NOT_SHOWN;
    return better ? NL_VERDICT_BETTER : NL_VERDICT_WORSE;
}

static void judge(nl_compare *c, double *p)
{
    for (int64_t i = 0; i < c->count; i++)
        p[i] = c->methods[i].difference.p;
    nl_holm(p, c->count);
    for (int64_t i = 0; i < c->count; i++) {
        nl_method *m = &c->methods[i];
        m->difference_p = p[i];
        m->verdict = verdict(p[i], c->level, (m->difference.mean < 0) == c->score->less_is_better);
        p[i] = ratio_p(&m->ratio);
    }
    nl_holm(p, c->count);
    for (int64_t i = 0; i < c->count; i++) {
        nl_method *m = &c->methods[i];
        m->ratio_p = p[i];
        m->ratio_verdict = verdict(p[i], c->level, m->ratio.is.mean < 1);
    }
    c->methods[c->baseline].verdict = NL_VERDICT_BASELINE;
    c->methods[c->baseline].ratio_verdict = NL_VERDICT_BASELINE;
}

/* Diverged runs had the steps of the others before them; their last step is not their budget. */
static void share_budget(nl_compare *c)
{
    double most = 0;
    for (int64_t i = 0; i < c->count; i++)
        most = fmax(most, c->methods[i].budget);
    for (int64_t i = 0; i < c->count; i++)
        if (c->methods[i].diverged)
            c->methods[i].budget = most;
}

/* What the pairs say beside the t test; x and y are their scores. */
static void compare_pairs(const nl_compare *c, nl_method *m, double *x, double *y, int64_t n)
{
    m->difference = nl_paired_interval(x, y, n, c->level);
    m->above = nl_probability_above(x, n, y, n);
    if (c->score->less_is_better)
        m->above = 1 - m->above;
    m->smallest_effect = nl_smallest_effect(n, m->difference.sd, c->level, NL_POWER);
    for (int64_t i = 0; i < n; i++)
        x[i] -= y[i];
    m->flips_p = nl_permutation_p(x, n);
    m->ranks_p = nl_wilcoxon_p(x, n);
}

static double most_steps(const nl_compare *c)
{
    double most = 0;
    for (int64_t i = 0; i < c->runs_count; i++)
        if (nl_run_ended(c->runs[i]))
            most = fmax(most, nl_last_step(c->runs[i]));
    return most;
}

static nl_status compute(nl_compare *c)
{
    double *room = nl_alloc((size_t)(2 * c->runs_count + c->count), sizeof *room);
    if (!room)
        return nl_fail(NL_ENOMEM, "compare: %lld runs", (long long)c->runs_count);
    const nl_method *base = &c->methods[c->baseline];
    double *x = room, *y = room + c->runs_count, *p = room + 2 * c->runs_count;
    c->budget = most_steps(c);
    for (int64_t i = 0; i < c->count; i++)
        summarize(c, &c->methods[i], room);
    share_budget(c);
    for (int64_t i = 0; i < c->count; i++) {
        nl_method *m = &c->methods[i];
        m->difference.p = m->ratio.is.p = NAN;
        m->above = m->smallest_effect = m->flips_p = m->ranks_p = NAN;
        if (m == base)
            continue;
        compare_pairs(c, m, x, y, gather_pairs(c, m, base, measure_score, x, y));
        if (!isnan(c->target))
            m->ratio = ratio_of(c, m, base, x, y);
    }
    judge(c, p);
    nl_free(room);
    return NL_OK;
}

/* ---- Which runs belong together */

static const char *spec_of(const nl_rundata *run) { return nl_rundata_text(run, "norm", "none"); }

static nl_status add_run(nl_compare *c, nl_method *m, const nl_rundata *run)
{
    const nl_rundata **at = c->runs + c->runs_count;
    int64_t i = m->count;
    m->runs = at - m->count;
    for (; i > 0 && nl_run_seed(at[i - 1 - m->count]) >= nl_run_seed(run); i--) {
        const nl_rundata *other = at[i - 1 - m->count];
        if (nl_run_seed(other) == nl_run_seed(run))
            return nl_fail(NL_EOPTION, "compare: method '%s' has two runs of seed %.0f: %s and %s",
                           m->label, nl_run_seed(run), nl_rundata_path(other),
                           nl_rundata_path(run));
        at[i - m->count] = other;
    }
    at[i - m->count] = run;
    m->count++;
    c->runs_count++;
    return NL_OK;
}

static bool method_known(const nl_compare *c, const char *spec)
{
    for (int64_t i = 0; i < c->count; i++)
        if (strcmp(c->methods[i].spec, spec) == 0)
            return true;
    return false;
}

static nl_status group(nl_compare *c, const nl_rundata *const *runs, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const char *spec = spec_of(runs[i]);
        if (method_known(c, spec))
            continue;
        nl_method *m = &c->methods[c->count++];
        m->spec = m->label = spec;
        for (int64_t j = i; j < count; j++)
            if (strcmp(spec_of(runs[j]), spec) == 0)
                NL_TRY(add_run(c, m, runs[j]));
    }
    return NL_OK;
}

/* Only of methods that differ in norm alone: elsewhere the spec is "key=value, key=value". */
static bool take_name(nl_method *m)
{
    const size_t n = strcspn(m->spec, ":");
    if (n >= sizeof m->name || memchr(m->spec, '=', n))
        return false;
    memcpy(m->name, m->spec, n);
    m->name[n] = 0;
    return !strchr(m->spec, ',');
}

/* Tables stay narrow where names say which method is meant. */
static void shorten_labels(nl_compare *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        if (!take_name(&c->methods[i]))
            return;
        for (int64_t j = 0; j < i; j++)
            if (strcmp(c->methods[i].name, c->methods[j].name) == 0)
                return;
    }
    for (int64_t i = 0; i < c->count; i++)
        c->methods[i].label = c->methods[i].name;
}

/* Accuracies on different data are not comparable, whatever a table would say. */
static nl_status same_data(const nl_rundata *const *runs, int64_t count)
{
    const char *first = nl_rundata_text(runs[0], "data", "");
    for (int64_t i = 1; i < count; i++) {
        const char *data = nl_rundata_text(runs[i], "data", "");
        if (strcmp(data, first) != 0)
            return nl_fail(NL_EOPTION, "compare: %s has data '%s', %s has '%s'",
                           nl_rundata_path(runs[0]), first, nl_rundata_path(runs[i]), data);
    }
    return NL_OK;
}

static nl_status find_baseline(nl_compare *c, const char *label)
{
    nl_nearest near = {.wanted = label};
    for (int64_t i = 0; label && i < c->count; i++) {
        nl_nearest_offer(&near, c->methods[i].label);
        if (strcmp(c->methods[i].label, label) == 0 || strcmp(c->methods[i].spec, label) == 0) {
            c->baseline = i;
            return NL_OK;
        }
    }
    if (!label)
        return NL_OK;
    return nl_fail(NL_ENAME, "compare: no method '%s' to be the baseline%s", label,
                   nl_nearest_hint(&near));
}

static const nl_score *choose_score(const nl_rundata *const *runs, int64_t count)
{
    const size_t last = sizeof scores / sizeof *scores - 1;
    for (size_t s = 0; s < last; s++)
        for (int64_t i = 0; i < count; i++)
            if (!isnan(nl_final_value(runs[i], scores[s].key)))
                return &scores[s];
    return &scores[last];
}

/* The runs' own target, where they agree on one. */
static double choose_target(const nl_rundata *const *runs, int64_t count)
{
    const double target = nl_rundata_number(runs[0], "target", NAN);
    for (int64_t i = 1; i < count; i++)
        if (nl_rundata_number(runs[i], "target", NAN) != target)
            return NAN;
    return target > 0 ? target : NAN;
}

static bool is_true(const char *text)
{
    return strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
}

nl_status nl_compare_runs(nl_compare **out, const nl_rundata *const *runs, int64_t count,
                          const nl_compare_options *options)
{
    nl_status st = NL_OK;
    nl_compare *c = NULL;

    *out = NULL;
    if (count < 1)
        return nl_fail(NL_EOPTION, "compare: no run to compare");
    if (!(c = nl_alloc(1, sizeof *c)))
        return nl_fail(NL_ENOMEM, "compare");
    c->methods = nl_alloc((size_t)count, sizeof *c->methods);
    c->runs = nl_alloc((size_t)count, sizeof *c->runs);
    if (!c->methods || !c->runs)
        NL_BAIL(NL_ENOMEM, "compare: %lld runs", (long long)count);
    c->level = options->level;
    c->score = choose_score(runs, count);
    c->target = isnan(options->target) ? choose_target(runs, count) : options->target;
    if (c->score->less_is_better) /* a target is an accuracy */
        c->target = NAN;
    for (int64_t i = 0; i < count; i++)
        c->synthetic = c->synthetic || is_true(nl_rundata_text(runs[i], "synthetic", ""));
    NL_GO(same_data(runs, count));
    NL_GO(group(c, runs, count));
    shorten_labels(c);
    NL_GO(find_baseline(c, options->baseline));
    NL_GO(compute(c));
    *out = c;
    return NL_OK;
done:
    nl_compare_close(c);
    return st;
}

static void close_runs(nl_rundata **runs, int64_t count)
{
    for (int64_t i = 0; runs && i < count; i++)
        nl_rundata_close(runs[i]);
    nl_free(runs);
}

nl_status nl_compare_open(nl_compare **out, const char *const *paths, int64_t count,
                          const nl_compare_options *options)
{
    nl_status st = NL_OK;
    *out = NULL;
    nl_rundata **runs = nl_alloc((size_t)count, sizeof *runs);
    if (!runs)
        return nl_fail(NL_ENOMEM, "compare: %lld runs", (long long)count);
    for (int64_t i = 0; i < count; i++)
        NL_GO(nl_rundata_open(&runs[i], paths[i]));
    NL_GO(nl_compare_runs(out, (const nl_rundata *const *)runs, count, options));
    (*out)->owned = runs;
    return NL_OK;
done:
    close_runs(runs, count);
    return st;
}

int64_t nl_compare_scores(const nl_compare *c, const nl_method *m, double *at)
{
    return gather(c, m, measure_score, at);
}

int64_t nl_compare_pairs(const nl_compare *c, const nl_method *m, double *at, double *baseline)
{
    return gather_pairs(c, m, &c->methods[c->baseline], measure_score, at, baseline);
}

void nl_compare_close(nl_compare *c)
{
    if (!c)
        return;
    close_runs(c->owned, c->runs_count);
    nl_free(c->runs);
    nl_free(c->methods);
    nl_free(c);
}
