#include "train/agenda.h"

#include <stdarg.h>
#include <stdio.h>

#include "train/moments.h"

const char *const nl_side_names[NL_SIDES] = {[NL_PRE] = "pre", [NL_POST] = "post"};

nl_status nl_agenda_open(nl_agenda *a, const nl_observer_setup *s)
{
    enum { ROWS = 64 };
    *a = (nl_agenda){.set = *s};
    NL_TRY(nl_log_plan_fits(s->plan, s->model));
    for (int k = 0; k < NL_LOG_CHANNELS; k++) {
        a->every[k] = nl_log_plan_every(s->plan, (nl_log_channel_id)k, s->steps);
        if (a->every[k] > 0)
            NL_TRY(nl_log_timeline(s->log, nl_log_channels[k].folder, "step", "optimizer steps",
                                   ROWS, &a->timeline[k]));
    }
    return NL_OK;
}

bool nl_agenda_is_due(const nl_agenda *a, nl_log_channel_id id, int64_t step)
{
    return a->every[id] > 0 && (step == 1 || step % a->every[id] == 0);
}

void nl_agenda_turn(nl_agenda *a, int64_t step)
{
    a->step = step;
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        a->due[k] = nl_agenda_is_due(a, (nl_log_channel_id)k, step);
}

nl_status nl_agenda_end_rows(const nl_agenda *a)
{
    int due[NL_LOG_CHANNELS], count = 0;
    for (int k = 0; k < NL_LOG_CHANNELS; k++)
        if (a->due[k])
            due[count++] = a->timeline[k];
    return nl_log_row_of_each(a->set.log, due, count, a->step);
}

bool nl_agenda_keeps(const nl_agenda *a, nl_log_channel_id id, const char *owner)
{
    return nl_log_plan_takes(a->set.plan, id, owner);
}

nl_status nl_agenda_declare(const nl_agenda *a, nl_log_channel_id id, const nl_channel *like,
                            int *out, const char *fmt, ...)
{
    char path[256];
    nl_channel c = *like;
    const int n = snprintf(path, sizeof path, "%s/", nl_log_channels[id].folder);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(path + n, sizeof path - (size_t)n, fmt, ap);
    va_end(ap);
    c.path = path;
    c.timeline = a->timeline[id];
    NL_TRY(nl_log_channel(a->set.log, &c, out));
    return NL_OK;
}

void nl_agenda_labels(nl_log_channel_id id, const char *name, char *path, size_t room)
{
    snprintf(path, room, "%s/%s", nl_log_channels[id].folder, name);
}

nl_status nl_agenda_declare_histogram(const nl_agenda *a, nl_log_channel_id id, const char *layer,
                                      const char *slot, nl_side side, nl_agenda_histogram *out)
{
    char labels[64];
    nl_agenda_labels(id, NL_BIN_LABELS, labels, sizeof labels);
    const nl_channel counts = {.type = NL_TYPE_INT64,
                               .unit = "1",
                               .doc = "values by bins; a bin begins at its label",
                               .rank = 1,
                               .dim = {NL_HISTOGRAM_BINS},
                               .scale = {labels}};
    const nl_channel nan = {
        .type = NL_TYPE_INT64, .unit = "1", .doc = "values that are not numbers, in no bin"};
    const char *which = nl_side_names[side];
    NL_TRY(nl_agenda_declare(a, id, &counts, &out->counts, "%s/%s/%s/counts", layer, slot, which));
    NL_TRY(nl_agenda_declare(a, id, &nan, &out->nan, "%s/%s/%s/nan", layer, slot, which));
    return NL_OK;
}

void nl_agenda_put_histogram(const nl_agenda *a, const nl_agenda_histogram *h, const int64_t *count)
{
    nl_log_put_int(a->set.log, h->counts, count, NL_HISTOGRAM_BINS);
    nl_log_put_int(a->set.log, h->nan, count + NL_HISTOGRAM_BINS, 1);
}
