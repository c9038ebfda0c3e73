#include "train/grid.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { RUNS_MAX = 10000, ROWS_MAX = 64 };

struct axis {
    int row, count; /* in nl_run_options; values */
    const nl_word *first;
};

struct axes {
    int count; /* of varied keys, seed not counted */
    struct axis varied[ROWS_MAX];
    struct axis seed;
};

static nl_status find_axes(const nl_words *words, int varied_max, struct axes *a)
{
    *a = (struct axes){.seed = {.count = 1}};
    for (int k = 0; nl_run_options[k].key; k++) {
        struct axis axis = {.row = k};
        axis.count = nl_words_find(words, nl_run_options[k].key, &axis.first);
        if (strcmp(nl_run_options[k].key, "seed") == 0) {
            a->seed = axis;
            a->seed.count += axis.count == 0;
        } else if (axis.count > 1) {
            if (a->count == varied_max)
                return nl_fail(NL_EOPTION,
                               "run: at most two keys may vary, here %s, %s and %s ('normlab "
                               "sweep' takes any number)",
                               nl_run_options[a->varied[0].row].key,
                               nl_run_options[a->varied[1].row].key, nl_run_options[k].key);
            a->varied[a->count++] = axis;
        }
    }
    return NL_OK;
}

static int64_t methods_of(const struct axes *a)
{
    int64_t methods = 1;
    for (int k = 0; k < a->count && methods <= RUNS_MAX; k++)
        methods *= a->varied[k].count;
    return methods;
}

/* The last varied key changes fastest. */
static void choose(const struct axes *a, int method, int seed, int pick[ROWS_MAX])
{
    memset(pick, 0, ROWS_MAX * sizeof *pick);
    for (int k = a->count - 1; k >= 0; k--) {
        pick[a->varied[k].row] = method % a->varied[k].count;
        method /= a->varied[k].count;
    }
    pick[a->seed.row] = seed;
}

/* A varied norm is called by its value, anything else by key=value. */
static void write_label(const struct axes *a, const int pick[ROWS_MAX], const nl_run_spec *spec,
                        nl_string *label)
{
    if (a->count == 0)
        snprintf(label->is, sizeof label->is, "%s", spec->norm.is);
    for (int k = 0; k < a->count; k++) {
        const char *key = nl_run_options[a->varied[k].row].key;
        const bool norm = strcmp(key, "norm") == 0;
        const size_t used = strlen(label->is);
        snprintf(label->is + used, sizeof label->is - used, "%s%s%s%s", k ? ", " : "",
                 norm ? "" : key, norm ? "" : "=",
                 a->varied[k].first[pick[a->varied[k].row]].value);
    }
}

static nl_status make_runs(const nl_words *words, const struct axes *a, nl_grid *g)
{
    int pick[ROWS_MAX];
    for (int m = 0; m < g->methods; m++)
        for (int s = 0; s < g->seeds; s++) {
            nl_run_spec *spec = &g->run[m * g->seeds + s];
            choose(a, m, s, pick);
            NL_TRY(nl_spec_parse_pick(words, pick, spec));
            if (s == 0)
                write_label(a, pick, spec, &g->label[m]);
        }
    return NL_OK;
}

static nl_status check_distinct(const nl_grid *g)
{
    nl_text *text = nl_alloc((size_t)g->methods, sizeof *text);
    if (!text)
        return nl_fail(NL_ENOMEM, "%d methods", g->methods);
    nl_status st = NL_OK;
    for (int m = 0; m < g->methods; m++) {
        NL_GO(nl_spec_canonical(&g->run[m * g->seeds], &text[m]));
        for (int k = 0; k < m; k++)
            if (strcmp(nl_text_of(&text[k]), nl_text_of(&text[m])) == 0)
                NL_BAIL(NL_EOPTION, "run: '%s' and '%s' are the same run", g->label[k].is,
                        g->label[m].is);
    }
    for (int s = 0; s < g->seeds; s++)
        for (int k = 0; k < s; k++)
            if (g->run[k].seed == g->run[s].seed)
                NL_BAIL(NL_EOPTION, "run: seed %lld is given twice", (long long)g->run[s].seed);
done:
    for (int m = 0; m < g->methods; m++)
        nl_text_free(&text[m]);
    nl_free(text);
    return st;
}

nl_status nl_grid_make(const nl_words *words, int varied_max, nl_grid *out)
{
    struct axes a;
    *out = (nl_grid){0};
    NL_TRY(find_axes(words, varied_max, &a));
    const int64_t runs = methods_of(&a) * a.seed.count;
    if (runs > RUNS_MAX)
        return nl_fail(NL_EOPTION, "run: a grid of %lld runs, at most %d are wanted",
                       (long long)runs, RUNS_MAX);
    nl_status st = NL_OK;
    out->methods = (int)methods_of(&a);
    out->seeds = a.seed.count;
    out->run = nl_alloc((size_t)runs, sizeof *out->run);
    out->label = nl_alloc((size_t)out->methods, sizeof *out->label);
    if (!out->run || !out->label)
        NL_BAIL(NL_ENOMEM, "a grid of %lld runs", (long long)runs);
    NL_GO(make_runs(words, &a, out));
    NL_GO(check_distinct(out));
done:
    if (st != NL_OK)
        nl_grid_free(out);
    return st;
}

void nl_grid_free(nl_grid *g)
{
    nl_free(g->run);
    nl_free(g->label);
    *g = (nl_grid){0};
}
