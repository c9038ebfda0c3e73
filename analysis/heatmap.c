#include "analysis/heatmap.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { CELLS = 120, TICS = 4, LEAST = -999 /* the logarithm of 0 */ };

static const nl_heat heats[] = {
    {"gradient_norm", "norm of dL/dh_t, powers of ten", true},
    {"act/pre/step_std", "standard deviation of h_t", false},
};

const nl_heat *nl_heat_at(int i)
{
    return i < (int)(sizeof heats / sizeof *heats) ? &heats[i] : NULL;
}

const nl_track *nl_heat_track(const nl_heat *h, const nl_rundata *run, const char *layer)
{
    return nl_rundata_track(run, "/layers/%s/%s", layer, h->channel);
}

static double shown(const nl_heat *h, double v) { return h->logarithmic ? log10(v) : v; }

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

nl_status nl_heat_range(const nl_heat *h, const nl_track *const *values, int64_t count, double *low,
                        double *high)
{
    int64_t room = 1, n = 0;
    for (int64_t k = 0; k < count; k++)
        room += values[k]->rows * values[k]->width;
    double *all = nl_alloc((size_t)room, sizeof *all);
    if (!all)
        return nl_fail(NL_ENOMEM, "report: colours of %lld values", (long long)room);
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < values[k]->rows * values[k]->width; i++) {
            all[n] = shown(h, values[k]->at[i]);
            n += isfinite(all[n]) != 0;
        }
    qsort(all, (size_t)n, sizeof *all, by_size);
    *low = n ? all[n / 100] : 0;
    *high = n ? all[n - 1 - n / 100] : 0;
    nl_free(all);
    return NL_OK;
}

/* Of more than CELLS, every one that is the first in its cell. */
static int64_t cells_of(int64_t count) { return count < CELLS ? count : CELLS; }
static int64_t first_in(int64_t cell, int64_t count) { return cell * count / cells_of(count); }

static void add_values(const nl_heat *h, const nl_track *values, nl_text *out)
{
    nl_text_add(out, "$m << EOD\n");
    for (int64_t x = 0; x < cells_of(values->rows); x++)
        for (int64_t y = 0; y < cells_of(values->width); y++) {
            const int64_t row = first_in(x, values->rows), at = first_in(y, values->width);
            const double v = shown(h, values->at[row * values->width + at]);
            nl_text_add(out, "%" PRId64 " %" PRId64 " ", x, y);
            nl_text_add(out, isnan(v) ? "NaN\n" : "%.4g\n", fmax(v, LEAST));
        }
    nl_text_add(out, "EOD\n");
}

/* Cells have the same size, logged steps are not evenly spaced: tics name them. */
static void add_tics(const char *axis, int64_t count, const double *names, nl_text *out)
{
    const int64_t cells = cells_of(count), tics = cells < TICS ? cells : TICS;
    nl_text_add(out, "set %s (", axis);
    for (int64_t k = 0; k < tics; k++) {
        const int64_t cell = tics > 1 ? k * (cells - 1) / (tics - 1) : 0;
        const int64_t i = first_in(cell, count);
        nl_text_add(out, "%s'%.0f' %" PRId64, k ? ", " : "", names ? names[i] : (double)(i + 1),
                    cell);
    }
    nl_text_add(out, ")\n");
}

void nl_heat_draw(const nl_heat *h, const nl_track *values, const nl_track *step, double low,
                  double high, nl_text *out)
{
    add_values(h, values, out);
    add_tics("xtics", values->rows, step->at, out);
    add_tics("ytics", values->width, NULL, out);
    if (low < high)
        nl_text_add(out, "set cbrange [%.6g:%.6g]\n", low, high);
    nl_text_add(out,
                "unset key\nunset grid\nset style fill solid noborder\nset xrange [-0.5:%g]\nset "
                "yrange [-0.5:%g]\n"
                "set palette defined (0 '#440154', 1 '#3b528b', 2 '#21918c', 3 '#5ec962', "
                "4 '#fde725')\nset format cb '%%g'\nplot $m u 1:2:3 w image\n",
                (double)cells_of(values->rows) - 0.5, (double)cells_of(values->width) - 0.5);
}
