/* Counter-based random numbers: the published bits, and no dependence on order. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "suite.h"

/* Known answers of philox4x32-10 in the test vectors of Random123 (Salmon et al. 2011). */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static const nl_key key = {.seed = 7, .stream = NL_STREAM_TEST, .epoch = 3};

START_TEST(philox_gives_the_published_bits)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        uint32_t out[4];
        nl_philox(known[k].counter, known[k].key, out);
        for (int i = 0; i < 4; i++)
            ck_assert_uint_eq(out[i], known[k].out[i]);
    }
}
END_TEST

START_TEST(a_number_depends_on_every_part_of_its_key)
{
    const nl_key others[] = {{8, NL_STREAM_TEST, 3},
                             {7, NL_STREAM_DATA, 3},
                             {7, NL_STREAM_TEST, 4},
                             {7 + (1ULL << 40), NL_STREAM_TEST, 3},
                             {7, NL_STREAM_TEST, 3 + (1ULL << 40)}};
    for (int k = 0; k < 5; k++) {
        int equal = 0;
        for (uint64_t i = 0; i < 64; i++)
            equal += nl_random_u32(key, i) == nl_random_u32(others[k], i);
        ck_assert_int_eq(equal, 0);
    }
    int equal = 0;
    for (uint64_t i = 0; i < 64; i++)
        equal += nl_random_u32(key, i) == nl_random_u32(key, i + (1ULL << 40));
    ck_assert_int_eq(equal, 0);
}
END_TEST

START_TEST(uniform_and_normal_have_their_moments)
{
    enum { N = 100000 };
    double u1 = 0, u2 = 0, z1 = 0, z2 = 0, z4 = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double u = nl_random_uniform(key, i), z = nl_random_normal(key, i);
        ck_assert(u >= 0 && u < 1);
        u1 += u / N;
        u2 += u * u / N;
        z1 += z / N;
        z2 += z * z / N;
        z4 += z * z * z * z / N;
    }
    /* five standard errors each: sd/sqrt(N) with sd 0.289, 0.298, 1, sqrt(2), sqrt(96) */
    ck_assert_double_eq_tol(u1, 1.0 / 2, 5 * 0.289 / sqrt(N));
    ck_assert_double_eq_tol(u2, 1.0 / 3, 5 * 0.298 / sqrt(N));
    ck_assert_double_eq_tol(z1, 0, 5 / sqrt(N));
    ck_assert_double_eq_tol(z2, 1, 5 * sqrt(2) / sqrt(N));
    ck_assert_double_eq_tol(z4, 3, 5 * sqrt(96) / sqrt(N));
}
END_TEST

START_TEST(whole_numbers_below_n_are_even_and_in_range)
{
    int count[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        const int64_t v = nl_random_below(key, i, 7);
        ck_assert(v >= 0 && v < 7);
        count[v]++;
    }
    for (int v = 0; v < 7; v++)
        ck_assert_int_lt(abs(count[v] - 10000), 5 * 93); /* sd of a count: 92.6 */
    ck_assert_int_eq(nl_random_below(key, 0, 1), 0);
}
END_TEST

START_TEST(permutation_holds_every_index_once_and_differs_by_epoch)
{
    enum { N = 1000 };
    int64_t order[N], next[N];
    int seen[N] = {0}, moved = 0, differ = 0;
    nl_random_permutation(key, order, N);
    nl_random_permutation((nl_key){7, NL_STREAM_TEST, 4}, next, N);
    for (int i = 0; i < N; i++) {
        seen[order[i]]++;
        moved += order[i] != i;
        differ += order[i] != next[i];
    }
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(seen[i], 1);
    ck_assert_int_gt(moved, N - 20);
    ck_assert_int_gt(differ, N - 20);
}
END_TEST

START_TEST(hash_is_fnv_1a)
{
    ck_assert_uint_eq(nl_hash_text(""), 0xcbf29ce484222325u);
    ck_assert_uint_eq(nl_hash_text("a"), 0xaf63dc4c8601ec8cu);
    ck_assert_uint_eq(nl_hash_text("foobar"), 0x85944171f73967e8u);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("random");
    TCase *t = tcase_create("all");
    tcase_add_test(t, philox_gives_the_published_bits);
    tcase_add_test(t, a_number_depends_on_every_part_of_its_key);
    tcase_add_test(t, uniform_and_normal_have_their_moments);
    tcase_add_test(t, whole_numbers_below_n_are_even_and_in_range);
    tcase_add_test(t, permutation_holds_every_index_once_and_differs_by_epoch);
    tcase_add_test(t, hash_is_fnv_1a);
    suite_add_tcase(s, t);
    return run_suite(s);
}
