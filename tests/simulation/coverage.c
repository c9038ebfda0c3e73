/* Over 2,000 simulated comparisons (20,000 where they are cheap, which narrows what chance does to
 * the figures) 95 % intervals hold the truth in 93 to 97 %, and tests reject a true null in at most
 * 6 %. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "analysis/bootstrap.h"
#include "analysis/ranks.h"
#include "analysis/sample.h"
#include "analysis/significance.h"
#include "base/random.h"
#include "suite.h"

enum {
    MANY = 20000,
    COMPARISONS = 2000,
    SEEDS_MAX = 20,
    TASKS_MAX = 6,
    METHODS = 5,
    RESAMPLES = 1000
};
#define LEVEL 0.95

static bool figures; /* print them */

static double normal(int64_t comparison, int64_t i)
{
    const nl_key key = {.seed = 1, .stream = NL_STREAM_TEST, .epoch = (uint64_t)comparison};
    return nl_random_normal(key, (uint64_t)i);
}

/* Of chi-square with 8 degrees of freedom, the long tail below as accuracies have it; mean 0. */
static double skewed(int64_t comparison, int64_t i)
{
    double sum = 8;
    for (int64_t k = 0; k < 8; k++)
        sum -= pow(normal(comparison, 8 * i + k), 2);
    return sum;
}

typedef double draw(int64_t comparison, int64_t i);

static double percent(int64_t count, int64_t of) { return 100.0 * (double)count / (double)of; }

static void say(const char *what, const char *where, double value)
{
    if (figures)
        printf("%-44s %-24s %6.2f %%\n", what, where, value);
}

static void holds(const char *what, const char *where, double is)
{
    say(what, where, is);
    ck_assert_msg(is >= 93 && is <= 97, "%s, %s: holds %.2f %%", what, where, is);
}

static void keeps_at_most(double limit, const char *what, const char *where, double is)
{
    say(what, where, is);
    ck_assert_msg(is <= limit, "%s, %s: rejects %.2f %%", what, where, is);
}

static void keeps(const char *what, const char *where, double is)
{
    keeps_at_most(6, what, where, is);
}

static bool inside(const nl_interval *is, double truth)
{
    return is->low <= truth && truth <= is->high;
}

/* ---- One task, n seeds */

static const int seeds[] = {3, 5, 8, 10, 20};
enum { SEED_COUNTS = sizeof seeds / sizeof *seeds };

/* Two methods share what the seed brings, so the noise of the pair is smaller than of each. */
static void draw_pairs(draw *from, int64_t comparison, int64_t n, double *d)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = (from(comparison, 2 * i) + from(comparison, 2 * i + 1)) / 2;
}

START_TEST(intervals_of_one_task_hold_their_level)
{
    for (int k = 0; k < SEED_COUNTS; k++) {
        const int n = seeds[k];
        int64_t mean = 0, middle = 0, median = 0;
        double d[SEEDS_MAX];
        char where[32];
        snprintf(where, sizeof where, "%d seeds, normal", n);
        for (int64_t c = 0; c < MANY; c++) {
            draw_pairs(normal, c, n, d);
            nl_interval is = nl_mean_interval(d, n, LEVEL);
            mean += inside(&is, 0);
            nl_sort(d, n);
            is = nl_interquartile_interval_sorted(d, n, LEVEL);
            middle += inside(&is, 0);
            is = nl_median_interval_sorted(d, n, LEVEL);
            median += inside(&is, 0);
        }
        holds("mean, Student t", where, percent(mean, MANY));
        holds("interquartile mean, Tukey and McLaughlin", where, percent(middle, MANY));
        if (n >= 5)
            holds("median, order statistics", where, percent(median, MANY));
    }
}
END_TEST

START_TEST(the_mean_of_skewed_differences_is_held_too)
{
    for (int k = 0; k < SEED_COUNTS; k++) {
        int64_t mean = 0;
        double d[SEEDS_MAX];
        char where[32];
        snprintf(where, sizeof where, "%d seeds, skewed", seeds[k]);
        for (int64_t c = 0; c < MANY; c++) {
            draw_pairs(skewed, c, seeds[k], d);
            const nl_interval is = nl_mean_interval(d, seeds[k], LEVEL);
            mean += inside(&is, 0);
        }
        holds("mean, Student t", where, percent(mean, MANY));
    }
}
END_TEST

/* No test of paired differences is exact where these are skewed, so there the limit is wider. */
static void reject(draw *from, const char *name, double limit)
{
    for (int k = 0; k < SEED_COUNTS; k++) {
        const int n = seeds[k];
        int64_t t = 0, flips = 0, ranks = 0;
        double d[SEEDS_MAX];
        char where[32];
        snprintf(where, sizeof where, "%d seeds, %s", n, name);
        for (int64_t c = 0; c < MANY; c++) {
            draw_pairs(from, c, n, d);
            t += nl_mean_interval(d, n, LEVEL).p < 1 - LEVEL;
            /* a million patterns each would take minutes, and are no other test at 12 */
            flips += nl_permutation_p(d, n < 12 ? n : 12) < 1 - LEVEL;
            ranks += nl_wilcoxon_p(d, n) < 1 - LEVEL;
        }
        keeps_at_most(limit, "paired t test", where, percent(t, MANY));
        keeps_at_most(limit, "sign flips", where, percent(flips, MANY));
        keeps_at_most(limit, "signed ranks", where, percent(ranks, MANY));
    }
}

