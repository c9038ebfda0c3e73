/* CIFAR files of a few images, written here: order of the pixels, both kinds of labels, moments,
 * and files that are not what they should be. The real CIFAR-10 where $NORMLAB_DATA has it. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cifar.h"
#include "registry.h"
#include "suite.h"

enum { IMAGES = 4, PLANE = 1024 };

static char folder[64];

static int pixel(int file, int image, int colour, int p)
{
    return (37 * file + 11 * image + 85 * colour + 3 * p) % 251;
}

static void write_file(const char *name, int file, int labels, int images)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < images; i++) {
        for (int l = 0; l < labels; l++)
            fputc(labels == 1 ? (file + i) % 10 : l ? 90 + i : 10 + i, out);
        for (int k = 0; k < 3; k++)
            for (int p = 0; p < PLANE; p++)
                fputc(pixel(file, i, k, p), out);
    }
    ck_assert_int_eq(fclose(out), 0);
}

static void make_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/normlab-cifar-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make_folder("cifar-10-batches-bin");
    for (int file = 1; file <= 5; file++) {
        char name[64];
        snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", file);
        write_file(name, file, 1, IMAGES);
    }
    write_file("cifar-10-batches-bin/test_batch.bin", 6, 1, IMAGES);
    make_folder("cifar100");
    make_folder("cifar100/cifar-100-binary");
    write_file("cifar100/cifar-100-binary/train.bin", 1, 2, IMAGES);
    write_file("cifar100/cifar-100-binary/test.bin", 2, 2, IMAGES);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static nl_dataset *opened(const char *spec)
{
    nl_dataset *d;
    if (nl_dataset_open(&d, spec, folder) != NL_OK)
        ck_abort_msg("%s: %s", spec, nl_last_error());
    return d;
}

START_TEST(colours_of_a_pixel_stand_side_by_side)
{
    nl_dataset *d = opened("cifar10:standardize=none");
    ck_assert_int_eq(d->train.count, 5 * IMAGES);
    ck_assert_int_eq(d->test.count, IMAGES);
    ck_assert(d->shape.s == 1 && d->shape.c == 3072 && d->shape.h == 32 && d->shape.w == 32);
    for (int i = 0; i < d->train.count; i++) {
        ck_assert_int_eq(d->train.label[i], (i / IMAGES + 1 + i % IMAGES) % 10);
        for (int v = 0; v < 3072; v++)
            ck_assert_double_eq((double)d->train.x[i * 3072 + v],
                                pixel(i / IMAGES + 1, i % IMAGES, v % 3, v / 3));
    }
    nl_dataset_close(d);
}
END_TEST

START_TEST(a_hundred_kinds_or_twenty_groups)
{
    nl_dataset *fine = opened("cifar100"), *coarse = opened("cifar100:labels=coarse");
    ck_assert_int_eq(fine->classes, 100);
    ck_assert_int_eq(coarse->classes, 20);
    for (int i = 0; i < IMAGES; i++) {
        ck_assert_int_eq(fine->train.label[i], 90 + i);
        ck_assert_int_eq(coarse->test.label[i], 10 + i);
    }
    nl_dataset_close(fine);
    nl_dataset_close(coarse);
}
END_TEST

static void moments(const nl_dataset *d, int first, int step, int count, double *mean, double *std)
{
    double sum = 0, squares = 0, n = 0;
    for (int i = 0; i < count; i++)
        for (int v = first; v < 3072; v += step, n++) {
            sum += (double)d->train.x[i * 3072 + v];
            squares += (double)d->train.x[i * 3072 + v] * (double)d->train.x[i * 3072 + v];
        }
    *mean = sum / n;
    *std = sqrt(squares / n - *mean * *mean);
}

/* scikit-learn's StandardScaler: biased variance of each feature. */
START_TEST(features_and_colours_have_mean_0_and_variance_1)
{
    double mean, std;
    nl_dataset *feature = opened("cifar10:standardize=feature");
    nl_dataset *channel = opened("cifar10:standardize=channel");
    nl_dataset *all = opened("cifar10:standardize=feature:fit=all:train=7");
    nl_dataset *raw = opened("cifar10:standardize=none");
    for (int v = 0; v < 3072; v += 97) {
        moments(feature, v, 3072, 20, &mean, &std);
        ck_assert(fabs(mean) < 1e-5 && fabs(std - 1) < 1e-5);
        moments(raw, v, 3072, 20, &mean, &std);
        for (int i = 0; i < 7; i++)
            ck_assert_double_eq_tol((double)all->train.x[i * 3072 + v],
                                    ((double)raw->train.x[i * 3072 + v] - mean) / std, 1e-4);
    }
    for (int k = 0; k < 3; k++) {
        moments(channel, k, 3, 20, &mean, &std);
        ck_assert(fabs(mean) < 1e-5 && fabs(std - 1) < 1e-5);
    }
    nl_dataset_close(feature);
    nl_dataset_close(channel);
    nl_dataset_close(all);
    nl_dataset_close(raw);
}
END_TEST

