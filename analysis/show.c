#include "analysis/show.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "analysis/escape.h"

enum { COLUMNS = 60, LINES = 8, DOTS_X = 2 * COLUMNS, DOTS_Y = 4 * LINES };

/* A value of several lines, the spec, stays in its column. */
static void add_fact(nl_text *out, const char *name, const char *value)
{
    nl_text_add(out, "  %-14s ", name);
    for (const char *end; *value; value = end + (*end != 0)) {
        end = value + strcspn(value, "\n");
        nl_text_add(out, "%.*s\n", (int)(end - value), value);
        if (end[0] && end[1])
            nl_text_add(out, "%17s", "");
    }
}

static void show_facts(const nl_rundata *run, nl_text *out)
{
    static const char *const names[] = {"outcome", "spec", "seed", "steps", "cite"};
    const double seconds = nl_rundata_number(run, "wall_seconds", NAN);
    nl_text_add(out, "%s\n", nl_rundata_path(run));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = nl_rundata_text(run, names[i], "");
        if (value[0])
            add_fact(out, names[i], value);
    }
    if (isfinite(seconds))
        nl_text_add(out, "  %-14s %.4g\n", "seconds", seconds);
    const char *synthetic = nl_rundata_text(run, "synthetic", "0");
    if (strcmp(synthetic, "1") == 0 || strcmp(synthetic, "true") == 0)
        nl_text_add(out, "  SYNTHETIC DATA\n");
}

static void show_finals(const nl_rundata *run, nl_text *out)
{
    static const char *const parts[] = {"train", "val", "test"};
    static const char *const values[] = {"loss", "accuracy"};
    nl_text_add(out, "\n");
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            int64_t row;
            const nl_track *t = nl_rundata_track(run, "/epochs/%s_%s", parts[p], values[v]);
            const double last = nl_track_last(t, &row);
            if (row >= 0)
                nl_text_add(out, "  final %-5s %-8s %.5g\n", parts[p], values[v], last);
        }
}

/* Mean of the finite values of each of DOTS_X equal parts of the rows; NaN where there is none. */
static void thin(const nl_track *t, double at[DOTS_X], double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t x = 0; x < DOTS_X; x++) {
        const int64_t from = x * t->rows / DOTS_X, to = (x + 1) * t->rows / DOTS_X;
        double sum = 0, n = 0;
        for (int64_t i = from; i < to || i == from; i++)
            if (isfinite(t->at[i])) {
                sum += t->at[i];
                n++;
            }
        at[x] = n > 0 ? sum / n : NAN;
        *low = fmin(*low, at[x]);
        *high = fmax(*high, at[x]);
    }
}

/* A Braille character has 2 x 4 dots; its code is U+2800 and a bit a dot. */
static void add_braille(nl_text *out, unsigned bits)
{
    const char utf8[] = {(char)0xe2, (char)(0xa0 | bits >> 6), (char)(0x80 | (bits & 63))};
    nl_text_add_bytes(out, utf8, sizeof utf8);
}

typedef struct curve {
    const char *group, *name, *title;
    double scale;
    bool logarithmic; /* where all values are above 0 */
} curve;

/* Dots of the means, the highest in the first line. */
static void plot(const double at[DOTS_X], double low, double high, bool logs, nl_text *out)
{
    static const unsigned bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const double bottom = logs ? log(low) : low, top = logs ? log(high) : high;
    unsigned cell[LINES][COLUMNS] = {{0}};
    for (int x = 0; x < DOTS_X; x++) {
        if (isnan(at[x]))
            continue;
        const double part =
            top > bottom ? (top - (logs ? log(at[x]) : at[x])) / (top - bottom) : 0.5;
        const int y = (int)(part * (DOTS_Y - 1) + 0.5);
        cell[y / 4][x / 2] |= bit[y % 4][x % 2];
    }
    for (int line = 0; line < LINES; line++) {
        if (line == 0 || line == LINES - 1)
            nl_text_add(out, "%9.3g │", line ? low : high);
        else
            nl_text_add(out, "%9s │", "");
        for (int x = 0; x < COLUMNS; x++)
            add_braille(out, cell[line][x]);
        nl_text_add(out, "\n");
    }
    nl_text_add(out, "%9s └", "");
    for (int x = 0; x < COLUMNS; x++)
        nl_text_add(out, "─");
}

static void show_curve(const nl_rundata *run, const curve *c, nl_text *out)
{
    const nl_track *value = nl_rundata_track(run, "/%s/%s", c->group, c->name);
    const nl_track *step = nl_rundata_track(run, "/%s/step", c->group);
    double at[DOTS_X], low, high;
    if (!value || !step || step->rows < value->rows)
        return;
    thin(value, at, &low, &high);
    if (!isfinite(low))
        return;
    for (int x = 0; x < DOTS_X; x++)
        at[x] *= c->scale;
    const bool logs = c->logarithmic && low > 0;
    nl_text_add(out, "\n  %s%s\n", c->title, logs ? ", logarithmic" : "");
    plot(at, c->scale * low, c->scale * high, logs, out);
    nl_text_add(out, "\n%11sstep %.0f to %.0f\n", "", step->at[0], step->at[value->rows - 1]);
}

