/* show.h: one run for the terminal: outcome, final numbers, learning curves, layers, parameters. */
#ifndef NL_SHOW_H
#define NL_SHOW_H

#include "analysis/rundata.h"
#include "base/text.h"

void nl_show_run(const nl_rundata *run, nl_text *out);

#endif
