/* grid.h: methods x seeds, from words of which one or two keys besides the seed have several
 * values. */
#ifndef NL_GRID_H
#define NL_GRID_H

#include "train/spec.h"

typedef struct nl_grid {
    int methods, seeds;
    nl_run_spec *run; /* run[method * seeds + seed]; owned */
    nl_string *label; /* of each method: what sets it apart; owned */
} nl_grid;

/* Every run is parsed and checked before any is started; two methods that are the same run are
 * refused. On failure nothing is left allocated. */
nl_status nl_grid_make(const nl_words *words, nl_grid *out) NL_CHECKED;
void nl_grid_free(nl_grid *g);

#endif
