/* normlab export: runs for other tools. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analysis/frames.h"
#include "analysis/rundata.h"
#include "cli/cli.h"
#include "io/file.h"

struct input {
    cli_paths paths;
    const char *to, *out;
};

enum { KEY_TO = 256, KEY_OUT }; /* no short options */

static const struct argp_option options[] = {
    {"to", KEY_TO, "FORMAT", 0, "csv, json or tensorboard", 0},
    {"out", KEY_OUT, "DIR", 0, "folder for the files of one run (the run's own)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_TO: in->to = arg; return 0;
    case KEY_OUT: in->out = arg; return 0;
    case ARGP_KEY_ARG: return cli_path(&in->paths, "export", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Formats */

static nl_status write_file(const char *folder, const char *name, const nl_text *text)
{
    char path[4096];
    NL_TRY(nl_text_status(text));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    NL_TRY(nl_file_replace(path, nl_text_of(text), text->used));
    printf("%s\n", path);
    return NL_OK;
}

static nl_status to_csv(const nl_frames *f, const char *folder)
{
    nl_status st = NL_OK;
    nl_text text = {0};
    char name[128];
    for (int64_t i = 0; i < f->count; i++) {
        nl_text_clear(&text);
        nl_frame_csv(&f->at[i], &text);
        snprintf(name, sizeof name, "%s.csv", f->at[i].name);
        NL_GO(write_file(folder, name, &text));
    }
done:
    nl_text_free(&text);
    return st;
}

static nl_status to_json(const nl_frames *f, const char *folder)
{
    nl_text text = {0};
    nl_frames_json(f, &text);
    const nl_status st = write_file(folder, "run.json", &text);
    nl_text_free(&text);
    return st;
}

/* TensorBoard reads what has tfevents in its name. */
static nl_status to_tensorboard(const nl_frames *f, const char *folder)
{
    nl_text text = {0};
    nl_frames_tfevents(f, &text);
    const nl_status st = write_file(folder, "events.out.tfevents.0.normlab", &text);
    nl_text_free(&text);
    return st;
}

static const struct format {
    const char *name;
    nl_status (*write)(const nl_frames *f, const char *folder);
} formats[] = {{"csv", to_csv}, {"json", to_json}, {"tensorboard", to_tensorboard}};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

/* ---- Runs */

/* The folder of a run that was given as a folder or as a file. */
static void folder_of(const char *run, char *folder, size_t room)
{
    char buf[4096];
    snprintf(folder, room, "%s", nl_rundata_file(run, buf, sizeof buf));
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    else
        snprintf(folder, room, ".");
}

static nl_status export_run(const struct input *in, const struct format *format, const char *run)
{
    nl_frames frames;
    char folder[4096];
    NL_TRY(nl_frames_read(&frames, run));
    folder_of(run, folder, sizeof folder);
    const char *to = in->out ? in->out : folder;
    nl_status st = nl_file_make_folder(to);
    if (st == NL_OK)
        st = format->write(&frames, to);
    if (st == NL_OK && frames.left_out)
        fprintf(stderr, "normlab: %s: %lld channels of more than %d numbers a row are left out\n",
                run, (long long)frames.left_out, NL_FRAME_WIDTH_MAX);
    nl_frames_free(&frames);
    return st;
}

int cli_export(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN...",
        "Writes runs for other tools and prints the names of the files: csv, one file a timeline "
        "(steps.csv, epochs.csv, evals.csv, layers.csv, ...); json, all of them in run.json; "
        "tensorboard, an event file. RUN is a run file or the folder of one. What has more than 64 "
        "numbers a row stays in the run file (docs/read-in-python.md)."
        "\vExample: normlab export runs/* --to=tensorboard && tensorboard --logdir runs",
        NULL,
        NULL,
        NULL};
    struct input in = {0};
    if (!cli_parse(&argp, argc, argv, &in))
        return CLI_WRONG;
    if (!in.paths.count)
        return cli_wrong("export wants a run file or the folder of one");
    if (!in.to)
        return cli_wrong("export wants --to=csv, json or tensorboard");
    const struct format *format = find_format(in.to);
    if (!format)
        return cli_wrong("export: --to wants csv, json or tensorboard, got '%s'", in.to);
    if (in.out && in.paths.count > 1)
        return cli_wrong("export: --out is of one run, here are %lld", (long long)in.paths.count);
    nl_status st = NL_OK;
    for (int64_t i = 0; st == NL_OK && i < in.paths.count; i++)
        st = export_run(&in, format, in.paths.at[i]);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}
