#include "analysis/compare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "analysis/escape.h"
#include "analysis/numbers.h"
#include "analysis/sheet.h"
#include "base/alloc.h"

static const char *const verdict_words[] = {"-", "baseline", "better", "worse",
                                            "no difference shown"};
#define DIVERGED_MARK "†"

const char *nl_verdict_word(nl_verdict verdict) { return verdict_words[verdict]; }

/* ---- Columns: a title and a cell each */

static const nl_method *baseline_of(const nl_compare *c) { return &c->methods[c->baseline]; }

static void title_method(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "norm");
}
static void cell_method(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_text_add(out, "%s", m->label);
}

static void title_score(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "%s", c->score->title);
}
static void cell_score(const nl_compare *c, const nl_method *m, nl_text *out)
{
    nl_mean_add(out, &m->score, c->score->scale);
    if (m->diverged)
        nl_text_add(out, " " DIVERGED_MARK);
}

static void title_difference(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "difference to %s", baseline_of(c)->label);
}
static void cell_difference(const nl_compare *c, const nl_method *m, nl_text *out)
{
    nl_difference_add(out, &m->difference, c->score->scale);
}

static void title_verdict(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "verdict");
}
static void cell_verdict(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_text_add(out, "%s", verdict_words[m->verdict]);
}
static void cell_ratio_verdict(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_text_add(out, "%s", verdict_words[m->ratio_verdict]);
}

static void title_test_loss(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "test loss");
}
static void cell_test_loss(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_mean_add(out, &m->test_loss, 1);
}

static void title_train_loss(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "train loss");
}
static void cell_train_loss(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_mean_add(out, &m->train_loss, 1);
}

static void title_runs(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "runs");
}
static void cell_runs(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_text_add(out, "%" PRId64, m->count);
}

static void title_diverged(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "diverged");
}
static void cell_diverged(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_text_add(out, "%" PRId64, m->diverged);
}

static void title_milliseconds(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "ms a step");
}
static void cell_milliseconds(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_number_add(out, m->seconds.n ? 1e3 * m->seconds.mean : NAN, 1e3 * m->seconds.mean);
}

static void title_reached(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "reached %g %%", 100 * c->target);
}
static void cell_reached(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_text_add(out, "%" PRId64 "/%" PRId64, m->reached, m->tried);
}

static void title_steps(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "steps to %g %%", 100 * c->target);
}
static void cell_steps(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    if (m->tried == 0) {
        nl_text_add(out, "-");
    } else if (m->reached == m->tried) {
        nl_text_add_grouped(out, llround(m->steps.mean));
        if (m->tried > 1) {
            nl_text_add(out, " ± ");
            nl_text_add_grouped(out, llround(m->steps.high - m->steps.mean));
        }
    } else if (isfinite(m->median_steps)) {
        nl_text_add(out, "median ");
        nl_text_add_grouped(out, llround(m->median_steps));
    } else {
        nl_text_add(out, "> ");
        nl_text_add_grouped(out, llround(m->budget));
    }
}

static void title_ratio(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "ratio to %s", baseline_of(c)->label);
}
static void cell_ratio(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    const nl_ratio *r = &m->ratio;
    if (r->bound == NL_BOUND_NONE) {
        nl_text_add(out, "-");
        return;
    }
    nl_text_add(out, "%s",
                r->bound == NL_BOUND_BELOW   ? "< "
                : r->bound == NL_BOUND_ABOVE ? "> "
                                             : "");
    nl_factor_add(out, r->is.mean);
    if (r->is.n > 1) {
        nl_text_add(out, " [");
        nl_factor_add(out, r->is.low);
        nl_text_add(out, ", ");
        nl_factor_add(out, r->is.high);
        nl_text_add(out, "]");
    }
}

static void title_median(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "median");
}
static void cell_median(const nl_compare *c, const nl_method *m, nl_text *out)
{
    nl_between_add(out, &m->median, c->score->scale);
}

static void title_middle(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "interquartile mean");
}
static void cell_middle(const nl_compare *c, const nl_method *m, nl_text *out)
{
    nl_between_add(out, &m->middle, c->score->scale);
}

static void title_height(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "mean of curve");
}
static void cell_height(const nl_compare *c, const nl_method *m, nl_text *out)
{
    nl_mean_add(out, &m->height, c->score->scale);
}

