/* frames.h: a run as plain tables, one a timeline, with a column for each number that is logged. */
#ifndef NL_FRAMES_H
#define NL_FRAMES_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* Channels with more numbers a row than this are left to the run file itself, unless their
 * dimension has labels of its own: percentiles, bins of histograms. */
enum { NL_FRAME_WIDTH_MAX = 64 };

typedef struct nl_frame {
    char name[64]; /* of the timeline's folder: "steps" */
    /* Of all columns, each ended by NUL: "step", "loss", "h1/preact/pre/std". Columns of wide
     * channels have their label: "h1/preact/pre/percentiles[50]". */
    nl_text titles;
    int64_t rows, columns;
    double *at; /* (rows, columns); column 0 is the timeline's index; owned */
    /* (columns), owned: in columns of histograms the bin's lower edge, which is -infinity in the
     * first of each; NaN in others */
    double *edge;
} nl_frame;

typedef struct nl_frames {
    nl_frame *at; /* owned */
    int64_t count;
    int64_t left_out;    /* wide channels */
    nl_text attributes;  /* of the root: name and value by turns, each ended by NUL */
    double wall_seconds; /* NaN where the run has not ended */
} nl_frames;

/* Reads the run in a folder, or a run file. */
nl_status nl_frames_read(nl_frames *out, const char *path) NL_CHECKED;
void nl_frames_free(nl_frames *f);

/* One table as CSV with titles. */
void nl_frame_csv(const nl_frame *f, nl_text *out);

/* {"attributes": {...}, "steps": [{"step": 1, "loss": 2.3}, ...], ...}; null for NaN. */
void nl_frames_json(const nl_frames *f, nl_text *out);

/* A TensorBoard event file: one event a row with a scalar for each number, tags "steps/loss", and
 * its histogram for columns of bins, whose sums are of the bins' nearer edges. Wall
 * time is 0 at the begin of the run and spread evenly over a timeline. Records are those of
 * TFRecord (length, masked CRC-32C, bytes, masked CRC-32C), events protocol buffers by hand. */
void nl_frames_tfevents(const nl_frames *all, nl_text *out);

#endif
