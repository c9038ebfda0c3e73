#include "train/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "io/h5.h"

enum { PROGRESS_FD = 3, POLL_MS = 200, ARGS_MAX = 96, TAIL = 4096, OUT_MAX = 900 };

extern char **environ;

/* ---- folders */

/* An empty path would be the root of the file system; a line break would part the words of a
 * child. */
static nl_status check_out(const char *out)
{
    if (!out[0])
        return nl_fail(NL_EOPTION, "run: out is empty; a folder is wanted, '.' for this one");
    if (strlen(out) > OUT_MAX)
        return nl_fail(NL_EOPTION, "run: out has %zu characters, at most %d are wanted",
                       strlen(out), OUT_MAX);
    if (strpbrk(out, "\r\n"))
        return nl_fail(NL_EOPTION, "run: out has a line break");
    return NL_OK;
}

nl_status nl_job_place(nl_job *job, uint64_t data_checksum)
{
    char name[NL_FOLDER_MAX];
    NL_TRY(check_out(job->spec->out.is));
    NL_TRY(nl_spec_hash(job->spec, data_checksum, &job->hash));
    nl_spec_folder(job->spec, job->hash, name);
    snprintf(job->folder, sizeof job->folder, "%s/%s", job->spec->out.is, name);
    return NL_OK;
}

static void path_in(const nl_job *job, const char *file, char path[NL_PATH_MAX])
{
    snprintf(path, NL_PATH_MAX, "%.*s/%s", NL_PATH_MAX - 32, job->folder, file);
}

bool nl_job_finished(const nl_job *job)
{
    char path[NL_PATH_MAX], hash[17];
    path_in(job, "run.h5", path);
    if (access(path, R_OK) != 0)
        return false;
    nl_h5_start();
    const hid_t access_list = nl_h5_access(), file = H5Fopen(path, H5F_ACC_RDONLY, access_list);
    H5Pclose(access_list);
    if (file < 0)
        return false;
    nl_text outcome = {0}, found = {0};
    snprintf(hash, sizeof hash, "%016" PRIx64, job->hash);
    const bool ended = nl_h5_get_text(file, "outcome", &outcome) &&
                       (strcmp(nl_text_of(&outcome), "done") == 0 ||
                        strcmp(nl_text_of(&outcome), "diverged") == 0);
    const bool same = nl_h5_get_text(file, "hash", &found) && strcmp(nl_text_of(&found), hash) == 0;
    nl_text_free(&outcome);
    nl_text_free(&found);
    H5Fclose(file);
    return ended && same;
}

bool nl_job_checkpoint(const nl_job *job, int64_t *step)
{
    char path[NL_PATH_MAX];
    nl_checkpoint c = {0};
    path_in(job, "checkpoint.nlc", path);
    const bool readable = access(path, F_OK) == 0 && nl_checkpoint_peek(path, &c) == NL_OK;
    *step = c.step;
    nl_checkpoint_free(&c);
    return readable;
}

nl_status nl_job_forget(const nl_job *job)
{
    static const char *const files[] = {"checkpoint.nlc", "run.h5.part", "run.h5", NULL};
    char path[NL_PATH_MAX];
    for (int i = 0; files[i]; i++) {
        path_in(job, files[i], path);
        if (unlink(path) != 0 && errno != ENOENT)
            return nl_fail(NL_EIO, "%s: cannot be removed: %s", path, strerror(errno));
    }
    return NL_OK;
}

nl_status nl_job_make_folder(const nl_job *job)
{
    NL_TRY(nl_file_make_folder(job->folder));
    return NL_OK;
}

/* ---- one child */

struct command {
    char *arg[ARGS_MAX]; /* borrowed */
    int count;
    char *words; /* owned: the lines of the spec, cut */
};

