#include "analysis/numbers.h"

#include <math.h>

void nl_number_add(nl_text *out, double v, double scale)
{
    const double size = fabs(scale);
    if (isnan(v))
        nl_text_add(out, "-");
    else if (size != 0 && (size < 1e-3 || size >= 1e5))
        nl_text_add(out, "%.2e", v);
    else
        nl_text_add(out, "%.*f", size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4, v);
}

void nl_mean_add(nl_text *out, const nl_interval *is, double scale)
{
    const double mean = is->n ? scale * is->mean : NAN;
    nl_number_add(out, mean, mean);
    if (is->n > 1) {
        nl_text_add(out, " ± ");
        nl_number_add(out, scale * (is->high - is->mean), mean);
    }
}

static void add_signed(nl_text *out, double v, double scale)
{
    if (v >= 0)
        nl_text_add(out, "+");
    nl_number_add(out, v, scale);
}

void nl_difference_add(nl_text *out, const nl_interval *is, double scale)
{
    if (!is->n) {
        nl_text_add(out, "-");
        return;
    }
    const double size = scale == 100 ? 10 : is->mean; /* percent points: two digits */
    add_signed(out, scale * is->mean, size);
    if (is->n > 1) {
        nl_text_add(out, " [");
        add_signed(out, scale * is->low, size);
        nl_text_add(out, ", ");
        add_signed(out, scale * is->high, size);
        nl_text_add(out, "]");
    }
}

void nl_factor_add(nl_text *out, double v)
{
    if (v >= 1e4)
        nl_text_add(out, "%.1e", v);
    else
        nl_text_add(out, "%.*f", v < 0.1 ? 3 : v < 10 ? 2 : v < 100 ? 1 : 0, v);
}

void nl_between_add(nl_text *out, const nl_interval *is, double scale)
{
    const double size = scale * is->mean;
    nl_number_add(out, is->n ? size : NAN, size);
    if (is->n && !isnan(is->low)) {
        nl_text_add(out, " [");
        nl_number_add(out, scale * is->low, size);
        nl_text_add(out, ", ");
        nl_number_add(out, scale * is->high, size);
        nl_text_add(out, "]");
    }
}

void nl_p_add(nl_text *out, double p)
{
    if (isnan(p))
        nl_text_add(out, "-");
    else
        nl_text_add(out, p < 1e-4 ? "%.1e" : "%.4f", p);
}
