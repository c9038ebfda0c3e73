/* What cannot be is refused, with what was wanted and what came. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/norm.h"
#include "suite.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const table[] = {
#include "norms_table.inc"
};

typedef struct slot {
    nl_store *store;
    nl_norm *m;
} slot;

static nl_status open_slot(slot *s, const char *spec, nl_geom g)
{
    g.steps = 1;
    ck_assert_int_eq(nl_store_open(&s->store), NL_OK);
    return nl_norm_open(&s->m, spec, &g, s->store, "h1/preact");
}

static void close_slot(slot *s)
{
    nl_norm_close(s->m);
    nl_store_close(s->store);
}

static const struct {
    const char *spec;
    nl_geom g;
    nl_status status;
    const char *says;
} bad[] = {
    {"btach", {.n = 4, .s = 1, .c = 8}, NL_ENAME, "did you mean 'batch'?"},
    {"batch:esp=1", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "did you mean 'eps'?"},
    {"batch:eps=-1", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "eps=-1 is outside [0, 1"},
    {"batch:eps", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "'eps' is not key=value"},
    {"batch:eps=1e-3x", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "wants a number, got '1e-3x'"},
    {"batch:eval=runing", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "did you mean 'running'?"},
    {"batch:gama.init=1", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "did you mean 'gamma'?"},
    {"batch:gamma.int=1", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "'int'"},
    {"batch:gamma.init=big", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "wants a number, got 'big'"},
    {"batch:run_mean.lr=2", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "is not learned"},
    {"group", {.n = 4, .s = 1, .c = 6}, NL_ESHAPE, "6 channels cannot be cut into 4 groups"},
    {"instance", {.n = 4, .s = 1, .c = 8}, NL_ESHAPE, "1 position per example, at least 2"},
    {"weight", {.n = 4, .s = 2, .c = 8}, NL_ESHAPE, "got 2 positions"},
    {"batch_layer:inference=TFX", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "got 'TFX'"},
    {"batch_layer:inference=TFXF", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "got 'TFXF'"},
    {"batch_renorm:r_max=2@9..1@3", {.n = 4, .s = 1, .c = 8}, NL_EOPTION, "growing steps"},
    {"", {.n = 4, .s = 1, .c = 8}, NL_ENAME, "''"},
};

START_TEST(bad_specs_say_what_was_wanted)
{
    slot s;
    ck_assert_int_ne(open_slot(&s, bad[_i].spec, bad[_i].g), NL_OK);
    ck_assert_ptr_null(s.m);
    if (!strstr(nl_last_error(), bad[_i].says))
        ck_abort_msg("'%s': wanted '%s', got '%s'", bad[_i].spec, bad[_i].says, nl_last_error());
    close_slot(&s);
}
END_TEST

static const struct {
    const char *spec;
    nl_source mean, var;
    int area;
    int64_t n;
    const char *says; /* NULL: accepted */
} policies[] = {
    {"batch", NL_FROM_RUNNING, NL_FROM_EPOCH, 0, 3, NULL},
    {"batch", NL_FROM_BATCH, NL_FROM_CUMULATIVE, 0, 9, NULL},
    {"batch", NL_FROM_EXAMPLE, NL_FROM_EXAMPLE, 0, 6,
     "has to be chosen in the spec (eval=example)"},
    {"batch:eval=example", NL_FROM_EXAMPLE, NL_FROM_EXAMPLE, 0, 6, NULL},
    {"batch:eval=mixture", NL_FROM_MIXTURE, NL_FROM_RUNNING, 0, 6, "mixture mean with running"},
    {"layer", NL_FROM_RUNNING, NL_FROM_BATCH, 0, 6, "layer: its area 0 has no running mean"},
    {"batch_layer", NL_FROM_BATCH, NL_FROM_EXAMPLE, 0, 6, "batch mean with example variance"},
    {"batch_layer", NL_FROM_EPOCH, NL_FROM_EPOCH, 1, 6, NULL},
    {"batch_layer", NL_FROM_BATCH, NL_FROM_EPOCH, 1, 5,
     "its epoch variance belongs to batches of 6 examples, evaluation has 5"},
    {"batch_layer", NL_FROM_EPOCH, NL_FROM_BATCH, 0, 5, NULL},
};

START_TEST(policies_that_cannot_be_are_refused)
{
    slot s;
    nl_policy p = {.own_weight = 1};
    ck_assert_int_eq(open_slot(&s, policies[_i].spec, (nl_geom){.n = 6, .s = 2, .c = 8}), NL_OK);
    p.mean[policies[_i].area] = policies[_i].mean;
    p.var[policies[_i].area] = policies[_i].var;
    const nl_status st = nl_norm_accepts(s.m, &p, policies[_i].n);
    if (!policies[_i].says)
        ck_assert_int_eq(st, NL_OK);
    else if (st != NL_ESTATE || !strstr(nl_last_error(), policies[_i].says))
        ck_abort_msg("wanted '%s', got '%s'", policies[_i].says, nl_last_error());
    close_slot(&s);
}
END_TEST

START_TEST(none_is_identity)
{
    ck_assert_ptr_eq(nl_norm_find("none"), nl_norm_find("identity"));
    ck_assert_ptr_null(nl_norm_find("nothing"));
}
END_TEST

START_TEST(canonical_specs_have_their_defaults)
{
    nl_text out = {0};
    ck_assert_int_eq(nl_norm_canonical("rms:center=on:gamma.l2=0.5", &out), NL_OK);
    ck_assert_str_eq(nl_text_of(&out), "rms:eps=1e-06:scale=true:center=true:gamma.l2=0.5");
    nl_text_free(&out);
}
END_TEST

/* Outputs t = 1, 5: mean 3, standard deviation 2. */
START_TEST(weight_starts_from_the_first_outputs)
{
    slot s;
    nl_real v[2] = {3, 4}, y[2], bias[1] = {7};
    const nl_real out[4] = {1, -9, 5, -9}; /* rows 2 apart */
    const nl_args a = {.n = 2, .x = v, .y = y};
    ck_assert_int_eq(open_slot(&s, "weight:init=data", (nl_geom){.n = 2, .s = 1, .c = 1}), NL_OK);
    ck_assert_int_eq(nl_store_commit(s.store), NL_OK);
    ck_assert(nl_norm_wants_output(s.m));
    nl_norm_start(s.m, &a);
    nl_norm_start_output(s.m, out, 2, 2, bias);
    ck_assert_double_eq_tol((double)bias[0], -1.5, 1e-6);
    nl_norm_forward(s.m, &a);
    ck_assert_double_eq_tol((double)y[0], 1.5, 1e-6);
    ck_assert_double_eq_tol((double)y[1], 2, 1e-6);
    close_slot(&s);
}
END_TEST

int main(void)
{
    nl_norm_use(table, sizeof table / sizeof *table);
    Suite *s = suite_create("norm specs");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, bad_specs_say_what_was_wanted, 0, sizeof bad / sizeof *bad);
    tcase_add_loop_test(t, policies_that_cannot_be_are_refused, 0,
                        sizeof policies / sizeof *policies);
    tcase_add_test(t, none_is_identity);
    tcase_add_test(t, canonical_specs_have_their_defaults);
    tcase_add_test(t, weight_starts_from_the_first_outputs);
    suite_add_tcase(s, t);
    return run_suite(s);
}
