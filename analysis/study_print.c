#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "analysis/escape.h"
#include "analysis/numbers.h"
#include "analysis/sheet.h"
#include "analysis/study.h"
#include "base/alloc.h"

#define DIVERGED_MARK "†"

/* ---- Cells */

static void title(nl_sheet *s, const char *fmt, ...) NL_PRINTF(2, 3);
static void title(nl_sheet *s, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    nl_sheet_text(s, text);
}

typedef void adder(nl_text *out, const nl_interval *is, double scale);

static void cell(nl_sheet *s, adder *add, const nl_interval *is, double scale, const char *mark)
{
    nl_text text = {0};
    add(&text, is, scale);
    nl_text_add(&text, "%s", mark);
    nl_sheet_number(s, nl_text_of(&text));
    nl_text_free(&text);
}

static void number_cell(nl_sheet *s, double v, double size)
{
    nl_text text = {0};
    nl_number_add(&text, v, size);
    nl_sheet_number(s, nl_text_of(&text));
    nl_text_free(&text);
}

static void p_cell(nl_sheet *s, double p)
{
    nl_text text = {0};
    nl_p_add(&text, p);
    nl_sheet_number(s, nl_text_of(&text));
    nl_text_free(&text);
}

typedef struct taker {
    nl_take_sheet *take;
    void *arg;
} taker;

static void give(nl_sheet *s, const taker *to)
{
    to->take(to->arg, s);
    nl_sheet_free(s);
}

/* Score of a method on a task; empty where it was not run there. */
static void score_cell(nl_sheet *s, const nl_compare *c, const nl_method *m)
{
    const nl_interval none = {0};
    cell(s, nl_mean_add, m ? &m->score : &none, c->score->scale,
         m && m->diverged ? " " DIVERGED_MARK : "");
}

/* ---- Tables */

static int64_t total(const nl_study *s, int64_t diverged)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < s->methods; i++)
        sum += diverged ? s->method[i].diverged : s->method[i].unfinished;
    return sum;
}

static const char *label_of(const void *of, int64_t i)
{
    return ((const nl_study *)of)->method[i].label;
}

void nl_study_title(const nl_study *s, nl_text *out)
{
    if (s->tasks == 1) {
        nl_compare_title(s->task[0].compare, out);
        return;
    }
    nl_labels_add(label_of, s, s->methods, out);
    nl_text_add(out, " over %" PRId64 " tasks", s->tasks);
}

/* Views are sorted by their keys: the first of each key, with its values. */
static void add_what_varies(const nl_study *s, nl_text *out)
{
    for (int64_t v = 0; v < s->views; v++) {
        const nl_view *view = &s->view[v];
        if (v > 0 && strcmp(s->view[v - 1].key, view->key) == 0)
            continue;
        nl_text_add(out, "%s%s = ", v ? "; " : " · ", view->key);
        for (int64_t k = 0; k < view->count; k++)
            nl_text_add(out, "%s%s", k ? ", " : "",
                        nl_facts_find(&s->task[view->task[k]].facts, view->key));
    }
}

void nl_study_heading(const nl_study *s, nl_text *out)
{
    nl_text_add(out, "%" PRId64 " task%s x %" PRId64 " method%s · %" PRId64 " runs", s->tasks,
                s->tasks == 1 ? "" : "s", s->methods, s->methods == 1 ? "" : "s", s->runs);
    if (total(s, true))
        nl_text_add(out, ", %" PRId64 " diverged", total(s, true));
    if (total(s, false))
        nl_text_add(out, ", %" PRId64 " not ended", total(s, false));
    if (s->score)
        nl_text_add(out, " · score: %s", s->score->title);
    add_what_varies(s, out);
}

static bool averaged(const nl_study *s) { return s->score && s->common > 1; }

void nl_study_findings(const nl_study *s, nl_text *out)
{
    if (!averaged(s))
        return;
    nl_judged *judged = nl_alloc((size_t)s->methods, sizeof *judged);
    for (int64_t i = 0; judged && i < s->methods; i++)
        judged[i] =
            (nl_judged){s->method[i].label, s->method[i].verdict, s->method[i].difference.is};
    if (judged)
        nl_findings_add(judged, s->methods, s->score, s->method[s->baseline].label, out);
    else
        out->failed = true;
    nl_free(judged);
}

