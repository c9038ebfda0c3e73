/* Products that leave terms out against products that do not: the same bytes, whatever is zero,
 * infinite or NaN, for every kind of product and any number of threads. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "core/gemm.h"
#include "core/gemm_sparse.h"
#include "kernel/sparse_gemm.h"
#include "par/par.h"
#include "suite.h"

enum { COLUMNS = NL_SPARSE_COLUMNS, DEPTH = NL_SPARSE_DEPTH };

static const double shares[] = {0, 0.02, 0.3, 0.5, 0.8, 1};
enum { SHARES = sizeof shares / sizeof *shares };

/* Values in [-1, 1) of which `share` are not zero; every third zero is -0. */
static nl_real *drawn(int64_t count, double share, uint64_t seed)
{
    nl_real *p = nl_alloc((size_t)count, sizeof *p);
    const nl_key key = {seed, NL_STREAM_TEST, 0};
    ck_assert_ptr_nonnull(p);
    for (int64_t i = 0; i < count; i++) {
        const bool zero = nl_random_uniform(key, (uint64_t)(2 * i)) >= share;
        const double v = 2 * nl_random_uniform(key, (uint64_t)(2 * i + 1)) - 1;
        p[i] = !zero ? (nl_real)v : i % 3 ? (nl_real)0 : -(nl_real)0;
    }
    return p;
}

static nl_real *copy_of(const nl_real *from, int64_t count)
{
    nl_real *to = nl_alloc((size_t)count, sizeof *to);
    ck_assert_ptr_nonnull(to);
    memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

static void expect_bytes(const nl_real *seen, const nl_real *wanted, int64_t count)
{
    int64_t i = 0;
    while (i < count && memcmp(seen + i, wanted + i, sizeof *seen) == 0)
        i++;
    ck_assert_msg(i == count, "value %d is %.9g, expected %.9g", (int)i, (double)seen[i],
                  (double)wanted[i]);
}

/* ---- kernels */

static const nl_sparse_gemm_kernels *const kernels[] = {&nl_sparse_gemm_base, &nl_sparse_gemm_avx2,
                                                        &nl_sparse_gemm_avx512};
static const nl_small_gemm_kernels *const dense[] = {&nl_small_gemm_base, &nl_small_gemm_avx2,
                                                     &nl_small_gemm_avx512};

START_TEST(what_is_not_zero_is_found_in_order)
{
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int64_t depth = 1; depth <= DEPTH; depth++) {
            nl_real *a = drawn(2 * depth, shares[depth % SHARES], (uint64_t)depth);
            a[0] = NAN;
            nl_nonzeros seen[2];
            kernels[v]->find(2, depth, a, depth, seen);
            for (int64_t i = 0; i < 2; i++) {
                int64_t count = 0;
                for (int64_t p = 0; p < depth; p++)
                    if (a[i * depth + p] != 0)
                        ck_assert_int_eq(seen[i].at[count++], p);
                ck_assert_int_eq(seen[i].count, count);
            }
            nl_free(a);
        }
}
END_TEST

START_TEST(packing_copies_and_tells_what_is_not_finite)
{
    static const nl_real bad[] = {INFINITY, -INFINITY, NAN};
    const int64_t depth = 3, ld = COLUMNS + 5;
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int64_t n = 1; n <= COLUMNS; n++) {
            nl_real *b = drawn(depth * ld, 0.9, (uint64_t)n), to[3 * COLUMNS] = {0};
            b[(depth - 1) * ld + n] = NAN; /* beyond */
            ck_assert(kernels[v]->pack(depth, n, b, ld, to));
            for (int64_t p = 0; p < depth; p++) {
                expect_bytes(to + p * COLUMNS, b + p * ld, n);
                for (int64_t j = n; j < COLUMNS; j++)
                    ck_assert(to[p * COLUMNS + j] == 0);
            }
            ck_assert(kernels[v]->pack(depth, COLUMNS, to, COLUMNS, to));
            for (int64_t j = 0; j < n; j++) {
                const nl_real was = b[j % depth * ld + j];
                b[j % depth * ld + j] = bad[j % 3];
                ck_assert(!kernels[v]->pack(depth, n, b, ld, to));
                b[j % depth * ld + j] = was;
            }
            nl_free(b);
        }
}
END_TEST

