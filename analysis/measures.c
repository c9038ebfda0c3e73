#include "analysis/measures.h"

#include <math.h>
#include <string.h>

bool nl_run_diverged(const nl_rundata *run)
{
    return strcmp(nl_rundata_text(run, "outcome", ""), "diverged") == 0;
}

bool nl_run_ended(const nl_rundata *run)
{
    return nl_run_diverged(run) || strcmp(nl_rundata_text(run, "outcome", ""), "done") == 0;
}

double nl_run_seed(const nl_rundata *run) { return nl_rundata_number(run, "seed", 0); }

double nl_final_value(const nl_rundata *run, const char *key)
{
    int64_t row;
    const double epoch = nl_track_last(nl_rundata_track(run, "/epochs/%s", key), &row);
    const double eval = nl_track_last(nl_rundata_track(run, "/evals/%s", key), &row);
    if (isnan(epoch) || (nl_run_diverged(run) && !isnan(eval)))
        return eval;
    return epoch;
}

double nl_last_step(const nl_rundata *run)
{
    int64_t row;
    const double seen = nl_track_last(nl_rundata_track(run, "/steps/step"), &row);
    const double eval = nl_track_last(nl_rundata_track(run, "/evals/step"), &row);
    const double last = fmax(isnan(seen) ? 0 : seen, isnan(eval) ? 0 : eval);
    return last > 0 ? last : nl_rundata_number(run, "steps", NAN);
}

double nl_seconds_a_step(const nl_rundata *run)
{
    const nl_track *step = nl_rundata_track(run, "/steps/step");
    const double wall = nl_rundata_number(run, "wall_seconds", NAN);
    return wall > 0 && step ? wall / (double)step->rows : NAN;
}

/* The row of /evals where the target was first reached; -1: none. */
static int64_t row_of_target(const nl_rundata *run, const char *key, double target)
{
    const nl_track *value = nl_rundata_track(run, "/evals/%s", key);
    for (int64_t i = 0; value && i < value->rows; i++)
        if (value->at[i] >= target)
            return i;
    return -1;
}

static double eval_of_target(const nl_rundata *run, const char *of, const char *key, double target)
{
    const nl_track *t = nl_rundata_track(run, "/evals/%s", of);
    const int64_t row = row_of_target(run, key, target);
    return row >= 0 && t && row < t->rows ? t->at[row] : NAN;
}

double nl_steps_to_target(const nl_rundata *run, const char *key, double target)
{
    return eval_of_target(run, "step", key, target);
}

double nl_seconds_to_target(const nl_rundata *run, const char *key, double target)
{
    return eval_of_target(run, "seconds", key, target);
}

double nl_curve_height(const nl_rundata *run, const char *key, double until)
{
    const nl_track *step = nl_rundata_track(run, "/evals/step");
    const nl_track *value = nl_rundata_track(run, "/evals/%s", key);
    double area = 0, first = NAN, x = NAN, y = NAN;
    for (int64_t i = 0; step && value && i < step->rows && i < value->rows; i++) {
        if (!isfinite(value->at[i]))
            continue;
        if (isnan(x))
            first = step->at[i];
        else
            area += (step->at[i] - x) * (value->at[i] + y) / 2;
        x = step->at[i];
        y = value->at[i];
    }
    area += fmax(until - x, 0) * y;
    return fmax(until, x) > first ? area / (fmax(until, x) - first) : y;
}
