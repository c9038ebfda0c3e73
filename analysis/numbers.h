/* numbers.h: numbers as people read them, in UTF-8. NaN is "-". */
#ifndef NL_NUMBERS_H
#define NL_NUMBERS_H

#include "analysis/intervals.h"
#include "base/text.h"

/* With enough digits for something of the size of `scale`: 97.31, 0.1234, 1.2e-05. */
void nl_number_add(nl_text *out, double v, double scale);

/* Of an interval times `scale`: "97.31 ± 0.20"; "97.31 [96.90, 97.44]"; "+1.20 [+0.80, +1.60]". */
void nl_mean_add(nl_text *out, const nl_interval *is, double scale);
void nl_between_add(nl_text *out, const nl_interval *is, double scale);
void nl_difference_add(nl_text *out, const nl_interval *is, double scale);

void nl_factor_add(nl_text *out, double v); /* of about three digits */
void nl_p_add(nl_text *out, double p);

#endif