START_TEST(every_variant_gives_the_bytes_of_the_product_with_all_terms)
{
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int64_t n = 1; n <= COLUMNS; n += n < COLUMNS - 7 ? 7 : 1)
            for (int s = 0; s < SHARES; s++) {
                const int64_t m = 1 + n % 9, depth = 1 + (n * 37 + s * 11) % DEPTH, lda = depth + 3;
                nl_real *a = drawn(m * lda, shares[s], (uint64_t)n);
                nl_real *b = drawn(depth * COLUMNS, 0.9, (uint64_t)s);
                nl_real *c = drawn(m * n, 0.5, 3), *wanted = copy_of(c, m * n);
                nl_nonzeros at[9];
                a[0] = s % 2 ? NAN : INFINITY;
                kernels[v]->find(m, depth, a, lda, at);
                for (int add = 0; add < 2; add++) {
                    kernels[v]->multiply(m, n, a, lda, at, b, c, n, add,
                                         (nl_rows_ahead){b, 3, 100, 1 << 20});
                    dense[v]->multiply(m, n, depth, (nl_strided){a, lda, 1}, b, COLUMNS, wanted, n,
                                       add, (nl_ahead){0});
                    expect_bytes(c, wanted, m * n);
                }
                nl_free(a);
                nl_free(b);
                nl_free(c);
                nl_free(wanted);
            }
}
END_TEST

/* Without terms -0 + a sum stays -0; with the term 0 b it may be 0. */
START_TEST(a_zero_has_no_sign)
{
    const nl_real zero = 0, minus = -(nl_real)0, a[2] = {minus, 0};
    const nl_nonzeros none = {0};
    for (int v = 0; v <= (int)nl_cpu_level(); v++) {
        nl_real b[2 * COLUMNS] = {0}, one[COLUMNS], other[COLUMNS];
        for (int j = 0; j < COLUMNS; j++)
            one[j] = other[j] = minus;
        kernels[v]->multiply(1, COLUMNS, a, 2, &none, b, one, COLUMNS, true, (nl_rows_ahead){0});
        dense[v]->multiply(1, COLUMNS, 1, (nl_strided){a, 2, 1}, b, COLUMNS, other, COLUMNS, true,
                           (nl_ahead){0});
        for (int j = 0; j < COLUMNS; j++) {
            expect_bytes(one + j, &zero, 1);
            expect_bytes(other + j, &zero, 1);
        }
    }
}
END_TEST

/* ---- products */

typedef struct problem {
    int64_t r, k, o, ldx, ldy;
    nl_real *x, *w, *y, *out_x, *out_w, *out_y;
} problem;

static problem made(const int64_t *size, double of_x, double of_y)
{
    problem p = {.r = size[0], .k = size[1], .o = size[2]};
    p.ldx = p.k + 5;
    p.ldy = p.o + 2;
    p.x = drawn(p.r * p.ldx, of_x, 1);
    p.w = drawn(p.k * p.o, 0.99, 2);
    p.y = drawn(p.r * p.ldy, of_y, 3);
    p.out_x = drawn(p.r * p.ldx, 0.7, 4);
    p.out_w = drawn(p.k * p.o, 0.7, 5);
    p.out_y = drawn(p.r * p.ldy, 0.7, 6);
    return p;
}

static problem twin_of(const problem *p)
{
    problem twin = *p;
    twin.out_x = copy_of(p->out_x, p->r * p->ldx);
    twin.out_w = copy_of(p->out_w, p->k * p->o);
    twin.out_y = copy_of(p->out_y, p->r * p->ldy);
    return twin;
}

static void free_results(problem *p)
{
    nl_free(p->out_x);
    nl_free(p->out_w);
    nl_free(p->out_y);
}

static void free_problem(problem *p)
{
    nl_free(p->x);
    nl_free(p->w);
    nl_free(p->y);
    free_results(p);
}

/* Each element by one chain over all terms. */
static void multiply_every_term(problem *p, bool add)
{
    const nl_small_gemm_kernels *all = nl_small_gemm();
    nl_real *turned = nl_alloc((size_t)(p->k * p->o), sizeof *turned);
    ck_assert_ptr_nonnull(turned);
    all->multiply(p->r, p->o, p->k, (nl_strided){p->x, p->ldx, 1}, p->w, p->o, p->out_y, p->ldy,
                  add, (nl_ahead){0});
    all->multiply(p->k, p->o, p->r, (nl_strided){p->x, 1, p->ldx}, p->y, p->ldy, p->out_w, p->o,
                  add, (nl_ahead){0});
    all->transpose(p->k, p->o, p->w, p->o, turned, p->k);
    all->multiply(p->r, p->k, p->o, (nl_strided){p->y, p->ldy, 1}, turned, p->k, p->out_x, p->ldx,
                  add, (nl_ahead){0});
    nl_free(turned);
}

