/* suite.h: how every test program ends. */
#ifndef NL_TEST_SUITE_H
#define NL_TEST_SUITE_H

#include <check.h>

/* Runs and frees the suite; what main returns: 0 when every test passed. */
static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
