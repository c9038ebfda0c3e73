/* normlab train: one run. */
#include "train/train.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "train/engine.h"
#include "train/spec.h"

struct input {
    nl_words words;
    bool fresh, anyway;
    int64_t progress_fd;
};

enum { KEY_FRESH = 256, KEY_RESUME, KEY_ANYWAY, KEY_RECORD, KEY_PROGRESS }; /* no short options */

static const struct argp_option options[] = {
    {"fresh", KEY_FRESH, NULL, 0, "start anew: the run's file and checkpoint are removed first", 0},
    {"resume", KEY_RESUME, NULL, 0, "go on from the last checkpoint, as without it", 0},
    {"resume-anyway", KEY_ANYWAY, NULL, 0,
     "go on from a checkpoint of another class of CPU; the bytes may differ", 0},
    {"record", KEY_RECORD, "LIST", 0, "init, order or init,order: the same as record=LIST", 0},
    {"progress-fd", KEY_PROGRESS, "FD", OPTION_HIDDEN, "lines 'step N/M loss X' to this descriptor",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_FRESH: in->fresh = true; return 0;
    case KEY_RESUME: return 0;
    case KEY_ANYWAY: in->anyway = true; return 0;
    case KEY_RECORD: return cli_record(&in->words, arg);
    case KEY_PROGRESS:
        if (nl_read_int(arg, &in->progress_fd) && in->progress_fd > 2 && in->progress_fd < 1024)
            return 0;
        cli_wrong("train: --progress-fd=%s is not an open descriptor", arg);
        return EINVAL;
    case ARGP_KEY_ARG: return cli_word(&in->words, arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The folder follows the content of the data, so they are read once before training. */
static nl_status place(const nl_run_spec *spec, nl_job *job)
{
    nl_dataset *data;
    NL_TRY(nl_dataset_open(&data, spec->data.is, NULL));
    nl_status st = nl_spec_fits(spec, data);
    *job = (nl_job){.spec = spec, .progress = -1};
    if (st == NL_OK)
        st = nl_job_place(job, data->checksum);
    nl_dataset_close(data);
    return st;
}

static void say_result(const nl_job *job, const nl_train_result *r)
{
    printf("%s after %lld steps", r->outcome, (long long)r->steps);
    if (isfinite(r->train_loss))
        printf(", train loss %.4g", r->train_loss);
    if (isfinite(r->test_loss))
        printf(", test loss %.4g", r->test_loss);
    if (isfinite(r->test_bits))
        printf(" (%.4g bits per character)", r->test_bits);
    if (isfinite(r->test_accuracy))
        printf(", test accuracy %.2f %%", 100 * r->test_accuracy);
    printf("\n%s/run.h5\n", job->folder);
}

static void on_signal(int number)
{
    (void)number;
    nl_train_stop();
}

/* ---- how far it is: lines for a parent, a bar for a person */

typedef struct watch {
    int parent;
    cli_progress bar;
    nl_job *job;
} watch;

static void tell_parent(void *arg, int64_t step, int64_t steps, double loss)
{
    const watch *w = arg;
    dprintf(w->parent, "step %lld/%lld loss %.6g\n", (long long)step, (long long)steps, loss);
}

static void draw_bar(void *arg, int64_t step, int64_t steps, double loss)
{
    watch *w = arg;
    w->job->step = step;
    w->job->steps = steps;
    w->job->loss = loss;
    cli_progress_report(&w->bar, w->job, 1, NULL);
}

static nl_status train_watched(const struct input *in, const nl_run_spec *spec, nl_job *job,
                               nl_train_result *result)
{
    const bool child = in->progress_fd >= 0;
    watch w = {.parent = (int)in->progress_fd, .job = job};
    job->state = NL_JOB_RUNNING;
    job->label = spec->norm.is;
    const nl_train_setting setting = {.resume = true,
                                      .anyway = in->anyway,
                                      .threads = spec->threads ? (int)spec->threads : 1,
                                      .progress = child ? tell_parent : draw_bar,
                                      .arg = &w,
                                      .out = job->folder};
    if (child)
        return nl_train(spec, &setting, result);
    cli_progress_begin(&w.bar);
    const nl_status st = nl_train(spec, &setting, result);
    cli_progress_end(&w.bar);
    return st;
}

/* As a child of many runs it ends with its parent. */
static nl_status train(const struct input *in, const nl_run_spec *spec, bool *stopped)
{
    nl_job job;
    nl_train_result result;
    if (in->progress_fd >= 0)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    NL_TRY(place(spec, &job));
    if (in->fresh)
        NL_TRY(nl_job_forget(&job));
    if (nl_job_finished(&job)) {
        printf("finished before\n%s/run.h5\n", job.folder);
        return NL_OK;
    }
    int64_t step;
    if (nl_job_checkpoint(&job, &step))
        printf("resuming at step %lld\n", (long long)step);
    fflush(stdout);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    NL_TRY(train_watched(in, spec, &job, &result));
    say_result(&job, &result);
    *stopped = strcmp(result.outcome, "stopped") == 0;
    return NL_OK;
}

static int fail(const struct input *in, nl_status st)
{
    if (in->progress_fd >= 0)
        dprintf((int)in->progress_fd, "failed %s\n", nl_last_error());
    return cli_failure(st);
}

static int check(const struct input *in)
{
    if (in->fresh && in->anyway)
        return cli_wrong("train: --fresh and --resume-anyway exclude each other");
    return CLI_DONE;
}

int cli_train(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[FILE.yaml] [key=value ...]",
        "Trains one network and writes its run file below out= (runs). A run that is finished is "
        "not run again, an unfinished one goes on from its last checkpoint."
        "\vKeys: data, model, norm, norm.SLOT, optimizer, init, batch, epochs or steps, seed, "
        "order, "
        "last, eval, eval_batch, precision, probe, target; threads, out, log, checkpoint, record. "
        "docs/command-line.md describes them.\n\n"
        "Example: normlab train data=glyphs model=mlp:hidden=100x3:act=sigmoid norm=batch "
        "steps=500",
        NULL,
        NULL,
        NULL};
    struct input in = {.progress_fd = -1};
    nl_run_spec spec;
    bool stopped = false;
    if (!cli_parse(&argp, argc, argv, &in) || check(&in) != CLI_DONE) {
        nl_words_free(&in.words);
        return CLI_WRONG;
    }
    nl_status st = nl_spec_parse(&in.words, &spec);
    nl_words_free(&in.words);
    if (st != NL_OK)
        return cli_misuse(st);
    st = cli_be_precision(spec.precision.is == NL_PRECISION_DOUBLE);
    if (st == NL_OK)
        st = train(&in, &spec, &stopped);
    if (st != NL_OK)
        return fail(&in, st);
    return stopped ? CLI_STOPPED : CLI_DONE;
}
