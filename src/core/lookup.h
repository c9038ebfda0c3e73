/* lookup.h: parameters of many rows of which a step reads few, as an embedding: flag NL_BY_ROW.
 *
 * The layer says which rows it is about to read, and to which rows' gradients it is about to add;
 * all other rows have gradient 0. So an optimizer may let the rows that nobody reads lag behind
 * and bring them up to date when somebody does (optim_rows.c). Whoever reads a table calls
 * nl_lookup_read first, for the rows he reads or for all. */
#ifndef NL_LOOKUP_H
#define NL_LOOKUP_H

#include "core/store.h"

/* Who brings rows up to date: row (count), each once; NULL stands for all. */
typedef void nl_lookup_update(void *who, const int64_t *row, int64_t count);

typedef struct nl_lookup {
    int64_t *touched, count; /* ascending, each once: rows whose gradient may differ from 0 */
    int64_t *spare;
    nl_lookup_update *update; /* NULL: no row ever lags behind */
    void *who;
} nl_lookup;

nl_status nl_lookup_open(nl_lookup **out, const nl_item *it) NL_CHECKED;
void nl_lookup_close(nl_lookup *t); /* NULL is fine */

/* Makes these rows the touched ones and sets their gradients to 0, as those of the former ones;
 * with `more` the former ones stay touched, with their gradients. row is ascending, each once. */
void nl_lookup_touch(nl_item *it, const int64_t *row, int64_t count, bool more);

/* These rows' values are up to date afterwards. */
void nl_lookup_read(const nl_item *it, const int64_t *row, int64_t count);
void nl_lookup_read_all(nl_store *s); /* of every table in the store */

#endif