static void give_scores(const nl_study *s, const taker *to)
{
    nl_sheet sheet = {0};
    nl_sheet_text(&sheet, "task");
    for (int64_t i = 0; i < s->methods; i++)
        nl_sheet_text(&sheet, s->method[i].label);
    nl_sheet_end(&sheet);
    for (int64_t t = 0; t < s->tasks; t++) {
        nl_sheet_text(&sheet, nl_text_of(&s->task[t].label));
        for (int64_t i = 0; i < s->methods; i++)
            score_cell(&sheet, s->task[t].compare, nl_study_method(s, t, i));
    }
    give(&sheet, to);
}

static void give_standings(const nl_study *s, const taker *to)
{
    nl_sheet sheet = {0};
    const double scale = s->score->scale;
    const char *baseline = s->method[s->baseline].label;
    title(&sheet, "over %" PRId64 " tasks", s->common);
    nl_sheet_text(&sheet, "mean");
    nl_sheet_text(&sheet, "median");
    nl_sheet_text(&sheet, "interquartile mean");
    title(&sheet, "difference to %s", baseline);
    nl_sheet_text(&sheet, "verdict");
    nl_sheet_text(&sheet, "p after Holm");
    title(&sheet, "P(beats %s)", baseline);
    nl_sheet_text(&sheet, "mean rank");
    nl_sheet_end(&sheet);
    for (int64_t i = 0; i < s->methods; i++) {
        const nl_standing *m = &s->method[i];
        nl_sheet_text(&sheet, m->label);
        cell(&sheet, nl_between_add, &m->mean.is, scale, m->diverged ? " " DIVERGED_MARK : "");
        number_cell(&sheet, scale * m->median, scale * m->median);
        cell(&sheet, nl_between_add, &m->middle.is, scale, "");
        cell(&sheet, nl_difference_add, &m->difference.is, scale, "");
        nl_sheet_text(&sheet, nl_verdict_word(m->verdict));
        p_cell(&sheet, m->flips_p_holm);
        cell(&sheet, nl_between_add, &m->above.is, 1, "");
        number_cell(&sheet, m->mean_rank, 10);
    }
    give(&sheet, to);
}

static void give_profiles(const nl_study *s, const taker *to)
{
    nl_sheet sheet = {0};
    title(&sheet, "share of %" PRId64 " tasks within ... of the fewest steps", s->profiled);
    for (int k = 0; k < NL_PROFILE_POINTS; k++)
        title(&sheet, "%g x", nl_profile_bounds[k]);
    nl_sheet_end(&sheet);
    for (int64_t i = 0; i < s->methods; i++) {
        nl_sheet_text(&sheet, s->method[i].label);
        for (int k = 0; k < NL_PROFILE_POINTS; k++)
            number_cell(&sheet, s->method[i].profile[k], 10);
    }
    give(&sheet, to);
}

static void give_view(const nl_study *s, const nl_view *v, const taker *to)
{
    nl_sheet sheet = {0};
    title(&sheet, "%s over %s%s%s", s->task[v->task[0]].compare->score->title, v->key,
          v->rest.used ? " at " : "", nl_text_of(&v->rest));
    for (int64_t k = 0; k < v->count; k++)
        nl_sheet_text(&sheet, nl_facts_find(&s->task[v->task[k]].facts, v->key));
    nl_sheet_end(&sheet);
    for (int64_t i = 0; i < s->methods; i++) {
        nl_sheet_text(&sheet, s->method[i].label);
        for (int64_t k = 0; k < v->count; k++)
            score_cell(&sheet, s->task[v->task[k]].compare, nl_study_method(s, v->task[k], i));
    }
    give(&sheet, to);
}

/* ---- Notes */

/* Pairs of methods whose mean ranks are further apart than chance explains. */
static void print_apart(const nl_study *s, nl_text *out)
{
    const char *gap = "; apart by it: ";
    for (int64_t i = 0; i < s->methods; i++)
        for (int64_t j = 0; j < s->methods; j++)
            if (s->method[j].mean_rank - s->method[i].mean_rank >=
                s->friedman.critical_difference) {
                nl_text_add(out, "%s%s before %s", gap, s->method[i].label, s->method[j].label);
                gap = ", ";
            }
    if (gap[0] == ';')
        nl_text_add(out, "; no two methods are that far apart");
}

