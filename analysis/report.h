/* report.h: a comparison, or a study of several tasks, as one HTML page that opens offline, with no
 * reference to anything outside. Its pictures are charts that a reader can filter and save
 * (page/page.js), or, where the build had no npm, drawings by gnuplot without any script. The same
 * runs give the same bytes. */
#ifndef NL_REPORT_H
#define NL_REPORT_H

#include "analysis/published.h"
#include "analysis/study.h"

typedef enum nl_pictures { NL_DRAWINGS, NL_CHARTS } nl_pictures;

/* What this build can do best. */
nl_pictures nl_report_pictures(void);

/* Where gnuplot is missing or fails, a page of drawings says so and has its tables alone.
 * published: a paper's claims, measured, and its curves to draw beside ours; or NULL. */
nl_status nl_report_page(const nl_compare *c, const nl_published *published, nl_pictures pictures,
                         nl_text *out) NL_CHECKED;
nl_status nl_report_write(const nl_compare *c, const nl_published *published,
                          const char *path) NL_CHECKED;

/* A study of one task has the page of its comparison. */
nl_status nl_report_study_page(const nl_study *s, nl_pictures pictures, nl_text *out) NL_CHECKED;
nl_status nl_report_study_write(const nl_study *s, const char *path) NL_CHECKED;

#endif
