/* Folding norms into the layers before them: the logits stay, the norms are gone, and what cannot
 * be folded stays as it is. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "core/model.h"
#include "registry.h"
#include "suite.h"

enum { N = 6, OUTPUTS = 10, WIDTH = 16 * 16 * 2 };

static nl_real x[N * WIDTH];

static void fill(nl_real *v, int64_t count, uint64_t stream, double scale, double plus)
{
    const nl_key key = {11, NL_STREAM_TEST, stream};
    for (int64_t i = 0; i < count; i++)
        v[i] = (nl_real)(plus + scale * nl_random_normal(key, (uint64_t)i));
}

/* After three training passes, with parameters that are not where they start. */
static nl_model *open_trained(const char *spec, const char *norm)
{
    const nl_model_setup setup = {.shape = {.s = 1, .c = WIDTH, .h = 16, .w = 16},
                                  .outputs = OUTPUTS,
                                  .batch = N,
                                  .n = N,
                                  .norm = norm,
                                  .seed = 1};
    nl_model *m;
    int64_t count;
    if (nl_model_open(&m, spec, &setup) != NL_OK)
        ck_abort_msg("%s with %s: %s", spec, norm, nl_last_error());
    nl_real *p = nl_store_params(nl_model_store(m), &count), *moved = nl_alloc((size_t)count, 8);
    fill(moved, count, 1, 0.1, 0);
    for (int64_t i = 0; i < count; i++)
        p[i] += moved[i];
    nl_free(moved);
    nl_model_epoch_begin(m, 0);
    for (int64_t step = 0; step < 3; step++) {
        fill(x, N * WIDTH, 2 + (uint64_t)step, 1, 0.3);
        const nl_layer_call c = {.n = N, .phase = NL_TRAIN, .update = true, .step = step, .x = x};
        nl_model_forward(m, &c);
    }
    nl_model_epoch_end(m, 0);
    return m;
}

static void logits_of(nl_model *m, nl_real to[N * OUTPUTS])
{
    const nl_layer_call c = {.n = N, .phase = NL_EVAL, .x = x};
    memcpy(to, nl_model_forward(m, &c), N * OUTPUTS * sizeof *to);
}

/* wanted: how many norms go. */
static void folds(const char *spec, const char *norm, int wanted)
{
    const double bound = sizeof(nl_real) == sizeof(double) ? 1e-10 : 5e-4; /* many layers deep */
    nl_real before[N * OUTPUTS], after[N * OUTPUTS];
    double largest = 0;
    int folded;
    nl_model *m = open_trained(spec, norm);
    logits_of(m, before);
    ck_assert_int_eq(nl_model_fold(m, NULL, &folded), NL_OK);
    ck_assert_msg(folded == wanted, "%s with %s: %d folded, wanted %d", spec, norm, folded, wanted);
    logits_of(m, after);
    for (int i = 0; i < N * OUTPUTS; i++)
        largest = fmax(largest, fabs((double)before[i]));
    for (int i = 0; i < N * OUTPUTS; i++)
        ck_assert_msg(fabs((double)after[i] - (double)before[i]) <= (wanted ? bound * largest : 0),
                      "%s with %s: logit %d was %g and is %g", spec, norm, i, (double)before[i],
                      (double)after[i]);
    nl_model_close(m);
}

START_TEST(norms_with_stored_statistics_go_into_the_layers)
{
    static const struct {
        const char *spec, *norm;
        int folded;
    } cases[] = {{"mlp:hidden=12x3:act=tanh", "batch", 3},
                 {"mlp:hidden=12x3:bias=after", "batch:center=false", 3},
                 {"mlp:hidden=12x2:bias=off", "batch_renorm", 2},
                 {"mlp:hidden=12x2", "weight+batch", 5}, /* the last layer's weights too */
                 {"lenet_bln:slot=preact", "batch", 4},
                 {"vgg:width=3:stages=2:hidden=5:bias=after", "batch", 5},
                 {"resnet:depth=8:width=3", "batch", 7},
                 {"resnet:depth=8:width=3:shortcut=b:bias=before", "batch", 9},
                 {"mobile:width=3:stages=2:blocks=1", "batch", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        folds(cases[i].spec, cases[i].norm, cases[i].folded);
}
END_TEST

START_TEST(what_cannot_be_folded_stays_to_the_byte)
{
    static const char *const norms[] = {"none", "layer", "rms", "batch_layer", "batch:eval=batch"};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        folds("mlp:hidden=12x2", norms[i], 0);
    folds("lenet_bln", "batch", 0); /* after the activation */
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("fold");
    TCase *t = tcase_create("all");
    tcase_add_test(t, norms_with_stored_statistics_go_into_the_layers);
    tcase_add_test(t, what_cannot_be_folded_stays_to_the_byte);
    suite_add_tcase(s, t);
    return run_suite(s);
}
