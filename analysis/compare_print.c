#include "analysis/compare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "analysis/escape.h"

static const char *const verdict_words[] = {"-", "baseline", "better", "worse",
                                            "no difference shown"};
#define DIVERGED_MARK "†"

/* ---- Numbers for people */

/* Enough digits for the size of what is shown: 97.31, 0.1234, 1.2e-05. */
static void add_number(nl_text *out, double v, double scale)
{
    const double size = fabs(scale);
    if (isnan(v))
        nl_text_add(out, "-");
    else if (size != 0 && (size < 1e-3 || size >= 1e5))
        nl_text_add(out, "%.2e", v);
    else
        nl_text_add(out, "%.*f", size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4, v);
}

static void add_mean(nl_text *out, const nl_interval *is, double scale)
{
    const double mean = is->n ? scale * is->mean : NAN;
    add_number(out, mean, mean);
    if (is->n > 1) {
        nl_text_add(out, " ± ");
        add_number(out, scale * (is->high - is->mean), mean);
    }
}

static void add_signed(nl_text *out, double v, double scale)
{
    if (v >= 0)
        nl_text_add(out, "+");
    add_number(out, v, scale);
}

static void add_difference(nl_text *out, const nl_interval *is, double scale)
{
    if (!is->n) {
        nl_text_add(out, "-");
        return;
    }
    const double size = scale == 100 ? 10 : is->mean; /* percent points: two digits */
    add_signed(out, scale * is->mean, size);
    if (is->n > 1) {
        nl_text_add(out, " [");
        add_signed(out, scale * is->low, size);
        nl_text_add(out, ", ");
        add_signed(out, scale * is->high, size);
        nl_text_add(out, "]");
    }
}

static void add_factor(nl_text *out, double v)
{
    if (v >= 1e4)
        nl_text_add(out, "%.1e", v);
    else
        nl_text_add(out, "%.*f", v < 0.1 ? 3 : v < 10 ? 2 : v < 100 ? 1 : 0, v);
}

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
    add_mean(out, &m->score, c->score->scale);
    if (m->diverged)
        nl_text_add(out, " " DIVERGED_MARK);
}

static void title_difference(const nl_compare *c, nl_text *out)
{
    nl_text_add(out, "difference to %s", baseline_of(c)->label);
}
static void cell_difference(const nl_compare *c, const nl_method *m, nl_text *out)
{
    add_difference(out, &m->difference, c->score->scale);
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
    add_mean(out, &m->test_loss, 1);
}

static void title_train_loss(const nl_compare *c, nl_text *out)
{
    (void)c;
    nl_text_add(out, "train loss");
}
static void cell_train_loss(const nl_compare *c, const nl_method *m, nl_text *out)
{
    (void)c;
    add_mean(out, &m->train_loss, 1);
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
    add_number(out, m->seconds.n ? 1e3 * m->seconds.mean : NAN, 1e3 * m->seconds.mean);
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
    add_factor(out, r->is.mean);
    if (r->is.n > 1) {
        nl_text_add(out, " [");
        add_factor(out, r->is.low);
        nl_text_add(out, ", ");
        add_factor(out, r->is.high);
        nl_text_add(out, "]");
    }
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
static const struct {
    const column *columns;
    int64_t count;
} tables[NL_TABLE_COUNT] = {
    [NL_TABLE_QUALITY] = {quality, sizeof quality / sizeof *quality},
    [NL_TABLE_SPEED] = {speed, sizeof speed / sizeof *speed},
};

int64_t nl_compare_columns(const nl_compare *c, nl_table table)
{
    return table == NL_TABLE_SPEED && isnan(c->target) ? 0 : tables[table].count;
}

void nl_compare_cell(const nl_compare *c, nl_table table, int64_t row, int64_t col, nl_text *out)
{
    const column *is = &tables[table].columns[col];
    if (row < 0)
        is->title(c, out);
    else
        is->cell(c, &c->methods[row], out);
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
    note_synthetic,  note_specs,      note_differing, note_intervals, note_verdicts, note_diverged,
    note_unmeasured, note_unfinished, note_target,    note_censored,  note_bounds,
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
    double budget = 0;
    for (int64_t i = 0; i < c->count; i++)
        budget = fmax(budget, c->methods[i].budget);
    nl_text_add(out, "%s%s · %s · %" PRId64 " method%s x %" PRId64 " seed%s",
                nl_rundata_text(first, "data", "data unknown"),
                c->synthetic ? " [SYNTHETIC DATA]" : "",
                nl_rundata_text(first, "model", "model unknown"), c->count,
                c->count == 1 ? "" : "s", most_seeds(c), most_seeds(c) == 1 ? "" : "s");
    if (budget > 0) {
        nl_text_add(out, " · ");
        nl_text_add_grouped(out, llround(budget));
        nl_text_add(out, " steps");
    }
}

static void add_padded(nl_text *out, const char *cell, int64_t width, bool left)
{
    const int gap = (int)(width - nl_text_width(cell));
    if (left)
        nl_text_add(out, "%s%*s", cell, gap, "");
    else
        nl_text_add(out, "%*s%s", gap, "", cell);
}

static int64_t column_width(const nl_compare *c, nl_table table, int64_t col)
{
    nl_text cell = {0};
    int64_t width = 0;
    for (int64_t row = -1; row < c->count; row++) {
        nl_text_clear(&cell);
        nl_compare_cell(c, table, row, col, &cell);
        const int64_t w = nl_text_width(nl_text_of(&cell));
        width = w > width ? w : width;
    }
    nl_text_free(&cell);
    return width;
}

static void print_table(const nl_compare *c, nl_table table, nl_text *out)
{
    enum { COLUMNS_MAX = 16 };
    const int64_t columns = nl_compare_columns(c, table);
    int64_t width[COLUMNS_MAX];
    nl_text cell = {0}, line = {0};
    for (int64_t col = 0; col < columns; col++)
        width[col] = column_width(c, table, col);
    for (int64_t row = -1; row < c->count; row++) {
        nl_text_clear(&line);
        for (int64_t col = 0; col < columns; col++) {
            nl_text_clear(&cell);
            nl_compare_cell(c, table, row, col, &cell);
            const bool verdict = tables[table].columns[col].title == title_verdict;
            nl_text_add(&line, "%s", col ? "   " : "");
            add_padded(&line, nl_text_of(&cell), width[col], col == 0 || verdict);
        }
        nl_text_add(out, "%s\n", nl_text_of(&line));
    }
    nl_text_free(&cell);
    nl_text_free(&line);
}

void nl_compare_print(const nl_compare *c, nl_text *out)
{
    nl_text note = {0};
    nl_compare_heading(c, out);
    nl_text_add(out, "\n");
    for (int table = 0; table < NL_TABLE_COUNT; table++)
        if (nl_compare_columns(c, table)) {
            nl_text_add(out, "\n");
            print_table(c, table, out);
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