static void title_seconds(const nl_compare *c, nl_text *out)
{
    if (!isnan(c->target))
        nl_text_add(out, "s to %g %%", 100 * c->target);
    else
        nl_text_add(out, "s to target");
}
static void cell_seconds(const nl_compare *c, const nl_method *m, nl_text *out)
{
    if (isnan(c->target) || isnan(m->median_seconds))
        nl_text_add(out, "-");
    else if (isinf(m->median_seconds))
        nl_text_add(out, "not reached");
    else
        nl_number_add(out, m->median_seconds, m->median_seconds);
}

static void title_above(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "P(beats %s)", baseline_of(c)->label);
}
static void cell_above(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_number_add(out, m->above, 10);
}

static void title_flips(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "p sign flips");
}
static void cell_flips(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_p_add(out, m->flips_p);
}

static void title_ranks(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "p signed ranks");
}
static void cell_ranks(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    nl_p_add(out, m->ranks_p);
}

static void title_smallest(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "smallest effect");
}
static void cell_smallest(const nl_compare *c, const nl_method *m, nl_text *out)
{
    const double effect = c->score->scale * m->smallest_effect;
    nl_number_add(out, effect, effect);
}

typedef struct column {
    void (*title)(const nl_compare *c, nl_text *out);
    void (*cell)(const nl_compare *c, const nl_method *m, nl_text *out);
} column;

static const column quality[] = {
    {title_method, cell_method},
    {title_score, cell_score},
    {title_difference, cell_difference},
    {title_verdict, cell_verdict},
    {title_test_loss, cell_test_loss},
    {title_train_loss, cell_train_loss},
    {title_runs, cell_runs},
    {title_diverged, cell_diverged},
};
static const column speed[] = {
    {title_method, cell_method},         {title_reached, cell_reached},
    {title_steps, cell_steps},           {title_ratio, cell_ratio},
    {title_verdict, cell_ratio_verdict}, {title_milliseconds, cell_milliseconds},
};
static const column detail[] = {
    {title_method, cell_method}, {title_median, cell_median},   {title_middle, cell_middle},
    {title_height, cell_height}, {title_seconds, cell_seconds}, {title_above, cell_above},
    {title_flips, cell_flips},   {title_ranks, cell_ranks},     {title_smallest, cell_smallest},
};
static const struct {
    const column *columns;
    int64_t count;
} tables[NL_TABLE_COUNT] = {
    [NL_TABLE_QUALITY] = {quality, sizeof quality / sizeof *quality},
    [NL_TABLE_SPEED] = {speed, sizeof speed / sizeof *speed},
    [NL_TABLE_DETAIL] = {detail, sizeof detail / sizeof *detail},
};

void nl_compare_sheet(const nl_compare *c, nl_table table, nl_sheet *out)
{
    nl_text cell = {0};
    for (int64_t row = -1; row < c->count; row++) {
        if (table == NL_TABLE_SPEED && isnan(c->target))
            continue;
        for (int64_t col = 0; col < tables[table].count; col++) {
            const column *is = &tables[table].columns[col];
            const bool words = col == 0 || is->title == title_verdict;
            nl_text_clear(&cell);
            if (row < 0)
                is->title(c, &cell);
            else
                is->cell(c, &c->methods[row], &cell);
            (words ? nl_sheet_text : nl_sheet_number)(out, nl_text_of(&cell));
        }
        nl_sheet_end(out);
    }
    nl_text_free(&cell);
}

/* ---- Findings */

static void add_finding(const nl_judged *judged, int64_t count, nl_verdict verdict,
                        const nl_score *score, nl_text *out)
{
    const char *gap = "";
    for (int64_t i = 0; i < count; i++) {
        if (judged[i].verdict != verdict)
            continue;
        nl_text_add(out, "%s%s ", gap, judged[i].label);
        nl_difference_add(out, &judged[i].difference, score->scale);
        gap = ", ";
    }
}

