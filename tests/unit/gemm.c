/* Matrix products against sums in long double: every kind, ragged sizes, strides, adding, threads.
 */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/gemm.h"
#include "kernel/small_gemm.h"
#include "par/par.h"
#include "suite.h"

static const double unit = sizeof(nl_real) == 4 ? FLT_EPSILON : DBL_EPSILON;

/* Deterministic values in [-1, 1] that are no round numbers. */
static nl_real value(int64_t i) { return (nl_real)sin(0.7 + 1.3 * (double)(i % 9973)); }

static nl_real *filled(int64_t count, int64_t seed)
{
    nl_real *p = nl_alloc((size_t)count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (int64_t i = 0; i < count; i++)
        p[i] = value(i + 31 * seed);
    return p;
}

/* The arrays of one problem; x, w and y as the layer sees them, and what each product gives. */
typedef struct problem {
    int64_t rows, k, o, ldx, ldy;
    nl_real *x, *w, *y, *out_x, *out_w, *out_y;
    nl_gemm *g;
} problem;

static problem opened(int64_t rows, int64_t k, int64_t o, int64_t gap)
{
    problem p = {.rows = rows, .k = k, .o = o, .ldx = k + gap, .ldy = o + 2 * gap};
    p.x = filled(rows * p.ldx, 1);
    p.w = filled(k * o, 2);
    p.y = filled(rows * p.ldy, 3);
    p.out_x = filled(rows * p.ldx, 4);
    p.out_w = filled(k * o, 5);
    p.out_y = filled(rows * p.ldy, 6);
    ck_assert_int_eq(nl_gemm_open(&p.g, rows, k, o, true), NL_OK);
    return p;
}

static void closed(problem *p)
{
    nl_free(p->x);
    nl_free(p->w);
    nl_free(p->y);
    nl_free(p->out_x);
    nl_free(p->out_w);
    nl_free(p->out_y);
    nl_gemm_close(p->g);
}

static void multiply_all(problem *p, int64_t r, bool add)
{
    nl_gemm_nn(p->g, r, p->x, p->ldx, p->w, p->out_y, p->ldy, add);
    nl_gemm_tn(p->g, r, p->x, p->ldx, p->y, p->ldy, p->out_w, add);
    nl_gemm_nt(p->g, r, p->y, p->ldy, p->w, p->out_x, p->ldx, add);
}

/* c (m, n) against start + a b, where element (i, p) of a is a[i * arow + p * acol], and so on. The
 * bound is that of a serial sum of `depth` products. */
static void expect(const char *what, const nl_real *c, const nl_real *start, int64_t m, int64_t n,
                   int64_t ldc, int64_t depth, const nl_real *a, int64_t arow, int64_t acol,
                   const nl_real *b, int64_t brow, int64_t bcol)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            long double sum = start ? start[i * ldc + j] : 0, size = fabsl(sum);
            for (int64_t p = 0; p < depth; p++) {
                const long double term =
                    (long double)a[i * arow + p * acol] * b[p * brow + j * bcol];
                sum += term;
                size += fabsl(term);
            }
            const double bound = unit * (1 + sqrt((double)depth)) * (double)size;
            const double seen = (double)c[i * ldc + j];
            ck_assert_msg(fabs(seen - (double)sum) <= bound,
                          "%s (%d x %d, %d terms) at %d, %d: %.17g, expected %.17g within %g", what,
                          (int)m, (int)n, (int)depth, (int)i, (int)j, seen, (double)sum, bound);
        }
}

