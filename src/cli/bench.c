/* normlab bench: norm kernels beside the limit of memory, and training steps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "par/par.h"
#include "train/bench.h"

enum { SAMPLES = 21, NORMS_MAX = 16, THREADS_MAX = 2 };
static const double STEP_SECONDS = 3;
static const char *const default_norms[] = {"batch", "layer", "rms", NULL};
static const nl_bench_shape shapes[] = {{128, 1000}, {2000, 512}, {131072, 64}};

struct input {
    const char *what;
    nl_words words;
    bool json;
};

/* ---- kernels */

static void print_kernel(const struct input *in, const char *name, int threads,
                         const nl_bench_row *r)
{
    static bool started;
    const double share = r->gbps / r->limit_gbps;
    if (in->json) {
        printf("{\"name\": \"%s\", \"threads\": %d, \"median_ms\": %.6g, \"min_ms\": %.6g, "
               "\"gbps\": %.4g, \"limit_share\": %.4g, \"limit_gbps\": %.4g, \"limit\": \"%s\"}\n",
               name, threads, r->median_ms, r->min_ms, r->gbps, share, r->limit_gbps, r->limit);
    } else {
        if (!started)
            printf("%-36s %7s %10s %10s %8s %8s  %-13s %s\n", "kernel", "threads", "median ms",
                   "min ms", "GB/s", "limit", "loop", "share");
        printf("%-36s %7d %10.4f %10.4f %8.1f %8.1f  %-13s %.2f\n", name, threads, r->median_ms,
               r->min_ms, r->gbps, r->limit_gbps, r->limit, share);
    }
    started = true;
    fflush(stdout);
}

static nl_status bench_norm(const struct input *in, const char *norm, int threads)
{
    char name[NL_STRING_MAX + 64];
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        nl_bench_pair pair;
        NL_TRY(nl_bench_norm(norm, shapes[k], threads, SAMPLES, &pair));
        const char *const ways[] = {"forward", "backward"};
        for (int way = 0; way < 2; way++) {
            snprintf(name, sizeof name, "%s %s %lldx%lld", norm, ways[way],
                     (long long)shapes[k].rows, (long long)shapes[k].channels);
            print_kernel(in, name, threads, way ? &pair.backward : &pair.forward);
        }
    }
    return NL_OK;
}

/* The values of key ("norm") and threads= of the words, or what is done without them. */
static nl_status choose(const struct input *in, const char *key, const char *const *presets,
                        const char *chosen[NORMS_MAX + 1], int threads[THREADS_MAX + 1])
{
    const nl_word *first;
    int64_t asked;
    for (int k = 0; k < in->words.count; k++)
        if (strcmp(in->words.at[k].key, key) != 0 && strcmp(in->words.at[k].key, "threads") != 0)
            return nl_fail(NL_EOPTION, "bench %s takes %s= and threads=, got '%s='", in->what, key,
                           in->words.at[k].key);
    int count = nl_words_find(&in->words, key, &first);
    if (count > NORMS_MAX)
        return nl_fail(NL_EOPTION, "%s: at most %d", key, NORMS_MAX);
    for (int k = 0; k < count; k++)
        chosen[k] = first[k].value;
    for (int k = 0; count == 0 && presets[k]; k++)
        chosen[k] = presets[k];
    threads[0] = 1;
    threads[1] = nl_cores() > 1 ? nl_cores() : 0;
    if (nl_words_find(&in->words, "threads", &first)) {
        if (!nl_read_int(first->value, &asked) || asked < 1 || asked > 256)
            return nl_fail(NL_EOPTION, "threads: wants 1 to 256, got '%s'", first->value);
        threads[0] = (int)asked, threads[1] = 0;
    }
    return NL_OK;
}

static nl_status bench_kernels(const struct input *in)
{
    const char *norms[NORMS_MAX + 1] = {NULL};
    int threads[THREADS_MAX + 1] = {0};
    NL_TRY(choose(in, "norm", default_norms, norms, threads));
    for (int k = 0; norms[k]; k++)
        for (int t = 0; threads[t]; t++)
            NL_TRY(bench_norm(in, norms[k], threads[t]));
    return NL_OK;
}

/* ---- convolutions: of ResNet-20, then of the LeNet of ziaee2022 */