void nl_findings_add(const nl_judged *judged, int64_t count, const nl_score *score,
                     const char *baseline, nl_text *out)
{
    static const struct {
        nl_verdict verdict;
        const char *says;
    } parts[] = {{NL_VERDICT_BETTER, "Better than"},
                 {NL_VERDICT_WORSE, "Worse than"},
                 {NL_VERDICT_NOT_SHOWN, "No difference shown to"}};
    nl_text methods = {0};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        nl_text_clear(&methods);
        add_finding(judged, count, parts[k].verdict, score, &methods);
        if (methods.used)
            nl_text_add(out, "%s %s (%s): %s\n", parts[k].says, baseline, score->title,
                        nl_text_of(&methods));
    }
    nl_text_free(&methods);
}

void nl_compare_findings(const nl_compare *c, nl_text *out)
{
    nl_judged *judged = nl_alloc((size_t)c->count, sizeof *judged);
    for (int64_t i = 0; judged && i < c->count; i++)
        judged[i] =
            (nl_judged){c->methods[i].label, c->methods[i].verdict, c->methods[i].difference};
    if (judged)
        nl_findings_add(judged, c->count, c->score, baseline_of(c)->label, out);
    else
        out->failed = true;
    nl_free(judged);
}

void nl_labels_add(const char *(*label)(const void *of, int64_t i), const void *of, int64_t count,
                   nl_text *out)
{
    enum { MANY = 8 };
    if (count > MANY)
        nl_text_add(out, "%" PRId64 " methods", count);
    for (int64_t i = 0; count <= MANY && i < count; i++)
        nl_text_add(out, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " and ", label(of, i));
}

static const char *label_of(const void *of, int64_t i)
{
    return ((const nl_compare *)of)->methods[i].label;
}

void nl_compare_title(const nl_compare *c, nl_text *out)
{
    const char *data = nl_rundata_text(c->runs[0], "data", "data unknown");
    nl_labels_add(label_of, c, c->count, out);
    nl_text_add(out, " on %.*s", (int)strcspn(data, ":"), data);
}

/* ---- Footnotes */

static int64_t total(const nl_compare *c, int64_t (*of)(const nl_method *))
{
    int64_t sum = 0;
    for (int64_t i = 0; i < c->count; i++)
        sum += of(&c->methods[i]);
    return sum;
}
static int64_t diverged_runs(const nl_method *m) { return m->diverged; }
static int64_t unfinished_runs(const nl_method *m) { return m->unfinished; }
static int64_t censored_runs(const nl_method *m) { return m->tried - m->reached; }
static int64_t bounds(const nl_method *m)
{
    return m->ratio.bound == NL_BOUND_BELOW || m->ratio.bound == NL_BOUND_ABOVE;
}
static int64_t unmeasured_runs(const nl_method *m) { return m->count - m->unfinished - m->score.n; }
static int64_t most_seeds(const nl_compare *c)
{
    int64_t most = 0;
    for (int64_t i = 0; i < c->count; i++)
        most = c->methods[i].count > most ? c->methods[i].count : most;
    return most;
}

static bool note_synthetic(const nl_compare *c, nl_text *out)
{
    if (c->synthetic)
        nl_text_add(out, "SYNTHETIC DATA: the examples were generated, not measured.");
    return c->synthetic;
}

static bool note_specs(const nl_compare *c, nl_text *out)
{
    bool found = false;
    for (int64_t i = 0; i < c->count; i++) {
        const nl_method *m = &c->methods[i];
        if (strcmp(m->label, m->spec) == 0)
            continue;
        nl_text_add(out, "%s%s", found ? ", " : "In full: ", m->spec);
        found = true;
    }
    if (found)
        nl_text_add(out, ".");
    return found;
}

static bool note_intervals(const nl_compare *c, nl_text *out)
{
    if (most_seeds(c) < 2)
        nl_text_add(out, "One seed a method: no interval can be given and no verdict.");
    else
        nl_text_add(
            out,
            "± and [ ] are %g %% Student t intervals over seeds; differences and ratios are "
            "taken seed by seed, ratios on logarithms.",
            100 * c->level);
    return true;
}

static bool note_verdicts(const nl_compare *c, nl_text *out)
{
    if (most_seeds(c) < 2 || c->count < 2)
        return false;
    nl_text_add(out,
                "better and worse: the paired t test against %s is below %.2g after Holm's "
                "correction over %" PRId64 " method%s. No difference shown does not mean equal.",
                baseline_of(c)->label, 1 - c->level, c->count - 1, c->count == 2 ? "" : "s");
    return true;
}