static nl_real *copy_of(const nl_real *from, int64_t count)
{
    nl_real *to = nl_alloc((size_t)count, sizeof *to);
    memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

static void expect_all(problem *p, int64_t r, bool add)
{
    nl_real *sx = copy_of(p->out_x, p->rows * p->ldx), *sw = copy_of(p->out_w, p->k * p->o);
    nl_real *sy = copy_of(p->out_y, p->rows * p->ldy);
    multiply_all(p, r, add);
    expect("nn", p->out_y, add ? sy : NULL, r, p->o, p->ldy, p->k, p->x, p->ldx, 1, p->w, p->o, 1);
    expect("tn", p->out_w, add ? sw : NULL, p->k, p->o, p->o, r, p->x, 1, p->ldx, p->y, p->ldy, 1);
    expect("nt", p->out_x, add ? sx : NULL, r, p->k, p->ldx, p->o, p->y, p->ldy, 1, p->w, 1, p->o);
    /* Rows beyond r and the gaps between rows are left alone. */
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = i < r ? p->o : 0; j < p->ldy; j++)
            ck_assert(p->out_y[i * p->ldy + j] == sy[i * p->ldy + j]);
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = i < r ? p->k : 0; j < p->ldx; j++)
            ck_assert(p->out_x[i * p->ldx + j] == sx[i * p->ldx + j]);
    nl_free(sx);
    nl_free(sw);
    nl_free(sy);
}

static const int64_t ragged[] = {1, 3, 10, 17, 100};

START_TEST(ragged_sizes_agree_with_plain_sums)
{
    for (int64_t r = 1; r <= 70; r++) {
        problem p = opened(r, ragged[_i], ragged[r % 5], 0);
        expect_all(&p, r, r % 2);
        expect_all(&p, r, (r + 1) % 2);
        closed(&p);
    }
}
END_TEST

START_TEST(rows_with_a_stride_agree_with_plain_sums)
{
    for (int64_t r = 1; r <= 70; r += 3) {
        problem p = opened(r, ragged[_i], ragged[r % 5], 1 + r % 20);
        expect_all(&p, r, r % 2);
        closed(&p);
    }
}
END_TEST

START_TEST(a_plan_serves_fewer_rows_than_it_was_made_for)
{
    problem p = opened(130, 70, 140, 0);
    for (int64_t r = 0; r <= 130; r += r < 10 ? 1 : 17)
        expect_all(&p, r, r % 2);
    closed(&p);
}
END_TEST

START_TEST(large_products_agree_with_plain_sums)
{
    problem p = opened(500, 520, 270, 0);
    expect_all(&p, 500, false);
    expect_all(&p, 499, true);
    closed(&p);
}
END_TEST

START_TEST(few_rows_of_a_large_matrix_go_by_halves_and_agree)
{
    problem p = opened(30, 590, 60, 3);
    expect_all(&p, 30, false);
    expect_all(&p, 7, true);
    closed(&p);
}
END_TEST

START_TEST(a_long_reduction_is_split_and_agrees)
{
    problem p = opened(5000, 9, 20, 0);
    expect_all(&p, 5000, false);
    expect_all(&p, 4097, true);
    expect_all(&p, 1, true);
    closed(&p);
}
END_TEST

START_TEST(a_reduction_in_pieces_agrees)
{
    problem p = opened(40, 2500, 70, 0);
    expect_all(&p, 40, false);
    expect_all(&p, 33, true);
    closed(&p);
    p = opened(70, 80, 1100, 3);
    expect_all(&p, 70, true);
    closed(&p);
}
END_TEST

/* Of few rows y is turned, of many w. */
START_TEST(whichever_operand_is_turned_the_bytes_are_the_same)
{
    const int64_t rows = 150, k = 700, o = 600, most = rows * k;
    problem p = opened(rows, k, o, 0);
    expect_all(&p, rows, true);
    for (int64_t r = 0; r <= rows; r += 30)
        for (int add = 0; add < 2; add++) {
            nl_real *x = copy_of(p.out_x, most);
            nl_gemm_nt(p.g, r, p.y, o, p.w, x, k, add);
            nl_gemm_turn(p.g, p.w);
            nl_gemm_nt_turned(p.g, r, p.y, o, p.out_x, k, add);
            ck_assert_mem_eq(x, p.out_x, (size_t)most * sizeof *x);
            nl_free(x);
        }
    closed(&p);
}
END_TEST

