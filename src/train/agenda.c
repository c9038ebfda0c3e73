#include "train/agenda.h"

#include <stdarg.h>
#include <stdio.h>

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
