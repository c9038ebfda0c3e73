/* pagedata.h: what a page draws, as data: one JSON object that page/page.js turns into pictures. */
#ifndef NL_PAGEDATA_H
#define NL_PAGEDATA_H

#include "analysis/charts.h"
#include "analysis/published.h"

/* Appends
 *     {"methods": [{"label", "spec", "colour"}], "tasks": ["label"],
 *      "level", "least_seeds", "t": [..], "runs": [{"m", "seed"}],
 *      "charts": [{"name", "section", "task", "of", "title", "note", "kind", "unit", "log",
 *                  "ref"}]}
 * t[n] is the factor of the standard error of n values in an interval of that level. A chart's task
 * is null where it is of all. Kinds, and what they have besides:
 *     line      "x": [[..]], the steps there are, and "series": [{"r", "x", "y"}], one a run r (an
 *               index into runs) with the number of its steps and a value each
 *     bands     the same, five growing values each
 *     heat      the same, many values each, and "rows", the labels of the ordinate
 *     ridges    the same, a density for each of as many cells, and "span", their two ends
 *     forest    "rows": [{"m", "mean", "low", "high", "values"}]
 *     view      "values": the labels of the abscissa, "rows": [{"m", "k", "mean", "low", "high",
 *               "runs", "diverged"}], k an index into values
 * A chart of a channel with published curves has "published": [{"m", "x", "y"}].
 *
 * charts: of one comparison, or first of a study and then of each of its tasks. published: NULL, or
 * the curves to be drawn beside those of one comparison. */
nl_status nl_pagedata_add(const nl_charts *charts, int64_t count, const nl_published *published,
                          nl_text *out) NL_CHECKED;

#endif
