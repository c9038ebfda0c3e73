/* train_run.h: runs for tests of the trainer, in a folder of their own. */
#ifndef NL_TEST_TRAIN_RUN_H
#define NL_TEST_TRAIN_RUN_H

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/runread.h"
#include "registry.h"
#include "train/train.h"

static inline void parse_run(const char *words_text, nl_run_spec *spec)
{
    char text[1024];
    nl_words words = {0};
    snprintf(text, sizeof text, "%s", words_text);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
        if (nl_words_take(&words, NL_WORD_LINE, w) != NL_OK)
            ck_abort_msg("%s", nl_last_error());
    if (nl_spec_parse(&words, spec) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    nl_words_free(&words);
}

static inline nl_status train_in(const char *folder, const char *words, int threads, bool resume,
                                 nl_train_result *result)
{
    nl_run_spec spec;
    parse_run(words, &spec);
    const nl_train_setting set = {.out = folder, .threads = threads, .resume = resume};
    return nl_train(&spec, &set, result);
}

static inline void stop_on_signal(int signal)
{
    (void)signal;
    nl_train_stop();
}

/* A run in another process, told to stop once it has written a checkpoint. */
static inline void run_until_stopped(const char *folder, const char *words)
{
    char checkpoint[96];
    int status;
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.nlc", folder);
    const pid_t child = fork();
    if (child == 0) {
        nl_train_result result;
        signal(SIGTERM, stop_on_signal);
        const nl_status st = train_in(folder, words, 1, false, &result);
        _exit(st != NL_OK);
    }
    ck_assert_int_gt(child, 0);
    while (access(checkpoint, F_OK) != 0 && waitpid(child, &status, WNOHANG) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    kill(child, SIGTERM);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static inline void make_test_folder(char folder[64])
{
    snprintf(folder, 64, "/tmp/normlab-train-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void remove_test_folder(const char *folder)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static inline uint64_t bytes_of_file(const char *folder, const char *name, uint64_t hash)
{
    char path[96];
    unsigned char block[4096];
    size_t got;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    while ((got = fread(block, 1, sizeof block, f)) > 0)
        hash = nl_hash_bytes(hash, block, got);
    fclose(f);
    return hash;
}

/* Trains and gives the bytes of the final checkpoint. */
static inline uint64_t checkpoint_bytes(const char *words)
{
    char folder[64];
    nl_train_result result;
    make_test_folder(folder);
    ck_assert_int_eq(train_in(folder, words, 1, false, &result), NL_OK);
    const uint64_t bytes = bytes_of_file(folder, "checkpoint.nlc", NL_HASH_START);
    remove_test_folder(folder);
    return bytes;
}

/* The bytes of a run: its final checkpoint file, and its loss curve. */
static inline uint64_t bytes_of_run(const char *folder)
{
    char path[96];
    uint64_t hash = bytes_of_file(folder, "checkpoint.nlc", NL_HASH_START);
    static const char *const channels[] = {"/steps/loss",
                                           "/steps/accuracy",
                                           "/epochs/train_loss",
                                           "/evals/test_loss",
                                           "/layers/h1/preact/post/std",
                                           "/params/grad_norm"};
    nl_run *run;
    snprintf(path, sizeof path, "%s/run.h5", folder);
    ck_assert_int_eq(nl_run_open(&run, path), NL_OK);
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        nl_array a;
        ck_assert_int_eq(nl_run_read(run, channels[i], &a), NL_OK);
        ck_assert_int_gt(a.count, 0);
        hash = nl_hash_bytes(hash, a.at, (uint64_t)a.count * sizeof *a.at);
        nl_array_free(&a);
    }
    nl_run_close(run);
    return hash;
}

#endif