static const struct {
    int64_t n, side, in, out, kernel, stride;
    const char *pad;
} convolutions[] = {{128, 32, 16, 16, 3, 1, "1"}, {128, 16, 32, 32, 3, 1, "1"},
                    {128, 8, 64, 64, 3, 1, "1"},  {128, 32, 16, 32, 3, 2, "1"},
                    {128, 16, 32, 64, 3, 2, "1"}, {128, 32, 3, 16, 3, 1, "1"},
                    {25, 32, 3, 6, 5, 1, "2"},    {25, 16, 6, 16, 5, 1, "0"}};

static void print_conv(const struct input *in, size_t k, int threads, const nl_bench_conv_row *r)
{
    static const char *const ways[] = {"forward", "data", "weight"};
    char name[128];
    if (k == 0 && !in->json)
        printf("%-44s %7s %10s %8s %8s %s\n", "convolution", "threads", "median ms", "GFLOP/s",
               "peak", "share");
    for (int way = 0; way < 3; way++) {
        snprintf(name, sizeof name, "conv %s %lldx%lld %lld->%lld /%lld %lldx%lld n=%lld",
                 ways[way], (long long)convolutions[k].kernel, (long long)convolutions[k].kernel,
                 (long long)convolutions[k].in, (long long)convolutions[k].out,
                 (long long)convolutions[k].stride, (long long)convolutions[k].side,
                 (long long)convolutions[k].side, (long long)convolutions[k].n);
        if (in->json)
            printf("{\"name\": \"%s\", \"threads\": %d, \"median_ms\": %.6g, "
                   "\"min_ms\": %.6g, \"gflops\": %.4g, \"limit_share\": %.4g}\n",
                   name, threads, r->median_ms[way], r->min_ms[way], r->gflops[way],
                   r->gflops[way] / r->peak_gflops);
        else
            printf("%-44s %7d %10.4f %8.1f %8.1f %.2f\n", name, threads, r->median_ms[way],
                   r->gflops[way], r->peak_gflops, r->gflops[way] / r->peak_gflops);
    }
    fflush(stdout);
}

static const char *const default_algorithms[] = {"auto", NULL};

static nl_status read_algorithm(const char *name, int64_t *algorithm)
{
    for (int64_t k = 0; nl_conv_algorithms[k]; k++)
        if (strcmp(name, nl_conv_algorithms[k]) == 0) {
            *algorithm = k;
            return NL_OK;
        }
    return nl_fail(NL_EOPTION, "algorithm: wants auto, direct or winograd, got '%s'", name);
}

static nl_status bench_conv(const struct input *in)
{
    const char *chosen[NORMS_MAX + 1] = {NULL};
    int threads[THREADS_MAX + 1] = {0};
    int64_t algorithm;
    NL_TRY(choose(in, "algorithm", default_algorithms, chosen, threads));
    NL_TRY(read_algorithm(chosen[0], &algorithm));
    for (size_t k = 0; k < sizeof convolutions / sizeof *convolutions; k++)
        for (int t = 0; threads[t]; t++) {
            nl_bench_conv_row r;
            const nl_conv_geom g = {.h = convolutions[k].side,
                                    .w = convolutions[k].side,
                                    .in = convolutions[k].in,
                                    .out = convolutions[k].out,
                                    .kernel_h = convolutions[k].kernel,
                                    .kernel_w = convolutions[k].kernel,
                                    .stride = convolutions[k].stride,
                                    .groups = 1,
                                    .algorithm = algorithm};
            NL_TRY(
                nl_bench_conv(&g, convolutions[k].pad, convolutions[k].n, threads[t], SAMPLES, &r));
            print_conv(in, k, threads[t], &r);
        }
    return NL_OK;
}

/* ---- tables of embeddings */

static void print_lookup(const struct input *in, const char *optimizer, int threads,
                         const nl_bench_lookup_row *r)
{
    if (in->json) {
        printf("{\"name\": ");
        cli_json_text(optimizer);
        printf(", \"threads\": %d, \"rows\": %.1f, \"dense_ms\": %.4g, \"waiting_ms\": %.4g, "
               "\"dense_mb\": %.4g, \"waiting_mb\": %.4g}\n",
               threads, r->rows, r->dense_ms, r->waiting_ms, r->dense_mb, r->waiting_mb);
    } else {
        printf("%s, threads %d: every row moved %.2f ms and %.0f MB a step; rows that wait %.2f ms "
               "and %.1f MB (%.0f words)\n",
               optimizer, threads, r->dense_ms, r->dense_mb, r->waiting_ms, r->waiting_mb, r->rows);
    }
    fflush(stdout);
}