/* `message` without the folder's name. */
static void is_refused(const char *spec, const char *message)
{
    nl_dataset *d;
    ck_assert_int_ne(nl_dataset_open(&d, spec, folder), NL_OK);
    ck_assert_msg(strstr(nl_last_error(), message) != NULL, "%s: %s", spec, nl_last_error());
    ck_assert_ptr_null(d);
}

static void damage(const char *name, long at, int byte)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (byte < 0) {
        ck_assert_int_eq(truncate(path, at), 0);
        return;
    }
    FILE *f = fopen(path, "r+b");
    ck_assert(f && fseek(f, at, SEEK_SET) == 0 && fputc(byte, f) == byte && fclose(f) == 0);
}

START_TEST(bad_files_are_told_in_one_line)
{
    is_refused("cifar10:train=30", "cifar10: 30 training and 0 validation examples wanted, there "
                                   "are 20");
    damage("cifar-10-batches-bin/data_batch_2.bin", 3073, 10);
    is_refused("cifar10", "/cifar-10-batches-bin/data_batch_2.bin: label 10 of example 1, wanted "
                          "0 .. 9");
    damage("cifar-10-batches-bin/data_batch_1.bin", 4000, -1);
    is_refused("cifar10", "/cifar-10-batches-bin/data_batch_1.bin: 4000 bytes, wanted records of "
                          "3073 (truncated?)");
    damage("cifar-10-batches-bin/data_batch_1.bin", 0, -1);
    is_refused("cifar10", "/cifar-10-batches-bin/data_batch_1.bin: 0 bytes, wanted records of "
                          "3073 (truncated?)");
    damage("cifar100/cifar-100-binary/test.bin", 1, 100);
    is_refused("cifar100", "/cifar100/cifar-100-binary/test.bin: label 100 of example 0, wanted "
                           "0 .. 99");
    char path[256];
    snprintf(path, sizeof path, "%s/cifar100/cifar-100-binary/train.bin", folder);
    ck_assert_int_eq(unlink(path), 0);
    is_refused("cifar100", "/cifar100/cifar-100-binary/train.bin: cannot be opened: No such file "
                           "or directory");
    tear_down();
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    is_refused("cifar10", "cifar10: neither cifar10/cifar-10-batches-bin nor cifar-10-batches-bin "
                          "is in ");
}
END_TEST

START_TEST(the_real_cifar_10)
{
    nl_dataset *d;
    int64_t count[10] = {0};
    char there[512];
    const char *dir = getenv("NORMLAB_DATA");
    snprintf(there, sizeof there, "%s/cifar10/cifar-10-batches-bin", dir ? dir : "");
    if (!dir || access(there, F_OK) != 0) {
        fprintf(stderr, "skipped: the real CIFAR-10 (NORMLAB_DATA does not have it)\n");
        return;
    }
    if (nl_dataset_open(&d, "cifar10:standardize=feature", dir) != NL_OK)
        ck_abort_msg("%s", nl_last_error());
    ck_assert_int_eq(d->train.count, 50000);
    ck_assert_int_eq(d->test.count, 10000);
    for (int64_t i = 0; i < d->train.count; i++)
        count[d->train.label[i]]++;
    for (int k = 0; k < 10; k++)
        ck_assert_int_eq(count[k], 5000);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < d->train.count; i++) {
        const double v = (double)d->train.x[i * 3072 + 1234];
        sum += v, squares += v * v;
    }
    ck_assert(fabs(sum / 50000) < 1e-5 && fabs(squares / 50000 - 1) < 1e-5);
    nl_dataset_close(d);
}
END_TEST

int main(void)
{
    use_registries();
    Suite *s = suite_create("cifar");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, colours_of_a_pixel_stand_side_by_side);
    tcase_add_test(t, a_hundred_kinds_or_twenty_groups);
    tcase_add_test(t, features_and_colours_have_mean_0_and_variance_1);
    tcase_add_test(t, bad_files_are_told_in_one_line);
    tcase_add_test(t, the_real_cifar_10);
    suite_add_tcase(s, t);
    return run_suite(s);
}