static void show_curves(const nl_rundata *run, nl_text *out)
{
    static const curve curves[] = {
        {"steps", "loss", "training loss", 1, true},
        {"evals", "test_accuracy", "test accuracy, %", 100, false},
        {"evals", "val_accuracy", "validation accuracy, %", 100, false},
        {"evals", "test_bits_per_character", "test bits per character", 1, false}};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        show_curve(run, &curves[i], out);
}

static double last_of(const nl_rundata *run, const char *place, const char *side, const char *value)
{
    int64_t row;
    return nl_track_last(nl_rundata_track(run, "/layers/%s/%s/%s", place, side, value), &row);
}

static void add_value(nl_text *out, double v)
{
    if (isnan(v))
        nl_text_add(out, " %9s", "-");
    else
        nl_text_add(out, " %9.3g", v);
}

static void show_side(const nl_rundata *run, const char *place, const char *side, nl_text *out)
{
    static const int shown[] = {1, 2, 3, 4, 5}; /* of the percentiles 1 5 15 50 85 95 99 */
    const nl_track *p = nl_rundata_track(run, "/layers/%s/%s/percentiles", place, side);
    nl_text_add(out, "  %-16s %-6s", place, strcmp(side, "pre") == 0 ? "before" : "after");
    add_value(out, last_of(run, place, side, "mean"));
    add_value(out, last_of(run, place, side, "std"));
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
        add_value(out, p && p->width == 7 ? p->at[7 * (p->rows - 1) + shown[k]] : NAN);
    add_value(out, last_of(run, place, side, "dead"));
    add_value(out, last_of(run, place, side, "saturated"));
    nl_text_add(out, "\n");
}

static void show_layers(const nl_rundata *run, nl_text *out)
{
    static const char *const titles[] = {"mean", "std",  "5 %",  "15 %", "50 %",
                                         "85 %", "95 %", "dead", "flat"};
    const char *place;
    if (!nl_rundata_place(run, 0))
        return;
    nl_text_add(out, "\n  %-16s %-6s", "layer, last row", "norm");
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        nl_text_add(out, " %9s", titles[i]);
    nl_text_add(out, "\n");
    for (int64_t i = 0; (place = nl_rundata_place(run, i)) != NULL; i++) {
        show_side(run, place, "pre", out);
        show_side(run, place, "post", out);
    }
}

/* Length of dL/dh_t in the last logged row, at positions from the first to the last. */
static void show_gradients(const nl_rundata *run, nl_text *out)
{
    enum { SHOWN = 8 };
    const char *layer;
    for (int64_t i = 0; (layer = nl_rundata_recurrent(run, i)) != NULL; i++) {
        const nl_track *g = nl_rundata_track(run, "/layers/%s/gradient_norm", layer);
        const int64_t shown = !g ? 0 : g->width < SHOWN ? g->width : SHOWN;
        if (shown < 2)
            continue;
        nl_text_add(out, "\n  %-16s %-6s", layer, "step");
        for (int64_t k = 0; k < shown; k++)
            nl_text_add(out, " %9" PRId64, k * (g->width - 1) / (shown - 1) + 1);
        nl_text_add(out, "\n  %-16s %-6s", "|dL/dh|", "");
        for (int64_t k = 0; k < shown; k++)
            add_value(out, g->at[(g->rows - 1) * g->width + k * (g->width - 1) / (shown - 1)]);
        nl_text_add(out, "\n");
    }
}

/* The name of a variable from "/params/NAME/weight_norm", or 0 characters. */
static int name_of_variable(const char *track, const char **name)
{
    static const char head[] = "/params/", tail[] = "/weight_norm";
    const size_t n = strlen(track), ends = strlen(head) + strlen(tail);
    *name = track + strlen(head);
    return n > ends && strncmp(track, head, strlen(head)) == 0 &&
                   strcmp(track + n - strlen(tail), tail) == 0
               ? (int)(n - ends)
               : 0;
}

static void show_parameters(const nl_rundata *run, nl_text *out)
{
    static const char *const columns[][2] = {
        {"weight_norm", "norm"}, {"grad_norm", "gradient"}, {"effective_lr", "lr/norm^2"}};
    enum { COUNT = sizeof columns / sizeof *columns };
    const char *name;
    bool any = false;
    for (int64_t i = 0; i < nl_rundata_tracks(run); i++) {
        const int n = name_of_variable(nl_rundata_track_at(run, i)->name, &name);
        if (!n)
            continue;
        if (!any) {
            nl_text_add(out, "\n  %-23s", "parameter, last row");
            for (int k = 0; k < COUNT; k++)
                nl_text_add(out, " %9s", columns[k][1]);
            nl_text_add(out, "\n");
        }
        any = true;
        nl_text_add(out, "  %-23.*s", n, name);
        for (int k = 0; k < COUNT; k++) {
            int64_t row;
            add_value(
                out, nl_track_last(nl_rundata_track(run, "/params/%.*s/%s", n, name, columns[k][0]),
                                   &row));
        }
        nl_text_add(out, "\n");
    }
}

void nl_show_run(const nl_rundata *run, nl_text *out)
{
    show_facts(run, out);
    show_finals(run, out);
    show_curves(run, out);
    show_layers(run, out);
    show_gradients(run, out);
    show_parameters(run, out);
}