static nl_status bench_lookup(const struct input *in)
{
    static const char *const presets[] = {"adam", NULL};
    const char *optimizers[NORMS_MAX + 1] = {NULL};
    int threads[THREADS_MAX + 1] = {0};
    NL_TRY(choose(in, "optimizer", presets, optimizers, threads));
    for (int k = 0; optimizers[k]; k++)
        for (int t = 0; threads[t]; t++) {
            nl_bench_lookup_row r;
            NL_TRY(nl_bench_lookup(optimizers[k], threads[t], &r));
            print_lookup(in, optimizers[k], threads[t], &r);
        }
    return NL_OK;
}

/* ---- steps */

static nl_status bench_step(const struct input *in)
{
    nl_run_spec spec;
    nl_bench_step_row r;
    NL_TRY(nl_spec_parse(&in->words, &spec));
    NL_TRY(nl_bench_step(&spec, STEP_SECONDS, &r));
    const int threads = spec.threads > 0 ? (int)spec.threads : 1;
    if (in->json) {
        nl_text name = {0};
        nl_text_add(&name, "step %s %s norm=%s %s batch=%lld", spec.data.is, spec.model.is,
                    spec.norm.is, spec.optimizer.is, (long long)spec.batch);
        printf("{\"name\": ");
        cli_json_text(nl_text_of(&name));
        nl_text_free(&name);
        printf(", \"threads\": %d, \"median_ms\": %.6g, \"min_ms\": %.6g, \"cpu_ms\": %.6g, "
               "\"steps\": %lld}\n",
               threads, r.median_ms, r.min_ms, r.cpu_ms, (long long)r.steps);
    } else {
        printf("median %.4f ms, least %.4f ms, CPU %.4f ms a step; %lld steps, threads %d\n",
               r.median_ms, r.min_ms, r.cpu_ms, (long long)r.steps, threads);
    }
    return NL_OK;
}

/* ---- layers of a step */

static nl_status bench_layers(const struct input *in)
{
    nl_run_spec spec;
    nl_bench_layers r;
    NL_TRY(nl_spec_parse(&in->words, &spec));
    NL_TRY(nl_bench_layers_of(&spec, STEP_SECONDS, &r));
    if (!in->json)
        printf("%-16s %10s %11s %6s\n", "kind", "forward ms", "backward ms", "share");
    for (int k = 0; k < r.kinds; k++) {
        const nl_bench_kind *kind = &r.kind[k];
        const double share = (kind->forward_ms + kind->backward_ms) / r.step_ms;
        if (in->json)
            printf("{\"name\": \"%s\", \"forward_ms\": %.6g, \"backward_ms\": %.6g, "
                   "\"share\": %.4g}\n",
                   kind->kind, kind->forward_ms, kind->backward_ms, share);
        else
            printf("%-16s %10.4f %11.4f %6.3f\n", kind->kind, kind->forward_ms, kind->backward_ms,
                   share);
    }
    if (!in->json)
        printf("mean of %lld steps: %.4f ms\n", (long long)r.steps, r.step_ms);
    return NL_OK;
}

/* ---- statistics */

static void print_channels(const nl_bench_logging_row *r)
{
    printf("%-20s %9s %8s %9s\n", "channel", "ms a row", "every", "share");
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        const nl_bench_channel *c = &r->channel[k];
        printf("%-20s %9.4f %8lld %7.2f %%%s\n", nl_log_channels[k].name, c->row_ms,
               (long long)c->every, 100 * c->row_ms / ((double)c->every * r->step_ms),
               c->on ? "" : "  (off)");
    }
    printf("step %.4f ms, %lld of them; channels that are on take %.2f %% of the time, all %.2f %% "
           "(opening and closing the run file left out)\n",
           r->step_ms, (long long)r->steps, 100 * r->share, 100 * r->share_of_all);
    printf("every channel off: step %.4f ms, without their code %.4f ms (%+.2f %%, %lld pairs)\n",
           r->off_ms, r->bare_ms, 100 * (r->off_ms / r->bare_ms - 1), (long long)r->pairs);
}