static void multiply(problem *p, bool add)
{
    nl_gemm *g;
    ck_assert_int_eq(nl_gemm_open(&g, p->r, p->k, p->o, true), NL_OK);
    nl_gemm_nn(g, p->r, p->x, p->ldx, p->w, p->out_y, p->ldy, add);
    nl_gemm_tn(g, p->r, p->x, p->ldx, p->y, p->ldy, p->out_w, add);
    nl_gemm_nt(g, p->r, p->y, p->ldy, p->w, p->out_x, p->ldx, add);
    nl_gemm_close(g);
}

static void expect_same_results(const problem *seen, const problem *wanted)
{
    expect_bytes(seen->out_y, wanted->out_y, seen->r * seen->ldy);
    expect_bytes(seen->out_w, wanted->out_w, seen->k * seen->o);
    expect_bytes(seen->out_x, wanted->out_x, seen->r * seen->ldx);
}

static void expect_bytes_of_every_term(problem *p)
{
    problem wanted = twin_of(p);
    for (int add = 0; add < 2; add++) {
        multiply_every_term(&wanted, add);
        for (int threads = 1; threads <= 4; threads *= 2) {
            problem seen = twin_of(p);
            nl_threads_set(threads);
            for (int calls = 0; calls <= add; calls++)
                multiply(&seen, calls);
            expect_same_results(&seen, &wanted);
            free_results(&seen);
        }
    }
    nl_threads_set(1);
    free_results(&wanted);
}

static const int64_t sizes[][3] = {
    {129, 260, 530}, {40, 700, 650}, {300, 129, 450}, {64, 1030, 300}};
enum { SIZES = sizeof sizes / sizeof *sizes };

START_TEST(products_give_the_bytes_of_every_term)
{
    for (int s = 0; s < SHARES; s++) {
        problem p = made(sizes[_i], shares[s], shares[(s + 2) % SHARES]);
        expect_bytes_of_every_term(&p);
        free_problem(&p);
    }
}
END_TEST

START_TEST(infinity_times_zero_stays_nan)
{
    static const nl_real bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        problem p = made(sizes[_i], 0.3, 0.3);
        p.w[p.k / 2 * p.o + p.o - 1] = bad[i];
        p.x[p.r / 2 * p.ldx + 3] = bad[i];
        p.y[(p.r - 1) * p.ldy] = bad[i];
        expect_bytes_of_every_term(&p);
        free_problem(&p);
        p = made(sizes[_i], 0.3, 0.3);
        p.w[p.k / 2 * p.o + p.o - 1] = bad[i];
        multiply(&p, false);
        for (int64_t row = 0; row < p.r; row++) { /* whatever x is there, or zero */
            const nl_real x = p.x[row * p.ldx + p.k / 2], y = p.out_y[row * p.ldy + p.o - 1];
            ck_assert(x == 0 || isnan(bad[i]) ? isnan(y) : isinf(y));
        }
        free_problem(&p);
    }
}
END_TEST

/* nn of a problem, or with x standing for its transpose. */
static nl_sparse_product nn_of(const problem *p)
{
    return (nl_sparse_product){.m = p->r,
                               .n = p->o,
                               .p = p->k,
                               .a = {p->x, p->ldx, 1},
                               .b = {p->w, p->o, 1},
                               .c = p->out_y,
                               .ldc = p->ldy};
}

START_TEST(terms_are_left_out_where_many_are_zero_and_the_product_is_large)
{
    const bool can = nl_sparse_gemm()->pays_below > 0;
    problem p = made(sizes[_i], 0.2, 1);
    nl_sparse_product q = nn_of(&p);
    ck_assert_int_eq(nl_gemm_sparse(&q), can);
    q.n = COLUMNS - 1;
    ck_assert(!nl_gemm_sparse(&q));
    q = nn_of(&p);
    q.m = 8;
    ck_assert(!nl_gemm_sparse(&q));
    free_problem(&p);
    p = made(sizes[_i], 0.9, 0.1);
    for (int64_t i = 0; i < p.k * p.o; i++)
        p.w[i] = 0; /* B does not count */
    q = nn_of(&p);
    ck_assert(!nl_gemm_sparse(&q));
    free_problem(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gemm_sparse");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, what_is_not_zero_is_found_in_order);
    tcase_add_test(t, packing_copies_and_tells_what_is_not_finite);
    tcase_add_test(t, every_variant_gives_the_bytes_of_the_product_with_all_terms);
    tcase_add_test(t, a_zero_has_no_sign);
    tcase_add_loop_test(t, products_give_the_bytes_of_every_term, 0, SIZES);
    tcase_add_loop_test(t, infinity_times_zero_stays_nan, 0, SIZES);
    tcase_add_loop_test(t, terms_are_left_out_where_many_are_zero_and_the_product_is_large, 0,
                        SIZES);
    suite_add_tcase(s, t);
    return run_suite(s);
}