START_TEST(turned_weights_serve_several_products)
{
    problem p = opened(20, 30, 40, 0);
    nl_gemm_turn(p.g, p.w);
    nl_gemm_nt_turned(p.g, 20, p.y, 40, p.out_x, 30, false);
    nl_real *first = copy_of(p.out_x, 20 * 30);
    memset(p.w, 0, 30 * 40 * sizeof *p.w);
    nl_gemm_nt_turned(p.g, 20, p.y, 40, p.out_x, 30, false);
    ck_assert_mem_eq(first, p.out_x, 20 * 30 * sizeof *first);
    nl_free(first);
    closed(&p);
}
END_TEST

static const int64_t shared[][3] = {{130, 300, 260}, {64, 100, 100}, {6000, 9, 20},
                                    {33, 17, 700},   {70, 300, 280}, {30, 590, 60}};

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    const int64_t *size = shared[_i];
    problem p = opened(size[0], size[1], size[2], 0);
    nl_real *first[3] = {NULL};
    nl_par_ignore_work(true);
    for (int threads = 1; threads <= 5; threads++) {
        nl_threads_set(threads);
        nl_par_workers_seen();
        multiply_all(&p, p.rows, false);
        const nl_real *out[] = {p.out_x, p.out_w, p.out_y};
        const int64_t count[] = {p.rows * p.k, p.k * p.o, p.rows * p.o};
        ck_assert(threads == 1 || nl_par_workers_seen() > 1);
        for (int i = 0; i < 3; i++) {
            if (threads == 1)
                first[i] = copy_of(out[i], count[i]);
            ck_assert_mem_eq(first[i], out[i], (size_t)count[i] * sizeof *first[i]);
        }
    }
    nl_par_ignore_work(false);
    nl_threads_set(1);
    for (int i = 0; i < 3; i++)
        nl_free(first[i]);
    closed(&p);
}
END_TEST

START_TEST(few_rows_are_cut_at_the_panel_that_columns_nearly_fill)
{
    const int64_t panel = 256 / (int64_t)sizeof(nl_real), columns = 2 * panel - panel / 4;
    problem p = opened(25, 40, columns, 0);
    nl_par_ignore_work(true);
    nl_threads_set(2);
    nl_par_workers_seen();
    nl_gemm_nn(p.g, 25, p.x, 40, p.w, p.out_y, columns, false);
    ck_assert_int_eq(nl_par_workers_seen(), 2);
    nl_threads_set(1);
    nl_par_ignore_work(false);
    closed(&p);
}
END_TEST

static void expect_rows_alone(int64_t rows, int64_t k, int64_t o)
{
    problem p = opened(rows, k, o, 0);
    nl_gemm_nn(p.g, rows, p.x, k, p.w, p.out_y, o, false);
    nl_real *alone = nl_alloc((size_t)o, sizeof *alone);
    for (int64_t r = 0; r < rows; r++) {
        nl_gemm_nn(p.g, 1, p.x + r * k, k, p.w, alone, o, false);
        ck_assert_mem_eq(alone, p.out_y + r * o, (size_t)o * sizeof *alone);
    }
    nl_free(alone);
    closed(&p);
}

START_TEST(a_row_does_not_depend_on_the_rows_beside_it)
{
    expect_rows_alone(77, 90, 50);
    expect_rows_alone(30, 590, 60); /* in halves */
}
END_TEST

START_TEST(nan_and_infinity_pass_through)
{
    problem p = opened(7, 5, 6, 0);
    p.x[2 * 5 + 3] = NAN;
    p.out_y[0] = NAN; /* overwritten, not multiplied by 0 */
    nl_gemm_nn(p.g, 7, p.x, 5, p.w, p.out_y, 6, false);
    for (int64_t i = 0; i < 7 * 6; i++)
        ck_assert_int_eq(isnan(p.out_y[i]) != 0, i / 6 == 2);
    closed(&p);
}
END_TEST