static void print_ranks_note(const nl_study *s, nl_text *out)
{
    const nl_friedman *f = &s->friedman;
    if (isnan(f->chi_square_p))
        return;
    nl_text_add(out,
                "Ranks over %" PRId64
                " tasks: Friedman's chi-square %.3g, p %.4f; Nemenyi's critical "
                "difference of mean ranks at %g %% is %.2f",
                f->tasks, f->chi_square, f->chi_square_p, 100 * s->level, f->critical_difference);
    print_apart(s, out);
    nl_text_add(out, ". Tasks that differ in a setting alone are not independent.\n");
}

void nl_study_notes(const nl_study *s, nl_text *out)
{
    if (averaged(s))
        nl_text_add(
            out,
            "[ ] over tasks: %g %% bootstrap intervals, resampled within tasks "
            "(docs/statistics.md). "
            "better and worse: the sign-flip test of the differences by seed, tasks weighing the "
            "same, is below %.2g after Holm's correction over %" PRId64
            " method%s. No difference shown does not mean equal.\n",
            100 * s->level, 1 - s->level, s->methods - 1, s->methods == 2 ? "" : "s");
    if (!s->score)
        nl_text_add(out, "Tasks have different scores, so nothing is averaged over them.\n");
    print_ranks_note(s, out);
    if (s->common < s->tasks)
        nl_text_add(out,
                    "%" PRId64 " of %" PRId64
                    " tasks lack a method and are not in what is said over "
                    "tasks.\n",
                    s->tasks - s->common, s->tasks);
    if (total(s, true))
        nl_text_add(out,
                    DIVERGED_MARK " with diverged runs (%" PRId64
                                  "), which count with the last value measured "
                                  "before and as not having reached a target.\n",
                    total(s, true));
    if (total(s, false))
        nl_text_add(out,
                    "%" PRId64 " runs have not ended and are left out: tables are incomplete.\n",
                    total(s, false));
}

void nl_study_each(const nl_study *s, nl_study_table table, nl_take_sheet *take, void *arg)
{
    const taker to = {take, arg};
    if (table == NL_TABLE_TASKS)
        give_scores(s, &to);
    if (table == NL_TABLE_STANDINGS && averaged(s))
        give_standings(s, &to);
    if (table == NL_TABLE_PROFILES && s->profiled)
        give_profiles(s, &to);
    for (int64_t v = 0; table == NL_TABLE_VIEWS && v < s->views; v++)
        give_view(s, &s->view[v], &to);
}

static void print_sheet(void *arg, const nl_sheet *sheet)
{
    nl_text_add(arg, "\n");
    nl_sheet_print(sheet, arg);
}

void nl_study_print(const nl_study *s, nl_text *out)
{
    if (s->tasks == 1) {
        nl_compare_print(s->task[0].compare, true, out);
        return;
    }
    nl_study_heading(s, out);
    nl_text_add(out, "\n");
    for (int table = 0; table < NL_STUDY_TABLES; table++)
        nl_study_each(s, table, print_sheet, out);
    nl_text_add(out, "\n");
    nl_study_notes(s, out);
}

/* ---- One row a task and method */

typedef struct csv_column {
    const char *title;
    double (*of)(const nl_method *m);
} csv_column;

#define COLUMN(name, expression) \
    static double csv_##name(const nl_method *m) { return (double)(expression); }
COLUMN(runs, m->count)
COLUMN(diverged, m->diverged)
COLUMN(unfinished, m->unfinished)
COLUMN(n, m->score.n)
COLUMN(mean, m->score.mean)
COLUMN(low, m->score.low)
COLUMN(high, m->score.high)
COLUMN(median, m->median.mean)
COLUMN(middle, m->middle.mean)
COLUMN(height, m->height.mean)
COLUMN(difference, m->difference.n ? m->difference.mean : NAN)
COLUMN(difference_low, m->difference.n ? m->difference.low : NAN)
COLUMN(difference_high, m->difference.n ? m->difference.high : NAN)
COLUMN(p, m->difference.p)
COLUMN(p_holm, m->difference_p)
COLUMN(flips, m->flips_p)
COLUMN(ranks, m->ranks_p)
COLUMN(above, m->above)
COLUMN(smallest, m->smallest_effect)
COLUMN(reached, m->reached)
COLUMN(steps, m->tried ? m->median_steps : NAN)
COLUMN(seconds, m->tried ? m->median_seconds : NAN)
#undef COLUMN

