/* report.h: a comparison as one HTML page that opens offline: no script, no reference to anything
 * outside. The same runs give the same bytes (figures: of the same gnuplot). */
#ifndef NL_REPORT_H
#define NL_REPORT_H

#include "analysis/compare.h"

/* Where gnuplot is missing or fails, the page says so and has its tables alone. */
nl_status nl_report_page(const nl_compare *c, nl_text *out) NL_CHECKED;
nl_status nl_report_write(const nl_compare *c, const char *path) NL_CHECKED;

#endif
