/* agenda.h: what the observer of a run writes and what of it is due. Shared by its parts: slots,
 * recurrent layers step by step, parameters. */
#ifndef NL_AGENDA_H
#define NL_AGENDA_H

#include "train/observe.h"

typedef struct nl_agenda {
    nl_observer_setup set;
    int64_t every[NL_LOG_CHANNELS]; /* steps between rows; 0: never */
    int timeline[NL_LOG_CHANNELS];
    bool due[NL_LOG_CHANNELS];
    int64_t step; /* now */
} nl_agenda;

/* Declares the timelines of the channels that are on. */
nl_status nl_agenda_open(nl_agenda *a, const nl_observer_setup *s) NL_CHECKED;

/* Sets what is due at `step` (1, 2, ...). */
void nl_agenda_turn(nl_agenda *a, int64_t step);
bool nl_agenda_is_due(const nl_agenda *a, nl_log_channel_id id, int64_t step);

/* Ends the rows that are due. */
nl_status nl_agenda_end_rows(const nl_agenda *a) NL_CHECKED;

/* Whether the channel is kept of this layer, or of what belongs to it: "h1/preact". */
bool nl_agenda_keeps(const nl_agenda *a, nl_log_channel_id id, const char *owner);

/* A data set below the channel's folder. `like` says all but its path and timeline. */
nl_status nl_agenda_declare(const nl_agenda *a, nl_log_channel_id id, const nl_channel *like,
                            int *out, const char *fmt, ...) NL_CHECKED NL_PRINTF(5, 6);

/* A histogram (moments.h) of one side of a slot, in a channel of histograms. */
typedef struct nl_agenda_histogram {
    int counts, nan;
} nl_agenda_histogram;
nl_status nl_agenda_declare_histogram(const nl_agenda *a, nl_log_channel_id id, const char *layer,
                                      const char *slot, nl_side side,
                                      nl_agenda_histogram *out) NL_CHECKED;
void nl_agenda_put_histogram(const nl_agenda *a, const nl_agenda_histogram *h,
                             const int64_t *count);

/* "/layers/percentile": labels of a channel. */
void nl_agenda_labels(nl_log_channel_id id, const char *name, char *path, size_t room);
#define NL_BIN_LABELS "bin"

extern const char *const nl_side_names[NL_SIDES];

#endif
