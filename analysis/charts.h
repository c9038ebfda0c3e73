/* charts.h: what the page of a comparison draws, as data: one JSON object that page/page.js turns
 * into pictures. Series are thinned; what a run did not log makes no chart. */
#ifndef NL_CHARTS_H
#define NL_CHARTS_H

#include "analysis/compare.h"
#include "analysis/published.h"

/* Appends
 *     {"methods": [{"label", "spec", "colour"}], "baseline": index, "level", "t": [..],
 *      "runs": [{"m", "seed"}],
 *      "charts": [{"section", "layer", "title", "note", "kind", "unit", "log", "ref", "series"}]}
 * t[n] is the factor of the standard error of n values in an interval of the comparison's level.
 * Kinds of charts, and their series, one a run "r" (an index into runs) with the steps "x":
 *     line      "y": one value a step
 *     bands     "q": five growing values a step, the outer ones light, the middle one a line
 *     heat      "y": the values of each step, over "rows", the labels of the chart's ordinate
 * A chart of a channel with published curves has "published": [{"m", "x", "y"}], drawn as points;
 * published may be NULL. */
void nl_charts_json(const nl_compare *c, const nl_published *published, nl_text *out);

#endif
