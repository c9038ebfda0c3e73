/* grid.h: methods x seeds, from words of which some keys besides the seed have several values. */
#ifndef NL_GRID_H
#define NL_GRID_H

#include "train/spec.h"

enum { NL_GRID_ANY = 64 }; /* as many varied keys as there are */

typedef struct nl_grid {
    int methods, seeds;
    nl_run_spec *run; /* run[method * seeds + seed]; owned */
    nl_string *label; /* of each method: what sets it apart; owned */
} nl_grid;

/* At most varied_max keys besides the seed may have several values. Every run is parsed and checked
 * before any is started; two methods that are the same run are refused. On failure nothing is left
 * allocated. */
nl_status nl_grid_make(const nl_words *words, int varied_max, nl_grid *out) NL_CHECKED;
void nl_grid_free(nl_grid *g);

#endif
