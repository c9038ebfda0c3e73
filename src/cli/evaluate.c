/* normlab evaluate: one checkpoint under the inference policies of its norms. */
#include "train/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "par/par.h"

enum { BATCHES_MAX = 16, BATCH_DEFAULT = 500 };

struct input {
    const char *run;
    const char *policies; /* names parted by commas, or "all" */
    int64_t batch[BATCHES_MAX];
    int batches;
    int64_t reestimate, threads;
    bool batch_given, json;
};

/* One policy at one batch size. */
typedef struct result {
    const nl_policy_row *row;
    int64_t batch;
    nl_score val, test;
    char refused[200]; /* why it could not be, or "" */
} result;

enum { KEY_POLICY = 256, KEY_BATCH, KEY_EXAMPLES, KEY_THREADS, KEY_JSON };

static const struct argp_option options[] = {
    {"policy", KEY_POLICY, "LIST", 0, "names parted by commas, or 'all' (own)", 0},
    {"batch", KEY_BATCH, "LIST", 0, "examples at once, parted by commas (500; texts: as trained)",
     0},
    {"reestimate", KEY_EXAMPLES, "N", 0, "training examples of policy reestimated (all)", 0},
    {"threads", KEY_THREADS, "N", 0, "threads (1)", 0},
    {"json", KEY_JSON, NULL, 0, "one object a row", 0},
    {0}};

static bool read_batches(struct input *in, const char *list)
{
    while (*list && in->batches < BATCHES_MAX) {
        char number[24];
        const size_t n = strcspn(list, ",");
        snprintf(number, sizeof number, "%.*s", (int)(n < 23 ? n : 23), list);
        if (!nl_read_int(number, &in->batch[in->batches]) || in->batch[in->batches++] < 1)
            return false;
        list += n + (list[n] == ',');
    }
    return in->batches > 0 && !*list;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_POLICY: in->policies = arg; return 0;
    case KEY_JSON: in->json = true; return 0;
    case KEY_BATCH:
        in->batches = 0;
        in->batch_given = true;
        if (read_batches(in, arg))
            return 0;
        cli_wrong("evaluate: --batch wants up to %d numbers of at least 1, got '%s'", BATCHES_MAX,
                  arg);
        return EINVAL;
    case KEY_EXAMPLES:
        if (nl_read_int(arg, &in->reestimate) && in->reestimate >= 0)
            return 0;
        cli_wrong("evaluate: --reestimate wants a number of examples, got '%s'", arg);
        return EINVAL;
    case KEY_THREADS:
        if (nl_read_int(arg, &in->threads) && in->threads >= 1 && in->threads <= 256)
            return 0;
        cli_wrong("evaluate: --threads wants 1 to 256, got '%s'", arg);
        return EINVAL;
    case ARGP_KEY_ARG:
        if (!in->run) {
            in->run = arg;
            return 0;
        }
        cli_wrong("evaluate takes one run, got '%s' and '%s'", in->run, arg);
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- which policies */

static bool is_named(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && strncmp(at, name, length) == 0)
            return true;
    return strcmp(list, "all") == 0;
}

static nl_status unknown_policy(const char *name, const nl_policy_row *row, int rows)
{
    nl_nearest near = {.wanted = name};
    for (int i = 0; i < rows; i++)
        nl_nearest_offer(&near, row[i].name);
    nl_nearest_offer(&near, "all");
    return nl_fail(NL_ENAME, "this run has no policy '%s'%s", name, nl_nearest_hint(&near));
}

static nl_status check_names(const char *list, const nl_policy_row *row, int rows)
{
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
        char name[NL_POLICY_NAME_MAX];
        bool known = strcmp(list, "all") == 0;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        for (int i = 0; i < rows; i++)
            known = known || strcmp(row[i].name, name) == 0;
        if (!known)
            return unknown_policy(name, row, rows);
    }
    return NL_OK;
}

/* ---- results */

static void evaluate_one(nl_trained *t, result *r)
{
    r->val = r->test = (nl_score){NAN, NAN};
    if (nl_evaluate(t, r->row, r->batch, &r->val, &r->test) != NL_OK)
        snprintf(r->refused, sizeof r->refused, "%s", nl_last_error());
}

/* Policies of state as training left it first; what moves it, the estimation anew, last. */
static nl_status evaluate_all(nl_trained *t, const struct input *in, result *r, int count)
{
    bool estimated = false;
    for (int i = 0; i < count; i++) {
        if (r[i].row->reestimated && !estimated) {
            NL_TRY(nl_reestimate(t, in->reestimate));
            estimated = true;
        }
        evaluate_one(t, &r[i]);
    }
    return NL_OK;
}

