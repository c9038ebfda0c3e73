#include "analysis/published.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/escape.h"
#include "base/alloc.h"
#include "io/file.h"

enum { CONDITIONS_MAX = 64, CURVES_MAX = 64, POINTS_MAX = 4096, LINE_MAX_CHARS = 1024, FIELDS = 6 };

const char *nl_finding_name(nl_finding f)
{
    static const char *const names[] = {"reproduced", "contradicted", "not shown"};
    return names[f];
}

/* ---- reading */

typedef struct source {
    FILE *file;
    char path[1024], line[LINE_MAX_CHARS];
    int number;
} source;

static nl_status open_source(source *s, const char *folder, const char *name)
{
    *s = (source){0};
    snprintf(s->path, sizeof s->path, "%s/%s", folder, name);
    s->file = fopen(s->path, "r");
    if (!s->file)
        return nl_fail(NL_EIO, "%s: %s", s->path, strerror(errno));
    return NL_OK;
}

/* The next line without its end; false at the end of the file. */
static bool next_line(source *s)
{
    if (!fgets(s->line, sizeof s->line, s->file))
        return false;
    s->line[strcspn(s->line, "\r\n")] = 0;
    s->number++;
    return true;
}

static nl_status refuse(const source *s, const char *wanted)
{
    return nl_fail(NL_EFORMAT, "%s:%d: wanted %s, got '%s'", s->path, s->number, wanted, s->line);
}

/* Cuts the line at every `by`; gives the number of fields, at most FIELDS. */
static int cut(char *line, char by, char *field[FIELDS])
{
    int count = 0;
    for (char *at = line; at && count < FIELDS; count++) {
        field[count] = at;
        if ((at = strchr(at, by)))
            *at++ = 0;
    }
    return count;
}

static bool is_measure(const char *name)
{
    return strcmp(name, "score") == 0 || strcmp(name, "steps") == 0 || strcmp(name, "drift") == 0;
}

/* Copies a field, cut where there is no room. */
static void keep(char *to, size_t room, const char *from)
{
    const size_t n = strlen(from);
    memcpy(to, from, n < room ? n : room - 1);
    to[n < room ? n : room - 1] = 0;
}

static nl_status read_condition(source *s, nl_condition *c)
{
    char copy[LINE_MAX_CHARS], *field[FIELDS];
    static const char wanted[] = "claim, measure (score, steps or drift), method, above or below, "
                                 "channel and text, parted by tabs";
    snprintf(copy, sizeof copy, "%s", s->line);
    if (cut(copy, '\t', field) != FIELDS || !is_measure(field[1]))
        return refuse(s, wanted);
    c->above = strcmp(field[3], "above") == 0;
    if (!c->above && strcmp(field[3], "below") != 0)
        return refuse(s, wanted);
    keep(c->claim, sizeof c->claim, field[0]);
    keep(c->measure, sizeof c->measure, field[1]);
    keep(c->method, sizeof c->method, field[2]);
    keep(c->channel, sizeof c->channel, field[4]);
    keep(c->text, sizeof c->text, field[5]);
    c->than = strcmp(c->measure, "score") == 0 ? 0 : 1;
    return NL_OK;
}

static nl_status read_claims(nl_published *p, const char *folder)
{
    source s;
    nl_status st = NL_OK;
    NL_TRY(open_source(&s, folder, "claims.tsv"));
    p->condition = nl_alloc(CONDITIONS_MAX, sizeof *p->condition);
    if (!p->condition)
        NL_BAIL(NL_ENOMEM, "%s", s.path);
    while (next_line(&s)) {
        if (!s.line[0] || s.line[0] == '#')
            continue;
        if (strncmp(s.line, "baseline\t", 9) == 0) {
            keep(p->baseline, sizeof p->baseline, s.line + 9);
            continue;
        }
        if (p->conditions == CONDITIONS_MAX)
            NL_BAIL(NL_EFORMAT, "%s: more than %d conditions", s.path, CONDITIONS_MAX);
        NL_GO(read_condition(&s, &p->condition[p->conditions]));
        p->conditions++;
    }
    if (!p->baseline[0])
        NL_BAIL(NL_EFORMAT, "%s: has no line 'baseline METHOD'", s.path);
done:
    fclose(s.file);
    return st;
}

