/* channels.h: what a run file may hold of the network while it learns, and when. The table of
 * channels is the one source: `normlab channels` lists it, log= chooses from it.
 *
 *     log=50                                the channels that are on by default, every 50 steps
 *     log=histograms,gradients:every=10     those too
 *     log=none,activations:every=50:layers=h1/h3
 *     log=params:every=off
 * Items are taken from left to right: a number sets the steps between rows of all channels that
 * are on, `none` turns all off, `all` all on, NAME turns one on; what it says of `every` and
 * `layers` counts. */
#ifndef NL_CHANNELS_H
#define NL_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/model.h"
#include "core/option.h"

typedef enum nl_log_channel_id {
    NL_LOG_ACTIVATIONS,
    NL_LOG_HISTOGRAMS,
    NL_LOG_GRADIENTS,
    NL_LOG_GRADIENT_HISTOGRAMS,
    NL_LOG_NORMS,
    NL_LOG_POPULATION,
    NL_LOG_PARAMS,
    NL_LOG_COSINE,
    NL_LOG_CHANNELS
} nl_log_channel_id;

typedef struct nl_log_channel_row {
    const char *name, *title;
    const char *folder; /* of the run file; its index is FOLDER/step */
    const char *writes; /* the paths below the folder and what they hold */
    int64_t rows; /* of a run at its own schedule, at least, where the run has as many steps */
    bool by_default;
} nl_log_channel_row;

extern const nl_log_channel_row nl_log_channels[NL_LOG_CHANNELS];
extern const nl_option nl_log_channel_options[]; /* of every channel: every, layers */

/* A channel's part of log=. */
typedef struct nl_log_choice {
    nl_string every, layers; /* as written */
    bool on;
    int64_t steps; /* between rows; 0: the channel's own schedule */
} nl_log_choice;

typedef struct nl_log_plan {
    nl_log_choice of[NL_LOG_CHANNELS];
} nl_log_plan;

nl_status nl_log_channel_find(const char *name, nl_log_channel_id *id) NL_CHECKED;

nl_status nl_log_plan_parse(const char *log, nl_log_plan *out) NL_CHECKED;

/* "activations:every=0:layers=,...": parses back to the same plan. */
nl_status nl_log_plan_canonical(const char *log, nl_text *out) NL_CHECKED;

/* Every layer that is named has to be there. */
nl_status nl_log_plan_fits(const nl_log_plan *p, nl_model *m) NL_CHECKED;

/* Steps between rows in a run of so many; 0: never. */
int64_t nl_log_plan_every(const nl_log_plan *p, nl_log_channel_id id, int64_t steps);

/* Whether a channel is kept of this layer, or of what belongs to it: "h1/preact". */
bool nl_log_plan_takes(const nl_log_plan *p, nl_log_channel_id id, const char *owner);

#endif