START_TEST(work_allocates_nothing)
{
    problem p = opened(3000, 20, 30, 0);
    const long calls = nl_alloc_calls();
    for (int64_t r = 3000; r > 0; r -= 371)
        multiply_all(&p, r, true);
    ck_assert_int_eq(nl_alloc_calls(), calls);
    closed(&p);
}
END_TEST

START_TEST(set_up_says_what_is_wrong_and_leaves_nothing_behind)
{
    nl_gemm *g;
    ck_assert_int_eq(nl_gemm_open(&g, 4, 0, 3, false), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(),
                     "gemm: 4 rows of 0 inputs and 3 outputs, at least 1 of each wanted");
    const long live = nl_alloc_live();
    for (int k = 0; k < 3; k++) {
        nl_alloc_fail_at(k);
        ck_assert_int_eq(nl_gemm_open(&g, 5000, 9, 20, true), NL_ENOMEM);
        ck_assert_ptr_null(g);
        ck_assert_int_eq(nl_alloc_live(), live);
    }
    nl_alloc_fail_at(-1);
    nl_gemm_close(NULL);
}
END_TEST

START_TEST(every_variant_of_the_kernel_agrees)
{
    const nl_small_gemm_kernels *all[] = {&nl_small_gemm_base, &nl_small_gemm_avx2,
                                          &nl_small_gemm_avx512};
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (int64_t n = 1; n < 150; n += 13)
            for (int64_t m = 1; m < 16; m++) {
                nl_real *a = filled(m * 23, v), *b = filled(23 * n, v + 1),
                        *c = filled(m * n, v + 2);
                nl_real *t = filled(m * n, 0);
                all[v]->multiply(m, n, 23, (nl_strided){a, 23, 1}, b, n, c, n, false,
                                 (nl_ahead){.from = a, .turns = 3, .turn = 64, .step = 1 << 20});
                expect(nl_cpu_name((nl_cpu)v), c, NULL, m, n, n, 23, a, 23, 1, b, n, 1);
                all[v]->transpose(m, n, c, n, t, m);
                for (int64_t i = 0; i < m * n; i++)
                    ck_assert(t[i % n * m + i / n] == c[i]);
                all[v]->transpose(n, m, c, m, t, n);
                for (int64_t i = 0; i < m * n; i++)
                    ck_assert(t[i % m * n + i / m] == c[i]);
                nl_free(a);
                nl_free(b);
                nl_free(c);
                nl_free(t);
            }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gemm");
    TCase *products = tcase_create("products");
    tcase_set_tags(products, "one_thread");
    tcase_set_timeout(products, 300);
    tcase_add_loop_test(products, ragged_sizes_agree_with_plain_sums, 0, 5);
    tcase_add_loop_test(products, rows_with_a_stride_agree_with_plain_sums, 0, 5);
    tcase_add_test(products, a_plan_serves_fewer_rows_than_it_was_made_for);
    tcase_add_test(products, large_products_agree_with_plain_sums);
    tcase_add_test(products, few_rows_of_a_large_matrix_go_by_halves_and_agree);
    tcase_add_test(products, a_long_reduction_is_split_and_agrees);
    tcase_add_test(products, a_reduction_in_pieces_agrees);
    tcase_add_test(products, whichever_operand_is_turned_the_bytes_are_the_same);
    tcase_add_test(products, turned_weights_serve_several_products);
    tcase_add_test(products, a_row_does_not_depend_on_the_rows_beside_it);
    tcase_add_test(products, nan_and_infinity_pass_through);
    tcase_add_test(products, work_allocates_nothing);
    tcase_add_test(products, set_up_says_what_is_wrong_and_leaves_nothing_behind);
    tcase_add_test(products, every_variant_of_the_kernel_agrees);
    suite_add_tcase(s, products);
    TCase *threads = tcase_create("threads");
    tcase_set_timeout(threads, 300);
    tcase_add_loop_test(threads, any_number_of_threads_gives_the_same_bytes, 0, 6);
    tcase_add_test(threads, few_rows_are_cut_at_the_panel_that_columns_nearly_fill);
    suite_add_tcase(s, threads);
    return run_suite(s);
}
