/* A training step of a network asks nobody for memory, on one thread or two: forward, loss,
 * backward, optimizer, hooks; with the short last batch and evaluation in between. Nothing is
 * warmed up but the threads: code for every size is made when the model is opened. */
#include <stdio.h>

#include "base/alloc.h"
#include "core/optim.h"
#include "layers/loss.h"
#include "par/par.h"
#include "registry.h"
#include "requests.h"

enum { BATCH = 60, SHORT = 37, EVALUATED = 250, SHORT_EVALUATION = 111, IN = 784, OUT = 10 };

typedef struct net {
    nl_model *model;
    nl_optim *optim;
    nl_real *x, *d_logits;
    int32_t *label;
    int64_t step;
} net;

typedef struct kind {
    const char *model;
    nl_shape shape;
} kind;

static const kind perceptron = {"mlp:hidden=100x2:act=sigmoid:dropout=0.1", {.s = 1, .c = IN}};
static const kind recurrent = {"lstm:hidden=30x2:dropout=0.1:recurrent_dropout=0.1",
                               {.s = 28, .c = IN / 28}};
static const kind tokens = {"lstm_bln:embedding=20:units1=8:units2=6:units3=6",
                            {.s = 28, .c = 1, .vocabulary = 500}};

static const kind images[] = {
    {"vgg:width=16:stages=2:convs=2:hidden=20:dropout=0.1", {.s = 1, .c = IN, .h = 28, .w = 28}},
    {"lenet_bln", {.s = 1, .c = IN, .h = 28, .w = 28}},
    {"resnet:depth=8:width=8:shortcut=b", {.s = 1, .c = IN, .h = 28, .w = 28}},
};

static nl_status open_net(net *n, const kind *k, const char *norm)
{
    const nl_model_setup setup = {
        .shape = k->shape, .outputs = OUT, .batch = BATCH, .n = EVALUATED, .norm = norm, .seed = 1};
    *n = (net){0};
    NL_TRY(nl_model_open(&n->model, k->model, &setup));
    NL_TRY(nl_optim_open(&n->optim, "adam:lr=1e-3:clip=1:schedule=cosine", nl_model_store(n->model),
                         100));
    n->x = nl_alloc(EVALUATED * IN, sizeof *n->x);
    n->d_logits = nl_alloc(EVALUATED * OUT, sizeof *n->d_logits);
    n->label = nl_alloc(EVALUATED, sizeof *n->label);
    if (!n->x || !n->d_logits || !n->label)
        return nl_fail(NL_ENOMEM, "%d examples", EVALUATED);
    for (int i = 0; i < EVALUATED * IN; i++)
        n->x[i] = (nl_real)nl_random_uniform((nl_key){1, NL_STREAM_TEST, 0}, (uint64_t)i);
    for (int i = 0; k->shape.vocabulary > 0 && i < EVALUATED * IN; i++)
        n->x[i] = (nl_real)(int)(n->x[i] * (nl_real)k->shape.vocabulary);
    for (int i = 0; i < EVALUATED; i++)
        n->label[i] = i % OUT;
    return NL_OK;
}

static void close_net(net *n)
{
    nl_optim_close(n->optim);
    nl_model_close(n->model);
    nl_free(n->x);
    nl_free(n->d_logits);
    nl_free(n->label);
}

static nl_layer_call call_of(const net *n, nl_phase phase, int64_t examples)
{
    return (nl_layer_call){.n = examples,
                           .phase = phase,
                           .update = phase == NL_TRAIN,
                           .step = n->step,
                           .seed = 1,
                           .x = n->x};
}

static void train(net *n, int64_t examples)
{
    const nl_answers answers = {.rows = examples, .outputs = OUT, .label = n->label};
    nl_layer_call c = call_of(n, NL_TRAIN, examples);
    c.start = n->step == 0;
    const nl_real *logits = nl_model_forward(n->model, &c);
    nl_loss_of(&answers, logits, n->d_logits);
    nl_model_backward(n->model, &c, n->d_logits);
    nl_optim_step(n->optim, true);
    nl_model_after_step(n->model);
    n->step++;
}

static void evaluate(net *n, int64_t examples)
{
    const nl_answers answers = {.rows = examples, .outputs = OUT, .label = n->label};
    const nl_layer_call c = call_of(n, NL_EVAL, examples);
    const nl_real *logits = nl_model_forward(n->model, &c);
    nl_loss_of(&answers, logits, NULL);
}

static void do_nothing(int64_t b, void *arg)
{
    (void)b;
    (void)arg;
}

static void start_threads(int threads)
{
    nl_threads_set(threads);
    nl_par_ignore_work(true);
    nl_for(threads, 1, do_nothing, NULL);
}

static void two_epochs(net *n)
{
    for (int epoch = 0; epoch < 2; epoch++) {
        nl_model_epoch_begin(n->model, epoch);
        train(n, BATCH);
        train(n, BATCH);
        train(n, SHORT);
        nl_model_epoch_end(n->model, epoch);
        if (nl_model_accepts(n->model, NULL, EVALUATED) == NL_OK) {
            evaluate(n, EVALUATED);
            evaluate(n, SHORT_EVALUATION);
        }
        evaluate(n, BATCH);
    }
}

static int requests_of(const kind *k, const char *norm, int threads)
{
    net n;
    if (open_net(&n, k, norm) != NL_OK) {
        printf("%s: %s\n", norm, nl_last_error());
        close_net(&n);
        return 1;
    }
    start_threads(threads);
    start_counting();
    two_epochs(&n);
    const long seen = stop_counting();
    if (seen)
        printf("%s, %s, %d threads: %ld requests for memory in two epochs\n", k->model, norm,
               threads, seen);
    close_net(&n);
    return seen != 0;
}

int main(void)
{
    static const char *const norms[] = {
        "none",  "batch", "batch:eval=mixture",           "layer",  "batch_layer:inference=FFFF",
        "group", "rms",   "batch_renorm:r_max=3:d_max=5", "weight", "weight:init=data+batch"};
    static const char *const cell_norms[] = {"none", "batch", "layer", "group:groups=2"};
    int failures = 0;
    use_registries();
    if (!counter_counts()) {
        puts("requests for memory are not seen");
        return 1;
    }
    for (size_t k = 0; k < sizeof norms / sizeof *norms; k++)
        for (int threads = 1; threads <= 2; threads++)
            failures += requests_of(&perceptron, norms[k], threads);
    for (size_t k = 0; k < sizeof cell_norms / sizeof *cell_norms; k++)
        for (int threads = 1; threads <= 2; threads++)
            failures += requests_of(&recurrent, cell_norms[k], threads) +
                        requests_of(&tokens, cell_norms[k], threads);
    for (size_t k = 0; k < sizeof images / sizeof *images; k++)
        for (int threads = 1; threads <= 2; threads++)
            failures +=
                requests_of(&images[k], k ? "batch" : "batch_layer:inference=FFFF", threads);
    return failures != 0;
}
