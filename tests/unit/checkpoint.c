/* Checkpoints: what is saved comes back to the bit, the same state gives the same bytes, and a file
 * that does not fit changes nothing. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crash/small_run.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "suite.h"

static const nl_variable weight = {.name = "w", .role = NL_PARAM, .dim = {NL_IN, NL_C}};
static const nl_variable bias = {.name = "b", .role = NL_PARAM, .dim = {NL_1, NL_C}};
static const nl_variable mean = {
    .name = "run_mean", .role = NL_STATE, .type = NL_TYPE_DOUBLE, .dim = {NL_1, NL_C}};
static const nl_variable count = {
    .name = "count", .role = NL_STATE, .type = NL_TYPE_INT64, .dim = {NL_1, NL_1}};
static const nl_variable scratch = {.name = "tmp", .role = NL_SCRATCH, .dim = {NL_1, NL_C}};

struct model {
    nl_store *store;
    nl_slot slot[2];
    nl_checkpoint head;
};

static void add(struct model *m, const char *owner, const nl_variable *v, int64_t rows,
                int64_t cols, int64_t steps)
{
    int index;
    OK(nl_store_add(m->store, owner, v, NULL, rows, cols, steps, &index));
}

static int64_t slab_count(struct model *m)
{
    int64_t reals;
    nl_store_params(m->store, &reals);
    return reals;
}

static void commit(struct model *m)
{
    OK(nl_store_commit(m->store));
    for (int k = 0; k < 2; k++)
        m->slot[k] = (nl_slot){k ? "v" : "m", nl_alloc((size_t)slab_count(m), sizeof(nl_real))};
}

static void build(struct model *m, int64_t wide)
{
    *m = (struct model){0};
    OK(nl_store_open(&m->store));
    add(m, "h1", &weight, 7, wide, 1);
    add(m, "h1", &bias, 1, wide, 1);
    add(m, "h1/preact", &mean, 1, wide, 3);
    add(m, "h1/preact", &count, 1, 1, 1);
    add(m, "h1/preact", &scratch, 1, wide, 1);
    commit(m);
}

static void fill(struct model *m)
{
    int64_t reals;
    nl_real *p = nl_store_params(m->store, &reals);
    for (int64_t i = 0; i < reals; i++) {
        p[i] = (nl_real)1 / (nl_real)(i + 1);
        m->slot[0].slab[i] = (nl_real)i;
        m->slot[1].slab[i] = (nl_real)-i;
    }
    nl_item *it = nl_store_find(m->store, "h1/preact", "run_mean");
    for (int64_t i = 0; i < it->count; i++)
        ((double *)it->val)[i] = 1e-300 * (double)i;
    *(int64_t *)nl_store_find(m->store, "h1/preact", "count")->val = INT64_MAX;
    m->head.step = 1000;
    m->head.epoch = 3;
    m->head.batch = 41;
    m->head.numerics = 1;
    nl_text_add(&m->head.spec, "model=mlp norm=batch");
    nl_text_add(&m->head.hash, "0123456789abcdef");
    nl_text_add(&m->head.cpu, "avx512");
    m->head.carry[2] = 1.0 / 3;
}

static void drop(struct model *m)
{
    nl_checkpoint_free(&m->head);
    nl_store_close(m->store);
    nl_free(m->slot[0].slab);
    nl_free(m->slot[1].slab);
}

static nl_status save(struct model *m, const char *to)
{
    return nl_checkpoint_save(to, &m->head, m->store, m->slot, 2);
}

static nl_status load(struct model *m)
{
    return nl_checkpoint_load(path, &m->head, m->store, m->slot, 2);
}

static void make_files(void)
{
    make_folder();
    snprintf(path, sizeof path, "%s/checkpoint.nlc", folder);
}

static bool same_values(struct model *a, struct model *b)
{
    for (int i = 0; i < nl_store_count(a->store); i++) {
        const nl_item *x = nl_store_at(a->store, i), *y = nl_store_at(b->store, i);
        const size_t bytes = (size_t)x->count * nl_type_bytes(x->decl->type);
        if (x->decl->role != NL_SCRATCH && memcmp(x->val, y->val, bytes) != 0)
            return false;
        for (int k = 0; k < 2 && x->decl->role == NL_PARAM; k++)
            if (memcmp(a->slot[k].slab + x->at, b->slot[k].slab + y->at, bytes) != 0)
                return false;
    }
    return true;
}

static bool same_files(const char *a, const char *b)
{
    char command[400];
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", a, b);
    return system(command) == 0;
}

START_TEST(what_is_saved_comes_back)
{
    struct model a, b;
    build(&a, 5);
    build(&b, 5);
    fill(&a);
    OK(save(&a, path));
    ck_assert(!same_values(&a, &b));
    OK(load(&b));
    ck_assert(same_values(&a, &b));
    ck_assert_int_eq(b.head.step, 1000);
    ck_assert_int_eq(b.head.batch, 41);
    ck_assert_str_eq(nl_text_of(&b.head.spec), "model=mlp norm=batch");
    ck_assert_double_eq(b.head.carry[2], 1.0 / 3);
    nl_checkpoint head = {0};
    OK(nl_checkpoint_peek(path, &head));
    ck_assert_int_eq(head.epoch, 3);
    ck_assert_str_eq(nl_text_of(&head.cpu), "avx512");
    nl_checkpoint_free(&head);
    drop(&a);
    drop(&b);
}
END_TEST

START_TEST(the_same_state_gives_the_same_bytes)
{
    char again[160];
    struct model a, b;
    snprintf(again, sizeof again, "%s/again.nlc", folder);
    build(&a, 5);
    build(&b, 5);
    fill(&a);
    OK(save(&a, path));
    OK(load(&b));
    sleep(1); /* a time stamp would show */
    OK(save(&b, again));
    ck_assert(same_files(path, again));
    *(nl_real *)nl_store_find(b.store, "h1", "b")->val += 1;
    OK(save(&b, again));
    ck_assert(!same_files(path, again));
    drop(&a);
    drop(&b);
}
END_TEST