START_TEST(tests_of_one_task_reject_a_true_null_rarely)
{
    reject(normal, "normal", 6);
    reject(skewed, "skewed", 7);
}
END_TEST

START_TEST(holm_keeps_the_level_of_a_family_of_methods)
{
    for (int k = 0; k < SEED_COUNTS; k++) {
        const int n = seeds[k];
        int64_t any = 0;
        char where[32];
        snprintf(where, sizeof where, "%d seeds, %d methods", n, METHODS);
        for (int64_t c = 0; c < MANY; c++) {
            double p[METHODS], d[SEEDS_MAX];
            bool found = false;
            for (int m = 0; m < METHODS; m++) {
                for (int i = 0; i < n; i++) /* the baseline's run is in every difference */
                    d[i] = normal(c, SEEDS_MAX * (m + 1) + i) - normal(c, i);
                p[m] = nl_mean_interval(d, n, LEVEL).p;
            }
            nl_holm(p, METHODS);
            for (int m = 0; m < METHODS; m++)
                found = found || p[m] < 1 - LEVEL;
            any += found;
        }
        keeps("any verdict after Holm", where, percent(any, MANY));
    }
}
END_TEST

/* ---- Several tasks */

static const struct {
    int tasks, seeds;
    double spread; /* tasks' means go from -spread to spread */
} studies[] = {{3, 3, 0}, {3, 5, 0}, {3, 10, 0}, {6, 5, 0}, {6, 5, 1}, {6, 10, 1}};

static double task_mean(int tasks, int t, double spread)
{
    return spread * (2.0 * t / (tasks - 1) - 1);
}

START_TEST(bootstrap_intervals_over_tasks_hold_their_level)
{
    for (size_t k = 0; k < sizeof studies / sizeof *studies; k++) {
        const int tasks = studies[k].tasks, n = studies[k].seeds;
        int64_t mean = 0, middle = 0, plain = 0;
        double at[TASKS_MAX * SEEDS_MAX];
        int64_t count[TASKS_MAX];
        char where[48];
        snprintf(where, sizeof where, "%d tasks x %d seeds, +-%g", tasks, n, studies[k].spread);
        for (int64_t c = 0; c < COMPARISONS; c++) {
            nl_bootstrap b;
            for (int t = 0; t < tasks; t++) {
                count[t] = n;
                for (int i = 0; i < n; i++)
                    at[t * n + i] = task_mean(tasks, t, studies[k].spread) + normal(c, t * n + i);
            }
            const nl_strata sample = {at, 1, tasks, count};
            ck_assert_int_eq(nl_bootstrap_interval(&b, nl_strata_mean, &sample, LEVEL, RESAMPLES),
                             NL_OK);
            mean += inside(&b.is, 0);
            plain += b.bca_low <= 0 && 0 <= b.bca_high;
            ck_assert_int_eq(
                nl_bootstrap_interval(&b, nl_strata_interquartile_mean, &sample, LEVEL, RESAMPLES),
                NL_OK);
            middle += inside(&b.is, 0);
        }
        holds("mean over tasks", where, percent(mean, COMPARISONS));
        holds("interquartile mean over tasks", where, percent(middle, COMPARISONS));
        say("mean over tasks, BCa as it stands", where, percent(plain, COMPARISONS));
        ck_assert(percent(plain, COMPARISONS) < 94.5); /* or the widening would be for nothing */
    }
}
END_TEST

START_TEST(tests_over_tasks_reject_a_true_null_rarely)
{
    const int tasks[] = {2, 3, 6, 20};
    for (size_t k = 0; k < sizeof tasks / sizeof *tasks; k++) {
        int64_t chi = 0, f = 0, nemenyi = 0;
        char where[32];
        snprintf(where, sizeof where, "%d tasks, %d methods", tasks[k], METHODS);
        for (int64_t c = 0; c < COMPARISONS; c++) {
            double score[20 * METHODS], rank[METHODS];
            nl_friedman is;
            for (int i = 0; i < tasks[k] * METHODS; i++)
                score[i] = normal(c, i);
            ck_assert_int_eq(nl_friedman_ranks(&is, score, tasks[k], METHODS, LEVEL, rank), NL_OK);
            nl_sort(rank, METHODS);
            chi += is.chi_square_p < 1 - LEVEL;
            f += is.f_p < 1 - LEVEL;
            nemenyi += rank[METHODS - 1] - rank[0] >= is.critical_difference;
        }
        keeps("Friedman, chi square", where, percent(chi, COMPARISONS));
        say("Friedman, F of Iman and Davenport", where, percent(f, COMPARISONS));
        keeps("Nemenyi, any two methods apart", where, percent(nemenyi, COMPARISONS));
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("simulation");
    TCase *t = tcase_create("all");
    figures = argc > 1 && strcmp(argv[1], "figures") == 0;
    if (figures)
        tcase_set_timeout(t, 0); /* more draws take as long as they take */
    tcase_add_test(t, intervals_of_one_task_hold_their_level);
    tcase_add_test(t, the_mean_of_skewed_differences_is_held_too);
    tcase_add_test(t, tests_of_one_task_reject_a_true_null_rarely);
    tcase_add_test(t, holm_keeps_the_level_of_a_family_of_methods);
    tcase_add_test(t, bootstrap_intervals_over_tasks_hold_their_level);
    tcase_add_test(t, tests_over_tasks_reject_a_true_null_rarely);
    suite_add_tcase(s, t);
    return run_suite(s);
}
