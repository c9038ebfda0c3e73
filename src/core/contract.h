/* contract.h: what every normalization method must keep, checked on a registered method.
 *
 * The checks walk the method's tables and know none by name: gradients against differences, masks,
 * time, population statistics and their sources, promises, threads, memory. Gradients mean most in
 * the double build. A method passes as it is, and with any options in its spec. */
#ifndef NL_CONTRACT_H
#define NL_CONTRACT_H

#include <stdbool.h>

#include "base/status.h"

typedef enum nl_verdict { NL_KEPT, NL_BROKEN, NL_NOT_ASKED } nl_verdict;

/* One property: its name, what it says, the verdict, and of the first failing case what was
 * expected, what was seen, the bound, the place and the seed (or why it was not asked). */
typedef struct nl_finding {
    const char *property, *says, *detail;
    nl_verdict verdict;
    int cases, failures;
} nl_finding;

/* Checks the method of a spec, calling report after each property. *broken counts the properties
 * that failed. Fails itself where the method cannot be opened at all or memory runs out. Sets the
 * number of threads while it runs and puts it back; not to be called from two threads at once. */
nl_status nl_contract_check(const char *spec, void (*report)(void *to, const nl_finding *f),
                            void *to, int *broken) NL_CHECKED;

#endif