static nl_status curve_for(nl_published *p, const source *s, const char *channel,
                           const char *method, nl_curve **out)
{
    for (int i = 0; i < p->curves; i++)
        if (strcmp(p->curve[i].channel, channel) == 0 && strcmp(p->curve[i].method, method) == 0) {
            *out = &p->curve[i];
            return NL_OK;
        }
    if (p->curves == CURVES_MAX)
        return nl_fail(NL_EFORMAT, "%s: more than %d curves", s->path, CURVES_MAX);
    nl_curve *c = *out = &p->curve[p->curves++];
    keep(c->channel, sizeof c->channel, channel);
    keep(c->method, sizeof c->method, method);
    c->x = nl_alloc(POINTS_MAX, sizeof *c->x);
    c->y = nl_alloc(POINTS_MAX, sizeof *c->y);
    return c->x && c->y ? NL_OK : nl_fail(NL_ENOMEM, "%s", s->path);
}

static nl_status read_point(nl_published *p, source *s, const char *channel)
{
    char copy[LINE_MAX_CHARS], *field[FIELDS];
    double x, y;
    nl_curve *c;
    snprintf(copy, sizeof copy, "%s", s->line);
    if (cut(copy, ',', field) != 3 || !nl_read_real(field[1], &x) || !nl_read_real(field[2], &y))
        return refuse(s, "method,step,value");
    NL_TRY(curve_for(p, s, channel, field[0], &c));
    if (c->count == POINTS_MAX)
        return nl_fail(NL_EFORMAT, "%s: a curve of more than %d points", s->path, POINTS_MAX);
    c->x[c->count] = x;
    c->y[c->count++] = y;
    return NL_OK;
}

static nl_status read_curves(nl_published *p, const char *folder, const char *name)
{
    source s;
    char channel[sizeof p->curve->channel] = "";
    nl_status st = NL_OK;
    NL_TRY(open_source(&s, folder, name));
    while (next_line(&s)) {
        if (s.number == 1 && s.line[0] == '#')
            keep(channel, sizeof channel, s.line + 1 + strspn(s.line + 1, " "));
        else if (!channel[0])
            NL_GO(refuse(&s, "the channel, as in '# /evals/test_accuracy'"));
        else if (s.number > 2) /* the second names the columns */
            NL_GO(read_point(p, &s, channel));
    }
done:
    fclose(s.file);
    return st;
}

typedef struct reading {
    nl_published *p;
    const char *folder;
} reading;

static nl_status read_if_csv(void *arg, const char *name)
{
    const reading *r = arg;
    const size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".csv") == 0)
        NL_TRY(read_curves(r->p, r->folder, name));
    return NL_OK;
}

nl_status nl_published_read(nl_published *out, const char *folder)
{
    nl_status st = NL_OK;
    reading r = {out, folder};
    *out = (nl_published){.curve = nl_alloc(CURVES_MAX, sizeof(nl_curve))};
    if (!out->curve)
        NL_BAIL(NL_ENOMEM, "%s", folder);
    NL_GO(read_claims(out, folder));
    NL_GO(nl_file_each(folder, read_if_csv, &r));
    return NL_OK;
done:
    nl_published_free(out);
    return st;
}

void nl_published_free(nl_published *p)
{
    for (int i = 0; p->curve && i < p->curves; i++) {
        nl_free(p->curve[i].x);
        nl_free(p->curve[i].y);
    }
    nl_free(p->curve);
    nl_free(p->condition);
    *p = (nl_published){0};
}

/* ---- measuring */

enum { P15 = 2, P50 = 3, P85 = 4, PERCENTILES = 7 }; /* of the run file's seven */

/* NaN where the run has no such channel. */
static double drift(const nl_rundata *run, const char *channel)
{
    const nl_track *p = nl_rundata_track(run, "%s", channel);
    if (!p || p->width != PERCENTILES || p->rows < 2)
        return NAN;
    const double *last = p->at + (p->rows - 1) * PERCENTILES, span = last[P85] - last[P15];
    const int64_t from = p->rows / 20 + 1;
    double sum = 0;
    for (int64_t r = from; r < p->rows; r++)
        for (int k = P15; k <= P85; k++)
            sum += fabs(p->at[r * PERCENTILES + k] - last[k]);
    return sum / (double)(3 * (p->rows - from)) / span;
}

/* Of runs with the same seed: log drift of the method less that of the baseline. */
static nl_status drift_ratio(const nl_compare *c, const nl_method *m, const char *channel,
                             nl_interval *out)
{
    const nl_method *b = &c->methods[c->baseline];
    double *d = nl_alloc((size_t)m->count, sizeof *d);
    int64_t n = 0;
    if (!d)
        return nl_fail(NL_ENOMEM, "drifts of %lld runs", (long long)m->count);
    for (int64_t i = 0; i < m->count; i++)
        for (int64_t k = 0; k < b->count; k++) {
            const double ratio = log(drift(m->runs[i], channel) / drift(b->runs[k], channel));
            if (nl_rundata_number(m->runs[i], "seed", -1) ==
                    nl_rundata_number(b->runs[k], "seed", -2) &&
                isfinite(ratio))
                d[n++] = ratio;
        }
    *out = nl_mean_interval(d, n, c->level);
    out->mean = exp(out->mean), out->low = exp(out->low), out->high = exp(out->high);
    nl_free(d);
    return NL_OK;
}