static void json_channels(const nl_bench_logging_row *r)
{
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        const nl_bench_channel *c = &r->channel[k];
        printf("{\"channel\": \"%s\", \"row_ms\": %.6g, \"every\": %lld, \"on\": %s}\n",
               nl_log_channels[k].name, c->row_ms, (long long)c->every, c->on ? "true" : "false");
    }
    printf("{\"step_ms\": %.6g, \"steps\": %lld, \"share\": %.4g, \"share_of_all\": %.4g, "
           "\"off_ms\": %.6g, \"bare_ms\": %.6g, \"pairs\": %lld}\n",
           r->step_ms, (long long)r->steps, r->share, r->share_of_all, r->off_ms, r->bare_ms,
           (long long)r->pairs);
}

static nl_status bench_logging(const struct input *in)
{
    nl_run_spec spec;
    nl_bench_logging_row r;
    NL_TRY(nl_spec_parse(&in->words, &spec));
    NL_TRY(nl_bench_logging(&spec, STEP_SECONDS / 3, &r));
    (in->json ? json_channels : print_channels)(&r);
    return NL_OK;
}

/* ---- inference */

static nl_status bench_inference(const struct input *in)
{
    nl_run_spec spec;
    nl_bench_inference_row r;
    NL_TRY(nl_spec_parse(&in->words, &spec));
    NL_TRY(nl_bench_inference(&spec, STEP_SECONDS / 3, &r));
    if (in->json)
        printf("{\"normed_ms\": %.6g, \"folded_ms\": %.6g, \"bare_ms\": %.6g, "
               "\"folded\": %d, \"difference\": %.3g}\n",
               r.normed_ms, r.folded_ms, r.bare_ms, r.folded, r.difference);
    else
        printf("with norms %.4f ms, folded %.4f ms (%d norms; logits differ by %.1e), without "
               "%.4f ms a batch of %lld\n",
               r.normed_ms, r.folded_ms, r.folded, r.difference, r.bare_ms, (long long)spec.batch);
    return NL_OK;
}

/* ---- the command */

static const struct {
    const char *name;
    nl_status (*run)(const struct input *in);
} benches[] = {{"kernels", bench_kernels}, {"conv", bench_conv},     {"lookup", bench_lookup},
               {"step", bench_step},       {"layers", bench_layers}, {"inference", bench_inference},
               {"logging", bench_logging}};
enum { BENCHES = sizeof benches / sizeof *benches };

enum { KEY_JSON = 256 };
static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "print JSON, one object a row", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_JSON: in->json = true; return 0;
    case ARGP_KEY_ARG:
        if (in->what)
            return cli_word(&in->words, arg);
        in->what = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int run(struct input *in)
{
    if (!in->what)
        return cli_wrong("bench measures 'kernels', 'conv', 'lookup', 'step', 'layers', "
                         "'inference' or 'logging'");
    for (int k = 0; k < BENCHES; k++)
        if (strcmp(in->what, benches[k].name) == 0) {
            const nl_status st = benches[k].run(in);
            return st == NL_OK ? CLI_DONE : cli_failure(st);
        }
    return cli_wrong("bench measures 'kernels', 'conv', 'lookup', 'step', 'layers', 'inference' or "
                     "'logging', got '%s'",
                     in->what);
}

int cli_bench(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "kernels [norm=LIST] [threads=N]\nconv [algorithm=NAME] [threads=N]\nlookup "
        "[optimizer=LIST] [threads=N]\nstep [KEY=VALUE ...]\nlayers [KEY=VALUE ...]\n"
        "inference [KEY=VALUE ...]\nlogging [KEY=VALUE ...]",
        "Times the kernels of norms beside what memory allows, convolutions beside the fastest "
        "arithmetic of the machine, the updates of an embedding's table with and without waiting "
        "rows, one training step on random examples of the data's shape (the data are not needed) "
        "and its parts by kind of layer, evaluating a batch with the norms, with norms folded into "
        "the layers before them, and without, or what the channels of the run file cost: those "
        "that "
        "log= turns on at their schedule, and all."
        "\vkernels: forward and backward at 128x1000, 2000x512 and 131072x64 (rows x channels), "
        "with one thread and with all; share is the part of the limit that was reached, bytes "
        "counted as bench/README.md says.\nExample: normlab bench kernels norm=batch,layer\n"
        "Example: normlab bench step data=mnist model=mlp:hidden=100x3 norm=batch batch=60",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    int status = CLI_WRONG;
    if (cli_parse(&argp, argc, argv, &in))
        status = run(&in);
    nl_words_free(&in.words);
    return status;
}