static const csv_column csv_columns[] = {
    {"runs", csv_runs},
    {"diverged", csv_diverged},
    {"unfinished", csv_unfinished},
    {"n", csv_n},
    {"mean", csv_mean},
    {"low", csv_low},
    {"high", csv_high},
    {"median", csv_median},
    {"interquartile_mean", csv_middle},
    {"curve_mean", csv_height},
    {"difference", csv_difference},
    {"difference_low", csv_difference_low},
    {"difference_high", csv_difference_high},
    {"p", csv_p},
    {"p_holm", csv_p_holm},
    {"sign_flip_p", csv_flips},
    {"signed_rank_p", csv_ranks},
    {"probability_of_improvement", csv_above},
    {"smallest_effect", csv_smallest},
    {"reached_target", csv_reached},
    {"median_steps_to_target", csv_steps},
    {"median_seconds_to_target", csv_seconds},
};
enum { CSV_COLUMNS = sizeof csv_columns / sizeof *csv_columns };

void nl_study_csv(const nl_study *s, nl_text *out)
{
    nl_sheet sheet = {0};
    nl_sheet_text(&sheet, "task");
    nl_sheet_text(&sheet, "norm");
    nl_sheet_text(&sheet, "score");
    nl_sheet_text(&sheet, "verdict");
    for (int k = 0; k < CSV_COLUMNS; k++)
        nl_sheet_text(&sheet, csv_columns[k].title);
    nl_sheet_end(&sheet);
    for (int64_t t = 0; t < s->tasks; t++) {
        const nl_compare *c = s->task[t].compare;
        for (int64_t i = 0; i < c->count; i++) {
            nl_sheet_text(&sheet, nl_text_of(&s->task[t].label));
            nl_sheet_text(&sheet, c->methods[i].spec);
            nl_sheet_text(&sheet, c->score->key);
            nl_sheet_text(&sheet, nl_verdict_word(c->methods[i].verdict));
            for (int k = 0; k < CSV_COLUMNS; k++)
                nl_sheet_real(&sheet, csv_columns[k].of(&c->methods[i]));
        }
    }
    nl_sheet_csv(&sheet, out);
    nl_sheet_free(&sheet);
}

/* ---- Everything as one object */

static void json_key(nl_text *out, const char *key)
{
    nl_text_add(out, "%s\"%s\": ", out->at[out->used - 1] == '{' ? "" : ", ", key);
}

static void json_real(nl_text *out, const char *key, double v)
{
    json_key(out, key);
    nl_escape_json_real(out, v);
}

static void json_int(nl_text *out, const char *key, int64_t v)
{
    json_key(out, key);
    nl_text_add(out, "%" PRId64, v);
}

static void json_text(nl_text *out, const char *key, const char *text)
{
    json_key(out, key);
    nl_escape_json(out, text);
}

static void json_bootstrap(nl_text *out, const char *key, const nl_bootstrap *b)
{
    json_key(out, key);
    nl_text_add(out, "{");
    json_int(out, "n", b->is.n);
    json_real(out, "value", b->value);
    json_real(out, "low", b->is.low);
    json_real(out, "high", b->is.high);
    json_real(out, "error", b->error);
    json_real(out, "bca_low", b->bca_low);
    json_real(out, "bca_high", b->bca_high);
    json_real(out, "expanded_bca_low", b->expanded_low);
    json_real(out, "expanded_bca_high", b->expanded_high);
    nl_text_add(out, "}");
}

static void json_standing(const nl_standing *m, nl_text *out)
{
    nl_text_add(out, "\n  {");
    json_text(out, "norm", m->spec);
    json_int(out, "tasks", m->tasks);
    json_int(out, "runs", m->runs);
    json_int(out, "diverged", m->diverged);
    json_int(out, "unfinished", m->unfinished);
    json_bootstrap(out, "mean", &m->mean);
    json_real(out, "median", m->median);
    json_bootstrap(out, "interquartile_mean", &m->middle);
    json_bootstrap(out, "difference", &m->difference);
    json_bootstrap(out, "probability_of_improvement", &m->above);
    json_real(out, "sign_flip_p", m->flips_p);
    json_real(out, "sign_flip_p_holm", m->flips_p_holm);
    json_text(out, "verdict", nl_verdict_word(m->verdict));
    json_real(out, "signed_rank_p_over_tasks", m->ranks_p);
    json_real(out, "mean_rank", m->mean_rank);
    json_key(out, "profile");
    for (int k = 0; k < NL_PROFILE_POINTS; k++) {
        nl_text_add(out, k ? ", " : "[");
        nl_escape_json_real(out, m->profile[k]);
    }
    nl_text_add(out, "]}");
}