static const nl_method *method_called(const nl_compare *c, const char *name)
{
    for (int64_t i = 0; i < c->count; i++)
        if (strcmp(c->methods[i].label, name) == 0 || strcmp(c->methods[i].name, name) == 0)
            return &c->methods[i];
    return NULL;
}

static nl_finding judge(const nl_condition *c)
{
    const nl_interval *is = &c->is;
    if (is->n < 2 || !isfinite(is->mean))
        return NL_NOT_SHOWN;
    if (c->above ? is->low > c->than : is->high < c->than)
        return NL_REPRODUCED;
    return (c->above ? is->high < c->than : is->low > c->than) ? NL_CONTRADICTED : NL_NOT_SHOWN;
}

nl_status nl_published_measure(nl_published *p, const nl_compare *c)
{
    for (int i = 0; i < p->conditions; i++) {
        nl_condition *k = &p->condition[i];
        const nl_method *m = method_called(c, k->method);
        if (!m)
            return nl_fail(NL_ENAME, "claim %s: the study has no method '%s'", k->claim, k->method);
        if (strcmp(k->measure, "score") == 0)
            k->is = m->difference;
        else if (strcmp(k->measure, "steps") == 0)
            k->is = m->ratio.is;
        else
            NL_TRY(drift_ratio(c, m, k->channel, &k->is));
        k->found = judge(k);
    }
    return NL_OK;
}

nl_finding nl_published_finding(const nl_published *p, int i)
{
    nl_finding found = NL_REPRODUCED;
    for (int k = 0; k < p->conditions; k++) {
        if (strcmp(p->condition[k].claim, p->condition[i].claim) != 0)
            continue;
        if (p->condition[k].found == NL_CONTRADICTED)
            return NL_CONTRADICTED;
        if (p->condition[k].found == NL_NOT_SHOWN)
            found = NL_NOT_SHOWN;
    }
    return found;
}

/* ---- telling */

static bool opens_claim(const nl_published *p, int i)
{
    return i == 0 || strcmp(p->condition[i].claim, p->condition[i - 1].claim) != 0;
}

static void add_measured(const nl_condition *c, nl_text *out)
{
    nl_text_add(out, "%s of %s: ", c->measure, c->method);
    if (c->is.n > 0)
        nl_text_add(out, "%.3g [%.3g, %.3g]", c->is.mean, c->is.low, c->is.high);
    else
        nl_text_add(out, "not measured, as no pair of runs came so far");
    nl_text_add(out, ", expected %s %g", c->above ? "above" : "below", c->than);
}

void nl_published_print(const nl_published *p, nl_text *out)
{
    for (int i = 0; i < p->conditions; i++) {
        const nl_condition *c = &p->condition[i];
        if (opens_claim(p, i))
            nl_text_add(out, "%s: %s\n", c->claim, nl_finding_name(nl_published_finding(p, i)));
        nl_text_add(out, "    %s\n        ", c->text);
        add_measured(c, out);
        nl_text_add(out, ": %s\n", nl_finding_name(c->found));
    }
}

void nl_published_html(const nl_published *p, nl_text *out)
{
    nl_text_add(out,
                "<h2>Claims of the paper</h2>\n<div class=\"wide\"><table class=\"facts\">\n"
                "<tr><th>claim</th><th>verdict</th><th>condition</th><th>measured</th></tr>\n");
    for (int i = 0; i < p->conditions; i++) {
        const nl_condition *c = &p->condition[i];
        nl_text measured = {0};
        add_measured(c, &measured);
        nl_text_add(out, "<tr><td>");
        nl_escape_html(out, opens_claim(p, i) ? c->claim : "");
        nl_text_add(out, "</td><td><strong>%s</strong></td><td>",
                    opens_claim(p, i) ? nl_finding_name(nl_published_finding(p, i)) : "");
        nl_escape_html(out, c->text);
        nl_text_add(out, "</td><td>");
        nl_escape_html(out, nl_text_of(&measured));
        nl_text_add(out, " (%s)</td></tr>\n", nl_finding_name(c->found));
        nl_text_free(&measured);
    }
    nl_text_add(
        out, "</table></div>\n<p class=\"sub\">A condition is met where its whole interval lies on "
             "the expected side, contradicted where all of it lies on the other, else not shown; a "
             "claim is reproduced when all of its conditions are met.</p>\n");
}