START_TEST(without_the_optimizer_its_slots_are_left_out)
{
    struct model a, b;
    build(&a, 5);
    build(&b, 5);
    fill(&a);
    OK(save(&a, path));
    OK(nl_checkpoint_load(path, &b.head, b.store, NULL, 0));
    ck_assert_double_eq(b.slot[0].slab[3], 0);
    OK(nl_checkpoint_save(path, &a.head, a.store, NULL, 0));
    ck_assert_int_eq(load(&b), NL_ESHAPE);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "has no /optim/m/h1/w, the model wants (7, 5)"));
    drop(&a);
    drop(&b);
}
END_TEST

static bool all_zero(const void *values, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((const char *)values)[i])
            return false;
    return true;
}

/* Loads into a model as built, all zeros, which must refuse and stay so. */
static void refused(struct model *b, nl_status wanted, const char *words)
{
    ck_assert_int_eq(load(b), wanted);
    ck_assert_msg(strstr(nl_last_error(), words), "%s", nl_last_error());
    ck_assert_int_eq(b->head.step, 0);
    const size_t bytes = (size_t)slab_count(b) * sizeof(nl_real);
    for (int k = 0; k < 2; k++)
        ck_assert(all_zero(b->slot[k].slab, bytes));
    for (int i = 0; i < nl_store_count(b->store); i++) {
        const nl_item *it = nl_store_at(b->store, i);
        ck_assert(all_zero(it->val, (size_t)it->count * nl_type_bytes(it->decl->type)));
    }
}

START_TEST(another_model_is_refused_with_both_shapes)
{
    struct model a, wide, more, fewer;
    build(&a, 5);
    fill(&a);
    OK(save(&a, path));
    build(&wide, 6);
    refused(&wide, NL_ESHAPE, "checkpoint.nlc: /params/h1/w is (7, 5), the model wants (7, 6)");
    more = (struct model){0};
    OK(nl_store_open(&more.store));
    add(&more, "h2", &weight, 3, 4, 1);
    commit(&more);
    refused(&more, NL_ESHAPE, "has no /params/h2/w, the model wants (3, 4)");
    fewer = (struct model){0};
    OK(nl_store_open(&fewer.store));
    add(&fewer, "h1", &weight, 7, 5, 1);
    add(&fewer, "h1/preact", &mean, 1, 5, 3);
    add(&fewer, "h1/preact", &count, 1, 1, 1);
    commit(&fewer);
    refused(&fewer, NL_ESHAPE, "/b of (5), which the model has not");
    drop(&a);
    drop(&wide);
    drop(&more);
    drop(&fewer);
}
END_TEST

START_TEST(damaged_files_are_refused)
{
    struct model a, b;
    struct stat info;
    build(&a, 5);
    build(&b, 5);
    fill(&a);
    refused(&b, NL_EIO, "No such file");
    OK(save(&a, path));
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(truncate(path, info.st_size / 2), 0);
    refused(&b, NL_EFORMAT, "truncated or damaged");
    OK(save(&a, path));

    /* one bit of the weights */
    const nl_real one = 1, wrong = 2;
    FILE *f = fopen(path, "r+b");
    char *bytes = nl_alloc((size_t)info.st_size, 1);
    ck_assert_int_eq(fread(bytes, 1, (size_t)info.st_size, f), info.st_size);
    const nl_real second = (nl_real)1 / 2;
    long at = 0;
    while (memcmp(bytes + at, &one, sizeof one) != 0 ||
           memcmp(bytes + at + sizeof one, &second, sizeof one) != 0)
        at++;
    ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
    ck_assert_int_eq(fwrite(&wrong, sizeof wrong, 1, f), 1);
    fclose(f);
    nl_free(bytes);
    refused(&b, NL_EFORMAT, "/params/h1/w is damaged");
    drop(&a);
    drop(&b);
}
END_TEST