static void json_friedman(const nl_friedman *f, nl_text *out)
{
    json_key(out, "friedman");
    nl_text_add(out, "{");
    json_int(out, "tasks", f->tasks);
    json_real(out, "chi_square", f->chi_square);
    json_real(out, "p", f->chi_square_p);
    json_real(out, "f", f->f);
    json_real(out, "f_p", f->f_p);
    json_real(out, "critical_difference", f->critical_difference);
    nl_text_add(out, "}");
}

static void json_view_method(const nl_study *s, const nl_view *v, int64_t method, nl_text *out)
{
    nl_text_add(out, "{");
    json_text(out, "norm", s->method[method].spec);
    json_key(out, "scores");
    for (int64_t k = 0; k < v->count; k++) {
        const nl_method *m = nl_study_method(s, v->task[k], method);
        nl_text_add(out, "%s{", k ? ", " : "[");
        json_int(out, "n", m ? m->score.n : 0);
        json_int(out, "diverged", m ? m->diverged : 0);
        json_real(out, "mean", m ? m->score.mean : NAN);
        json_real(out, "low", m ? m->score.low : NAN);
        json_real(out, "high", m ? m->score.high : NAN);
        nl_text_add(out, "}");
    }
    nl_text_add(out, "]}");
}

static void json_view(const nl_study *s, const nl_view *v, nl_text *out)
{
    nl_text_add(out, "\n  {");
    json_text(out, "key", v->key);
    json_text(out, "at", nl_text_of(&v->rest));
    json_key(out, "values");
    for (int64_t k = 0; k < v->count; k++) {
        nl_text_add(out, k ? ", " : "[");
        nl_escape_json(out, nl_facts_find(&s->task[v->task[k]].facts, v->key));
    }
    nl_text_add(out, "]");
    json_key(out, "methods");
    for (int64_t i = 0; i < s->methods; i++) {
        nl_text_add(out, i ? ", " : "[");
        json_view_method(s, v, i, out);
    }
    nl_text_add(out, "]}");
}

void nl_study_json(const nl_study *s, nl_text *out)
{
    nl_text_add(out, "{");
    json_int(out, "runs", s->runs);
    json_int(out, "common_tasks", s->common);
    json_text(out, "score", s->score ? s->score->key : "");
    json_text(out, "baseline", s->method[s->baseline].spec);
    json_real(out, "level", s->level);
    json_key(out, "profile_bounds");
    for (int k = 0; k < NL_PROFILE_POINTS; k++)
        nl_text_add(out, "%s%g", k ? ", " : "[", nl_profile_bounds[k]);
    nl_text_add(out, "]");
    json_int(out, "profiled_tasks", s->profiled);
    json_friedman(&s->friedman, out);
    nl_text_add(out, ",\n \"methods\": [");
    for (int64_t i = 0; i < s->methods; i++) {
        nl_text_add(out, i ? "," : "");
        json_standing(&s->method[i], out);
    }
    nl_text_add(out, "],\n \"sensitivity\": [");
    for (int64_t v = 0; v < s->views; v++) {
        nl_text_add(out, v ? "," : "");
        json_view(s, &s->view[v], out);
    }
    nl_text_add(out, "],\n \"tasks\": [");
    for (int64_t t = 0; t < s->tasks; t++) {
        nl_text_add(out, "%s\n  {", t ? "," : "");
        json_text(out, "label", nl_text_of(&s->task[t].label));
        nl_text_add(out,
                    ", \"common\": %s, \"comparison\": ", s->task[t].is_common ? "true" : "false");
        nl_compare_json(s->task[t].compare, out);
        nl_text_add(out, "}");
    }
    nl_text_add(out, "]}\n");
}
