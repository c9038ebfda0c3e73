#include "analysis/watch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "analysis/escape.h"
#include "analysis/numbers.h"
#include "analysis/rundata.h"
#include "analysis/rundirs.h"
#include "analysis/sheet.h"
#include "base/alloc.h"

enum { LATEST = 100 /* steps of which the loss is shown; all that is read */, PATH_CHARS = 4096 };

static const struct {
    const char *word;
    bool is_over;
} states[] = {[NL_RUN_STARTING] = {"starting", false}, [NL_RUN_RUNNING] = {"running", false},
              [NL_RUN_DONE] = {"finished", true},      [NL_RUN_DIVERGED] = {"diverged", true},
              [NL_RUN_STOPPED] = {"stopped", true},    [NL_RUN_DEAD] = {"dead", true}};
enum { STATES = sizeof states / sizeof *states };

/* ---- Whether somebody still writes */

/* Locks are read, not tried: to try one could refuse a run that starts at that moment. */
static bool is_held(const struct stat *file)
{
    char line[256];
    unsigned major_of, minor_of;
    unsigned long long inode;
    bool held = false;
    FILE *locks = fopen("/proc/locks", "r");
    while (locks && !held && fgets(line, sizeof line, locks))
        held =
            sscanf(line, "%*s FLOCK %*s %*s %*s %x:%x:%llu", &major_of, &minor_of, &inode) == 3 &&
            inode == file->st_ino && makedev(major_of, minor_of) == file->st_dev;
    if (locks)
        fclose(locks);
    return held;
}

static bool seems_alive(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return true; /* it has just been renamed */
    return is_held(&file) || difftime(time(NULL), file.st_mtime) < NL_DEAD_SECONDS;
}

/* ---- One run */

static nl_run_state state_of(const nl_rundata *run, const char *path)
{
    static const struct {
        const char *outcome;
        nl_run_state state;
    } ended[] = {{"done", NL_RUN_DONE},
                 {"diverged", NL_RUN_DIVERGED},
                 {"stopped", NL_RUN_STOPPED},
                 {"failed", NL_RUN_STOPPED},
                 {"killed", NL_RUN_DEAD}};
    const char *outcome = nl_rundata_text(run, "outcome", "");
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        if (strcmp(outcome, ended[i].outcome) == 0)
            return ended[i].state;
    return seems_alive(path) ? NL_RUN_RUNNING : NL_RUN_DEAD;
}

static double latest_loss(const nl_rundata *run)
{
    const nl_track *loss = nl_rundata_track(run, "/steps/loss");
    double sum = 0, n = 0;
    for (int64_t i = loss ? loss->rows - 1 : -1; i >= 0 && n < LATEST; i--, n++)
        sum += loss->at[i];
    return n > 0 ? sum / n : NAN;
}

static double latest_accuracy(const nl_rundata *run)
{
    static const char *const names[] = {"/evals/test_accuracy", "/evals/val_accuracy",
                                        "/steps/accuracy"};
    int64_t row = -1;
    double last = NAN;
    for (size_t i = 0; i < sizeof names / sizeof *names && row < 0; i++)
        last = nl_track_last(nl_rundata_track(run, "%s", names[i]), &row);
    return last;
}

static double speed_of(const nl_rundata *run, int64_t step)
{
    const nl_track *at = nl_rundata_track(run, "/evals/step");
    int64_t row;
    const double whole = nl_rundata_number(run, "wall_seconds", NAN);
    const double seconds = nl_track_last(nl_rundata_track(run, "/evals/seconds"), &row);
    if (whole > 0)
        return (double)step / whole;
    return row >= 0 && at && row < at->rows && seconds > 0 ? at->at[row] / seconds : NAN;
}

static void look_at(const char *path, nl_sighting *s)
{
    char buf[PATH_CHARS];
    nl_rundata *run;
    int64_t row;
    const char *file = nl_rundata_file(path, buf, sizeof buf);
    if (nl_rundata_open_ends(&run, path, LATEST) != NL_OK) {
        s->state = seems_alive(file) ? NL_RUN_STARTING : NL_RUN_DEAD;
        return;
    }
    const double last = nl_track_last(nl_rundata_track(run, "/steps/step"), &row);
    s->step = row < 0 ? 0 : (int64_t)last;
    s->total = (int64_t)nl_rundata_number(run, "total_steps", 0);
    s->state = state_of(run, file);
    s->loss = latest_loss(run);
    s->accuracy = latest_accuracy(run);
    s->speed = speed_of(run, s->step);
    nl_rundata_close(run);
}

/* ---- All of them */

typedef struct looking {
    nl_sightings now, before;
    int64_t room;
} looking;

static void name_run(const char *path, nl_sighting *s)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/')
        from--;
    snprintf(s->name, sizeof s->name, "%.*s", (int)(n - from), path + from);
}