/* A run in its own process has one thread unless told otherwise: cores are for runs. */
static nl_status compose(const nl_engine *e, const nl_job *job, struct command *c)
{
    static char train[] = "train", resume[] = "--resume", progress[] = "--progress-fd=3";
    *c = (struct command){0};
    c->arg[c->count++] = (char *)e->program;
    for (const char *const *a = e->before; a && *a && c->count < ARGS_MAX / 2; a++)
        c->arg[c->count++] = (char *)*a;
    c->arg[c->count++] = train;
    c->arg[c->count++] = resume;
    c->arg[c->count++] = progress;
    nl_text text = {0};
    nl_spec_print(job->spec, &text);
    if (nl_text_status(&text) != NL_OK || !(c->words = nl_strdup(nl_text_of(&text)))) {
        nl_text_free(&text);
        return nl_fail(NL_ENOMEM, "the arguments of a run");
    }
    nl_text_free(&text);
    for (char *rest, *word = strtok_r(c->words, "\n", &rest); word && c->count < ARGS_MAX - 1;
         word = strtok_r(NULL, "\n", &rest))
        c->arg[c->count++] = word;
    return NL_OK;
}

/* stdin empty, stdout and stderr appended to log.txt, the pipe as descriptor 3, signals as new. */
static nl_status launch(nl_job *job, const struct command *c, int pipe_end)
{
    char log[NL_PATH_MAX];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    path_in(job, "log.txt", log);
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    posix_spawn_file_actions_adddup2(&files, pipe_end, PROGRESS_FD);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    const int error = posix_spawn(&job->pid, c->arg[0], &files, &attributes, c->arg, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return error ? nl_fail(NL_ECHILD, "%s cannot be started for %s: %s", c->arg[0], job->folder,
                           strerror(error))
                 : NL_OK;
}

static nl_status start(const nl_engine *e, nl_job *job)
{
    int ends[2];
    struct command c;
    NL_TRY(nl_job_make_folder(job));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return nl_fail(NL_ECHILD, "no pipe for %s: %s", job->folder, strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    nl_status st = compose(e, job, &c);
    if (st == NL_OK)
        st = launch(job, &c, ends[1]);
    nl_free(c.words);
    close(ends[1]);
    if (st != NL_OK) {
        close(ends[0]);
        return nl_trace(__FILE__, __LINE__, st);
    }
    job->progress = ends[0];
    job->began = nl_wall_seconds();
    job->state = NL_JOB_RUNNING;
    return NL_OK;
}

/* ---- what children say */

static void read_line(nl_job *job)
{
    int64_t step, steps;
    double loss = NAN;
    if (strncmp(job->line, "failed ", 7) == 0)
        snprintf(job->says, sizeof job->says, "%s", job->line + 7);
    if (sscanf(job->line, "step %" SCNd64 "/%" SCNd64 " loss %lf", &step, &steps, &loss) < 2)
        return;
    job->step = step;
    job->steps = steps;
    job->loss = loss;
}

static void read_progress(nl_job *job)
{
    char bytes[512];
    ssize_t got;
    size_t used = strlen(job->line);
    while ((got = read(job->progress, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] == '\n') {
                job->line[used] = 0;
                read_line(job);
                used = 0;
            } else if (bytes[i] && used < sizeof job->line - 1) {
                job->line[used++] = bytes[i];
            }
        }
    job->line[used] = 0;
    if (got == 0) {
        close(job->progress);
        job->progress = -1;
    }
}

/* What came through the pipe, or the last line of log.txt, without the program's name in front. */
static void read_last_words(nl_job *job, int status)
{
    char path[NL_PATH_MAX], tail[TAIL + 1] = "";
    if (job->says[0])
        return;
    if (WIFSIGNALED(status))
        snprintf(job->says, sizeof job->says, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(job->says, sizeof job->says, "ended with status %d", WEXITSTATUS(status));
    path_in(job, "log.txt", path);
    FILE *f = fopen(path, "rb");
    if (!f || WIFSIGNALED(status)) {
        if (f)
            fclose(f);
        return;
    }
    if (fseek(f, -TAIL, SEEK_END) != 0)
        rewind(f);
    tail[fread(tail, 1, TAIL, f)] = 0;
    fclose(f);
    for (size_t n = strlen(tail); n > 0 && tail[n - 1] == '\n';)
        tail[--n] = 0;
    const char *last = strrchr(tail, '\n');
    last = last ? last + 1 : tail;
    if (strncmp(last, "normlab: ", 9) == 0)
        last += 9;
    if (*last)
        snprintf(job->says, sizeof job->says, "%.*s", NL_JOB_SAYS_MAX - 1, last);
}

static bool stopping(const nl_engine *e) { return e->stop && *e->stop; }

static void say(const nl_engine *e, const nl_job *jobs, int count, const nl_job *changed)
{
    if (e->report)
        e->report(e->arg, jobs, count, changed);
}

static bool reap(nl_engine *e, nl_job *job)
{
    int status;
    const pid_t got = waitpid(job->pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    if (job->progress >= 0) {
        read_progress(job);
        if (job->progress >= 0)
            close(job->progress);
        job->progress = -1;
    }
    job->seconds = nl_wall_seconds() - job->began;
    if (got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        job->state = NL_JOB_DONE;
        e->done++;
    } else if (stopping(e) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) {
        job->state = NL_JOB_STOPPED;
        e->stopped++;
    } else {
        job->state = NL_JOB_FAILED;
        e->failed++;
        read_last_words(job, status);
    }
    return true;
}

/* ---- all of them */

static int running(const nl_job *jobs, int count)
{
    int n = 0;
    for (int i = 0; i < count; i++)
        n += jobs[i].state == NL_JOB_RUNNING;
    return n;
}

static void wait_a_little(struct pollfd *fds, nl_job *jobs, int count)
{
    nfds_t n = 0;
    for (int i = 0; i < count; i++)
        if (jobs[i].state == NL_JOB_RUNNING && jobs[i].progress >= 0)
            fds[n++] = (struct pollfd){.fd = jobs[i].progress, .events = POLLIN};
    poll(fds, n, n ? POLL_MS : POLL_MS / 20);
    for (int i = 0; i < count; i++)
        if (jobs[i].state == NL_JOB_RUNNING && jobs[i].progress >= 0)
            read_progress(&jobs[i]);
}

static void reap_all(nl_engine *e, nl_job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        if (jobs[i].state == NL_JOB_RUNNING && reap(e, &jobs[i]))
            say(e, jobs, count, &jobs[i]);
}

static void terminate_all(nl_engine *e, nl_job *jobs, int count, struct pollfd *fds)
{
    for (int i = 0; i < count; i++)
        if (jobs[i].state == NL_JOB_RUNNING)
            kill(jobs[i].pid, SIGTERM);
    while (running(jobs, count) > 0) {
        wait_a_little(fds, jobs, count);
        reap_all(e, jobs, count);
    }
}

static nl_status start_next(nl_engine *e, nl_job *jobs, int count, int *next)
{
    nl_job *job = &jobs[(*next)++];
    if (nl_job_finished(job)) {
        job->state = NL_JOB_SKIPPED;
        e->skipped++;
    } else {
        NL_TRY(start(e, job));
    }
    say(e, jobs, count, job);
    return NL_OK;
}

nl_status nl_engine_run(nl_engine *e, nl_job *jobs, int count)
{
    e->done = e->failed = e->skipped = e->stopped = 0;
    struct pollfd *fds = nl_alloc((size_t)count, sizeof *fds);
    if (!fds)
        return nl_fail(NL_ENOMEM, "%d runs", count);
    nl_status st = NL_OK;
    double told = 0;
    for (int next = 0; st == NL_OK && !stopping(e) && (next < count || running(jobs, count));) {
        while (st == NL_OK && next < count && running(jobs, count) < e->at_once)
            st = start_next(e, jobs, count, &next);
        if (st != NL_OK || !running(jobs, count))
            continue;
        wait_a_little(fds, jobs, count);
        reap_all(e, jobs, count);
        if (nl_wall_seconds() - told > POLL_MS / 1000.0) {
            say(e, jobs, count, NULL);
            told = nl_wall_seconds();
        }
    }
    if (running(jobs, count))
        terminate_all(e, jobs, count, fds);
    nl_free(fds);
    return st;
}
