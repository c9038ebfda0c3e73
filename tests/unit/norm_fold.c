/* Norms as one scale and shift per channel: which are, and that the two say what evaluation
 * does. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "core/norm_fold.h"
#include "registry.h"
#include "suite.h"

enum { N = 6, S = 4, C = 5, VALUES = N * S * C };

static const nl_geom geom = {.n = N, .s = S, .c = C, .steps = 1, .batch = N};

typedef struct rig {
    nl_store *store;
    nl_norm *m;
    nl_real x[VALUES], y[VALUES];
} rig;

static nl_real draw(uint64_t i)
{
    return (nl_real)(40 + 3 * nl_random_normal((nl_key){7, NL_STREAM_TEST, 0}, i));
}

/* After three training steps, with gamma and beta that are not 1 and 0. */
static void open_trained(rig *r, const char *spec)
{
    if (nl_store_open(&r->store) != NL_OK ||
        nl_norm_open(&r->m, spec, &geom, r->store, "norm") != NL_OK ||
        nl_store_commit(r->store) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    int64_t count;
    nl_real *p = nl_store_params(r->store, &count);
    for (int64_t i = 0; i < count; i++)
        p[i] += (nl_real)(0.1 * (double)(i % 7) - 0.2);
    nl_norm_epoch_begin(r->m, 0);
    for (int64_t step = 0; step < 3; step++) {
        for (int i = 0; i < VALUES; i++)
            r->x[i] = draw((uint64_t)(step * VALUES + i));
        const nl_args a = {
            .n = N, .phase = NL_TRAIN, .update = true, .step = step, .x = r->x, .y = r->y};
        nl_norm_forward(r->m, &a);
    }
    nl_norm_epoch_end(r->m, 0);
}

static void shut(rig *r)
{
    nl_norm_close(r->m);
    nl_store_close(r->store);
}

static void folds_like_evaluation(const char *spec, const nl_policy *policy)
{
    rig r;
    double scale[C], shift[C];
    const double bound = sizeof(nl_real) == sizeof(double) ? 1e-12 : 1e-5; /* of values up to 50 */
    open_trained(&r, spec);
    ck_assert_msg(nl_norm_is_channel_affine(r.m, policy), "%s", spec);
    ck_assert_int_eq(nl_norm_channel_affine(r.m, policy, scale, shift), NL_OK);
    const nl_args a = {.n = N, .phase = NL_EVAL, .policy = policy, .x = r.x, .y = r.y};
    nl_norm_forward(r.m, &a);
    for (int i = 0; i < VALUES; i++) {
        const double wanted = scale[i % C] * (double)r.x[i] + shift[i % C];
        ck_assert_double_eq_tol((double)r.y[i], wanted, bound * (50 + fabs(wanted)));
    }
    shut(&r);
}

START_TEST(stored_statistics_per_channel_are_a_scale_and_a_shift)
{
    static const char *const specs[] = {"batch", "batch:eps=0.5:scale=false", "batch:center=false",
                                        "batch_renorm", "batch:eval=cumulative"};
    use_registries();
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        folds_like_evaluation(specs[i], NULL);
    const nl_policy cumulative = {{NL_FROM_CUMULATIVE}, {NL_FROM_RUNNING}, 0};
    folds_like_evaluation("batch", &cumulative);
}
END_TEST

START_TEST(statistics_of_the_batch_or_the_example_are_not)
{
    static const char *const specs[] = {"layer", "instance", "group:groups=5", "rms",
                                        "batch_layer"};
    const nl_policy batch = {{NL_FROM_BATCH}, {NL_FROM_BATCH}, 0};
    const nl_policy half = {{NL_FROM_RUNNING}, {NL_FROM_BATCH}, 0};
    rig r;
    use_registries();
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        open_trained(&r, specs[i]);
        ck_assert_msg(!nl_norm_is_channel_affine(r.m, NULL), "%s", specs[i]);
        shut(&r);
    }
    open_trained(&r, "batch");
    ck_assert(!nl_norm_is_channel_affine(r.m, &batch));
    ck_assert(!nl_norm_is_channel_affine(r.m, &half));
    shut(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("norm_fold");
    TCase *t = tcase_create("all");
    tcase_add_test(t, stored_statistics_per_channel_are_a_scale_and_a_shift);
    tcase_add_test(t, statistics_of_the_batch_or_the_example_are_not);
    suite_add_tcase(s, t);
    return run_suite(s);
}
