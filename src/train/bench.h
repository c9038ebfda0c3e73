/* bench.h: how fast a norm is, beside what memory allows.
 *
 * The limit is the best of five plain loops (read, copy and triad, the last two with and without
 * streaming stores) over a working set of the kernel's size, measured in the same process, turn and
 * turn about with the kernel, so that other work on the machine slows both, over the same memory,
 * and that in several places. */
#ifndef NL_BENCH_H
#define NL_BENCH_H

#include <stdint.h>

#include "base/status.h"
#include "core/conv.h"
#include "train/channels.h"
#include "train/spec.h"

/* Sorts v; v[0] is the least afterwards. */
double nl_bench_median(double *v, int64_t count);

typedef struct nl_bench_shape {
    int64_t rows, channels;
} nl_bench_shape;

typedef struct nl_bench_row {
    double median_ms, min_ms; /* of one call, over all samples */
    /* Of the best samples at the place in memory whose share is the middle one. */
    double gbps;       /* in bytes the method cannot avoid */
    double limit_gbps; /* the best loop's */
    const char *limit; /* that loop's name */
} nl_bench_row;

typedef struct nl_bench_pair {
    nl_bench_row forward, backward;
} nl_bench_pair;

/* Training-phase forward and backward of the norm `spec`, on `threads` threads (left as they were),
 * in `samples` samples. */
nl_status nl_bench_norm(const char *spec, nl_bench_shape shape, int threads, int samples,
                        nl_bench_pair *out) NL_CHECKED;

/* A convolution: forward, gradient of x, gradient of w. */
typedef struct nl_bench_conv_row {
    double median_ms[3], min_ms[3], gflops[3]; /* flops: taps inside of the image alone */
    double peak_gflops; /* of multiply-adds in registers, in turn with them */
} nl_bench_conv_row;
nl_status nl_bench_conv(const nl_conv_geom *geom, const char *pad, int64_t n, int threads,
                        int samples, nl_bench_conv_row *out) NL_CHECKED;

/* A table of 20,000 rows of 512, of which each step reads those of 2,000 words as frequent as in a
 * language: every row moved at each step, or rows that wait (core/lookup.h). */
typedef struct nl_bench_lookup_row {
    double dense_ms, waiting_ms; /* of a step, mean */
    double dense_mb, waiting_mb; /* values read and written, counted */
    double rows;                 /* different words of a step, mean */
} nl_bench_lookup_row;
nl_status nl_bench_lookup(const char *optimizer, int threads, nl_bench_lookup_row *out) NL_CHECKED;

/* One training step as the trainer makes it, batch assembly included, logging left out. */
typedef struct nl_bench_step_row {
    double median_ms, min_ms, mean_ms; /* wall */
    double cpu_ms;                     /* of all threads, mean over the steps */
    int64_t steps;
} nl_bench_step_row;

/* Where a training step's time goes: by kind of layer without the norms in them, "norm" for all
 * norms, "rest" for batch, loss and update. Means over the steps. */
enum { NL_BENCH_KINDS = 24 };
typedef struct nl_bench_kind {
    const char *kind;
    double forward_ms, backward_ms; /* of the rest: all in forward_ms */
} nl_bench_kind;
typedef struct nl_bench_layers {
    nl_bench_kind kind[NL_BENCH_KINDS];
    int kinds;
    double step_ms;
    int64_t steps;
} nl_bench_layers;
nl_status nl_bench_layers_of(const nl_run_spec *spec, double seconds,
                             nl_bench_layers *out) NL_CHECKED;

/* Forward passes of one batch at evaluation: as it is, with norms folded into the layers before
 * them, and of the same network without norms. */
typedef struct nl_bench_inference_row {
    double normed_ms, folded_ms, bare_ms; /* medians */
    int folded;                           /* norms that folding removed */
    double difference; /* largest of the logits after folding, relative to the largest logit */
} nl_bench_inference_row;
nl_status nl_bench_inference(const nl_run_spec *spec, double seconds,
                             nl_bench_inference_row *out) NL_CHECKED;

/* Of the run `spec`, on random examples of the data's shape; the data are read only where their
 * shape is not known without. Threads are spec->threads, 0 being one. Lasts about `seconds`. */
nl_status nl_bench_step(const nl_run_spec *spec, double seconds, nl_bench_step_row *out) NL_CHECKED;

/* What the channels of a run's file (channels.h) cost, written to a run file in the folder for
 * temporary files. */
typedef struct nl_bench_channel {
    double row_ms; /* mean, of the statistics of one step, their writing included */
    int64_t every; /* steps between rows, by log= where that turns it on, else its own schedule */
    bool on;
} nl_bench_channel;
typedef struct nl_bench_logging_row {
    double step_ms; /* median, without them */
    int64_t steps;  /* of the run */
    nl_bench_channel channel[NL_LOG_CHANNELS];
    /* Of the run's time that goes into them, evaluation left out: those that log= turns on; all. */
    double share, share_of_all;
    /* Medians of steps, in turn: with every channel off, and without the code that asks. */
    double off_ms, bare_ms;
    int64_t pairs;
} nl_bench_logging_row;
nl_status nl_bench_logging(const nl_run_spec *spec, double seconds,
                           nl_bench_logging_row *out) NL_CHECKED;

#endif
