/* The bandwidth loops do what their names say, ragged lengths included. */
#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/limit.h"
#include "suite.h"

START_TEST(every_loop_of_every_variant_does_its_work)
{
    enum { MOST = 300 };
    const nl_limit_kernels *all[] = {&nl_limits_base, &nl_limits_avx2, &nl_limits_avx512};
    nl_real *a = nl_alloc(MOST, sizeof *a), *b = nl_alloc(MOST, sizeof *b);
    nl_real *c = nl_alloc(MOST, sizeof *c);
    for (int v = 0; v <= (int)nl_cpu_level(); v++)
        for (const nl_limit *loop = all[v]->loops; loop->name; loop++)
            for (int n = 1; n < MOST; n++) {
                nl_real total = 0;
                for (int i = 0; i < MOST; i++) {
                    a[i] = -1;
                    b[i] = (nl_real)(i % 7);
                    c[i] = (nl_real)(4 * (i % 3));
                    total += i < n ? b[i] : 0;
                }
                const nl_real got = loop->run(a, b, c, n);
                ck_assert(got == (loop->arrays == 1 ? total : a[0]));
                for (int i = 0; i < MOST; i++) {
                    const nl_real wanted = loop->arrays == 2 ? b[i] : b[i] + (nl_real)0.75 * c[i];
                    ck_assert(a[i] == (i < n && loop->arrays > 1 ? wanted : -1));
                }
            }
    nl_free(a);
    nl_free(b);
    nl_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("limit");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_loop_of_every_variant_does_its_work);
    suite_add_tcase(s, t);
    return run_suite(s);
}
