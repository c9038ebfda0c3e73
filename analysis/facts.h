/* facts.h: what a run is, key by key: its canonical spec with nested specs taken apart, so that
 * "optimizer=sgd:lr=0.1" is optimizer = sgd and optimizer.lr = 0.1. */
#ifndef NL_FACTS_H
#define NL_FACTS_H

#include <stdint.h>

#include "base/text.h"

typedef struct nl_facts {
    nl_text bytes;
    struct nl_fact {
        const char *key, *value;
    } * at; /* in the order of the spec; owned */
    int64_t count;
} nl_facts;

nl_status nl_facts_read(nl_facts *out, const char *spec) NL_CHECKED;
void nl_facts_free(nl_facts *f);

/* The value of a key; NULL where there is none. */
const char *nl_facts_find(const nl_facts *f, const char *key);

#endif
