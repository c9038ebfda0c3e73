/* page.h: the page of a comparison, beside the folders of its runs. */
#ifndef NL_CLI_PAGE_H
#define NL_CLI_PAGE_H

#include <stdio.h>

#include "analysis/report.h"

/* Writes FOLDER/report-HASH.html, the same runs under the same name, makes FOLDER/report.html a
 * link to it, and says so on `to`. published: as of nl_report_page. */
nl_status cli_report_write(const nl_compare *c, const nl_published *published, const char *folder,
                           FILE *to) NL_CHECKED;

#endif
