/* bibtex.h: the entries of paper/refs.bib, which the program carries with it. */
#ifndef NL_BIBTEX_H
#define NL_BIBTEX_H

#include "base/text.h"

/* The entries of these keys, which spaces part, each ending its line and parted by an empty one;
 * keys without an entry (a plugin's) are left out. */
void nl_bibtex_entries(const char *keys, nl_text *out);

/* Adds those of `keys` that *all has not yet. */
void nl_bibtex_unite(const char *keys, nl_text *all);

#endif