/* How far "no difference shown" goes. */
static bool note_power(const nl_compare *c, nl_text *out)
{
    bool found = false;
    for (int64_t i = 0; i < c->count; i++) {
        const nl_method *m = &c->methods[i];
        const double effect = c->score->scale * m->smallest_effect;
        if (m->verdict != NL_VERDICT_NOT_SHOWN || !(effect > 0))
            continue;
        nl_text_add(out, "%s",
                    found ? ", "
                          : "These seeds show a true difference in four of five "
                            "cases from this size on (before Holm's correction): ");
        nl_number_add(out, effect, effect);
        nl_text_add(out, " (%s)", m->label);
        found = true;
    }
    if (found)
        nl_text_add(out, ".");
    return found;
}

static bool note_diverged(const nl_compare *c, nl_text *out)
{
    const int64_t n = total(c, diverged_runs);
    if (n)
        nl_text_add(out,
                    DIVERGED_MARK
                    " %" PRId64 " diverged run%s in the means with the last value "
                    "measured before, and in the steps as not having reached the target.",
                    n, n == 1 ? " counts" : "s count");
    return n > 0;
}

static bool note_unmeasured(const nl_compare *c, nl_text *out)
{
    const int64_t n = total(c, unmeasured_runs);
    if (n)
        nl_text_add(out, "%" PRId64 " run%s ended before anything was measured and %s in no mean.",
                    n, n == 1 ? "" : "s", n == 1 ? "is" : "are");
    return n > 0;
}

static bool note_unfinished(const nl_compare *c, nl_text *out)
{
    const int64_t n = total(c, unfinished_runs);
    if (n)
        nl_text_add(out, "%" PRId64 " run%s not ended and %s left out: the table is incomplete.", n,
                    n == 1 ? " has" : "s have", n == 1 ? "is" : "are");
    return n > 0;
}

static bool note_target(const nl_compare *c, nl_text *out)
{
    if (isnan(c->target))
        return false;
    nl_text_add(
        out,
        "Steps to %g %%: the first scheduled evaluation at or above it; a ratio's spread is at "
        "least that of rounding to evaluations. ms a step is wall "
        "time, evaluations included, on the machine of the run.",
        100 * c->target);
    return true;
}

static bool note_censored(const nl_compare *c, nl_text *out)
{
    const int64_t n = isnan(c->target) ? 0 : total(c, censored_runs);
    if (n)
        nl_text_add(
            out,
            "%" PRId64 " run%s never reached the target within the steps given (>). %s "
            "not dropped: the median is shown where more than half of a method's runs reached it.",
            n, n == 1 ? "" : "s", n == 1 ? "It is" : "They are");
    return n > 0;
}

static bool note_bounds(const nl_compare *c, nl_text *out)
{
    const int64_t n = isnan(c->target) ? 0 : total(c, bounds);
    if (n)
        nl_text_add(out,
                    "< and > before a ratio: a bound, with the runs that did not reach the target "
                    "counted as if they had at their last step.");
    return n > 0;
}

/* ---- What the specs have in common */

/* The next "key=value" of a spec; false at its end. Specs part them by blanks or line ends. */
static bool next_word(const char **spec, const char **word, size_t *length)
{
    *spec += strspn(*spec, " \t\r\n");
    *word = *spec;
    *length = strcspn(*spec, " \t\r\n");
    *spec += *length;
    return *length > 0;
}

static bool key_is(const char *word, size_t length, const char *key)
{
    const size_t n = strlen(key);
    return n < length && strncmp(word, key, n) == 0 && (word[n] == '=' || word[n] == '.');
}

static bool has_word(const char *spec, const char *wanted, size_t wanted_length)
{
    const char *word;
    size_t length;
    while (next_word(&spec, &word, &length))
        if (length == wanted_length && strncmp(word, wanted, length) == 0)
            return true;
    return false;
}

static bool common_to_all(const nl_compare *c, const char *word, size_t length)
{
    for (int64_t i = 0; i < c->runs_count; i++)
        if (!has_word(nl_rundata_text(c->runs[i], "spec", ""), word, length))
            return false;
    return true;
}