/* The lowest validation loss; NULL without validation data. */
static const result *chosen(const result *r, int count)
{
    const result *best = NULL;
    for (int i = 0; i < count; i++)
        if (isfinite(r[i].val.loss) && (!best || r[i].val.loss < best->val.loss))
            best = &r[i];
    return best;
}

static void print_number(double v, double times, int digits)
{
    if (isnan(v))
        printf("  %9s", "-");
    else
        printf("  %9.*f", digits, v * times);
}

static void print_table(const result *r, int count, const result *best)
{
    printf("%-14s  %6s  %9s  %9s  %9s  %9s\n", "policy", "batch", "val loss", "val %", "test loss",
           "test %");
    for (int i = 0; i < count; i++) {
        printf("%-14s  %6lld", r[i].row->name, (long long)r[i].batch);
        if (r[i].refused[0]) {
            printf("  not possible: %s\n", r[i].refused);
            continue;
        }
        print_number(r[i].val.loss, 1, 4);
        print_number(r[i].val.accuracy, 100, 2);
        print_number(r[i].test.loss, 1, 4);
        print_number(r[i].test.accuracy, 100, 2);
        printf("%s\n", best == &r[i] ? "  *" : "");
    }
    if (best)
        printf("* lowest validation loss\n");
    else
        printf("without validation data no policy is chosen (data=...:val=N keeps some)\n");
}

static void json_number(const char *name, double v)
{
    printf(isfinite(v) ? ", \"%s\": %.17g" : ", \"%s\": null", name, v);
}

static void print_json(const result *r, int count, const result *best)
{
    for (int i = 0; i < count; i++) {
        printf("{\"policy\": \"%s\", \"batch\": %lld", r[i].row->name, (long long)r[i].batch);
        json_number("val_loss", r[i].val.loss);
        json_number("val_accuracy", r[i].val.accuracy);
        json_number("test_loss", r[i].test.loss);
        json_number("test_accuracy", r[i].test.accuracy);
        printf(", \"chosen\": %s", best == &r[i] ? "true" : "false");
        if (r[i].refused[0]) {
            printf(", \"refused\": ");
            cli_json_text(r[i].refused);
        }
        printf("}\n");
    }
}

/* ---- the command */

static int64_t largest(const struct input *in)
{
    int64_t n = 1;
    for (int i = 0; i < in->batches; i++)
        n = in->batch[i] > n ? in->batch[i] : n;
    return n;
}

static nl_status evaluate(const struct input *in, nl_trained *t)
{
    nl_policy_row row[NL_POLICIES_MAX];
    const int rows = nl_policies_of(t->model, row);
    nl_status st;
    int count = 0;
    NL_TRY(check_names(in->policies, row, rows));
    result *r = nl_alloc((size_t)rows * (size_t)in->batches, sizeof *r);
    if (!r)
        return nl_fail(NL_ENOMEM, "evaluate: %d results", rows * in->batches);
    for (int i = 0; i < rows; i++)
        for (int b = 0; is_named(in->policies, row[i].name) && b < in->batches; b++)
            r[count++] = (result){.row = &row[i], .batch = in->batch[b]};
    st = evaluate_all(t, in, r, count);
    if (st == NL_OK)
        (in->json ? print_json : print_table)(r, count, chosen(r, count));
    nl_free(r);
    return st;
}

int cli_evaluate(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN",
        "Evaluates the checkpoint of a run (its folder) under other inference policies than the "
        "one it was trained with: running, cumulative, epoch, batch or the example's own "
        "statistics, mixtures of these, statistics estimated anew under the final weights, and "
        "those of the method's paper. The lowest loss on validation data is marked."
        "\vExample: normlab evaluate runs/batch-seed1-0a1b2c3d --policy=all --batch=1,25,500",
        NULL,
        NULL,
        NULL};
    struct input in = {.policies = "own", .batch = {BATCH_DEFAULT}, .batches = 1, .threads = 1};
    nl_run_spec spec;
    nl_trained t;
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.run)
        return cli_wrong("evaluate wants the folder of a run");
    nl_status st = nl_trained_spec(in.run, &spec);
    if (st == NL_OK)
        st = cli_be_precision(spec.precision.is == NL_PRECISION_DOUBLE);
    if (st != NL_OK)
        return cli_failure(st);
    nl_threads_set((int)in.threads);
    nl_flush_denormals();
    st = nl_trained_open(&t, in.run, NULL, largest(&in));
    if (st == NL_OK && t.data->consecutive && !in.batch_given)
        in.batch[0] = t.spec.batch > 0 ? t.spec.batch : t.data->train.count;
    if (st == NL_OK)
        st = evaluate(&in, &t);
    nl_trained_close(&t);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
