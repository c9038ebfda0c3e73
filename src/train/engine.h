/* engine.h: runs many specs as child processes of our own program, `PROGRAM train key=value ...`,
 * as many at once as wanted. The parent computes nothing and writes no HDF5.
 *
 * A run lives in the folder OUT/NORM-seedS-HASH. Finished ones are skipped, unfinished ones go on
 * from their checkpoint, so starting the same work again is always right. A failed run stops no
 * other. What a child says goes to log.txt in its folder; its progress comes through a pipe, whose
 * number it is told by --progress-fd=FD, as lines "step N/M loss X", and why it failed, which a
 * full disk keeps out of log.txt, as "failed WHY". */
#ifndef NL_ENGINE_H
#define NL_ENGINE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "train/spec.h"

typedef enum nl_job_state {
    NL_JOB_WAITING,
    NL_JOB_RUNNING,
    NL_JOB_SKIPPED, /* was finished before */
    NL_JOB_DONE,
    NL_JOB_FAILED,
    NL_JOB_STOPPED /* killed by us, because the engine was told to stop */
} nl_job_state;

enum { NL_PATH_MAX = 1280, NL_JOB_SAYS_MAX = 400 };

typedef struct nl_job {
    const nl_run_spec *spec; /* borrowed */
    const char *label;       /* borrowed */
    uint64_t hash;
    /* The rest is the engine's. */
    char folder[NL_PATH_MAX];
    nl_job_state state;
    int64_t step, steps; /* steps 0: not yet known */
    double loss;
    double began, seconds;      /* wall time of this process, resumed part only */
    char says[NL_JOB_SAYS_MAX]; /* of a failed run: why, or the last line of its log */
    pid_t pid;
    int progress;               /* our end of the pipe, -1 when closed */
    char line[NL_JOB_SAYS_MAX]; /* of the pipe, not yet whole */
} nl_job;

typedef struct nl_engine {
    const char *program;         /* path of the executable */
    const char *const *before;   /* arguments put before `train`, ends with NULL; may be NULL */
    int at_once;                 /* at least 1 */
    volatile sig_atomic_t *stop; /* set by a signal handler: children get SIGTERM; may be NULL */
    /* Called when a job changes its state (changed) and a few times a second (changed NULL). */
    void (*report)(void *arg, const nl_job *jobs, int count, const nl_job *changed);
    void *arg;
    int done, failed, skipped, stopped; /* filled */
} nl_engine;

/* Sets folder and hash of a job from its spec and the content of its data. NL_EOPTION: out is not a
 * path that runs can lie below. */
nl_status nl_job_place(nl_job *job, uint64_t data_checksum) NL_CHECKED;

/* Makes the folder and those above it. NL_EIO with the system's reason. */
nl_status nl_job_make_folder(const nl_job *job) NL_CHECKED;

/* Whether the folder holds this run, ended (done or diverged). */
bool nl_job_finished(const nl_job *job);

/* The step of the checkpoint in the folder; false where there is none that can be read. */
bool nl_job_checkpoint(const nl_job *job, int64_t *step);

/* Removes run file and checkpoint, so that the run starts anew. */
nl_status nl_job_forget(const nl_job *job) NL_CHECKED;

/* Runs all jobs, in their order. NL_OK also when runs failed: see e->failed. Another status is the
 * engine's own trouble (no process, no folder); children are ended first. */
nl_status nl_engine_run(nl_engine *e, nl_job *jobs, int count) NL_CHECKED;

#endif
