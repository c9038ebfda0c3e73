/* assets.h: files that the build puts into the program, each as one text. */
#ifndef NL_ASSETS_H
#define NL_ASSETS_H

extern const char nl_page_css[], nl_page_js[]; /* analysis/page */
extern const char nl_page_libraries[];         /* what page.js draws with; empty without npm */

#endif