/* The sighting of this run at the last look, if it had ended by then. */
static const nl_sighting *seen_ended(const nl_sightings *before, const char *name)
{
    for (int64_t i = 0; i < before->count; i++)
        if (strcmp(before->at[i].name, name) == 0 && states[before->at[i].state].is_over &&
            before->at[i].state != NL_RUN_DEAD) /* it may be taken up again */
            return &before->at[i];
    return NULL;
}

static nl_status take(void *arg, const char *path)
{
    looking *l = arg;
    nl_sighting *at = nl_alloc_more(l->now.at, l->now.count, &l->room, sizeof *at);
    if (!at)
        return nl_fail(NL_ENOMEM, "%" PRId64 " runs", l->now.count + 1);
    l->now.at = at;
    nl_sighting *s = &l->now.at[l->now.count++];
    *s = (nl_sighting){.loss = NAN, .accuracy = NAN, .speed = NAN};
    name_run(path, s);
    const nl_sighting *ended = seen_ended(&l->before, s->name);
    if (ended)
        *s = *ended;
    else
        look_at(path, s);
    return NL_OK;
}

nl_status nl_watch_look(nl_sightings *io, const char *const *paths, int64_t count)
{
    looking l = {.before = *io};
    const nl_status st = nl_rundirs_each(paths, count, take, &l);
    nl_watch_free(io);
    *io = l.now;
    return st;
}

void nl_watch_free(nl_sightings *s)
{
    nl_free(s->at);
    *s = (nl_sightings){0};
}

bool nl_watch_is_over(const nl_sightings *s)
{
    for (int64_t i = 0; i < s->count; i++)
        if (!states[s->at[i].state].is_over)
            return false;
    return true;
}

/* ---- As a table */

static void number_cell(nl_sheet *sheet, double v, double scale, const char *unit)
{
    nl_text text = {0};
    nl_number_add(&text, scale * v, scale * v);
    nl_text_add(&text, "%s", isnan(v) ? "" : unit);
    nl_sheet_number(sheet, nl_text_of(&text));
    nl_text_free(&text);
}

static void step_cell(nl_sheet *sheet, const nl_sighting *s)
{
    nl_text text = {0};
    nl_text_add_grouped(&text, s->step);
    if (s->total > 0) {
        nl_text_add(&text, " / ");
        nl_text_add_grouped(&text, s->total);
    }
    nl_sheet_number(sheet, nl_text_of(&text));
    nl_text_free(&text);
}

static void left_cell(nl_sheet *sheet, const nl_sighting *s)
{
    const double left = (double)(s->total - s->step) / s->speed;
    char text[32] = "";
    if (s->state == NL_RUN_RUNNING && left >= 0 && left < 120)
        snprintf(text, sizeof text, "%.0f s", left);
    else if (s->state == NL_RUN_RUNNING && left >= 0 && s->total > 0)
        snprintf(text, sizeof text, "%.0f min", left / 60);
    nl_sheet_number(sheet, text);
}

static void add_row(nl_sheet *sheet, const nl_sighting *s)
{
    nl_sheet_text(sheet, s->name);
    nl_sheet_text(sheet, states[s->state].word);
    step_cell(sheet, s);
    number_cell(sheet, s->loss, 1, "");
    number_cell(sheet, s->accuracy, 100, " %");
    number_cell(sheet, s->speed, 1, "");
    left_cell(sheet, s);
    nl_sheet_end(sheet);
}

static void add_counts(const nl_sightings *s, int64_t left_out, nl_text *out)
{
    int64_t of[STATES] = {0};
    for (int64_t i = 0; i < s->count; i++)
        of[s->at[i].state]++;
    nl_text_add(out, "%" PRId64 " run%s:", s->count, s->count == 1 ? "" : "s");
    const char *gap = " ";
    for (int k = 0; k < STATES; k++)
        if (of[k]) {
            nl_text_add(out, "%s%" PRId64 " %s", gap, of[k], states[k].word);
            gap = ", ";
        }
    if (left_out)
        nl_text_add(out, " (%" PRId64 " not shown)", left_out);
    nl_text_add(out, "\n");
}

void nl_watch_print(const nl_sightings *s, int64_t most_lines, nl_text *out)
{
    static const char *const titles[] = {"run",      "state",   "step", "loss",
                                         "accuracy", "steps/s", "left"};
    const int64_t least = 3, most = most_lines > least ? most_lines - 2
                                    : most_lines > 0   ? 1
                                                       : s->count;
    const bool all = s->count <= most;
    nl_sheet sheet = {0};
    int64_t shown = 0;
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        nl_sheet_text(&sheet, titles[i]);
    nl_sheet_end(&sheet);
    for (int over = 0; over < (all ? 1 : 2); over++)
        for (int64_t i = 0; i < s->count && shown < most; i++)
            if (all || states[s->at[i].state].is_over == over) {
                add_row(&sheet, &s->at[i]);
                shown++;
            }
    nl_sheet_print(&sheet, out);
    nl_sheet_free(&sheet);
    add_counts(s, s->count - shown, out);
}