START_TEST(a_full_disk_keeps_the_former_checkpoint)
{
    char temporary[160];
    struct model a, b;
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    build(&a, 5);
    build(&b, 5);
    fill(&a);
    OK(save(&a, path));
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){2000, RLIM_INFINITY}), 0);
    ck_assert_int_eq(save(&a, path), NL_EIO);
    ck_assert_ptr_nonnull(strstr(nl_last_error(), "cannot be written: File too large"));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
    ck_assert(!nl_file_exists(temporary));
    OK(load(&b));
    ck_assert(same_values(&a, &b));
    ck_assert_int_eq(save(&a, "/nowhere/c.nlc"), NL_EIO);
    ck_assert_str_eq(nl_last_error(),
                     "/nowhere/c.nlc.tmp: cannot be created: No such file or directory");
    drop(&a);
    drop(&b);
}
END_TEST

START_TEST(memory_that_runs_out_changes_nothing)
{
    struct model a, b;
    build(&a, 5);
    build(&b, 5);
    fill(&a);
    OK(save(&a, path));
    const long live = nl_alloc_live();
    nl_status st = NL_ENOMEM;
    for (long k = 0; st == NL_ENOMEM && k < 1000; k++) {
        nl_alloc_fail_at(k);
        st = save(&a, path);
        nl_alloc_fail_at(-1);
        ck_assert_int_eq(nl_alloc_live(), live);
    }
    OK(st);
    for (long k = 0; st != NL_OK && k < 1000; k++) {
        nl_alloc_fail_at(k);
        st = load(&b);
        nl_alloc_fail_at(-1);
        ck_assert(st == NL_OK || !same_values(&a, &b));
    }
    OK(load(&b));
    ck_assert(same_values(&a, &b));
    drop(&a);
    drop(&b);
}
END_TEST

START_TEST(h5py_reads_it_as_docs_format_md_says)
{
    if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        printf("checkpoint: h5py_reads_it_as_docs_format_md_says skipped, no h5py\n");
        return;
    }
    struct model a;
    build(&a, 5);
    fill(&a);
    OK(save(&a, path));
    char command[400];
    snprintf(command, sizeof command, "/usr/bin/python3 '%s/tests/unit/format_h5py.py' '%s' '%s'",
             NL_SOURCE_DIR, NL_SOURCE_DIR "/docs/format.md", folder);
    ck_assert_int_eq(system(command), 0);
    drop(&a);
}
END_TEST

START_TEST(initial_parameters_go_into_the_run_file)
{
    struct model a;
    struct run r;
    build(&a, 5);
    fill(&a);
    OK(nl_log_open(&r.log, path));
    OK(nl_log_record_init(r.log, a.store));
    declare(&r);
    OK(nl_log_finish(r.log, "done"));
    nl_run *run;
    nl_array w;
    OK(nl_run_open(&run, path));
    OK(nl_run_read(run, "/record/init/h1/w", &w));
    ck_assert_int_eq(w.rank, 2);
    ck_assert_int_eq(w.dim[0], 7);
    ck_assert_double_eq(w.at[34], (double)((nl_real)1 / 35));
    nl_array_free(&w);
    ck_assert_int_eq(nl_run_look(run, "/record/init/h1/preact"), NL_RUN_NOTHING);
    nl_run_close(run);
    drop(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("checkpoint");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, make_files, remove_folder);
    tcase_add_test(t, what_is_saved_comes_back);
    tcase_add_test(t, the_same_state_gives_the_same_bytes);
    tcase_add_test(t, without_the_optimizer_its_slots_are_left_out);
    tcase_add_test(t, another_model_is_refused_with_both_shapes);
    tcase_add_test(t, damaged_files_are_refused);
    tcase_add_test(t, a_full_disk_keeps_the_former_checkpoint);
    tcase_add_test(t, memory_that_runs_out_changes_nothing);
    tcase_add_test(t, h5py_reads_it_as_docs_format_md_says);
    tcase_add_test(t, initial_parameters_go_into_the_run_file);
    suite_add_tcase(s, t);
    return run_suite(s);
}
