#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 24 };

static bool wants_bar(void)
{
    const char *term = getenv("TERM"), *ci = getenv("CI");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 && (!ci || !*ci);
}

/* A NaN's sign says nothing. */
static double shown(double loss) { return isnan(loss) ? NAN : loss; }

void cli_progress_begin(cli_progress *p)
{
    *p = (cli_progress){.bar = wants_bar(), .began = nl_wall_seconds()};
}

static bool has_ended(const nl_job *job)
{
    return job->state != NL_JOB_WAITING && job->state != NL_JOB_RUNNING;
}

static double share(const nl_job *job)
{
    if (has_ended(job))
        return 1;
    return job->steps > 0 ? (double)job->step / (double)job->steps : 0;
}

static void draw(const cli_progress *p, const nl_job *jobs, int count)
{
    double done = 0, fresh = 0;
    const nl_job *latest = NULL;
    for (int i = 0; i < count; i++) {
        done += share(&jobs[i]);
        fresh += jobs[i].state == NL_JOB_SKIPPED ? 0 : share(&jobs[i]);
        if (jobs[i].state == NL_JOB_RUNNING)
            latest = &jobs[i];
    }
    const double seconds = nl_wall_seconds() - p->began;
    const int full = (int)(BAR_WIDTH * done / count);
    fprintf(stderr, "\r[");
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i < full ? '#' : ' ', stderr);
    if (count == 1 && jobs->steps > 0)
        fprintf(stderr, "] %lld/%lld steps", (long long)jobs->step, (long long)jobs->steps);
    else
        fprintf(stderr, "] %d/%d runs", p->ended, count);
    if (fresh > 0.05 && seconds > 1)
        fprintf(stderr, ", %.0f s left", seconds * (count - done) / fresh);
    if (latest && latest->steps > 0)
        fprintf(stderr, ", %.20s seed %lld loss %.3g", latest->label, (long long)latest->spec->seed,
                shown(latest->loss));
    fprintf(stderr, "\033[K");
    fflush(stderr);
}

static void tell(const cli_progress *p, const nl_job *job, int count)
{
    static const char *const verbs[] = {"waits", "runs",   "was finished before",
                                        "done",  "failed", "stopped"};
    if (p->bar)
        fprintf(stderr, "\r\033[K");
    fprintf(stderr, "%d/%d %s seed %lld: %s", p->ended, count, job->label,
            (long long)job->spec->seed, verbs[job->state]);
    if (job->state == NL_JOB_FAILED)
        fprintf(stderr, ": %s", job->says);
    if (job->state == NL_JOB_DONE && job->steps > 0)
        fprintf(stderr, ", %lld steps, loss %.4g, %.1f s", (long long)job->step, shown(job->loss),
                job->seconds);
    fputc('\n', stderr);
}

void cli_progress_report(void *arg, const nl_job *jobs, int count, const nl_job *changed)
{
    cli_progress *p = arg;
    if (changed && has_ended(changed)) {
        p->ended++;
        if (!p->bar || changed->state == NL_JOB_FAILED)
            tell(p, changed, count);
    }
    if (p->bar)
        draw(p, jobs, count);
}

void cli_progress_end(cli_progress *p)
{
    if (p->bar)
        fprintf(stderr, "\r\033[K");
}