void nl_compare_common(const nl_compare *c, nl_text *out)
{
    const char *spec = nl_rundata_text(c->runs[0], "spec", ""), *word;
    size_t length;
    const char *gap = "";
    while (next_word(&spec, &word, &length))
        if (!key_is(word, length, "norm") && !key_is(word, length, "seed") &&
            common_to_all(c, word, length)) {
            nl_text_add(out, "%s%.*s", gap, (int)length, word);
            gap = " ";
        }
}

static bool note_differing(const nl_compare *c, nl_text *out)
{
    const char *word;
    size_t length;
    int64_t found = 0;
    nl_text seen = {0};
    for (int64_t i = 0; i < c->runs_count; i++) {
        const char *spec = nl_rundata_text(c->runs[i], "spec", "");
        while (next_word(&spec, &word, &length)) {
            const size_t key = strcspn(word, "= \t\r\n");
            if (key_is(word, length, "norm") || key_is(word, length, "seed") ||
                common_to_all(c, word, length) || has_word(nl_text_of(&seen), word, key))
                continue;
            nl_text_add(&seen, " %.*s", (int)key, word);
            found++;
        }
    }
    if (found)
        nl_text_add(out, "The runs differ in more than norm and seed:%s.", nl_text_of(&seen));
    nl_text_free(&seen);
    return found > 0;
}

static bool (*const notes[])(const nl_compare *c, nl_text *out) = {
    note_synthetic, note_specs,      note_differing,  note_intervals, note_verdicts, note_power,
    note_diverged,  note_unmeasured, note_unfinished, note_target,    note_censored, note_bounds,
};

bool nl_compare_note(const nl_compare *c, int64_t i, nl_text *out)
{
    nl_text text = {0};
    for (size_t k = 0; k < sizeof notes / sizeof *notes; k++) {
        nl_text_clear(&text);
        if (notes[k](c, &text) && i-- == 0) {
            nl_text_add(out, "%s", nl_text_of(&text));
            nl_text_free(&text);
            return true;
        }
    }
    nl_text_free(&text);
    return false;
}

/* ---- The tables as text */

void nl_compare_heading(const nl_compare *c, nl_text *out)
{
    const nl_rundata *first = c->runs[0];
    nl_text_add(out, "%s%s · %s · %" PRId64 " method%s x %" PRId64 " seed%s",
                nl_rundata_text(first, "data", "data unknown"),
                c->synthetic ? " [SYNTHETIC DATA]" : "",
                nl_rundata_text(first, "model", "model unknown"), c->count,
                c->count == 1 ? "" : "s", most_seeds(c), most_seeds(c) == 1 ? "" : "s");
    if (c->budget > 0) {
        nl_text_add(out, " · ");
        nl_text_add_grouped(out, llround(c->budget));
        nl_text_add(out, " steps");
    }
}

void nl_compare_print(const nl_compare *c, bool with_detail, nl_text *out)
{
    nl_text note = {0};
    nl_compare_heading(c, out);
    nl_text_add(out, "\n");
    for (int table = 0; table < (with_detail ? NL_TABLE_COUNT : NL_TABLE_DETAIL); table++) {
        nl_sheet sheet = {0};
        nl_compare_sheet(c, table, &sheet);
        nl_text_add(out, sheet.cells ? "\n" : "");
        nl_sheet_print(&sheet, out);
        nl_sheet_free(&sheet);
    }
    nl_text_add(out, "\n");
    for (int64_t i = 0; nl_compare_note(c, i, &note); i++) {
        nl_text_add(out, "%s\n", nl_text_of(&note));
        nl_text_clear(&note);
    }
    nl_text_free(&note);
}

/* ---- The tables as JSON */

static void json_key(nl_text *out, const char *key, bool first)
{
    nl_text_add(out, "%s\"%s\": ", first ? "" : ", ", key);
}

static void json_real(nl_text *out, const char *key, double v)
{
    json_key(out, key, false);
    nl_escape_json_real(out, v);
}

static void json_bounds(nl_text *out, const char *key, const nl_interval *is)
{
    json_key(out, key, false);
    nl_text_add(out, "{\"n\": %" PRId64, is->n);
    json_real(out, "mean", is->n ? is->mean : NAN);
    json_real(out, "low", is->n ? is->low : NAN);
    json_real(out, "high", is->n ? is->high : NAN);
}

static void json_interval(nl_text *out, const char *key, const nl_interval *is)
{
    json_bounds(out, key, is);
    nl_text_add(out, "}");
}

/* A mean against 0 is no question; a difference or ratio to the baseline is one. */
static void json_tested(nl_text *out, const char *key, const nl_interval *is)
{
    json_bounds(out, key, is);
    json_real(out, "p", is->n ? is->p : NAN);
    nl_text_add(out, "}");
}

static void json_steps(nl_text *out, const nl_method *m)
{
    static const char *const bound_words[] = {"none", "exact", "below", "above"};
    json_key(out, "steps_to_target", false);
    nl_text_add(out, "{\"runs\": %" PRId64 ", \"reached\": %" PRId64, m->tried, m->reached);
    json_real(out, "median", m->median_steps);
    json_real(out, "median_seconds", m->median_seconds);
    json_real(out, "budget", m->budget);
    json_interval(out, "steps", &m->steps);
    nl_text_add(out, ", \"ratio_bound\": \"%s\"", bound_words[m->ratio.bound]);
    json_tested(out, "ratio", &m->ratio.is);
    json_real(out, "ratio_p_holm", m->ratio_p);
    nl_text_add(out, ", \"verdict\": \"%s\"}", verdict_words[m->ratio_verdict]);
}

static void json_method(const nl_compare *c, const nl_method *m, nl_text *out)
{
    nl_text_add(out, "{");
    json_key(out, "norm", true);
    nl_escape_json(out, m->spec);
    nl_text_add(out, ", \"seeds\": [");
    for (int64_t i = 0; i < m->count; i++)
        nl_text_add(out, "%s%.0f", i ? ", " : "", nl_rundata_number(m->runs[i], "seed", 0));
    nl_text_add(out,
                "], \"runs\": %" PRId64 ", \"diverged\": %" PRId64 ", \"unfinished\": %" PRId64,
                m->count, m->diverged, m->unfinished);
    json_interval(out, c->score->key, &m->score);
    json_tested(out, "difference", &m->difference);
    json_real(out, "difference_p_holm", m->difference_p);
    nl_text_add(out, ", \"verdict\": \"%s\"", verdict_words[m->verdict]);
    json_interval(out, "median", &m->median);
    json_interval(out, "interquartile_mean", &m->middle);
    json_interval(out, "curve_mean", &m->height);
    json_real(out, "probability_of_improvement", m->above);
    json_real(out, "sign_flip_p", m->flips_p);
    json_real(out, "signed_rank_p", m->ranks_p);
    json_real(out, "smallest_effect", m->smallest_effect);
    if (strcmp(c->score->key, "test_loss") != 0)
        json_interval(out, "test_loss", &m->test_loss);
    json_interval(out, "train_loss", &m->train_loss);
    json_interval(out, "seconds_per_step", &m->seconds);
    if (!isnan(c->target))
        json_steps(out, m);
    nl_text_add(out, "}");
}

void nl_compare_json(const nl_compare *c, nl_text *out)
{
    nl_text text = {0};
    nl_text_add(out, "{");
    json_key(out, "data", true);
    nl_escape_json(out, nl_rundata_text(c->runs[0], "data", ""));
    json_key(out, "model", false);
    nl_escape_json(out, nl_rundata_text(c->runs[0], "model", ""));
    json_key(out, "common", false);
    nl_compare_common(c, &text);
    nl_escape_json(out, nl_text_of(&text));
    nl_text_add(out, ", \"synthetic\": %s", c->synthetic ? "true" : "false");
    json_key(out, "baseline", false);
    nl_escape_json(out, baseline_of(c)->spec);
    json_real(out, "target", c->target);
    json_real(out, "level", c->level);
    nl_text_add(out, ",\n \"methods\": [");
    for (int64_t i = 0; i < c->count; i++) {
        nl_text_add(out, "%s\n  ", i ? "," : "");
        json_method(c, &c->methods[i], out);
    }
    nl_text_add(out, "],\n \"notes\": [");
    nl_text_clear(&text);
    for (int64_t i = 0; nl_compare_note(c, i, &text); i++) {
        nl_text_add(out, "%s\n  ", i ? "," : "");
        nl_escape_json(out, nl_text_of(&text));
        nl_text_clear(&text);
    }
    nl_text_add(out, "]}\n");
    nl_text_free(&text);
}
